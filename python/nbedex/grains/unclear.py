"""Regions of a map whose pixels agree on nothing, settled by Bloch waves.

Where grains meet whose patterns fit several orientations each, pixels choose at random, patches are too small to be
grains, and no phase is left there. Some of the region's patterns are asked about all solutions that its pixels hold; as
few solutions as explain them are kept, and every pixel takes the one that its surroundings speak for.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nbedex.grains.bloch_evidence import BlochEngine
from nbedex.grains.local_means import LocalMeans
from nbedex.grains.model import GrainMap, Role
from nbedex.grains.rivals import Held, spread_evenly
from nbedex.indexing.rerank import rerank_patterns
from nbedex.maps import IndexingResult, Status, disorientation_angle
from nbedex.scan import Scan

Array = NDArray[np.float64]
Solutions = list[tuple[int, Array]]

_LEAST = 10  # pixels that have a phase; smaller regions are left alone
_MOST_SOLUTIONS, _MOST_PATTERNS = 8, 48
_WORTH = 25.0  # evidence that another solution must add
_AT_MOST = 30.0  # what one pattern can say against a solution
_SURROUNDINGS = 5  # patterns whose evidence is added up


def settle_unclear(
    scan: Scan,
    result: IndexingResult,
    grain_map: GrainMap,
    engine: BlochEngine,
    *,
    distinct: float,
    threads: int = 0,
) -> tuple[IndexingResult, NDArray[np.bool_]]:
    """The map with regions that have no phase settled, and where it is new.

    Parameters
    ----------
    scan, result, grain_map
        The scan, its map, and the regions of that.
    engine
        For Bloch waves.
    distinct
        Orientations closer than this (radians) are one.
    threads
        0: all available. The result doesn't depend on it.
    """
    names = ("phase_id", "orientation", "probability")
    flat = {n: getattr(result, n).reshape(result.phase_id.size, *getattr(result, n).shape[2:]).copy() for n in names}
    changed = np.zeros(result.phase_id.size, dtype=bool)
    held = Held.of(grain_map.source)
    label = grain_map.grain_id.ravel()
    usable = (flat["phase_id"] >= 0) & (result.status.ravel() == Status.OK)
    symmetries = tuple(phase.symmetry for phase in grain_map.source.phases)
    means = LocalMeans(scan, result.center, grain_map.grain_id)
    for region in np.flatnonzero(grain_map.grains.role == Role.NOT_INDEXED):
        pixels = np.flatnonzero((label == region) & usable)
        if len(pixels) < _LEAST:
            continue
        solutions = _held_by_most(held[spread_evenly(pixels)], symmetries, distinct)
        asked = pixels[((np.arange(min(len(pixels), _MOST_PATTERNS)) + 0.5)
                        * len(pixels) / min(len(pixels), _MOST_PATTERNS)).astype(np.intp)]  # fmt: skip
        phases = np.array([phase for phase, _ in solutions])
        found = rerank_patterns(
            *means.at(asked),
            np.broadcast_to(np.stack([q for _, q in solutions]), (len(asked), len(solutions), 4)),
            np.broadcast_to(phases, (len(asked), len(solutions))),
            np.zeros((len(asked), len(solutions))),
            engine.engine,
            mask=engine.mask,
            threads=threads,
        )
        evidence = np.nan_to_num(found.evidence, nan=-np.inf)
        kept = few_that_explain(evidence)
        place = np.stack(np.divmod(pixels, result.shape[1]), axis=1)
        of_asked = np.stack(np.divmod(asked, result.shape[1]), axis=1)
        away = ((place[:, None] - of_asked[None]) ** 2).sum(axis=-1)
        around = np.argsort(away, axis=1, kind="stable")[:, :_SURROUNDINGS]
        says = np.maximum(evidence - evidence.max(axis=1, keepdims=True), -_AT_MOST)[:, kept][around].sum(axis=1)
        choice = np.array(kept)[says.argmax(axis=1)]
        own = held[pixels]
        for k in kept:
            mine = np.flatnonzero(choice == k)
            near = own[mine].near(int(phases[k]), solutions[k][1], symmetries[phases[k]], distinct)
            holds, which = near.any(axis=1), near.argmax(axis=1)
            closest = away[mine].argmin(axis=1)
            new = np.where(np.asarray(holds)[:, None], own.orientation[mine, which], found.orientation[closest, k])
            before = flat["orientation"][pixels[mine]]
            away_from_it = disorientation_angle(before, new, symmetries[phases[k]]) > distinct
            new_one = np.logical_or(flat["phase_id"][pixels[mine]] != phases[k], away_from_it)
            taking = pixels[mine[new_one]]
            flat["phase_id"][taking], flat["orientation"][taking] = phases[k], new[new_one]
            flat["probability"][taking] = np.fmin(flat["probability"][taking], 0.5)
            changed[taking] = True
    shaped = {name: values.reshape(getattr(result, name).shape) for name, values in flat.items()}
    return replace(result, **shaped), changed.reshape(result.shape)


def few_that_explain(evidence: Array) -> list[int]:
    """The least solutions that explain patterns.

    Parameters
    ----------
    evidence : (m, k) float64
        What speaks for every solution in every pattern; -inf where it was not tried.

    Returns
    -------
    list of int
        Solutions, the one that explains most first; each adds at least `_WORTH` to what is explained.
    """
    against = np.minimum(evidence.max(axis=1, keepdims=True) - evidence, _AT_MOST)
    kept = [int(against.sum(axis=0).argmin())]
    left = against[:, kept[0]]
    while True:
        gain = np.maximum(left[:, None] - against, 0.0).sum(axis=0)
        if gain.max() < _WORTH:
            return kept
        kept.append(int(gain.argmax()))
        left = np.minimum(left, against[:, kept[-1]])


def _held_by_most(held: Held, symmetries: tuple[Array, ...], distinct: float) -> Solutions:
    """Distinct solutions that the most pixels hold, and, of those held by as many, the better scored."""
    left = held.phase >= 0
    found: Solutions = []
    while left.any() and len(found) < _MOST_SOLUTIONS:
        best: tuple[int, float, tuple[int, Array], NDArray[np.bool_]] | None = None
        places = np.argwhere(left)
        for pixel, rank in places[:: max(1, len(places) // 64)]:
            phase, seed = int(held.phase[pixel, rank]), held.orientation[pixel, rank]
            which = held.near(phase, seed, symmetries[phase], distinct, left)
            size, score = int(which.any(axis=1).sum()), float(held.score[which].sum())
            if best is None or (size, score) > best[:2]:
                best = size, score, (phase, seed), which
        assert best is not None
        found.append(best[2])
        left &= ~best[3]
    return found
