"""nbedex look: one pattern, step by step."""

from __future__ import annotations

import argparse
from typing import Any

from nbedex.cli.figures import add_figure_flags, check_picture, figure_options
from nbedex.cli.options import LOOK_GROUPS, add_run_flags, run_settings
from nbedex.cli.output import progress_bar, show_json
from nbedex.cli.parser import add_command, shape


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "look",
        run,
        help="one pattern, step by step: centre, annulus, what is matched, the best template over it",
        examples=[
            "nbedex look scan.hspy --at 12,30 --phase beta2-alumina --pixel-size 0.0094 --voltage 300 --to pattern.png",
            "nbedex look --config map.h5.toml --at 12,30 --to pattern.png",
        ],
        description="Takes the options of `nbedex index`. Look here first when a map is not what you expect: a wrong"
        " centre, scale or mask shows at once.",
    )
    parser.add_argument("scan", nargs="?", help="4D-STEM file")
    parser.add_argument("--at", required=True, type=shape, metavar="ROW,COLUMN", help="place in the scan, from 0")
    parser.add_argument("--to", required=True, metavar="FILE.png", help="picture to write")
    parser.add_argument("--overwrite", action="store_true", help="replace the picture if it exists")
    add_run_flags(parser, *LOOK_GROUPS)
    add_figure_flags(parser)


def run(args: argparse.Namespace) -> int:
    from nbedex.report.pattern import plot_pattern
    from nbedex.workflow import look

    check_picture(args.to, args)
    row, column = args.at
    with progress_bar(quiet=args.quiet) as progress:
        view = look(run_settings(args), row=row, column=column, progress=progress)
    written = plot_pattern(view, args.to, overwrite=args.overwrite, **figure_options(args))
    facts = {
        "written": [str(path) for path in written],
        "status": view.status.name,
        "phase": view.phase_names[view.record["phase_id"]] if view.record["phase_id"] >= 0 else None,
        "index": float(view.record["index"]),
        "reliability": float(view.record["reliability"]),
        "center": view.center.tolist(),
        "reranked": bool(view.record["reranked"]),
        "dynamical_score": float(view.record["dynamical_score"]),
        "thickness_nm": float(view.record["thickness_nm"]),
    }
    if args.json:
        show_json(facts)
    elif not args.quiet:
        thickness = f" Thickness {facts['thickness_nm']:.0f} nm." if facts["reranked"] else ""
        print(f"{view.status.sentence}{thickness} wrote {', '.join(map(str, written))}")
    return 0
