"""The command line: parse, call, exit code. The only place that prints."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

from nbedex.errors import NbedexError

INTERNAL, INTERRUPTED = 1, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0 done, 1 internal error, 2 wrong usage or configuration, 3 bad input data, 4 done but most patterns were not
    indexed, or not all scans, 5 output can't be written, 130 stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.
    """
    from nbedex.cli.parser import make_parser

    verbose = False
    try:
        args = make_parser().parse_args(argv)
        verbose = args.verbose
        with _log_to_stderr(verbose=args.verbose, quiet=args.quiet), _other_signals():
            return int(args.run(args))
    except NbedexError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt as stop:
        return _stopped(stop)
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.stderr.close()
        return 0
    except MemoryError:
        _complain("out of memory; use fewer --threads, a coarser --step or a smaller --k-max")
        return INTERNAL
    except Exception as error:
        signalled = _stop_behind(error)
        if signalled is not None:
            return _stopped(signalled)
        if verbose:
            raise
        _complain(
            f"internal error: {type(error).__name__}: {error}; run again with --verbose for the details and report it"
        )
        return INTERNAL


def _stopped(stop: KeyboardInterrupt) -> int:
    _complain("stopped")
    return int(getattr(stop, "exit_code", INTERRUPTED))


def _stop_behind(error: BaseException) -> KeyboardInterrupt | None:
    """The signal that an error comes from: compiled modules make an ImportError of one that arrives while they load."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, KeyboardInterrupt):
        seen = seen.__cause__ or seen.__context__
    return seen


class _Terminated(KeyboardInterrupt):
    """Another signal that ends a program: it is to end as on Ctrl-C, with what is done kept."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


@contextlib.contextmanager
def _other_signals() -> Iterator[None]:
    """SIGTERM (a batch system's time limit) and SIGHUP (a closed terminal) stop a run as Ctrl-C does."""

    def stop(number: int, frame: object) -> None:
        raise _Terminated(number)

    before = {}
    for name in ("SIGTERM", "SIGHUP"):
        # only the main thread may; and a SIGHUP that nohup ignores stays ignored
        number = getattr(signal, name, None)
        with contextlib.suppress(ValueError):
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, stop)
    hook, sys.unraisablehook = sys.unraisablehook, _ask_again(sys.unraisablehook)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _ask_again(otherwise: Callable[[sys.UnraisableHookArgs], object]) -> Callable[[sys.UnraisableHookArgs], object]:
    """A signal may come while Python runs a callback whose exceptions it drops, the stop with them: send it again."""

    def hook(dropped: sys.UnraisableHookArgs) -> None:
        if not isinstance(dropped.exc_value, KeyboardInterrupt):
            otherwise(dropped)
            return
        number = getattr(dropped.exc_value, "exit_code", INTERRUPTED) - 128
        threading.Timer(0.02, os.kill, (os.getpid(), number)).start()  # after the callback

    return hook


def _complain(message: str) -> None:
    with contextlib.suppress(OSError):  # a full disk under stderr does not change the exit code
        print(f"nbedex: {' '.join(message.split())}", file=sys.stderr)


@contextlib.contextmanager
def _log_to_stderr(*, verbose: bool, quiet: bool) -> Iterator[None]:
    """Warnings, or more or less, on stderr; the logger as it was afterwards, for who calls `main` from Python."""
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter("nbedex: %(levelname)s: %(message)s"))
    logger = logging.getLogger("nbedex")
    before = logger.handlers, logger.level, logger.propagate
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.handlers, logger.propagate = before[0], before[2]
        logger.setLevel(before[1])
