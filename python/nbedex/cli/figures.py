"""Flags of commands that draw figures."""

from __future__ import annotations

import argparse
from typing import Any


def add_figure_flags(parser: argparse.ArgumentParser) -> None:
    """Formats, width and resolution."""
    group = parser.add_argument_group("figures")
    group.add_argument(
        "--format", action="append", metavar="FORMAT", dest="figure_format",
        help="png, svg or pdf; several with commas or repeated (default: the ending of the file's name, or png)",
    )  # fmt: skip
    group.add_argument(
        "--width", metavar="WIDTH", dest="figure_width",
        help="single (85 mm), double (178 mm, default) or millimetres; text keeps its size",
    )  # fmt: skip
    group.add_argument("--dpi", type=int, metavar="N", help="pixels per inch, 50 to 1200 (default 200)")


def figure_options(args: argparse.Namespace) -> dict[str, Any]:
    """What the flags say, as keywords of the functions that plot; checked."""
    from nbedex.report.style import FigureStyle

    options = {"formats": args.figure_format, "width": args.figure_width, "dpi": args.dpi}
    FigureStyle.of(**options)
    return options


def check_picture(path: str, args: argparse.Namespace) -> None:
    """See that the files of a single figure can be written, before the work that makes it."""
    from nbedex.report.style import FigureStyle, check_figure

    check_figure(path, FigureStyle.for_file(path, **figure_options(args)), overwrite=args.overwrite)
