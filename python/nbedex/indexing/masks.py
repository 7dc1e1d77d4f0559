"""Detector pixels that must not be used."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.indexing.sample import sample_positions, usable_frames
from nbedex.scan import Scan

log = logging.getLogger(__name__)


def detector_mask(
    scan: Scan,
    *,
    user_mask: NDArray[np.bool_] | None,
    find_hot_pixels: bool,
    max_saturated: float = 0.02,
    samples: int = 256,
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
    max_saturated
        Patterns with a larger share of saturated pixels are not looked at.
    samples
        About how many patterns are looked at.

    Raises
    ------
    ArgumentError
        The mask does not fit the detector, or leaves nothing of it.
    DataFormatError
        No pattern looked at can be used.
    """
    mask = np.zeros(scan.frame_shape, dtype=bool)
    if user_mask is not None:
        if user_mask.shape != scan.frame_shape:
            raise ArgumentError(f"the mask has shape {user_mask.shape}, the detector {scan.frame_shape}")
        mask |= user_mask.astype(bool)
        if mask.all():
            raise ArgumentError("the mask leaves out every pixel of the detector; true means: don't use this pixel")
    if find_hot_pixels:
        wanted = sample_positions(scan.scan_shape, samples)
        sums = _HalfSums(scan.frame_shape)
        for _, frames in usable_frames(scan, wanted, ignore=mask, max_saturated=max_saturated):
            sums.add(frames)
        odd = sums.odd_pixels(ignore=mask)
        if odd.any():
            log.info("%d hot or dead pixels are left out", int(odd.sum()))
        mask |= odd
    return mask.astype(np.uint8) if mask.any() else None


def odd_pixels(frames: NDArray[np.generic], *, ignore: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Isolated pixels far above all their neighbours in the mean of `frames`, or always zero among bright neighbours.

    A diffraction spot is spread by the beam's convergence and the detector, so its pixel is never four times as bright
    as each of its eight neighbours; a hot pixel is. It must be so in both halves of the frames, so that one pattern
    with a cosmic ray is not enough.
    """
    sums = _HalfSums((frames.shape[1], frames.shape[2]))
    sums.add(frames)
    return sums.odd_pixels(ignore=ignore)


class _HalfSums:
    """Sums of every other frame and of the rest, from frames that come in groups."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._sums = np.zeros((2, *shape))
        self._known = np.zeros((2, *shape), dtype=np.int64)  # frames in which a pixel was a finite number
        self._counts = [0, 0]

    def add(self, frames: NDArray[np.generic]) -> None:
        for frame in frames:
            half = sum(self._counts) % 2
            finite = np.isfinite(frame)
            self._sums[half] += np.where(finite, frame, 0)
            self._known[half] += finite
            self._counts[half] += 1

    def odd_pixels(self, *, ignore: NDArray[np.bool_]) -> NDArray[np.bool_]:
        halves = [h for h in range(2) if self._counts[h]]
        hot = np.ones(ignore.shape, dtype=bool)
        for half in halves:
            hot &= _hot(self._mean(self._sums[half], self._known[half], ignore), self._counts[half])
        dead = _dead(self._mean(self._sums.sum(axis=0), self._known.sum(axis=0), ignore), sum(self._counts))
        return np.asarray((hot | dead) & ~ignore)

    @staticmethod
    def _mean(sums: NDArray[np.float64], known: NDArray[np.int64], ignore: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.where(ignore, 0.0, sums / np.maximum(known, 1))


_AROUND = np.array([[True, True, True], [True, False, True], [True, True, True]])


def _few(n: int) -> float:
    """Twenty counts in all of n frames, as a mean: less can be chance."""
    return 20.0 / n


def _hot(mean: NDArray[np.float64], n: int) -> NDArray[np.bool_]:
    from scipy import ndimage

    brightest = ndimage.maximum_filter(mean, footprint=_AROUND, mode="nearest")
    return np.asarray(mean > 4 * brightest + _few(n))


def _dead(mean: NDArray[np.float64], n: int) -> NDArray[np.bool_]:
    from scipy import ndimage

    faintest = ndimage.minimum_filter(mean, footprint=_AROUND, mode="nearest")
    return np.asarray((mean <= 0) & (faintest > _few(n)))
