"""How far an answer can be trusted: above noise or not, the probability that it is right, how exact it is.

Three numbers carry what there is to know, all from one pattern (docs/decisions/confidence.md):

    a = ln(s / s_0)  score of the winner in the search, against what the best of all templates reaches on a pattern
                     of the same bins in no order (`noise`)
    b                the same for the score after refinement, on the whole pattern
    c = ln(1 + L)    L = N/2 ln((1 - r^2) / (1 - s^2)): logarithm of the likelihood ratio of winner (score s) and best
                     distinct rival of any phase (r), if all N bins erred independently and alike

The probability is a logistic function of them. Its coefficients were fitted to the tuning split of the validation kit
(13 conditions, three phases, noise, crystals that are not in the library: bench/accuracy/fit_confidence.py); nothing of
the held-out split was used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# constant, a, b, c
COEFFICIENTS = (-2.68, 1.975, 0.670, 1.287)
# By what the errors of a kinematical model exceed those of N independent bins: 68 % of the errors of right answers lie
# within sqrt(INFLATION) times the error that bins alone would give.
INFLATION = 15.0
# Of the search among the two multiples of noise: noise of 2,000 counts and more stays below 0.95 then, right answers
# at the fewest counts and the strongest beams above 1.0; with equal weights a twentieth of these would be lost.
SEARCH_WEIGHT = 0.7


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known about the winners of n patterns.

    Attributes
    ----------
    searched, refined : (n,) float64
        Its score in the search and after refinement, each as a multiple of what noise would reach. Equal where there
        was no refinement.
    score, rival : (n,) float64
        Final score, and that of the best distinct rival of any phase; NaN where there is none.
    spread : (n,) float64
        Flatness of the maximum, radians^2; NaN without refinement.
    n_bins
        Bins of a pattern.
    """

    searched: Array
    refined: Array
    score: Array
    rival: Array
    spread: Array
    n_bins: int

    def above_noise(self, factor: float) -> NDArray[np.bool_]:
        """Where the weighted geometric mean of both multiples exceeds `factor`."""
        searched, refined = np.maximum(self.searched, 0.0), np.maximum(self.refined, 0.0)
        return np.asarray(searched**SEARCH_WEIGHT * refined ** (1 - SEARCH_WEIGHT) > factor)

    def probability(self) -> Array:
        """(n,) that phase and orientation (within 2 degrees) are right."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.n_bins / 2 * np.log((1 - np.nan_to_num(self.rival) ** 2) / (1 - self.score**2))
            constant, a, b, c = COEFFICIENTS
            logit = constant + a * np.log(self.searched) + b * np.log(self.refined) + c * np.log1p(np.maximum(ratio, 0))
            return np.asarray(np.where(self.score > 0, 1 / (1 + np.exp(-logit)), 0.0))

    def uncertainty_deg(self) -> Array:
        """(n,) angle within which 68 % of right answers lie, from the score's curvature; NaN without a maximum."""
        variance = INFLATION * self.spread * (1 - self.score**2) / self.n_bins
        return np.asarray(np.where(np.isfinite(variance), np.rad2deg(np.sqrt(np.maximum(variance, 0.0))), np.nan))
