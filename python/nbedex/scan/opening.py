"""Opening a scan: which reader a file needs."""

from __future__ import annotations

from pathlib import Path

from nbedex.errors import ArgumentError, DataFormatError, NbedexError
from nbedex.scan.scan import Scan

_ALWAYS_HDF5 = (".h5", ".hdf5", ".hspy", ".nxs", ".emd", ".de5")


def open_scan(path: str | Path, *, dataset: str | None = None, scan_shape: tuple[int, int] | None = None) -> Scan:
    """Open a 4D-STEM file for reading patterns block by block; nothing is loaded but the headers.

    Parameters
    ----------
    path
        .hspy, .zspy, .blo, .mib, .dm3/.dm4, .emd, .mrc, .tvips, EMPAD .xml, .nxs, .de5, any HDF5 or .npy
        file, and what else RosettaSciIO reads lazily. HDF5 is recognised by its content.
    dataset
        Path of the dataset in an HDF5 file; needed only where several may be the scan.
    scan_shape
        (rows, columns) for a plain stack of patterns. Without it a stack is one row.

    Returns
    -------
    Scan
        To be closed, best with a ``with`` statement.

    Raises
    ------
    ArgumentError
        No such file, unknown format, wrong `dataset` or `scan_shape`.
    DataFormatError
        The file is damaged, truncated, or holds no scan.
    """
    path = Path(path)
    if not path.exists():
        raise ArgumentError(f"no such file: {path}")
    if path.is_file() and path.stat().st_size == 0:
        raise DataFormatError(f"{path}: empty file")
    try:
        return _open(path, dataset, scan_shape)
    except (NbedexError, MemoryError):
        raise
    except PermissionError as error:
        raise DataFormatError(f"{path}: no permission to read it; change the file's rights") from error
    except Exception as error:
        # Libraries raise anything at a damaged header: KeyError, SyntaxError, struct.error, RuntimeError ...
        raise DataFormatError(
            f"{path}: damaged, or not what its name says ({type(error).__name__}: {error})"
        ) from error


def _open(path: Path, dataset: str | None, scan_shape: tuple[int, int] | None) -> Scan:
    """Choose the reader by the file's content where it is HDF5, by its name elsewhere."""
    suffix = path.suffix.lower()
    from nbedex.scan.guard import first_contact

    if path.is_file() and suffix != ".app5":
        from nbedex.scan.hdf5 import is_hdf5, is_velox, open_hdf5

        if is_hdf5(path):
            first_contact(path, dataset=dataset, scan_shape=scan_shape)
            if not is_velox(path):
                return open_hdf5(path, dataset=dataset, scan_shape=scan_shape)
        elif suffix in _ALWAYS_HDF5:
            raise DataFormatError(
                f"{path}: expected an HDF5 file, as its name says, but it does not begin like one: damaged, cut off"
                " at its beginning, or another format under a wrong name"
            )
    if dataset is not None:
        raise ArgumentError(f"--dataset is for HDF5 files; {path} is none")
    if suffix == ".npy":
        from nbedex.scan.npy import open_npy

        return open_npy(path, scan_shape=scan_shape)
    if suffix == ".zspy":
        from nbedex.scan.zspy import open_zspy

        return open_zspy(path, scan_shape=scan_shape)
    from nbedex.scan.rosetta import open_rosetta

    if suffix in (".dm3", ".dm4", ".xml"):
        first_contact(path, dataset=None, scan_shape=scan_shape, how="rosetta")
    return open_rosetta(path, scan_shape=scan_shape)
