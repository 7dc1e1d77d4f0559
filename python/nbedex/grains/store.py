"""Named groups of arrays and texts in one HDF5 file: what grains, boundaries, blockade and transport leave behind.

The safety is that of the result file (docs/result-file.md): every dataset lies in the file itself, uncompressed, with
the SHA-256 of its content; the file appears only when it is whole; the same content gives the same bytes.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError, OutputError
from nbedex.files import check_output, write_atomically
from nbedex.maps.stored import one_nan, read_array, read_text, to_json, write_array, write_text

FORMAT = "nbedex-grains"
VERSION = 1
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64")


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """One part of a grain file.

    Attributes
    ----------
    arrays
        By name; bool, integers or floats, of any shape.
    texts
        By name: what JSON can hold. NaN becomes None.
    """

    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    texts: Mapping[str, Any] = field(default_factory=dict)


def write_groups(path: str | os.PathLike[str], groups: Mapping[str, Group], *, overwrite: bool = False) -> Path:
    """Write a grain file that appears only when it is complete and was read back.

    Raises
    ------
    ArgumentError
        If a name or an array is of a kind that can't be stored.
    OutputError
        If the file is in the way or can't be written.
    """
    size = sum(array.nbytes for group in groups.values() for array in group.arrays.values())
    check_output(path, overwrite=overwrite, n_bytes=size)
    image = _image(groups)

    def verify(written: Path) -> None:
        try:
            read_groups(written)
        except DataFormatError as error:
            raise OutputError(f"{path} was not written right, so it was discarded: {error}") from error

    return write_atomically(path, [image], overwrite=overwrite, n_bytes=len(image), verify=verify)


def read_groups(path: str | os.PathLike[str], names: tuple[str, ...] | None = None) -> dict[str, Group]:
    """The groups of a grain file, or those of them that are named and there; nothing in it is executed or followed.

    Raises
    ------
    ArgumentError
        If there is no such file.
    DataFormatError
        If it is no grain file, of another version, or damaged.
    """
    import h5py

    if not os.path.isfile(path):
        raise ArgumentError(f"expected a grain file, found no file at {os.fspath(path)}")
    try:
        with h5py.File(path, "r") as file:
            _check_format(file, path)
            there = [name for name in sorted(file) if names is None or name in names]
            return {name: _read_group(file, name, path) for name in there}
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise DataFormatError(
            f"{os.fspath(path)} can't be read as a grain file (HDF5): {error}; write it again or restore a copy"
        ) from error


def put_groups(path: str | os.PathLike[str], groups: Mapping[str, Group]) -> Path:
    """Add groups to a grain file, or replace those of the same names; the file is written anew, whole or not at all."""
    return write_groups(path, {**read_groups(path), **groups}, overwrite=True)


def is_grain_file(path: str | os.PathLike[str]) -> bool:
    """Whether the file says of itself that it is a grain file."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return bytes(file.attrs.get("format", b"")) == FORMAT.encode()
    except (OSError, TypeError, RuntimeError):
        return False


def _image(groups: Mapping[str, Group]) -> memoryview:
    """The bytes of the HDF5 file."""
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.attrs["format"] = np.bytes_(FORMAT)
        file.attrs["version"] = np.int64(VERSION)
        for name in sorted(groups):
            _check_name(name)
            group = file.create_group(name)
            for key in sorted(groups[name].arrays):
                _put_array(group, key, np.ascontiguousarray(groups[name].arrays[key]))
            for key in sorted(groups[name].texts):
                _check_name(key)
                write_text(group, key, to_json(groups[name].texts[key]))
    return stream.getbuffer()


def _put_array(group: Any, name: str, array: NDArray[Any]) -> None:
    _check_name(name)
    if array.dtype.name not in _TYPES:
        raise ArgumentError(f"{name} must be one of {', '.join(_TYPES)} to be stored, got {array.dtype}")
    if array.size == 0:
        # HDF5 keeps no bytes for it, so its shape is kept as text
        write_text(group, name, to_json({"empty": list(array.shape), "dtype": array.dtype.name}))
        return
    write_array(group, name, one_nan(array) if array.dtype.kind == "f" else array)
    group[name].attrs["kind"] = np.bytes_(array.dtype.name)


def _read_group(file: Any, name: str, path: str | os.PathLike[str]) -> Group:
    import h5py

    group = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
    if not isinstance(group, h5py.Group):
        raise DataFormatError(f"{os.fspath(path)}: {name!r} must be a group in this file")
    arrays: dict[str, NDArray[Any]] = {}
    texts: dict[str, Any] = {}
    for key in sorted(group):
        kind = None
        if isinstance(group.get(key, getlink=True), h5py.HardLink) and isinstance(group[key], h5py.Dataset):
            kind = group[key].attrs.get("kind")
        if kind is None:
            text = read_text(group, key, path)
            if isinstance(text, dict) and set(text) == {"empty", "dtype"}:
                arrays[key] = _empty(text, key, path)
            else:
                texts[key] = text
        else:
            arrays[key] = _array(group, key, path, bytes(kind).decode("ascii", "replace"))
    return Group(arrays=arrays, texts=texts)


def _array(group: Any, name: str, path: str | os.PathLike[str], kind: str) -> NDArray[Any]:
    if kind not in _TYPES:
        raise DataFormatError(
            f"{os.fspath(path)}: {name!r} is said to be {kind!r}, expected one of {', '.join(_TYPES)}"
        )
    if kind != "bool":
        return read_array(group, name, path, np.dtype(kind).newbyteorder("<"))
    array = read_array(group, name, path, np.dtype(np.uint8))
    if array.max() > 1:
        raise DataFormatError(f"{os.fspath(path)}: {name!r} must hold 0 and 1, got {array.max()}")
    return array.view(np.bool_)


def _empty(text: Mapping[str, Any], name: str, path: str | os.PathLike[str]) -> NDArray[Any]:
    shape = text["empty"]
    right = isinstance(shape, list) and all(isinstance(n, int) and 0 <= n < 2**31 for n in shape) and 0 in shape
    if not right or text["dtype"] not in _TYPES:
        raise DataFormatError(f"{os.fspath(path)}: {name!r} is no empty array: {text}")
    return np.zeros(shape, dtype=text["dtype"])


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ArgumentError(f"a name in a grain file is of lower-case letters, digits and _, got {name!r}")


def _check_format(file: Any, path: str | os.PathLike[str]) -> None:
    name, version = file.attrs.get("format"), file.attrs.get("version")
    if isinstance(name, bytes | np.bytes_):
        name = name.decode("utf-8", "replace")
    if name != FORMAT:
        raise DataFormatError(
            f"{os.fspath(path)} is HDF5 but no grain file: expected the attribute format={FORMAT!r}, got {name!r};"
            " make one with `nbedex grains`"
        )
    if not isinstance(version, int | np.integer) or version != VERSION:
        raise DataFormatError(
            f"{os.fspath(path)} is a grain file of version {version}, this nbedex reads version {VERSION}"
        )
