"""What a run says about itself while it runs: rate, time left, share indexed, and whether the map looks like noise."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.maps.orientation import disorientation_angle
from nbedex.maps.result import Status
from nbedex.progress import Progress

log = logging.getLogger(__name__)

_WRITE_EVERY = 2.0  # seconds between updates of the progress file
_LOG_EVERY = 60.0
_PAIRS = 32  # of neighbours compared in a block, at most
_ENOUGH = 500  # patterns, or pairs, before anything is said about all of them
_ALIKE = np.deg2rad(5.0)
MOSTLY_INDEXED = 0.5  # below this share of indexed patterns a run is doubted
COHERENT = 0.3  # neighbours that agree; less looks like a map of noise


@dataclass(frozen=True)
class RunFacts:
    """Where a run is.

    Attributes
    ----------
    state
        "running", "stopped", "failed", "finished".
    total, done
        Patterns to be indexed, and those that are.
    indexed, unreadable
        How many of those done have an orientation, and could not be read.
    coherence
        Share of neighbours along a scan row, in a sample of those done, whose orientations agree within 5 degrees;
        None before there are any.
    rate
        Patterns per second since the run began; 0 at first.
    seconds
        Since it began.
    """

    state: str
    total: int
    done: int
    indexed: int
    unreadable: int
    coherence: float | None
    rate: float
    seconds: float

    @property
    def left(self) -> float | None:
        """Seconds to go, as far as one can say."""
        return (self.total - self.done) / self.rate if self.rate else None

    @property
    def share_indexed(self) -> float | None:
        return self.indexed / self.done if self.done else None


Watch = Callable[[RunFacts], None]


class Monitor:
    """Counts what a run does and tells it: a progress callback, a watcher, the log and a file.

    Parameters
    ----------
    total
        Patterns to be indexed.
    columns
        Of the scan.
    symmetries
        Of the phases, proper rotations (m, 4) each.
    progress, watch
        Called after every block.
    file
        Rewritten every two seconds with what is known; None for none.
    """

    def __init__(
        self,
        total: int,
        *,
        columns: int,
        symmetries: tuple[NDArray[np.float64], ...],
        progress: Progress,
        watch: Watch | None = None,
        file: Path | None = None,
    ) -> None:
        self._total, self._columns, self._symmetries = total, columns, symmetries
        self._progress, self._watch, self._file = progress, watch, file
        self._started = self._logged = time.monotonic()
        self._written = 0.0
        self._done = self._before = self._indexed = self._unreadable = self._pairs = self._alike = 0
        self._warned: set[str] = set()

    def facts(self, state: str = "running") -> RunFacts:
        seconds = time.monotonic() - self._started
        new = self._done - self._before
        return RunFacts(
            state=state,
            total=self._total,
            done=self._done,
            indexed=self._indexed,
            unreadable=self._unreadable,
            coherence=self._alike / self._pairs if self._pairs else None,
            rate=new / seconds if seconds > 0.2 else 0.0,
            seconds=seconds,
        )

    def add(self, patterns: NDArray[np.integer[Any]], records: NDArray[Any], *, before: bool = False) -> None:
        """Count the records (n,) of patterns (n,); `before`: they were found by an earlier run."""
        self._done += len(records)
        self._before += len(records) if before else 0
        self._indexed += int((records["status"] == Status.OK).sum())
        self._unreadable += int((records["status"] == Status.UNREADABLE).sum())
        if not before:
            self._compare_neighbours(patterns, records)
            self._doubt()
        self.tell()

    def tell(self) -> None:
        """Tell where the run is."""
        facts = self.facts()
        if self._watch is not None:
            self._watch(facts)
        self._progress("indexing", self._done, self._total)
        now = time.monotonic()
        if now - self._written > _WRITE_EVERY:
            self._written = now
            self.write("running")
        if now - self._logged > _LOG_EVERY:
            self._logged = now
            log.info("%s", sentence(facts))

    def write(self, state: str) -> None:
        """Rewrite the progress file; that it can't be is no reason to stop."""
        if self._file is None:
            return
        facts = self.facts(state)
        who = {"pid": os.getpid(), "host": socket.gethostname(), "time": time.time()}
        temporary = self._file.with_name(f".{self._file.name}.tmp-{os.getpid()}-0")
        try:
            temporary.write_text(json.dumps(asdict(facts) | who), encoding="utf-8")
            os.replace(temporary, self._file)
        except OSError as error:
            log.debug("%s: %s", self._file, error)

    def _compare_neighbours(self, patterns: NDArray[np.integer[Any]], records: NDArray[Any]) -> None:
        """Compare some pairs of neighbours along a scan row."""
        phase = records["phase_id"]
        pairs = (np.diff(patterns) == 1) & (patterns[1:] % self._columns != 0)
        pairs &= (phase[1:] >= 0) & (phase[1:] == phase[:-1])
        chosen = np.flatnonzero(pairs)
        chosen = chosen[:: -(-len(chosen) // _PAIRS)] if len(chosen) else chosen
        for number, symmetry in enumerate(self._symmetries):
            here = chosen[phase[chosen] == number]
            angle = disorientation_angle(records["orientation"][here], records["orientation"][here + 1], symmetry)
            self._pairs += len(here)
            self._alike += int((angle <= _ALIKE).sum())

    def _doubt(self) -> None:
        """Warn once, as early as there is reason to, of a run that will be of no use."""
        facts = self.facts()
        if facts.done >= _ENOUGH and (facts.share_indexed or 0) < MOSTLY_INDEXED:
            self._warn("share", f"only {facts.indexed} of the first {facts.done} patterns are indexed")
        if self._pairs >= _ENOUGH and (facts.coherence or 0) < COHERENT:
            self._warn(
                "coherence",
                f"THIS LOOKS LIKE NOISE: only {facts.coherence:.0%} of neighbouring patterns have the same orientation",
            )

    def _warn(self, kind: str, text: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            log.warning("%s; check --pixel-size (1/angstrom, not 1/nm), --phase and the patterns (nbedex look)", text)


def sentence(facts: RunFacts) -> str:
    """Where a run is, in a line."""
    parts = [f"{facts.done} of {facts.total} patterns"]
    if facts.rate:
        parts.append(f"{facts.rate:,.0f} patterns/s")
    if facts.left and facts.done < facts.total:
        parts.append(f"about {duration(facts.left)} left")
    if facts.share_indexed is not None:
        parts.append(f"{facts.share_indexed:.1%} of them indexed")
    if facts.unreadable:
        parts.append(f"{facts.unreadable} unreadable")
    if facts.coherence is not None:
        parts.append(f"{facts.coherence:.0%} of neighbours agree")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Time in words of two units at most."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = whole // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
