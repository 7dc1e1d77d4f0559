"""A template library: simulated patterns of one or more phases, and its file."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError, NbedexError
from nbedex.files import write_atomically
from nbedex.library.simulation import SimulationSettings, Spots, simulate_templates
from nbedex.phases import Phase
from nbedex.progress import Progress, silent
from nbedex.provenance import software
from nbedex.settings import settings_from_dict

log = logging.getLogger(__name__)

FORMAT = "nbedex-library"
VERSION = 1
_SEAL = b"nbedexLS"
_ARRAYS = tuple(field.name for field in fields(Spots))


@dataclass(frozen=True, eq=False)
class TemplateLibrary:
    """Templates of several phases, simulated under the same conditions.

    Attributes
    ----------
    settings
        How the templates were simulated.
    phases
        The crystals.
    spots
        Their patterns, in the same order.
    """

    settings: SimulationSettings
    phases: tuple[Phase, ...]
    spots: tuple[Spots, ...]

    @property
    def n_templates(self) -> int:
        return sum(len(s) for s in self.spots)

    @property
    def sha256(self) -> str:
        """Identity: what the templates were made from."""
        return library_hash(self.phases, self.settings)

    def __repr__(self) -> str:
        parts = ", ".join(f"{p.name} {len(s)}" for p, s in zip(self.phases, self.spots, strict=True))
        return f"<TemplateLibrary {self.settings.voltage:g} kV, {self.settings.step_deg:g} deg: {parts}>"


def library_hash(phases: Sequence[Phase], settings: SimulationSettings) -> str:
    """SHA-256 over the phases, the settings and the version of the simulation."""
    made_from = {
        "version": VERSION,
        "settings": settings.to_dict(),
        "phases": [[phase.name, phase.sha256] for phase in phases],
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def build_library(
    phases: Sequence[Phase], settings: SimulationSettings, *, threads: int = 0, progress: Progress = silent
) -> TemplateLibrary:
    """Simulate the templates of all phases.

    Raises
    ------
    ArgumentError
        No phase, or two phases of the same name.
    """
    names = [phase.name for phase in phases]
    if not names:
        raise ArgumentError("a library needs at least one phase")
    if len(set(names)) < len(names):
        raise ArgumentError(f"phases must have different names, got {', '.join(names)}")
    spots = []
    for number, phase in enumerate(phases):
        progress("simulating templates", number, len(phases))
        spots.append(simulate_templates(phase, settings, threads=threads))
        log.info("%s: %d templates, %d spots", phase.name, len(spots[-1]), len(spots[-1].kx))
    progress("simulating templates", len(phases), len(phases))
    return TemplateLibrary(settings=settings, phases=tuple(phases), spots=tuple(spots))


def save_library(library: TemplateLibrary, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write the library to one HDF5 file, whole or not at all.

    Raises
    ------
    OutputError
        The file exists and `overwrite` is not set, or it can't be written.
    """
    image = library_to_bytes(library)
    return write_atomically(path, [image, seal(image)], overwrite=overwrite, n_bytes=len(image) + 40)


def seal(image: bytes | memoryview) -> bytes:
    """What stands behind the HDF5 content of a library file: 8 bytes to know it by, and the content's SHA-256."""
    return _SEAL + hashlib.sha256(image).digest()


def _check_seal(path: str | Path) -> None:
    """Refuse a damaged file before HDF5 sees it, which can hang on one; files without a seal are let through."""
    try:
        content = memoryview(Path(path).read_bytes())
    except OSError as error:
        raise DataFormatError(f"{path} can't be read as a template library: {error}; build it again") from error
    image, end = content[:-40], bytes(content[-40:])
    if end.startswith(_SEAL) and end != seal(image):
        raise DataFormatError(f"{path} can't be read as a template library: it is damaged (SHA-256); build it again")


def load_library(path: str | Path) -> TemplateLibrary:
    """Read a library file. Nothing in it is executed.

    Raises
    ------
    ArgumentError
        No such file.
    DataFormatError
        Not a library, of an unknown version, or damaged.
    """
    if not Path(path).is_file():
        raise ArgumentError(f"no template library at {path}; build one with `nbedex library build`")
    _check_seal(path)
    return _load(path, path)


def library_from_bytes(image: bytes, *, where: str = "library in memory") -> TemplateLibrary:
    """A library from the content of its file, as `library_to_bytes` gives it; `where` names it in messages.

    Raises
    ------
    DataFormatError
        Not a library, of an unknown version, or damaged.
    """
    return _load(io.BytesIO(image), where)


def _load(source: Any, path: str | Path) -> TemplateLibrary:
    """A library from anything that h5py opens."""
    import h5py

    try:
        with h5py.File(source, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise DataFormatError(f"{path} is not a template library (expected HDF5 with format={FORMAT!r})")
            if file.attrs.get("version") != VERSION:
                raise DataFormatError(
                    f"{path} is a library of version {file.attrs.get('version')}, this nbedex reads {VERSION};"
                    " build it again"
                )
            return _from_file(file, path)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError) as error:
        # An ArgumentError (a ValueError too) is about what stands in the file, so it is the file's fault here.
        raise DataFormatError(f"{path} can't be read as a template library: {error}; build it again") from error


def cached_library(
    phases: Sequence[Phase], settings: SimulationSettings, *, threads: int = 0, progress: Progress = silent
) -> TemplateLibrary:
    """The library from the cache if it was made before, otherwise built and put there.

    The cache is `$NBEDEX_CACHE`, or `nbedex` in the user's cache folder; an unusable cache costs time, never the run.
    """
    wanted = library_hash(phases, settings)
    path = cache_dir() / f"library-{wanted[:24]}.h5"
    if path.is_file():
        try:
            library = load_library(path)
            if library.sha256 == wanted:
                # The cached phases have the same atoms; colours and sources may have changed since.
                return TemplateLibrary(settings=settings, phases=tuple(phases), spots=library.spots)
        except NbedexError as error:
            log.warning("ignoring a damaged library in the cache: %s", error)
    library = build_library(phases, settings, threads=threads, progress=progress)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_library(library, path, overwrite=True)
    except (OSError, NbedexError) as error:
        log.warning("the library is not cached: %s", error)
    return library


def cache_dir() -> Path:
    """Folder of cached libraries."""
    if custom := os.environ.get("NBEDEX_CACHE"):
        return Path(custom)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nbedex"


def library_to_bytes(library: TemplateLibrary) -> bytes:
    """The content of a library file. Made in memory: HDF5 itself crashes on a full disk."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w", track_order=True) as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file.attrs["settings"] = json.dumps(library.settings.to_dict())
        file.attrs["software"] = json.dumps(software())
        for number, (phase, spots) in enumerate(zip(library.phases, library.spots, strict=True)):
            group = file.create_group(f"phases/{number}")
            group.create_dataset("phase", data=np.frombuffer(json.dumps(phase.to_dict()).encode(), dtype=np.uint8))
            for name in _ARRAYS:
                group.create_dataset(name, data=getattr(spots, name), track_times=False)
    return buffer.getvalue()


def _from_file(file: Any, path: str | Path) -> TemplateLibrary:
    settings = settings_from_dict(SimulationSettings, json.loads(file.attrs["settings"]), where=str(path))
    phases, spots = [], []
    all_phases = _inside(file, "phases", path)
    for number in range(len(all_phases)):
        group = _inside(all_phases, str(number), path)
        phases.append(Phase.from_dict(json.loads(bytes(_own_array(group, "phase", path))), where=str(path)))
        spots.append(Spots(**{name: _own_array(group, name, path) for name in _ARRAYS}))
        _check_spots(spots[-1], path)
    return TemplateLibrary(settings=settings, phases=tuple(phases), spots=tuple(spots))


def _inside(group: Any, name: str, path: str | Path) -> Any:
    """What a group itself holds under a name: links, to other files or within this one, are not followed."""
    import h5py

    link = group.get(name, getlink=True)
    if link is not None and not isinstance(link, h5py.HardLink):
        raise DataFormatError(f"{path}: {name!r} is a link ({type(link).__name__}); a library holds its own data")
    return group[name]


def _own_array(group: Any, name: str, path: str | Path) -> NDArray[Any]:
    """The array of that name, only if its numbers lie in this very file, all of them."""
    import h5py

    node = _inside(group, name, path)
    if not isinstance(node, h5py.Dataset) or node.external or node.is_virtual:
        raise DataFormatError(f"{path}: {name!r} must be a dataset with its data in this file")
    if node.id.get_storage_size() != node.nbytes:  # before memory is taken for what the file does not hold
        raise DataFormatError(
            f"{path}: {name!r} should take {node.nbytes} bytes, the file holds {node.id.get_storage_size()} of it"
        )
    return np.asarray(node[()])


def _check_spots(spots: Spots, path: str | Path) -> None:
    """Refuses arrays that do not fit together, before the core indexes with them."""
    n, m = len(spots.orientation), len(spots.kx)
    shapes = {
        "orientation": (n, 4), "offset": (n + 1,), "kx": (m,), "ky": (m,), "intensity": (m,),
        "reflection": (m,), "hkl": (len(spots.hkl), 3),
    }  # fmt: skip
    kinds = {
        "orientation": "f8", "offset": "i8", "kx": "f4", "ky": "f4", "intensity": "f4",
        "reflection": "i4", "hkl": "i4",
    }  # fmt: skip
    for name, shape in shapes.items():
        array = getattr(spots, name)
        if array.shape != shape or array.dtype != np.dtype(kinds[name]):
            raise DataFormatError(
                f"{path}: {name} should be {kinds[name]} of shape {shape}, is {array.dtype} of {array.shape}"
            )
    rising = spots.offset[0] == 0 and spots.offset[-1] == m and bool((np.diff(spots.offset) >= 0).all())
    inside = not m or (spots.reflection.min() >= 0 and spots.reflection.max() < len(spots.hkl))
    finite = all(np.isfinite(getattr(spots, name)).all() for name in ("orientation", "kx", "ky", "intensity"))
    if not (rising and inside and finite):
        raise DataFormatError(f"{path}: the spot lists are inconsistent; the file is damaged, build it again")
