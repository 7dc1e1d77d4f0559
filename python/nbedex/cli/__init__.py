"""The command line: parse, call, exit code. The only place that prints."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from nbedex.errors import NbedexError

INTERNAL, INTERRUPTED = 1, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0 done, 1 internal error, 2 wrong usage or configuration, 3 bad input data, 4 done but most patterns were not
    indexed, 5 output can't be written, 130 stopped by Ctrl-C.
    """
    from nbedex.cli.parser import make_parser

    parser = make_parser()
    args = parser.parse_args(argv)
    _log_to_stderr(verbose=args.verbose, quiet=args.quiet)
    try:
        return int(args.run(args))
    except NbedexError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _complain("stopped")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.stderr.close()
        return 0
    except MemoryError:
        _complain("out of memory; use fewer --threads, a coarser --step or a smaller --k-max")
        return INTERNAL
    except Exception as error:
        if args.verbose:
            raise
        _complain(
            f"internal error: {type(error).__name__}: {error}; run again with --verbose for the details and report it"
        )
        return INTERNAL


def _complain(message: str) -> None:
    print(f"nbedex: {' '.join(message.split())}", file=sys.stderr)


def _log_to_stderr(*, verbose: bool, quiet: bool) -> None:
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("nbedex: %(levelname)s: %(message)s"))
    logger = logging.getLogger("nbedex")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
