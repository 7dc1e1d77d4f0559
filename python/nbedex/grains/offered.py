"""Solutions of the map offered to a grain's mean pattern: those of its pixels and of its neighbours.

A piece of a grain holds few patterns, near a boundary and mixed with those beyond it. What it really is need not be
among the best candidates of its own mean pattern, but often is what the grain next to it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.grains.model import GrainMap
from nbedex.indexing.engine import Engine, noise_levels
from nbedex.indexing.patterns import Patterns
from nbedex.maps import disorientation_angle

Array = NDArray[np.float64]
Solutions = list[tuple[int, Array]]

_MOST = 6  # solutions beside its own candidates that a grain is asked about


def solutions_around(grain_map: GrainMap) -> list[Solutions]:
    """Phase and orientation (4,) of every grain (n) and of its neighbours, its own first, then by size."""
    grains = grain_map.grains
    known = (grains.phase_id >= 0) & np.isfinite(grains.orientation).all(axis=1)
    return [
        [
            (int(grains.phase_id[i]), grains.orientation[i])
            for i in [number, *sorted(others, key=lambda g: (-int(grains.n_pixels[g]), g))]
            if known[i]
        ]
        for number, others in enumerate(grain_map.near())
    ]


def with_offered(
    records: NDArray[Any], patterns: Patterns, offered: list[Solutions], engine: Engine, *, threads: int = 0
) -> NDArray[Any]:
    """Records (n,) of patterns with further candidates among their rivals.

    A solution that the record doesn't hold is refined on the pattern and put in the place of the worst of the rivals
    that Bloch waves compare, if it scores at least `rerank.candidate_share` of the best.

    Parameters
    ----------
    records
        See `nbedex.indexing.records`.
    patterns
        What they are of.
    offered
        Phases and orientations for each of them.
    engine
        That indexed them.
    threads
        0: all available. The result doesn't depend on it.
    """
    out = records.copy()
    distinct = float(np.deg2rad(engine.settings.match.distinct_deg))

    def held(record: NDArray[Any], phase: int, orientation: Array) -> bool:
        near = record["rival_orientation"][record["rival_phase_id"] == phase]
        return bool((disorientation_angle(near, orientation, engine.symmetries[phase]) <= distinct).any())

    phase = np.full((len(records), _MOST), -1, dtype=np.int16)
    start = np.full((len(records), _MOST, 4), np.nan)
    for number, record in enumerate(records):
        new = [(p, q) for p, q in offered[number] if not held(record, p, q)][:_MOST]
        for place, (p, q) in enumerate(new):
            phase[number, place], start[number, place] = p, q
    of_whole = patterns.sums[0]
    levels = noise_levels(of_whole, engine)
    found = engine.model.refine(patterns.whole, phase, start, levels, threads, of_whole)
    enough = engine.settings.rerank.candidate_share * records["rival_score"][:, :1]
    for number, place in np.argwhere(np.nan_to_num(found["score"], nan=-1.0) >= enough):
        record, p, q = out[number], int(phase[number, place]), found["orientation"][number, place]
        if not held(record, p, q):
            worst = _place_for_one_more(record, engine.settings.rerank.max_candidates)
            record["rival_phase_id"][worst], record["rival_orientation"][worst] = p, q
            record["rival_score"][worst] = found["score"][number, place]
    return out


def _place_for_one_more(record: NDArray[Any], most: int) -> int:
    """Where a record has room among its first rivals, `most` of them, or the worst of these; never the first."""
    score = np.where(record["rival_phase_id"] < 0, -np.inf, record["rival_score"])
    return int(score[1 : max(most, 2)].argmin()) + 1
