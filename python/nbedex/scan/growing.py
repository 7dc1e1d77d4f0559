"""Scans in files that are still being written: HDF5 whose writer is in SWMR mode, .npy and .mib that get longer.

How many patterns have arrived is asked of the file's length, or of the chunks that HDF5 has. Whether the writer had
put all of a pattern there can't be known from outside, so nothing read from a growing file is final:
`nbedex.workflow.follow` compares it with the finished one.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.scan.blocks import Block, rectangles
from nbedex.scan.checks import MIN_DETECTOR, check_dimensions
from nbedex.scan.metadata import ScanMetadata
from nbedex.scan.scan import Scan
from nbedex.scan.sources import FrameSource, RawSource


class GrowingSource(FrameSource, Protocol):
    """A source that knows how much of it is there."""

    def arrived(self) -> int:
        """Patterns that are in the file, from the first on without a gap."""
        ...


class GrowingScan:
    """A scan of its final size, of which the first patterns are there.

    Parameters
    ----------
    scan
        Reading patterns that have not arrived is a DataFormatError.
    source
        What it reads from.
    """

    def __init__(self, scan: Scan, source: GrowingSource) -> None:
        self.scan, self._source = scan, source

    def arrived(self) -> int:
        """Patterns that are in the file, from the first on without a gap."""
        return min(self._source.arrived(), self.scan.size)


_Found = tuple[GrowingSource, str, str | None, ScanMetadata]


def open_growing(path: Path, *, dataset: str | None, scan_shape: tuple[int, int] | None) -> GrowingScan:
    """Open a file that is being written.

    Parameters
    ----------
    path
        HDF5, .npy or .mib; its header, or the HDF5 dataset, must be there.
    dataset
        Path of the dataset in an HDF5 file that holds several.
    scan_shape
        Rows and columns of the finished scan; needed where the file does not say them.

    Raises
    ------
    ArgumentError
        There is no such file, it does not say how large the scan will be, or files of its kind can't be followed.
    DataFormatError
        It can't be read (yet).
    """
    from nbedex.scan.guard import first_contact
    from nbedex.scan.hdf5 import is_hdf5

    if not path.exists():
        raise ArgumentError(f"no such file: {path}")
    if is_hdf5(path):
        first_contact(path, dataset=dataset, scan_shape=scan_shape, how="growing")
        return open_growing_hdf5(path, dataset=dataset, scan_shape=scan_shape)
    return _growing(lambda: _raw(path, scan_shape), path, scan_shape)


def open_growing_hdf5(path: Path, *, dataset: str | None, scan_shape: tuple[int, int] | None) -> GrowingScan:
    """`open_growing` of an HDF5 file, without a child process that goes first."""
    return _growing(lambda: _hdf5(path, dataset, scan_shape), path, scan_shape)


def _growing(find: Callable[[], _Found], path: Path, scan_shape: tuple[int, int] | None) -> GrowingScan:
    try:
        source, format, name, metadata = find()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise DataFormatError(f"{path}: can't be followed ({error})") from error
    scan = Scan(source, path=path, format=format, dataset=name, metadata=metadata, scan_shape=scan_shape)
    return GrowingScan(scan, source)


def _raw(path: Path, scan_shape: tuple[int, int] | None) -> _Found:
    """A file of frames at regular distances."""
    suffix = path.suffix.lower()
    if suffix == ".npy":
        from nbedex.scan.npy import read_header

        shape, fortran, dtype, offset = read_header(path)
        check_dimensions(shape, path)
        if fortran:
            raise ArgumentError(
                f"{path}: an array with its columns first can't be followed; index it when it is finished"
            )
        source = RawSource(
            path, offset=offset, scan_shape=shape[:-2], frame_shape=(shape[-2], shape[-1]), dtype=dtype, growing=True
        )
        return source, "npy", None, ScanMetadata()
    if suffix == ".mib":
        from nbedex.scan.raw_layouts import raw_layout

        if scan_shape is None:
            raise _size_unknown(path)
        layout = raw_layout("mib", path, (1, 1))
        assert layout is not None
        source = RawSource(
            path,
            offset=layout.offset,
            stride=layout.stride,
            scan_shape=(scan_shape[0] * scan_shape[1],),
            frame_shape=layout.frame_shape,
            dtype=layout.dtype,
            flip_rows=layout.flip_rows,
            growing=True,
        )
        return source, "mib", None, ScanMetadata()
    raise ArgumentError(
        f"{path}: only HDF5, .npy and .mib can be followed while they are written; index it when it is done"
    )


def _hdf5(path: Path, dataset: str | None, scan_shape: tuple[int, int] | None) -> _Found:
    """A dataset that gets longer, or whose chunks get written."""
    import h5py

    from nbedex.scan.hdf5 import Candidate, candidates, choose_dataset, resolve
    from nbedex.scan.hdf5_layouts import layout_of

    try:
        file = h5py.File(path, "r", libver="latest", swmr=True)
    except (OSError, ValueError):  # not written for SWMR, or written by a program that is not told to be
        file = h5py.File(path, "r")
    try:
        if dataset is None:
            found: list[Candidate] = list(candidates(file))
            large = [c for c in found if min(c.shape[-2:]) >= MIN_DETECTOR]
            dataset = choose_dataset(large or found, path)
        node = resolve(file, dataset, path)
        check_dimensions(node.shape or (), path, dataset)
        layout = layout_of(file, node)
        if layout.order != tuple(range(len(node.shape))):
            raise ArgumentError(
                f"{path}: the detector axes come first; such a file can be indexed when it is finished only"
            )
        return (
            _GrowingDataset(file, node, _final_shape(node, path, scan_shape)),
            layout.name,
            str(node.name),
            layout.metadata,
        )
    except BaseException:
        file.close()
        raise


def _final_shape(node: Any, path: Path, scan_shape: tuple[int, int] | None) -> tuple[int, ...]:
    """Scan axes of a dataset when it is finished: as the user says, or as far as it can grow."""
    stored, most = node.shape[:-2], node.maxshape[:-2]
    if scan_shape is not None:
        final = scan_shape if len(stored) == 2 else (scan_shape[0] * scan_shape[1],)
        if any(have > will for have, will in zip(stored, final, strict=True)):
            raise ArgumentError(f"{path}: has {stored} patterns already, more than --scan-shape {scan_shape} says")
        return final
    if any(size is None for size in most):
        raise _size_unknown(path)
    return tuple(int(size) for size in most)


def _size_unknown(path: Path) -> ArgumentError:
    return ArgumentError(f"{path} does not say how large the scan will be; give --scan-shape ROWS,COLUMNS")


class _GrowingDataset:
    """Frames of an HDF5 dataset whose writer is still at work."""

    parallel = False

    def __init__(self, file: Any, node: Any, scan_shape: tuple[int, ...]) -> None:
        self._file, self._node = file, node
        self.scan_shape = scan_shape
        self.frame_shape = (int(node.shape[-2]), int(node.shape[-1]))
        self.dtype = node.dtype
        chunks = node.chunks or (1,) * len(scan_shape)
        self.tile = tuple(min(int(c), n) for c, n in zip(chunks, scan_shape, strict=False))
        self._there = 0  # chunks' worth of scan positions known to be there
        self._lock = threading.Lock()

    def arrived(self) -> int:
        with self._lock:
            self._node.refresh()
            if self._node.chunks is None:
                return int(np.prod(self._node.shape[: len(self.scan_shape)], dtype=np.int64))
            counts = [-(-n // t) for n, t in zip(self.scan_shape, self.tile, strict=True)]
            total = int(np.prod(counts))
            while self._there < total and self._has(np.unravel_index(self._there, counts)):
                self._there += 1
            there = self._there
        if max(self.tile) > 1 and there < total:
            there = max(there - 1, 0)  # the last chunk may not be full yet
        if len(counts) == 1:
            return min(there * self.tile[0], self.scan_shape[0])
        bands, rest = divmod(there, counts[1])
        full = min(bands * self.tile[0], self.scan_shape[0]) * self.scan_shape[1]
        return full + (min(rest * self.tile[1], self.scan_shape[1]) if self.tile[0] == 1 else 0)

    def _has(self, number: tuple[Any, ...]) -> bool:
        """Whether the chunks of all detector parts of a tile of patterns are in the file."""
        start = tuple(int(n) * t for n, t in zip(number, self.tile, strict=True))
        if any(first >= size for first, size in zip(start, self._node.shape, strict=False)):
            return False
        parts = [range(0, n, c) for n, c in zip(self.frame_shape, self._node.chunks[-2:], strict=True)]
        return all(
            self._node.id.get_chunk_info_by_coord((*start, *place)).byte_offset is not None
            for place in itertools.product(*parts)
        )

    def read(self, start: int, stop: int) -> NDArray[Any]:
        return self._gather(list(rectangles(self.scan_shape, start, stop)))

    def read_block(self, block: Block, workers: Executor | None = None) -> NDArray[Any]:
        return self._gather(list(block.rectangles))

    def _gather(self, parts: list[tuple[slice, ...]]) -> NDArray[Any]:
        found = []
        for where in parts:
            frames = np.asarray(self._node[where])
            if frames.shape[: len(where)] != tuple(part.stop - part.start for part in where):
                raise OSError("these patterns have not been written yet")
            found.append(frames.reshape(-1, *self.frame_shape))
        return found[0] if len(found) == 1 else np.concatenate(found)

    def close(self) -> None:
        self._file.close()
