"""nbedex analyse: grains, boundaries and blockade of a map in one go."""

from __future__ import annotations

import argparse
from typing import Any

from nbedex.cli.blockade import add_blockade_flags, add_field_flags, blockade_settings, chosen_field, show
from nbedex.cli.boundaries import add_boundary_flags, boundary_settings
from nbedex.cli.figures import add_figure_flags, figure_options
from nbedex.cli.grains import add_grain_flags, add_source_flags, grain_settings, source_map
from nbedex.cli.output import progress_bar
from nbedex.cli.parser import add_command, thread_count


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "analyse",
        run,
        help="grains, boundaries and blockade of a map, with all tables and figures, in one go",
        examples=[
            "nbedex analyse map.h5 --field 90 -o analysis/",
            "nbedex analyse astar.ang --phase 'Na beta=beta2-alumina' --step 2 --field 0 -o analysis/ --json",
        ],
        description="What `nbedex grains`, `nbedex boundaries` and `nbedex blockade` do, one after the other. Takes a"
        " result of `nbedex index`, an orix .h5, .ang or .ctf file.",
    )
    parser.add_argument("map", help="orientation map")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", help="for all outputs; made if needed")
    parser.add_argument("--no-figures", action="store_true", help="file and tables only")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    parser.add_argument("--threads", type=thread_count, default=0, help="0 (default): all available")
    add_field_flags(parser)
    add_source_flags(parser)
    add_grain_flags(parser)
    add_boundary_flags(parser)
    add_blockade_flags(parser)
    add_figure_flags(parser)


def run(args: argparse.Namespace) -> int:
    from nbedex.microstructure import MicrostructureSettings, analyse_map, check_folder, write_microstructure

    settings = MicrostructureSettings(
        pool_rivals=args.pool_rivals,
        grains=grain_settings(args),
        boundaries=boundary_settings(args),
        blockade=blockade_settings(args),
    )
    options = {"figures": not args.no_figures, "overwrite": args.overwrite, **figure_options(args)}
    source = source_map(args)
    field = chosen_field(args, source)
    check_folder(args.output, **options)
    with progress_bar(quiet=args.quiet) as progress:
        found = analyse_map(source, field, settings=settings, threads=args.threads, progress=progress)
        written = write_microstructure(args.output, found, threads=args.threads, progress=progress, **options)
    show(args, found.report, written)
    return 0
