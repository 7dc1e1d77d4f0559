"""Orientation maps of other programs, read by orix, without the traps on the way.

What orix 0.15 does on its own: it prints and renames phases of an .ang file after their formulas; it
takes the step of some ASTAR .ctf files from a header that is wrong (XStep 0.001 where the X column
steps by 0.005); it raises whatever its parser trips over.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.maps.crystal_map import to_crystal_map
from nbedex.maps.result_file import read_result
from nbedex.maps.skeleton import FORMAT

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap

_SUFFIXES = (".h5", ".hdf5", ".ang", ".ctf")
_CTF_COLUMNS = "Phase\tX\tY\t"
_LONGEST_HEADER = 1000  # lines


def read_crystal_map(path: str | os.PathLike[str]) -> CrystalMap:
    """Read an orientation map of ours, of orix (.h5), or an .ang or .ctf file into an orix CrystalMap.

    Parameters
    ----------
    path
        The file. The format follows from the end of its name.

    Returns
    -------
    crystal_map
        As orix gives it: coordinates in `scan_unit` (nm for ASTAR's .ang, um for .ctf and all other .ang;
        an .ang that orix wrote in nm can't be told from one in um). Phases keep the names in the file.

    Raises
    ------
    ArgumentError
        If there is no such file or its name does not end as a known format's does.
    DataFormatError
        If the file is damaged or not what its name says.
    """
    text = os.fspath(path)
    suffix = Path(path).suffix.lower()
    if not os.path.isfile(path):
        raise ArgumentError(f"expected an orientation map, found no file at {text}")
    if suffix not in _SUFFIXES:
        raise ArgumentError(f"an orientation map must end in {', '.join(_SUFFIXES)}, got {text}")
    if suffix in (".h5", ".hdf5") and is_ours(path):
        return to_crystal_map(read_result(path))
    try:
        if suffix in (".h5", ".hdf5"):
            _refuse_other_files(text)
        return _read(text, suffix)
    except Exception as error:  # orix raises whatever its parser trips over
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataFormatError(f"{text} can't be read as an orientation map ({suffix}): {reason}") from error


def is_ours(path: str | os.PathLike[str]) -> bool:
    """Whether the file says of itself that it is a result file of ours."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return bytes(file.attrs.get("format", b"")) == FORMAT.encode()
    except (OSError, TypeError, RuntimeError):
        return False


def _refuse_other_files(path: str) -> None:
    """Refuse an HDF5 file that leads into others: orix would follow it there."""
    import h5py

    with h5py.File(path, "r") as file:
        groups, seen = [file["/"]], set()
        while groups:
            group = groups.pop()
            for name in group:
                link = group.get(name, getlink=True)
                if isinstance(link, h5py.ExternalLink):
                    raise ValueError(f"{group.name.rstrip('/')}/{name} leads into another file, {link.filename}")
                if not isinstance(link, h5py.HardLink):
                    continue
                node = group[name]
                if isinstance(node, h5py.Dataset) and (node.external or node.is_virtual):
                    raise ValueError(f"the numbers of {node.name} lie in other files")
                address = h5py.h5o.get_info(node.id).addr
                if isinstance(node, h5py.Group) and address not in seen:
                    seen.add(address)
                    groups.append(node)


def _read(path: str, suffix: str) -> CrystalMap:
    from orix import io

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # "unexpected columns": a guess, not a reading
        try:
            crystal_map = io.load(path, autogen_names=False) if suffix == ".ang" else io.load(path)
        except UserWarning as warning:
            raise ValueError(" ".join(str(warning).split())) from warning
    return _with_steps_of_columns(crystal_map, path) if suffix == ".ctf" else crystal_map


def _with_steps_of_columns(crystal_map: CrystalMap, path: str) -> CrystalMap:
    """The same map on the grid of the file's X and Y columns, if that is not the one orix took."""
    from orix.crystal_map import CrystalMap

    cells, skip = _ctf_header(path)
    if cells["XCells"] * cells["YCells"] != crystal_map.size:
        raise ValueError(
            f"the header promises {cells['YCells']} x {cells['XCells']} points, the file has {crystal_map.size}"
        )
    columns = np.loadtxt(path, skiprows=skip, usecols=(1, 2), ndmin=2)
    x, y = (_regular(columns[:, i], cells[name]) for i, name in enumerate(("XCells", "YCells")))
    rows, cols = np.divmod(np.arange(crystal_map.size), cells["XCells"])
    new_x, new_y = x * cols, y * rows
    if _close(crystal_map.x, new_x, x) and _close(crystal_map.y, new_y, y):
        return crystal_map
    return CrystalMap(
        rotations=crystal_map.rotations,
        phase_id=crystal_map.phase_id,
        x=new_x,
        y=new_y,
        phase_list=crystal_map.phases,
        prop=dict(crystal_map.prop),
        scan_unit=crystal_map.scan_unit,
    )


def _ctf_header(path: str) -> tuple[dict[str, int], int]:
    """XCells and YCells, and the number of lines up to and including the names of the columns."""
    cells: dict[str, int] = {}
    with open(path, encoding="latin-1") as stream:
        for number, line in enumerate(stream, 1):
            key, _, value = line.strip().partition("\t")
            if key in ("XCells", "YCells"):
                cells[key] = int(value)
            if line.startswith(_CTF_COLUMNS):
                break
            if number > _LONGEST_HEADER:
                raise ValueError("no line with the names of the columns")
    if set(cells) != {"XCells", "YCells"} or min(cells.values()) < 1:
        raise ValueError("XCells and YCells are missing or not positive")
    return cells, number


def _regular(coordinates: NDArray[np.float64], cells: int) -> float:
    """Step of a column of coordinates over that many cells, averaged over the rounding of the text."""
    return float(np.ptp(coordinates) / (cells - 1)) if cells > 1 else 0.0


def _close(ours: Any, grid: NDArray[np.float64], step: float) -> bool:
    return ours is not None and bool(np.all(np.abs(np.asarray(ours) - grid) <= 0.01 * step))
