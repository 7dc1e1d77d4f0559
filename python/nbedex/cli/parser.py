"""The commands and what they have in common."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

EPILOG = """\
examples:
  nbedex demo                                    a virtual lamella: scan, index, grains, boundaries, current, report
  nbedex info scan.hspy                          what is understood of a file
  nbedex index scan.hspy --phase beta2-alumina --phase nzsp --pixel-size 0.0094 --voltage 300 -o map.h5
  nbedex plot map.h5 --to figures/
  nbedex export map.h5 --to ang map.ang

Reciprocal lengths are 1/d in 1/angstrom, without 2 pi. Angles are in degrees.
Exit codes: 0 done, 1 internal error, 2 usage, 3 bad input data, 4 done but most patterns were not indexed, or not all
scans of a series, 5 output can't be written, 130 stopped by Ctrl-C, 143 by SIGTERM.
"""

# In the order of use. Each module has `add(subparsers)`; its heavy imports happen when it runs.
COMMANDS = (
    "demo",
    "phases",
    "library",
    "info",
    "calibrate",
    "rotation",
    "look",
    "index",
    "status",
    "merge",
    "pool",
    "export",
    "plot",
    "grains",
    "boundaries",
    "blockade",
    "transport",
    "analyse",
    "report",
    "vdf",
    "show_config",
    "doctor",
)


class Parser(argparse.ArgumentParser):
    """Usage errors are one line, like all others."""

    def error(self, message: str) -> Any:
        self.exit(2, f"nbedex: {message}; see `{self.prog} --help`\n")


def thread_count(text: str) -> int:
    """A number of threads, 0 for all."""
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 4096:
        raise argparse.ArgumentTypeError(f"expected 0 (all available) to 4096 threads, got {text!r}")
    return number


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    from nbedex import __version__

    parser = Parser(
        prog="nbedex",
        description="Index 4D-STEM nanobeam diffraction scans of sodium solid electrolytes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nbedex {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for name in COMMANDS:
        import_module(f"nbedex.cli.{name}").add(commands)
    return parser


def add_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    help: str,
    examples: Sequence[str],
    description: str = "",
) -> argparse.ArgumentParser:
    """A command with help, examples and the options that all have."""
    text = "examples:\n" + textwrap.indent("\n".join(examples), "  ")
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=textwrap.fill(description or help, 100),
        epilog=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    common = parser.add_argument_group("common options")
    common.add_argument("--json", action="store_true", help="answer in JSON on stdout")
    common.add_argument("--quiet", "-q", action="store_true", help="no progress, errors only")
    common.add_argument("--verbose", "-v", action="store_true", help="say more; full details of internal errors")
    return parser


def shape(text: str) -> tuple[int, int]:
    """Two integers with a comma or x between them."""
    try:
        rows, columns = (int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected ROWS,COLUMNS such as 64,128, got {text!r}") from None
    return rows, columns
