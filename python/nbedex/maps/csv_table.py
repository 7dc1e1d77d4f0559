"""The map as a plain table, one line per pixel, for spreadsheets and other programs."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from nbedex.maps.crystal_map import unique_names
from nbedex.maps.result import IndexingResult, Status
from nbedex.maps.table import Table
from nbedex.maps.text import join_rows, number_column, text_column


def csv_lines(result: IndexingResult, table: Table) -> Iterator[bytes]:
    """Columns with their units in the names; empty where there is no value.

    `phase_number` counts from 1, 0 is not indexed, as in .ang and .ctf. `qw` to `qz` is the rotation from
    the sample to the crystal frame. A status that is OK with phase 0 was cut off by a limit of the export.
    """
    names = unique_names(result)
    degrees = np.rad2deg(table.euler)
    quaternion = np.where(table.keep[:, None], result.orientation.reshape(-1, 4), np.nan)
    ny, nx = result.shape
    rows, columns = np.divmod(np.arange(ny * nx), nx)
    cells = {
        "row": number_column(rows),
        "column": number_column(columns),
        f"y_{table.unit}": number_column(table.y, 5),
        f"x_{table.unit}": number_column(table.x, 5),
        "phase": text_column(["", *(csv_cell(phase.name) for phase in result.phases)], table.phase),
        "phase_number": number_column(table.phase),
        "status": text_column([status.name for status in Status], result.status.ravel()),
        **{f"{n}_deg": number_column(a, 5) for n, a in zip(("phi1", "Phi", "phi2"), degrees.T, strict=True)},
        **{f"q{n}": number_column(a, 9) for n, a in zip("wxyz", quaternion.T, strict=True)},
        "index": number_column(result.index.ravel(), 6),
        "reliability_percent": number_column(result.reliability.ravel(), 4),
        "phase_reliability_percent": number_column(result.phase_reliability.ravel(), 4),
        "mirror_margin_percent": number_column(result.mirror_margin.ravel(), 4),
        "half_turn_margin_percent": number_column(result.half_turn_margin.ravel(), 4),
        "probability": number_column(result.probability.ravel(), 4),
        "uncertainty_deg": number_column(result.uncertainty_deg.ravel(), 4),
        "center_row_px": number_column(result.center[..., 0].ravel(), 4),
        "center_column_px": number_column(result.center[..., 1].ravel(), 4),
        "template": number_column(result.template_id.ravel()),
        "mirrored": number_column(result.mirrored.ravel().astype(np.uint8)),
    }
    for number, name in enumerate(names):
        cells[csv_cell(f"score_{name}")] = number_column(result.phase_score[..., number].ravel(), 6)
    yield (",".join(cells) + "\r\n").encode()
    yield from join_rows(list(cells.values()), separator=",", newline="\r\n", align=False)


def csv_cell(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula and no parser for two cells."""
    text = re.sub(r"[\x00-\x1f\x7f]", " ", text)
    # also after blanks: some programs strip them before they look for a formula
    if re.match(r"\s*[=+\-@＝＋－＠]", text):
        text = "'" + text
    if re.search(r'[",;]|^\s|\s$', text):
        text = '"' + text.replace('"', '""') + '"'
    return text
