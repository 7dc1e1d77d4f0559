"""nbedex pool: index the mean pattern of every grain, and give its pixels the answer."""

from __future__ import annotations

import argparse
from typing import Any

from nbedex.cli.output import progress_bar, show_json, show_pairs
from nbedex.cli.parser import add_command, thread_count


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "pool",
        run,
        help="settle doubtful orientations by what all patterns of a grain show together",
        examples=[
            "nbedex pool map.h5 -o pooled.h5",
            "nbedex pool map.h5 --rerank off -o pooled.h5",
            "nbedex pool map.h5 --scan /new/place/scan.hspy --patterns 50 -o pooled.h5 --json",
        ],
        description="Half turns about a zone axis and pseudo-symmetric variants are undecided in single patterns. The"
        " mean pattern of each grain is indexed with the options of the result, and its candidates are compared by"
        " Bloch waves in several of the grain's patterns; pixels take the grain's answer where they hold it as a rival,"
        " are unsure, or hold what Bloch waves put behind it. A piece that fits its neighbour's orientation as well as"
        " its own joins the neighbour. Where two solutions give the same pattern the grain gets one of them, with a"
        " probability of about a half, and the other is kept: `nbedex grains` marks such grains as ambiguous and"
        " `nbedex boundaries` the boundaries that may be none. The scan is read again.",
    )
    parser.add_argument("result", help="result of `nbedex index`")
    parser.add_argument("-o", "--output", required=True, metavar="POOLED.h5", help="result file to write")
    parser.add_argument("--scan", metavar="FILE", help="where the scan is now, if it was moved")
    parser.add_argument("--patterns", type=int, metavar="N", help="patterns of a grain that are pooled (default 100)")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often grains are found and pooled (default 2)")
    parser.add_argument(
        "--min-probability", type=float, metavar="P", help="answers below this don't count (default 0.5)"
    )
    parser.add_argument(
        "--rerank",
        choices=("auto", "on", "off"),
        help="whether Bloch waves decide; auto (default): on, but for precessed patterns",
    )
    parser.add_argument(
        "--rerank-patterns", type=int, metavar="N", help="patterns of a grain they are asked about at most (default 12)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")
    parser.add_argument("--threads", type=thread_count, default=0, help="0 (default): all available")


def run(args: argparse.Namespace) -> int:
    from nbedex.grains import Role
    from nbedex.grains.pooling import PoolingSettings
    from nbedex.pooled import pool
    from nbedex.settings import settings_from_dict

    given = {
        "max_patterns": args.patterns,
        "rounds": args.rounds,
        "min_probability": args.min_probability,
        "rerank": args.rerank,
        "rerank_patterns": args.rerank_patterns,
    }
    options = settings_from_dict(
        PoolingSettings, {name: value for name, value in given.items() if value is not None}, where="command line"
    )
    with progress_bar(quiet=args.quiet) as progress:
        found = pool(
            args.result,
            args.output,
            scan=args.scan,
            pooling=options,
            overwrite=args.overwrite,
            threads=args.threads,
            progress=progress,
        )
    grains = found.grain_map.grains.role != Role.NOT_INDEXED
    sure = found.records["probability"] >= 0.95
    asked = found.records["reranked"]
    facts = {
        "result": args.output,
        "grains": int(grains.sum()),
        "grains_compared_by_bloch_waves": int((asked & grains).sum()),
        "grains_at_least_95_percent_sure": int((sure & grains).sum()),
        "grains_with_more_than_one_solution": sum(bool(answer.others) for answer in found.answers),
        "pixels_changed_percent": 100 * float(found.changed.mean()),
    }
    if args.json:
        show_json(facts)
    elif not args.quiet:
        show_pairs([(name.replace("_", " "), value) for name, value in facts.items()])
    return 0
