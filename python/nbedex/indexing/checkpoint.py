"""Finished patterns of an unfinished run, in small files that are each whole or absent.

An open HDF5 file is lost when the process is killed; these are not. The folder stands beside the result until that is
written. `run.json` says what the records belong to, and a run with other input or options refuses them; `head.json`
holds all of the result that is not an array, so that the files of several runs can be merged without the scan.

A file says itself which patterns it holds: it does not matter in what order, in what blocks or by how many
processes they were indexed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, OutputError
from nbedex.files import write_atomically
from nbedex.indexing.lock import RunLock

log = logging.getLogger(__name__)

_MAGIC = b"nbedexP1"
_HEADER = struct.Struct("<8sI")  # magic, CRC-32 of the name and of all that follows
_SIZES = struct.Struct("<IQQ")  # CRC-32 of the first pattern as read, patterns, bytes of a record
_NAME = re.compile(r"patterns_(\d{12,})_(\d{12,})_(\d+)\.bin")
_OURS = re.compile(
    r"(run|head|spoiled|progress(-\d+-of-\d+)?)\.json|lock(-\d+-of-\d+)?|patterns_\d+_\d+_\d+\.bin"
    r"|\.(run|head|spoiled|progress|patterns_).*\.tmp-\d+-\d+"
)
FILES_AT_MOST = 4096  # of a run, about: larger scans have more patterns in each


@dataclass(frozen=True, eq=False)
class Part:
    """What one file holds.

    Attributes
    ----------
    patterns : (n,) int64
        Numbers over the scan.
    records : (n,) structured
        What was found there.
    frame_crc
        CRC-32 of the first of these patterns as it was read.
    """

    patterns: NDArray[np.int64]
    records: NDArray[Any]
    frame_crc: int


class Checkpoint:
    """Folder with what a run has finished, locked for this process.

    Parameters
    ----------
    folder
        Where the files are kept.
    identity
        JSON-able description of everything that influences the records.
    resume
        Continue what is there. Without it, a folder that exists is an error.
    shard
        (i, n): this is the i-th of n runs that share the folder.

    Raises
    ------
    ArgumentError
        There is an unfinished run and `resume` is not set; or it is one with other input or options, or another
        process works on it.
    OutputError
        The folder can't be made.
    """

    def __init__(
        self, folder: Path, identity: Mapping[str, Any], *, resume: bool, shard: tuple[int, int] | None = None
    ) -> None:
        self.folder = folder
        identity = json.loads(json.dumps(identity))
        description = folder / "run.json"
        self._make()
        self._lock = RunLock(folder, shard)
        try:
            if description.is_file():
                if not resume and shard is None:
                    raise _unfinished(folder)
                self._compare(identity)
                self._refuse_spoiled()
            else:
                write_atomically(description, [json.dumps(identity, indent=1).encode()], overwrite=True)
        except BaseException:
            self._lock.release()
            raise

    def _make(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _sync_folder(self.folder.parent)
            strangers = [name for name in os.listdir(self.folder) if not _OURS.fullmatch(name)]
        except OSError as error:
            raise OutputError(f"can't make {self.folder} for what this run finishes: {error.strerror}") from error
        if strangers:
            raise OutputError(
                f"{self.folder} is in the way: what this run finishes goes there, and it holds other files"
                f" ({strangers[0]}); move it, or choose another name for the result"
            )

    def _compare(self, identity: Mapping[str, Any]) -> None:
        before = read_json(self.folder / "run.json")
        changed = [key for key in identity if before.get(key) != identity[key]]
        if changed:
            raise ArgumentError(
                f"the unfinished run in {self.folder} was made with other {', '.join(changed)}"
                f" ({'; '.join(_differences(before, identity)[:3])}); resume it as it was, or start over with"
                " --overwrite"
            )

    def _refuse_spoiled(self) -> None:
        if (self.folder / "spoiled.json").is_file():
            reason = read_json(self.folder / "spoiled.json").get("reason")
            raise ArgumentError(
                f"the unfinished run in {self.folder} is of no use: {reason}; start over with --overwrite"
            )

    def spoil(self, reason: str) -> None:
        """Note that what is here must not be used, and why."""
        write_atomically(self.folder / "spoiled.json", [json.dumps({"reason": reason}).encode()], overwrite=True)

    def describe(self, head: Mapping[str, Any]) -> None:
        """Keep what of the result is not an array."""
        write_atomically(self.folder / "head.json", [json.dumps(head).encode()], overwrite=True)

    def parts(self, dtype: np.dtype[Any]) -> Iterator[Part]:
        """What is finished, file by file in the order of patterns; damaged files are left out and reported."""
        return parts(self.folder, dtype)

    def save(self, patterns: NDArray[np.integer[Any]], records: NDArray[Any], *, frame_crc: int = 0) -> None:
        """Keep the records (n,) of patterns (n,), on the disk when this returns."""
        numbers = np.ascontiguousarray(patterns, "<i8")
        name = f"patterns_{numbers.min():012d}_{numbers.max():012d}_{len(numbers)}.bin"
        body = [
            _SIZES.pack(frame_crc, len(numbers), records.dtype.itemsize),
            numbers.tobytes(),
            np.ascontiguousarray(records).tobytes(),
        ]
        header = _HEADER.pack(_MAGIC, _checksum(name, *body))
        write_atomically(self.folder / name, [header, *body], overwrite=True, n_bytes=sum(map(len, body)))

    def close(self) -> None:
        """Give the lock back."""
        self._lock.release()


def refuse_unfinished(folder: Path) -> None:
    """An error if a run began in a folder, and still goes on there or was stopped; before anything else is done."""
    if (folder / "run.json").is_file():
        with RunLock(folder):
            raise _unfinished(folder)


def _unfinished(folder: Path) -> ArgumentError:
    return ArgumentError(f"{folder} holds an unfinished run: continue it with --resume, or start over with --overwrite")


@dataclass(frozen=True)
class PartName:
    """A file with finished patterns, by what its name says: lowest and highest pattern, and how many."""

    path: Path
    first: int
    last: int
    count: int


def part_names(folder: Path) -> list[PartName]:
    """The files with finished patterns in a folder, in the order of their lowest patterns."""
    found = []
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match:
            found.append(PartName(path, *(int(number) for number in match.groups())))
    return sorted(found, key=lambda part: (part.first, part.path.name))


def parts(folder: Path, dtype: np.dtype[Any]) -> Iterator[Part]:
    """See `Checkpoint.parts`."""
    for name in part_names(folder):
        part = read_part(name.path, dtype)
        if part is not None:
            yield part


def read_part(path: Path, dtype: np.dtype[Any]) -> Part | None:
    """What a file holds; None, and a warning, where it is damaged or of another kind of records."""
    try:
        data = path.read_bytes()
        magic, crc = _HEADER.unpack_from(data)
        body = memoryview(data)[_HEADER.size :]
        frame_crc, count, itemsize = _SIZES.unpack_from(body)
        good = (
            magic == _MAGIC
            and crc == _checksum(path.name, body)
            and itemsize == dtype.itemsize
            and len(body) == _SIZES.size + count * (8 + itemsize)
        )
    except (OSError, struct.error):
        good = False
    if not good:
        log.warning("%s is damaged: these patterns are indexed again", path.name)
        return None
    numbers = np.frombuffer(body, "<i8", count, _SIZES.size).astype(np.int64)
    return Part(numbers, np.frombuffer(body, dtype, count, _SIZES.size + 8 * count), frame_crc)


def discard(folder: Path) -> None:
    """Remove what a run kept, and its folder; files that are not of a run stay, and the folder with them.

    Raises
    ------
    ArgumentError
        A run works on it.
    """
    if not (folder / "run.json").is_file():
        return
    with RunLock(folder):
        # run.json goes last: what is left after a kill is still known as a run's
        names = sorted(
            (name for name in os.listdir(folder) if _OURS.fullmatch(name)), key=lambda name: (name == "run.json", name)
        )
        with contextlib.suppress(OSError):
            for name in names:
                (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def read_json(path: Path) -> dict[str, Any]:
    """A description of a run."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArgumentError(f"{path} can't be read ({error}); start over with --overwrite") from error
    if not isinstance(found, dict):
        raise ArgumentError(f"{path} can't be read (no object); start over with --overwrite")
    return found


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What differs, as "name: before, now after"."""
    found = []
    for key in now:
        was, name = before.get(key), f"{prefix}{key}"
        if isinstance(now[key], dict) and isinstance(was, dict):
            found += _differences(was, now[key], f"{name}.")
        elif was != now[key]:
            short = all(len(str(value)) < 24 for value in (was, now[key]))
            found.append(f"{name} {was}, now {now[key]}" if short else name)
    return found


def _checksum(name: str, *pieces: bytes | memoryview) -> int:
    """CRC-32 of a file's content, and of its name, which says what patterns it is about."""
    crc = zlib.crc32(name.encode())
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
    return crc


def _sync_folder(folder: Path) -> None:
    """Make sure that the entries of a folder survive a power cut, where the system lets us."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
