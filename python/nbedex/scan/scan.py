"""A 4D-STEM scan: frames read block by block, with what the file says about them."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.errors import ArgumentError, DataFormatError
from nbedex.scan.binning import bin_frames, binned_dtype
from nbedex.scan.blocks import Block, plan, rectangles, runs, tiles
from nbedex.scan.checks import MIN_DETECTOR, check_dimensions, delivered_dtype, full_shape
from nbedex.scan.metadata import ScanMetadata
from nbedex.scan.sources import LARGEST_BLOCK, ArraySource, FrameSource, GridSource

log = logging.getLogger(__name__)


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
    binning
        Detector pixels added up along either axis; see `nbedex.scan.binning`.

    Raises
    ------
    DataFormatError
        Frames of complex, structured or object type, detector smaller than 16 pixels (binned ones), empty scan.
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
        binning: int = 1,
    ) -> None:
        self.path = path
        self.format = format
        self.dataset = dataset
        self._source = source
        self._closed = False
        self._saturation = saturation
        self._stored = source.dtype
        self.binning = binning
        try:
            self._native, notes = delivered_dtype(source.dtype, path)
            self.dtype = binned_dtype(self._native, binning)
            self.shape = full_shape(source, scan_shape, path, binning)
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
        one = self._one_saturated
        return None if one is None else one * self.binning**2

    @property
    def _one_saturated(self) -> int | None:
        """The same for a pixel as stored."""
        if self._saturation is not None:
            return self._saturation
        integer = self._stored.kind in "iu" and self._native.kind != "f"
        return int(np.iinfo(self._stored).max) if integer else None

    def binned(self, factor: int) -> Scan:
        """The same scan with factor x factor detector pixels added up; it takes this one's place.

        Raises
        ------
        ArgumentError
            `factor` is not positive, or the detector would have less than 16 pixels.
        """
        if factor < 1 or min(self.frame_shape) // factor < MIN_DETECTOR:
            raise ArgumentError(
                f"binning by {factor} leaves {self.frame_shape[0] // max(factor, 1)} x"
                f" {self.frame_shape[1] // max(factor, 1)} of the detector's {self.frame_shape[0]} x"
                f" {self.frame_shape[1]} pixels; at least {MIN_DETECTOR} x {MIN_DETECTOR} are needed"
            )
        size, angle = self.metadata.pixel_size, self.metadata.pixel_angle
        metadata = replace(
            self.metadata,
            pixel_size=None if size is None else size * factor,
            pixel_angle=None if angle is None else angle * factor,
        )
        return Scan(
            self._source,
            path=self.path,
            format=self.format,
            dataset=self.dataset,
            metadata=metadata,
            scan_shape=self.scan_shape,
            saturation=self._saturation,
            binning=self.binning * factor,
        )

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
        """All of `iter_blocks`, for scans of moderate size."""
        return list(self.iter_blocks(size))

    def iter_blocks(self, size: int, *, largest: int | None = None) -> Iterator[Block]:
        """Cut the scan into blocks, in an order of patterns that unpacks every chunk of the file once.

        Parameters
        ----------
        size
            Patterns in a block, at least 1. Large chunks make larger blocks.
        largest
            Bytes that a block may grow to for that; `sources.LARGEST_BLOCK` by default.

        Yields
        ------
        Block
            Together every pattern once; in scan order where chunks don't span several scan rows.
        """
        most = max(1, (largest or LARGEST_BLOCK) // self.stored_frame_bytes)
        return plan(self._source.scan_shape, self._source.tile, size, most)

    @property
    def stored_frame_bytes(self) -> int:
        """Bytes of a pattern as read, before binning."""
        return int(np.prod(self._source.frame_shape)) * self._stored.itemsize

    @property
    def chunk_bytes(self) -> int:
        """Bytes that are read, and unpacked, for a single pattern: those of its chunk."""
        return self.stored_frame_bytes * int(np.prod(self._source.tile))

    def read_block(
        self, block: Block, workers: Executor | None = None, *, keep: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Read a block, as much of it as can be read.

        Parameters
        ----------
        block
            From `blocks`.
        workers
            Threads that unpack compressed chunks; None does it here.
        keep : (len(block),) bool
            Read only these of its patterns; chunks without any are not touched. None reads all.

        Returns
        -------
        frames
            (n, det_y, det_x) as from `read`, in the order of `block.patterns`; zeros where they can't be read.
        unreadable : (n,) bool or None
            True for these; None where all could be read.
        """
        self._check_open()
        if keep is None or keep.all():
            try:
                return self._read_part(block, workers), None
            except DataFormatError as error:
                log.warning("%s", error)
                keep = np.ones(len(block), bool)
        kept = block.patterns[keep]
        frames = np.zeros((len(kept), *self.frame_shape), self.dtype)
        unreadable = np.zeros(len(kept), bool)
        order = np.argsort(kept)
        pending = deque(self._parts(block, kept[order]))
        while pending:
            part = pending.popleft()
            numbers = part.patterns
            at = order[np.searchsorted(kept, numbers, sorter=order).clip(max=len(kept) - 1)]
            wanted = kept[at] == numbers
            try:
                frames[at[wanted]] = self._read_part(part, workers)[wanted]
            except DataFormatError as error:
                pieces = list(tiles(part, self._source.tile))
                if len(pieces) > 1:
                    pending.extend(Block((piece,), block.columns) for piece in pieces)
                    continue
                log.info("%s", error)
                unreadable[at[wanted]] = True
        return frames, unreadable if unreadable.any() else None

    def in_file(self, patterns: NDArray[np.integer[Any]]) -> _core.FrameFile | None:
        """Patterns (n,) for the core to read (OSError where it can't); None where they aren't stored as delivered."""
        self._check_open()
        found = getattr(self._source, "in_file", None)
        return found(patterns) if found and self.binning == 1 and self._stored == self.dtype else None

    def _read_part(self, block: Block, workers: Executor | None) -> NDArray[Any]:
        name = f"{block.first} to {block.last}"
        return self._deliver(self._guarded(self._source.read_block, block, workers, name=name))

    def _parts(self, block: Block, wanted: NDArray[np.intp]) -> Iterator[Block]:
        """What of a block is read together: runs of the patterns wanted (ascending), or chunks with any of them."""
        if max(self._source.tile) == 1:
            for start, stop in runs(wanted):
                yield Block(tuple(rectangles(self._source.scan_shape, start, stop)), block.columns)
            return
        for tile in tiles(block, self._source.tile):
            part = Block((tile,), block.columns)
            if np.isin(part.patterns, wanted, assume_unique=True).any():
                yield part

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
        if self.binning > 1:
            frames = frames.astype(self._native, copy=False)
            frames = bin_frames(frames, self.binning, dtype=self.dtype, saturation=self._one_saturated)
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

    def state(self) -> tuple[int, int] | None:
        """Size in bytes and time of the last change (ns) of the file with the patterns; None if it is no file.

        What a run compares at its end with its start, to notice that its input was changed meanwhile.
        """
        path = Path(getattr(self._source, "path", self.path))
        if not path.is_file():
            return None
        found = path.stat()
        return found.st_size, found.st_mtime_ns

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
