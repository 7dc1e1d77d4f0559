"""nbedex merge: the result of shards, or of an interrupted run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nbedex.cli.output import progress_bar
from nbedex.cli.parser import add_command


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "merge",
        run,
        help="write the result of runs that shared a scan (index --shard), or of one that was interrupted",
        examples=[
            "nbedex merge map.h5                                  # shards that wrote into the same map.h5.part",
            "nbedex merge -o map.h5 node1/map.h5.part node2/map.h5.part",
            "nbedex merge -o so_far.h5 --partial map.h5.part      # what an interrupted run has done",
        ],
        description="The file is the same, byte for byte, as that of one run over the whole scan.",
    )
    parser.add_argument("source", nargs="+", metavar="RESULT.h5|PART", help="the result to be, or folders of runs")
    parser.add_argument("-o", "--output", metavar="RESULT.h5", help="file to write; else the one result named")
    parser.add_argument("--partial", action="store_true", help="write what there is; what is missing is NOT_DONE")
    parser.add_argument("--overwrite", action="store_true", help="replace the result if it exists")


def run(args: argparse.Namespace) -> int:
    from nbedex.cli.index import finish
    from nbedex.errors import ArgumentError
    from nbedex.maps import summary_of_file
    from nbedex.workflow import merge

    sources = [Path(name if name.endswith(".part") else f"{name}.part") for name in args.source]
    if args.output is None and len(sources) > 1:
        raise ArgumentError("several folders to merge: name the result with -o RESULT.h5")
    target = Path(args.output or str(sources[0]).removesuffix(".part"))
    with progress_bar(quiet=args.quiet) as progress:
        merge(sources, target, overwrite=args.overwrite, partial=args.partial, progress=progress)
    return finish({"result": str(target), **summary_of_file(target)}, args)
