"""The map as a plain table, one line per pixel, for spreadsheets and other programs."""

from __future__ import annotations

import re

import numpy as np

from nbedex.maps.bands import Bands
from nbedex.maps.crystal_map import unique_names
from nbedex.maps.result import IndexingResult, Status
from nbedex.maps.table import Table
from nbedex.maps.text import Column, Numbers, Texts


def csv_header(source: Bands) -> bytes:
    """Names of the columns."""
    row = source.rows(0, 1)
    return (",".join(_cells(row, Table.of(row))) + "\r\n").encode()


def csv_columns(result: IndexingResult, table: Table) -> list[Column]:
    """Columns with their units in the names; empty where there is no value.

    `phase_number` counts from 1, 0 is not indexed, as in .ang and .ctf. `qw` to `qz` is the rotation from
    the sample to the crystal frame. A status that is OK with phase 0 was cut off by a limit of the export.
    """
    return list(_cells(result, table).values())


def _cells(result: IndexingResult, table: Table) -> dict[str, Column]:
    """Columns by their names."""
    names = unique_names(result)
    degrees = np.rad2deg(table.euler)
    quaternion = np.where(table.keep[:, None], result.orientation.reshape(-1, 4), np.nan)
    cells: dict[str, Column] = {
        "row": Numbers(table.row),
        "column": Numbers(table.column),
        f"y_{table.unit}": Numbers(table.y, 5),
        f"x_{table.unit}": Numbers(table.x, 5),
        "phase": Texts(["", *(csv_cell(phase.name) for phase in result.phases)], table.phase),
        "phase_number": Numbers(table.phase),
        "status": Texts([status.name for status in Status], result.status.ravel()),
        **{f"{n}_deg": Numbers(a, 5) for n, a in zip(("phi1", "Phi", "phi2"), degrees.T, strict=True)},
        **{f"q{n}": Numbers(a, 9) for n, a in zip("wxyz", quaternion.T, strict=True)},
        "index": Numbers(result.index.ravel(), 6),
        "reliability_percent": Numbers(result.reliability.ravel(), 4),
        "phase_reliability_percent": Numbers(result.phase_reliability.ravel(), 4),
        "mirror_margin_percent": Numbers(result.mirror_margin.ravel(), 4),
        "half_turn_margin_percent": Numbers(result.half_turn_margin.ravel(), 4),
        "probability": Numbers(result.probability.ravel(), 4),
        "uncertainty_deg": Numbers(result.uncertainty_deg.ravel(), 4),
        "center_row_px": Numbers(result.center[..., 0].ravel(), 4),
        "center_column_px": Numbers(result.center[..., 1].ravel(), 4),
        "template": Numbers(result.template_id.ravel()),
        "mirrored": Numbers(result.mirrored.ravel().astype(np.uint8)),
    }
    for number, name in enumerate(names):
        cells[csv_cell(f"score_{name}")] = Numbers(result.phase_score[..., number].ravel(), 6)
    return cells


def csv_cell(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula and no parser for two cells."""
    text = re.sub(r"[\x00-\x1f\x7f]", " ", text)
    # also after blanks: some programs strip them before they look for a formula
    if re.match(r"\s*[=+\-@＝＋－＠]", text):
        text = "'" + text
    if re.search(r'[",;]|^\s|\s$', text):
        text = '"' + text.replace('"', '""') + '"'
    return text
