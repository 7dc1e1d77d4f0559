"""A map by bands of rows: from a result file, so that it need not be in memory whole, or from one that is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError, DataFormatError
from nbedex.maps.result import ARRAYS, IndexingResult
from nbedex.maps.result_file import TEXTS, check_format, head_from
from nbedex.maps.stored import read_text, stored_dataset
from nbedex.phases import Phase
from nbedex.progress import Progress, silent

_BAND_BYTES = 64 << 20


class Bands(Protocol):
    """A map that is handed out by bands of rows: a `ResultReader`, or a result `in_bands`."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """As of `IndexingResult`."""

    @property
    def calibration(self) -> Calibration:
        """As of `IndexingResult`."""

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx) of the map."""

    def rows(self, first: int, last: int) -> IndexingResult:
        """Rows [first, last) of the map."""

    def bands(self) -> Iterator[tuple[int, int]]:
        """First row, and the one after the last, of bands of a bounded number of bytes."""

    def check(self, progress: Progress = silent) -> None:
        """Raise an error of nbedex unless the whole map is sound."""


def in_bands(result: IndexingResult | ResultReader) -> Bands:
    """A result, in memory or in its file, as bands of rows."""
    return _InMemory(result) if isinstance(result, IndexingResult) else result


@dataclass(frozen=True)
class _InMemory:
    """Bands of a result that is there whole; their arrays are views."""

    whole: IndexingResult

    @property
    def phases(self) -> tuple[Phase, ...]:
        return self.whole.phases

    @property
    def calibration(self) -> Calibration:
        return self.whole.calibration

    @property
    def shape(self) -> tuple[int, int]:
        return self.whole.shape

    def rows(self, first: int, last: int) -> IndexingResult:
        maps: dict[str, Any] = {name: getattr(self.whole, name)[first:last] for name in ARRAYS}
        return replace(self.whole, **maps)

    def bands(self) -> Iterator[tuple[int, int]]:
        return _bands(self.shape[0], sum(getattr(self.whole, name)[0].nbytes for name in ARRAYS))

    def check(self, progress: Progress = silent) -> None:
        self.whole.validate()


def _bands(rows: int, row_bytes: int) -> Iterator[tuple[int, int]]:
    step = max(1, _BAND_BYTES // max(row_bytes, 1))
    for first in range(0, rows, step):
        yield first, min(first + step, rows)


class ResultReader:
    """A result file, opened; use it in a ``with`` statement.

    Parameters
    ----------
    path
        The file.

    Attributes
    ----------
    phases, calibration, provenance
        As of `IndexingResult`.
    shape
        (ny, nx) of the map.

    Raises
    ------
    ArgumentError
        There is no such file.
    DataFormatError
        It is not a result file, or damaged. Digests of the arrays are compared by `check` only.
    """

    phases: tuple[Phase, ...]
    calibration: Calibration
    provenance: dict[str, Any]

    def __init__(self, path: str | os.PathLike[str]) -> None:
        import h5py

        if not os.path.isfile(path):
            raise ArgumentError(f"expected a result file, found no file at {os.fspath(path)}")
        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise self._damaged(error) from error
        try:
            check_format(self._file, path)
            self._arrays = {name: stored_dataset(self._file, name, path) for name in ARRAYS}
            head = head_from({name: read_text(self._file, name, path) for name in TEXTS})
            ny, nx = self._arrays["phase_id"].shape
        except (RuntimeError, KeyError, ValueError, TypeError, AttributeError, OSError) as error:
            self._file.close()
            raise self._damaged(error) from error
        except Exception:
            self._file.close()
            raise
        self.phases, self.calibration, self.provenance = head["phases"], head["calibration"], head["provenance"]
        self.shape = int(ny), int(nx)
        if any(dataset.shape[:2] != self.shape for dataset in self._arrays.values()):
            self._file.close()
            raise DataFormatError(f"{os.fspath(path)}: the maps in it have different sizes")

    def rows(self, first: int, last: int) -> IndexingResult:
        """Rows [first, last) of the map."""
        maps = {}
        try:
            for name, (dtype, _) in ARRAYS.items():
                maps[name] = np.asarray(self._arrays[name][first:last]).astype(dtype, copy=False)
        except (OSError, RuntimeError) as error:
            raise self._damaged(error) from error
        return IndexingResult(
            phases=self.phases, calibration=self.calibration, provenance=self.provenance, **maps
        )  # fmt: skip

    def bands(self) -> Iterator[tuple[int, int]]:
        """First row, and the one after the last, of bands of a bounded number of bytes."""
        row = sum(d.dtype.itemsize * int(np.prod(d.shape[1:], dtype=np.int64)) for d in self._arrays.values())
        return _bands(self.shape[0], row)

    def check(self, progress: Progress = silent) -> None:
        """Compare all arrays with their digests.

        Raises
        ------
        DataFormatError
            One does not agree: the file is damaged.
        """
        for done, (name, dataset) in enumerate(self._arrays.items()):
            progress("checking the result", done, len(self._arrays))
            digest = hashlib.sha256()
            for first, last in self.bands():
                digest.update(np.ascontiguousarray(dataset[first:last]).reshape(-1).view(np.uint8).data)
            stored = dataset.attrs.get("sha256", b"")
            if not isinstance(stored, bytes) or stored.decode("ascii", "replace") != digest.hexdigest():
                raise DataFormatError(
                    f"{os.fspath(self.path)}: the content of {name!r} does not agree with its SHA-256; the file is"
                    " damaged"
                )
        progress("checking the result", len(self._arrays), len(self._arrays))

    def _damaged(self, error: Exception) -> DataFormatError:
        return DataFormatError(
            f"{os.fspath(self.path)} can't be read as a result file (HDF5): {error}; write it again or restore a copy"
        )

    def __enter__(self) -> ResultReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
