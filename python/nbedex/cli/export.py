"""nbedex export: a result in the formats of other programs."""

from __future__ import annotations

import argparse
from typing import Any

from nbedex.cli.output import progress_bar, show_json
from nbedex.cli.parser import add_command


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "export",
        run,
        help="write a result for orix, ASTAR, OIM, Channel 5, MTEX or a spreadsheet",
        examples=[
            "nbedex export map.h5 --to orix map_orix.h5",
            "nbedex export map.h5 --to ang map.ang --min-reliability 5",
            "nbedex export map.h5 --to csv map.csv",
        ],
        description="Orientations are Bunge angles from the sample frame (X right, Y down, Z along the beam) to the"
        " crystal frame (x along a, z along c*).",
    )
    parser.add_argument("result", help="result of `nbedex index`")
    parser.add_argument("--to", required=True, metavar="FORMAT", help="orix, ang (ASTAR), ang-tsl (EDAX), ctf or csv")
    parser.add_argument("output", help="file to write")
    parser.add_argument("--min-index", type=float, help="pixels of lower index are exported as not indexed")
    parser.add_argument("--min-reliability", type=float, help="the same for reliability, percent")
    parser.add_argument("--min-probability", type=float, help="the same for the probability of being right, 0 to 1")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")


def run(args: argparse.Namespace) -> int:
    from nbedex.maps import ResultReader, export

    with ResultReader(args.result) as result, progress_bar(quiet=args.quiet or args.json) as progress:
        written = export(
            result,
            args.output,
            to=args.to,
            overwrite=args.overwrite,
            min_index=args.min_index,
            min_reliability=args.min_reliability,
            min_probability=args.min_probability,
            progress=progress,
        )
    if args.json:
        show_json({"written": str(written)})
    elif not args.quiet:
        print(f"wrote {written}")
    return 0
