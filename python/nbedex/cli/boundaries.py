"""nbedex boundaries: the boundaries between the grains of a map."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from nbedex.cli.figures import add_figure_flags, figure_options
from nbedex.cli.output import progress_bar, show_json, show_pairs
from nbedex.cli.parser import add_command

if TYPE_CHECKING:
    from pathlib import Path

    from nbedex.boundaries import BoundaryNetwork, BoundarySettings
    from nbedex.progress import Progress

KEPT = ("rivals",)  # groups of a grain file that don't depend on boundaries
BACKGROUNDS = ("grains", "phases", "confidence", "white")


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "boundaries",
        run,
        help="trace the boundaries of a grain map: misorientation, CSL, angles between conduction planes",
        examples=[
            "nbedex boundaries grains.h5 -o boundaries.h5 --csv boundaries.csv --figures figures/",
            "nbedex boundaries grains.h5 --geometry network.geojson --geometry network.vtk",
            "nbedex boundaries grains.h5 -o boundaries.h5 --inclinations tilted.csv --csl-limit 49",
        ],
        description="Takes a file of `nbedex grains`. psi is the angle between the conduction planes in space, delta"
        " theta the angle between their traces on the lamella: they are different things. Boundary planes are taken as"
        " edge-on unless inclinations are given.",
    )
    parser.add_argument("grains", help="file of `nbedex grains`")
    parser.add_argument("-o", "--output", metavar="FILE.h5", help="file to write; without it, added to the grain file")
    parser.add_argument("--csv", metavar="FILE", help="table of the segments, units in its header")
    parser.add_argument(
        "--geometry", action="append", default=[], metavar="FILE", help="polylines as .geojson or .vtk; repeat for both"
    )
    parser.add_argument("--figures", metavar="FOLDER", help="draw the network and the distributions of its angles")
    parser.add_argument(
        "--background", choices=BACKGROUNDS, default="grains", help="behind the network in figures (default grains)"
    )
    parser.add_argument(
        "--inclinations", metavar="FILE.csv",
        help="columns `segment` and `inclination (deg)`: how far a boundary's normal, from grain a to b, points to +Z",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace outputs and boundaries that exist")
    add_boundary_flags(parser)
    add_figure_flags(parser)


def add_boundary_flags(parser: argparse.ArgumentParser) -> None:
    """How boundaries are traced and labelled."""
    group = parser.add_argument_group("boundaries")
    group.add_argument("--smoothing", type=float, metavar="PX", help="waves shorter than this are noise (default 24)")
    group.add_argument("--low-angle", type=float, metavar="DEG", help="low-angle below this (default 15)")
    group.add_argument("--csl-limit", type=int, metavar="N", help="largest sigma (default 49 cubic, 29 others)")
    group.add_argument("--brandon", type=float, metavar="DEG", help="tolerance is this / sigma^exponent (default 15)")
    group.add_argument("--brandon-exponent", type=float, metavar="X", help="default 0.5")
    group.add_argument(
        "--csl-strain", type=float, metavar="SHARE", help="strain of a cell to a rational one (default 0.01)"
    )


def boundary_settings(args: argparse.Namespace) -> BoundarySettings:
    """The settings that the boundary flags give."""
    from nbedex.boundaries import BoundarySettings

    given = {
        "smoothing_px": args.smoothing,
        "low_angle_deg": args.low_angle,
        "csl_limit": args.csl_limit,
        "brandon_deg": args.brandon,
        "brandon_exponent": args.brandon_exponent,
        "strain_tolerance": args.csl_strain,
    }
    return BoundarySettings(**{name: value for name, value in given.items() if value is not None})


def run(args: argparse.Namespace) -> int:
    from nbedex.boundaries import boundary_facts
    from nbedex.errors import ArgumentError, OutputError
    from nbedex.files import check_output
    from nbedex.grains import read_groups

    settings = boundary_settings(args)
    figure_options(args)
    for name in args.geometry:
        if not name.lower().endswith((".geojson", ".json", ".vtk")):
            raise ArgumentError(f"--geometry is written as .geojson or .vtk, got {name}")
    for output in filter(None, (args.output, args.csv, *args.geometry)):
        check_output(output, overwrite=args.overwrite)
    if not args.output and not args.overwrite:
        later = sorted(set(read_groups(args.grains)) - {"map", "grains", *KEPT})
        if later:
            raise OutputError(
                f"{args.grains} has {', '.join(later)} already; write to another file (-o) or --overwrite"
            )
    with progress_bar(quiet=args.quiet) as progress:
        network = _network(args, settings, progress)
        written = _write(args, network, progress)
    facts = boundary_facts(network)
    if args.json:
        show_json({"written": [str(path) for path in written], **facts})
    elif not args.quiet:
        show_pairs([(name.replace("_", " "), _text(value)) for name, value in facts.items() if name != "csl"])
        for row in facts["csl"]:
            twin = ", twin" if row["twin"] else ""
            percent = f"{row['percent_of_phase']:.1f} % of {row['phase']}'s length"
            print(f"  {row['label']}: {row['count']} segments, {percent}{twin}")
        for path in written:
            print(f"wrote {path}")
    return 0


def _network(args: argparse.Namespace, settings: BoundarySettings, progress: Progress) -> BoundaryNetwork:
    from nbedex.boundaries import inclined, read_inclinations, trace_boundaries
    from nbedex.grains import read_grain_map

    progress("boundaries", 0, 2)
    grain_map = read_grain_map(args.grains)
    progress("boundaries", 1, 2)
    network = trace_boundaries(grain_map, settings)
    if args.inclinations:
        network = inclined(network, read_inclinations(args.inclinations, len(network.boundaries)))
    progress("boundaries", 2, 2)
    return network


def _write(args: argparse.Namespace, network: BoundaryNetwork, progress: Progress) -> list[Path]:
    from nbedex.blockade import rivals_of
    from nbedex.boundaries import write_boundary_table, write_geometry, write_network
    from nbedex.errors import ArgumentError, DataFormatError
    from nbedex.grains import read_groups

    total = 1 + bool(args.csv) + len(args.geometry) + bool(args.figures)
    progress("writing", 0, total)
    # what later steps made from older boundaries would no longer fit, and goes
    kept = read_groups(args.grains, KEPT)
    try:
        rivals = rivals_of(kept["rivals"], network.grain_map) if args.csv and "rivals" in kept else None
    except ArgumentError as error:
        raise DataFormatError(f"{args.grains}: {error}") from None
    target = args.output or args.grains
    written = [write_network(target, network, more=kept, overwrite=args.overwrite or not args.output)]
    progress("writing", 1, total)
    if args.csv:
        written.append(write_boundary_table(args.csv, network, rivals=rivals, overwrite=args.overwrite))
    for name in args.geometry:
        written.append(write_geometry(name, network, overwrite=args.overwrite))
        progress("writing", len(written), total)
    if args.figures:
        from nbedex.report import plot_boundaries

        written += plot_boundaries(
            network, args.figures, background=args.background, overwrite=args.overwrite, **figure_options(args)
        )
    progress("writing", total, total)
    return written


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
