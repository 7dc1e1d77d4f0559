"""Ctrl-C, SIGTERM (a batch system's time limit) and SIGHUP (a closed terminal) end a command, what is done being kept.

Each raises a `Stop` in the main thread. Not all code there lets it through: a compiled module that is loading may print
it and make an ImportError of it, and of a callback's exceptions Python only says that they were dropped. So each is
noted as well, and asked for again where it was lost.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import TracebackType

_AGAIN_S = 0.02  # after the callback, or whatever else lost it


class Stop(KeyboardInterrupt):
    """A signal that ends a program."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


@contextlib.contextmanager
def stoppable(stops: list[Stop]) -> Iterator[None]:
    """Within, signals raise a `Stop` in the main thread, and are noted in the list."""
    leaving = False
    timers: list[threading.Timer] = []

    def stop(number: int, frame: object) -> None:
        stops.append(Stop(number))
        if not leaving:
            raise stops[-1]

    def again(lost: KeyboardInterrupt) -> None:
        number = getattr(lost, "exit_code", 128 + signal.SIGINT) - 128
        timers.append(threading.Timer(_AGAIN_S, os.kill, (os.getpid(), number)))
        timers[-1].start()

    def dropped(what: sys.UnraisableHookArgs) -> None:
        if isinstance(what.exc_value, KeyboardInterrupt):
            again(what.exc_value)
        else:
            hooks[0](what)

    def printed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            again(error)
        else:
            hooks[1](kind, error, trace)

    hooks = sys.unraisablehook, sys.excepthook
    handlers = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # one that is ignored, as nohup does, stays ignored
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            with contextlib.suppress(ValueError):  # only the main thread may
                handlers[number] = signal.signal(number, stop)
    sys.unraisablehook, sys.excepthook = dropped, printed
    try:
        yield
    finally:
        leaving = True
        for timer in timers:  # none may go off when the handlers are gone
            timer.cancel()
            timer.join()
        sys.unraisablehook, sys.excepthook = hooks
        for number, handler in handlers.items():
            signal.signal(number, handler)
