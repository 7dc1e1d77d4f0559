"""One run for one result: a second one with the same output is refused while the first is alive.

The system holds the lock and gives it back when the process ends, however it ends; so no lock is ever left over.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from nbedex.errors import ArgumentError, OutputError

# Another machine's run is believed to be alive when it said so within this time, seconds: its lock may not be seen
# here, as not all network drives carry locks.
_FRESH = 120.0
_PATIENCE = 0.3  # seconds: `nbedex status` holds a lock for a moment


class RunLock:
    """Lock on the folder of a run; use it in a ``with`` statement.

    Parameters
    ----------
    folder
        Exists already.
    shard
        (i, n): the run is the i-th of n, which share the folder; None for a run alone.

    Raises
    ------
    ArgumentError
        Another run holds it; the message names its process.
    """

    def __init__(self, folder: Path, shard: tuple[int, int] | None = None) -> None:
        self._files: list[Any] = []
        name = "lock" if shard is None else f"lock-{shard[0]}-of-{shard[1]}"
        try:
            if shard is not None:
                self._take(folder / "lock", shared=True)
            self._take(folder / name, shared=False)
            self._sign(folder)
        except BaseException:
            self.release()
            raise

    def _take(self, path: Path, *, shared: bool) -> None:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                stream = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - closed in release()
            except OSError as error:
                raise OutputError(f"can't make {path}: {error.strerror or error}") from error
            if _lock(stream.fileno(), shared=shared) and _is_at(stream.fileno(), path):
                self._files.append(stream)
                return
            stream.close()
            if time.monotonic() > end:
                raise ArgumentError(f"another run{_said(path)} writes to {path.parent}; wait for it, or stop it first")
            time.sleep(0.02)

    def _sign(self, folder: Path) -> None:
        """Write who holds the lock, after a look at who did before."""
        stream = self._files[-1]
        stream.seek(0)
        before = _parsed(stream.read())
        here = socket.gethostname()
        progress = folder / Path(stream.name).name.replace("lock", "progress", 1)
        if before.get("host", here) != here:
            with contextlib.suppress(OSError):
                age = time.time() - progress.with_suffix(".json").stat().st_mtime
                if age < _FRESH and _parsed(progress.with_suffix(".json").read_text()).get("state") == "running":
                    raise ArgumentError(
                        f"another run (process {before.get('pid')} on {before['host']}) wrote to {folder} {age:.0f} s"
                        f" ago; wait for it, or stop it first (a run that was killed counts for {_FRESH:.0f} s)"
                    )
        with contextlib.suppress(OSError):
            stream.truncate(0)
            stream.write(json.dumps({"pid": os.getpid(), "host": here}))
            stream.flush()

    def release(self) -> None:
        for stream in self._files:
            with contextlib.suppress(OSError):
                stream.close()  # which gives the lock back
        self._files = []

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def is_held(folder: Path) -> bool:
    """Whether a run of this machine works in a folder."""
    for path in folder.glob("lock*"):
        with contextlib.suppress(OSError), open(path, "a+", encoding="utf-8") as stream:
            if not _lock(stream.fileno(), shared=True):
                return True
    return False


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one at a path: a run that ends takes its lock away."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def _said(path: Path) -> str:
    """Who signed a lock, in brackets."""
    with contextlib.suppress(OSError):
        who = _parsed(path.read_text(encoding="utf-8"))
        if "pid" in who:
            return f" (process {who['pid']} on {who.get('host', 'this machine')})"
    return ""


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _lock(descriptor: int, *, shared: bool) -> bool:
    """Lock an open file, at once or not at all; True also where the file system knows no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True if shared else _lock_on_windows(descriptor)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _lock_on_windows(descriptor: int) -> bool:
    import msvcrt

    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return False
    return True
