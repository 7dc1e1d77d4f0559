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
        At most so many of a candidate's first tilts are refined, apart from one another.
    points
        So many of all candidates' are refined together; with each halving, half as many.
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
    points: Annotated[int, Meta(ge=2, le=200)] = 8
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

    def inside(self, kx: Array, ky: Array) -> NDArray[np.bool_]:
        """Which points (n,) are on the grid; the direct beam is not."""
        k = np.hypot(kx, ky)
        return np.asarray((k >= self._grid.k_min) & (k < self._grid.k_max))

    def at(self, kx: Array, ky: Array, turns: Array) -> list[Array]:
        """Both planes (m, n) at points (n,) turned by m radians from X towards Y, between bins linearly."""
        grid = self._grid
        ring = (np.hypot(kx, ky) - grid.k_min) / (grid.k_max - grid.k_min) * grid.n_rings - 0.5
        azimuth = (np.arctan2(ky, kx) + turns[:, None]) * (grid.n_azimuths / (2 * np.pi))
        low, left = np.floor(ring), np.floor(azimuth)
        up, right = ring - low, azimuth - left
        r0 = np.clip(low, 0, grid.n_rings - 1).astype(np.intp) * grid.n_azimuths
        r1 = np.clip(low + 1, 0, grid.n_rings - 1).astype(np.intp) * grid.n_azimuths
        a0 = left.astype(np.intp) % grid.n_azimuths
        a1 = (a0 + 1) % grid.n_azimuths
        corners = (r0 + a0, r0 + a1, r1 + a0, r1 + a1)
        shares = ((1 - up) * (1 - right), (1 - up) * right, up * (1 - right), up * right)
        return [
            sum((share * plane.take(corner) for share, corner in zip(shares, corners, strict=True)), np.zeros(()))
            for plane in self._planes
        ]


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
    tried = np.flatnonzero(there & (kinematical >= settings.gate * best))[: settings.max_candidates]
    searches = [
        _Search(pattern, orientation[number], crystals[int(candidates.phase_id[number])], settings) for number in tried
    ]
    _refine(searches, kinematical[tried], settings)
    for number, search in zip(tried, searches, strict=True):
        orientation[number], thickness[number] = search.orientation(), search.best.thickness_nm
        score[number] = search.best.score + kinematical[number]
    order = np.argsort(np.where(np.isnan(score), np.inf, -score), kind="stable")
    return Reranked(
        order=order.astype(np.int64),
        orientation=orientation[order],
        score=score[order],
        thickness_nm=thickness[order],
    )


@dataclass(frozen=True, eq=False)
class _Point:
    """Where the search stands: the best turn and thickness at one tilt."""

    score: float
    tilt: Array
    turn: float
    thickness_nm: float


class _Search:
    """Looks for the best tilt, turn and thickness near one candidate."""

    def __init__(
        self, pattern: PolarPattern, orientation: Array, crystal: DynamicalCrystal, settings: RerankSettings
    ) -> None:
        self._pattern = pattern
        self._orientation = orientation
        self._crystal = crystal
        self._settings = settings
        self._depths = settings.thicknesses()
        turns = np.deg2rad(np.linspace(-settings.turn_deg, settings.turn_deg, 9))
        net = hexagonal_net(settings.reach_deg / settings.step_deg) * settings.step_deg
        points = sorted(self._at(net, turns), key=lambda point: -point.score)
        self.starts = points[: settings.starts]
        self.best = points[0]

    def refined(self, point: _Point, halving: int) -> _Point:
        """The best of a point and the six around it, at half the distance each time."""
        reach = np.deg2rad(self._settings.turn_deg) / 2 ** (halving - 1)
        tilts = point.tilt + hexagonal_net(1.0)[1:] * self._settings.step_deg / 2**halving
        points = self._at(tilts, point.turn + np.linspace(-reach, reach, 9))
        found = max([point, *points], key=lambda each: each.score)
        if found.score > self.best.score:
            self.best = found
        return found

    def orientation(self) -> Array:
        """Of the best found."""
        tilted = tilted_orientations(self._orientation, self.best.tilt[None])
        patterns = self._crystal.patterns(tilted, [self.best.thickness_nm], threads=1)
        half = _vertex_turn(self._pattern, patterns, self.best.turn, self._settings) / 2
        return canonical(multiply(tilted[0], np.array([np.cos(half), 0.0, 0.0, -np.sin(half)])))

    def _at(self, tilts: Array, turns: Array) -> list[_Point]:
        """The best turn and thickness at each of the tilts (n, 2), degrees."""
        patterns = self._crystal.patterns(tilted_orientations(self._orientation, tilts), self._depths, threads=1)
        scores = _scores(self._pattern, patterns, turns, self._settings.faintest)  # (turns, tilts, depths)
        points = []
        for number, tilt in enumerate(tilts):
            turn, depth = np.unravel_index(int(np.argmax(scores[:, number])), scores[:, number].shape)
            best = float(scores[turn, number, depth])
            points.append(_Point(best, tilt, float(turns[turn]), float(self._depths[depth])))
        return points


def _refine(searches: list[_Search], kinematical: Array, settings: RerankSettings) -> None:
    """Ever finer hexagons around the best starts of all candidates, fewer of them each time.

    Points are followed apart because the score has many maxima, each about a tenth of a degree wide; the best of
    the two leading candidates are always among them, so that neither wins for being better refined.
    """
    points = [(number, point) for number, search in enumerate(searches) for point in search.starts]
    for halving in range(1, settings.halvings + 1):
        points.sort(key=lambda item: -(item[1].score + kinematical[item[0]]))
        leads = {number: index for index, (number, _) in reversed(list(enumerate(points)))}  # best point of each
        always = set(sorted(leads.values())[:2])
        room = max(2, settings.points >> (halving - 1))
        chosen = sorted([*always, *(index for index in range(len(points)) if index not in always)][:room])
        points = [(points[index][0], searches[points[index][0]].refined(points[index][1], halving)) for index in chosen]


def _vertex_turn(pattern: PolarPattern, patterns: DynamicalPatterns, turn: float, settings: RerankSettings) -> float:
    """The turn, from both flanks: the top is flat, and where on it the best lies is chance."""
    offsets = np.deg2rad(np.linspace(-0.75, 0.75, 13))
    scores = _scores(pattern, patterns, turn + offsets, settings.faintest)[:, 0, 0]
    curvature, slope, _ = np.polyfit(offsets, scores, 2)
    if not curvature < 0:
        return turn
    return turn + float(np.clip(-slope / (2 * curvature), offsets[0], offsets[-1]))


def _scores(pattern: PolarPattern, patterns: DynamicalPatterns, turns: Array, faintest: float) -> Array:
    """Sum of the cosines of both exponents (turns, orientations, thicknesses)."""
    result = np.empty((len(turns), len(patterns), len(patterns.thickness_nm)))
    for number in range(len(patterns)):
        beams = patterns.pattern(number)
        kx, ky = beams["kx"].astype(np.float64), beams["ky"].astype(np.float64)
        intensity = np.where(pattern.inside(kx, ky)[:, None], beams["intensity"], 0).astype(np.float64)
        intensity[intensity < faintest * intensity.sum(axis=0)] = 0.0
        seen = intensity.any(axis=1)
        planes, intensity = pattern.at(kx[seen], ky[seen], turns), intensity[seen]
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
