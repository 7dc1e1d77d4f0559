"""Indexing a scan while it is being written.

Two acts. While patterns arrive they are indexed as they are, for a live picture: where the direct beam is, and which
detector pixels are hot, is looked for in what there is. When the scan is complete it is indexed as any finished file
is, so that the result is the same. What was found live is kept where it must be the same: if the place of the beam was
given and the hot pixels turned out the same, and the patterns read again are what they were.
"""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, Cancelled, DataFormatError, NbedexError
from nbedex.indexing.checkpoint import Checkpoint, discard
from nbedex.indexing.monitor import Watch
from nbedex.indexing.task import Known, Task, index_patterns, make_task
from nbedex.progress import Progress, silent
from nbedex.scan import Scan
from nbedex.scan.growing import GrowingScan, open_growing
from nbedex.workflow.before import check_target
from nbedex.workflow.inputs import Libraries, gather, opened, plan_for
from nbedex.workflow.live import LivePicture
from nbedex.workflow.options import RunSettings
from nbedex.workflow.run import RunReport, run_opened

log = logging.getLogger(__name__)

_POLL = 0.5  # seconds between looks at the file
_SETTLED = 2.0  # a complete file that has not changed for so long is finished
_LEAST = 8  # patterns before the first look


def follow(settings: RunSettings, *, progress: Progress = silent, watch: Watch | None = None) -> RunReport:
    """Index a file as it grows, until the scan is complete or nothing has come for `follow_timeout_s`.

    The result is that of `run_to_file` on the finished file. If nothing comes any more before the scan is complete,
    the patterns that are missing are NOT_DONE, and a warning says how many. While patterns arrive, `NAME.live.png`
    shows the map so far.

    Parameters
    ----------
    settings
        As for `run_to_file`.
    progress, watch
        Told what happens.

    Raises
    ------
    ArgumentError
        The file does not say how large the scan will be, or files of its kind can't be followed.
    DataFormatError
        Nothing that can be indexed came in time.
    OutputError, Cancelled
        As of `run_to_file`.
    """
    started = time.monotonic()
    if not settings.output.path or not settings.scan.path:
        raise ArgumentError("a scan to follow and an output are needed: nbedex index SCAN --follow -o RESULT.h5")
    if settings.scan.average:
        raise ArgumentError(
            "patterns can't be averaged with neighbours that have not been written yet: leave out --average, or index"
            " the file when it is finished"
        )
    target = check_target(settings.output)
    with ExitStack() as stack:
        growing = _opened_in_time(settings, progress)
        stack.callback(lambda: growing.scan.close())
        growing.scan = growing.scan.binned(settings.scan.bin)
        live = stack.enter_context(_Live(settings, growing, target))
        try:
            live.until_complete(progress)
        except KeyboardInterrupt as stop:
            raise Cancelled(
                f"stopped after {live.done} of {growing.scan.size} patterns had been indexed live; follow the file"
                " again, or index it when it is finished",
                stop,
            ) from None
        scan = live.finished_scan() or growing.scan
        if scan is not growing.scan:
            stack.enter_context(scan)
        arrived = None
        if live.arrived < growing.scan.size:
            arrived = np.arange(growing.scan.size) < live.arrived
        return run_opened(
            settings, scan, started=started, libraries=live.libraries, progress=progress, watch=watch,
            arrived=arrived, known=live.confirmed,
        )  # fmt: skip


def _opened_in_time(settings: RunSettings, progress: Progress) -> GrowingScan:
    """The file, as soon as its header is there."""
    end = time.monotonic() + settings.work.follow_timeout_s
    progress("waiting for the file", 0, 1)
    while True:
        try:
            scan = settings.scan
            found = open_growing(Path(scan.path or ""), dataset=scan.dataset, scan_shape=scan.shape)
            progress("waiting for the file", 1, 1)
            return found
        except NbedexError as error:
            later = isinstance(error, DataFormatError) or "no such file" in str(error)
            if not later or time.monotonic() > end:
                raise
        time.sleep(_POLL)


class _Live:
    """What is found while patterns arrive."""

    def __init__(self, settings: RunSettings, growing: GrowingScan, target: Path) -> None:
        self.libraries = Libraries()
        self.arrived = self.done = 0
        self._settings, self._growing, self._target = settings, growing, target
        self._folder = Path(f"{target}.follow.part")
        self._store: Checkpoint | None = None
        self._task: Task | None = None
        self._picture: LivePicture | None = None
        self._seen = np.zeros(growing.scan.size, bool)  # indexed live, or not to be
        self._looked = 0  # patterns there at the last look for beam and hot pixels
        self._finished: Scan | None = None

    def __enter__(self) -> _Live:
        discard(self._folder)  # of a run that was killed
        return self

    def __exit__(self, *_: object) -> None:
        self._forget()

    def until_complete(self, progress: Progress) -> None:
        """Index what arrives until all has, or nothing does any more."""
        total = self._growing.scan.size
        changed, state = time.monotonic(), None
        todo = np.ones(total, bool)
        while True:
            now = self._growing.arrived()
            current = (now, self._growing.scan.state())
            if current != state:
                changed, state = time.monotonic(), current
                progress("following", now, total)
            self.arrived = now
            quiet = time.monotonic() - changed
            if now == total and quiet >= _SETTLED and (self._is_finished() or self._timed_out(quiet)):
                return
            if self._timed_out(quiet):
                if self.arrived == 0 or self._task is None:
                    raise DataFormatError(
                        f"{self._growing.scan.path}: no pattern that can be indexed came within"
                        f" {self._settings.work.follow_timeout_s:g} s (--follow-timeout)"
                    )
                return
            ready = todo & (np.arange(total) < now)
            if now >= min(_LEAST, total) and self._look(now) and ready.any():
                self._index(ready, until=time.monotonic() + max(_POLL, 2.0))
                todo[:now] &= ~self._seen[:now]
            else:
                time.sleep(_POLL)

    def _timed_out(self, quiet: float) -> bool:
        return quiet > self._settings.work.follow_timeout_s

    def _is_finished(self) -> bool:
        """Whether the complete file opens as any other: its writer has let go of it."""
        try:
            self._finished = opened(self._settings.scan)
        except NbedexError as error:
            log.debug("not finished: %s", error)
            return False
        return True

    def finished_scan(self) -> Scan | None:
        """The scan as an ordinary file; None where it can't be opened as one."""
        return self._finished

    def _look(self, now: int) -> bool:
        """Look for beam and hot pixels anew when twice as much is there; whether there is something to go by."""
        if self._task is not None and now < 2 * self._looked:
            return True
        try:
            task = self._provisional()
        except DataFormatError as error:
            log.debug("nothing to go by yet: %s", error)
            return self._task is not None
        self._looked = now
        if self._task is not None and not _same_look(self._task, task):
            self._forget()
        self._task = task
        if self._picture is None:
            path = Path(f"{self._target}.live.png")
            self._picture = LivePicture(path, task.head, task.region, seconds=self._settings.work.live_s)
        if self._store is None and self._settings.center.method == "fixed":
            self._store = Checkpoint(self._folder, {"follows": str(self._growing.scan.path)}, resume=False)
        return True

    def _provisional(self) -> Task:
        """A task by what has arrived: the beam at one place, where the user does not say another."""
        scan, settings = self._growing.scan, self._settings
        # What patterns say of the calibration changes with every one that arrives: that is for the end.
        given = msgspec.structs.replace(settings.calibration, fine_tune=False)
        inputs = gather(msgspec.structs.replace(settings, calibration=given), scan, libraries=self.libraries)
        center = inputs.settings.center
        if center.method != "fixed":
            center = msgspec.structs.replace(center, order=0)
        return make_task(
            scan,
            inputs.library,
            inputs.calibration,
            settings=msgspec.structs.replace(inputs.settings, center=center),
            mask=inputs.mask,
            plan=plan_for(settings, scan),
            threads=settings.threads,
        )

    def _index(self, ready: NDArray[np.bool_], *, until: float) -> None:
        """Index some of what is ready."""
        assert self._task is not None and self._picture is not None
        ready = ready & self._task.wanted
        self._seen |= ~self._task.wanted
        with closing(index_patterns(self._task, ready, whole_crc=True)) as blocks:
            for patterns, records, crc in blocks:
                if self._store is not None:
                    self._store.save(patterns, records, frame_crc=crc)
                self._picture.add(patterns, records, 1)
                self._seen[patterns] = True
                self.done += len(patterns)
                if time.monotonic() > until:
                    return

    def confirmed(self, task: Task) -> Iterator[Known]:
        """What was found live and is what the finished scan gives: patterns, records, CRC-32 of the first."""
        if self._store is None or self._task is None or not _same_look(self._task, task):
            return
        for part in self._store.parts(task.dtype):
            try:
                frames = task.scan.read_at(part.patterns)
            except DataFormatError:
                continue
            if zlib.crc32(frames.data) == part.frame_crc:
                yield part.patterns, part.records, zlib.crc32(frames[0].data)

    def _forget(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
        discard(self._folder)


def _same_look(first: Task, second: Task) -> bool:
    """Whether two looks at a scan lead to the same records, to the bit."""

    def facts(task: Task) -> tuple[Any, ...]:
        mask, centers = task.engine.mask, task.centers
        return (
            None if mask is None else mask.tobytes(), centers.coefficients.tobytes(), centers.order,
            centers.per_pattern, centers.finder, task.engine.grid.k_max,
            task.engine.settings.preprocess, task.scan.shape, task.scan.dtype, task.head.calibration,
        )  # fmt: skip

    return facts(first) == facts(second)
