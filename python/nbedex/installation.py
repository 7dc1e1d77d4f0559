"""Whether nbedex works here: each part tried, not only looked for."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nbedex.calibration import Calibration

Finding = tuple[Literal["ok", "note", "wrong"], str]

# What is of use beside the dependencies: package, and what for.
EXTRAS = {
    "dask": "indexing on Dask clusters (nbedex[dask])",
    "distributed": "clusters of several processes (nbedex[dask])",
    "libertem": "the LiberTEM UDF (nbedex[libertem])",
    "hdf5plugin": "HDF5 files compressed with blosc, bitshuffle, lz4 or zstd",
    "hyperspy": "lazy signals to index with Dask",
}


@dataclass(frozen=True)
class Check:
    """One part of the installation.

    Attributes
    ----------
    name
        Of the part.
    status
        ok; note: works, with something to know; wrong: does not work.
    detail
        What was found, and what to do where it is wrong.
    seconds
        How long trying it took.
    """

    name: str
    status: Literal["ok", "note", "wrong"]
    detail: str
    seconds: float


def check_installation() -> Iterator[Check]:
    """Try one part after the other; a part that fails does not keep the next from being tried."""
    parts: dict[str, Callable[[], Finding]] = {
        "extension": _extension,
        "threads": _threads,
        "dependencies": _dependencies,
        "phases": _phases,
        "cache": _cache,
        "indexing": _indexing,
        "result file": _result_file,
        "extras": _extras,
    }
    for name, part in parts.items():
        started = time.perf_counter()
        try:
            status, detail = part()
        except Exception as error:  # whatever is broken is what is asked for
            status, detail = "wrong", f"{type(error).__name__}: {' '.join(str(error).split())}"
        yield Check(name, status, detail, time.perf_counter() - started)


def _extension() -> Finding:
    import nbedex
    from nbedex import _core

    build = _core.build_info()
    said = f"version {build['version']}, {build['compiler']}, instruction set {build['isa']}"
    if nbedex.__version__ not in (build["version"], "0+unknown"):
        return "wrong", f"{said}, but the package is {nbedex.__version__}: install nbedex again"
    return "ok", said


def _threads() -> Finding:
    from nbedex import _core

    build = _core.build_info()
    kind = "OpenMP" if build["openmp"] else "threads of its own (built without OpenMP)"
    granted = build["threads"]
    there = os.cpu_count() or 1
    said = f"{granted} of {there} processors, {kind}"
    limit = os.environ.get("OMP_THREAD_LIMIT")
    return ("note", f"{said}; OMP_THREAD_LIMIT={limit} allows fewer") if limit else ("ok", said)


def _dependencies() -> Finding:
    """Those that the package names, with their versions; a source tree that was never installed names none."""
    try:
        named = requires("nbedex") or []
    except PackageNotFoundError:
        return "note", "not installed with pip, so its requirements are not known"
    from packaging.requirements import Requirement

    found, wrong = [], []
    for text in named:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        found.append(f"{requirement.name} {installed}")
        if not requirement.specifier.contains(installed, prereleases=True):
            wrong.append(f"{requirement.name} {installed} is not {requirement.specifier}")
    return ("wrong", f"{', '.join(wrong)}: pip install --upgrade nbedex") if wrong else ("ok", ", ".join(found))


def _phases() -> Finding:
    from nbedex.phases import list_phases, templates_dir

    return "ok", f"{len(list_phases())} phases in {templates_dir()}"


def _cache() -> Finding:
    from nbedex.library.library import cache_dir

    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return "note", f"{folder} can't be written ({error.strerror}): libraries are built anew for each run"
    kept = list(folder.glob("library-*.h5"))
    return "ok", f"{folder}, {len(kept)} libraries, {sum(p.stat().st_size for p in kept) / 1e6:.0f} MB"


def _indexing() -> Finding:
    """Patterns of known orientation are found: the same bits by both searches, on one thread and on all."""
    import numpy as np

    from nbedex.calibration import Calibration
    from nbedex.indexing import CenterSettings, IndexingSettings, MatchSettings, index_scan
    from nbedex.library import SimulationSettings, build_library
    from nbedex.maps import disorientation_angle, half_turned
    from nbedex.phases import load_phase
    from nbedex.scan import memory_scan

    calibration = Calibration(pixel_size=0.026, voltage=300.0)
    library = build_library([load_phase("na2au")], SimulationSettings(voltage=300.0, k_max=1.1, step_deg=4.0))
    chosen = np.linspace(0, library.n_templates - 1, 6).astype(int)
    patterns = [library.spots[0].pattern(int(number)) for number in chosen]
    frames = np.stack([_drawn(p["kx"], p["ky"], p["intensity"], calibration) for p in patterns])[None]
    center = CenterSettings(method="fixed", position=(_MIDDLE, _MIDDLE))
    results = [
        index_scan(
            memory_scan(frames),
            library,
            calibration,
            settings=IndexingSettings(center=center, match=MatchSettings(exhaustive=exhaustive)),
            threads=threads,
        )
        for exhaustive, threads in ((False, 1), (False, 0), (True, 0))
    ]
    truth, found = library.spots[0].orientation[chosen], results[0].orientation[0]
    symmetry = library.phases[0].symmetry_quaternions
    off = np.rad2deg(disorientation_angle(truth, found, symmetry))
    # by one pattern of a zone, a crystal and the same turned by half about the zone axis can't be told apart
    off = off[~half_turned(truth, found, symmetry)]
    if not (off < 2.0).all():
        return "wrong", f"orientations of made-up patterns are off by up to {np.nanmax(off):.1f} degrees"
    if any(r.orientation.tobytes() != results[0].orientation.tobytes() for r in results):
        return "wrong", "the result depends on the number of threads or the way of searching"
    return "ok", f"{len(chosen)} made-up patterns indexed right, by two searches, on one thread and on all"


_MIDDLE = 47.5  # of a detector of 96 pixels


def _drawn(
    kx: NDArray[np.float32], ky: NDArray[np.float32], intensity: NDArray[np.float32], calibration: Calibration
) -> NDArray[np.float32]:
    """Spots as disks on a detector (96, 96), with a direct beam and some background."""
    import numpy as np

    x, y = calibration.detector_from_sample() @ np.stack([kx, ky]).astype(float)
    rows, columns = np.ogrid[:96, :96]
    disks = np.exp(-((rows[..., None] - _MIDDLE - y) ** 2 + (columns[..., None] - _MIDDLE - x) ** 2) / 1.2)
    image = disks @ (intensity.astype(float) / intensity.sum())
    r = np.hypot(rows - _MIDDLE, columns - _MIDDLE)
    drawn: NDArray[np.float32] = (3000 * image + 2000 * np.exp(-(r**2) / 2) + np.exp(-r / 9)).astype(np.float32)
    return drawn


def _result_file() -> Finding:
    import numpy as np

    from nbedex.calibration import Calibration
    from nbedex.maps import IndexingResult, read_result, write_result
    from nbedex.phases import load_phase

    calibration = Calibration(pixel_size=0.01, voltage=200.0)
    result = IndexingResult.empty((2, 3), (load_phase("au"),), calibration, n_rivals=2, provenance={})
    with tempfile.TemporaryDirectory() as folder:
        again = read_result(write_result(Path(folder) / "map.h5", result))
    same = np.array_equal(again.center, result.center, equal_nan=True)
    return ("ok", "written and read back") if same else ("wrong", "what was written is not what is read")


def _extras() -> Finding:
    there = [f"{name} {version(name)}" for name in EXTRAS if find_spec(name)]
    missing = [f"{name}, for {use}" for name, use in EXTRAS.items() if not find_spec(name)]
    said = [", ".join(there)] if there else []
    return "ok", "; ".join([*said, *(f"not installed: {text}" for text in missing)])
