"""Which arrays are scans: dimensions, size and type of what a file holds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.scan.sources import FrameSource

MIN_DETECTOR = 16
_MOST_BYTES = 2**63 - 1  # what a place in a file can be


class SingleImageError(DataFormatError):
    """The file holds one image, where a scan of many patterns was expected."""


def check_dimensions(shape: tuple[int, ...], path: Path, dataset: str | None = None) -> None:
    """Refuse arrays that are neither a 4D scan nor a stack of patterns, with a message for each case."""
    where = f"{path}" + (f", dataset {dataset}" if dataset else "")
    said = " x ".join(map(str, shape))
    if len(shape) == 2:
        raise SingleImageError(
            f"{where}: a single image of {said} pixels; a scan has 4 dimensions (scan rows, scan columns,"
            " detector rows, detector columns), or 3 with --scan-shape"
        )
    if len(shape) not in (3, 4):
        count = f"{len(shape)} dimension{'s' if len(shape) != 1 else ''}"
        raise DataFormatError(
            f"{where}: an array of {count} ({said}); expected 4 (scan rows, scan columns, detector rows,"
            " detector columns), or 3 with --scan-shape; cut out one scan first"
        )


def full_shape(
    source: FrameSource, scan_shape: tuple[int, int] | None, path: Path, binning: int
) -> tuple[int, int, int, int]:
    """Shape (scan_y, scan_x, det_y, det_x) of a source, checked."""
    stored = source.scan_shape
    height, width = source.frame_shape[0] // binning, source.frame_shape[1] // binning
    frames = math.prod(int(length) for length in stored)
    if frames * math.prod(source.frame_shape) * source.dtype.itemsize > _MOST_BYTES:
        said = " x ".join(map(str, (*stored, *source.frame_shape)))
        raise DataFormatError(f"{path}: {said} pixels are more than any file can hold; the file is damaged")
    if scan_shape is not None:
        rows, columns = scan_shape
        if rows < 1 or columns < 1:
            raise ArgumentError(f"--scan-shape must be two positive numbers, got {rows} x {columns}")
        if rows * columns != frames:
            raise ArgumentError(
                f"--scan-shape {rows} x {columns} has {rows * columns} patterns, {path} has {frames}"
                f" ({' x '.join(map(str, stored))})"
            )
    else:
        rows, columns = (1, stored[0]) if len(stored) == 1 else (stored[0], stored[1])
    if min(rows, columns, height, width) == 0:
        raise DataFormatError(f"{path}: empty, shape {rows} x {columns} x {height} x {width}")
    if min(height, width) < MIN_DETECTOR:
        raise DataFormatError(
            f"{path}: detector of {height} x {width} pixels; expected at least {MIN_DETECTOR} x"
            f" {MIN_DETECTOR} (are scan and detector axes exchanged?)"
        )
    return rows, columns, height, width


def delivered_dtype(stored: np.dtype[Any], path: Path) -> tuple[np.dtype[Any], tuple[str, ...]]:
    """Type that frames of a stored type are delivered in, and what to tell about it.

    Integers stay, in native byte order; those of 64 bits and all floats become float32, booleans uint8.
    """
    if stored.kind in "iu" and stored.itemsize <= 4:
        return stored.newbyteorder("="), ()
    if stored.kind == "b":
        return np.dtype(np.uint8), ()
    if stored.kind in "iuf":
        note = f"intensities are stored as {stored.name} and read as float32"
        return np.dtype(np.float32), (note,) if stored.itemsize > 4 else ()
    raise DataFormatError(
        f"{path}: intensities of type {stored}; expected integers, booleans or real floating-point numbers"
    )
