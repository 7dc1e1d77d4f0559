"""orix's own HDF5 file, written by bands of rows: everything in it is what orix's writer puts there.

Its places are laid out beforehand and filled with plain I/O (`nbedex.maps.skeleton`): HDF5 crashes on a full disk.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.files import replacing
from nbedex.maps.bands import Bands
from nbedex.maps.crystal_map import phase_list, to_crystal_map
from nbedex.maps.result import Cutoffs
from nbedex.maps.skeleton import Skeleton, lay_out, without_data, write_at
from nbedex.progress import Progress, silent


def write_orix(
    source: Bands,
    path: str | os.PathLike[str],
    *,
    cutoffs: Cutoffs,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Path:
    """Write the map as a CrystalMap in orix's HDF5.

    Parameters
    ----------
    source
        The map.
    path
        The file to write.
    cutoffs
        Of `IndexingResult.accepted`; pixels under them are written as not indexed.
    overwrite
        Whether a file that is already there may be replaced.
    progress
        Called with the rows done, of twice the map: it is looked through for its phases first.

    Raises
    ------
    OutputError
        It can't be written; nothing is left behind then.
    """
    ny, nx = source.shape
    plan = _layout(source, _phases_in(source, cutoffs, progress), cutoffs)
    with (
        replacing(path, overwrite=overwrite, n_bytes=plan.size) as temporary,
        open(temporary, "xb", buffering=0) as stream,
    ):
        plan.put(stream)
        for first, last in source.bands():
            for name, array in _data(source, first, last, cutoffs).items():
                write_at(stream, plan.offsets[name] + first * nx * array.itemsize, array.view(np.uint8).data)
            progress("exporting", ny + last, 2 * ny)
    return Path(os.path.realpath(path))


def _phases_in(source: Bands, cutoffs: Cutoffs, progress: Progress) -> NDArray[np.int64]:
    """Numbers of the phases that occur, -1 if there are pixels without one: orix keeps no others."""
    found: set[int] = set()
    for first, last in source.bands():
        band = source.rows(first, last)
        found |= {int(n) for n in np.unique(np.where(band.accepted(**cutoffs), band.phase_id, -1))}
        progress("exporting", last, 2 * source.shape[0])
    return np.array(sorted(found))


def _layout(source: Bands, ids: NDArray[np.int64], cutoffs: Cutoffs) -> Skeleton:
    """The file without its maps."""
    from orix import __version__
    from orix.crystal_map import CrystalMap
    from orix.io.plugins.orix_hdf5 import crystalmap2dict, dict2hdf5group, phaselist2dict
    from orix.quaternion import Rotation

    ny, nx = source.shape
    start = crystalmap2dict(to_crystal_map(source.rows(0, min(2, ny)), **cutoffs))  # two rows have the steps
    phases = CrystalMap(Rotation.identity((len(ids),)), phase_id=ids, phase_list=phase_list(source.phases)).phases
    # orix counts points here, not rows and columns
    header = start["header"] | {"ny": ny * nx, "nx": ny * nx, "phases": phaselist2dict(phases)}

    def fill(file: Any) -> dict[str, Any]:
        dict2hdf5group({"manufacturer": "orix", "version": __version__}, file)
        group = file.create_group("crystal_map")
        data = group.create_group("data")
        found = {name: without_data(data, name, (ny * nx,), a.dtype) for name, a in start["data"].items()}
        dict2hdf5group({"header": header}, group)
        return found

    return lay_out(fill)


def _data(source: Bands, first: int, last: int, cutoffs: Cutoffs) -> dict[str, NDArray[Any]]:
    """The maps of some rows, (pixels,) each."""
    from orix.io.plugins.orix_hdf5 import crystalmap2dict

    nx = source.shape[1]
    band = to_crystal_map(source.rows(first, last), **cutoffs)
    data: dict[str, NDArray[Any]] = crystalmap2dict(band)["data"]
    step = source.calibration.step or (1.0, 1.0)
    data["y"] = np.arange(first * nx, last * nx) // nx * step[0]
    data["id"] = np.arange(first * nx, last * nx)
    return {name: np.ascontiguousarray(array) for name, array in data.items()}
