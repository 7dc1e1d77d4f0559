"""Polar unwrapping by brute force: thousands of bilinear samples per bin, weighted by area."""

from __future__ import annotations

import numpy as np


def bilinear(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and weights at fractional positions; NaN pixels and places outside weigh nothing."""
    height, width = image.shape
    inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
    rows, columns = np.where(inside, rows, 0), np.where(inside, columns, 0)
    r, c = np.minimum(rows.astype(int), height - 2), np.minimum(columns.astype(int), width - 2)
    fr, fc = rows - r, columns - c
    total = np.zeros(rows.shape)
    weight = np.zeros(rows.shape)
    for dr, dc, w in ((0, 0, (1 - fr) * (1 - fc)), (0, 1, (1 - fr) * fc), (1, 0, fr * (1 - fc)), (1, 1, fr * fc)):
        value = image[r + dr, c + dc]
        good = np.isfinite(value) & inside
        total += np.where(good, w * np.nan_to_num(value), 0)
        weight += np.where(good, w, 0)
    return total, weight


def unwrap(
    image: np.ndarray,
    center: tuple[float, float],
    detector_from_sample: np.ndarray,
    *,
    n_rings: int,
    n_azimuths: int,
    k_min: float,
    k_max: float,
    fine: int = 24,
) -> np.ndarray:
    """Mean of `image` (NaN where masked) over each bin (n_rings, n_azimuths)."""
    width = (k_max - k_min) / n_rings
    part = (np.arange(fine) + 0.5) / fine
    k = k_min + (np.arange(n_rings)[:, None] + part) * width  # (rings, fine)
    angle = (np.arange(n_azimuths)[:, None] + part - 0.5) * 2 * np.pi / n_azimuths  # (azimuths, fine)
    kx = k[:, None, :, None] * np.cos(angle)[None, :, None, :]
    ky = k[:, None, :, None] * np.sin(angle)[None, :, None, :]
    columns = center[1] + detector_from_sample[0, 0] * kx + detector_from_sample[0, 1] * ky
    rows = center[0] + detector_from_sample[1, 0] * kx + detector_from_sample[1, 1] * ky
    total, weight = bilinear(np.asarray(image, dtype=float), rows, columns)
    area = np.broadcast_to(k[:, None, :, None], total.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (area * total).sum(axis=(2, 3)) / (area * weight).sum(axis=(2, 3))
