"""A result file read by bands of rows, for maps that should not be in memory whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import numpy as np

from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError, DataFormatError
from nbedex.maps.result import ARRAYS, IndexingResult
from nbedex.maps.result_file import TEXTS, check_format, head_from
from nbedex.maps.stored import read_text, stored_dataset
from nbedex.phases import Phase

_BAND_BYTES = 64 << 20


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
        step = max(1, _BAND_BYTES // max(row, 1))
        for first in range(0, self.shape[0], step):
            yield first, min(first + step, self.shape[0])

    def check(self) -> None:
        """Compare all arrays with their digests.

        Raises
        ------
        DataFormatError
            One does not agree: the file is damaged.
        """
        for name, dataset in self._arrays.items():
            digest = hashlib.sha256()
            for first, last in self.bands():
                digest.update(np.ascontiguousarray(dataset[first:last]).reshape(-1).view(np.uint8).data)
            stored = dataset.attrs.get("sha256", b"")
            if not isinstance(stored, bytes) or stored.decode("ascii", "replace") != digest.hexdigest():
                raise DataFormatError(
                    f"{os.fspath(self.path)}: the content of {name!r} does not agree with its SHA-256; the file is"
                    " damaged"
                )

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
