"""The command line: parse, call, exit code. The only place that prints."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence

from nbedex.cli.stopping import Stop, stoppable
from nbedex.errors import Cancelled, NbedexError

INTERNAL, INTERRUPTED = 1, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0 done, 1 internal error, 2 wrong usage or configuration, 3 bad input data, 4 done but most patterns were not
    indexed, or not all scans, 5 output can't be written, 130 stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.
    """
    from nbedex.cli.parser import make_parser

    verbose = False
    stops: list[Stop] = []
    try:
        with stoppable(stops):
            args = make_parser().parse_args(argv)
            verbose = args.verbose
            with _log_to_stderr(verbose=args.verbose, quiet=args.quiet):
                return int(args.run(args))
    except Cancelled as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt as stop:
        return _stopped(stop)
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.stderr.close()
        return 0
    except Exception as error:
        if stops:  # the error is what the stop was made into on its way here
            return _stopped(stops[-1])
        return _failed(error, verbose=verbose)


def _stopped(stop: KeyboardInterrupt) -> int:
    _complain("stopped")
    return int(getattr(stop, "exit_code", INTERRUPTED))


def _failed(error: Exception, *, verbose: bool) -> int:
    if isinstance(error, NbedexError):
        _complain(str(error))
        return error.exit_code
    if isinstance(error, MemoryError):
        _complain("out of memory; use fewer --threads, a coarser --step or a smaller --k-max")
        return INTERNAL
    if verbose:
        raise error
    _complain(
        f"internal error: {type(error).__name__}: {error}; run again with --verbose for the details and report it"
    )
    return INTERNAL


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
