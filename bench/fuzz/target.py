"""A reader, small whole files to damage, and what must hold for an answer."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mutations import Mutation

Files = dict[str, bytes]
SHAPE = (2, 3, 16, 17)


class SilentDamage(Exception):
    """A checksum should have noticed: the answer is not what was written."""


@dataclass(frozen=True)
class Target:
    """A reader and what it is fed.

    Attributes
    ----------
    name
        Of the reader.
    examples
        Whole files, by name: each example a folder.
    read
        Reads example number n in a folder; raises what is wrong.
    mutate
        Damages a file's content.
    share
        Of all inputs, in parts: cheap readers get more.
    damaged
        Names of the files that are damaged, where not all are.
    guard
        What a child process does with the folder first, where one does.
    wall
        Seconds by the clock for one input.
    """

    name: str
    examples: Sequence[Files]
    read: Callable[[Path, int], None]
    mutate: Mutation
    share: float
    damaged: Sequence[str] = field(default=())
    guard: Callable[[Path], None] | None = None
    wall: float = 60.0


def files_of(write: Callable[[Path], object]) -> Files:
    """What a function writes into an empty folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()
