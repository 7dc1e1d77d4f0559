"""Disks made into spots: what a convergent beam spreads over a disk is brought back to its middle.

Templates have spots. A disk several pixels wide, and those beside it, resemble them badly; its correlation with a disk,
less what surrounds it, has a peak in the middle (docs/decisions/disks.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

_SURROUNDINGS = 1.6  # outer radius of the ring that is taken off, in radii of the disk


def sharpened(
    frames: NDArray[Any], radius: float, *, mask: NDArray[np.uint8] | None = None, threads: int = 0
) -> NDArray[np.float32]:
    """Frames correlated with a disk less the ring around it, negative values set to zero.

    Parameters
    ----------
    frames : (n, det_y, det_x)
        As read.
    radius
        Of the disks, detector pixels.
    mask : (det_y, det_x) uint8, optional
        Non-zero where a pixel must not be used: it counts as zero. So do values that are not finite.
    threads
        0: all available. Every frame is the same with any number, and whatever else is in `frames`.

    Returns
    -------
    (n, det_y, det_x) float32
        Counts in the disk around each pixel above those expected from its surroundings.
    """
    kernel = disk_less_ring(radius)
    reach = len(kernel) // 2
    image = np.asarray(frames, dtype=np.float32)
    good = np.isfinite(image)
    if mask is not None:
        good &= mask == 0
    padded = np.pad(np.where(good, image, np.float32(0)), ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    shape = tuple(fft.next_fast_len(n + 2 * reach, real=True) for n in padded.shape[1:])
    workers = threads or -1
    product = fft.rfft2(padded, s=shape, workers=workers) * fft.rfft2(kernel.astype(np.float32), s=shape)
    rows, columns = frames.shape[1:]
    # the kernel is symmetric, so that convolution is correlation; it starts a reach early, and so does the padding
    found = fft.irfft2(product, s=shape, workers=workers)[
        :, 2 * reach : 2 * reach + rows, 2 * reach : 2 * reach + columns
    ]
    return np.ascontiguousarray(np.maximum(found, 0), dtype=np.float32)


def disk_less_ring(radius: float) -> NDArray[np.float64]:
    """One within the disk, and minus as much over the ring around it."""
    reach = int(np.ceil(_SURROUNDINGS * radius + 1))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    distance = np.hypot(x, y)
    disk = np.clip(radius + 0.5 - distance, 0, 1)
    ring = np.clip(_SURROUNDINGS * radius + 0.5 - distance, 0, 1) - disk
    return np.asarray(disk - ring * disk.sum() / ring.sum())
