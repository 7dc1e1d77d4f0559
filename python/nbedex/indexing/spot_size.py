"""How wide the spots of a scan are: from the autocorrelation of some of its patterns.

Rings, tails of the direct beam and slow backgrounds are taken off first, and square roots of counts, so that a strong
spot does not outweigh all others. Noise of single pixels is in the autocorrelation's zero only, which is not used; so
the width is the same at 200 counts a pattern as at 200,000 (docs/decisions/spot-filter.md).
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from nbedex.indexing.centers import CenterModel
from nbedex.indexing.sample import spread_frames
from nbedex.indexing.spot_filter import NARROW
from nbedex.scan import Scan

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

_SAMPLES = 32  # patterns looked at
_WIDEST = 512  # rows and columns of them, around the direct beam
_SURROUNDINGS = 25  # rows and columns over which a slow background is taken off
_REACH = 20.0  # pixels: how far the autocorrelation is looked at
_SHIFTS = int(_REACH) + 4
_LEAST_SHARE = (
    0.02  # of the autocorrelation's zero that spots must have: noise and amorphous rings have less than 0.001
)
# From the distance at which the autocorrelation has half of its value at one pixel to the radius that gives the most
# right answers, measured on spots of the validation kit (docs/decisions/spot-filter.md).
_SLOPE, _OFFSET = 1.45, -2.45


def measured_radius(
    scan: Scan, centers: CenterModel, mask: NDArray[np.uint8] | None, *, beam: float, max_saturated: float
) -> float:
    """Radius for the spot filter, in tenths of a pixel; that for narrow spots if no spots are seen.

    Parameters
    ----------
    scan, centers
        Patterns and their direct beams.
    mask : (det_y, det_x) uint8 or None
        Non-zero where a pixel must not be used.
    beam
        Radius around the direct beam that is left out, pixels.
    max_saturated
        Patterns with a larger share of saturated pixels are not looked at.
    """
    total = np.zeros((_SHIFTS, _SHIFTS))
    ignored = None if mask is None else mask != 0
    for indices, frames in spread_frames(scan, _SAMPLES, mask=mask, max_saturated=max_saturated):
        for frame, center in zip(frames, centers.at(indices), strict=True):
            total += autocorrelation(*_window(frame, ignored, center), beam)
    half = half_width(total)
    radius = NARROW if half is None else max(NARROW, round(_SLOPE * half + _OFFSET, 1))
    log.info("spots: radius %.1f px%s", radius, " (none seen)" if half is None else f", half width {half:.2f} px")
    return radius


def _window(
    frame: NDArray[Any], ignored: NDArray[np.bool_] | None, center: Array
) -> tuple[NDArray[Any], NDArray[np.bool_], Array]:
    """The part around the direct beam, which of its pixels count, and the beam within it."""
    first = np.clip(np.round(center).astype(int) - _WIDEST // 2, 0, np.maximum(np.array(frame.shape) - _WIDEST, 0))
    part = (slice(first[0], first[0] + _WIDEST), slice(first[1], first[1] + _WIDEST))
    usable = np.isfinite(frame[part])
    if ignored is not None:
        usable &= ~ignored[part]
    return frame[part], usable, center - first


def autocorrelation(frame: NDArray[Any], usable: NDArray[np.bool_], center: Array, beam: float) -> Array:
    """Of what a frame (y, x) has above its rings' means and its surroundings: (m, m), shifts of 0 … m - 1 pixels."""
    rows, columns = np.indices(frame.shape)
    distance = np.hypot(rows - center[0], columns - center[1])
    usable = usable & (distance > beam)
    root = np.sqrt(np.maximum(np.where(usable, frame, 0).astype(np.float32), 0))
    ring = distance.astype(np.intp).ravel()
    mean = np.bincount(ring, root.ravel()) / np.maximum(np.bincount(ring, usable.ravel()), 1)
    above = np.where(usable, root - mean[ring].reshape(frame.shape), 0)
    covered = ndimage.uniform_filter(usable.astype(np.float32), _SURROUNDINGS)
    above = np.where(usable, above - ndimage.uniform_filter(above, _SURROUNDINGS) / np.maximum(covered, 1e-6), 0)
    shape = tuple(fft.next_fast_len(n + _SHIFTS, real=True) for n in frame.shape)
    power = np.abs(fft.rfft2(above, s=shape)) ** 2
    return np.asarray(fft.irfft2(power, s=shape)[:_SHIFTS, :_SHIFTS], dtype=np.float64)


def half_width(correlation: Array) -> float | None:
    """Shift at which an autocorrelation has half of what it has at one pixel, above its least; None without spots."""
    rows, columns = np.indices(correlation.shape)
    distance = np.hypot(rows, columns)
    shift = np.arange(1.0, _REACH, 0.25)
    weight = np.maximum(0, 1 - np.abs(distance - shift[:, None, None]) / 0.6)
    profile = (weight * correlation).sum(axis=(1, 2)) / weight.sum(axis=(1, 2))
    least = profile.min()
    if not profile[0] - least > _LEAST_SHARE * correlation[0, 0]:
        return None
    part = (profile - least) / (profile[0] - least)
    after = int(np.argmax(part < 0.5))
    return float(np.interp(0.5, part[[after, after - 1]], shift[[after, after - 1]]))
