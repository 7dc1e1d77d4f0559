"""nbedex demo: the virtual lamella, from its scan to where the sodium goes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nbedex.cli.output import progress_bar
from nbedex.cli.parser import add_command, thread_count


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "demo",
        run,
        help="scan a virtual lamella, run the whole chain on it, compare with the truth and with what is published",
        examples=[
            "nbedex demo",
            "nbedex demo here/ --seed 3 --no-figures",
            "nbedex demo big/ --size 256 --scan-only     # 65,536 patterns to try your own options on",
        ],
        description="Simulates a 4D-STEM scan of a virtual lamella of Na-β″-alumina between two electrodes, by Bloch"
        " waves, with noise, bending, inclined boundaries and drift; writes it to DIR/scan.hspy; indexes that file,"
        " pools grains, finds boundaries, what blocks sodium and where the current flows; and prints the published"
        " angles and classes beside the lamella's true ones and those that its patterns gave (docs/demo.md).",
    )
    parser.add_argument(
        "folder", nargs="?", default="nbedex-demo", metavar="DIR", help="where to put it (default nbedex-demo)"
    )
    parser.add_argument("--size", type=int, default=64, help="scan rows and columns, 32 to 1024 (default 64)")
    parser.add_argument("--detector", type=int, default=128, help="detector rows and columns (default 128)")
    parser.add_argument("--seed", type=int, default=7, help="of the counts (default 7)")
    parser.add_argument("--scan-only", action="store_true", help="make the scan and its truth, nothing else")
    parser.add_argument("--no-figures", action="store_true", help="no figures and no report")
    parser.add_argument("--threads", type=thread_count, default=0, help="0: all available")
    parser.add_argument("--overwrite", action="store_true", help="replace the files of an earlier demo")


def run(args: argparse.Namespace) -> int:
    from nbedex.cli.demo_tables import facts_of, show_facts
    from nbedex.demo import load_lamella, run_chain
    from nbedex.errors import ArgumentError

    if not 32 <= args.size <= 1024:
        raise ArgumentError(f"--size must lie between 32 and 1024, got {args.size}")
    specimen = load_lamella()
    settings = _settings(args)
    folder = Path(args.folder)
    with progress_bar(quiet=args.quiet) as progress:
        if args.scan_only:
            return _scan_only(args, folder, specimen, settings, progress)
        chain = run_chain(
            specimen,
            folder,
            settings,
            figures=not args.no_figures,
            overwrite=args.overwrite,
            threads=args.threads,
            progress=progress,
        )
    show_facts(args, facts_of(chain, folder))
    return 0


def _settings(args: argparse.Namespace) -> Any:
    from nbedex.demo import ScanSettings
    from nbedex.settings import settings_from_dict

    values = {
        "raster": {"shape": (args.size, args.size)},
        "camera": {"size": args.detector},
        "seed": args.seed,
    }
    return settings_from_dict(ScanSettings, values, where="options")


def _scan_only(args: argparse.Namespace, folder: Path, specimen: Any, settings: Any, progress: Any) -> int:
    from nbedex.cli.output import show_json
    from nbedex.demo import commands_of, scan_to_folder

    files = scan_to_folder(
        specimen, folder, settings, overwrite=args.overwrite, threads=args.threads, progress=progress
    )
    commands = commands_of(specimen, folder, settings.raster.step_nm(specimen))
    if args.json:
        show_json({"files": {name: str(path) for name, path in files.items()}, "commands": commands})
    elif not args.quiet:
        for path in files.values():
            print(f"wrote {path}")
        print("next:", *commands, sep="\n  ")
    return 0
