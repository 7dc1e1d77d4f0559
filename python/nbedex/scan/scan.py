"""A 4D-STEM scan: frames read block by block, with what the file says about them."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.scan.blocks import Block, plan, tiles
from nbedex.scan.metadata import ScanMetadata
from nbedex.scan.sources import LARGEST_BLOCK, ArraySource, FrameSource, GridSource

log = logging.getLogger(__name__)

MIN_DETECTOR = 16


class Scan:
    """A 4D-STEM scan opened for reading; use it in a ``with`` statement.

    Made by `open_scan` or `memory_scan`. Frames are numbered in row-major scan order.

    Parameters
    ----------
    source
        Where the frames come from.
    path
        The file, for messages.
    format
        Short name of the format: "hspy", "blo", "hdf5", "npy", ...
    dataset
        Path of the dataset inside the file, where it has one.
    metadata
        What the file says.
    scan_shape
        (rows, columns); must hold as many frames as the source. None keeps the source's own shape, and
        makes a plain stack one row.
    saturation
        Largest count of the detector, where it is not the largest number of the stored type.

    Raises
    ------
    DataFormatError
        Frames of complex, structured or object type, detector smaller than 16 pixels, empty scan.
    ArgumentError
        `scan_shape` does not hold the source's number of frames.
    """

    def __init__(
        self,
        source: FrameSource,
        *,
        path: Path,
        format: str,
        dataset: str | None = None,
        metadata: ScanMetadata | None = None,
        scan_shape: tuple[int, int] | None = None,
        saturation: int | None = None,
    ) -> None:
        self.path = path
        self.format = format
        self.dataset = dataset
        self._source = source
        self._closed = False
        self._saturation = saturation
        self._stored = source.dtype
        try:
            self.dtype, notes = delivered_dtype(source.dtype, path)
            self.shape = _full_shape(source, scan_shape, path)
        except Exception:
            source.close()
            raise
        if scan_shape is None and len(source.scan_shape) == 1:
            notes += (f"a stack of {self.size} patterns is taken for one scan row; give --scan-shape otherwise",)
        self.metadata = (metadata or ScanMetadata()).with_notes(*notes)

    @property
    def scan_shape(self) -> tuple[int, int]:
        """(rows, columns) of the scan."""
        return self.shape[0], self.shape[1]

    @property
    def frame_shape(self) -> tuple[int, int]:
        """(det_y, det_x) of a pattern."""
        return self.shape[2], self.shape[3]

    @property
    def parallel(self) -> bool:
        """Whether several threads read blocks faster than one: compressed chunks that are unpacked here."""
        return self._source.parallel

    @property
    def size(self) -> int:
        """Number of patterns."""
        return self.shape[0] * self.shape[1]

    @property
    def saturation_value(self) -> int | None:
        """Largest count: the detector's, or that of the stored integer type; None for other types."""
        if self._saturation is not None:
            return self._saturation
        return int(np.iinfo(self._stored).max) if self._stored.kind in "iu" else None

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Read the patterns [start, stop).

        Parameters
        ----------
        start, stop
            Range in row-major scan order, 0 <= start <= stop <= size.

        Returns
        -------
        ndarray
            (stop - start, det_y, det_x) of `dtype`: C-contiguous, aligned, native byte order. May be a
            read-only view; do not write into it.

        Raises
        ------
        ArgumentError
            Range outside of the scan, or the scan is closed.
        DataFormatError
            The file can't be read there; the message names the patterns.
        """
        self._check_open()
        if not 0 <= start <= stop <= self.size:
            raise ArgumentError(f"patterns [{start}, {stop}) are not within [0, {self.size}) of {self.path}")
        if start == stop:
            return np.empty((0, *self.frame_shape), self.dtype)
        return self._deliver(self._guarded(self._source.read, start, stop, name=f"{start} to {stop - 1}"))

    def blocks(self, size: int) -> list[Block]:
        """Cut the scan into blocks, in an order of patterns that unpacks every chunk of the file once.

        Parameters
        ----------
        size
            Patterns in a block, at least 1. Large chunks make larger blocks, up to `sources.LARGEST_BLOCK` bytes.

        Returns
        -------
        list of Block
            Together every pattern once; in scan order where chunks don't span several scan rows.
        """
        frame_bytes = int(np.prod(self.frame_shape)) * self._stored.itemsize
        return list(plan(self._source.scan_shape, self._source.tile, size, max(1, LARGEST_BLOCK // frame_bytes)))

    def read_block(
        self, block: Block, workers: Executor | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Read a block, as much of it as can be read.

        Parameters
        ----------
        block
            From `blocks`.
        workers
            Threads that unpack compressed chunks; None does it here.

        Returns
        -------
        frames
            (n, det_y, det_x) as from `read`, in the order of `block.patterns`; zeros where they can't be read.
        unreadable : (n,) bool or None
            True for these; None where all could be read.
        """
        self._check_open()
        numbers = f"{block.first} to {block.last}"
        try:
            return self._deliver(self._guarded(self._source.read_block, block, workers, name=numbers)), None
        except DataFormatError as error:
            log.warning("%s", error)
        frames = np.zeros((len(block), *self.frame_shape), self.dtype)
        unreadable = np.zeros(len(block), bool)
        where = {int(number): place for place, number in enumerate(block.patterns)}
        for tile in tiles(block, self._source.tile):
            part = Block((tile,), block.columns)
            places = [where[int(number)] for number in part.patterns]
            try:
                frames[places] = self._deliver(
                    self._guarded(self._source.read_block, part, workers, name=f"{part.first} to {part.last}")
                )
            except DataFormatError as error:
                log.info("%s", error)
                unreadable[places] = True
        return frames, unreadable

    def read_at(self, indices: NDArray[np.integer[Any]] | Sequence[int]) -> NDArray[Any]:
        """Read scattered patterns, for a few hundred of them.

        Parameters
        ----------
        indices
            Numbers of the patterns (n,), in any order, repeated or not.

        Returns
        -------
        ndarray
            (n, det_y, det_x) as from `read`, in the order of `indices`.
        """
        self._check_open()
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= self.size):
            raise ArgumentError(
                f"patterns {wanted.min()} to {wanted.max()} are not within [0, {self.size}) of {self.path}"
            )
        out = np.empty((wanted.size, *self.frame_shape), self.dtype)
        for places in self._groups(wanted):
            some = wanted[places]
            out[places] = self._deliver(self._guarded(self._read_few, some, name=", ".join(map(str, some[:5]))))
        return out

    def _groups(self, wanted: NDArray[np.int64]) -> Iterable[NDArray[np.intp]]:
        """Places in `wanted` that are read in one go: of the same chunks, which are then unpacked once."""
        if isinstance(self._source, GridSource) and self._source.tile_bytes <= LARGEST_BLOCK:
            return self._source.by_tile(wanted)
        return np.argsort(wanted, kind="stable").reshape(-1, 1)

    def _read_few(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        if isinstance(self._source, GridSource):
            return self._source.read_few(indices)
        return self._source.read(int(indices[0]), int(indices[0]) + 1)

    def _guarded(self, function: Callable[..., NDArray[Any]], *arguments: Any, name: str) -> NDArray[Any]:
        """Call a reader; whatever its library raises becomes one clear error."""
        try:
            return function(*arguments)
        except (MemoryError, DataFormatError):
            raise
        except Exception as error:
            raise DataFormatError(
                f"{self.path}: can't read patterns {name} ({error}); the file is damaged or its drive failed"
            ) from error

    def _deliver(self, frames: NDArray[Any]) -> NDArray[Any]:
        """Frames in the type and memory layout that are promised."""
        return np.require(frames.astype(self.dtype, copy=False), requirements=["C", "A"])

    def fingerprint(self) -> str:
        """Hash that identifies the data of a run, the same after the file was moved or copied.

        Returns
        -------
        str
            SHA-256 (hex) of file size, shape, stored type, and the bytes of the first and last pattern.
        """
        size = self.path.stat().st_size if self.path.is_file() else 0
        head = {"bytes": size, "shape": self.shape, "dtype": self._stored.str, "dataset": self.dataset}
        digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
        for index in (0, self.size - 1):
            try:
                digest.update(self.read_at([index]).tobytes())
            except DataFormatError:  # a damaged first or last pattern does not keep the others from being indexed
                digest.update(b"unreadable")
        return digest.hexdigest()

    def close(self) -> None:
        """Close the file; reading afterwards is an error. May be called twice."""
        if not self._closed:
            self._closed = True
            self._source.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ArgumentError(f"the scan {self.path} is closed")

    def __enter__(self) -> Scan:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        scan, frame = " x ".join(map(str, self.scan_shape)), " x ".join(map(str, self.frame_shape))
        return f"<Scan {self.path.name!r} {self.format}: {scan} patterns of {frame} {self.dtype}>"


class SingleImageError(DataFormatError):
    """The file holds one image, where a scan of many patterns was expected."""


def memory_scan(array: NDArray[Any], metadata: ScanMetadata | None = None) -> Scan:
    """Make a scan of an array in memory (or a NumPy memory map).

    Parameters
    ----------
    array
        (scan_y, scan_x, det_y, det_x), or (frames, det_y, det_x) for a single row. Not copied.
    metadata
        Calibration, where it is known.

    Returns
    -------
    Scan
        With `path` "memory" and `format` "memory".

    Raises
    ------
    DataFormatError
        Wrong number of dimensions or type, detector smaller than 16 pixels, empty array.
    """
    array = np.asanyarray(array)
    path = Path("memory")
    check_dimensions(array.shape, path)
    return Scan(ArraySource(array), path=path, format="memory", metadata=metadata)


def check_dimensions(shape: tuple[int, ...], path: Path, dataset: str | None = None) -> None:
    """Refuse arrays that are neither a 4D scan nor a stack of patterns, with a message for each case."""
    where = f"{path}" + (f", dataset {dataset}" if dataset else "")
    said = " x ".join(map(str, shape))
    if len(shape) == 2:
        raise SingleImageError(
            f"{where}: a single image of {said} pixels; a scan has 4 dimensions (scan rows, scan columns,"
            " detector rows, detector columns), or 3 with --scan-shape"
        )
    if len(shape) not in (3, 4):
        count = f"{len(shape)} dimension{'s' if len(shape) != 1 else ''}"
        raise DataFormatError(
            f"{where}: an array of {count} ({said}); expected 4 (scan rows, scan columns, detector rows,"
            " detector columns), or 3 with --scan-shape; cut out one scan first"
        )


def _full_shape(source: FrameSource, scan_shape: tuple[int, int] | None, path: Path) -> tuple[int, int, int, int]:
    """Shape (scan_y, scan_x, det_y, det_x) of a source, checked."""
    stored = source.scan_shape
    height, width = source.frame_shape
    frames = int(np.prod(stored, dtype=np.int64))
    if scan_shape is not None:
        rows, columns = scan_shape
        if rows < 1 or columns < 1:
            raise ArgumentError(f"--scan-shape must be two positive numbers, got {rows} x {columns}")
        if rows * columns != frames:
            raise ArgumentError(
                f"--scan-shape {rows} x {columns} has {rows * columns} patterns, {path} has {frames}"
                f" ({' x '.join(map(str, stored))})"
            )
    else:
        rows, columns = (1, stored[0]) if len(stored) == 1 else (stored[0], stored[1])
    if min(rows, columns, height, width) == 0:
        raise DataFormatError(f"{path}: empty, shape {rows} x {columns} x {height} x {width}")
    if min(height, width) < MIN_DETECTOR:
        raise DataFormatError(
            f"{path}: detector of {height} x {width} pixels; expected at least {MIN_DETECTOR} x"
            f" {MIN_DETECTOR} (are scan and detector axes exchanged?)"
        )
    return rows, columns, height, width


def delivered_dtype(stored: np.dtype[Any], path: Path) -> tuple[np.dtype[Any], tuple[str, ...]]:
    """Type that frames of a stored type are delivered in, and what to tell about it.

    Integers stay, in native byte order; booleans become uint8; all floats become float32.
    """
    if stored.kind in "iu":
        return stored.newbyteorder("="), ()
    if stored.kind == "b":
        return np.dtype(np.uint8), ()
    if stored.kind == "f":
        note = f"intensities are stored as {stored.name} and read as float32"
        return np.dtype(np.float32), (note,) if stored.itemsize > 4 else ()
    raise DataFormatError(
        f"{path}: intensities of type {stored}; expected integers, booleans or real floating-point numbers"
    )
