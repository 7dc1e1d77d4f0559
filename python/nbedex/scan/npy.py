"""NumPy's .npy files: scans, never loaded whole, and small arrays; never unpickled."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import DataFormatError
from nbedex.scan.checks import check_dimensions
from nbedex.scan.scan import Scan
from nbedex.scan.sources import ArraySource, FrameSource, RawSource, truncated

_LONGEST_HEADER = 10_000  # bytes; NumPy's own limit, which it checks after it has read them


class NpyHeader(NamedTuple):
    """What the head of a .npy file says, and where its numbers begin."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    offset: int


def read_header(path: Path) -> NpyHeader:
    """Read the head of a .npy file, which may be shorter than it says: one that is still written.

    Raises
    ------
    DataFormatError
        Not a .npy file, or of Python objects.
    """
    with open(path, "rb") as file:
        head = file.read(12)
        size = 2 if head[6:7] == b"\x01" else 4
        length = int.from_bytes(head[8 : 8 + size], "little")
        known = head[6:8] in (b"\x01\x00", b"\x02\x00", b"\x03\x00")
        if head[:6] != np.lib.format.MAGIC_PREFIX or not known or not 0 < length <= _LONGEST_HEADER:
            raise DataFormatError(f"{path}: not a NumPy .npy file, it starts with {head!r}")
        stream = io.BytesIO(head + file.read(length))
    read = np.lib.format.read_array_header_1_0 if size == 2 else np.lib.format.read_array_header_2_0
    try:
        np.lib.format.read_magic(stream)
        shape, fortran, dtype = read(stream)
    except (
        Exception
    ) as error:  # it is Python source that is parsed: TokenError, SyntaxError, MemoryError for deep nesting
        raise DataFormatError(f"{path}: not a NumPy .npy file ({error})") from error
    if dtype.hasobject:
        raise DataFormatError(f"{path}: holds Python objects, never unpickled here; save a numeric array")
    if min(shape, default=0) < 0:
        raise DataFormatError(f"{path}: not a NumPy .npy file (shape {shape})")
    return NpyHeader(shape, fortran, dtype, stream.tell())


def whole_header(path: Path) -> NpyHeader:
    """The head of a .npy file that is as long as it says.

    Raises
    ------
    DataFormatError
        Not a .npy file, of Python objects, or truncated.
    """
    header = read_header(path)
    needed = header.offset + header.dtype.itemsize * math.prod(header.shape)
    if path.stat().st_size < needed:
        raise truncated(path, needed, path.stat().st_size)
    return header


def read_npy(path: Path) -> NDArray[Any]:
    """A small array, such as a mask or a single pattern, whole.

    Raises
    ------
    DataFormatError
        Not a .npy file, of Python objects, or truncated.
    """
    whole_header(path)  # so that nothing is allocated that the file does not hold
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (ValueError, TypeError) as error:  # a shape of True and False, for one
        raise DataFormatError(f"{path}: not a NumPy .npy file ({error})") from error


def open_npy(path: Path, *, scan_shape: tuple[int, int] | None) -> Scan:
    """Open a .npy file of a 4D scan or a stack of patterns; see `nbedex.scan.open_scan`."""
    shape, fortran, dtype, offset = whole_header(path)
    check_dimensions(shape, path)
    source: FrameSource
    if fortran or 0 in shape or dtype.kind not in "biuf":
        source = ArraySource(np.load(path, mmap_mode="r", allow_pickle=False))
    else:
        frame_shape = (shape[-2], shape[-1])
        source = RawSource(path, offset=offset, scan_shape=shape[:-2], frame_shape=frame_shape, dtype=dtype)
    return Scan(source, path=path, format="npy", scan_shape=scan_shape)
