"""nbedex library: build template libraries."""

from __future__ import annotations

import argparse
from typing import Any

from nbedex.cli.options import LIBRARY_FLAGS, add_flags, given
from nbedex.cli.output import progress_bar, show_json, show_pairs
from nbedex.cli.parser import add_command, thread_count


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "library",
        run,
        help="build a template library and save it to a file",
        examples=[
            "nbedex library build --phase beta2-alumina --phase nzsp --voltage 300 -o alumina.h5",
            "nbedex library build --phase na2au --voltage 200 --double-diffraction 0.3 -o na2au.h5",
            "nbedex library build --phase my.cif --voltage 300 --step 0.5 --precession 0.8 -o my.h5",
        ],
        description="Kinematical templates on a grid of zone axes. `nbedex index --phase` builds (and caches) the same"
        " library by itself; a file is for sharing it.",
    )
    parser.add_argument("action", choices=["build"], help="what to do")
    parser.add_argument("--voltage", type=float, required=True, metavar="KV", help="accelerating voltage")
    add_flags(parser, LIBRARY_FLAGS)
    parser.add_argument("-o", "--output", required=True, metavar="LIB.h5", help="file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    parser.add_argument("--threads", type=thread_count, default=0, help="0: all available")


def run(args: argparse.Namespace) -> int:
    from nbedex.errors import ArgumentError
    from nbedex.files import check_output
    from nbedex.library import build_library, save_library
    from nbedex.phases import load_phase
    from nbedex.settings import settings_from_dict
    from nbedex.workflow import LibraryOptions

    check_output(args.output, overwrite=args.overwrite)
    options = settings_from_dict(LibraryOptions, given(args, LIBRARY_FLAGS).get("library", {}), where="options")
    if not options.phases:
        raise ArgumentError("no phase given: name at least one with --phase (see `nbedex phases`)")
    with progress_bar(quiet=args.quiet) as progress:
        library = build_library(
            [load_phase(name) for name in options.phases],
            options.simulation(args.voltage),
            threads=args.threads,
            progress=progress,
        )
    written = save_library(library, args.output, overwrite=args.overwrite)
    shown = {"written": str(written), **facts(library)}
    if args.json:
        show_json(shown)
    elif not args.quiet:
        show_pairs([(k, v) for k, v in shown.items() if not isinstance(v, dict)] + list(shown["templates"].items()))
    return 0


def facts(library: Any) -> dict[str, Any]:
    """What a library holds."""
    return {
        "settings": library.settings.to_dict(),
        "templates": {
            phase.name: f"{len(spots)} templates, {len(spots.kx) / max(len(spots), 1):.0f} spots each"
            for phase, spots in zip(library.phases, library.spots, strict=True)
        },
        "sha256": library.sha256,
    }
