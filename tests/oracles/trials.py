"""Runs that are killed, stopped or starved of disk at random instants, and resumed: does the result have the same bits?

    python tests/oracles/trials.py FOLDER KIND COUNT [SEED]

KIND: kill (SIGKILL at a random time of its processors), operation (SIGKILL at a random call of the file system),
SIGINT, SIGTERM, or disk (FOLDER is on a small file system of its own, which is filled before and freed after). One line
of JSON a trial.

Each run is a fork of this process, which has everything imported and has never used OpenMP: a trial takes a second.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

FLAGS = (
    "--phase", "na2au", "--phase", "beta2-alumina", "--pixel-size", "0.026", "--voltage", "300", "--step", "3",
    "--k-max", "1.2", "--threads", "1",
)  # fmt: skip
INDEX = ("index", "../scan.npy", *FLAGS, "-o", "map.h5", "-q")
OPERATIONS = ("replace", "link", "fsync", "unlink", "rmdir")


SAID = Path(tempfile.gettempdir()) / f"nbedex-said-{os.getpid()}"  # not on the disk that is filled


def start(folder: Path, arguments: tuple[str, ...], hook: Callable[[], None] | None = None) -> int:
    """Fork a run of the command line in a folder; what it says goes to `SAID`."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.chdir(folder)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes background jobs ignore it
        said = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        if hook is not None:
            hook()
        from nbedex.cli import main

        code = main(arguments)
    except KeyboardInterrupt:  # before the command line had begun: end as a program that knows nothing of signals
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        os._exit(code)


def worked(pid: int) -> float:
    """Seconds of processors that a process has used, or 9e9 after its end: other users of the machine don't count."""
    try:
        return time.clock_gettime(~pid << 3 | 2)  # Linux: the process' own clock
    except OSError:
        return 9e9


def ended(pid: int) -> bool:
    """Whether a process has come to its end; its exit code is still to be asked for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def wait(pid: int) -> int:
    """Exit code; minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_at(number: int, *, after: bool) -> Callable[[], None]:
    """Ends the process at its n-th call of the file system, before or after it took effect."""

    def hook() -> None:
        calls = 0

        def watched(function: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: object, **options: object) -> object:
                nonlocal calls
                calls += 1
                if calls == number and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
                found = function(*arguments, **options)
                if calls == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return found

            return call

        for name in OPERATIONS:
            setattr(os, name, watched(getattr(os, name)))

    return hook


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"


def leftovers(folder: Path) -> list[str]:
    """What should not be beside a finished result."""
    return sorted(set(os.listdir(folder)) - {"map.h5", "map.h5.toml", "map.h5.log"})


def fill(folder: Path, left: int) -> Path:
    """Use up the space of a file system but for some bytes."""
    ballast = folder / "ballast"
    with open(ballast, "wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, max(1, shutil.disk_usage(folder).free - left))
    return ballast


def trial(kind: str, base: Path, rng: random.Random, seconds: float, whole: str) -> dict[str, object]:
    """One run that is ended early, and the one that goes on."""
    folder = base / "trial"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    facts: dict[str, object] = {"kind": kind}
    if kind == "operation":
        number, after = rng.randint(1, 90), rng.random() < 0.5
        facts |= {"operation": number, "after": after}
        code = wait(start(folder, INDEX, kill_at(number, after=after)))
    elif kind == "disk":
        left = rng.randint(0, 150_000)
        ballast = fill(base, left)
        # someone else fills the disk: what was seen to be free before is not there any more
        code = wait(start(folder, INDEX, lambda: setattr(shutil, "disk_usage", _much)))
        ballast.unlink()
        facts["bytes left"] = left
    else:
        delay = rng.uniform(0, seconds)
        facts["after seconds"] = round(delay, 3)
        pid = start(folder, INDEX)
        while worked(pid) < delay and not ended(pid):
            time.sleep(0.001)
        os.kill(pid, signal.SIGKILL if kind == "kill" else getattr(signal, kind))
        code = wait(pid)
    facts |= {"code": code, "said": SAID.read_text(errors="replace").strip() if code >= 0 else ""}
    facts["parts"] = len(list(folder.glob("map.h5.part/patterns_*")))
    facts["result was there"] = (folder / "map.h5").exists()
    if (folder / "map.h5").exists():
        facts["whole or absent"] = digest(folder / "map.h5") == whole
    facts["resumed"] = wait(start(folder, (*INDEX, "--resume")))
    facts["same"] = digest(folder / "map.h5") == whole
    facts["leftovers"] = leftovers(folder)
    if facts["resumed"] != 0:
        facts["said on resuming"] = SAID.read_text(errors="replace").strip()
    return facts


def _much(folder: object) -> object:
    return shutil._ntuple_diskusage(1 << 40, 0, 1 << 40)  # type: ignore[attr-defined]


def prepare(base: Path) -> tuple[str, float]:
    """Scan, library and an uninterrupted run in the folder: its digest, and the seconds of processors that it takes."""
    os.environ["NBEDEX_CACHE"] = str(base / "cache")
    import nbedex.indexing.task as task
    import nbedex.report
    import nbedex.workflow  # noqa: F401

    task._BLOCK_PATTERNS = 4
    whole = base / "whole"
    whole.mkdir(exist_ok=True)
    seconds = 0.0
    for again in range(2):  # the first makes the library
        pid = start(whole, (*INDEX, *(("--overwrite",) if again else ())))
        while not ended(pid):
            seconds = worked(pid)
            time.sleep(0.001)
        assert wait(pid) == 0, SAID.read_text()
    return digest(whole / "map.h5"), seconds


def run(base: Path, kind: str, count: int, seed: int) -> None:
    whole, seconds = prepare(base)
    rng = random.Random(seed)
    for _ in range(count):
        print(json.dumps(trial(kind, base, rng, 1.1 * seconds, whole)), flush=True)


if __name__ == "__main__":
    run(Path(sys.argv[1]).resolve(), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 0)
    SAID.unlink(missing_ok=True)
