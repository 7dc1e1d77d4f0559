"""Scans in NumPy's .npy files; never unpickled, never loaded whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nbedex.errors import DataFormatError
from nbedex.scan.checks import check_dimensions
from nbedex.scan.scan import Scan
from nbedex.scan.sources import ArraySource, FrameSource, RawSource, truncated


def read_header(path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether columns come first, type and place of the numbers in a .npy file."""
    with open(path, "rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            else:
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
        except ValueError as error:
            raise DataFormatError(f"{path}: not a NumPy .npy file ({error})") from error
        offset = file.tell()
    if dtype.hasobject:
        raise DataFormatError(f"{path}: holds Python objects, never unpickled here; save a numeric array")
    return shape, fortran, dtype, offset


def open_npy(path: Path, *, scan_shape: tuple[int, int] | None) -> Scan:
    """Open a .npy file of a 4D scan or a stack of patterns; see `nbedex.scan.open_scan`."""
    shape, fortran, dtype, offset = read_header(path)
    check_dimensions(shape, path)
    source: FrameSource
    if fortran or 0 in shape or dtype.kind not in "biuf":
        needed, actual = offset + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize, path.stat().st_size
        if actual < needed:
            raise truncated(path, needed, actual)
        source = ArraySource(np.load(path, mmap_mode="r", allow_pickle=False))
    else:
        frame_shape = (shape[-2], shape[-1])
        source = RawSource(path, offset=offset, scan_shape=shape[:-2], frame_shape=frame_shape, dtype=dtype)
    return Scan(source, path=path, format="npy", scan_shape=scan_shape)
