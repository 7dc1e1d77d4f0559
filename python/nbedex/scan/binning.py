"""Detector binning: n x n pixels added up to one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def binned_dtype(dtype: np.dtype[Any], factor: int) -> np.dtype[Any]:
    """Type that holds the sum of factor x factor pixels of `dtype`, of those that indexing takes."""
    if factor == 1:
        return dtype
    if dtype.kind == "f" or dtype.itemsize > 2:
        return np.dtype(np.float32)
    limits = np.iinfo(dtype)
    for candidate in (np.uint16, np.uint32) if dtype.kind == "u" else (np.int16, np.int32):
        wide = np.iinfo(candidate)
        if limits.max * factor**2 <= wide.max and limits.min * factor**2 >= wide.min:
            return np.dtype(candidate)
    return np.dtype(np.float32)


def bin_frames(
    frames: NDArray[Any], factor: int, *, dtype: np.dtype[Any], saturation: int | None = None
) -> NDArray[Any]:
    """Sums of factor x factor pixels.

    Parameters
    ----------
    frames : (n, det_y, det_x)
        As stored. Rows and columns at the far edges that fill no bin are left out.
    factor
        Pixels of a bin along either axis.
    dtype
        From `binned_dtype`.
    saturation
        Count at which the detector saturates. A bin with a pixel there gets as much as if all of its pixels were: its
        true sum is not known, and `factor**2 * saturation` is what tells it from every other bin.

    Returns
    -------
    (n, det_y // factor, det_x // factor) of `dtype`
    """
    rows, columns = frames.shape[1] // factor, frames.shape[2] // factor
    cut = frames[:, : rows * factor, : columns * factor]
    total = np.zeros((len(frames), rows, columns), np.float64 if dtype.kind == "f" else dtype)
    full = np.zeros(total.shape, bool)
    for row in range(factor):  # strided slices: several times as fast as a sum over two axes of a reshaped array
        for column in range(factor):
            part = cut[:, row::factor, column::factor]
            total += part
            if saturation is not None:
                full |= part >= saturation
    if saturation is not None:
        total[full] = saturation * factor**2
    return total.astype(dtype, copy=False)
