"""Many patterns laid upon one another with their beams in one place: single crystals that add up to rings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.indexing.centers import CenterModel
from nbedex.indexing.sample import sample_positions, usable_frames
from nbedex.scan import Scan

Array = NDArray[np.float64]


def mean_pattern(
    scan: Scan, centers: CenterModel, *, samples: int, mask: NDArray[np.uint8] | None, max_saturated: float
) -> tuple[Array, Array, int]:
    """Mean of a sample of patterns, shifted by whole pixels so that their beams coincide.

    Returns
    -------
    image : (det_y, det_x) float64
        NaN where no good pixel came to lie.
    center : (2,) float64
        Mean place of the beam in it, pixels.
    patterns : int
        How many were used.
    """
    wanted = sample_positions(scan.scan_shape, samples)
    path = centers.at(wanted)
    anchor = np.round(path.mean(axis=0))
    total, counts = np.zeros(scan.frame_shape), np.zeros(scan.frame_shape)
    ignore = None if mask is None else mask != 0
    used, shift = 0, np.zeros(2)
    for indices, frames in usable_frames(scan, wanted, ignore=ignore, max_saturated=max_saturated):
        for place, frame in zip(centers.at(indices), frames, strict=True):
            move = (anchor - np.round(place)).astype(int)
            good = np.isfinite(frame) if ignore is None else np.isfinite(frame) & ~ignore
            _add(total, np.where(good, frame, 0), move)
            _add(counts, good, move)
            shift += place + move
            used += 1
    with np.errstate(invalid="ignore"):
        image = np.where(counts > 0.5 * used, total / np.maximum(counts, 1), np.nan)
    return image, shift / used, used


def _add(total: Array, values: NDArray[Any], move: NDArray[np.intp]) -> None:
    """Add an image moved by (rows, columns); what leaves the frame is dropped."""
    height, width = total.shape
    dy, dx = int(np.clip(move[0], -height, height)), int(np.clip(move[1], -width, width))
    to = (slice(max(dy, 0), height + min(dy, 0)), slice(max(dx, 0), width + min(dx, 0)))
    source = (slice(max(-dy, 0), height + min(-dy, 0)), slice(max(-dx, 0), width + min(-dx, 0)))
    total[to] += values[source]
