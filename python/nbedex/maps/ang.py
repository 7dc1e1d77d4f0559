""".ang files: as ASTAR writes them (default), and as EDAX OIM does.

ASTAR's scales, taken from real files: index is a number between 10 and 65, reliability a fraction with -1
on pixels that are not reliable, and the last column 100 times that fraction. Ours: index = 100 times the
correlation, reliability = percent / 100. ASTAR's "index < 600" in papers is another scale, that of its
own window, and is not comparable with a correlation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nbedex.maps.result import IndexingResult
from nbedex.maps.table import Table, edax_code, plain_name
from nbedex.maps.text import Characters, join_rows, number_column

if TYPE_CHECKING:
    from nbedex.phases import Phase

FRAME = (
    "Bunge angles (rad) of the crystal frame (e1 || a, e3 || c*) in the sample frame"
    " (X along columns, Y down along rows, Z = X x Y along the beam)"
)


def astar_lines(result: IndexingResult, table: Table) -> Iterator[bytes]:
    """Columns phi1 PHI phi2 x y index reliability phase reliability*100; x, y in nm.

    Not indexed: phase -1 (orix reads that as not indexed), reliability -1 as ASTAR marks it, index and
    angles 0. A pixel without a rival has reliability 1.
    """
    header = ["File created by nbedex in the layout of: ACOM RES results", "map.res", " "]
    for number, phase in enumerate(result.phases, 1):
        header += [f"Phase {number}", *_phase_lines(phase, number)]
    header += ["", *_frame_lines(table), "GRID: SqrGrid#"]
    yield _comment(header, newline="\r\n")

    reliability = _fraction(result)
    index = 100.0 * result.index.ravel().astype(np.float64)
    lost = ~table.keep
    columns = [
        *_euler_columns(table, lost_value=0.0),
        number_column(table.x, 5),
        number_column(table.y, 5),
        number_column(np.where(lost, 0.0, index), 3),
        number_column(np.where(lost, -1.0, reliability), 5),
        number_column(np.where(lost, -1, table.phase)),
        number_column(np.where(lost, 1.0, 100.0 * reliability), 1),
    ]
    yield from join_rows(columns, separator="  ", newline="\r\n", align=True)


def tsl_lines(result: IndexingResult, table: Table) -> Iterator[bytes]:
    """Columns phi1 Phi phi2 x y IQ CI phase SEM fit; x, y in um.

    IQ is 100 times the correlation, CI the reliability as a fraction, SEM the phase reliability as a
    fraction, fit is 0. Not indexed as OIM has it: angles 4 pi, IQ 0, CI -1, fit 180, phase 0.
    """
    ny, nx = result.shape
    scale = 1e-3 if table.unit == "nm" else 1.0
    dy, dx = (scale * step for step in table.step)
    header = [f"{key:<22} {1.0 if key == 'TEM_PIXperUM' else 0.0:.6f}" for key in _MICROSCOPE]
    header.append("")
    for number, phase in enumerate(result.phases, 1):
        header += [f"Phase {number}", *_phase_lines(phase, number, info=True)]
    header += [*_frame_lines(table), "GRID: SqrGrid", f"XSTEP: {dx:.9f}", f"YSTEP: {dy:.9f}"]
    header += [f"NCOLS_ODD: {nx}", f"NCOLS_EVEN: {nx}", f"NROWS: {ny}", "", "OPERATOR: nbedex", ""]
    yield _comment(header, newline="\n")

    lost = ~table.keep
    index = 100.0 * result.index.ravel().astype(np.float64)
    phase_reliability = np.nan_to_num(result.phase_reliability.ravel().astype(np.float64) / 100.0)
    columns = [
        *_euler_columns(table, lost_value=4 * np.pi),
        number_column(scale * table.x, 8),
        number_column(scale * table.y, 8),
        number_column(np.where(lost, 0.0, index), 3),
        # a fraction of exactly -1 would mean "not indexed" to OIM and orix
        number_column(np.where(lost, -1.0, np.maximum(_fraction(result), -0.999)), 5),
        number_column(np.where(lost, 0, table.phase)),
        number_column(np.where(lost, 0.0, phase_reliability), 5),
        number_column(np.where(lost, 180.0, 0.0), 3),
    ]
    yield from join_rows(columns, separator="  ", newline="\n", align=True)


_MICROSCOPE = ("TEM_PIXperUM", "x-star", "y-star", "z-star", "WorkingDistance")


def _phase_lines(phase: Phase, number: int, *, info: bool = False) -> list[str]:
    """The four (five) header lines of a phase, in the order that MTEX counts on.

    The formula stays empty, as in ASTAR's files: with one, orix renames the phases after it.
    """
    code = edax_code(phase.laue_class, phase.symmetry_rotations, phase.name)
    lengths = "  ".join(f"{value:.3f}" for value in phase.cell)
    return [
        f"MaterialName      {plain_name(phase.name, number)}",
        "Formula           ",
        *(["Info              "] if info else []),
        f"Symmetry          {code}",
        f"LatticeConstants  {lengths}",
        "NumberFamilies    0",
    ]


def _frame_lines(table: Table) -> list[str]:
    lines = [f"FRAME: {FRAME}"]
    if table.unit == "px":
        lines.append("FRAME: scan step not known, x and y count pixels")
    return lines


def _fraction(result: IndexingResult) -> NDArray[np.float64]:
    """Reliability (pixels,) as a fraction; 1 where there is no rival."""
    return np.nan_to_num(result.reliability.ravel().astype(np.float64) / 100.0, nan=1.0)


def _euler_columns(table: Table, *, lost_value: float) -> list[Characters]:
    return [number_column(np.where(table.keep, angle, lost_value), 5) for angle in table.euler.T]


def _comment(lines: list[str], *, newline: str) -> bytes:
    return "".join(f"# {line}".rstrip() + newline for line in lines).encode("ascii")
