"""Everything about a run that is the same for all patterns: geometry, templates and reflections, ready for the core."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.calibration import Calibration, electron_wavelength
from nbedex.errors import ArgumentError
from nbedex.indexing.noise import noise_level, skewness, template_skewness
from nbedex.indexing.rerank import RerankEngine
from nbedex.indexing.rerank_records import rerank_engine_of
from nbedex.indexing.sample import MAX_NON_FINITE
from nbedex.indexing.settings import IndexingSettings
from nbedex.indexing.spot_filter import NARROW, SPACING, spot_filter
from nbedex.library import SimulationSettings, TemplateLibrary, kinematical_intensities
from nbedex.phases import Phase

Array = NDArray[np.float64]

# How far refinement looks about each axis, in steps of the template grid. The nearest template is within half a
# step; the one that scored best may be its neighbour.
REACH = 0.7
# Width of the rocking curve while refining, in units of the library's largest excitation error.
EXCITATION_WIDTH = 0.35


@dataclass(frozen=True, eq=False)
class Engine:
    """Everything that is the same for all patterns of a run.

    Attributes
    ----------
    spot_filter, sampler, preprocessing, mask
        How a frame becomes a polar pattern; no filter: it is unwrapped as it is.
    grid
        The polar bins.
    templates
        Packed templates, by phase.
    model
        Reflections of the phases, for refinement.
    simulation
        How the templates were simulated.
    spot_radius
        What belongs to a spot, 1/angstrom; see `OverlapSettings`.
    orientations
        Orientations of the templates (n, 4), by phase.
    symmetries
        Proper rotations of the Laue group (m, 4), by phase.
    settings
        Options of matching.
    template_skewness
        What the noise level depends on, by phase; see `nbedex.indexing.noise`.
    rerank
        For dynamical re-ranking; None where that is off.
    """

    spot_filter: _core.SpotFilter | None
    sampler: _core.PolarSampler
    preprocessing: _core.Preprocessing
    mask: NDArray[np.uint8] | None
    grid: _core.PolarGrid
    templates: tuple[_core.TemplateSet, ...]
    model: _core.KinematicModel
    simulation: SimulationSettings
    spot_radius: float
    orientations: tuple[Array, ...]
    symmetries: tuple[Array, ...]
    settings: IndexingSettings
    template_skewness: tuple[float, ...]
    rerank: RerankEngine | None = None


def make_engine(
    library: TemplateLibrary,
    calibration: Calibration,
    settings: IndexingSettings,
    *,
    frame_shape: tuple[int, int],
    center: tuple[float, float],
    saturation_value: int | None = None,
    mask: NDArray[np.uint8] | None = None,
) -> Engine:
    """Pack the library for a detector.

    Parameters
    ----------
    library, calibration, settings
        Templates, geometry, options.
    frame_shape
        Detector rows and columns.
    center
        Typical direct beam (row, column), pixels; limits the annulus to what the detector sees all around.
    saturation_value
        Value at which the detector saturates, if known.
    mask : (det_y, det_x) uint8 or None
        Non-zero where a pixel must not be used.

    Raises
    ------
    ArgumentError
        Library and calibration belong to different voltages, or the annulus is empty.
    """
    if abs(library.settings.voltage - calibration.voltage) > 0.01 * calibration.voltage:
        raise ArgumentError(
            f"the library was simulated for {library.settings.voltage:g} kV, the scan was taken at"
            f" {calibration.voltage:g} kV; build a library for the scan's voltage (or correct --voltage)"
        )
    grid = polar_grid(library, calibration, settings, frame_shape=frame_shape, center=center)
    options = settings.preprocess
    packed = tuple(
        _core.pack_templates(
            spots.offset, spots.kx, spots.ky, spots.intensity, grid, settings.match.template_exponent,
            spots.orientation, np.ascontiguousarray(phase.symmetry_quaternions), settings.match.max_spots,
        )
        for phase, spots in zip(library.phases, library.spots, strict=True)
    )  # fmt: skip
    filtered = spot_filter(NARROW if options.disk_radius is None else options.disk_radius, frame_shape, mask)
    return Engine(
        spot_filter=filtered,
        sampler=_core.PolarSampler(
            grid, np.ascontiguousarray(calibration.detector_from_sample()), SPACING if filtered else 1.0
        ),
        preprocessing=_core.Preprocessing(
            remove_background=options.remove_background,
            background_sigma=options.background_sigma,
            peak_sigma=options.peak_sigma,
            exponent=options.exponent,
            saturation=float(saturation_value or 0),
            max_saturated=options.max_saturated,
            max_non_finite=MAX_NON_FINITE,
            min_contrast=options.min_contrast or 0.0,
        ),
        mask=mask,
        grid=grid,
        templates=packed,
        model=_core.KinematicModel(
            [kinematic_crystal(phase, library.settings, settings) for phase in library.phases],
            grid,
            refine_options(library.settings, settings),
        ),
        simulation=library.settings,
        spot_radius=settings.overlap.spot_radius_px * calibration.pixel_size,
        orientations=tuple(spots.orientation for spots in library.spots),
        symmetries=tuple(phase.symmetry_quaternions for phase in library.phases),
        settings=settings,
        template_skewness=tuple(template_skewness(spots, grid, settings.match) for spots in library.spots),
        rerank=rerank_engine_of(library, calibration, settings, grid),
    )


def with_min_contrast(engine: Engine, min_contrast: float) -> Engine:
    """The engine that leaves out patterns in which spots have less contrast; 0: none."""
    options = msgspec.structs.replace(engine.settings.preprocess, min_contrast=min_contrast)
    return replace(
        engine,
        preprocessing=engine.preprocessing.with_min_contrast(min_contrast),
        settings=msgspec.structs.replace(engine.settings, preprocess=options),
    )


def kinematic_crystal(
    phase: Phase, simulation: SimulationSettings, settings: IndexingSettings
) -> _core.KinematicCrystal:
    """The reflections of a phase as refinement wants them."""
    _, g, intensity = kinematical_intensities(phase, simulation)
    return _core.KinematicCrystal(
        g=g[intensity > 0],
        intensity=intensity[intensity > 0],
        template_exponent=settings.refine.template_exponent,
        symmetry=np.ascontiguousarray(phase.symmetry_quaternions),
    )


def polar_grid(
    library: TemplateLibrary,
    calibration: Calibration,
    settings: IndexingSettings,
    *,
    frame_shape: tuple[int, int],
    center: tuple[float, float],
) -> _core.PolarGrid:
    """The annulus that library, options and detector have in common."""
    options = settings.preprocess
    rows, columns = frame_shape
    to_edge = min(center[0], rows - 1 - center[0], center[1], columns - 1 - center[1])
    stretch = np.linalg.norm(calibration.detector_from_sample(), ord=2)  # pixels per 1/angstrom, at most
    k_max: float = min(options.k_max or np.inf, library.settings.k_max, float(to_edge / stretch))
    n_rings = int((k_max - options.k_min) / options.ring_width + 1e-9)
    if n_rings < 4:
        raise ArgumentError(
            f"hardly anything is left to match: k_min = {options.k_min:g}, k_max = {k_max:.3g} 1/angstrom (the library"
            f" ends at {library.settings.k_max:g}, the detector at {to_edge / stretch:.3g}); check --pixel-size,"
            " --k-min and --k-max"
        )
    return _core.PolarGrid(
        n_rings=n_rings,
        n_azimuths=options.n_azimuths,
        k_min=options.k_min,
        k_max=options.k_min + n_rings * options.ring_width,
    )


def noise_levels(sums: Array, engine: Engine) -> Array:
    """Score (n, phases) that the best template of each phase reaches on patterns unrelated to it; see `noise`.

    `sums` (n, 3) are the `_core.power_sums` of the patterns.
    """
    grid = engine.grid
    n_bins = grid.n_rings * grid.n_azimuths
    return noise_level(
        skewness(sums, n_bins)[:, None],
        template_skewness=np.array(engine.template_skewness),
        n_templates=np.array([templates.size for templates in engine.templates]),
        n_azimuths=grid.n_azimuths,
        n_bins=n_bins,
    )


def refine_options(simulation: SimulationSettings, settings: IndexingSettings) -> _core.RefineOptions:
    """The core's options of refinement."""
    width = settings.refine.excitation_width or EXCITATION_WIDTH * simulation.max_excitation_error
    return _core.RefineOptions(
        wavelength=electron_wavelength(simulation.voltage),
        excitation_width=width,
        precession_angle=float(np.deg2rad(simulation.precession_deg)),
        reach=float(np.deg2rad(REACH * simulation.step_deg)),
        distinct_angle=float(np.deg2rad(settings.match.distinct_deg)),
    )
