"""nbedex plot: maps as pictures."""

from __future__ import annotations

import argparse
from typing import Any

from nbedex.cli.figures import add_figure_flags, figure_options
from nbedex.cli.output import progress_bar, show_json
from nbedex.cli.parser import add_command


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "plot",
        run,
        help="draw orientation, phase, index and reliability maps",
        examples=[
            "nbedex plot map.h5 --to figures/",
            "nbedex plot map.h5 --kind ipf-z --to ipf.png --min-reliability 10",
            "nbedex plot map.h5 --to figures/ --format pdf,svg --width single",
        ],
        description="Pixels under the cut-offs are black, and so are those not indexed.",
    )
    parser.add_argument("result", help="result of `nbedex index`")
    parser.add_argument(
        "--to", required=True, metavar="FILE_OR_FOLDER", help="a .png, .svg or .pdf for one kind, a folder for all"
    )
    parser.add_argument(
        "--kind",
        default="all",
        help="ipf-x, ipf-y, ipf-z, phase, index, reliability, phase-reliability, probability, status, overview or all",
    )
    parser.add_argument("--min-probability", type=float, help="cut-off of the probability, 0 to 1 (default 0.5)")
    parser.add_argument("--min-index", type=float, help="cut-off of the index (default none)")
    parser.add_argument("--min-reliability", type=float, help="cut-off of the reliability, percent (default none)")
    parser.add_argument("--overwrite", action="store_true", help="replace pictures that exist")
    add_figure_flags(parser)


def run(args: argparse.Namespace) -> int:
    from nbedex.maps import ResultReader
    from nbedex.report import plot_maps

    options = figure_options(args)
    with ResultReader(args.result) as result, progress_bar(quiet=args.quiet or args.json) as progress:
        written = plot_maps(
            result,
            args.to,
            kind=args.kind,
            min_index=args.min_index,
            min_reliability=args.min_reliability,
            min_probability=args.min_probability,
            overwrite=args.overwrite,
            progress=progress,
            **options,
        )
    if args.json:
        show_json({"written": [str(path) for path in written]})
    elif not args.quiet:
        for path in written:
            print(f"wrote {path}")
    return 0
