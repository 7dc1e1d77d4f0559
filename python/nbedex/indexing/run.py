"""Indexing a whole scan: read, match and keep, block by block; in memory or in a folder, resumable."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError, Cancelled, DataFormatError
from nbedex.indexing.assembly import describe
from nbedex.indexing.checkpoint import Checkpoint
from nbedex.indexing.monitor import Monitor, sentence
from nbedex.indexing.region import coarse
from nbedex.indexing.saving import Saver
from nbedex.indexing.settings import IndexingSettings
from nbedex.indexing.task import Known, Listeners, Plan, Take, Task, index_patterns, make_task
from nbedex.library import TemplateLibrary
from nbedex.maps.result import IndexingResult
from nbedex.progress import Progress, silent
from nbedex.scan import Scan

log = logging.getLogger(__name__)

_PREVIEW_PATTERNS = 2048
_PREVIEW_BYTES = 2 << 30  # to be read, and unpacked, for the preview: it is to come in seconds
_COMPARED = 64  # patterns read again to see whether the input is what it was


def index_scan(
    scan: Scan,
    library: TemplateLibrary,
    calibration: Calibration,
    *,
    settings: IndexingSettings | None = None,
    mask: NDArray[np.bool_] | None = None,
    plan: Plan | None = None,
    threads: int = 0,
    progress: Progress = silent,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> IndexingResult:
    """Orientation and phase of every pattern of a scan.

    Parameters
    ----------
    scan
        From `nbedex.scan.open_scan` or `memory_scan`.
    library
        Templates of the phases that compete.
    calibration
        Pixel size, voltage, step, rotation and handedness of the detector.
    settings
        Options of the beam centre, preprocessing and matching.
    mask : (det_y, det_x) bool, optional
        True where a detector pixel must not be used.
    plan
        Which patterns, in what order.
    threads
        0: all this process may use. The result does not depend on it.
    progress
        Called with the stage, patterns done and patterns in all.
    checkpoint
        Folder for what is finished, from which an interrupted run is resumed; None keeps it in memory only.
    resume
        Continue the run in `checkpoint`.

    Returns
    -------
    IndexingResult
        Maps over the scan, or the plan's region; the same bits for any number of threads, and whether interrupted or
        not. All of it is in memory: `index_to_folder` is for maps that should not be.

    Raises
    ------
    ArgumentError
        Library and scan don't fit together, options are inconsistent, or an unfinished run is in the way.
    DataFormatError
        The scan changed while it was indexed.
    Cancelled
        Ctrl-C; with `checkpoint`, what was finished is kept.
    """
    task = make_task(
        scan, library, calibration, settings=settings or IndexingSettings(), mask=mask, plan=plan, threads=threads,
        progress=progress,
    )  # fmt: skip
    records = task.nothing(task.region.size)

    def take(patterns: NDArray[np.intp], found: NDArray[Any]) -> None:
        records[task.region.pixels(patterns)] = found

    index_task(task, checkpoint, resume=resume, take=take, listeners=Listeners(progress=progress))
    maps = {
        name: records[name].reshape(*task.region.map_shape, *records[name].shape[1:])
        for name in records.dtype.names or ()
    }
    head = task.head
    return IndexingResult(phases=head.phases, calibration=head.calibration, provenance=head.provenance, **maps)


def index_task(
    task: Task,
    folder: Path | None,
    *,
    resume: bool = False,
    take: Take | None = None,
    listeners: Listeners | None = None,
    known: Iterable[Known] = (),
) -> None:
    """Index what a task wants, and keep it in a folder, where `nbedex.indexing.assembly` finds it.

    Parameters
    ----------
    task
        From `make_task`.
    folder
        Where to keep what is finished; None only hands it to `take`.
    resume
        Continue what is in the folder.
    take
        Called with the numbers and records of patterns, those of earlier runs first.
    listeners
        Who is told what happens.
    known
        What was found before in another way; it is not indexed again.

    Raises
    ------
    ArgumentError
        The folder holds another run, or is in use.
    DataFormatError
        The scan changed meanwhile.
    OutputError
        Something can't be saved: the disk is full.
    Cancelled
        Ctrl-C; what is finished is in the folder.
    """
    listeners = listeners or Listeners()
    with ExitStack() as stack:
        store = None
        if folder is not None:
            store = Checkpoint(folder, task.identity, resume=resume, shard=task.plan.shard)
            stack.callback(store.close)
            store.describe(describe(task))
        run = _Run(task, store, take, listeners)
        state = "failed"
        try:
            run.go(known)
            state = "finished"
        except KeyboardInterrupt as stop:
            state = "stopped"
            kept = "; what is done is kept, go on with --resume" if store else ""
            facts = run.monitor.facts()
            raise Cancelled(f"stopped after {facts.done} of {facts.total} patterns{kept}", stop) from None
        finally:
            run.monitor.write(state)
    log.info("indexed: %s", sentence(run.monitor.facts("finished")))


class _Run:
    """One pass through a task."""

    def __init__(self, task: Task, store: Checkpoint | None, take: Take | None, listeners: Listeners) -> None:
        self.task, self.store, self.take, self.listeners = task, store, take, listeners
        self.todo = task.wanted.copy()
        self.samples: list[tuple[int, int]] = []  # patterns and the CRC-32 of what was read there
        shard = task.plan.shard
        name = "progress.json" if shard is None else f"progress-{shard[0]}-of-{shard[1]}.json"
        self.monitor = Monitor(
            int(np.count_nonzero(self.todo)),
            columns=task.scan.scan_shape[1],
            symmetries=task.engine.symmetries,
            progress=listeners.progress,
            watch=listeners.watch,
            file=store.folder / name if store else None,
        )

    def go(self, known: Iterable[Known]) -> None:
        task, monitor = self.task, self.monitor
        state = task.scan.state()
        monitor.tell()
        if self.store is not None:
            self._take_finished(self.store)
            _compare_input(task.scan, self.samples[:: max(1, len(self.samples) // _COMPARED)], "since it was begun")
        with ExitStack() as stack:
            saver = stack.enter_context(Saver(self.store, monitor.facts().total)) if self.store else None
            for found in known:
                if self.todo[found[0]].all():
                    self.todo[found[0]] = False
                    self._keep(found, saver, 1, before=True)
            for wanted, spread in self._passes():
                for found in index_patterns(task, wanted):
                    self._keep(found, saver, spread)
        if task.scan.state() != state:
            self._refuse_changed_input()

    def _keep(self, found: Known, saver: Saver | None, spread: int, *, before: bool = False) -> None:
        """Save, hand on and count what was found."""
        patterns, records, crc = found
        if saver is not None:
            saver.put(patterns, records, crc)
        self.samples.append((int(patterns[0]), crc))
        self._hand_on(patterns, records, spread)
        self.monitor.add(patterns, records, before=before)

    def _hand_on(self, patterns: NDArray[np.intp], records: NDArray[Any], spread: int) -> None:
        if self.take is not None:
            self.take(patterns, records)
        if self.listeners.picture is not None:
            self.listeners.picture(patterns, records, spread)

    def _take_finished(self, store: Checkpoint) -> None:
        """What an earlier run has done needs not be done again."""
        for part in store.parts(self.task.dtype):
            mine = self.todo[part.patterns]
            if mine.any():
                self.todo[part.patterns] = False
                self.samples.append((int(part.patterns[0]), part.frame_crc))
                self._hand_on(part.patterns[mine], part.records[mine], 1)
                self.monitor.add(part.patterns[mine], part.records[mine], before=True)

    def _passes(self) -> Iterator[tuple[NDArray[np.bool_], int]]:
        """Which patterns to index first, and then; with the pixels that each stands for meanwhile."""
        if self.task.plan.preview:
            chunks = _PREVIEW_BYTES // self.task.scan.chunk_bytes
            at_most = min(_PREVIEW_PATTERNS, max(chunks, _PREVIEW_PATTERNS // 32))
            first, stride = coarse(self.task.region, self.task.wanted, at_most=at_most)
            first &= self.todo
            if stride > 1 and first.any():
                yield first, stride
                log.info("preview done: %s", sentence(self.monitor.facts()))
                self.todo &= ~first
        yield self.todo, 1

    def _refuse_changed_input(self) -> None:
        """The file was written to; go on only if nothing of what was read is different now."""
        scan = self.task.scan
        try:
            if scan.fingerprint() != self.task.identity["input"]["fingerprint"]:
                raise DataFormatError(f"{scan.path} is not what it was")
            _compare_input(scan, self.samples[:: max(1, len(self.samples) // (16 * _COMPARED))], "while it was indexed")
        except (ArgumentError, DataFormatError, OSError) as error:
            reason = f"{scan.path} changed while it was indexed"
            if self.store is not None:
                self.store.spoil(reason)
            raise DataFormatError(
                f"{reason}: what was found before and after does not belong together; index it again when nothing"
                " writes to it any more, with --overwrite"
            ) from error
        log.warning(
            "%s was touched while it was indexed; its first and last pattern and %d others are what they were",
            scan.path, len(self.samples),
        )  # fmt: skip


def _compare_input(scan: Scan, samples: list[tuple[int, int]], when: str) -> None:
    """Read some patterns again; an error if one is not what it was."""
    for pattern, crc in samples:
        try:
            frame = scan.read_at([pattern])
        except DataFormatError:
            continue  # it was not readable then either, or reading will say so
        if zlib.crc32(frame[0].data) != crc:
            raise ArgumentError(
                f"{scan.path}: pattern {pattern} is not what it was: the file was changed {when}; start over with"
                " --overwrite"
            )


__all__ = ["index_scan", "index_task"]
