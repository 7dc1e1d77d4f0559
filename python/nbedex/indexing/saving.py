"""Records put on the disk while others are made."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.indexing.checkpoint import FILES_AT_MOST, Checkpoint

_SECONDS = 10.0  # of work that a kill may cost
_WAITING = 2  # files that may wait for a slow disk before indexing waits too


class Saver:
    """Hands records to a checkpoint on a thread of its own, several blocks to a file where a scan is large.

    Leaving the ``with`` statement saves what was given, also after an error or Ctrl-C, and waits for it.

    Parameters
    ----------
    store
        Where to.
    total
        Patterns of the run.
    """

    def __init__(self, store: Checkpoint, total: int) -> None:
        self._store = store
        self._enough = total // FILES_AT_MOST
        self._patterns: list[NDArray[np.intp]] = []
        self._records: list[NDArray[Any]] = []
        self._frame_crc = 0
        self._since = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nbedex-save")
        self._pending: deque[Future[None]] = deque()

    def put(self, patterns: NDArray[np.intp], records: NDArray[Any], frame_crc: int) -> None:
        """Take the records (n,) of patterns (n,).

        Raises
        ------
        OutputError
            Something given before could not be saved.
        """
        if not self._patterns:
            self._frame_crc, self._since = frame_crc, time.monotonic()
        self._patterns.append(patterns)
        self._records.append(records)
        if sum(map(len, self._patterns)) > self._enough or time.monotonic() - self._since > _SECONDS:
            self._submit()
        while self._pending and (len(self._pending) > _WAITING or self._pending[0].done()):
            self._pending.popleft().result()

    def _submit(self) -> None:
        if not self._patterns:
            return
        patterns, records = np.concatenate(self._patterns), np.concatenate(self._records)
        self._patterns, self._records = [], []
        self._pending.append(self._thread.submit(self._store.save, patterns, records, frame_crc=self._frame_crc))

    def __enter__(self) -> Saver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._submit()
            errors = [future.exception() for future in self._pending]  # of all: nothing is at work after this
        finally:
            self._thread.shutdown()
        if value is None:
            for error in errors:
                if error is not None:
                    raise error
