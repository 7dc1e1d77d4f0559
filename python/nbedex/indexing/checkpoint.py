"""Finished blocks of an unfinished run, each a small file that is whole or absent.

An open HDF5 file is lost when the process is killed; these are not. The folder stands beside the result until that is
written. `run.json` says what the blocks belong to, and a run with other input or options refuses them.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, OutputError
from nbedex.files import write_atomically

log = logging.getLogger(__name__)


class Checkpoint:
    """Folder with the blocks of one run.

    Parameters
    ----------
    folder
        Where the blocks are kept.
    identity
        JSON-able description of everything that influences the records.
    resume
        Continue what is there. Without it, a folder that exists is an error.

    Raises
    ------
    ArgumentError
        There is an unfinished run and `resume` is not set; or it is one with other input or options.
    OutputError
        The folder can't be made.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], *, resume: bool) -> None:
        self.folder = folder
        self._identity = json.loads(json.dumps(identity))
        description = folder / "run.json"
        if description.is_file():
            if not resume:
                raise ArgumentError(
                    f"{folder} holds an unfinished run: continue it with --resume, or start over with --overwrite"
                )
            self._compare(description)
        else:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                strangers = [name for name in os.listdir(folder) if not _is_ours(name)]
            except OSError as error:
                raise OutputError(f"can't make {folder} for the blocks of this run: {error.strerror}") from error
            if strangers:
                raise OutputError(
                    f"{folder} is in the way: the blocks of this run go there, and it holds other files"
                    f" ({strangers[0]}); move it, or choose another name for the result"
                )
            write_atomically(description, [json.dumps(self._identity, indent=1).encode()], overwrite=True)

    def _compare(self, description: Path) -> None:
        try:
            before = json.loads(description.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ArgumentError(f"{description} can't be read ({error}); start over with --overwrite") from error
        if not isinstance(before, dict):
            raise ArgumentError(f"{description} is damaged; start over with --overwrite")
        changed = [key for key in self._identity if before.get(key) != self._identity[key]]
        if changed:
            raise ArgumentError(
                f"the unfinished run in {self.folder} was made with other {', '.join(changed)};"
                " resume it as it was, or start over with --overwrite"
            )

    def load(self, start: int, stop: int, dtype: np.dtype[Any], *, count: int | None = None) -> NDArray[Any] | None:
        """Records of a block, or None if they are not there or damaged.

        Parameters
        ----------
        start, stop
            First pattern and the one after the last.
        dtype
            Of the records.
        count
            How many patterns: fewer than `stop - start` for a rectangle of the scan, which its corners and this
            number tell from every other block.
        """
        path = self._path(start, stop)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if len(data) < 4 or _checksum(path, data[4:]) != int.from_bytes(data[:4], "little"):
            log.warning("%s is damaged: these patterns are indexed again", path.name)
            return None
        try:
            records = np.load(io.BytesIO(data[4:]), allow_pickle=False)
        except Exception as error:  # a forged block: NumPy raises anything at a damaged head
            log.warning("%s is damaged (%s): these patterns are indexed again", path.name, type(error).__name__)
            return None
        return records if records.dtype == dtype and records.shape == (count or stop - start,) else None

    def save(self, start: int, stop: int, records: NDArray[Any]) -> None:
        """Keep the records of the block of patterns from `start` to before `stop`."""
        buffer = io.BytesIO()
        np.save(buffer, records, allow_pickle=False)
        data = buffer.getvalue()
        path = self._path(start, stop)
        write_atomically(path, [_checksum(path, data).to_bytes(4, "little"), data], overwrite=True, n_bytes=len(data))

    def _path(self, start: int, stop: int) -> Path:
        return self.folder / f"patterns_{start:010d}_{stop:010d}.bin"


def discard(folder: Path) -> None:
    """Remove the blocks of a run and their folder; files that are not of a run stay, and the folder with them."""
    if not (folder / "run.json").is_file():
        return
    # run.json goes last: what is left after a kill is still known as the blocks of a run
    names = sorted((name for name in os.listdir(folder) if _is_ours(name)), key=lambda name: name == "run.json")
    with contextlib.suppress(OSError):
        for name in names:
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def _is_ours(name: str) -> bool:
    """Whether a file of this name is one of a run's, or the unfinished copy of one that a kill left."""
    return re.fullmatch(r"run\.json|patterns_\d+_\d+\.bin|\.(run\.json|patterns_).*\.tmp-\d+-\d+", name) is not None


def _checksum(path: Path, data: bytes) -> int:
    """CRC-32 of a block, and of its name, which says what patterns it is about."""
    return zlib.crc32(data, zlib.crc32(path.name.encode()))
