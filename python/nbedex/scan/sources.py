"""Where frames come from: a stack of n frames that can be read in part.

A source delivers frames as they are stored; `Scan` turns them into native numbers. Every source may be
read by several threads at once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import DataFormatError

# Bands of chunks kept in memory while blocks of patterns are cut from them, bytes.
BAND_BUDGET = 1 << 30


class FrameSource(Protocol):
    """A stack of frames, numbered in row-major scan order.

    Attributes
    ----------
    scan_shape
        Scan shape as stored: (rows, columns), or (frames,) for a plain stack.
    frame_shape
        (det_y, det_x).
    dtype
        Type of the stored numbers, in any byte order.
    """

    @property
    def scan_shape(self) -> tuple[int, ...]: ...
    @property
    def frame_shape(self) -> tuple[int, int]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Frames [start, stop), (n, det_y, det_x), as stored."""
        ...

    def close(self) -> None:
        """Give back what the source holds open."""
        ...


@dataclass(frozen=True)
class ArraySource:
    """Frames of an array in memory, or of anything that slices like one.

    Parameters
    ----------
    array
        (rows, columns, det_y, det_x) or (frames, det_y, det_x).
    """

    array: NDArray[Any]

    @property
    def scan_shape(self) -> tuple[int, ...]:
        return self.array.shape[:-2]

    @property
    def frame_shape(self) -> tuple[int, int]:
        return self.array.shape[-2], self.array.shape[-1]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    def read(self, start: int, stop: int) -> NDArray[Any]:
        plain = np.asarray(self.array)
        if plain.ndim == 3:
            frames = plain[start:stop]
        elif plain.flags.c_contiguous:
            frames = plain.reshape(-1, *self.frame_shape)[start:stop]
        else:
            frames = gather(plain.__getitem__, self.scan_shape, self.frame_shape, self.dtype, start, stop)
        frames = frames.view()
        frames.flags.writeable = False
        return frames

    def close(self) -> None:
        pass


class RawSource:
    """Frames at regular distances in a file, read by seek and read.

    Not a memory map: a file that shrinks or a drive that fails while it is read then gives an error,
    where a memory map ends the process (SIGBUS).

    Parameters
    ----------
    path
        The file.
    offset
        Position of the first frame's first byte.
    stride
        Bytes from one frame to the next, at least the bytes of a frame.
    scan_shape, frame_shape, dtype
        As in `FrameSource`.
    flip_rows
        Whether the file has the lowest detector row first (.mib).
    """

    def __init__(
        self,
        path: Path,
        *,
        offset: int,
        stride: int | None = None,
        scan_shape: tuple[int, ...],
        frame_shape: tuple[int, int],
        dtype: np.dtype[Any],
        flip_rows: bool = False,
    ) -> None:
        self.scan_shape = scan_shape
        self.frame_shape = frame_shape
        self.dtype = dtype
        self._frame_bytes = frame_shape[0] * frame_shape[1] * dtype.itemsize
        self._offset, self._stride, self._flip = offset, stride or self._frame_bytes, flip_rows
        count = int(np.prod(scan_shape, dtype=np.int64))
        expected = offset + (count - 1) * self._stride + self._frame_bytes
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed in close()
        self._lock = threading.Lock()
        actual = path.stat().st_size
        if actual < expected:
            self._file.close()
            raise truncated(path, expected, actual)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        count = stop - start
        span = (count - 1) * self._stride + self._frame_bytes if count else 0
        buffer = np.empty(span, np.uint8)
        with self._lock:
            self._file.seek(self._offset + start * self._stride)
            _read_fully(self._file, memoryview(buffer.data), span)
        rows = np.lib.stride_tricks.as_strided(buffer, (count, self._frame_bytes), (self._stride, 1))
        if self._stride != self._frame_bytes:
            rows = np.ascontiguousarray(rows)
        frames = rows.reshape(-1).view(self.dtype).reshape(count, *self.frame_shape)
        return frames[:, ::-1] if self._flip else frames

    def close(self) -> None:
        self._file.close()


def truncated(path: Path, expected: int, actual: int) -> DataFormatError:
    """Error for a file that is shorter than its header says."""
    return DataFormatError(
        f"{path}: truncated, expected {expected} bytes, the file has {actual}; copy or export it again"
    )


def _read_fully(file: Any, view: memoryview, size: int) -> None:
    """Fill `view`; reads may be short (2 GiB limit of the system, network drives)."""
    done = 0
    while done < size:
        got = file.readinto(view[done:])
        if not got:
            raise OSError(f"expected {size} bytes, got {done}: the file ends early")
        done += got


class GridSource:
    """Frames of a 4D (or 3D) array that lives in a file and is read by slices, with a cache of bands.

    A chunked file stores tiles of several scan rows. Cutting blocks in row-major order from it would
    unpack every tile once per block; so whole bands (all tiles of some scan rows) are unpacked once
    and the last two are kept, as long as they fit into `BAND_BUDGET` bytes.

    Parameters
    ----------
    fetch
        Maps a tuple of slices (scan axes only) to the frames there, as stored.
    scan_shape, frame_shape, dtype
        As in `FrameSource`.
    tile
        Frames that one chunk of the file spans along each scan axis; empty where there are no chunks.
    close
        Called once to close the file.
    """

    def __init__(
        self,
        fetch: Callable[[tuple[slice, ...]], NDArray[Any]],
        *,
        scan_shape: tuple[int, ...],
        frame_shape: tuple[int, int],
        dtype: np.dtype[Any],
        tile: tuple[int, ...] = (),
        close: Callable[[], None] | None = None,
    ) -> None:
        self.scan_shape = scan_shape
        self.frame_shape = frame_shape
        self.dtype = dtype
        self._fetch, self._close = fetch, close
        spans = bool(tile) and max(tile) > 1
        self._band = min(tile[0], scan_shape[0]) if spans else 1
        self._row_frames = scan_shape[1] if len(scan_shape) == 2 else 1
        self.band_bytes = self._band * self._row_frames * frame_shape[0] * frame_shape[1] * dtype.itemsize
        self.cached = spans and 2 * self.band_bytes <= BAND_BUDGET
        self.uncached_tiles = spans and not self.cached
        self._bands: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, start: int, stop: int) -> NDArray[Any]:
        if not self.cached:
            return gather(self._fetch, self.scan_shape, self.frame_shape, self.dtype, start, stop)
        frames_per_band = self._band * self._row_frames
        out = np.empty((stop - start, *self.frame_shape), self.dtype)
        for number in range(start // frames_per_band, -(-stop // frames_per_band)):
            first = number * frames_per_band
            band = self._load_band(number)
            low, high = max(start, first), min(stop, first + len(band))
            out[low - start : high - start] = band[low - first : high - first]
        return out

    def read_few(self, index: int) -> NDArray[Any]:
        """One frame past the cache, for scattered access."""
        return gather(self._fetch, self.scan_shape, self.frame_shape, self.dtype, index, index + 1)

    def _load_band(self, number: int) -> NDArray[Any]:
        """Frames of one band; under the lock, so that two threads don't unpack the same one."""
        with self._lock:
            if number in self._bands:
                self._bands.move_to_end(number)
                return self._bands[number]
            rows = slice(number * self._band, min((number + 1) * self._band, self.scan_shape[0]))
            where = (rows, slice(0, self.scan_shape[1])) if len(self.scan_shape) == 2 else (rows,)
            while len(self._bands) > 1:
                self._bands.popitem(last=False)
            band = self._fetch(where).reshape(-1, *self.frame_shape)
            self._bands[number] = band
            return band

    def close(self) -> None:
        self._bands.clear()
        if self._close is not None:
            self._close()
            self._close = None


def gather(
    fetch: Callable[[tuple[slice, ...]], NDArray[Any]],
    scan_shape: tuple[int, ...],
    frame_shape: tuple[int, int],
    dtype: np.dtype[Any],
    start: int,
    stop: int,
) -> NDArray[Any]:
    """Frames [start, stop) of a grid that is read by rectangles, with as few rectangles as possible."""
    pieces = list(rectangles(scan_shape, start, stop))
    if len(pieces) == 1:
        return fetch(pieces[0]).reshape(-1, *frame_shape)
    out = np.empty((stop - start, *frame_shape), dtype)
    done = 0
    for piece in pieces:
        frames = fetch(piece).reshape(-1, *frame_shape)
        out[done : done + len(frames)] = frames
        done += len(frames)
    return out


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
