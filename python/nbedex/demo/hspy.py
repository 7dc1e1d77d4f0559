"""A scan written as HyperSpy's HDF5, row by row, with the metadata that a microscope would give."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.files import replacing


def write_hspy(
    path: str | os.PathLike[str],
    rows: Iterable[NDArray[np.uint16]],
    *,
    shape: tuple[int, int, int, int],
    calibration: Calibration,
    title: str = "nbedex demo",
    overwrite: bool = False,
) -> Path:
    """Write a scan whose rows are made one after the other; never more than one is in memory.

    Parameters
    ----------
    path
        File to write; it appears when it is complete.
    rows
        (rows, nx, det_y, det_x) uint16 blocks of scan rows, in order.
    shape
        (ny, nx, det_y, det_x) of the whole.
    calibration
        What the file says of itself.
    title
        Of the data set.
    overwrite
        Whether a file that is there may be replaced.

    Raises
    ------
    OutputError
        It exists, can't be written, or the disk has no room for it uncompressed.
    """
    import h5py
    from rsciio import hspy

    with replacing(path, overwrite=overwrite, n_bytes=int(np.prod(shape)), suffix=".hspy") as temporary:
        signal = _signal(shape, calibration, title)
        hspy.file_writer(str(temporary), signal, mode="a", write_dataset=False, show_progressbar=False)
        with h5py.File(temporary, "a") as file:
            # lowest compression: half the size of a second of more work would be a tenth less
            data = file.create_dataset(
                f"Experiments/{title}/data", shape, np.uint16, chunks=(1, 1, *shape[2:]), compression=1, shuffle=True
            )
            done = 0
            for block in rows:
                data[done : done + len(block)] = block
                done += len(block)
    return Path(path)


def _signal(shape: tuple[int, int, int, int], calibration: Calibration, title: str) -> dict[str, Any]:
    ny, nx, rows, columns = shape
    step = calibration.step or (1.0, 1.0)
    pixel = calibration.pixel_size

    def axis(name: str, size: int, scale: float, units: str, *, navigate: bool, offset: float = 0.0) -> dict[str, Any]:
        return {
            "name": name, "size": size, "scale": scale, "offset": offset, "units": units, "navigate": navigate,
            "_type": "UniformDataAxis", "is_binned": False,
        }  # fmt: skip

    return {
        "data": np.zeros((1, 1, 1, 1), dtype=np.uint16),
        "axes": [
            axis("y", ny, step[0], "nm", navigate=True),
            axis("x", nx, step[1], "nm", navigate=True),
            axis("ky", rows, pixel, "1/Å", navigate=False, offset=-pixel * (rows - 1) / 2),
            axis("kx", columns, pixel, "1/Å", navigate=False, offset=-pixel * (columns - 1) / 2),
        ],
        "metadata": {
            "General": {"title": title},
            "Signal": {"signal_type": "electron_diffraction"},
            "Acquisition_instrument": {"TEM": {"beam_energy": calibration.voltage}},
        },
        "original_metadata": {},
        "attributes": {"_lazy": False},
        "learning_results": {},
        "models": {},
        "tmp_parameters": {},
        "package_info": {"package": "nbedex", "package_version": ""},
    }
