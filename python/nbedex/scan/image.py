"""Single patterns, such as a ring pattern of a calibration standard, opened as a scan of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from nbedex.errors import DataFormatError, NbedexError
from nbedex.scan.checks import SingleImageError, check_dimensions
from nbedex.scan.metadata import ScanMetadata
from nbedex.scan.npy import read_npy
from nbedex.scan.opening import open_scan
from nbedex.scan.scan import Scan
from nbedex.scan.sources import ArraySource


def open_patterns(path: str | Path, *, dataset: str | None = None, scan_shape: tuple[int, int] | None = None) -> Scan:
    """Open a scan as `open_scan` does, or a file with a single pattern as a scan of 1 x 1.

    Single patterns are read whole: .npy, .tif, .png and what else RosettaSciIO reads as one image.

    Raises
    ------
    ArgumentError
        No such file, unknown format, wrong `dataset` or `scan_shape`.
    DataFormatError
        The file is damaged, or holds neither.
    """
    path = Path(path)
    try:
        scan = open_scan(path, dataset=dataset, scan_shape=scan_shape)
    except SingleImageError:
        if dataset is not None or scan_shape is not None:
            raise
    else:
        return scan
    try:
        image, metadata = _read_image(path)
        return Scan(ArraySource(image[None, None]), path=path, format="image", metadata=metadata)
    except (NbedexError, MemoryError):
        raise
    except Exception as error:
        raise DataFormatError(f"{path}: damaged, or not what its name says ({error})") from error


def _read_image(path: Path) -> tuple[NDArray[Any], ScanMetadata]:
    """The image (det_y, det_x) of a file that holds one."""
    if path.suffix.lower() == ".npy":
        return read_npy(path), ScanMetadata()
    from nbedex.scan.rosetta import read_single

    image, metadata = read_single(path)
    if image.ndim != 2:
        check_dimensions(image.shape, path)
        raise DataFormatError(f"{path}: expected a single image, got an array of {image.ndim} dimensions")
    return image, metadata
