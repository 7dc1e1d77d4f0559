"""Scale and ellipse from single crystals: where indexed patterns have their spots, and where they should be.

A pattern's own in-plane angle and beam position are free, so that what is left is what all patterns have in common:
d = exp(S) M k + turn + shift, with M of the calibration so far and S symmetric; linear in small S, turn and shift.
A tilt of the crystal moves spots near the Ewald sphere only in second order, so the grid's step does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nbedex.calibrating.geometry import DetectorFit, logarithm
from nbedex.calibration import Calibration

Array = NDArray[np.float64]

_REACH = 4  # pixels around a predicted spot that are looked at
_LEAST_CONTRAST = 6.0  # standard deviations of the surroundings
_OUTLIER = 2.5
_USUAL = 0.02  # of p and q where they are not known: ratios up to about 1.04


@dataclass(frozen=True, eq=False, kw_only=True)
class PatternSpots:
    """Spots of one indexed pattern that were found.

    Attributes
    ----------
    index
        Number of the pattern in the scan.
    center : (2,) float64
        Row and column of the direct beam used, pixels.
    k : (n, 2) float64
        Predicted scattering vectors in the sample frame, 1/angstrom.
    place : (n, 2) float64
        Found (column, row) relative to `center`, pixels.
    """

    index: int
    center: Array
    k: Array
    place: Array


@dataclass(frozen=True, eq=False, kw_only=True)
class SpotFit:
    """What the spots say.

    Attributes
    ----------
    detector
        Scale and ellipse.
    before, after : float
        Median distance between found and predicted spots with the calibration as it was and as it is, pixels; both
        with each pattern's best in-plane angle and beam position.
    patterns, spots
        How many were used.
    turns : (patterns,) float64
        Turn of each pattern against its prediction, radians.
    shifts : (patterns, 2) float64
        (column, row) of each pattern's middle relative to its `center`, pixels.
    residuals : tuple of (n, 2) float64
        Found minus predicted (column, row) of each pattern's spots, pixels.
    """

    detector: DetectorFit
    before: float
    after: float
    patterns: int
    spots: int
    turns: Array
    shifts: Array
    residuals: tuple[Array, ...]


def find_spots(
    frame: NDArray[np.generic],
    predicted: Array,
    *,
    mask: NDArray[np.uint8] | None = None,
    wanted: NDArray[np.bool_] | None = None,
) -> Array:
    """Centroids (n, 2) as column, row near predicted places (n, 2) as column, row; NaN where there is no clear spot.

    Spots closer to each other than twice the reach, near the edge or on masked pixels are left out. Of those that are
    not `wanted` (n,) only the places count.
    """
    image = np.asarray(frame, dtype=np.float64)
    found = np.full((len(predicted), 2), np.nan)
    distance = np.linalg.norm(predicted[:, None] - predicted[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    alone = distance.min(axis=1, initial=np.inf) > 1.5 * _REACH
    if wanted is not None:
        alone &= wanted
    offsets = np.arange(-_REACH, _REACH + 1)
    limit = np.array(image.shape[::-1]) - 1 - 2 * _REACH
    for number in np.flatnonzero(alone):
        place = predicted[number].copy()
        for _ in range(4):
            if not ((place > 2 * _REACH) & (place < limit)).all():
                break
            corner = np.round(place).astype(int)
            window = np.s_[corner[1] - _REACH : corner[1] + _REACH + 1, corner[0] - _REACH : corner[0] + _REACH + 1]
            patch = image[window]
            if not np.isfinite(patch).all() or (mask is not None and mask[window].any()):
                break
            light, noise = _above_rim(patch)
            if light.sum() < _LEAST_CONTRAST * noise * np.sqrt(light.size) or light.max() < 3 * noise:
                break
            new = corner + np.array([light.sum(axis=0) @ offsets, light.sum(axis=1) @ offsets]) / light.sum()
            moved, place = np.abs(new - place).max(), new
            if moved < 0.02:
                break
        else:
            moved = 0.0
        if np.linalg.norm(place - predicted[number]) < _REACH and not np.array_equal(place, predicted[number]):
            found[number] = place
    return found


@lru_cache(maxsize=4)
def _places(n: int) -> tuple[Array, Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Of a patch's n x n pixels, n odd: x, y from its middle, and which lie on its rim and within its disk."""
    y, x = (np.mgrid[:n, :n] - n // 2).astype(np.float64)
    return x, y, np.maximum(abs(x), abs(y)) == n // 2, np.hypot(x, y) <= n // 2


def _above_rim(patch: Array) -> tuple[Array, float]:
    """Light above the plane through the patch's rim, by least squares, within a disk, and the rim's scatter."""
    x, y, rim, disk = _places(len(patch))
    level, along = patch[rim], np.sum(x[rim] ** 2)
    # the rim is symmetric: mean and both slopes are independent
    plane = level.mean() + (x[rim] @ level / along) * x + (y[rim] @ level / along) * y
    light = patch - plane
    noise = float(np.sqrt(np.mean(light[rim] ** 2)))
    noise = max(noise, 1e-9 * float(np.abs(patch).max()), 1e-300)
    return np.where(disk, np.clip(light - noise, 0, None), 0.0), noise


def fit_spots(patterns: list[PatternSpots], calibration: Calibration, *, ellipse: bool = True) -> SpotFit:
    """Fit scale and ellipse to the spots of many patterns, from a calibration that is nearly right.

    Parameters
    ----------
    patterns
        Spots found and predicted.
    calibration
        What predicted them.
    ellipse
        False: the ellipse stays as it is, and its uncertainty is what cameras have, a few per cent.
    """
    free = np.arange(3) if ellipse else np.arange(1)
    base = calibration.detector_from_sample()
    strain = np.zeros(3)  # of log d: scale, p, q
    first = _solve(patterns, base, strain, None, free)
    weights: list[Array] | None = None
    solution = first
    for _ in range(8):
        solution = _solve(patterns, base, strain, weights, free)
        strain = strain + solution.step
        lengths = [np.linalg.norm(r, axis=1) for r in solution.residuals]
        spread = 1.4826 * float(np.median(np.concatenate(lengths))) + 1e-9
        weights = [1 / (1 + (r / (_OUTLIER * spread)) ** 2) for r in lengths]
        if np.abs(solution.step).max() < 1e-7:
            break
    covariance = np.zeros((3, 3))
    covariance[np.ix_(free, free)] = _jackknife(solution, free)
    if not ellipse:
        covariance += _from_unknown_ellipse(solution)
    log_size, p, q = _combined(strain, calibration)
    return SpotFit(
        detector=DetectorFit(log_pixel_size=log_size, p=p, q=q, covariance=covariance),
        before=float(np.median(np.concatenate([np.linalg.norm(r, axis=1) for r in first.start]))),
        after=float(np.median(np.concatenate([np.linalg.norm(r, axis=1) for r in solution.residuals]))),
        patterns=len(patterns),
        spots=sum(len(p.k) for p in patterns),
        turns=solution.nuisance[:, 0],
        shifts=solution.nuisance[:, 1:],
        residuals=solution.residuals,
    )


@dataclass(frozen=True, eq=False)
class _Solution:
    step: Array  # (3,) to add to the strain
    normals: list[Array]  # of each pattern
    sides: list[Array]
    nuisance: Array  # (patterns, 3): turn, shift
    residuals: tuple[Array, ...]  # after
    start: tuple[Array, ...]  # with best turn and shift, without the step


def _solve(
    patterns: list[PatternSpots], base: Array, strain: Array, weights: list[Array] | None, free: NDArray[np.intp]
) -> _Solution:
    """One Gauss-Newton step for the strain, with turn and shift of every pattern eliminated."""
    matrix = strained(strain) @ base
    normals, sides, kept = [], [], []
    for number, pattern in enumerate(patterns):
        at = pattern.k @ matrix.T
        x, y = at.T
        n = len(at)
        common = np.zeros((n, 2, 3))
        common[:, 0], common[:, 1] = np.stack([x, x, y], axis=1), np.stack([y, -y, x], axis=1)
        own = np.zeros((n, 2, 3))
        own[:, 0], own[:, 1] = np.stack([-y, np.ones(n), 0 * x], axis=1), np.stack([x, 0 * x, np.ones(n)], axis=1)
        w = np.repeat(np.sqrt(weights[number]) if weights else np.ones(n), 2)[:, None]
        a, b, e = common.reshape(-1, 3), own.reshape(-1, 3), (pattern.place - at).ravel()
        basis, _ = np.linalg.qr(w * b)
        a_w, e_w = w * a, w[:, 0] * e
        a_w, e_w = a_w - basis @ (basis.T @ a_w), e_w - basis @ (basis.T @ e_w)
        normals.append(a_w.T @ a_w)
        sides.append(a_w.T @ e_w)
        kept.append((a, b, e, w))
    step = np.zeros(3)
    step[free] = np.linalg.lstsq(np.sum(normals, axis=0)[np.ix_(free, free)], np.sum(sides, axis=0)[free], rcond=None)[
        0
    ]
    nuisance, residuals, start = [], [], []
    for a, b, e, w in kept:
        rest = e - a @ step
        own_step = np.linalg.lstsq(w * b, w[:, 0] * rest, rcond=None)[0]
        nuisance.append(own_step)
        residuals.append((rest - b @ own_step).reshape(-1, 2))
        start.append((e - b @ np.linalg.lstsq(w * b, w[:, 0] * e, rcond=None)[0]).reshape(-1, 2))
    return _Solution(step, normals, sides, np.array(nuisance), tuple(residuals), tuple(start))


def strained(strain: Array) -> Array:
    """exp of [[s + p, q], [q, s - p]]."""
    from scipy.linalg import expm

    s, p, q = strain
    return np.asarray(expm(np.array([[s + p, q], [q, s - p]])))


def _jackknife(solution: _Solution, free: NDArray[np.intp]) -> Array:
    """Covariance of (log pixel size, p, q) from leaving out one pattern at a time; from the residuals with few."""
    normals, sides = [a[np.ix_(free, free)] for a in solution.normals], [b[free] for b in solution.sides]
    total, side = np.sum(normals, axis=0), np.sum(sides, axis=0)
    n = len(normals)
    rest = np.concatenate([r.ravel() for r in solution.residuals])
    freedom = max(rest.size - 3 - 3 * n, 1)
    white = np.linalg.pinv(total) * float(rest @ rest) / freedom
    if n < 4:
        return np.asarray(white)
    steps = np.array([
        np.linalg.lstsq(total - a, side - b, rcond=None)[0]
        for a, b in zip(normals, sides, strict=True)
    ])  # fmt: skip
    moved = steps - steps.mean(axis=0)
    # the sign of log pixel size, which is minus that of the strain, matters for no variance of it, but mixed ones
    sign = np.diag([-1.0, 1.0, 1.0][: len(free)])
    jack = (n - 1) / n * moved.T @ moved
    return np.asarray(sign @ (jack if np.trace(jack) > np.trace(white) else white) @ sign)


def _from_unknown_ellipse(solution: _Solution) -> Array:
    """What an ellipse that may be anything usual adds to the covariance of (log pixel size, p, q)."""
    total = np.sum(solution.normals, axis=0)
    effect = np.zeros((3, 2))
    effect[0] = total[0, 1:] / total[0, 0]  # on log pixel size: minus that on the strain
    effect[1:] = np.eye(2)
    return np.asarray(_USUAL**2 * effect @ effect.T)


def _combined(strain: Array, calibration: Calibration) -> tuple[float, float, float]:
    """log pixel size, p and q of a calibration's distortion followed by a strain, without its rotation."""
    p, q = logarithm(calibration)
    whole = strained(strain) @ strained(np.array([-np.log(calibration.pixel_size), p, q]))
    squares, axes = np.linalg.eigh(whole @ whole.T)
    stretch = axes @ np.diag(np.log(squares) / 2) @ axes.T
    mean = (stretch[0, 0] + stretch[1, 1]) / 2
    return float(-mean), float(stretch[0, 0] - mean), float(stretch[0, 1])
