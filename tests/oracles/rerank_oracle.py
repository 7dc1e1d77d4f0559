"""Re-ranking's score step by step in plain NumPy: spots read from a frame, small errors of geometry fitted, compared.

Follows the definitions in cpp/include/nbedex/spot_image.hpp, cpp/src/local_fit.hpp and cpp/src/kernels/waves.hpp; Bloch
waves are those of `DynamicalCrystal.patterns`, which have oracles of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from nbedex.library import DynamicalCrystal

RINGS = 256


@dataclass(frozen=True)
class Setup:
    """What the core is told."""

    to_detector: np.ndarray  # (2, 2): k to (column, row)
    k_min: float
    k_max: float
    spot_width: float
    faintest: float


class SpotImage:
    """A whole frame whose annulus lies within it; spots narrower than 2.4 pixels, so that nothing is binned."""

    def __init__(self, frame: np.ndarray, center: tuple[float, float], setup: Setup) -> None:
        image = frame.astype(np.float64)
        rows, columns = np.indices(image.shape)
        offset = np.stack([columns - center[1], rows - center[0]], axis=-1) @ np.linalg.inv(setup.to_detector).T
        per_ring = 1.2 * setup.k_max / (RINGS - 1)
        self.k = np.hypot(offset[..., 0], offset[..., 1])
        ring = np.floor(np.minimum(self.k / per_ring, RINGS - 1) + 0.5).astype(int)
        self.level, self.variance, self.unit = self._background(image, ring, per_ring, setup.k_min)
        per_k = np.sqrt(abs(np.linalg.det(setup.to_detector)))
        self.sigma = max(setup.spot_width * per_k, 0.5)
        half = int(np.ceil(3 * self.sigma))
        weight = np.exp(-0.5 * (np.arange(-half, half + 1) / self.sigma) ** 2)
        weight /= weight.sum()
        self.area = 1 / (weight @ weight) ** 2
        less = image - self.level[ring]
        for axis in (0, 1):
            less = ndimage.correlate1d(less, weight, axis=axis, mode="constant")
        self.counts = less * self.area / self.unit
        self.noise = np.sqrt(self.area * (self.variance[ring] / self.unit**2 + 0.02))
        self.peaks = self._peaks(setup)

    @staticmethod
    def _background(image, ring, per_ring, k_min):
        limit = np.full(RINGS, np.inf)
        for _ in range(6):
            kept = image <= limit[ring]
            sums = [np.bincount(ring[kept], w[kept], RINGS) for w in (np.ones_like(image), image, image**2)]
            n, first, second = (np.convolve(s, np.ones(5), mode="same") for s in sums)
            level = first / np.maximum(n, 1)
            variance = np.maximum(second / np.maximum(n, 1) - level**2, 0)
            outside = np.arange(RINGS) * per_ring >= k_min
            unit = (sums[0] * variance)[outside].sum() / (sums[0] * level)[outside].sum()
            limit = level + 3 * np.sqrt(variance) + unit
        return level, variance, unit

    def _peaks(self, setup: Setup) -> list[tuple[float, float, float]]:
        c, found = self.counts, []
        inside = (self.k >= setup.k_min) & (self.k < setup.k_max)
        high = (c == ndimage.maximum_filter(c, 5)) & (c > 4 * self.noise + 2) & inside
        for row, column in np.argwhere(high):
            up, left = c[row - 1 : row + 2, column], c[row, column - 1 : column + 2]
            vertex = [0.5 * (v[2] - v[0]) / (2 * v[1] - v[0] - v[2]) for v in (up, left)]
            found.append((row + vertex[0], column + vertex[1], c[row, column]))
        return found

    def read(self, image: np.ndarray, at: np.ndarray) -> np.ndarray:
        return ndimage.map_coordinates(image, at[:, ::-1].T, order=1)


def fit_geometry(expected: np.ndarray, image: SpotImage, center: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shift (2,) and strain (2, 2) in (column, row)."""
    symmetric = np.array([[1, 0, 0, 1], [1, 0, 0, -1], [0, 1, 1, 0]]) / np.sqrt(2)
    turn = np.array([[0, -1, 1, 0]]) / np.sqrt(2)
    prior = np.zeros((6, 6))
    prior[:2, :2] = np.eye(2) / (0.4 * image.sigma) ** 2
    prior[2:, 2:] = symmetric.T @ symmetric / 0.006**2 + turn.T @ turn / 0.015**2
    theta = np.zeros(6)
    for net in np.array([3.3, 2.5, 2.1]) * image.sigma:
        now = expected @ (np.eye(2) + theta[2:].reshape(2, 2)).T + theta[:2]
        matrix, right = prior.copy(), np.zeros(6)
        for row, column, counts in image.peaks:
            seen = np.array([column, row]) - center
            distance = np.hypot(*(now - seen).T)
            if distance.min() >= net:
                continue
            spot = expected[distance.argmin()]
            design = np.zeros((2, 6))
            design[:, :2] = np.eye(2)
            design[0, 2:4] = design[1, 4:6] = spot
            weight = min(counts, 100) / image.sigma**2
            matrix += weight * design.T @ design
            right += weight * design.T @ (seen - spot)
        theta = np.linalg.solve(matrix, right)
    return theta[:2], theta[2:].reshape(2, 2)


def score(
    frame: np.ndarray,
    center: tuple[float, float],
    setup: Setup,
    solved: np.ndarray,
    thickness_nm: np.ndarray,
    crystal: DynamicalCrystal,
    hkl: np.ndarray,
    g: np.ndarray,
) -> np.ndarray:
    """At all thicknesses: spots are read where g (n, 3), in the sample frame of the candidate, puts the reflections hkl
    that could be excited; intensities are those at the orientation `solved`."""
    image = SpotImage(frame, center, setup)
    middle = np.array(center[::-1])
    wavelength = 0.0196875
    error = g[:, 2] - 0.5 * wavelength * (g[:, :2] ** 2).sum(axis=1)
    offsets = g[:, :2] @ setup.to_detector.T
    shift, strain = fit_geometry(offsets[np.abs(error) <= 0.03], image, middle)
    k = np.hypot(g[:, 0], g[:, 1])
    inside = (k >= setup.k_min) & (k < setup.k_max)
    at = middle + shift + offsets[inside] @ (np.eye(2) + strain).T
    counts, least = image.read(image.counts, at), setup.faintest * image.read(image.noise, at)
    seen = np.where(counts > least, counts, 0)
    total = np.maximum(counts, 0).sum()
    near = [np.hypot(at[:, 0] - p[1], at[:, 1] - p[0]).min() <= 2.1 * image.sigma for p in image.peaks]
    missed = np.array([p[2] for p, known in zip(image.peaks, near, strict=True) if not known])
    pattern = crystal.patterns(solved[None], thickness_nm, threads=1).pattern(0)
    beams = np.zeros((int(inside.sum()), len(thickness_nm)))
    number = {tuple(h): i for i, h in enumerate(hkl[inside].tolist())}
    for h, intensity in zip(pattern["hkl"].tolist(), pattern["intensity"], strict=True):
        if tuple(h) in number:
            beams[number[tuple(h)]] = intensity
    expected = beams * (total / beams.sum(axis=0))
    expected[expected <= least[:, None]] = 0
    cosines = []
    for p in (0.25, 0.5):
        squares = (seen ** (2 * p)).sum() + (missed ** (2 * p)).sum()
        cosines.append(seen**p @ expected**p / np.sqrt(squares * (expected ** (2 * p)).sum(axis=0)))
    return np.asarray(np.mean(cosines, axis=0))
