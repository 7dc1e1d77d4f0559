"""Candidates of a grain's mean pattern beyond those that are its best: of every phase, and what the map holds.

Phases are told apart by Bloch waves, not by matching: on patterns of a few spots one phase's orientations may take all
places, and leave the truth's phase one, which need not be the right one. So every phase that competes is searched
alone. And a piece of a grain holds few patterns, near a boundary and mixed with those beyond it. What it really is need
not be among the best candidates of its own mean pattern, but often is what the grain next to it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.grains.model import GrainMap
from nbedex.indexing.candidates import match_phases, matched_orientations
from nbedex.indexing.engine import Engine, noise_levels
from nbedex.indexing.patterns import Patterns
from nbedex.maps import disorientation_angle

Array = NDArray[np.float64]
Solutions = list[tuple[int, Array]]

# Candidates of one phase. In the mean patterns of 376 pure regions of tuning polycrystals whose phase had more than
# one place the truth was among the best three of its phase once they were refined; on the grid it may come later.
_OF_A_PHASE = 8
_RIVALS = ("rival_phase_id", "rival_orientation", "rival_score")
# Where a pattern shows little more than one row of spots, matching turns a solution about it by several degrees, more
# than Bloch waves turn it back. What is offered is compared as it came unless a candidate is as close as this.
_CLOSE = np.deg2rad(1.0)
_MOST = 12  # solutions of the map that a grain is asked about beside


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
    """Records (n,) of patterns with the candidates that Bloch waves compare as their rivals.

    The best `_OF_A_PHASE` of each phase whose best is no worse than `rival_share` of the best of all; then what is
    offered, refined on the pattern, where the record doesn't hold it yet and it scores `rerank.candidate_share` of the
    first. What the record has in front stays there.

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
    distinct = float(np.deg2rad(engine.settings.match.distinct_deg))
    out = with_room(records, engine)
    phase, start = _best_of_each_phase(patterns, engine, threads=threads)
    of_map = np.full((len(records), _MOST), -1, dtype=np.int16), np.full((len(records), _MOST, 4), np.nan)
    for number, solutions in enumerate(offered):
        new = [(p, q) for p, q in solutions if not _held(out[number], p, q, engine, _CLOSE)][:_MOST]
        for place, (p, q) in enumerate(new):
            of_map[0][number, place], of_map[1][number, place] = p, q
    phase, start = np.concatenate([phase, of_map[0]], axis=1), np.concatenate([start, of_map[1]], axis=1)
    of_whole = patterns.sums[0]
    levels = noise_levels(of_whole, engine)
    found = engine.model.refine(
        patterns.whole, np.ascontiguousarray(phase), np.ascontiguousarray(start), levels, threads, of_whole
    )
    score = np.nan_to_num(found["score"], nan=-1.0)
    enough = score >= engine.settings.rerank.candidate_share * records["rival_score"][:, :1]
    last = phase.shape[1] - _MOST
    for number, record in enumerate(out):
        searched = [k for k in np.argsort(-score[number, :last], kind="stable") if enough[number, k]]
        for k in [*searched, *(last + np.flatnonzero(enough[number, last:]))]:
            p, q = int(phase[number, k]), found["orientation"][number, k]
            if k >= last and disorientation_angle(q, start[number, k], engine.symmetries[p]) > _CLOSE:
                q = start[number, k]
            full = k < last and (record["rival_phase_id"] == p).sum() >= _OF_A_PHASE
            if not full and not _held(record, p, q, engine, distinct if k < last else _CLOSE):
                place = int((record["rival_phase_id"] >= 0).sum())
                record["rival_phase_id"][place], record["rival_orientation"][place] = p, q
                record["rival_score"][place] = score[number, k]
    return out


def with_room(records: NDArray[Any], engine: Engine) -> NDArray[Any]:
    """Records (n,) with room for all candidates of Bloch waves, and of the rivals they hold the best of each phase."""
    width = len(engine.templates) * _OF_A_PHASE + _MOST
    names = records.dtype.names or ()
    kinds = {name: records.dtype[name] for name in names}
    shapes = {name: (width, *kind.shape[1:]) if name in _RIVALS else kind.shape for name, kind in kinds.items()}
    out = np.zeros(len(records), dtype=[(name, kinds[name].base, shapes[name]) for name in names])
    for name in names:
        if name not in _RIVALS:
            out[name] = records[name]
    out["rival_phase_id"], out["rival_orientation"], out["rival_score"] = -1, np.nan, np.nan
    for old, new in zip(records, out, strict=True):
        phase = old["rival_phase_id"]
        rank = [int((phase[:k] == p).sum()) for k, p in enumerate(phase)]
        kept = np.flatnonzero((phase >= 0) & (np.array(rank) < _OF_A_PHASE))
        for name in _RIVALS:
            new[name][: len(kept)] = old[name][kept]
    return out


def _best_of_each_phase(patterns: Patterns, engine: Engine, *, threads: int) -> tuple[NDArray[np.int16], Array]:
    """Phases (n, k) and orientations (n, k, 4) that a search for each phase alone finds; -1 and NaN: none."""
    sums = patterns.sums[1]
    levels = noise_levels(sums, engine)
    merit, orientation = [], []
    for number, (templates, of_templates) in enumerate(zip(engine.templates, engine.orientations, strict=True)):
        alone = replace(engine, templates=(templates,))
        level = levels[:, number : number + 1]
        found = match_phases(patterns.peaks, alone, level, sums, threads=threads)[0]
        place = found["template_id"]
        azimuth = found["azimuth"] + found["azimuth_offset"].astype(np.float64)
        merit.append(np.where(place < 0, -np.inf, found["score"] / level))
        orientation.append(
            matched_orientations(of_templates[np.maximum(place, 0)], found["mirrored"], azimuth, engine.grid.n_azimuths)
        )
    best = np.stack([m[:, 0] for m in merit], axis=1)  # (n, phases)
    competes = best >= engine.settings.rival_share * best.max(axis=1, keepdims=True)
    phase = np.concatenate(
        [np.where(np.isfinite(m) & competes[:, [p]], p, -1) for p, m in enumerate(merit)], axis=1
    ).astype(np.int16)
    return phase, np.where(phase[..., None] < 0, np.nan, np.concatenate(orientation, axis=1))


def _held(record: NDArray[Any], phase: int, orientation: Array, engine: Engine, distinct: float) -> bool:
    """Whether a record holds a solution."""
    near = record["rival_orientation"][record["rival_phase_id"] == phase]
    return bool((disorientation_angle(near, orientation, engine.symmetries[phase]) <= distinct).any())
