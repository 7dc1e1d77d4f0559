"""A result file written row by row: the same bytes as `write_result`, in memory that does not grow with the map."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError, DataFormatError, OutputError
from nbedex.files import replacing
from nbedex.maps.bands import ResultReader
from nbedex.maps.result import ARRAYS, IndexingResult
from nbedex.maps.result_file import stored_array, texts_of
from nbedex.maps.skeleton import Skeleton, skeleton, write_at
from nbedex.phases import Phase


@dataclass(frozen=True, eq=False)
class Head:
    """What of a result is not an array.

    Attributes
    ----------
    phases, calibration, provenance
        As of `IndexingResult`.
    shape
        (ny, nx) of the map.
    n_rivals, n_more
        Solutions, and crystals after the first, kept per pixel.
    """

    phases: tuple[Phase, ...]
    calibration: Calibration
    provenance: dict[str, Any]
    shape: tuple[int, int]
    n_rivals: int
    n_more: int = 0

    def arrays(self) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        """Shape and stored type of every array."""
        sizes = {"n": self.n_rivals, "p": len(self.phases), "m": self.n_more}
        found = {}
        for name, (dtype, axes) in ARRAYS.items():
            shape = (*self.shape, *(sizes[axis] if isinstance(axis, str) else axis for axis in axes))
            found[name] = (shape, np.dtype("u1" if dtype == "bool" else dtype).newbyteorder("<"))
        return found

    def file_bytes(self) -> int:
        """Size of the result file."""
        return self._plan(None).size

    def _plan(self, digests: dict[str, str] | None) -> Skeleton:
        return skeleton(self.arrays(), texts_of(self.phases, self.calibration, self.provenance), digests)


def write_rows(
    path: str | os.PathLike[str], head: Head, rows: Iterable[NDArray[Any]], *, overwrite: bool = False
) -> Path:
    """Write a result file from records that come row by row.

    Parameters
    ----------
    path
        The file to write. It appears when it is complete, on the disk, and was read back.
    head
        Everything but the arrays.
    rows
        Structured arrays (k, nx) with the fields of `IndexingResult`, which together are the map, from its first row.
    overwrite
        Whether a file that is already there may be replaced.

    Raises
    ------
    OutputError
        It can't be written; nothing is left behind then.
    ArgumentError
        Records don't fit the head, or one another.
    """
    plan = head._plan(None)
    with replacing(path, overwrite=overwrite, n_bytes=plan.size) as temporary:
        with open(temporary, "xb", buffering=0) as stream:
            plan.put(stream)
            digests = _write_arrays(stream, head, plan, rows)
            final = head._plan(digests)
            for (offset, before), (_, after) in zip(plan.pieces, final.pieces, strict=True):
                _write_changes(stream, offset, before, after)
        try:
            with ResultReader(temporary) as written:
                written.check()
        except DataFormatError as error:
            raise OutputError(f"{path} was not written right, so it was discarded: {error}") from error
    return Path(os.path.realpath(path))


def _write_arrays(stream: BinaryIO, head: Head, plan: Skeleton, rows: Iterable[NDArray[Any]]) -> dict[str, str]:
    """Put every array in its place; their digests."""
    digests = {name: hashlib.sha256() for name in ARRAYS}
    done = 0
    for records in rows:
        maps: dict[str, Any] = {name: np.ascontiguousarray(records[name]) for name in ARRAYS}
        band = IndexingResult(phases=head.phases, calibration=head.calibration, **maps)  # which checks them
        if band.shape[1] != head.shape[1] or done + band.shape[0] > head.shape[0]:
            raise ArgumentError(
                f"rows {done} to {done + band.shape[0]} of {band.shape} don't fit a map of {head.shape}"
            )
        for name, array in maps.items():
            stored = stored_array(array)
            if stored.size:
                data = stored.reshape(-1).view(np.uint8).data
                write_at(stream, plan.offsets[name] + done * (stored.nbytes // len(stored)), data)
                digests[name].update(data)
        done += band.shape[0]
    if done != head.shape[0]:
        raise ArgumentError(f"got {done} rows for a map of {head.shape}")
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _write_changes(stream: BinaryIO, offset: int, before: bytes, after: bytes) -> None:
    """Write the bytes of a piece that changed: the rest of it may hold parts of arrays by now."""
    changed = np.flatnonzero(np.frombuffer(before, np.uint8) != np.frombuffer(after, np.uint8))
    for part in np.split(changed, np.flatnonzero(np.diff(changed) != 1) + 1):
        if len(part):
            first, last = int(part[0]), int(part[-1]) + 1
            write_at(stream, offset + first, after[first:last])
