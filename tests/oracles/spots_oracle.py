"""How an orientation's spots meet the peaks of a pattern, spot by spot and bin by bin: slow and obviously right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from nbedex import _core
from nbedex.calibration import electron_wavelength
from nbedex.maps import to_matrix

Array = NDArray[np.float64]


def spots_met(
    g: Array, intensity: Array, orientation: Array, peaks: Array, grid: _core.PolarGrid, *, radius: float, width: float,
    exponent: float, voltage: float = 300.0,
) -> tuple[float, float, float]:  # fmt: skip
    """Predicted, met, bound of chance of one orientation (4,) and pattern (rings, azimuths); g (n, 3) crystal frame."""
    step = (grid.k_max - grid.k_min) / grid.n_rings
    k_ring = grid.k_min + (np.arange(grid.n_rings) + 0.5) * step
    angle = 2 * np.pi * np.arange(grid.n_azimuths) / grid.n_azimuths
    x, y = k_ring[:, None] * np.cos(angle), k_ring[:, None] * np.sin(angle)
    solid = np.zeros(peaks.shape, dtype=bool)
    for ring, a in np.argwhere(peaks > 0):
        near = [
            (r, (a + d) % grid.n_azimuths)
            for r in range(max(ring - 1, 0), min(ring + 2, grid.n_rings))
            for d in (-1, 0, 1)
            if (r, d) != (ring, 0)
        ]
        solid[ring, a] = sum(bool(peaks[place] > 0) for place in near) >= 3
    places = np.stack([x[solid], y[solid]], axis=1)
    lit = np.zeros(peaks.shape, dtype=bool)
    for ring, a in np.ndindex(peaks.shape):
        lit[ring, a] = (np.hypot(*(places - (x[ring, a], y[ring, a])).T) <= radius).sum() >= 3

    sphere = 1 / electron_wavelength(voltage)
    spots = []
    for vector, strength in zip(g @ to_matrix(orientation), intensity, strict=True):
        k = np.hypot(*vector[:2])
        s = sphere - np.sqrt(sphere**2 - k**2) - vector[2]
        weight = (strength * np.exp(-(s**2) / (2 * width**2))) ** exponent
        if exponent * s**2 / (2 * width**2) < 2.3 and grid.k_min <= k < grid.k_max:
            spots.append((vector[0], vector[1], weight))
    strongest = max(weight for *_, weight in spots)
    spots = [spot for spot in spots if spot[2] >= 0.01**exponent * strongest]
    rows = []
    for kx, ky, weight in spots:
        counts = 0.5 if any(np.hypot(kx + a, ky + b) < radius for a, b, _ in spots) else 1.0
        ring = int((np.hypot(kx, ky) - grid.k_min) / step)
        a = round(np.arctan2(ky, kx) / (2 * np.pi) * grid.n_azimuths) % grid.n_azimuths
        rows.append((weight, counts, counts * lit[ring, a], counts * lit[ring].mean()))
    rows.sort(key=lambda row: -row[0])
    sums = np.array([np.sum([row[1:] for row in rows[: i + 1]], axis=0) for i in range(len(rows))])
    judged = sums[sums[:, 0] >= 8] if sums[-1, 0] >= 8 else sums[-1:]
    return sums[-1, 0], sums[-1, 1], min(chance_bound(n, k, expected / n) for n, k, expected in judged)


def chance_bound(n: float, k: float, share: float) -> float:
    """Chernoff's bound that k or more of n are met, each with a probability of `share`."""
    if k <= share * n:
        return 1.0
    return float(np.exp(-(rel_entr(k, share * n) + rel_entr(n - k, (1 - share) * n))))
