"""Patterns looked at before indexing starts: a sample of the scan, without those that would mislead."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.errors import DataFormatError
from nbedex.maps.result import Status
from nbedex.scan import Scan

log = logging.getLogger(__name__)

MAX_NON_FINITE = 0.01  # share of NaN or infinite pixels beyond which a pattern is given up
_GROUP_BYTES = 32 << 20


def sample_positions(scan_shape: tuple[int, int], samples: int) -> NDArray[np.intp]:
    """Flat indices of at most about `samples` positions, evenly spread over the scan, corners included."""
    ny, nx = scan_shape
    if ny * nx <= samples:
        return np.arange(ny * nx, dtype=np.intp)
    least = 2 if samples >= 4 else 1  # both ends of either axis, also of narrow scans
    short, long = min(ny, nx), max(ny, nx)
    along_short = int(np.clip(round(np.sqrt(samples * short / long)), min(least, short), short))
    along_long = int(np.clip(samples // along_short, min(least, long), long))
    n_rows, n_columns = (along_short, along_long) if ny <= nx else (along_long, along_short)
    rows = np.linspace(0, ny - 1, n_rows).round().astype(np.intp)
    columns = np.linspace(0, nx - 1, n_columns).round().astype(np.intp)
    return (rows[:, None] * nx + columns[None, :]).ravel()


def usable_frames(
    scan: Scan, indices: NDArray[np.intp], *, ignore: NDArray[np.bool_] | None, max_saturated: float
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.generic]]]:
    """Some patterns of a scan in groups of bounded size, without those that indexing would not use.

    Patterns that can't be read, are blank, saturated or not finite say nothing about the detector and the direct
    beam, and must not move what is found from the others.

    Parameters
    ----------
    scan
        The scan.
    indices : (n,) intp
        Patterns wanted.
    ignore : (det_y, det_x) bool or None
        Pixels that are not used anyway.
    max_saturated
        Share of saturated pixels beyond which a pattern is left out.

    Yields
    ------
    indices, frames
        (m,) and (m, det_y, det_x), m >= 1, in the order of `indices`.

    Raises
    ------
    DataFormatError
        None of the patterns can be used.
    """
    size = max(1, _GROUP_BYTES // (scan.dtype.itemsize * scan.frame_shape[0] * scan.frame_shape[1]))
    mask = None if ignore is None else np.ascontiguousarray(ignore, dtype=np.uint8)
    checks = _core.Preprocessing(
        remove_background=False,
        background_sigma=0.0,
        exponent=1.0,
        saturation=float(scan.saturation_value or 0),
        max_saturated=max_saturated,
        max_non_finite=MAX_NON_FINITE,
    )
    count = 0
    for start in range(0, len(indices), size):
        group, frames = _readable(scan, indices[start : start + size])
        good = _core.check_frames(frames, checks, mask, 0) == Status.OK
        if good.any():
            count += int(good.sum())
            yield (group, frames) if good.all() else (group[good], frames[good])
    if not count:
        raise DataFormatError(
            f"{scan.path}: none of the {len(indices)} patterns looked at can be used: they are blank, saturated, not"
            " finite or can't be read; `nbedex info` shows what the file holds"
        )
    if count < len(indices):
        log.info("%d of %d patterns looked at are left out: they can't be used", len(indices) - count, len(indices))


def spread_frames(
    scan: Scan, samples: int, *, mask: NDArray[np.uint8] | None, max_saturated: float
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.generic]]]:
    """About `samples` patterns spread over the scan, as `usable_frames` yields them; none where none can be used.

    Indexing says so of each. `mask` (det_y, det_x): non-zero where a pixel is not used.
    """
    positions = sample_positions(scan.scan_shape, samples)
    with contextlib.suppress(DataFormatError):
        yield from usable_frames(
            scan, positions, ignore=None if mask is None else mask != 0, max_saturated=max_saturated
        )


def _readable(scan: Scan, indices: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.generic]]:
    """Those of the patterns that can be read."""
    try:
        return indices, scan.read_at(indices)
    except DataFormatError:
        pass
    kept, frames = [], []
    for index in indices:
        try:
            frames.append(scan.read_at([int(index)])[0])
        except DataFormatError:
            continue
        kept.append(index)
    shape = (len(kept), *scan.frame_shape)
    return np.array(kept, dtype=np.intp), np.array(frames, dtype=scan.dtype).reshape(shape)
