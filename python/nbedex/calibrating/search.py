"""Where the fit of rings starts: a sharp ellipse without knowing the phase, then the scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.calibrating.geometry import distortion
from nbedex.calibrating.polar import PolarBins
from nbedex.calibrating.powder import Rings
from nbedex.calibrating.rings import RingProblem, noise_weight, rings_within

Array = NDArray[np.float64]

_LARGEST = 0.1  # |log E|: a ratio of 1.22
_DISTINCT = 0.03  # relative difference of scales that are not the same answer
_WIDTH = 2.5  # pixels, of rings while their scale is looked for


@dataclass(frozen=True, kw_only=True)
class ScaleCandidate:
    """A pixel size (1/angstrom) at which the rings look like the phase's, with their likeness, -1 to 1."""

    pixel_size: float
    likeness: float


def sharpest(bins: PolarBins, *, fit_center: bool = True) -> Array:
    """p, q and shift of the middle (column, row) in pixels at which the pattern's rings are sharpest (4,).

    Sharp: intensities without the sectors' backgrounds are a function of the corrected radius alone.
    """
    from scipy.optimize import minimize

    problem = RingProblem.of(bins, noise_weight(bins))

    def blur(x: Array) -> float:
        inverse = np.linalg.inv(distortion(x[0], x[1]))
        column, row = np.tensordot(inverse, np.stack([bins.column - x[2], bins.row - x[3]]), axes=1)
        # linear sharing between neighbouring bins makes it smooth in x
        r = np.hypot(column, row).ravel()
        r = np.maximum(r - r.min(), 0.0)
        low = np.floor(r).astype(np.intp)
        share = r - low
        data, counts = problem.data.ravel(), (bins.pixels.ravel() > 0).astype(np.float64)
        n = low.max() + 2
        total = np.bincount(low, data * (1 - share), n) + np.bincount(low + 1, data * share, n)
        weight = np.bincount(low, counts * (1 - share), n) + np.bincount(low + 1, counts * share, n)
        return -float(np.sum(total**2 / np.maximum(weight, 1.0)))

    grid = np.linspace(-_LARGEST, _LARGEST, 17)
    best = min(((p, q) for p in grid for q in grid if np.hypot(p, q) <= _LARGEST), key=lambda pq: blur(np.r_[pq, 0, 0]))
    scales = np.array([0.006, 0.006, 1.0, 1.0] if fit_center else [0.006, 0.006])

    def scaled(values: Array) -> float:
        return blur(np.r_[values * scales, np.zeros(4 - len(values))])

    start = np.r_[best, 0.0, 0.0][: len(scales)] / scales
    done = minimize(scaled, start, method="Nelder-Mead", options={"maxfev": 400, "xatol": 0.02, "fatol": 0.0})
    return np.asarray(np.r_[done.x * scales, np.zeros(4 - len(scales))])


def find_scales(
    bins: PolarBins, rings: Rings, shape: Array, *, low: float, high: float, wanted: int = 4
) -> list[ScaleCandidate]:
    """Pixel sizes between `low` and `high` at which the rings look most like the phase's, best first.

    Parameters
    ----------
    bins, rings
        Pattern and phase; rings up to `high` times the largest radius.
    shape : (4,) float64
        From `sharpest`.
    low, high
        Limits of the pixel size, 1/angstrom.
    wanted
        At most so many; they differ by 3 % or more.
    """
    problem = RingProblem.of(bins, noise_weight(bins))
    steps = max(2, int(np.ceil(np.log(high / low) / 0.006)) + 1)
    sizes = np.geomspace(low, high, steps)
    values = np.array([_likeness(problem, rings, shape, size) for size in sizes])
    found: list[ScaleCandidate] = []
    padded = np.r_[-np.inf, values, -np.inf]
    peaks = np.flatnonzero((values >= padded[:-2]) & (values >= padded[2:]))
    for place in peaks[np.argsort(-values[peaks])]:
        size = float(sizes[place])
        if all(abs(np.log(size / other.pixel_size)) > _DISTINCT for other in found):
            found.append(ScaleCandidate(pixel_size=size, likeness=float(values[place])))
        if len(found) == wanted:
            break
    return found


def _likeness(problem: RingProblem, rings: Rings, shape: Array, pixel_size: float) -> float:
    seen = rings_within(rings, problem.bins, pixel_size)
    if not len(seen):
        return -1.0
    return problem.likeness(np.r_[np.log(pixel_size), shape, np.log(_WIDTH), 0.0, 0.0], seen)
