"""Arrays and texts in HDF5 whose bytes lie in the very file, each with the SHA-256 of its content.

Files are made in memory and written with plain I/O, because HDF5 itself crashes the process when the disk is full;
nothing is compressed, so that a damaged or hostile file can't ask for more memory than it has bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError


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


def one_nan(array: NDArray[Any]) -> NDArray[Any]:
    """With every NaN the same NaN, so that equal maps give equal bytes."""
    missing = np.isnan(array)
    if missing.any():
        array = array.copy()
        array[missing] = np.nan
    return array


def write_array(file: Any, name: str, array: NDArray[Any]) -> None:
    """Add a dataset to an open file or group of h5py, with its checksum."""
    # bool has no HDF5 type of its own: h5py's is an enum that other programs don't read
    stored = array.view(np.uint8) if array.dtype.kind == "b" else array
    stored = little_endian(stored)
    dataset = file.create_dataset(name, data=stored, track_times=False)
    dataset.attrs["sha256"] = np.bytes_(digest_of(stored))


def write_text(file: Any, name: str, text: str) -> None:
    """As one string of fixed length, so that its bytes lie in the dataset and other programs show it."""
    import h5py

    encoded = text.encode()
    dtype = h5py.string_dtype("utf-8", len(encoded))
    dataset = file.create_dataset(name, data=np.array(encoded, dtype=dtype), track_times=False)
    dataset.attrs["sha256"] = np.bytes_(hashlib.sha256(encoded).hexdigest())


def little_endian(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))


def digest_of(array: NDArray[Any]) -> str:
    return hashlib.sha256(little_endian(array).reshape(-1).view(np.uint8).data).hexdigest()


def stored_dataset(file: Any, name: str, path: str | os.PathLike[str]) -> Any:
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


def read_array(file: Any, name: str, path: str | os.PathLike[str], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The array of that name and type, if it is whole; `path` is what messages call the file."""
    dataset = stored_dataset(file, name, path)
    if dataset.dtype != dtype:
        raise DataFormatError(f"{os.fspath(path)}: {name!r} must be {dtype}, got {dataset.dtype}")
    array = np.asarray(dataset[()]).astype(dtype.newbyteorder("="), copy=False)
    _check_digest(dataset, digest_of(array), name, path)
    return array


def _check_digest(dataset: Any, digest: str, name: str, path: str | os.PathLike[str]) -> None:
    stored = dataset.attrs.get("sha256", b"")
    if not isinstance(stored, bytes) or stored.decode("ascii", "replace") != digest:
        raise DataFormatError(
            f"{os.fspath(path)}: the content of {name!r} does not agree with its SHA-256; the file is damaged"
        )


def read_text(file: Any, name: str, path: str | os.PathLike[str]) -> Any:
    """What the JSON text of that name says, if it is whole."""
    dataset = stored_dataset(file, name, path)
    if dataset.shape != () or dataset.dtype.kind != "S":
        raise DataFormatError(f"{os.fspath(path)}: {name!r} must be one string of fixed length")
    encoded = bytes(dataset[()])
    _check_digest(dataset, hashlib.sha256(encoded).hexdigest(), name, path)
    return json.loads(encoded.decode())
