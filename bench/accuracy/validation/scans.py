"""Scans of polycrystals on disk: the truth and the spots of every column, and frames drawn from them.

cache/scans/KEY/manifest.json, truth.npz (the arrays of `specimen.Truth`) and one file of spots for each row of the scan
(as `exchange` has them, in the order of the truth's parts). cache/scans/KEY/frames-KEY.npy, (ny, nx, size, size)
uint16, is what a camera sees of it, with frames-KEY.json beside it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from validation import exchange
from validation.conditions import Detector, Split, random_numbers
from validation.detector import counted, detector_matrix, mean_image
from validation.specimen import Specimen, Truth

Array = NDArray[np.float64]

SCANS: dict[str, Specimen] = {
    "polycrystal": Specimen(),
    # without grains that were placed as traps: the name decides the random numbers
    **{f"ordinary {number}": Specimen(near_zone=0, related=False, number=number) for number in range(1, 19)},
    # and twice as many of each phase: half as large, most columns near a boundary
    **{
        f"small grains {number}": Specimen(
            near_zone=0,
            related=False,
            number=number,
            grains=(("beta2-alumina", 40), ("nzsp", 28), ("na2au", 16), ("au", 6), ("zro2-m", 6)),
        )
        for number in range(1, 7)
    },
    "second polycrystal": Specimen(
        grains=(("beta2-alumina", 22), ("nzsp", 14), ("na2au", 8), ("au", 2), ("zro2-m", 2)), thickness_nm=(35.0, 120.0)
    ),
    "quick": Specimen(
        shape=(24, 24), grains=(("beta2-alumina", 5), ("nzsp", 1), ("na2au", 2)), near_zone=1, thickness_nm=(40.0, 80.0)
    ),
}
# as the conditions of the single patterns of the same names have it
CAMERAS: dict[str, Detector] = {
    "standard": Detector(),
    "2e3 counts": Detector(counts=2e3),
    "2e5 counts": Detector(counts=2e5),
    "beam as it is": Detector(beam=None),
    "turned and flipped": Detector(rotation_deg=37.0, flipped=True),
}


@dataclass(frozen=True, eq=False)
class Scan:
    """With known truth: `frames` (ny, nx, size, size) uint16, `center` (ny, nx, 2) row and column of the beam."""

    specimen: Specimen
    camera: Detector
    truth: Truth
    frames: NDArray[np.uint16]
    center: Array
    path: Path


def folder(cache: Path, name: str, split: Split) -> Path:
    specimen = SCANS[name]
    texts = [exchange.cif_of(phase).read_text(encoding="utf-8") for phase, _ in specimen.grains]
    return cache / "scans" / specimen.key(split, texts)


def write_truth(where: Path, truth: Truth, name: str, split: Split, versions: dict[str, str]) -> None:
    where.mkdir(parents=True, exist_ok=True)
    content = {
        "format": 1, "scan": name, "split": split, "specimen": asdict(SCANS[name]), "frame": exchange.FRAME,
        "versions": versions,
    }  # fmt: skip
    _replace(where / "manifest.json", json.dumps(content, indent=1).encode() + b"\n")
    part = where / f"truth.npz.tmp-{os.getpid()}"
    with part.open("wb") as stream:
        np.savez_compressed(stream, **{f.name: getattr(truth, f.name) for f in fields(Truth)})
    part.replace(where / "truth.npz")


def read_truth(where: Path) -> Truth:
    if not (where / "truth.npz").exists():
        raise SystemExit(f"{where} is not there; run generate.py --scan NAME first")
    with np.load(where / "truth.npz", allow_pickle=False) as stored:
        return Truth(**{f.name: stored[f.name] for f in fields(Truth)})


def missing_rows(where: Path, truth: Truth) -> list[int]:
    return [row for row in range(truth.shape[0]) if not (where / f"{row:05d}.npz").exists()]


def read_scan(cache: Path, name: str, split: Split, camera: str, *, wavelength: float) -> Scan:
    """Frames are drawn once and mapped from their file afterwards. `wavelength` in angstrom."""
    where, detector = folder(cache, name, split), CAMERAS[camera]
    truth = read_truth(where)
    if absent := missing_rows(where, truth):
        raise SystemExit(f"{where} lacks {len(absent)} of {truth.shape[0]} rows; run generate.py --scan {name!r} first")
    center = beam_positions(SCANS[name], detector, split, name)
    path = where / f"frames-{detector.key()}.npy"
    if not path.exists():
        _draw(path, where, truth, detector, center, (split, name), wavelength)
        notes = {"camera": asdict(detector), "step_nm": SCANS[name].step_nm, "voltage": SCANS[name].crystal.voltage}
        _replace(path.with_suffix(".json"), json.dumps(notes, indent=1).encode() + b"\n")
    frames = np.load(path, mmap_mode="r")
    return Scan(SCANS[name], detector, truth, frames, center, path)


def beam_positions(specimen: Specimen, detector: Detector, split: Split, name: str) -> Array:
    """Row and column (ny, nx, 2) of the direct beam: off the middle, and wandering linearly with the scan."""
    ny, nx = specimen.shape
    rng = random_numbers("beam", split, name, detector.key())
    direction = rng.uniform(0, 2 * np.pi)
    off = (detector.size - 1) / 2 + detector.shift_px * np.array([np.sin(direction), np.cos(direction)])
    along = np.stack(np.meshgrid(np.linspace(-0.5, 0.5, ny), np.linspace(-0.5, 0.5, nx), indexing="ij"), axis=-1)
    return np.asarray(off + specimen.descan_px * along)


def _draw(
    path: Path, where: Path, truth: Truth, detector: Detector, center: Array, seed: tuple[str, ...], wavelength: float
) -> None:
    ny, nx = truth.shape
    part = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    shape = (ny, nx, detector.size, detector.size)
    frames = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint16, shape=shape)
    radius = 1e-3 * detector.disk_mrad / wavelength / detector.pixel
    long_axis = random_numbers("ellipse", *seed, detector.key()).uniform(0, np.pi)
    to_pixels = detector_matrix(detector, long_axis)
    for row in range(ny):
        spots = exchange.read_file(where, row)
        assert isinstance(spots, exchange.Patterns)
        column, share = truth.column[truth.row == row], truth.share[truth.row == row]
        for c in range(nx):
            parts = [(int(i), float(share[i])) for i in np.flatnonzero(column == c)]
            image = mean_image(spots, parts, center[row, c], to_pixels, detector, radius)
            frames[row, c] = counted(random_numbers("frame", *seed, detector.key(), row, c), image, detector)
    frames.flush()
    del frames
    part.replace(path)


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)
