"""nbedex calibrate: scale, ellipse and centre from the data."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING, Any

from nbedex.cli.figures import add_figure_flags, check_picture, figure_options
from nbedex.cli.options import add_run_flags, run_settings
from nbedex.cli.output import progress_bar, show_json, show_pairs, show_table
from nbedex.cli.parser import add_command

if TYPE_CHECKING:
    from nbedex.calibrating import CalibrateSettings, RingCalibration, SpotCalibration
    from nbedex.progress import Progress
    from nbedex.workflow import RunSettings

log = logging.getLogger(__name__)


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "calibrate",
        run,
        help="pixel size, ellipse and centre from rings or single crystals of a known phase",
        examples=[
            "nbedex calibrate au_rings.tif --phase au --to rings.png --write calibration.toml",
            "nbedex calibrate scan.hspy --from rings --phase au --pixel-size 0.01 --write calibration.toml",
            "nbedex calibrate scan.hspy --phase nzsp --pixel-size 0.0094 --voltage 300 --write calibration.toml",
            "nbedex index scan.hspy --config calibration.toml --phase nzsp --voltage 300 -o map.h5",
        ],
        description="Rings (of a standard such as gold; one pattern or many) need no pixel size to start from; spots of"
        " single crystals need one within 6 %. What patterns do not show, such as the rotation of the detector against"
        " the scan, is said. Always look at the picture.",
    )
    parser.add_argument("scan", nargs="?", help="4D-STEM file, or a single pattern (.tif, .npy ...)")
    parser.add_argument(
        "--from", dest="source", choices=("auto", "rings", "spots"), default="auto",
        help="rings of a polycrystal or spots of single crystals; auto (default): rings if there is one pattern only",
    )  # fmt: skip
    parser.add_argument("--to", metavar="FILE.png", help="picture to write")
    parser.add_argument("--write", metavar="FILE.toml", help="calibration to write, for --config of other commands")
    parser.add_argument("--overwrite", action="store_true", help="replace these files if they exist")
    parser.add_argument("--samples", type=int, help="patterns looked at (default 1024 for rings, 64 for spots)")
    parser.add_argument(
        "--search", type=float, metavar="SHARE",
        help="how far the pixel size may be from the given one (default 0.2 for rings, 0.06 for spots)",
    )  # fmt: skip
    parser.add_argument(
        "--inner", type=float, metavar="PX", help="rings: inner radius; default 0.6 of the first ring's"
    )
    parser.add_argument("--outer", type=float, metavar="PX", help="rings: outer radius; default the detector's edge")
    add_run_flags(parser)
    add_figure_flags(parser)


def run(args: argparse.Namespace) -> int:
    from nbedex.calibrating import CalibrateSettings, summary
    from nbedex.errors import ArgumentError
    from nbedex.files import check_output, write_atomically
    from nbedex.settings import settings_from_dict

    if args.to:
        check_picture(args.to, args)
    if args.write:
        check_output(args.write, overwrite=args.overwrite)
    given = {name: getattr(args, name) for name in ("source", "samples", "search", "inner", "outer")}
    options = settings_from_dict(CalibrateSettings, {k: v for k, v in given.items() if v is not None}, where="options")
    settings = run_settings(args)
    if not settings.scan.path:
        raise ArgumentError("no scan given: name the 4D-STEM file or pattern")
    with progress_bar(quiet=args.quiet) as progress:
        result = _calibrate(settings, options, progress)
    facts = summary(result)
    written = []
    if args.to:
        from nbedex.report.calibration import plot_calibration

        pictures = plot_calibration(result, args.to, overwrite=args.overwrite, **figure_options(args))
        written += [str(path) for path in pictures]
    if args.write:
        text = toml_text(settings, facts)
        written.append(str(write_atomically(args.write, [text.encode()], overwrite=args.overwrite)))
    facts["written"] = written
    if args.json:
        show_json(facts)
    elif not args.quiet:
        _show(facts)
    for doubt in result.doubts:
        log.warning("%s", doubt)
    return 0


def _calibrate(
    settings: RunSettings, options: CalibrateSettings, progress: Progress
) -> RingCalibration | SpotCalibration:
    from nbedex.calibrating import calibrate_rings, calibrate_spots
    from nbedex.errors import ArgumentError
    from nbedex.phases import load_phase
    from nbedex.scan import open_patterns
    from nbedex.workflow import get_library, load_mask, resolve_calibration

    with open_patterns(settings.scan.path or "", dataset=settings.scan.dataset, scan_shape=settings.scan.shape) as scan:
        mask = load_mask(settings.scan.mask) if settings.scan.mask else None
        source = options.source
        if source == "auto":
            source = "rings" if scan.size == 1 else "spots"
        if source == "rings":
            if len(settings.library.phases) != 1:
                raise ArgumentError(
                    f"rings are those of one phase: name it with --phase, got {len(settings.library.phases)} phases"
                )
            return calibrate_rings(
                scan,
                load_phase(settings.library.phases[0]),
                pixel_size=settings.calibration.pixel_size or scan.metadata.pixel_size,
                settings=options,
                center=settings.center,
                mask=mask,
                progress=progress,
            )
        calibration = resolve_calibration(settings.calibration, scan.metadata)
        library = get_library(settings.library, calibration.voltage, threads=settings.threads, progress=progress)
        return calibrate_spots(
            scan,
            library,
            calibration,
            settings=options,
            indexing=settings.indexing(),
            mask=mask,
            threads=settings.threads,
            progress=progress,
        )


def toml_text(settings: RunSettings, facts: dict[str, Any]) -> str:
    """The [calibration] table of a run's TOML file, with uncertainties and what is missing as comments."""
    import tomli_w

    size, ratio, angle = (facts[name] for name in ("pixel_size", "ellipse_ratio", "ellipse_angle_deg"))
    table = settings.calibration.to_dict() | {"pixel_size": size["value"]}
    if facts["ellipse_determined"]:
        circle = not facts["elliptic"]
        table["ellipse_ratio"] = 1.0 if circle else ratio["value"]
        table["ellipse_angle_deg"] = 0.0 if circle else angle["value"]
    lines = [
        f"from {facts['source']} of {settings.scan.path}; the scale rests on {facts['scale_rests_on']}",
        f"pixel_size: standard uncertainty {size['uncertainty']:.2g}",
        f"ellipse: ratio {ratio['value']:.5f} +- {ratio['uncertainty']:.2g}, angle {angle['value']:.2f} +-"
        f" {angle['uncertainty']:.2g} degrees" + _circle(facts),
        *(f"doubt: {doubt}" for doubt in facts["doubts"]),
        *(f"not determined: {unknown}" for unknown in facts["not_determined"]),
    ]
    comment = "".join(f"# {' '.join(line.split())}\n" for line in lines)
    return comment + "\n" + tomli_w.dumps({"calibration": table})


def _circle(facts: dict[str, Any]) -> str:
    if not facts["ellipse_determined"]:
        return "; left as it was given"
    return "" if facts["elliptic"] else "; not different from a circle"


def _show(facts: dict[str, Any]) -> None:
    size, ratio, angle = (facts[name] for name in ("pixel_size", "ellipse_ratio", "ellipse_angle_deg"))
    path = facts["center_path"]
    lines: list[tuple[str, object]] = [
        ("pixel size", f"{size['value']:.6f} ± {size['uncertainty']:.6f} 1/angstrom"),
        ("ellipse ratio", f"{ratio['value']:.4f} ± {ratio['uncertainty']:.4f}"),
    ]
    if facts["elliptic"]:
        lines.append(("ellipse angle", f"{angle['value']:.1f} ± {angle['uncertainty']:.1f} degrees, columns to rows"))
    else:
        lines.append(("", _circle(facts).removeprefix("; ")))
    if facts["source"] == "rings":
        (row, column), (d_row, d_column) = facts["center"]["value"], facts["center"]["uncertainty"]
        lines.append(("centre of the rings", f"row {row:.2f} ± {d_row:.2f}, column {column:.2f} ± {d_column:.2f}"))
        lines.append(("from", f"rings in {facts['patterns']} pattern(s)"))
    else:
        lines.append(
            ("from", f"{facts['spots']} spots of {facts['patterns']} patterns, {facts['orientations']} orientations")
        )
        lines.append(("found to predicted", f"{facts['median_distance_after_px']:.3f} px (median)"))
    lines.append(("direct beam", f"row {path['row']:.2f}, column {path['column']:.2f} in the middle of the scan"))
    lines.append(("  wanders by", f"{path['range_rows']:.2f} rows, {path['range_columns']:.2f} columns"))
    lines.append(("scale rests on", facts["scale_rests_on"]))
    lines += [("not determined", text) for text in facts["not_determined"]]
    lines += [("wrote", path) for path in facts["written"]]
    show_pairs(lines)
    if facts["source"] == "rings":
        rows = [
            (
                " ".join(map(str, ring["hkl"])), f"{ring['radius']:.4f}", f"{ring['signal']:.0f}",
                f"{100 * ring['deviation']:+.2f} ± {100 * ring['deviation_uncertainty']:.2f} %",
            )
            for ring in facts["rings"]
            if ring["seen"]
        ]  # fmt: skip
        show_table(("ring", "1/angstrom", "signal / sigma", "own radius"), rows)
