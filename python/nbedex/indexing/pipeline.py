"""Several blocks at once: patterns of a scan are read, and unpacked, while others are matched."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.scan import Block, Scan

Result = TypeVar("Result")

# Jobs read or being read beside the one that is matched: a second one only while they are small.
_AHEAD = 2
_AHEAD_BYTES = 128 << 20


@dataclass(frozen=True, eq=False)
class Job:
    """Patterns that are read and indexed together.

    Attributes
    ----------
    parts
        Blocks of the scan, each with which of its patterns (bool), or None for all.
    """

    parts: tuple[tuple[Block, NDArray[np.bool_] | None], ...]

    @property
    def patterns(self) -> NDArray[np.intp]:
        """Numbers of the patterns (n,) as they are read."""
        return np.concatenate([b.patterns if keep is None else b.patterns[keep] for b, keep in self.parts])

    def __len__(self) -> int:
        return sum(len(block) if keep is None else int(keep.sum()) for block, keep in self.parts)


@dataclass(frozen=True, eq=False)
class Frames:
    """Patterns that were read.

    Attributes
    ----------
    patterns
        Which (n,).
    frames
        (n, det_y, det_x); zeros where they can't be read.
    unreadable
        (n,) bool, True for these; None where all could be read.
    """

    patterns: NDArray[np.intp]
    frames: NDArray[Any]
    unreadable: NDArray[np.bool_] | None


@dataclass(frozen=True, eq=False)
class Unread:
    """Patterns (n,) and where their frames lie, for the core to read."""

    patterns: NDArray[np.intp]
    frames: _core.FrameFile
    unreadable: None = None


def whole(blocks: Iterable[Block]) -> Iterator[Job]:
    """Each block, all of it, as a job."""
    return (Job(((block, None),)) for block in blocks)


def plan_jobs(blocks: Iterable[Block], wanted: NDArray[np.bool_], size: int) -> Iterator[Job]:
    """Cut the patterns wanted (bool, over the scan) into jobs of about `size`, in the order of the blocks.

    Blocks of which few patterns are wanted are put together, up to `size` patterns in a job.
    """
    parts: list[tuple[Block, NDArray[np.bool_] | None]] = []
    count = 0
    for block in blocks:
        keep = wanted[block.patterns]
        new = int(keep.sum())
        if new and count + new > size and parts:
            yield Job(tuple(parts))
            parts, count = [], 0
        if new:
            parts.append((block, None if new == len(keep) else keep))
            count += new
    if parts:
        yield Job(tuple(parts))


def read_ahead(scan: Scan, jobs: Iterable[Job], *, threads: int = 0) -> Generator[Frames, None, None]:
    """Patterns of a scan, job by job in the order given, read while the caller works on those before.

    One thread reads. Where chunks are unpacked on `threads` others, each job ahead has a reading thread of its own,
    so that those are not left without work where a job ends. In memory are, beside the job that the caller works
    on, `_AHEAD` more or what `_AHEAD_BYTES` holds, but one at least. An error of a reader is raised where its job
    would have come. Closing the iterator waits for the jobs that are being read, and for no other.

    Parameters
    ----------
    scan, jobs
        The scan, and what of it to read.
    threads
        0: as many as there are processors for this process.
    """
    frame_bytes = max(int(np.prod(scan.frame_shape)) * scan.dtype.itemsize, scan.stored_frame_bytes)
    threads = threads or processors()
    with (
        ThreadPoolExecutor(threads, thread_name_prefix="nbedex-unpack") as workers,
        ThreadPoolExecutor(_AHEAD if scan.parallel else 1, thread_name_prefix="nbedex-read") as readers,
    ):
        ahead: deque[tuple[int, Future[Frames]]] = deque()
        try:
            for job in jobs:
                size = len(job) * frame_bytes
                ahead.append((size, readers.submit(_read, scan, job, workers)))
                # go on with the first as soon as another behind the rest would be too much
                while len(ahead) > 1 and (
                    len(ahead) > _AHEAD or sum(size for size, _ in ahead) - ahead[0][0] + size > _AHEAD_BYTES
                ):
                    yield ahead.popleft()[1].result()
            while ahead:
                yield ahead.popleft()[1].result()
        finally:
            readers.shutdown(wait=False, cancel_futures=True)


def work_in_order(
    scan: Scan,
    jobs: Iterable[Job],
    work: Callable[[Frames | Unread, int], Result],
    *,
    at_once: int,
    unread: bool = False,
    threads: int = 0,
) -> Generator[Result, None, None]:
    """What `work(frames, threads)` makes of each job, in the order given, several jobs at once.

    A job is read and worked on by the same thread of Python, with its share of `threads`: nobody waits for the others
    after each step of the work, and a pattern is worked on soon after it was read. One job more is read meanwhile. An
    error is raised where the job's result would have come. Closing the iterator stops the jobs that are in work.

    Parameters
    ----------
    scan, jobs
        The scan, and what of it to read.
    work
        Must be safe to call from several threads; its result must not depend on the number given to it.
    at_once
        Jobs that may be worked on at the same time; their frames are in memory, and those of one more.
    unread
        Whether `work` takes frames that lie in the file, too (`Scan.in_file`). After an OSError it gets them read, as
        far as they can be.
    threads
        0: as many as there are processors for this process.
    """
    threads = threads or processors()
    at_once = max(1, min(at_once, threads))
    each = -(-threads // at_once)
    places = threading.Semaphore(at_once)
    stop = _core.Stop()

    def read_and_work(job: Job) -> Result:
        in_file = scan.in_file(job.patterns) if unread else None
        if in_file is not None:
            with places, suppress(OSError):
                return work(Unread(job.patterns, in_file), each)
        frames = _read(scan, job, unpackers if each > 1 else None)
        with places:
            return work(frames, each)

    with (
        ThreadPoolExecutor(threads, thread_name_prefix="nbedex-unpack") as unpackers,
        ThreadPoolExecutor(at_once + 1, thread_name_prefix="nbedex-work", initializer=stop.watch) as workers,
    ):
        ahead: deque[Future[Result]] = deque()
        try:
            for job in jobs:
                ahead.append(workers.submit(read_and_work, job))
                if len(ahead) > at_once:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            stop.set()
            workers.shutdown(wait=False, cancel_futures=True)


def _read(scan: Scan, job: Job, workers: ThreadPoolExecutor | None) -> Frames:
    read = [scan.read_block(block, workers, keep=keep) for block, keep in job.parts]
    if len(read) == 1:
        return Frames(job.patterns, *read[0])
    lost = None
    if any(unreadable is not None for _, unreadable in read):
        lost = np.concatenate([np.zeros(len(f), bool) if u is None else u for f, u in read])
    return Frames(job.patterns, np.concatenate([frames for frames, _ in read]), lost)


def processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
