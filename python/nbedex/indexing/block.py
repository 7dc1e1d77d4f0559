"""From a block of raw patterns to records of what was found: pure functions, no files, no state.

Records do not depend on the block a pattern is in, nor on the number of threads. Everything that indexes patterns,
on one machine or many, goes through `index_block`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError
from nbedex.indexing.candidates import Candidates, best_where, match_phases, refined, searched
from nbedex.indexing.coincidence import coincidental
from nbedex.indexing.confidence import Evidence
from nbedex.indexing.disks import sharpened
from nbedex.indexing.noise import noise_level, template_skewness
from nbedex.indexing.overlap import further_crystals
from nbedex.indexing.records import empty_records, fill, refuse
from nbedex.indexing.rerank import RerankEngine
from nbedex.indexing.rerank_records import rerank_engine_of, rerank_records
from nbedex.indexing.sample import MAX_NON_FINITE
from nbedex.indexing.settings import IndexingSettings
from nbedex.library import SimulationSettings, TemplateLibrary, kinematical_intensities
from nbedex.maps.result import Status
from nbedex.phases import Phase

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Engine:
    """Everything that is the same for all patterns of a run.

    Attributes
    ----------
    sampler, preprocessing, mask
        How a frame becomes a polar pattern.
    grid
        The polar bins.
    templates
        Packed templates, by phase.
    crystals
        Reflections, for refinement, by phase.
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

    sampler: _core.PolarSampler
    preprocessing: _core.Preprocessing
    mask: NDArray[np.uint8] | None
    grid: _core.PolarGrid
    templates: tuple[_core.TemplateSet, ...]
    crystals: tuple[_core.KinematicCrystal, ...]
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
    return Engine(
        sampler=_core.PolarSampler(grid, np.ascontiguousarray(calibration.detector_from_sample())),
        preprocessing=_core.Preprocessing(
            remove_background=options.remove_background,
            background_sigma=options.background_sigma,
            peak_sigma=options.peak_sigma,
            exponent=options.exponent,
            saturation=float(saturation_value or 0),
            max_saturated=options.max_saturated,
            max_non_finite=MAX_NON_FINITE,
        ),
        mask=mask,
        grid=grid,
        templates=packed,
        crystals=tuple(kinematic_crystal(phase, library.settings, settings) for phase in library.phases),
        simulation=library.settings,
        spot_radius=settings.overlap.spot_radius_px * calibration.pixel_size,
        orientations=tuple(spots.orientation for spots in library.spots),
        symmetries=tuple(phase.symmetry_quaternions for phase in library.phases),
        settings=settings,
        template_skewness=tuple(template_skewness(spots, grid, settings.match) for spots in library.spots),
        rerank=rerank_engine_of(library, calibration, settings.rerank, grid),
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


def noise_levels(skewness: Array, engine: Engine) -> Array:
    """Score (n, phases) that the best template of each phase reaches on patterns (n,) unrelated to it; see `noise`."""
    grid = engine.grid
    return noise_level(
        skewness[:, None],
        template_skewness=np.array(engine.template_skewness),
        n_templates=np.array([templates.size for templates in engine.templates]),
        n_azimuths=grid.n_azimuths,
        n_bins=grid.n_rings * grid.n_azimuths,
    )


def index_block(frames: NDArray[Any], centers: Array, engine: Engine, *, threads: int = 0) -> NDArray[Any]:
    """Index patterns.

    Parameters
    ----------
    frames : (n, det_y, det_x)
        8, 16 or 32 bit integers or float32.
    centers : (n, 2) float64
        Direct beam (row, column) of each, pixels.
    engine
        From `make_engine`.
    threads
        0: all this process may use.

    Returns
    -------
    (n,) structured
        See `record_dtype`.
    """
    polar, peaks, status = prepared(frames, centers, engine, threads=threads)
    records = empty_records(len(frames), engine.settings, len(engine.templates), Status.OK)
    records["center"] = centers
    records["status"] = status
    usable = np.flatnonzero(status == Status.OK)
    doubtful = np.zeros(len(frames), dtype=bool)
    if len(usable):
        records[usable], doubtful[usable] = index_patterns(
            taken(polar, usable), taken(peaks, usable), records[usable], engine, threads
        )
    if engine.rerank is not None:
        rerank_records(
            records, frames, engine.rerank, doubtful=doubtful, mask=engine.mask, n_bins=polar[0].size, threads=threads
        )
    return records


def prepared(
    frames: NDArray[Any], centers: Array, engine: Engine, *, threads: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    """Polar patterns (n, rings, azimuths) whole and to be searched, and what is wrong with each (n,)."""

    def unwrapped(shown: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
        polar, peaks, status = _core.prepare_patterns(
            shown, np.ascontiguousarray(centers), engine.sampler, engine.preprocessing, engine.mask, threads, True
        )
        assert peaks is not None
        return polar, peaks, status

    radius = engine.settings.preprocess.disk_radius
    if not radius:
        return unwrapped(frames)
    of_frames = unwrapped(frames)[2]  # saturated and dead pixels show in frames as they were read only
    polar, peaks, status = unwrapped(sharpened(frames, radius, mask=engine.mask, threads=threads))
    return polar, peaks, np.where(of_frames == Status.OK, status, of_frames).astype(np.uint8)


def index_patterns(
    polar: NDArray[np.float32], peaks: NDArray[np.float32], records: NDArray[Any], engine: Engine, threads: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The records (n,) with what is found in polar patterns (n, rings, azimuths): `peaks` searched, `polar` refined.

    And where (n,) an answer above noise is refused because chance would do as well.
    """

    def solve(whole: NDArray[np.float32], sparse: NDArray[np.float32]) -> tuple[Candidates, Evidence]:
        levels = noise_levels(_core.skewness(sparse, threads), engine)
        found = first = searched(match_phases(sparse, engine, levels, threads=threads), engine, levels)
        if engine.settings.refine.enabled:
            levels = noise_levels(_core.skewness(whole, threads), engine)
            found = refined(first, whole, engine, levels, threads=threads)
        return found, gather_evidence(first, found, engine)

    found, evidence = solve(polar, peaks)
    filled = records.copy()
    fill(filled, found, n_phases=len(engine.templates), rival_share=engine.settings.rival_share)
    filled["probability"] = evidence.probability()
    filled["uncertainty_deg"] = evidence.uncertainty_deg()
    noise = ~evidence.above_noise(engine.settings.match.noise_factor)
    chance = coincidental(found.phase_id[:, 0], found.orientation[:, 0], peaks, engine, threads=threads)
    refuse(filled, noise | chance)
    if engine.settings.overlap.max_crystals > 1:
        overlap = further_crystals(
            filled["phase_id"], filled["orientation"], polar, peaks, engine, solve, threads=threads
        )
        for name in ("phase_id", "orientation", "share", "probability"):
            filled[f"overlap_{name}"] = getattr(overlap, name)
    return filled, chance & ~noise


def gather_evidence(first: Candidates, final: Candidates, engine: Engine) -> Evidence:
    """What speaks for the winners among the `final` candidates; `first` are those of the search."""
    winner = final.phase_id[:, :1]

    def times_noise(candidates: Candidates) -> Array:
        merit = best_where(candidates.phase_id == winner, candidates.merit)
        return np.asarray(np.where(winner[:, 0] < 0, 0.0, np.nan_to_num(merit)))

    searched_for = times_noise(first)
    score = final.score[:, 0].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        # a rival of another phase counts as one of the winner's that is as good
        rival = score * final.merit[:, 1] / final.merit[:, 0]
    return Evidence(
        searched=searched_for,
        refined=times_noise(final) if final is not first else searched_for,
        score=np.nan_to_num(score),
        rival=rival,
        spread=final.spread[:, 0].astype(np.float64),
        n_bins=engine.grid.n_rings * engine.grid.n_azimuths,
    )


def taken(patterns: NDArray[np.float32], usable: NDArray[np.intp]) -> NDArray[np.float32]:
    """Some of the patterns, without a copy if they are all."""
    return patterns if len(usable) == len(patterns) else np.ascontiguousarray(patterns[usable])
