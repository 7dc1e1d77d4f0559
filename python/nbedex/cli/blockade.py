"""nbedex blockade: which boundaries block sodium in a field."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbedex.cli.figures import add_figure_flags, figure_options
from nbedex.cli.output import progress_bar, show_json, show_pairs, show_table
from nbedex.cli.parser import add_command

if TYPE_CHECKING:
    from nbedex.blockade import Alternatives, BlockadeReport, BlockadeSettings, Field
    from nbedex.boundaries import BoundaryNetwork
    from nbedex.grains import Group, OrientationMap


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "blockade",
        run,
        help="which boundaries block sodium in a field, their class, and how sure that is",
        examples=[
            "nbedex blockade grains.h5 --field 90 -o blockade/",
            "nbedex blockade grains.h5 --field 0 -o blockade/ --blocks-at 0.7 --json",
            "nbedex blockade grains.h5 --field-map field.npy -o local/ --no-figures",
        ],
        description="Net accumulation, transmission and the published class (I-III, a/b, 1/2) of every boundary, with"
        " the uncertainty of the orientations; a sweep over all fields; what random planes would give. Writes tables,"
        " GeoJSON and figures into a folder and the group 'blockade' into the grain file.",
    )
    parser.add_argument("grains", help="grain file of `nbedex grains`; with the boundaries of `nbedex boundaries`, or"
                        " they are traced as that does by default")  # fmt: skip
    parser.add_argument(
        "-o", "--output", required=True, metavar="FOLDER", help="for tables and figures; made if needed"
    )
    parser.add_argument("--no-figures", action="store_true", help="tables only")
    parser.add_argument("--no-store", action="store_true", help="leave the grain file as it is")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    add_field_flags(parser)
    add_blockade_flags(parser)
    add_figure_flags(parser)


def add_field_flags(parser: argparse.ArgumentParser) -> None:
    """The electric field: one direction, or a map."""
    group = parser.add_argument_group("the field")
    either = group.add_mutually_exclusive_group(required=True)
    either.add_argument(
        "--field", type=float, metavar="DEG",
        help="uniform; where Na+ is driven, degrees from X (right) towards Y (down)",
    )  # fmt: skip
    either.add_argument(
        "--field-map", metavar="FILE",
        help="local field: .npy (rows, columns, 2 or 3), or HDF5 such as that of `nbedex transport`",
    )  # fmt: skip
    group.add_argument("--field-dataset", metavar="PATH", help="where it is in an HDF5 file (default maps/field)")


def add_blockade_flags(parser: argparse.ArgumentParser) -> None:
    """What the words mean."""
    group = parser.add_argument_group("classes and limits")
    for flag, option, text in _TOLERANCES + _OPTIONS:
        group.add_argument(flag, dest=option, type=float, metavar="N", help=text)


_TOLERANCES = (
    ("--parallel", "parallel_deg", "planes at most this far from parallel are type I, degrees (default 20)"),
    ("--perpendicular", "perpendicular_deg", "and at most this far from 90 type II (default 20)"),
    ("--along", "along_deg", "a plane at most this far from the boundary runs along it (default 20)"),
    ("--across", "across_deg", "and at most this far from 90 across it (default 20)"),
    ("--oblique-field", "field_deg", "farther from across and along than this the field is oblique (default 20)"),
)
_OPTIONS = (
    ("--blocks-at", "blocks_at", "net accumulation from which on a boundary blocks (default 0.5)"),
    ("--partly-at", "partly_at", "and partly blocks (default 0.2)"),
    ("--decided-at", "decided_at", "probability from which on a class is decided (default 0.7)"),
    ("--conductivity-ratio", "conductivity_ratio", "along over across conduction planes (default 1000)"),
    ("--isotropic-conductivity", "isotropic_conductivity", "of NZSP, in that along planes of beta'' (default 1)"),
    ("--normal-error", "normal_error_deg", "of a boundary's direction, degrees (default 3)"),
    ("--max-turn", "max_turn_deg", "a boundary is cut where it turns by more, degrees (default 10)"),
    ("--tilt-error", "boundary_tilt_error_deg", "of its inclination, degrees (default 0: on edge)"),
)


def run(args: argparse.Namespace) -> int:
    from nbedex.blockade import GROUP, BlockadeReport, analyse_blockade
    from nbedex.errors import OutputError
    from nbedex.grains import read_groups

    settings = blockade_settings(args)
    figure_options(args)
    groups = read_groups(args.grains, ("boundaries", "rivals", GROUP))
    if GROUP in groups and not args.no_store and not args.overwrite:
        raise OutputError(
            f"{args.grains} holds a blockade analysis already; replace it with --overwrite, or leave it with --no-store"
        )
    with progress_bar(quiet=args.quiet) as progress:
        progress("blockade", 0, 3)
        network, unsure = _boundaries(args.grains, groups)
        field = chosen_field(args, network.grain_map.source)
        folder = _checked_folder(args)
        progress("blockade", 1, 3)
        report = BlockadeReport.of(analyse_blockade(network, field, settings=settings, alternatives=unsure))
        progress("blockade", 2, 3)
        written = _write(args, folder, report)
        progress("blockade", 3, 3)
    show(args, report, written)
    return 0


def _boundaries(path: str, groups: dict[str, Group]) -> tuple[BoundaryNetwork, Alternatives | None]:
    """The file's boundaries, or traced ones; grains of which two orientations are possible."""
    from nbedex.blockade import alternatives_of, rivals_of
    from nbedex.boundaries import read_network, trace_boundaries
    from nbedex.errors import ArgumentError, DataFormatError
    from nbedex.grains import read_grain_map

    network = read_network(path) if "boundaries" in groups else trace_boundaries(read_grain_map(path))
    if "rivals" not in groups:
        return network, None
    try:
        return network, alternatives_of(network.grain_map, rivals_of(groups["rivals"], network.grain_map))
    except ArgumentError as error:
        raise DataFormatError(f"{path}: {error}") from None


def _checked_folder(args: argparse.Namespace) -> Path:
    from nbedex.blockade import check_blockade_files
    from nbedex.files import make_folder

    folder = make_folder(args.output)
    check_blockade_files(folder, overwrite=args.overwrite)
    if not args.no_figures:
        from nbedex.report.blockade import check_figures
        from nbedex.report.style import FigureStyle

        check_figures(folder, FigureStyle.of(**figure_options(args)), overwrite=args.overwrite)
    return folder


def _write(args: argparse.Namespace, folder: Path, report: BlockadeReport) -> list[Path]:
    from nbedex.blockade import GROUP, blockade_group, write_blockade_files
    from nbedex.grains import put_groups

    written = write_blockade_files(folder, report, overwrite=args.overwrite)
    if not args.no_figures:
        from nbedex.report.blockade import plot_blockade

        written += plot_blockade(report, folder, overwrite=args.overwrite, **figure_options(args))
    if not args.no_store:
        written.append(put_groups(args.grains, {GROUP: blockade_group(report)}))
    return written


def chosen_field(args: argparse.Namespace, source: OrientationMap) -> Field:
    """The field that the flags describe."""
    from nbedex.blockade import UniformField, read_field_map
    from nbedex.errors import ArgumentError

    if args.field is not None:
        if args.field_dataset:
            raise ArgumentError("--field-dataset goes with --field-map, not with --field")
        return UniformField(args.field)
    return read_field_map(args.field_map, shape=source.shape, step=source.step, dataset=args.field_dataset)


def blockade_settings(args: argparse.Namespace) -> BlockadeSettings:
    """The settings that the flags give."""
    from nbedex.blockade import BlockadeSettings
    from nbedex.settings import settings_from_dict

    def given(flags: tuple[tuple[str, str, str], ...]) -> dict[str, Any]:
        values = {option: getattr(args, option) for _, option, _ in flags}
        return {option: value for option, value in values.items() if value is not None}

    return settings_from_dict(BlockadeSettings, {**given(_OPTIONS), "tolerances": given(_TOLERANCES)}, where="options")


def show(args: argparse.Namespace, report: BlockadeReport, written: list[Path]) -> None:
    """What one wants to know first."""
    facts = report.summary()
    if args.json:
        show_json({"written": [str(path) for path in written], **facts})
        return
    if args.quiet:
        return
    if facts["in_scheme"]["segments"]:
        _show_classes(facts)
    else:
        print(f"{facts['segments']} boundaries, none between grains with conduction planes: no classes")
    if facts["worst"]:
        _show_worst(facts)
    for path in written:
        print(f"wrote {path}")


def _show_classes(facts: dict[str, Any]) -> None:
    unit, texture = facts["unit"], facts["texture"]
    blocking = _against(facts["blocking_share"], facts["blocking_share_at_random"], facts["blocking_share_scatter"])
    show_pairs(
        [
            ("boundaries", f"{facts['segments']}, {facts['length']:.4g} {unit}"),
            ("in the scheme", f"{facts['in_scheme']['segments']}, {facts['in_scheme']['length']:.4g} {unit}"),
            ("undecided, mixed", f"{facts['undecided_segments']}, {facts['mixed_segments']}"),
            ("traces say otherwise", facts["segments_where_traces_differ"]),
            ("blocking length", blocking),
            ("II b1 and III a2", _against(facts["published_blocking_share"],
                                          facts["published_blocking_share_at_random"])),
            ("conduction planes", f"mean |n.E| {texture['along_field']:.2f} (at random 0.50),"
                                  f" texture {texture['strength']:.2f} (none 0, all parallel 1)"),
        ]
    )  # fmt: skip
    rows = [
        (name, f"{row['length']:.4g}", _percent(row["share"]), _percent(row["share_at_random"]))
        for name, row in facts["classes"].items()
    ]
    show_table(("class", f"length ({unit})", "share", "at random"), rows)


def _show_worst(facts: dict[str, Any]) -> None:
    rows = [
        (
            "{}/{}".format(*row["grains"]),
            f"{row['blocking_length']:.4g}",
            f"{row['accumulation']:.2f} ± {row['accumulation_sigma']:.2f}",
            row["class"],
            f"{row['probability']:.2f}",
            row["verdict"],
            f"{row['worst_field_deg']:.0f}°",
        )
        for row in facts["worst"]
    ]
    columns = ("grains", f"blocking ({facts['unit']})", "a", "class", "probability", "verdict", "worst field")
    show_table(columns, rows, title="Most piles up at")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share == share else "-"


def _against(here: float, chance: float, scatter: float | None = None) -> str:
    text = f"{_percent(here)} (at random {_percent(chance)}"
    return text + (f" ± {100 * scatter:.1f})" if scatter is not None and scatter == scatter else ")")
