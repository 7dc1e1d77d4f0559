"""The phases that come with nbedex, and the way to any other: a name or a path to a CIF."""

from __future__ import annotations

import difflib
import importlib.resources
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.phases.cif import CrystalStructure, read_cif
from nbedex.phases.cif_text import shown
from nbedex.phases.phase import USER_COLOURS, Phase, PhaseDescription


def templates_dir() -> Path:
    """Folder with `phases.toml` and `structures/`.

    Inside the package where nbedex is installed, at the top of the repository where it runs from source.

    Raises
    ------
    DataFormatError
        If neither is there.
    """
    candidates = [Path(str(importlib.resources.files("nbedex").joinpath("templates")))]
    here = Path(__file__).resolve()
    # python/nbedex/phases/catalogue.py: the package is one folder up, the repository three.
    candidates += [here.parents[1] / "templates", here.parents[3] / "templates"]
    for folder in candidates:
        if (folder / "phases.toml").is_file():
            return folder
    tried = ", ".join(str(folder) for folder in dict.fromkeys(candidates))
    raise DataFormatError(f"nbedex's own templates are missing (looked in {tried}); install nbedex again")


def phase_names() -> tuple[str, ...]:
    """Names of the phases that come with nbedex, in the order of templates/phases.toml."""
    return tuple(_catalogue())


def list_phases() -> list[Phase]:
    """The phases that come with nbedex."""
    return [load_phase(name) for name in phase_names()]


def load_phase(name_or_path: str | Path) -> Phase:
    """Load a phase by name, or any crystal structure by the path of its CIF.

    Parameters
    ----------
    name_or_path
        A name from `phase_names`, or a path: anything that ends in ``.cif``, contains a folder or is a file.

    Returns
    -------
    Phase
        For a CIF, named after the file, with no conduction plane; declare one with
        ``dataclasses.replace(phase, conduction_plane=(0, 0, 3), conducts_sodium=True)``.

    Raises
    ------
    ArgumentError
        If it's neither a known name nor a file.
    DataFormatError
        If the CIF can't be used.
    """
    if isinstance(name_or_path, str):
        name = name_or_path.strip()
        if name in _catalogue():
            return _shipped(name)
        if not name or not _looks_like_path(name):
            raise ArgumentError(_unknown(name))
    return _from_cif(Path(name_or_path))


def _looks_like_path(text: str) -> bool:
    if "\0" in text:
        return False
    has_folder = "/" in text or "\\" in text
    try:
        return has_folder or text.lower().endswith(".cif") or Path(text).is_file()
    except OSError:
        return False


def _unknown(name: str) -> str:
    """What to say about a name that isn't known."""
    known = phase_names()
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown phase {name[:80]!r}; {hint}Known are {', '.join(known)}, or a path to a CIF"


def _from_cif(path: Path) -> Phase:
    """A phase of the user's own."""
    try:
        structure = read_cif(path)
    except (OSError, ValueError) as error:
        # A path that the file system can't even look up (too long, embedded zero).
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(f"can't open {str(path)[:120]!r}: {error}") from None
    description = PhaseDescription(
        conduction_plane=None, conducts_sodium=False, colour="", source=f"CIF {shown(path)}", role="user"
    )
    phase = _build(Path(shown(path)).stem, structure.title, structure, description)
    # The same crystal gets the same colour in every session.
    return replace(phase, colour=USER_COLOURS[int(phase.sha256[:8], 16) % len(USER_COLOURS)])


@lru_cache(maxsize=64)
def _shipped(name: str) -> Phase:
    """A phase of templates/phases.toml; phases are immutable, so one object serves all."""
    entry = _catalogue()[name]
    plane = entry.get("conduction_plane")
    structure = read_cif(templates_dir() / "structures" / entry["structure"])
    description = PhaseDescription(
        conduction_plane=None if plane is None else (plane[0], plane[1], plane[2]),
        conducts_sodium=entry["conducts_sodium"],
        colour=entry["colour"],
        source=entry["source"],
        role=entry["role"],
    )
    return _build(name, entry["title"], structure, description)


def _build(name: str, title: str, structure: CrystalStructure, description: PhaseDescription) -> Phase:
    return Phase.build(
        name=name,
        title=title,
        cell=structure.cell,
        space_group=(structure.number, structure.name),
        operations=structure.operations,
        atoms=structure.atoms,
        description=description,
        cif_text=structure.text,
        notes=structure.notes,
    )


@lru_cache(maxsize=1)
def _catalogue() -> Mapping[str, dict[str, Any]]:
    """templates/phases.toml, by phase name."""
    path = templates_dir() / "phases.toml"
    try:
        with path.open("rb") as stream:
            table = tomllib.load(stream)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataFormatError(f"{path}: can't be read ({error}); install nbedex again") from None
    required = {"title", "structure", "conducts_sodium", "colour", "source", "role"}
    for name, entry in table.items():
        if not isinstance(entry, dict) or not required <= entry.keys() <= required | {"conduction_plane"}:
            raise DataFormatError(f"{path}: entry {name!r} must have exactly {', '.join(sorted(required))}")
    return table
