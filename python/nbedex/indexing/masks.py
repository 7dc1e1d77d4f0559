"""Detector pixels that must not be used."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.indexing.centers import sample_positions
from nbedex.scan import Scan

log = logging.getLogger(__name__)


def detector_mask(
    scan: Scan, *, user_mask: NDArray[np.bool_] | None, find_hot_pixels: bool, samples: int = 256
) -> NDArray[np.uint8] | None:
    """Mask (det_y, det_x) of unusable pixels, or None if all are good.

    Parameters
    ----------
    scan
        The scan.
    user_mask : (det_y, det_x) bool
        True where the user says a pixel must not be used (beam stop, gaps).
    find_hot_pixels
        Whether to look for hot and dead pixels in the mean of some patterns.
    """
    mask = np.zeros(scan.frame_shape, dtype=bool)
    if user_mask is not None:
        if user_mask.shape != scan.frame_shape:
            raise ArgumentError(f"the mask has shape {user_mask.shape}, the detector {scan.frame_shape}")
        mask |= user_mask.astype(bool)
    if find_hot_pixels:
        frames = scan.read_at(sample_positions((scan.shape[0], scan.shape[1]), samples))
        odd = odd_pixels(frames, ignore=mask)
        if odd.any():
            log.info("%d hot or dead pixels are left out", int(odd.sum()))
        mask |= odd
    return mask.astype(np.uint8) if mask.any() else None


def odd_pixels(frames: NDArray[np.generic], *, ignore: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Isolated pixels far above all their neighbours in the mean of `frames`, or always zero among bright neighbours.

    A diffraction spot is spread by the beam's convergence and the detector, so its pixel is never four times as bright
    as each of its eight neighbours; a hot pixel is.
    """
    from scipy import ndimage

    with np.errstate(invalid="ignore"):
        mean = np.nanmean(np.where(np.isfinite(frames), frames, np.nan).astype(np.float64), axis=0)
    mean = np.where(ignore | ~np.isfinite(mean), 0.0, mean)
    around = np.ones((3, 3), dtype=bool)
    around[1, 1] = False
    brightest = ndimage.maximum_filter(mean, footprint=around, mode="nearest")
    faintest = ndimage.minimum_filter(mean, footprint=around, mode="nearest")
    few = 20.0 / len(frames)  # twenty counts in all: fewer can be chance
    hot = (mean > 4 * brightest + few) & ~ignore
    dead = (mean <= 0) & (faintest > few) & ~ignore
    return np.asarray(hot | dead)
