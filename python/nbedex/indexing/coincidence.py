"""Whether the peaks of a pattern lie where an orientation has its spots more often than by chance.

A phase with many reflections finds an orientation for any few peaks, a hexagon of a foreign crystal say, of which it
then predicts fifty spots that are not there; a phase with few reflections meets two of six peaks and leaves four
unexplained. Both look well correlated. But peaks turned about the beam by any angle would meet as many spots.

Of N spots that an orientation predicts, n meet a peak; if the peaks were turned at random, a share q would. By
Chernoff's bound, n or more do so with a probability of at most

    exp(-N D(n/N || q)),   D(p || q) = p ln(p/q) + (1 - p) ln((1 - p)/(1 - q))      (Hoeffding 1963, eq. 2.1)

Where counts are few, faint spots are missing from right answers, too. So the bound is taken for the N strongest of all
spots predicted, the N from eight on that makes it least; what counts as chance allows for the choice.

Spots opposite each other count half each, since by Friedel's law they are no independent witnesses. A right answer of
three pairs of spots does not pass this test either, so whoever explains the pattern needs none: most of the peaks'
light, by an orientation of which a good part is there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbedex.indexing.engine import Engine

Array = NDArray[np.float64]

# An answer explains a pattern if it predicts at least this share of the peaks' light, and of what it predicts at least
# that share of the spots is there (docs/decisions/no-phase-fits.md).
LEAST_LIGHT, LEAST_MET = 0.5, 0.25
_CORE = 2 / 3  # of the radius of a spot: light farther out is not that of a well placed spot
_NEIGHBOURS = 3  # lit ones that a bin needs to count: single electrons seldom have them


def coincidental(
    phase_id: NDArray[np.int16], orientation: Array, peaks: NDArray[np.float32], engine: Engine, *, threads: int = 0
) -> NDArray[np.bool_]:
    """Where (n,) an answer meets no more peaks than chance would, and does not explain the pattern either.

    Parameters
    ----------
    phase_id, orientation : (n,), (n, 4)
        One answer for each pattern; -1 where there is none.
    peaks : (n, rings, azimuths)
        Patterns of which only what stands out is above zero.
    engine
        From `make_engine`. A spot is met within `spot_radius`; `max_chance` of its options is what counts as chance.
    threads
        0: all this process may use.
    """
    orientation, phase_id = np.require(orientation, None, ["C", "A"]), np.require(phase_id, None, ["C", "A"])
    most = engine.settings.match.max_chance
    predicted, met, chance = engine.model.spots_met(peaks, phase_id, orientation, engine.spot_radius, threads, most).T
    doubtful = chance > most
    open_to_doubt = np.flatnonzero(doubtful & (met >= LEAST_MET * predicted) & (met > 0))
    if len(open_to_doubt):
        mask = engine.model.spot_mask(
            phase_id[open_to_doubt], orientation[open_to_doubt], _CORE * engine.spot_radius, threads
        )
        doubtful[open_to_doubt] = explained_light(peaks[open_to_doubt], mask != 0, engine) < LEAST_LIGHT
    return np.asarray(doubtful)


def explained_light(peaks: NDArray[np.float32], mask: NDArray[np.bool_], engine: Engine) -> Array:
    """Share (n,) of the light in the peaks (n, rings, azimuths) that lies under the mask."""
    grid = engine.grid
    lit = peaks > 0
    above_below = np.pad(lit, ((0, 0), (1, 1), (0, 0))).astype(np.int8)
    column = above_below[:, :-2] + above_below[:, 1:-1] + above_below[:, 2:]
    near = column + np.roll(column, 1, axis=2) + np.roll(column, -1, axis=2)
    pattern, ring, azimuth = np.nonzero(lit & (near > _NEIGHBOURS))
    radius = grid.k_min + (ring + 0.5) * (grid.k_max - grid.k_min) / grid.n_rings
    light = peaks[pattern, ring, azimuth].astype(np.float64) ** (1 / engine.settings.preprocess.exponent) * radius
    total, under = (
        np.bincount(pattern, weights, len(peaks)) for weights in (light, light * mask[pattern, ring, azimuth])
    )
    return np.asarray(under / np.where(total > 0, total, 1.0))
