"""Results in the formats of other programs: orix, ASTAR and EDAX (.ang), Channel 5 (.ctf), CSV."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from nbedex.errors import ArgumentError
from nbedex.files import check_output, write_atomically
from nbedex.maps.ang import astar_lines, tsl_lines
from nbedex.maps.crystal_map import to_crystal_map
from nbedex.maps.csv_table import csv_lines
from nbedex.maps.ctf import ctf_lines
from nbedex.maps.result import IndexingResult, check_cutoffs
from nbedex.maps.table import Table

_TEXT_FORMATS: dict[str, Callable[[IndexingResult, Table], Iterator[bytes]]] = {
    "ang": astar_lines,
    "ang-tsl": tsl_lines,
    "ctf": ctf_lines,
    "csv": csv_lines,
}
# what other programs expect a file of each format to be called; orix chooses its reader by this
SUFFIXES: dict[str, tuple[str, ...]] = {
    "orix": (".h5", ".hdf5"),
    "ang": (".ang",),
    "ang-tsl": (".ang",),
    "ctf": (".ctf",),
    "csv": (".csv",),
}
FORMATS = tuple(SUFFIXES)


def export(
    result: IndexingResult,
    path: str | os.PathLike[str],
    *,
    to: str,
    overwrite: bool = False,
    min_index: float | None = None,
    min_reliability: float | None = None,
    min_probability: float | None = None,
) -> Path:
    """Write `result` in the format of another program.

    Parameters
    ----------
    result
        What indexing found.
    path
        The file to write; its name must end as the format demands (`SUFFIXES`), because readers
        choose by it.
    to
        "orix": CrystalMap in orix's HDF5. "ang": as ASTAR writes it, nm. "ang-tsl": as EDAX OIM, um.
        "ctf": Channel text file with ASTAR's columns, um. "csv": a table with everything.
    overwrite
        Whether a file that is already there may be replaced.
    min_index, min_reliability, min_probability
        Pixels under these (correlation in [-1, 1]; percent) are written as not indexed. None: no limit.

    Returns
    -------
    target
        The file written, links resolved.

    Raises
    ------
    ArgumentError
        If the format is not known, the name does not end as the format demands, a limit is out of
        range, or the arrays of the result don't fit together.
    OutputError
        If the file exists and `overwrite` is not given, or it can't be written.

    Notes
    -----
    All formats hold the rotation from the sample to the crystal frame as Bunge angles, in our frames. The
    text formats know 2/m only with its axis along b (.ctf; "20" in .ang) or along c ("2" in .ang). orix
    reads .ctf and its own HDF5 with the axis along c, whatever the setting: the rotations are right, what
    orix derives from them by symmetry is not, for a monoclinic phase.
    """
    if to not in SUFFIXES:
        raise ArgumentError(f"expected one of {', '.join(FORMATS)} as the format to export to, got {to!r}")
    check_cutoffs(min_index, min_reliability, min_probability)
    cutoffs = {"min_index": min_index, "min_reliability": min_reliability, "min_probability": min_probability}
    if Path(path).suffix.lower() not in SUFFIXES[to]:
        raise ArgumentError(
            f"a file of the format {to!r} must end in {' or '.join(SUFFIXES[to])}, got {os.fspath(path)};"
            " other programs choose their reader by it"
        )
    check_output(path, overwrite=overwrite)
    result.validate()
    chunks: Iterator[bytes | memoryview]
    if to == "orix":
        chunks = iter([_orix_image(result, **cutoffs)])
    else:
        table = Table.of(result, **cutoffs)
        chunks = iter(_TEXT_FORMATS[to](result, table))
    return write_atomically(path, chunks, overwrite=overwrite)


def _orix_image(result: IndexingResult, **cutoffs: float | None) -> memoryview:
    """The bytes of orix's HDF5 file, made by orix itself in memory: HDF5 crashes on a full disk."""
    from orix.io.plugins.orix_hdf5 import file_writer

    crystal_map = to_crystal_map(result, **cutoffs)  # type: ignore[arg-type]
    stream = io.BytesIO()
    file_writer(stream, crystal_map)
    return stream.getbuffer()
