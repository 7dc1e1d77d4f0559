"""Patterns averaged with their neighbours in the scan: less noise where counts are few, at the price of resolution.

Neighbours in a grain differ by little but noise, so a weighted mean of three by three counts patterns as if the dose
were three to four times as high. At a boundary the mean mixes two grains, as the beam does where it is wider than a
step; the gate leaves out neighbours that differ by more than their noise.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.settings import Settings

_SMOOTH = 1.5  # pixels; patterns are compared at about the size of a spot
_THIN = 2  # every other row and column then says as much as all


class DenoiseSettings(Settings, frozen=True, kw_only=True):
    """How patterns are averaged with their neighbours.

    Attributes
    ----------
    reach
        Neighbours up to so many scan positions away along rows and columns; 0 leaves patterns as they are.
    width
        Sigma of the Gaussian weight, in scan positions.
    gate
        A neighbour that differs by more than noise counts less: its weight falls by e for each time its distance
        exceeds that of two patterns of the same kind by this share. 0: all neighbours count.
    """

    reach: Annotated[int, Meta(ge=0, le=5)] = 0
    width: Annotated[float, Meta(gt=0, le=10)] = 0.8
    gate: Annotated[float, Meta(ge=0, le=100)] = 0.0


def averaged(frames: NDArray[Any], settings: DenoiseSettings, *, above: int = 0, below: int = 0) -> NDArray[Any]:
    """Patterns averaged with their neighbours.

    Parameters
    ----------
    frames : (ny, nx, det_y, det_x)
        Whole rows of a scan, counts or proportional to them. The direct beam must not move by more than a fraction of a
        pixel between neighbours.
    settings
        How. With `reach` 0 the frames come back as they are.
    above, below
        So many of the first and last rows are there only as neighbours of the others.

    Returns
    -------
    (ny - above - below, nx, det_y, det_x) float32
        Weighted means, so still in counts of one pattern. At the scan's edges fewer patterns are averaged.

    Raises
    ------
    ArgumentError
        `frames` has not four axes, or nothing is left of it.
    """
    if frames.ndim != 4:
        raise ArgumentError(f"frames must have the axes (scan_y, scan_x, det_y, det_x), got shape {frames.shape}")
    ny, nx = frames.shape[:2]
    if min(above, below) < 0 or above + below >= ny:
        raise ArgumentError(f"of {ny} rows, {above} above and {below} below leave none to average")
    first, last = above, ny - below
    if settings.reach == 0:
        return frames[first:last]
    looks = _comparable(frames) if settings.gate else None
    total = np.zeros((last - first, nx, *frames.shape[2:]), dtype=np.float32)
    weights = np.zeros((last - first, nx), dtype=np.float32)
    offsets = range(-settings.reach, settings.reach + 1)
    alike = _same_kind(looks) if looks is not None else 1.0
    for dy in offsets:
        rows = slice(max(first, -dy), min(last, ny - dy))
        for dx in offsets:
            columns = slice(max(0, -dx), min(nx, nx - dx))
            if rows.start >= rows.stop or columns.start >= columns.stop:
                continue
            there = slice(rows.start + dy, rows.stop + dy), slice(columns.start + dx, columns.stop + dx)
            here = slice(rows.start - first, rows.stop - first), columns
            weight = np.full(weights[here].shape, np.exp(-(dy * dy + dx * dx) / (2 * settings.width**2)))
            if looks is not None and (dy or dx):
                excess = distance(looks[rows, columns], looks[there]) / alike - 1
                weight *= np.exp(-np.maximum(excess, 0.0) / settings.gate)
            weights[here] += weight.astype(np.float32)
            _add(total[here], frames[there], weight)
    total /= weights[:, :, None, None]
    return total


def _add(total: NDArray[np.float32], frames: NDArray[Any], weight: NDArray[np.float64]) -> None:
    """Row by row, so that no copy of all frames is made."""
    for row, more, share in zip(total, frames, weight, strict=True):
        row += more * share[:, None, None].astype(np.float32)


def _comparable(frames: NDArray[Any]) -> NDArray[np.float32]:
    """Smoothed and thinned frames (ny, nx, m): what is compared of two patterns."""
    from scipy.ndimage import gaussian_filter

    ny, nx, *size = frames.shape
    thin = (-(-size[0] // _THIN), -(-size[1] // _THIN))
    looks = np.empty((ny, nx, *thin), dtype=np.float32)
    for place in np.ndindex(ny, nx):
        looks[place] = gaussian_filter(frames[place].astype(np.float32), _SMOOTH)[::_THIN, ::_THIN]
    return looks.reshape(ny, nx, -1)


def distance(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean squared difference (...) of smoothed patterns (..., m) over its expectation from counting noise.

    The variance of a Gaussian-smoothed Poisson count n is n / (4 pi sigma^2). Frames that are proportional to counts
    have another expectation; what is compared is therefore one distance with others, never with 1.
    """
    both = np.maximum(first + second, 1e-6)
    squared = (first - second) ** 2 * (4 * np.pi * _SMOOTH**2) / both
    return np.asarray(squared.mean(axis=-1, dtype=np.float64))


def _same_kind(looks: NDArray[np.float32]) -> float:
    """Distance of two patterns of the same kind: the lower quartile of that of all neighbours."""
    pairs = [distance(looks[:, :-1], looks[:, 1:]).ravel(), distance(looks[:-1], looks[1:]).ravel()]
    every = np.concatenate(pairs)
    return max(float(np.percentile(every, 25)), 1e-9) if len(every) else 1.0
