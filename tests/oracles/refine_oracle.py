"""The score of refinement written from its definition (cpp/include/nbedex/refine.hpp), reflection by reflection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbedex.maps.orientation import to_matrix

Array = NDArray[np.float64]
CUTOFF = 2.3


def score(
    pattern: Array,
    orientation: Array,
    *,
    g: Array,
    intensity: Array,
    exponent: float,
    k_min: float,
    ring_width: float,
    wavelength: float,
    excitation_width: float,
    precession: float = 0.0,
) -> float:
    """Zero-mean normalised correlation of a polar pattern (rings, azimuths) with the crystal's kinematical pattern."""
    n_rings, n_azimuths = pattern.shape
    sample = g @ to_matrix(orientation)  # rows: g_sample = R^T g_crystal
    radius = 1 / wavelength
    products, weights = [], []
    values = pattern - pattern.mean()
    values = values / np.linalg.norm(values)
    for (x, y, z), strength in zip(sample, intensity, strict=True):
        r = np.hypot(x, y)
        ring = (r - k_min) / ring_width
        if not 0 <= ring < n_rings:
            continue
        s = radius - np.sqrt(radius**2 - r**2) - z
        variance = excitation_width**2 + (r * precession) ** 2 / 2
        u = exponent * s**2 / (2 * variance)
        if u >= CUTOFF:
            continue
        weight = (strength * excitation_width / np.sqrt(variance)) ** exponent * np.exp(-u)
        row, column = ring - 0.5, np.arctan2(y, x) * n_azimuths / (2 * np.pi)
        r0, a0 = int(np.floor(row)), int(np.floor(column))
        value = 0.0
        for dr in (0, 1):
            for da in (0, 1):
                share = (dr + (1 - 2 * dr) * (1 - (row - r0))) * (da + (1 - 2 * da) * (1 - (column - a0)))
                value += share * values[np.clip(r0 + dr, 0, n_rings - 1), (a0 + da) % n_azimuths]
        products.append(weight * value)
        weights.append(weight)
    w = np.array(weights)
    norm = np.sqrt((w**2).sum() - w.sum() ** 2 / pattern.size)
    return float(np.sum(products) / norm)
