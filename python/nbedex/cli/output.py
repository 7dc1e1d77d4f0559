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


class Note:
    """What is said beside the bar of a run: share indexed so far and whether neighbours agree."""

    text = ""

    def watch(self, facts: Any) -> None:
        """Take the facts of a run, `nbedex.indexing.monitor.RunFacts`."""
        parts = []
        if facts.share_indexed is not None:
            parts.append(f"{facts.share_indexed:.0%} indexed")
        if facts.coherence is not None:
            parts.append(f"{facts.coherence:.0%} of neighbours agree")
        self.text = ", ".join(parts)


@contextmanager
def progress_bar(*, quiet: bool, note: Note | None = None) -> Iterator[Progress]:
    """Progress with rate and time left: a bar on a terminal, otherwise a line every ten seconds."""
    note = note or Note()
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        with _bars(note) as progress:
            yield progress
    else:
        yield _Lines(note)


@contextmanager
def _bars(note: Note) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    tasks: dict[str, tuple[TaskID, _Rate]] = {}
    with Bars(*columns, console=Console(stderr=True)) as bars:

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks or done < tasks[stage][1].last:  # of the next scan of a series
                tasks[stage] = (bars.add_task(stage, total=total, rate="", note=""), _Rate())
            task, rate = tasks[stage]
            indexing = stage == "indexing"
            said = rate.sentence(done) if indexing else ""
            bars.update(task, completed=done, total=total, rate=said, note=note.text if indexing else "")

        yield progress


class _Rate:
    """How fast a stage goes; what an earlier run had done does not count."""

    def __init__(self) -> None:
        self.last = 0
        self._first: int | None = None
        self._started = self._changed = time.monotonic()

    def add(self, done: int) -> float | None:
        """Per second, so far; None at first."""
        now = time.monotonic()
        if self._first is None or now - self._started < 0.2:
            self._first, self._started = done, self._started if self._first is not None else now
        self.last = done
        seconds = now - self._started
        return (done - self._first) / seconds if seconds > 0.2 and done > self._first else None

    def sentence(self, done: int) -> str:
        rate = self.add(done)
        return f"{rate:,.0f} patterns/s" if rate else ""


class _Lines:
    """A line when a stage ends and every ten seconds in between."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._rates: dict[str, _Rate] = {}
        self._started: dict[str, float] = {}
        self._said = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage in self._rates and done < self._rates[stage].last:  # of the next scan of a series
            del self._rates[stage], self._started[stage]
        started = self._started.setdefault(stage, now)
        rate = self._rates.setdefault(stage, _Rate()).add(done)
        if done < total and now - max(self._said, started) < 10:
            return
        self._said = now
        text = f"nbedex: {stage}: {done}/{total}"
        if stage == "indexing":
            text += f", {rate:,.0f} patterns/s" if rate else ""
        if rate and 0 < done < total:
            text += f", about {(total - done) / rate:.0f} s left"
        if stage == "indexing" and self._note.text:
            text += f", {self._note.text}"
        print(text, file=sys.stderr, flush=True)
