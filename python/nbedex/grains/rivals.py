"""The pixels' rival solutions, pooled over a grain: which one all of them together speak for, and how clearly.

A single pattern near a zone axis can't tell an orientation from the one turned by 180 degrees about the beam; all
patterns of a grain often can. A pixel only ever gets a solution that it holds itself.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.grains.arrays import plain
from nbedex.grains.model import Floats, GrainMap, OrientationMap
from nbedex.grains.store import Group
from nbedex.maps import canonical
from nbedex.progress import Progress, silent
from nbedex.settings import Settings

_MOST_PIXELS = 1024  # of one grain, evenly spread, that are heard
_MOST_SOLUTIONS = 5
Solution = tuple[int, Floats, NDArray[np.bool_]]  # phase, orientation (4,), which of the pixels' solutions (p, n) it is


class RivalSettings(Settings, frozen=True, kw_only=True):
    """How rival solutions are pooled.

    Attributes
    ----------
    distinct_deg
        Solutions closer than this are one.
    rival_share
        Solutions below this share of a pixel's best were not looked for when it was indexed
        (`MatchSettings.rival_share`); where a pixel has room for more solutions, that bounds those it doesn't hold.
    min_margin_percent
        A winner that is ahead by less is ambiguous: systematic errors of the scores are of this size.
    min_significance
        A winner that is ahead by fewer standard errors is ambiguous.
    correlated_pixels
        So many neighbouring pixels err alike and count as one.
    """

    distinct_deg: Annotated[float, Meta(gt=0, le=30)] = 5.0
    rival_share: Annotated[float, Meta(ge=0, lt=1)] = 0.7
    min_margin_percent: Annotated[float, Meta(ge=0, le=100)] = 1.0
    min_significance: Annotated[float, Meta(ge=0)] = 3.0
    correlated_pixels: Annotated[float, Meta(ge=1)] = 9.0


@dataclass(frozen=True, kw_only=True, eq=False)
class PooledRivals:
    """What the pixels of each region together say; regions without solutions have -1 and NaN.

    Attributes
    ----------
    phase_id, orientation, score
        (n,) int16, (n, 4), (n,): the solution with the highest mean score over the region's pixels.
    rival_phase_id, rival_orientation, rival_score
        The same of the best distinct one.
    margin_percent
        (n,) 100 (1 - rival's score / winner's).
    significance
        (n,) the lead in its standard errors.
    ambiguous
        (n,) bool, whether the lead is too small to rely on; both solutions are possible then.
    agrees
        (n,) bool, whether the winner is the region's own phase and mean orientation.
    rival_probability
        (n,) how probable the rival is where Bloch waves were asked (`nbedex pool`), 0 where they left none; else NaN.
        There they, not the scores, say what is ambiguous and which the rival is, and there is no margin.
    """

    phase_id: NDArray[np.int16]
    orientation: Floats
    score: Floats
    rival_phase_id: NDArray[np.int16]
    rival_orientation: Floats
    rival_score: Floats
    margin_percent: Floats
    significance: Floats
    ambiguous: NDArray[np.bool_]
    agrees: NDArray[np.bool_]
    rival_probability: Floats


@dataclass(frozen=True, eq=False)
class Held:
    """The solutions that pixels hold: phase (p, n), orientation (p, n, 4), score (p, n); -1 and NaN where none."""

    phase: NDArray[np.int16]
    orientation: Floats
    score: Floats

    @classmethod
    def of(cls, source: OrientationMap) -> Held:
        """Those of every pixel of a map, row by row."""
        if source.rival_phase_id is None or source.rival_orientation is None or source.rival_score is None:
            raise ArgumentError(
                "the map holds no rival solutions; they are in a result of `nbedex index`, not in files of other"
                " programs or grain files"
            )
        n = source.rival_phase_id.shape[-1]
        return cls(
            source.rival_phase_id.reshape(-1, n),
            source.rival_orientation.reshape(-1, n, 4),
            source.rival_score.reshape(-1, n).astype(np.float64),
        )

    def __getitem__(self, pixels: NDArray[np.intp]) -> Held:
        return Held(self.phase[pixels], self.orientation[pixels], self.score[pixels])

    def near(
        self,
        phase: int,
        orientation: Floats,
        symmetry: Floats,
        angle: float,
        among: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.bool_]:
        """(p, n), which of them, or of those `among` them, are this solution: (4,), or one for each pixel (p, 4)."""
        which: NDArray[np.bool_] = np.asarray(self.phase == phase)
        if among is not None:
            which &= among
        wanted = np.broadcast_to(orientation if orientation.ndim == 1 else orientation[:, None], self.orientation.shape)
        which[which] = angles_to(self.orientation[which], wanted[which], symmetry) <= angle
        return which

    def scores_of(self, which: NDArray[np.bool_], rival_share: float) -> Floats:
        """Score (p,) of a solution for each pixel, or the most it can be where a pixel doesn't hold it."""
        best = np.where(which, self.score, -np.inf).max(axis=1)
        known = self.phase >= 0
        lowest = np.where(known, self.score, np.inf).min(axis=1)
        bound = np.where(known.all(axis=1), lowest, np.minimum(lowest, rival_share * self.score[:, 0]))
        return np.asarray(np.where(which.any(axis=1), best, bound))


def angles_to(first: Floats, second: Floats, symmetry: Floats) -> Floats:
    """Disorientations (n,) of pairs (n, 4), radians."""
    from nbedex import _core

    group = plain(symmetry, np.float64)
    return _core.disorientations(
        plain(first, np.float64), plain(second, np.float64), group, group, exchange=True, reduce=False, threads=1
    )[0]


def pool_rivals(
    grain_map: GrainMap, settings: RivalSettings | None = None, *, progress: Progress = silent
) -> PooledRivals:
    """Sum the scores of every distinct solution over the pixels of each region, specks within it included.

    Parameters
    ----------
    grain_map
        Made from a map that holds rival solutions.
    settings
        Options; None for the defaults.
    progress
        Called as regions are done.

    Raises
    ------
    ArgumentError
        If the map holds no rivals.
    """
    grains = grain_map.grains
    own = [(int(p), q) for p, q in zip(grains.phase_id, grains.orientation, strict=True)]
    chosen = settings or RivalSettings()
    by_scores = pool_regions(grain_map.source, grain_map.grain_id, own, chosen, progress)
    return _with_answers(grain_map, by_scores, float(np.deg2rad(chosen.distinct_deg)))


def _with_answers(grain_map: GrainMap, rivals: PooledRivals, angle: float) -> PooledRivals:
    """With what Bloch waves said of regions that have their answer; of several in a region, the largest counts."""
    source, grains = grain_map.source, grain_map.grains
    out = {field.name: getattr(rivals, field.name).copy() for field in fields(PooledRivals)}
    for answer in sorted(source.answers, key=lambda one: one.n_pixels):
        region = int(grain_map.grain_id[answer.pixel])
        if grains.phase_id[region] != answer.phase_id or not np.isfinite(grains.orientation[region]).all():
            continue
        symmetry = source.phases[answer.phase_id].symmetry
        if angles_to(grains.orientation[region][None], answer.orientation[None], symmetry)[0] > angle:
            continue
        none = (-1, np.full(4, np.nan), 0.0)
        out["phase_id"][region], out["orientation"][region], out["agrees"][region] = (
            answer.phase_id,
            answer.orientation,
            True,
        )
        rival_phase, rival, probability = answer.others[0] if answer.others else none
        out["rival_phase_id"][region], out["rival_orientation"][region] = rival_phase, rival
        out["rival_probability"][region] = probability
        out["ambiguous"][region] = bool(answer.others)
        for name in ("rival_score", "margin_percent", "significance"):
            out[name][region] = np.nan
    return PooledRivals(**out)


def pool_regions(
    source: OrientationMap,
    region: NDArray[np.int32],
    own: list[tuple[int, Floats]],
    settings: RivalSettings,
    progress: Progress = silent,
) -> PooledRivals:
    """The same for regions (ny, nx) numbered from 0, with the phase and orientation each has so far, or (-1, NaN)."""
    held = Held.of(source)
    members = members_of(region, held.phase[:, 0] >= 0, len(own))
    pooled = []
    for pixels, known in zip(members, own, strict=True):
        pooled.append(_pooled(source, held, pixels, known, settings))
        if len(pooled) % 64 == 0 or len(pooled) == len(own):
            progress("rivals", len(pooled), len(own))
    return collected(pooled)


UNKNOWN = (-1, np.full(4, np.nan))  # a region of which nothing is known yet


def members_of(region: NDArray[np.int32], usable: NDArray[np.bool_], n: int) -> list[NDArray[np.intp]]:
    """Usable pixels of each region, evenly spread, no more than 1024."""
    flat = np.where(usable, region.ravel(), n)
    order = np.argsort(flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(n + 1))
    return [spread_evenly(order[first:end]) for first, end in pairwise(starts)]


def spread_evenly(pixels: NDArray[np.intp]) -> NDArray[np.intp]:
    """No more than 1024 of some pixels."""
    if len(pixels) <= _MOST_PIXELS:
        return pixels
    return pixels[np.linspace(0, len(pixels) - 1, _MOST_PIXELS).astype(np.intp)]


@dataclass(frozen=True, eq=False)
class _Pooled:
    """The two best solutions of one region."""

    phase: tuple[int, int] = (-1, -1)
    orientation: tuple[Floats, Floats] = (np.full(4, np.nan), np.full(4, np.nan))
    score: tuple[float, float] = (np.nan, np.nan)
    significance: float = np.nan
    ambiguous: bool = False
    agrees: bool = False


def _pooled(
    source: OrientationMap, held: Held, pixels: NDArray[np.intp], own: tuple[int, Floats], settings: RivalSettings
) -> _Pooled:
    if len(pixels) == 0:
        return _Pooled()
    mine = held[pixels]
    angle = float(np.deg2rad(settings.distinct_deg))
    solutions = distinct_solutions(source, mine, own, angle)
    scores = np.stack([mine.scores_of(which, settings.rival_share) for _, _, which in solutions])  # (solutions, p)
    order = np.argsort(-scores.mean(axis=1), kind="stable")
    first = int(order[0])
    phase, orientation, _ = solutions[first]
    agrees = phase == own[0] and bool(
        angles_to(orientation[None], own[1][None], source.phases[phase].symmetry)[0] <= angle
    )
    best = float(scores[first].mean())
    if len(order) == 1:
        return _Pooled((phase, -1), (orientation, np.full(4, np.nan)), (best, np.nan), np.nan, False, agrees)
    second = int(order[1])
    rival = float(scores[second].mean())
    significance = lead(scores[first] - scores[second], len(pixels), settings.correlated_pixels)
    margin = 100.0 * (1.0 - rival / best) if best > 0 else 0.0
    return _Pooled(
        (phase, solutions[second][0]),
        (orientation, solutions[second][1]),
        (best, rival),
        significance,
        margin < settings.min_margin_percent or significance < settings.min_significance,
        agrees,
    )


def lead(difference: Floats, n_pixels: int, correlated_pixels: float) -> float:
    """Mean difference of scores over pixels in its standard errors, with pixels that err alike counted as one."""
    independent = max(n_pixels / correlated_pixels, 1.0)
    # the scatter of a handful of differences is not known better than their size
    scatter = float(np.hypot(difference.std(), abs(difference.mean()) / np.sqrt(len(difference))))
    return float(difference.mean() / scatter * np.sqrt(independent)) if scatter > 0 else 0.0


def distinct_solutions(source: OrientationMap, held: Held, own: tuple[int, Floats], angle: float) -> list[Solution]:
    """Distinct solutions that pixels hold, with which (p, n) of theirs they are: the grain's own, then by score."""
    left = held.phase >= 0
    found: list[Solution] = []

    def take(phase: int, seed: Floats) -> None:
        symmetry = source.phases[phase].symmetry
        which = held.near(phase, seed, symmetry, angle, left)
        if which.any():
            middle = nearest_mean(held.orientation[which], seed, symmetry)
            if angles_to(middle[None], seed[None], symmetry)[0] > 0.2 * angle:
                which |= held.near(phase, middle, symmetry, angle, left)
            seed = middle
        found.append((phase, seed, which))
        left[which] = False

    if own[0] >= 0 and np.isfinite(own[1]).all():
        take(own[0], own[1])
    while left.any() and len(found) < _MOST_SOLUTIONS:
        place = np.unravel_index(int(np.argmax(np.where(left, held.score, -np.inf))), left.shape)
        take(int(held.phase[place]), held.orientation[place])
        left[place] = False
    return found


def nearest_mean(orientation: Floats, reference: Floats, symmetry: Floats) -> Floats:
    """Mean (4,) of orientations (n, 4) in the equivalents nearest to a reference."""
    from nbedex.maps import multiply

    images = multiply(symmetry[:, None], orientation[None])
    best = np.abs(images @ reference).argmax(axis=0)
    chosen = images[best, np.arange(len(orientation))]
    return canonical(np.linalg.eigh(chosen.T @ chosen)[1][:, -1])


def collected(pooled: list[_Pooled]) -> PooledRivals:
    """One array for each of the regions' values."""
    score, rival = (np.array([one.score[i] for one in pooled]) for i in (0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        margin = np.where(score > 0, 100.0 * (1.0 - rival / score), np.nan)
    return PooledRivals(
        phase_id=np.array([one.phase[0] for one in pooled], dtype=np.int16),
        orientation=np.array([one.orientation[0] for one in pooled]).reshape(-1, 4),
        score=score,
        rival_phase_id=np.array([one.phase[1] for one in pooled], dtype=np.int16),
        rival_orientation=np.array([one.orientation[1] for one in pooled]).reshape(-1, 4),
        rival_score=rival,
        margin_percent=margin,
        significance=np.array([one.significance for one in pooled]),
        ambiguous=np.array([one.ambiguous for one in pooled], dtype=bool),
        agrees=np.array([one.agrees for one in pooled], dtype=bool),
        rival_probability=np.full(len(pooled), np.nan),
    )


def rivals_group(rivals: PooledRivals, settings: RivalSettings | None = None) -> Group:
    """For a grain file, as the group "rivals"."""
    arrays = {field.name: getattr(rivals, field.name) for field in fields(rivals)}
    return Group(arrays=arrays, texts={"settings": (settings or RivalSettings()).to_dict()})
