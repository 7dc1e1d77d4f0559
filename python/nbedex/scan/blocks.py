"""In which order the patterns of a scan are best read: blocks that unpack every chunk of the file once.

A file whose chunks span several scan rows is read in rectangles of whole chunks, so that nothing has to be
kept from one row to the next: the memory needed does not grow with the length of a row. All other files are
read in scan order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Block:
    """Patterns that are read together.

    Attributes
    ----------
    rectangles
        Slices of the scan's axes as stored; the patterns of one after the other, each in row-major order.
    columns
        Patterns in a row of the scan as stored.
    """

    rectangles: tuple[tuple[slice, ...], ...]
    columns: int

    def __len__(self) -> int:
        return sum(int(np.prod([part.stop - part.start for part in where])) for where in self.rectangles)

    @property
    def first(self) -> int:
        """Lowest number of a pattern, which is also the first that is read."""
        where = self.rectangles[0]
        return int(where[0].start) * self.columns + int(where[1].start) if len(where) == 2 else int(where[0].start)

    @property
    def last(self) -> int:
        """Highest number of a pattern, which is also the last that is read."""
        where = self.rectangles[-1]
        row, column = where[0].stop - 1, where[-1].stop - 1
        return int(row) * self.columns + int(column) if len(where) == 2 else int(column)

    @property
    def patterns(self) -> NDArray[np.intp]:
        """Numbers of the patterns (n,) in row-major scan order, as they are read."""
        found = []
        for where in self.rectangles:
            numbers = np.arange(where[-1].start, where[-1].stop, dtype=np.intp)
            if len(where) == 2:
                rows = np.arange(where[0].start, where[0].stop, dtype=np.intp)
                numbers = (rows[:, None] * self.columns + numbers).ravel()
            found.append(numbers)
        return np.concatenate(found)


def plan(scan_shape: tuple[int, ...], tile: tuple[int, ...], size: int, largest: int) -> Iterator[Block]:
    """Cut a scan into blocks.

    Parameters
    ----------
    scan_shape
        (rows, columns) as stored, or (frames,).
    tile
        Frames that a chunk spans along each of these axes, at least 1.
    size
        Patterns in a block, where chunks allow it.
    largest
        Patterns that a block may have so that a chunk need not be cut; chunks beyond that are unpacked
        more than once.

    Yields
    ------
    Block
        Together every pattern once.
    """
    if len(scan_shape) == 2 and tile[0] > 1:
        return _by_bands(scan_shape, tile, size, largest)
    return _in_order(scan_shape, min(tile[-1], scan_shape[-1]), size, largest)


def _in_order(scan_shape: tuple[int, ...], width: int, size: int, largest: int) -> Iterator[Block]:
    """Consecutive patterns, cut where a chunk ends."""
    columns, total = scan_shape[-1], int(np.prod(scan_shape, dtype=np.int64))
    start = 0
    while start < total:
        stop = min(start + size, total)
        row, column = divmod(stop, columns)
        whole = row * columns + column // width * width
        if whole <= start:  # one chunk is more than a block
            row, column = divmod(start, columns)
            whole = min(row * columns + min((column // width + 1) * width, columns), start + max(size, largest))
        stop = whole if stop < total else stop
        yield Block(tuple(rectangles(scan_shape, start, stop)), columns)
        start = stop


def _by_bands(scan_shape: tuple[int, ...], tile: tuple[int, ...], size: int, largest: int) -> Iterator[Block]:
    """Rectangles of whole chunks; of parts of one chunk where it is larger than `largest`."""
    rows, columns = scan_shape
    height, width = min(tile[0], rows), min(tile[1], columns)
    if height * width > max(size, largest):
        inner_rows, inner_columns = max(1, largest // width), min(width, max(1, largest))
    else:
        width = min(columns, max(1, size // (height * width)) * width)
        if width == columns:
            height = min(rows, max(1, size // (height * columns)) * height)
        inner_rows, inner_columns = height, width
    for top, left in _corners(slice(0, rows), slice(0, columns), height, width):
        down, right = slice(top, min(top + height, rows)), slice(left, min(left + width, columns))
        for row, column in _corners(down, right, inner_rows, inner_columns):
            yield Block(
                (
                    (
                        slice(row, min(row + inner_rows, down.stop)),
                        slice(column, min(column + inner_columns, right.stop)),
                    ),
                ),
                columns,
            )


def _corners(rows: slice, columns: slice, height: int, width: int) -> Iterator[tuple[int, int]]:
    for row in range(rows.start, rows.stop, height):
        for column in range(columns.start, columns.stop, width):
            yield row, column


def rectangles(scan_shape: tuple[int, ...], start: int, stop: int) -> Iterator[tuple[slice, ...]]:
    """Cut the frames [start, stop) of a row-major grid into at most three rectangles of slices.

    The end of the first row, whole rows, the start of the last row. A one-dimensional stack is one piece.
    """
    if len(scan_shape) == 1:
        yield (slice(start, stop),)
        return
    columns = scan_shape[1]
    while start < stop:
        row, column = divmod(start, columns)
        if column == 0 and stop - start >= columns:
            rows = (stop - start) // columns
            yield slice(row, row + rows), slice(0, columns)
            start += rows * columns
        else:
            end = min(columns, column + stop - start)
            yield slice(row, row + 1), slice(column, end)
            start += end - column


def tiles(block: Block, tile: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Cut a block's rectangles where chunks end: what is lost together when one of them is damaged."""
    for where in block.rectangles:
        if len(where) == 1:
            where = (slice(0, 1), *where)
        down = 1 if len(tile) == 1 else tile[0]
        for row in _cuts(where[0], down):
            for column in _cuts(where[1], tile[-1]):
                yield (row, column)[2 - len(block.rectangles[0]) :]


def runs(numbers: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """Ranges [start, stop) of consecutive numbers in an ascending array."""
    if len(numbers):
        breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
        for part in np.split(numbers, breaks):
            yield int(part[0]), int(part[-1]) + 1


def _cuts(part: slice, step: int) -> Iterator[slice]:
    for low in range(part.start // step * step, part.stop, step):
        yield slice(max(part.start, low), min(part.stop, low + step))
