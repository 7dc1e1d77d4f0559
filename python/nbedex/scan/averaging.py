"""Patterns averaged with their neighbours in the scan: less noise where counts are few, at the price of resolution.

Neighbours in a grain differ by little but noise, so a weighted mean of three by three counts patterns as if the dose
were three to four times as high. At a boundary the mean mixes two grains, as the beam does where it is wider than a
step (docs/decisions/denoising.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.scan.blocks import Block, plan
from nbedex.scan.scan import Scan
from nbedex.scan.sources import LARGEST_BLOCK

MAX_REACH = 3
_ROWS = 8  # of a block: the rows around it are read once more


def averaged_scan(scan: Scan, reach: int, width: float = 0.8) -> Scan:
    """A scan whose patterns are means over their neighbours; it takes the other's place, which is closed with it.

    A pattern is the same whatever is read with it. Counts stay those of one pattern.

    Parameters
    ----------
    scan
        The scan. Its direct beam must not move by more than a fraction of a pixel between neighbours.
    reach
        Neighbours up to so many scan positions away along rows and columns, 0 to `MAX_REACH`; 0 gives `scan` back.
    width
        Sigma of the Gaussian weight, in scan positions.

    Returns
    -------
    Scan
        Of float32. At the scan's edges fewer patterns are averaged, and beside patterns that can't be read. A pixel
        that is saturated in a pattern is so in its mean.

    Raises
    ------
    ArgumentError
        `reach` or `width` is out of range.
    """
    if not 0 <= reach <= MAX_REACH or not width > 0:
        raise ArgumentError(
            f"patterns are averaged over 0 to {MAX_REACH} positions with a positive width, got {reach} and {width:g}"
        )
    return _AveragedScan(scan, reach, width) if reach else scan


class _AveragedScan(Scan):
    """Read in rectangles, so that few patterns around them are read twice."""

    def __init__(self, scan: Scan, reach: int, width: float) -> None:
        self._inner = scan
        super().__init__(
            _AveragedSource(scan, reach, width),
            path=scan.path,
            format=scan.format,
            dataset=scan.dataset,
            metadata=scan.metadata,
            scan_shape=scan.scan_shape,
            saturation=scan.saturation_value,
        )
        self.binning = scan.binning  # what options in pixels as stored are divided by; frames come binned already
        self._one = scan.saturation_value

    @property
    def saturation_value(self) -> int | None:
        return self._one

    def _deliver(self, frames: NDArray[Any]) -> NDArray[Any]:
        return np.require(frames, dtype=self.dtype, requirements=["C", "A"])

    def iter_blocks(self, size: int, *, largest: int | None = None) -> Iterator[Block]:
        tile = self._inner._source.tile
        tall = max(tile[0], _ROWS) if len(tile) == 2 else _ROWS
        most = max(1, (largest or LARGEST_BLOCK) // self.stored_frame_bytes)
        return plan(self.scan_shape, (tall, tile[-1] if len(tile) == 2 else 1), max(size, _ROWS), most)

    def fingerprint(self) -> str:
        """Of the data and of how they are averaged."""
        source = self._source
        assert isinstance(source, _AveragedSource)
        return f"{self._inner.fingerprint()} averaged {source.reach} {source.width!r}"

    def state(self) -> tuple[int, int] | None:
        return self._inner.state()


@dataclass(frozen=True)
class _AveragedSource:
    """Frames of a scan, each averaged with its neighbours."""

    scan: Scan
    reach: int
    width: float
    tile: ClassVar[tuple[int, ...]] = (1, 1)

    @property
    def scan_shape(self) -> tuple[int, ...]:
        return self.scan.scan_shape

    @property
    def frame_shape(self) -> tuple[int, int]:
        return self.scan.frame_shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    @property
    def parallel(self) -> bool:
        return self.scan.parallel

    def read(self, start: int, stop: int) -> NDArray[Any]:
        nx = self.scan.scan_shape[1]
        parts = []
        while start < stop:
            row, column = divmod(start, nx)
            end = min(nx, column + stop - start)
            parts.append(self._rectangle(slice(row, row + 1), slice(column, end), None))
            start += end - column
        return np.concatenate(parts)

    def read_block(self, block: Block, workers: Executor | None = None) -> NDArray[Any]:
        return np.concatenate([self._rectangle(where[0], where[1], workers) for where in block.rectangles])

    def close(self) -> None:
        self.scan.close()

    def _rectangle(self, rows: slice, columns: slice, workers: Executor | None) -> NDArray[np.float32]:
        """Means (n, det_y, det_x) of a rectangle of the scan."""
        ny, nx = self.scan.scan_shape
        top, bottom = max(rows.start - self.reach, 0), min(rows.stop + self.reach, ny)
        left, right = max(columns.start - self.reach, 0), min(columns.stop + self.reach, nx)
        frames, unreadable = self._read_around(slice(top, bottom), slice(left, right), workers)
        own = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
        if unreadable[own].any():
            row, column = np.argwhere(unreadable[own])[0]
            raise DataFormatError(
                f"{self.scan.path}: can't read pattern {(rows.start + row) * nx + columns.start + column}"
            )
        means = weighted_means(frames, ~unreadable, *own, reach=self.reach, width=self.width)
        saturated = self.scan.saturation_value
        if saturated is not None:
            means[frames[own] >= saturated] = saturated
        return means.reshape(-1, *self.frame_shape)

    def _read_around(
        self, rows: slice, columns: slice, workers: Executor | None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Frames (ny, nx, det_y, det_x) of a rectangle, and which can't be read."""
        scan, (_, nx) = self.scan, self.scan.scan_shape
        stored = scan._source.scan_shape
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        if len(stored) == 2 and scan._source.tile[0] > 1:  # whole chunks of several rows
            blocks = [Block(((rows, columns),), nx)]
        elif len(stored) == 2:
            blocks = [Block(((slice(row, row + 1), columns),), nx) for row in range(rows.start, rows.stop)]
        else:
            starts = [row * nx + columns.start for row in range(rows.start, rows.stop)]
            blocks = [Block(((slice(start, start + shape[1]),),), stored[0]) for start in starts]
        read = [scan.read_block(block, workers) for block in blocks]
        frames = np.concatenate([frames for frames, _ in read]).reshape(*shape, *self.frame_shape)
        lost = [np.zeros(len(frames), bool) if lost is None else lost for frames, lost in read]
        return frames, np.concatenate(lost).reshape(shape)


def weighted_means(
    frames: NDArray[Any], usable: NDArray[np.bool_], rows: slice, columns: slice, *, reach: int, width: float
) -> NDArray[np.float32]:
    """Gaussian-weighted means over neighbours.

    Parameters
    ----------
    frames : (ny, nx, det_y, det_x)
        A rectangle of a scan, with the neighbours that there are.
    usable : (ny, nx) bool
        False where a pattern must not be used; at least one in every neighbourhood is.
    rows, columns
        Patterns that are wanted.
    reach, width
        See `averaged_scan`.

    Returns
    -------
    (rows, columns, det_y, det_x) float32
        The same bits whatever else is in `frames`: neighbours are added in a fixed order.
    """
    ny, nx = frames.shape[:2]
    height, breadth = rows.stop - rows.start, columns.stop - columns.start
    total = np.zeros((height, breadth, *frames.shape[2:]), dtype=np.float32)
    weights = np.zeros((height, breadth), dtype=np.float32)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            weight = np.float32(np.exp(-(dy * dy + dx * dx) / (2 * width**2)))
            first, last = max(columns.start, -dx), min(columns.stop, nx - dx)
            for row in range(max(rows.start, -dy), min(rows.stop, ny - dy)):
                if first >= last:
                    continue
                share = weight * usable[row + dy, first + dx : last + dx].astype(np.float32)
                here = row - rows.start, slice(first - columns.start, last - columns.start)
                weights[here] += share
                total[here] += frames[row + dy, first + dx : last + dx] * share[:, None, None]
    total /= weights[:, :, None, None]
    return total
