"""Whether the peaks of a pattern lie where an orientation has its spots more often than by chance.

A phase with many reflections finds an orientation for any few peaks, a hexagon of a foreign crystal say, of which it
then predicts fifty spots that are not there; a phase with few reflections meets two of six peaks and leaves four
unexplained. Both look well correlated. But peaks turned about the beam by any angle would meet as many spots.

Of N spots that an orientation predicts, n meet a peak; if the peaks were turned at random, a share q would. By
Chernoff's bound, n or more do so with a probability of at most

    exp(-N D(n/N || q)),   D(p || q) = p ln(p/q) + (1 - p) ln((1 - p)/(1 - q))      (Hoeffding 1963, eq. 2.1)

Spots opposite each other count half each, since by Friedel's law they are no independent witnesses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.indexing.candidates import refine_options

if TYPE_CHECKING:
    from nbedex.indexing.block import Engine

Array = NDArray[np.float64]


def chance_of(
    phase_id: NDArray[np.int16], orientation: Array, peaks: NDArray[np.float32], engine: Engine, *, threads: int = 0
) -> Array:
    """Probability (n,) that peaks in no relation to the orientation meet as many of its spots; 1 where there is none.

    Parameters
    ----------
    phase_id, orientation : (n,), (n, 4)
        One answer for each pattern; -1 where there is none.
    peaks : (n, rings, azimuths)
        Patterns of which only what stands out is above zero.
    engine
        From `make_engine`. A spot is met within `spot_radius`.
    threads
        0: all this process may use.
    """
    met = _core.spots_met(
        engine.crystals,
        engine.grid,
        peaks,
        np.ascontiguousarray(phase_id),
        np.ascontiguousarray(np.where(phase_id[:, None] < 0, 0.0, orientation)),
        engine.spot_radius,
        refine_options(engine, threads=threads),
    )
    return chance_bound(*met.T)


def chance_bound(predicted: Array, met: Array, chance: Array) -> Array:
    """The bound above for N, n and q, each (n,); 1 where no more are met than expected."""
    with np.errstate(divide="ignore", invalid="ignore"):
        p = met / predicted
        divergence = _times_log(p, chance) + _times_log(1 - p, 1 - chance)
        bound = np.exp(-predicted * divergence)
    return np.asarray(np.where((predicted > 0) & (p > chance), bound, 1.0))


def _times_log(p: Array, q: Array) -> Array:
    """p ln(p / q), 0 where p is 0."""
    return np.asarray(np.where(p > 0, p * np.log(p / q), 0.0))
