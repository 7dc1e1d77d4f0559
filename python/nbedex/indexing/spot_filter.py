"""Spots brought out before patterns are unwrapped: frames are correlated with a disk less the ring around it.

A spot or disk becomes a peak in its middle, with the noise of all its pixels averaged and what lies around it, tails
of the direct beam or an amorphous ring, taken off. Single counts of noise would else stand for spots, the more so as
intensities are raised to 1/4 (docs/decisions/spot-filter.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nbedex import _core

NARROW = 1.5  # pixels: least radius, for spots about as wide as cameras blur them; where none was measured
# Pixels between the samples that a polar bin is averaged over: filtered frames hold nothing finer.
SPACING = 1.25
_SURROUNDINGS = 1.6  # outer radius of the ring that is taken off, in radii of the disk


def spot_filter(
    radius: float, frame_shape: tuple[int, int], mask: NDArray[np.uint8] | None = None
) -> _core.SpotFilter | None:
    """The filter for spots of a radius, or None if that is 0.

    Parameters
    ----------
    radius
        Detector pixels.
    frame_shape
        Detector rows and columns.
    mask : (det_y, det_x) uint8 or None
        Non-zero where a pixel must not be used: to its neighbours it looks like the nearest pixel that may.
    """
    if not radius:
        return None
    rows, columns = frame_shape
    return _core.SpotFilter(quadrant=disk_less_ring(radius), filled=_nearest_usable(mask), rows=rows, columns=columns)


def disk_less_ring(radius: float) -> NDArray[np.float32]:
    """One within the disk, and minus as much over the ring around it: the lower right quadrant, the middle first."""
    reach = int(np.ceil(_SURROUNDINGS * radius + 0.5)) - 1  # the last pixel with a weight
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    distance = np.hypot(x, y)
    disk = np.clip(radius + 0.5 - distance, 0, 1)
    ring = np.clip(_SURROUNDINGS * radius + 0.5 - distance, 0, 1) - disk
    kernel = disk - ring * disk.sum() / ring.sum()
    return np.ascontiguousarray(kernel[reach:, reach:], dtype=np.float32)


def _nearest_usable(mask: NDArray[np.uint8] | None) -> NDArray[np.int64]:
    """Flat numbers (m, 2) of masked pixels and of the nearest that is not."""
    if mask is None or not mask.any() or mask.all():
        return np.empty((0, 2), dtype=np.int64)
    nearest = ndimage.distance_transform_edt(mask != 0, return_distances=False, return_indices=True)
    numbers = np.ravel_multi_index(tuple(nearest), mask.shape).ravel()
    masked = np.flatnonzero(mask)
    return np.stack([masked, numbers[masked]], axis=1).astype(np.int64)
