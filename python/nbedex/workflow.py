"""A whole run from one set of options: open, calibrate, get the library, index, write. The command line and
`nbedex.index` are thin covers of this; its option class is the schema of the run's TOML file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError, DataFormatError
from nbedex.files import check_output, write_atomically
from nbedex.indexing import (
    CenterSettings,
    IndexingSettings,
    MatchSettings,
    OverlapSettings,
    PatternView,
    PreprocessSettings,
    RefineSettings,
    index_scan,
    look_at,
)
from nbedex.indexing.checkpoint import discard
from nbedex.library import SimulationSettings, TemplateLibrary, cached_library, load_library
from nbedex.maps import IndexingResult, write_result
from nbedex.phases import load_phase
from nbedex.progress import Progress, silent
from nbedex.scan import Scan, ScanMetadata, open_scan
from nbedex.scan.npy import read_npy
from nbedex.settings import Settings, settings_from_dict, settings_to_toml

if TYPE_CHECKING:
    import os

log = logging.getLogger(__name__)


class ScanOptions(Settings, frozen=True, kw_only=True):
    """Which data to index.

    Attributes
    ----------
    path
        The 4D-STEM file.
    dataset
        Path of the dataset in an HDF5 file that holds several.
    shape
        Scan rows and columns of a file that lists patterns without saying how they were scanned.
    mask
        .npy file, boolean (det_y, det_x): true where a detector pixel must not be used (beam stop, gaps).
    """

    path: str | None = None
    dataset: str | None = None
    shape: tuple[int, int] | None = None
    mask: str | None = None


class CalibrationOptions(Settings, frozen=True, kw_only=True):
    """Geometry; what is None is taken from the file. See `nbedex.calibration.Calibration`."""

    pixel_size: Annotated[float, Meta(gt=0)] | None = None
    voltage: Annotated[float, Meta(gt=0)] | None = None
    step_nm: Annotated[float, Meta(gt=0)] | None = None
    rotation_deg: float = 0.0
    flipped: bool = False
    ellipse_ratio: Annotated[float, Meta(ge=1, lt=2)] = 1.0
    ellipse_angle_deg: float = 0.0


class LibraryOptions(Settings, frozen=True, kw_only=True):
    """Phases and how their templates are simulated, or a library file. See `SimulationSettings`."""

    file: str | None = None
    phases: tuple[str, ...] = ()
    k_max: Annotated[float, Meta(gt=0.1, le=10)] | None = None
    step_deg: Annotated[float, Meta(ge=0.05, le=20)] | None = None
    max_excitation_error: Annotated[float, Meta(gt=0, le=0.5)] | None = None
    shape: str | None = None
    thickness_nm: Annotated[float, Meta(gt=0)] | None = None
    precession_deg: Annotated[float, Meta(ge=0, le=5)] | None = None
    minimum_intensity: Annotated[float, Meta(ge=0, lt=1)] | None = None
    scattering: str | None = None
    double_diffraction: Annotated[float, Meta(ge=0, le=1)] | None = None

    def simulation(self, voltage: float) -> SimulationSettings:
        """Simulation settings; those not given have their defaults."""
        given = {k: v for k, v in self.to_dict().items() if k not in ("file", "phases")}
        return settings_from_dict(SimulationSettings, given | {"voltage": voltage}, where="library options")


class OutputOptions(Settings, frozen=True, kw_only=True):
    """Where the result goes, and what may happen to what is already there."""

    path: str | None = None
    overwrite: bool = False
    resume: bool = False


class RunSettings(Settings, frozen=True, kw_only=True):
    """All options of `nbedex index`, in the tables of its TOML file."""

    scan: ScanOptions = ScanOptions()
    calibration: CalibrationOptions = CalibrationOptions()
    library: LibraryOptions = LibraryOptions()
    center: CenterSettings = CenterSettings()
    preprocess: PreprocessSettings = PreprocessSettings()
    match: MatchSettings = MatchSettings()
    refine: RefineSettings = RefineSettings()
    overlap: OverlapSettings = OverlapSettings()
    output: OutputOptions = OutputOptions()
    threads: Annotated[int, Meta(ge=0, le=4096)] = 0

    def indexing(self) -> IndexingSettings:
        return IndexingSettings(
            center=self.center,
            preprocess=self.preprocess,
            match=self.match,
            refine=self.refine,
            overlap=self.overlap,
        )


def run(settings: RunSettings, *, progress: Progress = silent) -> IndexingResult:
    """Index a scan as `settings` say, and write the result where they say.

    Beside the result stands `NAME.toml` with the effective options; while the run is unfinished its blocks are in
    the folder `NAME.part`.

    Raises
    ------
    ArgumentError
        An option is missing or inconsistent.
    DataFormatError
        The scan, a CIF, the library or the mask can't be read.
    OutputError
        The result can't be written, or is there already and `overwrite` is not set.
    Cancelled
        Ctrl-C; `resume` goes on from there.
    """
    target = Path(settings.output.path) if settings.output.path else None
    part = Path(f"{target}.part") if target else None
    if target is not None and part is not None:
        for file in (target, f"{target}.toml"):
            check_output(file, overwrite=settings.output.overwrite)
    with _opened(settings) as scan:
        calibration, library, mask = _inputs(settings, scan, progress)
        if part is not None and settings.output.overwrite and not settings.output.resume and part.exists():
            discard(part)
        result = index_scan(
            scan,
            library,
            calibration,
            settings=settings.indexing(),
            mask=mask,
            threads=settings.threads,
            progress=progress,
            checkpoint=part,
            resume=settings.output.resume,
        )
    if target is not None and part is not None:
        used = effective(settings, calibration, library)
        result.provenance["run"] = used.to_dict()
        write_result(target, result, overwrite=settings.output.overwrite)
        write_atomically(f"{target}.toml", [settings_to_toml(used).encode()], overwrite=settings.output.overwrite)
        discard(part)
    return result


def look(settings: RunSettings, *, row: int, column: int, progress: Progress = silent) -> PatternView:
    """One pattern of a scan on its way to an orientation: what `run` does with it, step by step.

    Raises
    ------
    ArgumentError
        The pattern is outside the scan, or an option is missing or inconsistent.
    DataFormatError
        The scan, a CIF, the library or the mask can't be read.
    """
    with _opened(settings) as scan:
        calibration, library, mask = _inputs(settings, scan, progress)
        return look_at(
            scan,
            library,
            calibration,
            row=row,
            column=column,
            settings=settings.indexing(),
            mask=mask,
            threads=settings.threads,
        )


def _opened(settings: RunSettings) -> Scan:
    if not settings.scan.path:
        raise ArgumentError("no scan given: name the 4D-STEM file")
    return open_scan(settings.scan.path, dataset=settings.scan.dataset, scan_shape=settings.scan.shape)


def _inputs(
    settings: RunSettings, scan: Scan, progress: Progress
) -> tuple[Calibration, TemplateLibrary, NDArray[np.bool_] | None]:
    """Geometry, templates and user's mask for a scan."""
    calibration = resolve_calibration(settings.calibration, scan.metadata)
    mask = load_mask(settings.scan.mask) if settings.scan.mask else None
    library = get_library(settings.library, calibration.voltage, threads=settings.threads, progress=progress)
    return calibration, library, mask


def effective(settings: RunSettings, calibration: Calibration, library: TemplateLibrary) -> RunSettings:
    """The options with everything filled in that was taken from the file or from defaults."""
    from dataclasses import asdict

    known = asdict(calibration)
    step = known.pop("step")
    square = step is not None and step[0] == step[1]
    simulation = library.settings.to_dict()
    simulation.pop("voltage")
    return msgspec.structs.replace(
        settings,
        calibration=CalibrationOptions(**known, step_nm=step[0] if square else None),
        library=LibraryOptions(
            file=settings.library.file,
            phases=settings.library.phases or tuple(p.name for p in library.phases),
            **simulation,
        )
        if not settings.library.file
        else settings.library,
        # Who repeats the run with this file has not asked for anything to be overwritten.
        output=OutputOptions(path=settings.output.path),
    )


def resolve_calibration(options: CalibrationOptions, metadata: ScanMetadata) -> Calibration:
    """Calibration from options where given, else from the file.

    Raises
    ------
    ArgumentError
        Pixel size or voltage is in neither; the message names the option and what the file said.
    """
    pixel_size = options.pixel_size or metadata.pixel_size
    voltage = options.voltage or metadata.voltage
    missing = []
    if pixel_size is None:
        missing.append("the pixel size of the detector (--pixel-size, 1/angstrom per pixel)")
    if voltage is None:
        missing.append("the accelerating voltage (--voltage, kV)")
    if missing:
        notes = "".join(f"; {note}" for note in metadata.notes)
        raise ArgumentError(f"the file does not say {' and '.join(missing)}; give it on the command line{notes}")
    assert pixel_size is not None and voltage is not None
    step = (options.step_nm, options.step_nm) if options.step_nm else metadata.step
    return Calibration(
        pixel_size=pixel_size,
        voltage=voltage,
        step=step,
        rotation_deg=options.rotation_deg,
        flipped=options.flipped,
        ellipse_ratio=options.ellipse_ratio,
        ellipse_angle_deg=options.ellipse_angle_deg,
    )


def get_library(
    options: LibraryOptions, voltage: float, *, threads: int = 0, progress: Progress = silent
) -> TemplateLibrary:
    """The library from a file, or of the phases named, from the cache where it was built before."""
    if options.file:
        simulation = [k for k, v in options.to_dict().items() if k != "file" and v not in ((), [], None)]
        if simulation:
            raise ArgumentError(
                f"a library file brings its own phases and simulation: leave out {', '.join(simulation)}, or the file"
            )
        return load_library(options.file)
    if not options.phases:
        raise ArgumentError("no phase given: name at least one with --phase (see `nbedex phases`), or use --library")
    phases = [load_phase(name) for name in options.phases]
    return cached_library(phases, options.simulation(voltage), threads=threads, progress=progress)


def index(
    scan: str | os.PathLike[str] | NDArray[Any],
    *,
    phases: Sequence[str] = (),
    pixel_size: float | None = None,
    voltage: float | None = None,
    output: str | os.PathLike[str] | None = None,
    settings: RunSettings | None = None,
) -> IndexingResult:
    """Index a scan: the Python counterpart of `nbedex index`.

    Parameters
    ----------
    scan
        Path of a 4D-STEM file, or an array (scan_y, scan_x, det_y, det_x).
    phases
        Names of shipped phases or paths of CIFs.
    pixel_size
        1/angstrom per detector pixel; from the file where it says so.
    voltage
        kV; from the file where it says so.
    output
        Result file to write.
    settings
        All other options; those above take precedence.

    Returns
    -------
    IndexingResult
        `to_crystal_map(result)` makes an orix CrystalMap of it.

    Examples
    --------
    >>> import nbedex
    >>> result = nbedex.index("scan.hspy", phases=["nzsp"], pixel_size=0.0094, voltage=300)  # doctest: +SKIP
    >>> nbedex.to_crystal_map(result)  # doctest: +SKIP
    """
    base = settings or RunSettings()
    replace = msgspec.structs.replace
    changes = {k: v for k, v in {"pixel_size": pixel_size, "voltage": voltage}.items() if v is not None}
    base = replace(base, calibration=replace(base.calibration, **changes))
    if phases:
        base = replace(base, library=replace(base.library, phases=tuple(str(p) for p in phases)))
    if output is not None:
        base = replace(base, output=replace(base.output, path=str(output)))
    if isinstance(scan, np.ndarray):
        return _index_array(scan, base)
    return run(replace(base, scan=replace(base.scan, path=str(scan))))


def _index_array(array: NDArray[Any], settings: RunSettings) -> IndexingResult:
    from nbedex.scan import memory_scan

    scan: Scan = memory_scan(array)
    calibration = resolve_calibration(settings.calibration, scan.metadata)
    library = get_library(settings.library, calibration.voltage, threads=settings.threads)
    if settings.output.path:
        check_output(settings.output.path, overwrite=settings.output.overwrite)
    result = index_scan(scan, library, calibration, settings=settings.indexing(), threads=settings.threads)
    if settings.output.path:
        write_result(settings.output.path, result, overwrite=settings.output.overwrite)
    return result


def load_mask(path: str) -> NDArray[np.bool_]:
    """A mask from a .npy file: boolean (det_y, det_x), true where a pixel must not be used."""
    try:
        mask = read_npy(Path(path))
    except OSError as error:
        raise DataFormatError(f"can't read the mask {path}: {error.strerror or error}") from error
    except DataFormatError as error:
        raise DataFormatError(f"the mask {path} is not a .npy file of booleans: {error}") from error
    if mask.dtype != bool or mask.ndim != 2:
        raise DataFormatError(f"the mask {path} must be a 2D array of booleans, got {mask.ndim}D {mask.dtype}")
    return np.asarray(mask)
