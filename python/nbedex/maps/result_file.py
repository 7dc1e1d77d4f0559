"""The result file: an IndexingResult as HDF5. Its schema is in docs/result-file.md.

The file is made in memory and written with plain I/O, because HDF5 itself crashes the process when the
disk is full; it is stored without compression, so that its size is known beforehand and a damaged or
hostile file can't ask for more memory than it has bytes. Every dataset carries the SHA-256 of its
content. The same result gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError, DataFormatError, OutputError
from nbedex.files import check_output, write_atomically
from nbedex.maps.result import ARRAYS, IndexingResult

FORMAT = "nbedex-result"
VERSION = 2
_TEXTS = ("phases", "calibration", "provenance")


def write_result(path: str | os.PathLike[str], result: IndexingResult, *, overwrite: bool = False) -> Path:
    """Write `result` to an HDF5 file that appears only when it is complete and was read back.

    Parameters
    ----------
    path
        The file to write.
    result
        What to write; it is validated first.
    overwrite
        Whether a file that is already there may be replaced.

    Returns
    -------
    target
        The file written, links resolved.

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is not given, the folder is missing or not writable, or the
        disk is full. Nothing is left behind then.
    ArgumentError
        If the arrays of the result don't fit together.
    """
    result.validate()
    estimate = sum(getattr(result, name).nbytes for name in ARRAYS) + 65536
    check_output(path, overwrite=overwrite, n_bytes=estimate)
    image = _hdf5_image(result)

    def verify(written: Path) -> None:
        try:
            read_result(written)
        except DataFormatError as error:
            raise OutputError(f"{path} was not written right, so it was discarded: {error}") from error

    return write_atomically(path, [image], overwrite=overwrite, n_bytes=len(image), verify=verify)


def read_result(path: str | os.PathLike[str]) -> IndexingResult:
    """Read a result file; nothing in it is executed or followed to another file.

    Raises
    ------
    ArgumentError
        If there is no such file.
    DataFormatError
        If it is not a result file, of a version this nbedex does not know, damaged or inconsistent.
    """
    import h5py

    if not os.path.isfile(path):
        raise ArgumentError(f"expected a result file, found no file at {os.fspath(path)}")
    try:
        with h5py.File(path, "r") as file:
            _check_format(file, path)
            arrays = {name: _read_array(file, name, path) for name in ARRAYS}
            texts = {name: _read_text(file, name, path) for name in _TEXTS}
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise DataFormatError(
            f"{os.fspath(path)} can't be read as a result file (HDF5): {error}; write it again or restore a copy"
        ) from error
    return _assemble(arrays, texts, path)


def to_json(value: object) -> str:
    """`value` as JSON text: NumPy numbers and arrays, paths, dates and enums included, NaN as null."""
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _plain(value: object) -> object:
    """The same with only dicts, lists, strings, numbers, booleans and None."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [_plain(item) for item in items]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise ArgumentError(f"can't write a {type(value).__name__} as JSON; give text, numbers, lists or dicts")


def _hdf5_image(result: IndexingResult) -> memoryview:
    """The bytes of the HDF5 file."""
    import h5py

    texts = {
        "phases": to_json([phase.to_dict() for phase in result.phases]),
        "calibration": to_json(asdict(result.calibration)),
        "provenance": to_json(result.provenance),
    }
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.attrs["format"] = np.bytes_(FORMAT)
        file.attrs["version"] = np.int64(VERSION)
        for name in ARRAYS:
            array = np.ascontiguousarray(getattr(result, name))
            if array.dtype.kind == "f":
                array = _one_nan(array)
            _write(file, name, array)
        for name, text in texts.items():
            _write_text(file, name, text)
    return stream.getbuffer()


def _one_nan(array: NDArray[Any]) -> NDArray[Any]:
    """With every NaN the same NaN, so that equal maps give equal bytes."""
    missing = np.isnan(array)
    if missing.any():
        array = array.copy()
        array[missing] = np.nan
    return array


def _write(file: Any, name: str, array: NDArray[Any]) -> None:
    # bool has no HDF5 type of its own: h5py's is an enum that other programs don't read
    stored = array.view(np.uint8) if array.dtype.kind == "b" else array
    stored = _little_endian(stored)
    dataset = file.create_dataset(name, data=stored, track_times=False)
    dataset.attrs["sha256"] = np.bytes_(_digest(stored))


def _write_text(file: Any, name: str, text: str) -> None:
    """As one string of fixed length, so that its bytes lie in the dataset and other programs show it."""
    import h5py

    encoded = text.encode()
    dtype = h5py.string_dtype("utf-8", len(encoded))
    dataset = file.create_dataset(name, data=np.array(encoded, dtype=dtype), track_times=False)
    dataset.attrs["sha256"] = np.bytes_(hashlib.sha256(encoded).hexdigest())


def _little_endian(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))


def _digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(_little_endian(array).reshape(-1).view(np.uint8).data).hexdigest()


def _check_format(file: Any, path: str | os.PathLike[str]) -> None:
    name, version = file.attrs.get("format"), file.attrs.get("version")
    if isinstance(name, bytes | np.bytes_):
        name = name.decode("utf-8", "replace")
    if name != FORMAT:
        raise DataFormatError(
            f"{os.fspath(path)} is HDF5 but no result of nbedex: expected the attribute format={FORMAT!r}, got {name!r}"
        )
    if not isinstance(version, int | np.integer) or version != VERSION:
        raise DataFormatError(
            f"{os.fspath(path)} is a result of version {version!r}, this nbedex reads version {VERSION};"
            " use the nbedex that wrote it, or index again"
        )


def _dataset(file: Any, name: str, path: str | os.PathLike[str]) -> Any:
    """The dataset of that name, only if its bytes lie in this very file."""
    import h5py

    link = file.get(name, getlink=True)
    if link is None:
        raise DataFormatError(f"{os.fspath(path)} lacks the dataset {name!r}; it is damaged or cut short")
    if not isinstance(link, h5py.HardLink):
        raise DataFormatError(
            f"{os.fspath(path)}: {name!r} is a link ({type(link).__name__}); a result holds its own data"
        )
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise DataFormatError(f"{os.fspath(path)}: {name!r} must be a dataset with its data in this file")
    if dataset.id.get_storage_size() != dataset.nbytes:
        raise DataFormatError(
            f"{os.fspath(path)}: {name!r} should take {dataset.nbytes} bytes, the file holds"
            f" {dataset.id.get_storage_size()} of it"
        )
    return dataset


def _read(file: Any, name: str, path: str | os.PathLike[str], dtype: np.dtype[Any]) -> NDArray[Any]:
    dataset = _dataset(file, name, path)
    if dataset.dtype != dtype:
        raise DataFormatError(f"{os.fspath(path)}: {name!r} must be {dtype}, got {dataset.dtype}")
    array = np.asarray(dataset[()]).astype(dtype.newbyteorder("="), copy=False)
    _check_digest(dataset, _digest(array), name, path)
    return array


def _check_digest(dataset: Any, digest: str, name: str, path: str | os.PathLike[str]) -> None:
    stored = dataset.attrs.get("sha256", b"")
    if not isinstance(stored, bytes) or stored.decode("ascii", "replace") != digest:
        raise DataFormatError(
            f"{os.fspath(path)}: the content of {name!r} does not agree with its SHA-256; the file is damaged"
        )


def _read_array(file: Any, name: str, path: str | os.PathLike[str]) -> NDArray[Any]:
    dtype = np.dtype(ARRAYS[name][0])
    if dtype.kind != "b":
        return _read(file, name, path, dtype.newbyteorder("<"))
    array = _read(file, name, path, np.dtype(np.uint8))
    if array.size and array.max() > 1:
        raise DataFormatError(f"{os.fspath(path)}: {name!r} must hold 0 and 1, got {array.max()}")
    return array.view(np.bool_)


def _read_text(file: Any, name: str, path: str | os.PathLike[str]) -> Any:
    dataset = _dataset(file, name, path)
    if dataset.shape != () or dataset.dtype.kind != "S":
        raise DataFormatError(f"{os.fspath(path)}: {name!r} must be one string of fixed length")
    encoded = bytes(dataset[()])
    _check_digest(dataset, hashlib.sha256(encoded).hexdigest(), name, path)
    return json.loads(encoded.decode())


def _assemble(arrays: dict[str, NDArray[Any]], texts: dict[str, Any], path: str | os.PathLike[str]) -> IndexingResult:
    from nbedex.phases import Phase

    try:
        known = {f.name for f in fields(Calibration)}
        values = dict(texts["calibration"])
        if set(values) != known:
            raise ArgumentError(f"calibration must have the entries {sorted(known)}, got {sorted(values)}")
        if values["step"] is not None:
            values["step"] = tuple(values["step"])
        return IndexingResult(
            phases=tuple(Phase.from_dict(entry) for entry in texts["phases"]),
            calibration=Calibration(**values),
            provenance=texts["provenance"],
            **arrays,
        )
    except (ArgumentError, DataFormatError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataFormatError(f"{os.fspath(path)} holds values that don't fit together: {error}") from error
