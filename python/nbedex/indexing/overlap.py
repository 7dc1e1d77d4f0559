"""Further crystals in the path of the beam, found in what the first one leaves of a pattern.

Where a boundary is inclined, a pattern is the sum of those of both crystals. The spots of the first crystal, all that
its orientation excites, are cut out of the pattern, and the rest is searched and refined like a pattern of its own;
then once more for a third crystal. An answer counts if it is more probably right than wrong and not the first again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nbedex.indexing.candidates import Candidates
from nbedex.indexing.confidence import Evidence
from nbedex.indexing.engine import Engine
from nbedex.indexing.patterns import Patterns
from nbedex.maps.orientation import disorientation_angle

if TYPE_CHECKING:
    from collections.abc import Callable

    Solve = Callable[[Patterns], tuple[Candidates, Evidence]]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Overlap:
    """Of n patterns, up to m crystals after the first; the strongest evidence first.

    Attributes
    ----------
    phase_id : (n, m) int16
        -1: there is none.
    orientation : (n, m, 4) float64
        NaN where there is none.
    share : (n, m) float64
        Of the intensity in spots, background taken off; spots of several crystals count for the earlier one.
    probability : (n, m) float64
    """

    phase_id: NDArray[np.int16]
    orientation: Array
    share: Array
    probability: Array


def further_crystals(
    phase_id: NDArray[np.int16],
    orientation: Array,
    patterns: Patterns,
    engine: Engine,
    solve: Solve,
    *,
    threads: int = 0,
) -> Overlap:
    """What is left of n patterns without the crystals found, solved again and again.

    Parameters
    ----------
    phase_id, orientation : (n,), (n, 4)
        The first crystals; -1 where there is none, and then no other is looked for.
    patterns
        With all crystals.
    engine
        From `make_engine`.
    solve
        From patterns to candidates and their evidence.
    threads
        0: all this process may use.
    """
    options = engine.settings.overlap
    n, m = len(patterns.whole), options.max_crystals - 1
    found = Overlap(
        phase_id=np.full((n, m), -1, dtype=np.int16),
        orientation=np.full((n, m, 4), np.nan),
        share=np.full((n, m), np.nan),
        probability=np.full((n, m), np.nan),
    )
    intensity = spot_intensity(patterns.whole, engine)
    phases, orientations = [phase_id], [orientation]
    masks = [spot_mask(phases[0], orientations[0], engine, threads=threads)]
    todo = np.flatnonzero(phases[0] >= 0)
    for number in range(m):
        if not len(todo):
            break
        taken = np.logical_or.reduce([mask[todo] for mask in masks])
        rest = (np.where(taken, np.float32(0), all_of[todo]) for all_of in (patterns.whole, patterns.peaks))
        answer, evidence = solve(Patterns.of(*rest, threads=threads))
        probability = evidence.probability()
        new_phase, new = answer.phase_id[:, 0], answer.orientation[:, 0]
        counts = (new_phase >= 0) & (probability > options.min_probability)
        counts &= evidence.above_noise(engine.settings.match.noise_factor)
        for earlier_phase, earlier in zip(phases, orientations, strict=True):
            counts &= ~same_crystal(new_phase, new, earlier_phase[todo], earlier[todo], engine)
        todo = todo[counts]
        found.phase_id[todo, number] = new_phase[counts]
        found.orientation[todo, number] = new[counts]
        found.probability[todo, number] = probability[counts]
        phases.append(found.phase_id[:, number])
        orientations.append(found.orientation[:, number])
        masks.append(spot_mask(phases[-1], orientations[-1], engine, threads=threads))
    _fill_shares(found, intensity, masks)
    return found


def spot_intensity(polar: NDArray[np.float32], engine: Engine) -> Array:
    """Intensity of every bin (n, rings, azimuths) above the background: the exponent undone, times the bin's area."""
    grid = engine.grid
    rings = grid.k_min + (np.arange(grid.n_rings) + 0.5) * (grid.k_max - grid.k_min) / grid.n_rings
    return np.asarray(polar.astype(np.float64) ** (1 / engine.settings.preprocess.exponent) * rings[:, None])


def spot_mask(
    phase_id: NDArray[np.int16], orientation: Array, engine: Engine, *, threads: int = 0
) -> NDArray[np.bool_]:
    """(n, rings, azimuths) True near the spots that crystals (n,) at orientations (n, 4) excite."""
    # columns of records are neither contiguous nor aligned
    of, turned = np.require(phase_id, None, ["C", "A"]), np.require(orientation, None, ["C", "A"])
    mask = engine.model.spot_mask(of, turned, engine.spot_radius, threads)
    return mask.view(np.bool_)


def same_crystal(
    phase_id: NDArray[np.int16], orientation: Array, other_phase: NDArray[np.int16], other: Array, engine: Engine
) -> NDArray[np.bool_]:
    """Where two answers (n,) are one crystal: the same phase, orientations that do not count as distinct."""
    limit = np.deg2rad(engine.settings.match.distinct_deg)
    same = np.zeros(len(phase_id), dtype=bool)
    for number, symmetry in enumerate(engine.symmetries):
        both = (phase_id == number) & (other_phase == number)
        same[both] = disorientation_angle(orientation[both], other[both], symmetry) < limit
    return same


def _fill_shares(found: Overlap, intensity: Array, masks: list[NDArray[np.bool_]]) -> None:
    free = np.ones(intensity.shape, dtype=bool)
    sums = []
    for mask in masks:
        sums.append((intensity * (mask & free)).sum(axis=(1, 2)))
        free &= ~mask
    total = np.sum(sums, axis=0)
    for number, of_crystal in enumerate(sums[1:]):
        there = found.phase_id[:, number] >= 0
        found.share[there, number] = of_crystal[there] / total[there]
