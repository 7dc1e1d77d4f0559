"""What a run needs before it can begin: the scan, its geometry, templates, masks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from nbedex.calibrating import fine_tuned
from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError, DataFormatError
from nbedex.indexing import IndexingSettings, Memory, Plan, Region
from nbedex.indexing.region import check_mask
from nbedex.library import TemplateLibrary, cached_library, load_library
from nbedex.phases import load_phase
from nbedex.progress import Progress, silent
from nbedex.scan import Scan, ScanMetadata, averaged_scan, open_scan
from nbedex.scan.npy import read_npy
from nbedex.workflow.options import CalibrationOptions, LibraryOptions, RunSettings, ScanOptions


@dataclass(frozen=True, eq=False)
class Inputs:
    """What `make_task` takes, of the detector as binned.

    Attributes
    ----------
    calibration, library, mask, settings
        As there.
    stored, given
        The geometry of the detector as stored; and before patterns corrected it, if they did.
    """

    calibration: Calibration
    library: TemplateLibrary
    mask: NDArray[np.bool_] | None
    settings: IndexingSettings
    stored: Calibration
    given: Calibration


class Libraries:
    """The library of a run, kept for the next one with the same options."""

    def __init__(self) -> None:
        self._last: tuple[LibraryOptions, float, TemplateLibrary] | None = None

    def get(
        self, options: LibraryOptions, voltage: float, *, threads: int = 0, progress: Progress = silent
    ) -> TemplateLibrary:
        """See `get_library`."""
        if self._last is None or self._last[:2] != (options, voltage):
            library = get_library(options, voltage, threads=threads, progress=progress)
            self._last = (options, voltage, library)
        return self._last[2]


def opened(options: ScanOptions) -> Scan:
    """The scan, binned and averaged as asked for."""
    if not options.path:
        raise ArgumentError("no scan given: name the 4D-STEM file")
    scan = open_scan(options.path, dataset=options.dataset, scan_shape=options.shape)
    try:
        return as_asked(scan, options)
    except ArgumentError:
        scan.close()
        raise


def as_asked(scan: Scan, options: ScanOptions) -> Scan:
    """A scan binned and averaged."""
    return averaged_scan(scan.binned(options.bin), options.average, options.average_width)


def gather(
    settings: RunSettings, scan: Scan, *, libraries: Libraries | None = None, progress: Progress = silent
) -> Inputs:
    """Geometry, templates, masks and options for a scan that is open."""
    factor = scan.binning
    stored = stored_calibration(settings.calibration, scan)
    mask = load_mask(settings.scan.mask) if settings.scan.mask else None
    library = (libraries or Libraries()).get(
        settings.library, stored.voltage, threads=settings.threads, progress=progress
    )
    given = replace(stored, pixel_size=stored.pixel_size * factor)
    indexing = _binned_settings(settings.indexing(), factor)
    bins = None if mask is None else binned_mask(mask, factor)
    calibration = given
    if settings.calibration.fine_tune:
        calibration = fine_tuned(
            scan, library, given, indexing=indexing, mask=bins, threads=settings.threads, progress=progress
        )
    return Inputs(
        calibration=calibration,
        library=library,
        mask=bins,
        settings=indexing,
        stored=stored if calibration is given else replace(calibration, pixel_size=calibration.pixel_size / factor),
        given=stored,
    )


def stored_calibration(options: CalibrationOptions, scan: Scan) -> Calibration:
    """Geometry of the detector as stored, of a scan that may be binned."""
    size = scan.metadata.pixel_size
    return resolve_calibration(
        options, replace(scan.metadata, pixel_size=None if size is None else size / scan.binning)
    )


def binned_position(position: tuple[float, float], factor: int) -> tuple[float, float]:
    """A place (row, column) in pixels as stored, in bins."""
    return (position[0] + 0.5) / factor - 0.5, (position[1] + 0.5) / factor - 0.5


def binned_mask(mask: NDArray[np.bool_], factor: int) -> NDArray[np.bool_]:
    """A bin must not be used if one of its pixels must not."""
    rows, columns = mask.shape[0] // factor, mask.shape[1] // factor
    cut = mask[: rows * factor, : columns * factor]
    return np.asarray(cut.reshape(rows, factor, columns, factor).any(axis=(1, 3)))


def _binned_settings(settings: IndexingSettings, factor: int) -> IndexingSettings:
    """Options in pixels of the detector as stored, in bins."""
    if factor == 1:
        return settings
    center = settings.center
    position = center.position and binned_position(center.position, factor)
    search = center.search_radius and max(center.search_radius / factor, 1.5)
    radius = settings.preprocess.disk_radius
    return msgspec.structs.replace(
        settings,
        preprocess=msgspec.structs.replace(settings.preprocess, disk_radius=radius and radius / factor),
        center=msgspec.structs.replace(
            center,
            position=position,
            search_radius=search,
            beam_radius=max(center.beam_radius / factor, 0.5),
        ),
    )


def plan_for(settings: RunSettings, scan: Scan, shard: tuple[int, int] | None = None) -> Plan:
    """Which patterns of a scan a run indexes, and in how much memory."""
    options = settings.scan
    top, bottom, left, right = options.roi or (0, scan.scan_shape[0], 0, scan.scan_shape[1])
    region = Region(scan_shape=scan.scan_shape, rows=(top, bottom), columns=(left, right), every=options.every)
    mask = None
    if options.region_mask:
        mask = load_mask(options.region_mask)
        check_mask(mask, scan.scan_shape)
    memory = Memory(int(settings.work.memory_gb * 1e9))
    return Plan(region=region, mask=mask, preview=settings.work.preview, shard=shard, memory=memory)


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


def load_mask(path: str) -> NDArray[np.bool_]:
    """A mask from a .npy file: boolean, of detector pixels or of patterns."""
    try:
        mask = read_npy(Path(path))
    except OSError as error:
        raise DataFormatError(f"can't read the mask {path}: {error.strerror or error}") from error
    except DataFormatError as error:
        raise DataFormatError(f"the mask {path} is not a .npy file of booleans: {error}") from error
    if mask.dtype != bool or mask.ndim != 2:
        raise DataFormatError(f"the mask {path} must be a 2D array of booleans, got {mask.ndim}D {mask.dtype}")
    return np.asarray(mask)
