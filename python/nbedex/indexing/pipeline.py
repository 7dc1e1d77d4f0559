"""Reading ahead: the next blocks of a scan are read, and unpacked, while others are matched."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.scan import Block, Scan

# Blocks read or being read beside the one that is matched: a second one only while they are small.
_AHEAD = 2
_AHEAD_BYTES = 128 << 20


@dataclass(frozen=True, eq=False)
class Frames:
    """A block that was read.

    Attributes
    ----------
    block
        Which patterns.
    frames
        (n, det_y, det_x); zeros where they can't be read.
    unreadable
        (n,) bool, True for these; None where all could be read.
    """

    block: Block
    frames: NDArray[Any]
    unreadable: NDArray[np.bool_] | None


def read_ahead(scan: Scan, blocks: Sequence[Block], *, threads: int = 0) -> Generator[Frames, None, None]:
    """Blocks of a scan in the order given, read while the caller works on those before.

    One thread reads. Where chunks are unpacked on `threads` others, each block ahead has a reading thread of its own,
    so that those are not left without work where a block ends. In memory are, beside the block that the caller works
    on, `_AHEAD` more or what `_AHEAD_BYTES` holds, but one at least. An error of a reader is raised where its block
    would have come. Closing the iterator waits for the blocks that are being read, and for no other.

    Parameters
    ----------
    scan, blocks
        The scan, and which of its `Scan.blocks`.
    threads
        0: as many as there are processors for this process.
    """
    frame_bytes = int(np.prod(scan.frame_shape)) * scan.dtype.itemsize
    largest = max(map(len, blocks), default=1) * frame_bytes
    depth = int(np.clip(_AHEAD_BYTES // largest, 1, _AHEAD))
    threads = threads or _processors()
    with (
        ThreadPoolExecutor(threads, thread_name_prefix="nbedex-unpack") as workers,
        ThreadPoolExecutor(depth if scan.parallel else 1, thread_name_prefix="nbedex-read") as readers,
    ):
        ahead: deque[Future[Frames]] = deque()
        try:
            for number in range(len(blocks) + depth):
                if number < len(blocks):
                    ahead.append(readers.submit(_read, scan, blocks[number], workers))
                if number >= depth:
                    yield ahead.popleft().result()
        finally:
            readers.shutdown(wait=False, cancel_futures=True)


def _read(scan: Scan, block: Block, workers: ThreadPoolExecutor) -> Frames:
    return Frames(block, *scan.read_block(block, workers))


def _processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
