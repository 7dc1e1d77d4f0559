"""From what Bloch waves say of grains to their answers, with neighbours that can't be told apart made to agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.grains.bloch_evidence import UNDECIDED, GrainEvidence
from nbedex.grains.model import GrainMap
from nbedex.indexing.rerank_records import tilt_uncertainty_deg
from nbedex.maps import disorientation_angle

Array = NDArray[np.float64]


def decided(record: NDArray[Any], evidence: GrainEvidence, first: int | None = None) -> NDArray[Any]:
    """The record of a grain's mean pattern with its candidates in the order of the evidence.

    Parameters
    ----------
    record
        See `nbedex.indexing.records`.
    evidence
        Of its rivals.
    first
        The candidate to put first; by default the best.
    """
    out = record.copy()
    order = evidence.order
    if first is not None:
        order = np.concatenate([[first], order[order != first]])
    out["rival_phase_id"] = record["rival_phase_id"][order]
    out["rival_score"] = record["rival_score"][order]
    out["rival_orientation"] = evidence.orientation[order]
    best = int(order[0])
    patterns = evidence.patterns
    out["phase_id"], out["orientation"] = out["rival_phase_id"][0], out["rival_orientation"][0]
    out["index"] = out["rival_score"][0]
    out["probability"] = evidence.probability[best] / (1 + evidence.elsewhere)
    out["reranked"] = True
    out["dynamical_score"] = np.nanmean(patterns.score[:, best])
    out["thickness_nm"] = np.nanmean(patterns.thickness_nm[:, best])
    out["thickness_error_nm"] = np.nanstd(patterns.thickness_nm[:, best])
    errors = patterns.orientation_error_deg[:, best]
    out["uncertainty_deg"] = tilt_uncertainty_deg(np.nanmedian(errors)) if np.isfinite(errors).any() else np.nan
    if best != 0:
        for name in ("mirror_margin", "half_turn_margin", "reliability"):
            out[name] = np.nan
        out["template_id"], out["mirrored"] = -1, False
    return out


def agreed(
    grain_map: GrainMap,
    records: NDArray[Any],
    evidence: dict[int, GrainEvidence],
    symmetries: tuple[Array, ...],
    *,
    distinct: float,
) -> NDArray[Any]:
    """Records (n,) of all grains, decided; neighbours among whose undecided candidates are the same agree on one.

    Half a turn about a zone axis near the beam often leaves nothing in a pattern that tells which it is. Pieces of such
    a grain would choose each for itself, and look like twins. And a piece that can't tell, beside a grain that can,
    joins that, with its probability: no boundary is far more probable than one between two crystals of nearly the same
    pattern.

    Parameters
    ----------
    grain_map
        The grains.
    records : (n,) structured
        Of their mean patterns.
    evidence
        Of the grains that were asked.
    symmetries
        Proper rotations of the Laue group, by phase.
    distinct
        Orientations closer than this (radians) are one.
    """

    def which(grain: int, phase: int, orientation: Array) -> int:
        """The candidate of a grain that is this solution, of several the most probable; -1 where it holds none."""
        log_odds = evidence[grain].log_odds
        near = np.flatnonzero((records["rival_phase_id"][grain] == phase) & np.isfinite(log_odds))
        angle = disorientation_angle(evidence[grain].orientation[near], orientation, symmetries[phase])
        near = near[angle <= distinct]
        return int(near[log_odds[near].argmax()]) if len(near) else -1

    def undecided(grain: int, phase: int, orientation: Array) -> bool:
        candidate = which(grain, phase, orientation)
        return candidate >= 0 and bool(evidence[grain].undecided[candidate])

    def take(family: list[int], of: list[int]) -> int:
        """Give a family the answer of that grain, of several, for which most speaks in all the family together."""
        answers, totals = [answer(grain) for grain in of], []
        for phase, orientation in answers:
            places = [which(g, phase, orientation) for g in family]
            odds = [evidence[g].log_odds for g in family]
            totals.append(sum(o[p] - o.max() if p >= 0 else -2 * UNDECIDED for o, p in zip(odds, places, strict=True)))
        best = int(np.argmax(totals))
        for grain in family:
            place = which(grain, *answers[best])
            if place >= 0:
                out[grain] = decided(records[grain], evidence[grain], place)
        return of[best]

    def answer(grain: int) -> tuple[int, Array]:
        return int(out["phase_id"][grain]), out["orientation"][grain].copy()

    out = records.copy()
    for grain, found in evidence.items():
        out[grain] = decided(records[grain], found)
    near = grain_map.near()
    neighbours = {grain: [other for other in near[grain] if other in evidence] for grain in evidence}
    sure = {grain for grain, found in evidence.items() if found.undecided.sum() == 1}
    families = _families(
        {
            grain: [other for other in others if other not in sure]
            for grain, others in neighbours.items()
            if grain not in sure
        },
        lambda a, b: undecided(a, *answer(b)) and undecided(b, *answer(a)),
        grain_map.grains.n_pixels,
    )
    for family in families:
        take(family, family)
        around = sorted({other for grain in family for other in neighbours[grain]} & sure)
        suitable = [other for other in around if all(undecided(grain, *answer(other)) for grain in family)]
        if suitable:
            joined = take(family, suitable)
            out["probability"][family] = np.maximum(out["probability"][family], out["probability"][joined])
    return out


def _families(
    neighbours: dict[int, list[int]], alike: Callable[[int, int], bool], size: NDArray[np.integer]
) -> list[list[int]]:
    """Grains in groups of neighbours, each of which could as well be what the next is; the largest of each first."""
    root = {grain: grain for grain in neighbours}

    def top(grain: int) -> int:
        while root[grain] != grain:
            grain = root[grain]
        return grain

    for grain, others in neighbours.items():
        for other in others:
            if grain < other and alike(grain, other):
                low, high = sorted((top(grain), top(other)))
                root[high] = low
    groups: dict[int, list[int]] = {}
    for grain in root:
        groups.setdefault(top(grain), []).append(grain)
    return [sorted(group, key=lambda g: (-int(size[g]), g)) for group in groups.values()]
