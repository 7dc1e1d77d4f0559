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
from nbedex.indexing.noise import noise_level, template_skewness
from nbedex.indexing.sample import MAX_NON_FINITE
from nbedex.indexing.settings import IndexingSettings
from nbedex.library import TemplateLibrary
from nbedex.maps.orientation import canonical, half_turned, multiply
from nbedex.maps.result import Status

Array = NDArray[np.float64]
Match = dict[str, NDArray[Any]]

_HALF_TURN_Y = np.array([0.0, 0.0, 1.0, 0.0])


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
    orientations
        Orientations of the templates (n, 4), by phase.
    symmetries
        Proper rotations of the Laue group (m, 4), by phase.
    settings
        Options of matching.
    template_skewness
        What the noise level depends on, by phase; see `nbedex.indexing.noise`.
    """

    sampler: _core.PolarSampler
    preprocessing: _core.Preprocessing
    mask: NDArray[np.uint8] | None
    grid: _core.PolarGrid
    templates: tuple[_core.TemplateSet, ...]
    orientations: tuple[Array, ...]
    symmetries: tuple[Array, ...]
    settings: IndexingSettings
    template_skewness: tuple[float, ...]


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
            spots.orientation, np.ascontiguousarray(phase.symmetry_quaternions),
        )
        for phase, spots in zip(library.phases, library.spots, strict=True)
    )  # fmt: skip
    return Engine(
        sampler=_core.PolarSampler(grid, np.ascontiguousarray(calibration.detector_from_sample())),
        preprocessing=_core.Preprocessing(
            remove_background=options.remove_background,
            background_sigma=options.background_sigma,
            exponent=options.exponent,
            saturation=float(saturation_value or 0),
            max_saturated=options.max_saturated,
            max_non_finite=MAX_NON_FINITE,
        ),
        mask=mask,
        grid=grid,
        templates=packed,
        orientations=tuple(spots.orientation for spots in library.spots),
        symmetries=tuple(phase.symmetry_quaternions for phase in library.phases),
        settings=settings,
        template_skewness=tuple(
            template_skewness(spots, grid, settings.match.template_exponent) for spots in library.spots
        ),
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
    levels = [
        noise_level(
            skewness,
            template_skewness=of_templates,
            n_templates=templates.size,
            n_azimuths=grid.n_azimuths,
            n_bins=grid.n_rings * grid.n_azimuths,
        )
        for templates, of_templates in zip(engine.templates, engine.template_skewness, strict=True)
    ]
    return np.stack(levels, axis=1)


def record_dtype(n_best: int, n_phases: int) -> np.dtype[Any]:
    """Layout of one pixel's record; the fields are those of `IndexingResult`."""
    return np.dtype(
        [
            ("phase_id", "<i2"),
            ("orientation", "<f8", (4,)),
            ("index", "<f4"),
            ("reliability", "<f4"),
            ("phase_reliability", "<f4"),
            ("mirror_margin", "<f4"),
            ("half_turn_margin", "<f4"),
            ("center", "<f4", (2,)),
            ("status", "u1"),
            ("rival_phase_id", "<i2", (n_best,)),
            ("rival_orientation", "<f8", (n_best, 4)),
            ("rival_score", "<f4", (n_best,)),
            ("phase_score", "<f4", (n_phases,)),
            ("template_id", "<i4"),
            ("mirrored", "?"),
        ]
    )


def empty_records(n: int, n_best: int, n_phases: int, status: Status) -> NDArray[Any]:
    """Records (n,) of pixels about which nothing is known."""
    records = np.zeros(n, dtype=record_dtype(n_best, n_phases))
    for name in records.dtype.names or ():
        if records.dtype[name].base.kind == "f":
            records[name] = np.nan
    records["phase_id"] = records["rival_phase_id"] = records["template_id"] = -1
    records["status"] = status
    return records


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
    polar, status, skewness = _core.prepare_patterns(
        frames, np.ascontiguousarray(centers), engine.sampler, engine.preprocessing, engine.mask, threads
    )
    options = engine.settings.match
    records = empty_records(len(frames), options.n_best, len(engine.templates), Status.OK)
    records["center"] = centers
    records["status"] = status
    usable = np.flatnonzero(status == Status.OK)
    if len(usable):
        patterns = polar if len(usable) == len(polar) else np.ascontiguousarray(polar[usable])
        matches = match_phases(patterns, engine, threads=threads)
        records[usable] = _fill(records[usable], matches, noise_levels(skewness[usable], engine), engine)
    return records


def match_phases(patterns: NDArray[np.float32], engine: Engine, *, threads: int = 0) -> list[Match]:
    """The n best distinct orientations of every phase for polar patterns (n, rings, azimuths), as the core has them."""
    options = _core.MatchOptions(
        n_best=engine.settings.match.n_best,
        distinct_angle=float(np.deg2rad(engine.settings.match.distinct_deg)),
        rival_share=engine.settings.match.rival_share,
        threads=threads,
    )
    search = _core.match_exhaustive if engine.settings.match.exhaustive else _core.match_pruned
    return search(engine.templates, patterns, options)[0]


def matched_orientations(match: Match, orientations: Array, n_azimuths: int) -> Array:
    """Quaternions (n, k, 4), sample to crystal, of matches; NaN where there is none.

    O = O_template [R_y(180 deg) if mirrored] R_z(-azimuth), with the azimuth interpolated between bins.
    """
    missing = match["template_id"] < 0
    base = orientations[np.where(missing, 0, match["template_id"])]
    base = np.where((match["mirrored"] != 0)[..., None], multiply(base, _HALF_TURN_Y), base)
    half = np.pi * (match["azimuth"] + match["azimuth_offset"].astype(np.float64)) / n_azimuths
    zero = np.zeros_like(half)
    turned = canonical(multiply(base, np.stack([np.cos(half), zero, zero, -np.sin(half)], axis=-1)))
    turned[missing] = np.nan
    return turned


def _fill(records: NDArray[Any], matches: list[Match], noise: Array, engine: Engine) -> NDArray[Any]:
    """Records with the matches of all phases merged into them."""
    n_best = engine.settings.match.n_best
    score = np.stack([m["score"] for m in matches], axis=1)  # (n, phases, k)
    score = np.where(np.stack([m["template_id"] for m in matches], axis=1) < 0, np.nan, score)
    orientation = np.stack(
        [matched_orientations(m, o, engine.grid.n_azimuths) for m, o in zip(matches, engine.orientations, strict=True)],
        axis=1,
    )
    n, n_phases, _ = score.shape
    pixel = np.arange(n)
    records["phase_score"] = score[:, :, 0]
    best_of_phase = np.where(np.isnan(score[:, :, 0]), -np.inf, score[:, :, 0])
    winner = best_of_phase.argmax(axis=1)  # the first of equals

    # All phases' candidates, best first; equal scores stay in the order of phases and ranks.
    flat = score.reshape(n, -1)
    order = np.argsort(np.where(np.isnan(flat), np.inf, -flat), axis=1, kind="stable")[:, :n_best]
    records["rival_score"] = np.take_along_axis(flat, order, axis=1)
    records["rival_orientation"] = np.take_along_axis(orientation.reshape(n, -1, 4), order[..., None], axis=1)
    phase_of = np.where(np.isnan(records["rival_score"]), -1, order // score.shape[2])
    records["rival_phase_id"] = phase_of

    first = score[pixel, winner, 0]
    records["phase_id"] = winner
    records["index"] = first
    records["orientation"] = orientation[pixel, winner, 0]
    share = engine.settings.match.rival_share
    farthest = 100.0 * (1.0 - share) if share > 0 else np.nan
    records["reliability"] = margin(first, score[pixel, winner, 1], without_rival=farthest)
    if n_phases > 1:
        others = best_of_phase.copy()
        others[pixel, winner] = -np.inf
        others[np.isinf(others)] = np.nan
        records["phase_reliability"] = margin(first, np.fmax.reduce(others, axis=1), without_rival=farthest)
    mirror = np.stack([m["mirror_score"] for m in matches], axis=1)[pixel, winner]
    records["mirror_margin"] = margin(first, mirror)
    half_turn = np.stack([m["half_turn_score"] for m in matches], axis=1)[pixel, winner]
    turned = turned_rival(orientation[pixel, winner], score[pixel, winner], winner, engine)
    records["half_turn_margin"] = margin(first, np.fmax(half_turn, turned))
    for name in ("template_id", "mirrored"):
        records[name] = np.stack([m[name][:, 0] for m in matches], axis=1)[pixel, winner]

    limit = engine.settings.match.noise_factor * noise[pixel, winner]
    lost = ~(first > limit)
    records["status"][lost] = Status.NO_MATCH
    for name in ("phase_id", "template_id"):
        records[name][lost] = -1
    records["mirrored"][lost] = False
    records["orientation"][lost] = np.nan
    return records


def turned_rival(orientation: Array, score: NDArray[Any], phase_id: NDArray[np.intp], engine: Engine) -> NDArray[Any]:
    """Best score (n,) of rivals (n, k) of the winner's phase that are it turned by half about an axis near the beam."""
    best = np.full(len(score), np.nan)
    for number, symmetry in enumerate(engine.symmetries):
        where = phase_id == number
        turned = half_turned(orientation[where, :1], orientation[where, 1:], symmetry)
        rivals = np.where(turned, score[where, 1:], np.nan)
        best[where] = np.fmax.reduce(rivals, axis=1)
    return best


def margin(best: NDArray[Any], rival: NDArray[Any], *, without_rival: float = np.nan) -> NDArray[np.float32]:
    """100 (1 - rival / best) in percent, between 0 and 100; NaN where there is no positive best score.

    Where there is no rival, `without_rival`: NaN, or the percentage below which one would have been found.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = np.clip(100.0 * (1.0 - np.maximum(rival, 0.0) / best), 0.0, 100.0)
    percent = np.where(np.isnan(rival), without_rival, percent)
    return np.asarray(np.where(best > 0, percent, np.nan), dtype=np.float32)
