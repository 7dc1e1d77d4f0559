"""What the best of many templates scores on a pattern that has nothing to do with any of them.

A score is a sum over N bins of template times pattern, both of zero mean and unit norm. When the two are unrelated,
it is a random variable of mean 0, variance 1/N and third cumulant S_t S_p / N, with S = sum of cubes. A pattern of a
few counts is mostly zeros with some tall bins, and its scores have a long tail upwards; so the tail is taken from the
Poisson distribution with these cumulants (steps of height b = S_t S_p), by Chernoff's bound, rather than from the
normal one: the largest of M scores lies near the x with

    h(b N x) = N b^2 ln M,   h(u) = (1 + u) ln(1 + u) - u        (Bennett 1962)

which becomes sqrt(2 ln M / N), the normal distribution's, for small b. Measured on noise of many kinds the largest
score is 0.7 to 1.1 times this (tests/faults/test_index_status.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.indexing.settings import MatchSettings
from nbedex.library import Spots

Array = NDArray[np.float64]


def skewness(sums: Array, n_bins: int) -> Array:
    """S_p of patterns: sum of cubes of all bins at zero mean and unit norm; 0 where all are equal.

    Parameters
    ----------
    sums : (n, 3) float64
        Of first, second and third powers, `_core.power_sums`.
    n_bins
        Polar bins of a pattern.
    """
    first, second, third = np.moveaxis(sums, -1, 0)
    mean = first / n_bins
    squares = second - n_bins * mean * mean
    cubes = third - 3 * mean * second + 2 * n_bins * mean * mean * mean
    flat = ~(squares > 1e-12 * second)  # what rounding leaves of equal values
    return np.where(flat, 0.0, cubes / np.where(flat, 1.0, squares * np.sqrt(np.abs(squares))))


def template_skewness(spots: Spots, grid: _core.PolarGrid, settings: MatchSettings) -> float:
    """Median over templates of S_t: sum of cubes of the values searched for, at unit norm; 1 where it is one spot."""
    k = np.hypot(spots.kx, spots.ky)
    used = (k >= grid.k_min) & (k < grid.k_max)
    value = np.where(used, spots.intensity.astype(np.float64) ** settings.template_exponent, 0.0)
    if settings.max_spots:
        of_template = np.repeat(np.arange(len(spots.orientation)), np.diff(spots.offset))
        order = np.lexsort((-value, of_template))
        rank = np.arange(len(value)) - np.repeat(spots.offset[:-1], np.diff(spots.offset))
        value[order[rank >= settings.max_spots]] = 0.0
    filled = np.diff(spots.offset) > 0
    starts = spots.offset[:-1][filled]
    if not len(starts):
        return 1.0
    squares = np.add.reduceat(value**2, starts)
    cubes = np.add.reduceat(value**3, starts)
    some = squares > 0
    return float(np.median(cubes[some] / squares[some] ** 1.5)) if some.any() else 1.0


def noise_level(
    skewness: Array, *, template_skewness: Array | float, n_templates: Array | int, n_azimuths: int, n_bins: int
) -> Array:
    """Score (n,) that the best of all templates, angles and mirror images reaches on unrelated patterns.

    Parameters
    ----------
    skewness : (n,) float64
        S_p of the patterns.
    template_skewness, n_templates
        S_t of the templates, and how many are tried; arrays are broadcast against `skewness`.
    n_azimuths
        How many in-plane angles are tried.
    n_bins
        Polar bins of a pattern.
    """
    log_trials = np.log(2.0 * np.maximum(n_templates, 1) * n_azimuths)
    step = np.maximum(np.asarray(skewness, dtype=np.float64) * template_skewness, 1e-6)
    target = n_bins * step**2 * log_trials
    # Newton's method from above on h(u) = target; h is convex and h'(u) = ln(1 + u).
    u = np.sqrt(2 * target) + target
    for _ in range(8):  # to 1e-12 for targets from 1e-8 to 1e8; always as many, so that patterns don't depend on others
        u = u - ((1 + u) * np.log1p(u) - u - target) / np.log1p(u)
    return np.asarray(u / (n_bins * step))
