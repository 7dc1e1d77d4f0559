"""nbedex report: one HTML page with everything that is known of a map."""

from __future__ import annotations

import argparse
from typing import Any

from nbedex.cli.grains import add_source_flags
from nbedex.cli.output import progress_bar, show_json
from nbedex.cli.parser import add_command, thread_count


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "report",
        run,
        help="one HTML page to look at: maps, grains, boundaries by class, current, distributions, methods",
        examples=[
            "nbedex report map.h5 -o report.html",
            "nbedex report map.h5 -o report.html --field 90 --current current.h5 --scan moved/scan.hspy",
            "nbedex report analysis/grains.h5 -o report.html --overwrite",
            "nbedex report astar.ang --phase 'Na beta=beta2-alumina' --step 2 -o report.html",
        ],
        description="Writes one self-contained file for any browser, without network. Takes a result of `nbedex"
        " index`, a grain file, or an orix .h5, .ang or .ctf file. What is missing is left out, and the page says so.",
    )
    parser.add_argument("map", metavar="RESULT", help="result of `nbedex index`, grain file, or orientation map")
    parser.add_argument("-o", "--output", required=True, metavar="FILE.html", help="page to write")
    parser.add_argument(
        "--field", type=float, metavar="DEG",
        help="field that the page opens with, degrees from X (right) towards Y (down); default that of the grain file,"
        " of the current, or 0",
    )  # fmt: skip
    parser.add_argument("--current", metavar="FILE", help="file of `nbedex transport -o` for the same grains")
    parser.add_argument("--scan", metavar="FILE", help="the 4D-STEM file, if it is not where it was indexed")
    parser.add_argument("--overwrite", action="store_true", help="replace the page if it exists")
    parser.add_argument("--threads", type=thread_count, default=0, help="0 (default): all available")
    add_source_flags(parser)


def run(args: argparse.Namespace) -> int:
    from nbedex.cli.grains import source_map
    from nbedex.phases import load_phase
    from nbedex.reported import write_report

    described = args.phase or args.role or args.confidence or args.step or args.holes
    with progress_bar(quiet=args.quiet) as progress:
        written = write_report(
            args.map,
            args.output,
            field_deg=args.field,
            current=args.current,
            scan=args.scan,
            source=source_map(args) if described else None,
            phases={name: load_phase(key) for name, key in args.phase},
            overwrite=args.overwrite,
            threads=args.threads,
            progress=progress,
        )
    size = written.stat().st_size
    if args.json:
        show_json({"written": str(written), "bytes": size})
    elif not args.quiet:
        print(f"wrote {written}, {size / 1e6:.1f} MB: open it in a browser")
    return 0
