"""Where the direct beam is at every position of a scan."""

from __future__ import annotations

from contextlib import closing

import msgspec
import numpy as np
from numpy.typing import NDArray

from nbedex.indexing import CenterSettings
from nbedex.indexing.centers import find_centers, locate
from nbedex.indexing.masks import detector_mask
from nbedex.indexing.pipeline import read_ahead, whole
from nbedex.progress import Progress, silent
from nbedex.scan import Scan

_BLOCK, _RADIUS = 128, 6.0
_MAX_SATURATED = 1.0  # a saturated beam has a place as well


def beam_positions(
    scan: Scan,
    center: CenterSettings | None = None,
    *,
    mask: NDArray[np.bool_] | None = None,
    threads: int = 0,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """Row and column (ny, nx, 2) of the direct beam in every pattern, pixels; NaN where it was not found.

    Parameters
    ----------
    scan
        The scan.
    center
        How to look for it.
    mask : (det_y, det_x) bool, optional
        True where a pixel must not be used.
    threads
        0: all available. The result doesn't depend on it.
    progress
        Called with patterns done and patterns in all.
    """
    options = center or CenterSettings()
    pixels = detector_mask(scan, user_mask=mask, find_hot_pixels=True, max_saturated=_MAX_SATURATED)
    smooth = find_centers(scan, options, pixels, max_saturated=_MAX_SATURATED, threads=threads)
    near = msgspec.structs.replace(options, search_radius=_RADIUS, position=None)
    found = np.full((scan.size, 2), np.nan)
    done = 0
    with closing(read_ahead(scan, whole(scan.iter_blocks(_BLOCK)), threads=threads)) as blocks:
        for read in blocks:
            start = np.round(smooth.at(read.patterns))
            for place in np.unique(start, axis=0):  # of whole pixels, so that it does not depend on the block
                mine = np.flatnonzero((start == place).all(axis=1))
                found[read.patterns[mine]] = locate(
                    np.ascontiguousarray(read.frames[mine]), near, place, pixels, finder=smooth.finder, threads=threads
                )
            if read.unreadable is not None:
                found[read.patterns[read.unreadable]] = np.nan
            done += len(read.patterns)
            progress("looking for the beam", done, scan.size)
    return found.reshape(*scan.scan_shape, 2)
