"""Results in the formats of other programs: orix, ASTAR and EDAX (.ang), Channel 5 (.ctf), CSV."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nbedex.errors import ArgumentError
from nbedex.files import check_output, write_atomically
from nbedex.maps.ang import astar_columns, astar_header, tsl_columns, tsl_header
from nbedex.maps.bands import Bands, ResultReader, in_bands
from nbedex.maps.csv_table import csv_columns, csv_header
from nbedex.maps.ctf import ctf_columns, ctf_header
from nbedex.maps.orix_file import write_orix
from nbedex.maps.result import Cutoffs, IndexingResult, check_cutoffs
from nbedex.maps.table import Table
from nbedex.maps.text import Column, join_rows
from nbedex.progress import Progress, silent

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Text:
    """A format of lines: what stands before them, their columns, and how these are put together."""

    header: Callable[[Bands], bytes]
    columns: Callable[[IndexingResult, Table], list[Column]]
    separator: str
    newline: str
    align: bool = False


_TEXT_FORMATS = {
    "ang": _Text(astar_header, astar_columns, "  ", "\r\n", align=True),
    "ang-tsl": _Text(tsl_header, tsl_columns, "  ", "\n", align=True),
    "ctf": _Text(ctf_header, ctf_columns, "\t", "\r\n"),
    "csv": _Text(csv_header, csv_columns, ",", "\r\n"),
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
    result: IndexingResult | ResultReader,
    path: str | os.PathLike[str],
    *,
    to: str,
    overwrite: bool = False,
    min_index: float | None = None,
    min_reliability: float | None = None,
    min_probability: float | None = None,
    progress: Progress = silent,
) -> Path:
    """Write `result` in the format of another program, by bands of rows.

    Parameters
    ----------
    result
        What indexing found; of a `ResultReader` the map is never in memory whole.
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
    progress
        Called with rows done and all, counted for each time that the map is gone through.

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
    DataFormatError
        If the result file is damaged.

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
    cutoffs = Cutoffs(min_index=min_index, min_reliability=min_reliability, min_probability=min_probability)
    if Path(path).suffix.lower() not in SUFFIXES[to]:
        raise ArgumentError(
            f"a file of the format {to!r} must end in {' or '.join(SUFFIXES[to])}, got {os.fspath(path)};"
            " other programs choose their reader by it"
        )
    check_output(path, overwrite=overwrite)
    source = in_bands(result)
    source.check(progress)
    if to == "orix":
        return write_orix(source, path, cutoffs=cutoffs, overwrite=overwrite, progress=progress)
    if source.calibration.step is None:
        log.warning("the scan step is not known: coordinates are written in pixels")
    return write_atomically(path, _lines(source, _TEXT_FORMATS[to], cutoffs, progress), overwrite=overwrite)


def _lines(source: Bands, form: _Text, cutoffs: Cutoffs, progress: Progress) -> Iterator[bytes]:
    """The file, header first."""
    ny, _ = source.shape
    passes = 1 + form.align
    yield form.header(source)
    widths: list[int] = []
    if form.align:  # a column is as wide everywhere as its longest number anywhere
        for last, columns in _columns(source, form, cutoffs):
            needed = [column.width() for column in columns]
            widths = [max(pair) for pair in zip(widths or needed, needed, strict=True)]
            progress("exporting", last, passes * ny)
    for last, columns in _columns(source, form, cutoffs):
        yield from join_rows(
            [column.characters(width) for column, width in zip(columns, widths or [0] * len(columns), strict=True)],
            separator=form.separator, newline=form.newline, align=form.align,
        )  # fmt: skip
        progress("exporting", (passes - 1) * ny + last, passes * ny)


def _columns(source: Bands, form: _Text, cutoffs: Cutoffs) -> Iterator[tuple[int, list[Column]]]:
    """Columns of every band, and the row after its last."""
    for first, last in source.bands():
        band = source.rows(first, last)
        yield last, form.columns(band, Table.of(band, first_row=first, **cutoffs))
