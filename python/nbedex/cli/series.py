"""The table of a series of scans: on the terminal, as CSV, as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbedex.cli.output import show_json, show_table

if TYPE_CHECKING:
    from nbedex.workflow import SeriesEntry

NAME = "series.csv"


def show_series(entries: Sequence[SeriesEntry], folder: Path, *, json: bool, quiet: bool) -> None:
    """Write the table into the folder of the results, and show it."""
    from nbedex.files import write_atomically

    rows = [row_of(entry) for entry in entries]
    write_atomically(folder / NAME, [csv_of(rows).encode()], overwrite=True)
    if json:
        show_json({"series": rows, "table": str(folder / NAME)})
    elif not quiet:
        shown = [_for_people(row) for row in rows]
        show_table(list(shown[0]), [list(row.values()) for row in shown], title=f"also in {folder / NAME}")


def row_of(entry: SeriesEntry) -> dict[str, Any]:
    """One scan in numbers; None where it failed."""
    summary, report = entry.summary or {}, entry.report
    row: dict[str, Any] = {
        "scan": str(entry.scan),
        "result": str(entry.result) if entry.summary else None,
        "pixels": summary.get("pixels"),
        "fraction_indexed": summary.get("fraction_indexed"),
        "median_index": summary.get("median_index"),
        "median_reliability": summary.get("median_reliability"),
        "neighbour_coherence": summary.get("neighbour_coherence"),
        "unreadable": summary["status"]["UNREADABLE"] if summary else None,
        "phases": {phase["name"]: phase["fraction"] for phase in summary.get("phases", ())},
        "seconds": report.seconds if report else None,
        "error": entry.error,
    }
    return row


def csv_of(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as CSV, the phases in columns of their own."""
    names = list(dict.fromkeys(name for row in rows for name in row["phases"]))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    plain = [key for key in rows[0] if key != "phases"]
    writer.writerow([*plain, *(f"fraction {name}" for name in names)])
    for row in rows:
        values = [row[key] for key in plain] + [row["phases"].get(name) for name in names]
        writer.writerow(["" if value is None else _harmless(value) for value in values])
    return stream.getvalue()


def _harmless(value: object) -> object:
    """Text that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def _for_people(row: dict[str, Any]) -> dict[str, str]:
    def share(value: float | None) -> str:
        return "–" if value is None else f"{value:.1%}"

    phases = ", ".join(f"{name} {fraction:.0%}" for name, fraction in row["phases"].items() if fraction)
    return {
        "scan": row["scan"],
        "indexed": share(row["fraction_indexed"]),
        "phases": phases or "–",
        "index": "–" if row["median_index"] is None else f"{row['median_index']:.3f}",
        "neighbours agree": share(row["neighbour_coherence"]),
        "unreadable": str(row["unreadable"] or 0),
        "seconds": "–" if row["seconds"] is None else f"{row['seconds']:.1f}",
        "error": row["error"] or "",
    }
