"""Boxes of a chunked array put together from its chunks, which are unpacked on several threads.

The HDF5 library unpacks one chunk at a time, under one lock for the whole process. Here it only hands out
the stored bytes; unpacking them needs no lock, and zlib gives Python's own lock back while it works.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# At most so many pieces of work a box is dealt out in: enough for all threads, as the next box is dealt out before the
# last piece is done, and few enough that handing them out costs nothing.
_JOBS = 16
# Deflated data up to this size are unpacked at once, which is a little faster, whatever comes of it, bytes.
_ANY_SIZE = 1 << 18

# Chunks without filters are left to the HDF5 library below this size: it is faster at many small ones, bytes.
_LARGE_CHUNK = 1 << 18

_DEFLATE, _SHUFFLE = 1, 2  # registered numbers of HDF5's own filters


class Piece(NamedTuple):
    """What of one chunk belongs into a box.

    Attributes
    ----------
    offset
        Index of the chunk's first element in the array.
    inside
        The part of the chunk.
    target
        Where it goes in the box.
    """

    offset: tuple[int, ...]
    inside: tuple[slice, ...]
    target: tuple[slice, ...]

    @property
    def part(self) -> tuple[slice, ...]:
        """The same part, as slices of the array."""
        return tuple(
            slice(start + inside.start, start + inside.stop)
            for start, inside in zip(self.offset, self.inside, strict=True)
        )


def pieces(box: tuple[slice, ...], chunks: tuple[int, ...]) -> Iterator[Piece]:
    """Every chunk that a box has elements of, once; all slices have a start and a stop."""
    axes = []
    for part, size in zip(box, chunks, strict=True):
        found = []
        for start in range(part.start // size * size, part.stop, size):
            low, high = max(part.start, start), min(part.stop, start + size)
            found.append((start, slice(low - start, high - start), slice(low - part.start, high - part.start)))
        axes.append(found)
    for chunk in itertools.product(*axes):
        yield Piece(*zip(*chunk, strict=True))


class ChunkedArray:
    """Chunked array with the scan axes first, read by boxes of whole frames.

    Parameters
    ----------
    shape, chunks
        Of the array and its chunks, in the order of the file.
    dtype
        Type of the stored numbers.
    load
        Writes a part of the chunk that starts at an index into an array; called by several threads at once.
    order
        Axes of the file in the order in which frames are delivered: scan axes, detector rows, columns.
    parallel
        Kept as an attribute: whether chunks are worth a thread: unpacking one takes far longer than handing it out.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        chunks: tuple[int, ...],
        dtype: np.dtype[Any],
        load: Callable[[Piece, NDArray[Any]], None],
        *,
        order: tuple[int, ...],
        parallel: bool = True,
    ) -> None:
        self._chunks, self._dtype, self._load, self.parallel = chunks, dtype, load, parallel
        self._order, self._stored = order, tuple(int(axis) for axis in np.argsort(order))
        self._frame = tuple(slice(0, shape[axis]) for axis in order[-2:])

    def __call__(self, where: tuple[slice, ...], workers: Executor | None = None) -> NDArray[Any]:
        """Frames of a rectangle of scan positions, read on `workers` or else on this thread.

        Raises the error of the first chunk, in the order of the file, that can't be read.
        """
        parts = (*where, *self._frame)
        out = np.empty(tuple(part.stop - part.start for part in parts), self._dtype)
        stored = out.transpose(self._stored)
        wanted = list(pieces(tuple(parts[axis] for axis in self._stored), self._chunks))

        def load(first: int, last: int) -> None:
            for piece in wanted[first:last]:
                self._load(piece, stored[piece.target])

        if workers is None or not self.parallel or len(wanted) == 1:
            load(0, len(wanted))
            return out
        step = -(-len(wanted) // _JOBS)
        jobs = [workers.submit(load, first, first + step) for first in range(0, len(wanted), step)]
        errors = [job.exception() for job in jobs]  # of all, so that nothing is at work when this returns
        for error in errors:
            if error is not None:
                raise error
        return out


class _Filters:
    """HDF5 filters, as (number, element size) in the order in which they were applied when writing."""

    def __init__(self, steps: Iterable[tuple[int, int]]) -> None:
        self._steps = tuple((1 << place, code, width) for place, (code, width) in enumerate(steps))[::-1]

    def undo(self, data: Any, skipped: int, size: int) -> NDArray[np.uint8]:
        """Bytes of a chunk of `size` bytes; bit n of `skipped` says that filter n was left out for it."""
        for bit, code, width in self._steps:
            if not skipped & bit:
                data = _inflate(data, size) if code == _DEFLATE else _unshuffle(data, width)
        if len(data) != size:
            raise ValueError(f"unpacks to {len(data)} bytes instead of {size}")
        return np.frombuffer(data, np.uint8)


def _inflate(data: Any, size: int) -> bytes:
    """Unpack deflated data. A few bytes may be made to unpack to a thousand times as many: never to gigabytes."""
    if len(data) <= _ANY_SIZE:
        return zlib.decompress(data, bufsize=size)
    stream = zlib.decompressobj()
    unpacked = stream.decompress(data, size)
    # The checksum at the end is read, and compared, only when more is asked for.
    if not stream.eof and (stream.decompress(stream.unconsumed_tail, 1) or not stream.eof):
        raise ValueError(f"compressed data do not end after {size} bytes")
    return unpacked


def _unshuffle(data: Any, width: int) -> NDArray[np.uint8]:
    """Bring the bytes of each number together again: first all first bytes are stored, then all second ones."""
    stored = np.frombuffer(data, np.uint8)
    count = stored.size // width
    out = np.empty(stored.size, np.uint8)
    numbers = out[: count * width].reshape(count, width)
    for byte in range(width):
        numbers[:, byte] = stored[byte * count : (byte + 1) * count]
    out[count * width :] = stored[count * width :]
    return out


def hdf5_chunks(node: Any, order: tuple[int, ...]) -> ChunkedArray | None:
    """Reader of a chunked HDF5 dataset past the library's filters; None where only the library can read it.

    Parameters
    ----------
    node
        An h5py dataset.
    order
        As for `ChunkedArray`.
    """
    import h5py

    if node.chunks is None or node.is_virtual or 0 in node.shape or node.dtype.kind not in "iuf":
        return None
    if not node.id.get_type().equal(h5py.h5t.py_create(node.dtype)):
        return None  # numbers that the library converts: 12 bits in 16, unusual floats
    plist = node.id.get_create_plist()
    filters = []
    for number in range(plist.get_nfilters()):
        code, _, values, _ = plist.get_filter(number)
        if code not in (_DEFLATE, _SHUFFLE):
            return None
        filters.append((code, int(values[0]) if code == _SHUFFLE else 0))
    load = _Hdf5Loader(node, filters)
    if not filters and load.size < _LARGE_CHUNK:
        return None
    return ChunkedArray(node.shape, node.chunks, node.dtype, load, order=order, parallel=bool(filters))


class _Hdf5Loader:
    """Loads chunks of an HDF5 dataset: the library finds the stored bytes, they are unpacked here."""

    def __init__(self, node: Any, filters: list[tuple[int, int]]) -> None:
        self._node, self._filters = node, _Filters(filters)
        self._shape, self._dtype = tuple(node.chunks), node.dtype
        self.size = int(np.prod(self._shape)) * self._dtype.itemsize

    def __call__(self, piece: Piece, target: NDArray[Any]) -> None:
        """Write a part of a chunk into `target`.

        Whatever goes wrong, the library is asked for the same numbers: it knows chunks that were never
        written and edge chunks that are not compressed, and its word on damaged ones is the plain read's.
        """
        try:
            self._load(piece, target)
        except Exception as error:
            try:
                target[...] = self._node[piece.part]
            except Exception as library:
                raise OSError(f"chunk at {piece.offset}: {library}") from error

    def _load(self, piece: Piece, target: NDArray[Any]) -> None:
        skipped, data = self._node.id.read_direct_chunk(piece.offset)
        numbers = self._filters.undo(data, skipped, self.size).view(self._dtype)
        target[...] = numbers.reshape(self._shape)[piece.inside]
