"""Spots on disk: written by generate.py, read by whoever indexes. Files of few patterns each, so that a run resumes.

cache/spots/KEY/manifest.json        parameters, versions, frame, names of the files
cache/spots/KEY/00000.npz            patterns 0 ... PER_FILE - 1, and so on

Arrays of a file: number (n,) of each pattern, orientation (n, 4) quaternions w x y z sample to crystal, thickness_nm
(n,), offset (n + 1,), hkl (m, 3), k (m, 2) 1/angstrom along X and Y, intensity (m,) shares of the beam; hkl 0 0 0 is
the direct beam. Patterns by multislice have no spots but an image: number, orientation, thickness_nm, image (n, size,
size) shares of the electrons, beam at [size/2, size/2].
"""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from validation.conditions import REQUIREMENTS, Crystal, Slab, Split, sha256

PER_FILE = 10
TEMPLATES = Path(__file__).parents[3] / "templates"
FRAME = (
    "sample frame: X along detector columns, Y along rows (down), Z = X x Y; v_crystal = R(q) v_sample, crystal e1"
    " || a, e3 || c*; a spot is excited at g_z = +lambda |g|^2 / 2; 1/d without 2 pi"
)


@dataclass(frozen=True, eq=False)
class Patterns:
    """Spots of n patterns; see above."""

    orientation: NDArray[np.float64]
    thickness_nm: NDArray[np.float64]
    hkl: list[NDArray[np.int64]]
    k: list[NDArray[np.float64]]
    intensity: list[NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.orientation)


@dataclass(frozen=True, eq=False)
class Images:
    """Patterns as multislice gives them; see above."""

    orientation: NDArray[np.float64]
    thickness_nm: NDArray[np.float64]
    image: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.orientation)


def cif_of(phase: str) -> Path:
    """Structure file of one of nbedex's phases."""
    table = tomllib.loads((TEMPLATES / "phases.toml").read_text(encoding="utf-8"))
    if phase not in table:
        raise SystemExit(f"unknown phase {phase!r}; known are {', '.join(table)}")
    return TEMPLATES / "structures" / str(table[phase]["structure"])


def folder(cache: Path, crystal: Crystal | Slab, phase: str, split: Split) -> Path:
    return cache / "spots" / crystal.key(phase, split, cif_of(phase).read_text(encoding="utf-8"))


def missing(where: Path, n: int) -> list[int]:
    """Numbers of the files that n patterns need and that are not there."""
    return [i for i in range(-(-n // PER_FILE)) if not (where / f"{i:05d}.npz").exists()]


def write(where: Path, file: int, patterns: Patterns | Images) -> None:
    content: dict[str, NDArray[Any]] = {
        "number": np.arange(len(patterns)) + file * PER_FILE,
        "orientation": patterns.orientation,
        "thickness_nm": patterns.thickness_nm,
    }
    if isinstance(patterns, Images):
        content["image"] = patterns.image
    else:
        content["offset"] = np.concatenate([[0], np.cumsum([len(k) for k in patterns.k])]).astype(np.int64)
        content["hkl"] = np.concatenate(patterns.hkl).astype(np.int16)
        content["k"] = np.concatenate(patterns.k)
        content["intensity"] = np.concatenate(patterns.intensity)
    where.mkdir(parents=True, exist_ok=True)
    target = where / f"{file:05d}.npz"
    part = target.with_name(f"{target.name}.tmp-{os.getpid()}")
    with part.open("wb") as stream:
        np.savez_compressed(stream, **content)
    part.replace(target)


def write_manifest(where: Path, crystal: Crystal | Slab, phase: str, split: Split, versions: dict[str, str]) -> None:
    where.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {
        "format": 1,
        "phase": phase,
        "split": split,
        "cif": cif_of(phase).name,
        "cif_sha256": sha256(cif_of(phase).read_text(encoding="utf-8")),
        "crystal": asdict(crystal),
        "frame": FRAME,
        "patterns_per_file": PER_FILE,
        "requirements": REQUIREMENTS.read_text(encoding="utf-8").splitlines(),
        "versions": versions,
    }
    part = where / f"manifest.json.tmp-{os.getpid()}"
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    part.replace(where / "manifest.json")


def read(where: Path, n: int) -> Patterns | Images:
    """The first n patterns."""
    if absent := missing(where, n):
        raise SystemExit(f"{where} lacks {len(absent)} of {-(-n // PER_FILE)} files; run generate.py first")
    files = [read_file(where, file) for file in range(-(-n // PER_FILE))]
    orientation = np.concatenate([part.orientation for part in files])[:n]
    thickness = np.concatenate([part.thickness_nm for part in files])[:n]
    if isinstance(files[0], Images):
        return Images(orientation, thickness, np.concatenate([part.image for part in files])[:n])
    return Patterns(
        orientation,
        thickness,
        [hkl for part in files for hkl in part.hkl][:n],
        [k for part in files for k in part.k][:n],
        [intensity for part in files for intensity in part.intensity][:n],
    )


def read_file(where: Path, file: int) -> Patterns | Images:
    """The patterns of one file."""
    with np.load(where / f"{file:05d}.npz", allow_pickle=False) as stored:
        if "image" in stored:
            return Images(stored["orientation"], stored["thickness_nm"], stored["image"])
        cuts = stored["offset"][1:-1]
        return Patterns(
            stored["orientation"],
            stored["thickness_nm"],
            np.split(stored["hkl"].astype(np.int64), cuts),
            np.split(stored["k"], cuts),
            np.split(stored["intensity"], cuts),
        )
