"""A result in numbers: what was indexed, how well, and whether neighbours agree."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.maps.orientation import disorientation_angle
from nbedex.maps.result import IndexingResult, Status


def summary(result: IndexingResult, *, coherence_angle_deg: float = 5.0) -> dict[str, Any]:
    """Counts, medians and neighbour coherence, as plain numbers that JSON can hold.

    A map of noise looks like a map; its neighbours don't agree. `neighbour_coherence` is the share of
    pairs of neighbouring pixels, both indexed as the same phase, whose orientations differ by at most
    `coherence_angle_deg`: near 1 in grains of many pixels, near 0 in noise. None without such pairs.

    Returns
    -------
    numbers
        `shape`, `pixels`, `indexed`, `fraction_indexed` (of the pixels that were reached), `status` and
        `phases` (a list of name, pixels, fraction of the indexed ones, medians), `median_index`,
        `median_reliability`, `median_phase_reliability` (over indexed pixels), `neighbour_coherence`,
        `neighbour_pairs`, `neighbour_same_phase` (share of indexed pairs that have one phase).
    """
    indexed = result.indexed
    count = int(indexed.sum())
    reached = int((result.status != Status.NOT_DONE).sum())
    phases = []
    for number, phase in enumerate(result.phases):
        mine = result.phase_id == number
        pixels = int(mine.sum())
        phases.append(
            {
                "name": phase.name,
                "pixels": pixels,
                "fraction": pixels / count if count else 0.0,
                "median_index": _median(result.index[mine]),
                "median_reliability": _median(result.reliability[mine]),
            }
        )
    return {
        "shape": list(result.shape),
        "pixels": int(result.phase_id.size),
        "indexed": count,
        "fraction_indexed": count / reached if reached else 0.0,
        "status": {status.name: int((result.status == status).sum()) for status in Status},
        "phases": phases,
        "median_index": _median(result.index[indexed]),
        "median_reliability": _median(result.reliability[indexed]),
        "median_phase_reliability": _median(result.phase_reliability[indexed]),
        **neighbour_coherence(result, angle_deg=coherence_angle_deg),
    }


def neighbour_coherence(result: IndexingResult, *, angle_deg: float = 5.0) -> dict[str, Any]:
    """The three neighbour figures of `summary`."""
    together = same = close = 0
    for first, second in (
        (np.s_[:, :-1], np.s_[:, 1:]),
        (np.s_[:-1, :], np.s_[1:, :]),
    ):
        a, b = result.phase_id[first], result.phase_id[second]
        together += int(((a >= 0) & (b >= 0)).sum())
        for number, phase in enumerate(result.phases):
            pair = (a == number) & (b == number)
            same += int(pair.sum())
            angles = disorientation_angle(
                result.orientation[first][pair], result.orientation[second][pair], phase.symmetry_quaternions
            )
            close += int((angles <= np.deg2rad(angle_deg)).sum())
    return {
        "neighbour_coherence": close / same if same else None,
        "neighbour_pairs": same,
        "neighbour_same_phase": same / together if together else None,
    }


def _median(values: NDArray[np.float32]) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else None
