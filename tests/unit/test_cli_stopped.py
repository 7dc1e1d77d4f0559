"""A signal that comes while a compiled module loads is a stop, though the module makes an ImportError of it."""

from __future__ import annotations

import os
import signal
import time
import weakref

import pytest

from nbedex.cli import main, phases


@pytest.mark.parametrize(
    ("cause", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "nbedex: stopped\n"),
        (ValueError("no"), 1, "nbedex: internal error: ImportError: initialization failed; run again with --verbose"),
    ],
)
def test_what_is_behind_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cause: BaseException, code: int, said: str
) -> None:
    def load(args: object) -> int:
        try:
            raise cause
        except BaseException as error:
            raise ImportError("initialization failed") from error

    monkeypatch.setattr(phases, "run", load)
    assert main(["phases"]) == code
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_during_a_callback_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, code: int
) -> None:
    class Thing:
        pass

    def callback(dead: object) -> None:
        os.kill(os.getpid(), getattr(signal, name))
        for _ in range(1000):  # the handler runs here, and Python drops what it raises
            pass

    def run(args: object) -> int:
        thing = Thing()
        watched = weakref.ref(thing, callback)
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
