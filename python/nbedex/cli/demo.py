"""nbedex demo: the whole chain on a small scan with known truth."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nbedex.cli.output import progress_bar, show_json, show_table
from nbedex.cli.parser import add_command, thread_count

_STEP_DEG = 2.0


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "demo",
        run,
        help="make a small scan, index it, compare with the truth, draw maps",
        examples=["nbedex demo", "nbedex demo here/ --size 64 --seed 3"],
        description="Makes a polycrystal of β″-alumina with a Na₂Au strip and an NZSP corner, writes its 4D-STEM scan"
        " to DIR/scan.hspy, indexes that file as `nbedex index` does, and says which share of the pixels is right.",
    )
    parser.add_argument(
        "folder", nargs="?", default="nbedex-demo", metavar="DIR", help="where to put it (default nbedex-demo)"
    )
    parser.add_argument("--size", type=int, default=40, help="scan rows and columns, 8 to 256 (default 40)")
    parser.add_argument("--seed", type=int, default=7, help="of the random numbers (default 7)")
    parser.add_argument("--threads", type=thread_count, default=0, help="0: all available")
    parser.add_argument("--overwrite", action="store_true", help="replace the files of an earlier demo")


def run(args: argparse.Namespace) -> int:
    from nbedex.demo import PHASES, compare, make_scan, write_hspy
    from nbedex.errors import ArgumentError
    from nbedex.files import check_output, make_folder
    from nbedex.report import plot_maps
    from nbedex.workflow import LibraryOptions, OutputOptions, RunSettings, ScanOptions
    from nbedex.workflow import run as run_workflow

    if not 8 <= args.size <= 256:
        raise ArgumentError(f"--size must lie between 8 and 256, got {args.size}")
    folder = Path(args.folder)
    make_folder(folder, parents=True)
    files = {"scan": folder / "scan.hspy", "result": folder / "map.h5"}
    for file in files.values():
        check_output(file, overwrite=args.overwrite)
    with progress_bar(quiet=args.quiet) as progress:
        progress("making the scan", 0, 1)
        truth = make_scan(size=args.size, seed=args.seed)
        write_hspy(truth, files["scan"], overwrite=args.overwrite)
        progress("making the scan", 1, 1)
        settings = RunSettings(
            scan=ScanOptions(path=str(files["scan"])),
            library=LibraryOptions(phases=PHASES, step_deg=_STEP_DEG),
            output=OutputOptions(path=str(files["result"]), overwrite=args.overwrite),
            threads=args.threads,
        )
        result = run_workflow(settings, progress=progress)
        progress("drawing maps", 0, 1)
        figures = plot_maps(result, folder, kind="all", overwrite=args.overwrite)
        progress("drawing maps", 1, 1)
    rows = compare(result, truth)
    if args.json:
        show_json({"accuracy": [asdict(row) for row in rows], "files": [*files.values(), *figures]})
        return 0
    columns = ("", "pixels", "right phase", "within 2°", "turned 180°", "median error")
    table = [
        (
            r.name,
            r.pixels,
            f"{r.right_phase:.1%}",
            f"{r.within_2_deg:.1%}",
            f"{r.half_turn:.1%}",
            f"{r.median_deg:.2f}°",
        )
        for r in rows
    ]
    show_table(columns, table, title="compared with the truth")
    print(f"maps to look at: {folder / 'overview.png'} and others there; the result: {files['result']}")
    return 0
