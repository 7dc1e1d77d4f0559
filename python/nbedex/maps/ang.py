""".ang files: as ASTAR writes them (default), and as EDAX OIM does.

ASTAR's scales, taken from real files: index is a number between 10 and 65, reliability a fraction with -1
on pixels that are not reliable, and the last column 100 times that fraction. Ours: index = 100 times the
correlation, reliability = percent / 100. ASTAR's "index < 600" in papers is another scale, that of its
own window, and is not comparable with a correlation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nbedex.maps.bands import Bands
from nbedex.maps.result import IndexingResult
from nbedex.maps.table import Table, edax_code, grid, plain_name
from nbedex.maps.text import Column, Numbers

if TYPE_CHECKING:
    from nbedex.phases import Phase

FRAME = (
    "Bunge angles (rad) of the crystal frame (e1 || a, e3 || c*) in the sample frame"
    " (X along columns, Y down along rows, Z = X x Y along the beam)"
)


def astar_header(source: Bands) -> bytes:
    """Phases and frame; of an ASTAR file."""
    header = ["File created by nbedex in the layout of: ACOM RES results", "map.res", " "]
    for number, phase in enumerate(source.phases, 1):
        header += [f"Phase {number}", *_phase_lines(phase, number)]
    header += ["", *_frame_lines(source), "GRID: SqrGrid#"]
    return _comment(header, newline="\r\n")


def astar_columns(result: IndexingResult, table: Table) -> list[Column]:
    """Columns phi1 PHI phi2 x y index reliability phase reliability*100; x, y in nm.

    Not indexed: phase -1 (orix reads that as not indexed), reliability -1 as ASTAR marks it, index and
    angles 0. A pixel without a rival has reliability 1.
    """
    reliability = _fraction(result)
    index = 100.0 * result.index.ravel().astype(np.float64)
    lost = ~table.keep
    return [
        *_euler_columns(table, lost_value=0.0),
        Numbers(table.x, 5),
        Numbers(table.y, 5),
        Numbers(np.where(lost, 0.0, index), 3),
        Numbers(np.where(lost, -1.0, reliability), 5),
        Numbers(np.where(lost, -1, table.phase)),
        Numbers(np.where(lost, 1.0, 100.0 * reliability), 1),
    ]


def tsl_header(source: Bands) -> bytes:
    """Microscope (unknown), phases, frame and grid; of an EDAX file."""
    _, nx = source.shape
    step, unit = grid(source.calibration)
    dy, dx = (_per_um(unit) * length for length in step)
    header = [f"{key:<22} {1.0 if key == 'TEM_PIXperUM' else 0.0:.6f}" for key in _MICROSCOPE]
    header.append("")
    for number, phase in enumerate(source.phases, 1):
        header += [f"Phase {number}", *_phase_lines(phase, number, info=True)]
    header += [*_frame_lines(source), "GRID: SqrGrid", f"XSTEP: {dx:.9f}", f"YSTEP: {dy:.9f}"]
    header += [f"NCOLS_ODD: {nx}", f"NCOLS_EVEN: {nx}", f"NROWS: {source.shape[0]}", "", "OPERATOR: nbedex", ""]
    return _comment(header, newline="\n")


def tsl_columns(result: IndexingResult, table: Table) -> list[Column]:
    """Columns phi1 Phi phi2 x y IQ CI phase SEM fit; x, y in um.

    IQ is 100 times the correlation, CI the reliability as a fraction, SEM the phase reliability as a
    fraction, fit is 0. Not indexed as OIM has it: angles 4 pi, IQ 0, CI -1, fit 180, phase 0.
    """
    scale, lost = _per_um(table.unit), ~table.keep
    index = 100.0 * result.index.ravel().astype(np.float64)
    phase_reliability = np.nan_to_num(result.phase_reliability.ravel().astype(np.float64) / 100.0)
    return [
        *_euler_columns(table, lost_value=4 * np.pi),
        Numbers(scale * table.x, 8),
        Numbers(scale * table.y, 8),
        Numbers(np.where(lost, 0.0, index), 3),
        # a fraction of exactly -1 would mean "not indexed" to OIM and orix
        Numbers(np.where(lost, -1.0, np.maximum(_fraction(result), -0.999)), 5),
        Numbers(np.where(lost, 0, table.phase)),
        Numbers(np.where(lost, 0.0, phase_reliability), 5),
        Numbers(np.where(lost, 180.0, 0.0), 3),
    ]


def _per_um(unit: str) -> float:
    """What coordinates are multiplied by: nm become um, pixels stay."""
    return 1e-3 if unit == "nm" else 1.0


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


def _frame_lines(source: Bands) -> list[str]:
    lines = [f"FRAME: {FRAME}"]
    if source.calibration.step is None:
        lines.append("FRAME: scan step not known, x and y count pixels")
    return lines


def _fraction(result: IndexingResult) -> NDArray[np.float64]:
    """Reliability (pixels,) as a fraction; 1 where there is no rival."""
    return np.nan_to_num(result.reliability.ravel().astype(np.float64) / 100.0, nan=1.0)


def _euler_columns(table: Table, *, lost_value: float) -> list[Column]:
    return [Numbers(np.where(table.keep, angle, lost_value), 5) for angle in table.euler.T]


def _comment(lines: list[str], *, newline: str) -> bytes:
    return "".join(f"# {line}".rstrip() + newline for line in lines).encode("ascii")
