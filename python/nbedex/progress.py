"""How long work reports on itself: a callback; only the command line draws bars."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with a stage's name and how much of it is done; calls come in order and end with done == total."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


def silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""
