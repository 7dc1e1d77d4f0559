"""Where frames come from: a stack of n frames that can be read in part.

A source delivers frames as they are stored; `Scan` turns them into native numbers. Every source may be
read by several threads at once.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.errors import DataFormatError
from nbedex.scan.blocks import Block, rectangles

# Bands of chunks kept in memory while blocks of patterns are cut from them, bytes.
BAND_BUDGET = 1 << 29
# A block of patterns is made this large where that keeps chunks in one piece, bytes.
LARGEST_BLOCK = 128 << 20


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
    tile
        Patterns that are stored, and lost, together: along each scan axis.
    parallel
        Whether several threads read blocks faster than one.
    """

    @property
    def scan_shape(self) -> tuple[int, ...]: ...
    @property
    def frame_shape(self) -> tuple[int, int]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def tile(self) -> tuple[int, ...]: ...
    @property
    def parallel(self) -> bool: ...
    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Frames [start, stop), (n, det_y, det_x), as stored."""
        ...

    def read_block(self, block: Block, workers: Executor | None = None) -> NDArray[Any]:
        """Frames of a block (n, det_y, det_x), as stored; unpacked on the threads of `workers`."""
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
    parallel: ClassVar[bool] = False

    @property
    def scan_shape(self) -> tuple[int, ...]:
        return self.array.shape[:-2]

    @property
    def frame_shape(self) -> tuple[int, int]:
        return self.array.shape[-2], self.array.shape[-1]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    @property
    def tile(self) -> tuple[int, ...]:
        return (1,) * len(self.scan_shape)

    def read_block(self, block: Block, workers: Executor | None = None) -> NDArray[Any]:
        return self.read(block.first, block.last + 1)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        plain = np.asarray(self.array)
        if plain.ndim == 3:
            frames = plain[start:stop]
        elif plain.flags.c_contiguous:
            frames = plain.reshape(-1, *self.frame_shape)[start:stop]
        else:
            parts = [plain[where] for where in rectangles(self.scan_shape, start, stop)]
            frames = np.concatenate([part.reshape(-1, *self.frame_shape) for part in parts])
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
    growing
        Whether the file may still be shorter: reading what is not there yet is an error of its own.
    """

    parallel = False

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
        growing: bool = False,
    ) -> None:
        self.path = path
        self.scan_shape = scan_shape
        self.frame_shape = frame_shape
        self.dtype = dtype
        self._frame_bytes = frame_shape[0] * frame_shape[1] * dtype.itemsize
        self._offset, self._stride, self._flip = offset, stride or self._frame_bytes, flip_rows
        count = int(np.prod(scan_shape, dtype=np.int64))
        expected = offset + (count - 1) * self._stride + self._frame_bytes
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed in close()
        self._lock = threading.Lock()
        self.tile = (1,) * len(scan_shape)
        actual = path.stat().st_size
        if actual < expected and not growing:
            self._file.close()
            raise truncated(path, expected, actual)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        count = stop - start
        span = (count - 1) * self._stride + self._frame_bytes if count else 0
        buffer = np.empty(span, np.uint8)
        self._read_fully(memoryview(buffer.data), self._offset + start * self._stride)
        rows, columns = self.frame_shape
        steps = (self._stride, columns * self.dtype.itemsize, self.dtype.itemsize)
        frames: NDArray[Any] = np.ndarray((count, rows, columns), self.dtype, buffer, strides=steps)
        return frames[:, ::-1] if self._flip else frames

    def read_block(self, block: Block, workers: Executor | None = None) -> NDArray[Any]:
        return self.read(block.first, block.last + 1)

    def in_file(self, numbers: NDArray[np.integer[Any]]) -> _core.FrameFile | None:
        """Frames (n,) for the core to read; None where they don't lie there as they are delivered, or it can't.

        The system is told that they will be read.
        """
        if self._flip or not hasattr(_core, "FrameFile") or not len(numbers):
            return None
        places = self.places(numbers)
        if hasattr(os, "posix_fadvise"):
            first, last = int(places.min()), int(places.max()) + self._frame_bytes
            if last - first <= 2 * len(numbers) * self._stride:  # not what lies between patterns here and there
                os.posix_fadvise(self._file.fileno(), first, last - first, os.POSIX_FADV_WILLNEED)
        rows, columns = self.frame_shape
        return _core.FrameFile(
            descriptor=self._file.fileno(), places=places, rows=rows, columns=columns, dtype=self.dtype
        )

    def places(self, numbers: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Where frames (n,) begin in the file."""
        return np.asarray(self._offset + np.asarray(numbers, np.int64) * self._stride)

    def arrived(self) -> int:
        """How many frames are in the file by now."""
        count = int(np.prod(self.scan_shape, dtype=np.int64))
        size = os.fstat(self._file.fileno()).st_size - self._offset
        return max(0, min(count, (size - self._frame_bytes) // self._stride + 1))

    def _read_fully(self, view: memoryview, place: int) -> None:
        """Fill `view` from a place in the file; reads may be short (2 GiB limit of the system, network drives)."""
        done, size = 0, len(view)
        while done < size:
            got = self._read_some(view[done:], place + done)
            if not got:
                raise OSError(f"expected {size} bytes, got {done}: the file ends early")
            done += got

    def _read_some(self, view: memoryview, place: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [view], place)
        with self._lock:  # Windows can't read at a place, only where the file stands
            self._file.seek(place)
            return int(self._file.readinto(view) or 0)

    def close(self) -> None:
        self._file.close()


def truncated(path: Path, expected: int, actual: int) -> DataFormatError:
    """Error for a file that is shorter than its header says."""
    return DataFormatError(
        f"{path}: truncated, expected {expected} bytes, the file has {actual}; copy or export it again"
    )


class Fetch(Protocol):
    """Reads frames by rectangles."""

    def __call__(self, where: tuple[slice, ...], workers: Executor | None, /) -> NDArray[Any]:
        """Frames at a tuple of slices of the scan axes, as stored; on the threads of `workers` where that helps."""
        ...


class GridSource:
    """Frames of a 4D (or 3D) array that lives in a file and is read by rectangles of scan positions.

    A chunked file stores tiles of several patterns, and unpacks a whole tile for one of them. Blocks are made
    of whole tiles (`nbedex.scan.blocks`). Who reads ranges in scan order instead, which cut tiles, is served from
    bands (all tiles of some scan rows): the last two are kept, as long as they fit into `BAND_BUDGET` bytes.

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
        fetch: Fetch,
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
        self.tile = tuple(map(min, tile, scan_shape)) if tile else (1,) * len(scan_shape)
        self.parallel: bool = getattr(fetch, "parallel", False)
        self._fetch, self._close = fetch, close
        self._band = self.tile[0]
        self._row_frames = scan_shape[1] if len(scan_shape) == 2 else 1
        frame_bytes = frame_shape[0] * frame_shape[1] * dtype.itemsize
        self.tile_bytes = int(np.prod(self.tile)) * frame_bytes
        self.band_bytes = self._band * self._row_frames * frame_bytes
        self.cached = max(self.tile) > 1 and 2 * self.band_bytes <= BAND_BUDGET
        self._bands: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, start: int, stop: int) -> NDArray[Any]:
        if not self.cached:
            return self._gather(rectangles(self.scan_shape, start, stop))
        frames_per_band = self._band * self._row_frames
        out = np.empty((stop - start, *self.frame_shape), self.dtype)
        for number in range(start // frames_per_band, -(-stop // frames_per_band)):
            first = number * frames_per_band
            band = self._load_band(number)
            low, high = max(start, first), min(stop, first + len(band))
            out[low - start : high - start] = band[low - first : high - first]
        return out

    def read_block(self, block: Block, workers: Executor | None = None) -> NDArray[Any]:
        return self._gather(block.rectangles, workers)

    def by_tile(self, indices: NDArray[np.int64]) -> Iterator[NDArray[np.intp]]:
        """Cut numbers of frames into those that lie in the same tile, to be read by `read_few`: places in `indices`."""
        steps = self.tile if len(self.scan_shape) == 2 else (1, self.tile[0])
        rows, columns = np.divmod(indices, self.scan_shape[-1])
        number = rows // steps[0] * self.scan_shape[-1] + columns // steps[1]
        order = np.argsort(number, kind="stable")
        if order.size:
            yield from np.split(order, np.flatnonzero(np.diff(number[order])) + 1)

    def read_few(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Frames (n, det_y, det_x) that lie near one another, for scattered access: past the bands."""
        axes = np.unravel_index(indices, self.scan_shape)
        where = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in axes)
        inside = tuple(axis - part.start for axis, part in zip(axes, where, strict=True))
        return np.asarray(self._fetch(where, None)[inside])

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
            band = self._fetch(where, None).reshape(-1, *self.frame_shape)
            self._bands[number] = band
            return band

    def _gather(self, parts: Iterable[tuple[slice, ...]], workers: Executor | None = None) -> NDArray[Any]:
        """Frames of rectangles, one after the other."""
        found = [self._fetch(where, workers).reshape(-1, *self.frame_shape) for where in parts]
        if len(found) == 1:
            return found[0]
        return np.concatenate(found) if found else np.empty((0, *self.frame_shape), self.dtype)

    def close(self) -> None:
        self._bands.clear()
        if self._close is not None:
            self._close()
            self._close = None
