"""Dynamical re-ranking: which of a few candidates a pattern really is, told by Bloch waves.

Kinematical matching finds the truth among its best distinct candidates nearly always, but on thick crystals it does not
always put it first. Dynamical intensities tell them apart once each candidate is given the tilt, the turn and the
thickness that suit it best: they change within tenths of a degree, so a candidate as the library has it, up to half a
degree off, would lose against any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from nbedex import _core
from nbedex.errors import ArgumentError
from nbedex.library.dynamical import DynamicalCrystal, DynamicalPatterns
from nbedex.maps.orientation import canonical, multiply
from nbedex.settings import Settings

Array = NDArray[np.float64]

_SQRT3_2 = np.sqrt(0.75)


class RerankSettings(Settings, frozen=True, kw_only=True):
    """How candidates are refined and compared.

    Attributes
    ----------
    gate
        Candidates that score less than this share of the best are not tried; 1 tries only the best one, to refine it.
    max_candidates
        At most so many are tried.
    reach_deg
        Largest tilt away from a candidate, degrees.
    step_deg
        Tilts first tried are so far apart.
    starts
        So many of the first tilts are refined, apart from one another.
    halvings
        How often the step is halved around the best tilts.
    turn_deg
        Turns about the beam are tried up to this far from the candidate's.
    min_thickness_nm, max_thickness_nm, thickness_step_nm
        Thicknesses tried.
    faintest
        Beams with a smaller share of all that is diffracted than this are taken for lost in the noise.
    """

    gate: Annotated[float, Meta(gt=0, le=1)] = 0.9
    max_candidates: Annotated[int, Meta(ge=1, le=50)] = 4
    reach_deg: Annotated[float, Meta(ge=0, le=5)] = 0.8
    step_deg: Annotated[float, Meta(gt=0, le=2)] = 0.25
    starts: Annotated[int, Meta(ge=1, le=50)] = 4
    halvings: Annotated[int, Meta(ge=0, le=8)] = 3
    turn_deg: Annotated[float, Meta(ge=0, le=5)] = 1.0
    min_thickness_nm: Annotated[float, Meta(ge=1, le=1000)] = 20.0
    max_thickness_nm: Annotated[float, Meta(ge=1, le=1000)] = 150.0
    thickness_step_nm: Annotated[float, Meta(gt=0, le=100)] = 4.0
    faintest: Annotated[float, Meta(ge=0, lt=1)] = 2e-3

    def thicknesses(self) -> Array:
        """Thicknesses tried, nm."""
        if self.max_thickness_nm < self.min_thickness_nm:
            raise ArgumentError(
                f"max_thickness_nm must not be below min_thickness_nm, got {self.max_thickness_nm:g} and"
                f" {self.min_thickness_nm:g}"
            )
        return np.arange(self.min_thickness_nm, self.max_thickness_nm + 1e-9, self.thickness_step_nm)


@dataclass(frozen=True, eq=False)
class Reranked:
    """Candidates of one pattern, best first.

    Attributes
    ----------
    order : (k,) int64
        Which candidate each is; those not tried come last, in their old order.
    orientation : (k, 4) float64
        Refined orientations, sample to crystal; of those not tried, as they were.
    score : (k,) float64
        Two dynamical cosines plus the kinematical score; NaN where not tried.
    thickness_nm : (k,) float64
        Thickness that fits best; NaN where not tried.
    """

    order: NDArray[np.int64]
    orientation: Array
    score: Array
    thickness_nm: Array


@dataclass(frozen=True, eq=False)
class Candidates:
    """What matching offers for one pattern, best first: `rival_*` of a record of `index_block`.

    Attributes
    ----------
    orientation : (k, 4) float64
        Sample to crystal; NaN where there is none.
    phase_id : (k,) int
        Which crystal each is; negative where there is none.
    score : (k,) float
        Cosine of the kinematical match.
    """

    orientation: Array
    phase_id: NDArray[np.integer]
    score: NDArray[np.floating]


class PolarPattern:
    """A polar pattern as prepared for matching, and its square, ready to be read between its bins.

    Parameters
    ----------
    polar : (rings, azimuths) float32
        From `_core.prepare_patterns` with the exponent 0.25, so that its square has the exponent 0.5.
    grid
        Its bins.
    """

    def __init__(self, polar: NDArray[np.float32], grid: _core.PolarGrid) -> None:
        if polar.shape != (grid.n_rings, grid.n_azimuths):
            raise ArgumentError(f"polar must have shape {(grid.n_rings, grid.n_azimuths)}, got {polar.shape}")
        self._grid = grid
        values = polar.astype(np.float64)
        self._planes = [plane / max(float(np.linalg.norm(plane)), 1e-300) for plane in (values, values**2)]

    def at(self, kx: Array, ky: Array, turns: Array) -> tuple[list[Array], NDArray[np.bool_]]:
        """Both planes (m, n) at points (n,) turned by m radians from X towards Y, and which points are on the grid."""
        grid = self._grid
        k = np.hypot(kx, ky)
        inside = (k >= grid.k_min) & (k < grid.k_max)
        ring = (k - grid.k_min) / (grid.k_max - grid.k_min) * grid.n_rings - 0.5
        azimuth = (np.arctan2(ky, kx) + turns[:, None]) * (grid.n_azimuths / (2 * np.pi))
        low, left = np.floor(ring), np.floor(azimuth)
        up, right = ring - low, azimuth - left
        r0 = np.clip(low, 0, grid.n_rings - 1).astype(np.intp)
        r1 = np.clip(low + 1, 0, grid.n_rings - 1).astype(np.intp)
        a0 = left.astype(np.intp) % grid.n_azimuths
        a1 = (a0 + 1) % grid.n_azimuths
        found = [
            (1 - up) * ((1 - right) * plane[r0, a0] + right * plane[r0, a1])
            + up * ((1 - right) * plane[r1, a0] + right * plane[r1, a1])
            for plane in self._planes
        ]
        return found, inside


def rerank(
    pattern: PolarPattern, candidates: Candidates, crystals: Sequence[DynamicalCrystal], settings: RerankSettings
) -> Reranked:
    """Refine the candidates that are in question by Bloch waves, and put them in order.

    Parameters
    ----------
    pattern
        What was measured.
    candidates
        What matching found.
    crystals
        By phase number.
    settings
        How.

    Returns
    -------
    Reranked
        All candidates, those tried first.
    """
    orientation = np.array(candidates.orientation, dtype=np.float64)
    count = len(orientation)
    score, thickness = np.full(count, np.nan), np.full(count, np.nan)
    kinematical = np.asarray(candidates.score, dtype=np.float64)
    there = np.asarray(candidates.phase_id) >= 0
    best = np.max(kinematical[there], initial=0.0)
    for number in np.flatnonzero(there & (kinematical >= settings.gate * best))[: settings.max_candidates]:
        crystal = crystals[int(candidates.phase_id[number])]
        found = _refine(pattern, orientation[number], crystal, settings)
        orientation[number], thickness[number] = found.orientation, found.thickness_nm
        score[number] = found.score + kinematical[number]
    order = np.argsort(np.where(np.isnan(score), np.inf, -score), kind="stable")
    return Reranked(
        order=order.astype(np.int64),
        orientation=orientation[order],
        score=score[order],
        thickness_nm=thickness[order],
    )


@dataclass(frozen=True, eq=False)
class _Fit:
    score: float
    orientation: Array
    thickness_nm: float


@dataclass(frozen=True, eq=False)
class _Point:
    """Where the search stands: the best turn and thickness at one tilt."""

    score: float
    tilt: Array
    turn: float
    thickness_nm: float


def _refine(pattern: PolarPattern, orientation: Array, crystal: DynamicalCrystal, settings: RerankSettings) -> _Fit:
    """Best tilt, turn and thickness near an orientation.

    A hexagonal net of tilts first; then ever finer hexagons around its few best points, which are followed apart
    because the score has many maxima, each about a tenth of a degree wide.
    """
    depths = settings.thicknesses()
    turns = np.deg2rad(np.linspace(-settings.turn_deg, settings.turn_deg, 9))
    net = hexagonal_net(settings.reach_deg / settings.step_deg) * settings.step_deg
    points = _best_by_tilt(pattern, orientation, net, crystal, turns, depths, settings)
    kept = sorted(points, key=lambda point: -point.score)[: settings.starts]
    hexagon = hexagonal_net(1.0)[1:]
    for halving in range(1, settings.halvings + 1):
        tilts = np.concatenate([point.tilt + hexagon * settings.step_deg / 2**halving for point in kept])
        middle = np.mean([point.turn for point in kept])
        reach = np.deg2rad(settings.turn_deg) / 2 ** (halving - 1)
        near = middle + np.linspace(-reach, reach, 9)
        tried = _best_by_tilt(pattern, orientation, tilts, crystal, near, depths, settings)
        kept = [
            max([point, *tried[6 * number : 6 * number + 6]], key=lambda found: found.score)
            for number, point in enumerate(kept)
        ]
        # Those far behind will not catch up.
        kept = sorted(kept, key=lambda point: -point.score)[: max(1, settings.starts >> (halving - 1))]
    best = max(kept, key=lambda point: point.score)
    tilted = tilted_orientations(orientation, best.tilt[None])
    half = _vertex_turn(pattern, crystal.patterns(tilted, [best.thickness_nm], threads=1), best.turn, settings) / 2
    found = canonical(multiply(tilted[0], np.array([np.cos(half), 0.0, 0.0, -np.sin(half)])))
    return _Fit(score=best.score, orientation=found, thickness_nm=best.thickness_nm)


def _vertex_turn(pattern: PolarPattern, patterns: DynamicalPatterns, turn: float, settings: RerankSettings) -> float:
    """The turn, from both flanks: the top is flat, and where on it the best lies is chance."""
    offsets = np.deg2rad(np.linspace(-0.75, 0.75, 13))
    scores = _scores(pattern, patterns, turn + offsets, settings.faintest)[:, 0, 0]
    curvature, slope, _ = np.polyfit(offsets, scores, 2)
    if not curvature < 0:
        return turn
    return turn + float(np.clip(-slope / (2 * curvature), offsets[0], offsets[-1]))


def _best_by_tilt(
    pattern: PolarPattern,
    orientation: Array,
    tilts: Array,
    crystal: DynamicalCrystal,
    turns: Array,
    depths: Array,
    settings: RerankSettings,
) -> list[_Point]:
    """The best turn and thickness at each of the tilts (n, 2), degrees."""
    patterns = crystal.patterns(tilted_orientations(orientation, tilts), depths, threads=1)
    scores = _scores(pattern, patterns, turns, settings.faintest)  # (turns, tilts, depths)
    points = []
    for number, tilt in enumerate(tilts):
        turn, depth = np.unravel_index(int(np.argmax(scores[:, number])), scores[:, number].shape)
        points.append(_Point(float(scores[turn, number, depth]), tilt, float(turns[turn]), float(depths[depth])))
    return points


def _scores(pattern: PolarPattern, patterns: DynamicalPatterns, turns: Array, faintest: float) -> Array:
    """Sum of the cosines of both exponents (turns, orientations, thicknesses)."""
    result = np.empty((len(turns), len(patterns), len(patterns.thickness_nm)))
    for number in range(len(patterns)):
        beams = patterns.pattern(number)
        kx, ky = beams["kx"].astype(np.float64), beams["ky"].astype(np.float64)
        planes, inside = pattern.at(kx, ky, turns)  # the direct beam is not inside
        intensity = np.where(inside[:, None], beams["intensity"], 0).astype(np.float64)
        intensity[intensity < faintest * intensity.sum(axis=0)] = 0.0
        root = np.sqrt(intensity)
        cosines = [
            values @ weight / np.maximum(np.linalg.norm(weight, axis=0), 1e-300)
            for values, weight in zip(planes, (np.sqrt(root), root), strict=True)
        ]
        result[:, number] = cosines[0] + cosines[1]
    return result


def tilted_orientations(orientation: Array, tilts_deg: Array) -> Array:
    """The crystal turned about axes normal to the beam, without turning its pattern: (n, 4) from tilts (n, 2).

    The rotation vector of a tilt is (tilt_x, tilt_y, 0) in the sample frame.
    """
    half = np.deg2rad(np.hypot(tilts_deg[:, 0], tilts_deg[:, 1])) / 2
    share = np.where(half > 0, np.deg2rad(0.5) * np.sinc(half / np.pi), np.deg2rad(0.5))
    turn = np.stack([np.cos(half), -share * tilts_deg[:, 0], -share * tilts_deg[:, 1], np.zeros_like(half)], axis=1)
    return np.asarray(multiply(orientation, turn))


def hexagonal_net(radius: float) -> Array:
    """Points (n, 2) of a hexagonal net of spacing 1 within a circle about one of them, that one first."""
    reach = int(np.ceil(radius / _SQRT3_2))
    i, j = np.meshgrid(np.arange(-2 * reach, 2 * reach + 1), np.arange(-reach, reach + 1))
    points = np.stack([i + j / 2, j * _SQRT3_2], axis=-1).reshape(-1, 2)
    length = np.hypot(points[:, 0], points[:, 1])
    order = np.argsort(length, kind="stable")
    return np.asarray(points[order][length[order] <= radius + 1e-9])
