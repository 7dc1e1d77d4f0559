"""Polar unwrapping: by brute force, and by the core's own mesh of samples in double precision; skewness, contrast."""

from __future__ import annotations

from collections.abc import Callable

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
    """Mean of `image` (NaN where masked) over each bin (n_rings, n_azimuths): `fine`^2 samples by area."""
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


def unwrap_by_mesh(
    image: np.ndarray,
    center: tuple[float, float],
    detector_from_sample: np.ndarray,
    *,
    n_rings: int,
    n_azimuths: int,
    k_min: float,
    k_max: float,
) -> np.ndarray:
    """What the core promises: the mean over samples at most a pixel apart, at places in single precision."""
    pixels_per_k = np.sqrt(abs(np.linalg.det(detector_from_sample)))
    turn = 2 * np.pi / n_azimuths
    width = (k_max - k_min) / n_rings
    row0, column0 = np.float32(center[0]), np.float32(center[1])

    def samples(pixels: float) -> np.ndarray:
        n = max(1, int(np.ceil(pixels - 1e-6)))
        return (np.arange(n) + 0.5) / n

    out = np.empty((n_rings, n_azimuths))
    for ring in range(n_rings):
        k = (k_min + (ring + samples(width * pixels_per_k)) * width).astype(np.float32)[:, None]
        along = samples((k_min + (ring + 1) * width) * pixels_per_k * turn)
        angle = ((np.arange(n_azimuths)[:, None] + along - 0.5) * turn)[:, None]  # (azimuths, 1, along)
        directions = detector_from_sample @ np.stack([np.cos(angle), np.sin(angle)]).reshape(2, -1)
        column, row = directions.astype(np.float32).reshape(2, *angle.shape)
        total, weight = bilinear(np.asarray(image, dtype=float), row0 + k * row, column0 + k * column)
        with np.errstate(invalid="ignore", divide="ignore"):
            out[ring] = total.sum(axis=(1, 2)) / weight.sum(axis=(1, 2))
    return out


def skewness(pattern: np.ndarray) -> float:
    """Sum of cubes at zero mean and unit norm; 0 of a flat one."""
    values = pattern.astype(np.float64).ravel()
    values = values - values.mean()
    norm = np.sqrt((values**2).sum())
    return float(((values / norm) ** 3).sum()) if norm > 0 else 0.0


def spot_contrast(bins: np.ndarray) -> float:
    """Mean, over the eight rings that have most, of n sum(x^2) / sum(x)^2 of what is above a ring's mean; no NaN."""
    of_rings = []
    for ring in bins.astype(np.float64):
        known = ring[~np.isnan(ring)]
        above = known[known > known.mean()] - known.mean() if len(known) else known
        of_rings.append(len(above) * (above**2).sum() / above.sum() ** 2 if len(above) else 0.0)
    return float(np.mean(sorted(of_rings)[-8:]))


def found_contrast(has_spots: Callable[[float], bool]) -> float:
    """The largest contrast that a pattern has, to the last bit or two."""
    low, high = 0.0, 1024.0
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if has_spots(middle) else (low, middle)
    return low
