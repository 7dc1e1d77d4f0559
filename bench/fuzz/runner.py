"""Feeds damaged files to a reader, in children that may crash, hang or ask for too much without harm.

Allowed are an answer and an error of `nbedex.errors`. Everything else is a finding: another exception, a signal, more
processor time or memory than a small file can need, a file opened elsewhere, an object unpickled, a program started.
Where a child process goes first in real use (`nbedex.scan.guard`), an input that ends the child is refused: "guard".
Input number n of a target is the same on every machine and in every run with the same seed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import mmap
import os
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from target import Target

from nbedex.errors import NbedexError

SECONDS = 4.0  # of processor time for one input
MEMORY = 2 << 30  # beyond what the process has at the start

_FORBIDDEN = ("pickle.find_class", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect")
_STATE = struct.Struct("<qqqq")  # number at work, answers, refusals, findings written


class Breach(BaseException):
    """A reader did what no file may make it do. Not an Exception, so that no reader swallows it."""


@dataclass
class Findings:
    """What came of the inputs of one target."""

    target: str
    inputs: int = 0
    answers: int = 0
    refusals: int = 0
    guarded: int = 0
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    examples: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, kind: str, number: int, detail: str) -> None:
        self.kinds[kind] += 1
        self.examples.setdefault(kind, {"target": self.target, "number": number, "kind": kind, "detail": detail})


def mutated(target: Target, number: int, seed: int) -> tuple[int, str, bytes]:
    """Which of the target's examples, which of its files, and the damaged content."""
    rng = random.Random(hash((seed, number)))
    example = rng.randrange(len(target.examples))
    files = target.examples[example]
    name = rng.choice(target.damaged or sorted(files)) if len(files) > 1 else next(iter(files))
    return example, name, target.mutate(rng, files[name])


def fuzz(target: Target, count: int, *, first: int = 0, seed: int = 1, batch: int = 400) -> Findings:
    """Feed inputs `first` to `first + count - 1` to a target."""
    found = Findings(target.name)
    _warm_up(target)
    started = time.process_time() + _children_time()
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as name:
        folder = Path(name)
        shared = mmap.mmap(-1, _STATE.size)
        number, end = first, first + count
        while number < end:
            stop = min(number + batch, end)
            shared[:] = _STATE.pack(number, 0, 0, 0)
            status = _in_child(target, range(number, stop), seed, folder, shared)
            at, answers, refusals, _ = _STATE.unpack(shared[:])
            found.answers += answers
            found.refusals += refusals
            for line in _report(folder).read_text().splitlines() if _report(folder).exists() else ():
                found.add(*json.loads(line))
            _report(folder).unlink(missing_ok=True)
            if status:
                if _guard_fails(target, at, seed, folder, shared):
                    found.guarded += 1
                else:
                    found.add(_death(status), at, f"process ended with status {status}")
                stop = at + 1
            number = stop
        found.inputs = count
    found.seconds = time.process_time() + _children_time() - started
    return found


def _warm_up(target: Target) -> None:
    """Read the whole examples once: imports happen here, and an example that is refused is no example."""
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, files in enumerate(target.examples):
            write(Path(name), files)
            with contextlib.suppress(*() if all(files.values()) else (NbedexError,)):
                target.read(Path(name), number)


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _memory_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _report(folder: Path) -> Path:
    return folder / "findings.jsonl"


def _death(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return "hang" if number in (signal.SIGPROF, signal.SIGALRM) else f"crash {signal.Signals(number).name}"
    return f"exit {os.WEXITSTATUS(status)}"


def _children_time() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _guard_fails(target: Target, number: int, seed: int, folder: Path, shared: mmap.mmap) -> bool:
    """Whether what a user's process lets a child do first ends that child, too, on an input that ended ours."""
    if target.guard is None:
        return False
    guard = replace(target, read=lambda folder, _: target.guard(folder))  # type: ignore[misc]
    status = _in_child(guard, range(number, number + 1), seed, folder, shared)
    _report(folder).unlink(missing_ok=True)
    return status != 0


def _in_child(target: Target, numbers: range, seed: int, folder: Path, shared: mmap.mmap) -> int:
    """Wait status of a child that did the work."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _confine(folder)
            _work(target, numbers, seed, folder, shared)
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def _confine(folder: Path) -> None:
    """Limits on the child, and an eye on what it does."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    package = Path(__file__).parents[2]
    homes = (sys.prefix, sys.base_prefix, "/usr/", package, *(p for p in sys.path if p))  # of code, which is read late
    allowed = tuple(str(p) for p in (folder, *homes, "/proc/self", os.devnull))

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes | os.PathLike) else ""
            if path and not os.path.abspath(path).startswith(allowed):
                raise Breach(f"opened {path}")
        elif event in _FORBIDDEN and not (event == "pickle.find_class" and _called_by("dask.tokenize")):
            raise Breach(f"{event} {arguments!r}"[:200])
        elif event == "exec" and getattr(arguments[0], "co_filename", "") == "<string>" and not _own_text():
            raise Breach("evaluated text as code")

    sys.addaudithook(watch)


def _own_text() -> bool:
    """Whether one evaluates text who does so with annotations and templates in source code, never with data."""
    return sys._getframe(2).f_globals.get("__name__") in ("typing", "dataclasses", "collections")


def _called_by(module: str) -> bool:
    """Whether a function of a module is at work. (Dask pickles its own functions to name them, and reads that back.)"""
    frame = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") != module:
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None


def _work(target: Target, numbers: range, seed: int, folder: Path, shared: mmap.mmap) -> None:
    answers = refusals = findings = 0
    there = -1
    for number in numbers:
        shared[:] = _STATE.pack(number, answers, refusals, findings)
        example, name, content = mutated(target, number, seed)
        files = target.examples[example]
        if example != there:
            write(folder, files)
            there = example
        (folder / name).write_bytes(content)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, target.wall)
        try:
            target.read(folder, example)
            answers += 1
        except NbedexError as error:
            refusals += 1
            if not str(error).strip():
                _note(folder, "error without a message", number, type(error).__name__)
        except (Exception, Breach) as error:
            if isinstance(error, MemoryError) and target.guard is not None:
                os._exit(1)  # to see whether the guard meets it, too
            findings += 1
            frames = traceback.extract_tb(error.__traceback__)
            ours = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if "nbedex" in f.filename]
            kind = f"{type(error).__name__} at {ours[-1] if ours else '?'}"
            _note(folder, kind, number, f"{error}"[:300])
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
        if len(files) > 1:
            (folder / name).write_bytes(files[name])
    shared[:] = _STATE.pack(numbers.stop, answers, refusals, findings)


def _note(folder: Path, kind: str, number: int, detail: str) -> None:
    with open(_report(folder), "a", encoding="utf-8") as file:
        file.write(json.dumps([kind, number, detail]) + "\n")
