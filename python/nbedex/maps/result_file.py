"""The result file: an IndexingResult as HDF5. Its schema is in docs/result-file.md.

The file is made in memory and written with plain I/O, because HDF5 itself crashes the process when the
disk is full; it is stored without compression, so that its size is known beforehand and a damaged or
hostile file can't ask for more memory than it has bytes. Every dataset carries the SHA-256 of its
content. The same result gives the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError, DataFormatError, OutputError
from nbedex.files import check_output, write_atomically
from nbedex.maps.result import ARRAYS, IndexingResult
from nbedex.maps.skeleton import FORMAT, VERSION, skeleton
from nbedex.maps.stored import digest_of, little_endian, one_nan, read_array, read_text, to_json

if TYPE_CHECKING:
    from nbedex.phases import Phase

TEXTS = ("phases", "calibration", "provenance")


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
            check_format(file, path)
            arrays = {name: _read_array(file, name, path) for name in ARRAYS}
            texts = {name: read_text(file, name, path) for name in TEXTS}
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise DataFormatError(
            f"{os.fspath(path)} can't be read as a result file (HDF5): {error}; write it again or restore a copy"
        ) from error
    return _assemble(arrays, texts, path)


def _hdf5_image(result: IndexingResult) -> memoryview:
    """The bytes of the HDF5 file."""
    stored = {name: stored_array(getattr(result, name)) for name in ARRAYS}
    plan = skeleton(
        {name: (array.shape, array.dtype) for name, array in stored.items()},
        texts_of(result.phases, result.calibration, result.provenance),
        {name: digest_of(array) for name, array in stored.items()},
    )
    image = bytearray(plan.size)
    for offset, piece in plan.pieces:
        image[offset : offset + len(piece)] = piece
    for name, array in stored.items():
        if array.size:
            image[plan.offsets[name] : plan.offsets[name] + array.nbytes] = array.reshape(-1).view(np.uint8).data
    return memoryview(image)


def texts_of(
    phases: Sequence[Phase], calibration: Calibration, provenance: Mapping[str, Any]
) -> dict[str, tuple[bytes, str]]:
    """The texts of a result file, each with its SHA-256."""
    texts = {
        "phases": to_json([phase.to_dict() for phase in phases]),
        "calibration": to_json(asdict(calibration)),
        "provenance": to_json(provenance),
    }
    return {name: (text.encode(), hashlib.sha256(text.encode()).hexdigest()) for name, text in texts.items()}


def stored_array(array: NDArray[Any]) -> NDArray[Any]:
    """An array as a result file has it: contiguous, little-endian, truth as 0 and 1, every NaN the same NaN."""
    array = np.ascontiguousarray(array)
    if array.dtype.kind == "f":
        array = one_nan(array)
    # bool has no HDF5 type of its own: h5py's is an enum that other programs don't read
    return little_endian(array.view(np.uint8) if array.dtype.kind == "b" else array)


def check_format(file: Any, path: str | os.PathLike[str]) -> None:
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


def _read_array(file: Any, name: str, path: str | os.PathLike[str]) -> NDArray[Any]:
    dtype = np.dtype(ARRAYS[name][0])
    if dtype.kind != "b":
        return read_array(file, name, path, dtype.newbyteorder("<"))
    array = read_array(file, name, path, np.dtype(np.uint8))
    if array.size and array.max() > 1:
        raise DataFormatError(f"{os.fspath(path)}: {name!r} must hold 0 and 1, got {array.max()}")
    return array.view(np.bool_)


def _assemble(arrays: dict[str, NDArray[Any]], texts: dict[str, Any], path: str | os.PathLike[str]) -> IndexingResult:
    try:
        maps: dict[str, Any] = dict(arrays)
        return IndexingResult(**head_from(texts), **maps)
    except (ArgumentError, DataFormatError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataFormatError(f"{os.fspath(path)} holds values that don't fit together: {error}") from error


def head_from(texts: Mapping[str, Any]) -> dict[str, Any]:
    """What of a result is not an array, from its parsed texts."""
    from nbedex.phases import Phase

    known = {f.name for f in fields(Calibration)}
    values = dict(texts["calibration"])
    if set(values) != known:
        raise ArgumentError(f"calibration must have the entries {sorted(known)}, got {sorted(values)}")
    if values["step"] is not None:
        values["step"] = tuple(values["step"])
    return {
        "phases": tuple(Phase.from_dict(entry) for entry in texts["phases"]),
        "calibration": Calibration(**values),
        "provenance": texts["provenance"],
    }
