"""A signal ends a command though what runs at that moment makes something else of it, or drops it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable

import pytest

from nbedex.cli import main, phases

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")

both = pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])


def arrives(name: str) -> None:
    os.kill(os.getpid(), getattr(signal, name))
    for _ in range(1000):  # the handler runs here
        pass


def handlers() -> list[object]:
    return [signal.getsignal(getattr(signal, name)) for name in ("SIGINT", "SIGTERM", "SIGHUP")] + [
        sys.excepthook,
        sys.unraisablehook,
    ]


def chained(name: str) -> None:
    try:
        arrives(name)
    except BaseException as error:
        raise ImportError("initialization failed") from error


def printed(name: str) -> None:
    try:
        arrives(name)
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    raise ImportError("failed to import")


@both
@pytest.mark.parametrize("load", [chained, printed])
def test_made_into_an_error(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    load: Callable[[str], None],
    name: str,
    code: int,
) -> None:
    monkeypatch.setattr(phases, "run", lambda args: load(name))
    before = handlers()
    assert main(["phases"]) == code
    assert capsys.readouterr().err == "nbedex: stopped\n"
    assert handlers() == before
    time.sleep(0.05)  # nothing is asked for again when the command has ended


def test_an_error_alone_is_no_stop(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def load(args: object) -> int:
        raise ImportError("initialization failed")

    monkeypatch.setattr(phases, "run", load)
    assert main(["phases"]) == 1
    said = "nbedex: internal error: ImportError: initialization failed; run again with --verbose"
    assert capsys.readouterr().err.startswith(said)


@both
def test_printed_and_then_dropped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, code: int
) -> None:
    def run(args: object) -> int:
        with contextlib.suppress(ImportError):
            printed(name)
        time.sleep(5)
        return 0

    monkeypatch.setattr(phases, "run", run)
    assert main(["phases"]) == code
    assert capsys.readouterr().err == "nbedex: stopped\n"


@both
def test_during_a_callback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, code: int
) -> None:
    class Thing:
        pass

    def run(args: object) -> int:
        thing = Thing()
        watched = weakref.ref(thing, lambda dead: arrives(name))  # Python drops what it raises
        del thing
        end = time.monotonic() + 10
        while time.monotonic() < end:
            time.sleep(0.005)
        return 0 if watched() is None else 1

    monkeypatch.setattr(phases, "run", run)
    started = time.monotonic()
    assert main(["phases"]) == code
    assert time.monotonic() - started < 5
    assert capsys.readouterr().err == "nbedex: stopped\n"


NUMBA = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "numba._devicearray":
            os.kill(os.getpid(), signal.{name})

sys.meta_path.insert(0, Finder())
from nbedex.cli import main, phases

def run(args):
    import numba.np.ufunc
    return 0

phases.run = run
sys.exit(main(["phases"]))
"""


@both
def test_while_numba_loads(name: str, code: int) -> None:
    """Its dispatcher prints the stop and raises an ImportError that does not know of it."""
    done = subprocess.run([sys.executable, "-c", NUMBA.format(name=name)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (code, "nbedex: stopped\n")
