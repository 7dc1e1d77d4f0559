"""A scan that notes what is read of it, and can be slow or broken."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from nbedex.scan import Block, Scan
from oracles.scan_files import patterns

DATA = patterns((6, 7, 17, 19))
FRAMES = DATA.reshape(-1, 17, 19)


class Watched:
    """Source of frames that notes what was read, and can be slow or broken."""

    def __init__(self, delay: float = 0.0, broken: int | None = None) -> None:
        self.scan_shape, self.frame_shape, self.dtype, self.tile = (6, 7), (17, 19), DATA.dtype, (1, 1)
        self.parallel = False
        self.started: list[int] = []
        self.delay, self.broken = delay, broken

    def read(self, start: int, stop: int) -> np.ndarray:
        return FRAMES[start:stop]

    def read_block(self, block: Block, workers: Executor | None = None) -> np.ndarray:
        self.started.append(block.first)
        time.sleep(self.delay)
        if self.broken is not None and block.first <= self.broken <= block.last:
            raise MemoryError("no room")
        return FRAMES[block.patterns]

    def close(self) -> None:
        pass


def scan_of(source: Any) -> Scan:
    return Scan(source, path=Path("watched"), format="test")


def reading_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("nbedex-")]
