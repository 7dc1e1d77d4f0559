"""What commands show: tables and JSON on stdout, progress on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nbedex.progress import Progress, silent


def show_json(value: Any) -> None:
    from nbedex.maps import to_json

    print(json.dumps(json.loads(to_json(value)), indent=2, ensure_ascii=False))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> None:
    """A table that fits the terminal; plain text when it is not one."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


def show_pairs(pairs: Sequence[tuple[str, object]]) -> None:
    """Name and value, one pair a line."""
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        print(f"{name:<{width}}  {value}")


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[Progress]:
    """Progress with rate and time left: a bar on a terminal, otherwise a line every ten seconds."""
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        with _bars() as progress:
            yield progress
    else:
        yield _Lines()


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    tasks: dict[str, tuple[TaskID, float]] = {}
    with Bars(*columns, console=Console(stderr=True)) as bars:

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = (bars.add_task(stage, total=total, rate=""), time.monotonic())
            task, started = tasks[stage]
            bars.update(task, completed=done, total=total, rate=_rate(stage, done, time.monotonic() - started))

        yield progress


def _rate(stage: str, done: int, seconds: float) -> str:
    return f"{done / seconds:,.0f} patterns/s" if stage == "indexing" and done and seconds > 0.2 else ""


class _Lines:
    """A line when a stage ends and every ten seconds in between."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._said = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        started = self._started.setdefault(stage, now)
        if done < total and now - max(self._said, started) < 10:
            return
        self._said = now
        left = (now - started) / done * (total - done) if done else float("nan")
        rate = _rate(stage, done, now - started)
        text = f"nbedex: {stage}: {done}/{total}"
        if rate:
            text += f", {rate}"
        if 0 < done < total:
            text += f", about {left:.0f} s left"
        print(text, file=sys.stderr, flush=True)
