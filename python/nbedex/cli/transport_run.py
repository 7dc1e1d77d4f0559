"""What `nbedex transport` does: flags to options, the calculation, tables and files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbedex.cli.figures import check_picture, figure_options
from nbedex.cli.output import progress_bar, show_json, show_pairs, show_table
from nbedex.errors import ArgumentError, DataFormatError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nbedex.boundaries import BoundaryNetwork
    from nbedex.progress import Progress
    from nbedex.transport import BoundaryCurrents, Problem, RegionMap, Solution, TransportSettings
    from nbedex.transport.run_settings import TransportRun

_OPTIONS = (
    "model", "in_plane", "anisotropy", "boundary_width", "boundary_ratio", "boundary_path", "backbone_ratio",
    "thickness", "pixel", "refine", "not_indexed", "tolerance", "solver", "straighten",
)  # fmt: skip


def run_transport(args: argparse.Namespace) -> int:
    """Calculate, write, show."""
    from nbedex.files import check_output
    from nbedex.transport import boundary_currents, build_problem, solve

    for path in (args.to, args.sweep_to):
        if path:
            check_picture(path, args)
    for path in (args.output, args.vtk, args.csv, args.blockade):
        if path:
            check_output(path, overwrite=args.overwrite)
    if args.blockade and args.table:
        raise ArgumentError("--blockade needs the boundaries of a grain file, not an image of region numbers")
    if args.sweep_to and not args.sweep:
        raise ArgumentError("--sweep-to draws a sweep; say what to vary with --sweep")
    regions, network = _read(args)
    options = run_options(args, regions)
    settings = options.transport
    electrodes = [electrode.electrode() for electrode in options.electrode]
    problem = build_problem(regions, electrodes, settings, insulators=options.insulators, mask=_mask(args))
    with progress_bar(quiet=args.quiet) as progress:
        solution = solve(problem, settings, progress=progress)
        boundaries = boundary_currents(solution, network=network)
        facts, spread = _more(args, problem, solution, regions, settings, progress)
    facts["written"] = _write(args, solution, boundaries, spread, facts)
    if network is not None:
        facts |= _blockade(args, solution, network, facts)
    if args.json:
        show_json(facts)
    elif not args.quiet:
        _show(facts, boundaries)
    return 0


def run_options(args: argparse.Namespace, regions: RegionMap) -> TransportRun:
    """The configuration file's options with flags over them."""
    from nbedex.settings import settings_from_dict, settings_from_toml
    from nbedex.transport.run_settings import TransportRun

    values = settings_from_toml(TransportRun, args.config).to_dict() if args.config else {}
    table = values.setdefault("transport", {})
    table.update({key: getattr(args, key) for key in _OPTIONS if getattr(args, key) is not None})
    if args.pair is not None:
        table["refinement_pair"] = args.pair
    if args.allow_isolated:
        table["allow_isolated"] = True
    if args.conductivity:
        table["phases"] = table.get("phases", {}) | dict(_conductivity(text) for text in args.conductivity)
    backbone = _backbone(args, regions, table)
    if backbone is not None:
        table["backbone"] = backbone
    given = [{"where": where, "potential": volts} for where, volts in map(_potential, args.electrode or ())]
    given += [{"where": where, "potential": 0.0} for where in args.ground or ()]
    given += [{"where": where, "current": amperes} for where, amperes in map(_current, args.current or ())]
    if given:
        values["electrode"] = given
    if args.insulator:
        values["insulators"] = [*values.get("insulators", []), *args.insulator]
    return settings_from_dict(TransportRun, values, where="options")


def _number(text: str, option: str, wanted: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArgumentError(f"expected {option} {wanted}, got {text!r}") from None


def _potential(text: str) -> tuple[str, float]:
    where, equals, volts = text.partition("=")
    return where, _number(volts, "--electrode", "WHERE=VOLTS") if equals else 1.0


def _current(text: str) -> tuple[str, float]:
    where, equals, amperes = text.partition("=")
    if not equals:
        raise ArgumentError(f"expected --current WHERE=AMPERES, got {text!r}")
    return where, _number(amperes, "--current", "WHERE=AMPERES")


def _conductivity(text: str) -> tuple[str, float | list[float]]:
    phase, equals, values = text.partition("=")
    numbers = [_number(value, "--conductivity", "PHASE=S/M or PHASE=S/M,S/M") for value in values.split(",")]
    if not equals or len(numbers) > 2:
        raise ArgumentError(f"expected --conductivity PHASE=S/M or PHASE=S/M,S/M, got {text!r}")
    return phase, numbers if len(numbers) == 2 else numbers[0]


def _backbone(args: argparse.Namespace, regions: RegionMap, table: dict[str, Any]) -> list[float] | None:
    if args.system == "reduced":
        if args.backbone:
            raise ArgumentError("the reduced system has no frame: leave --backbone out, or use --system full")
        return [0.0] * 4
    if args.backbone:
        widths = [_number(part, "--backbone", "NM or LEFT,RIGHT,TOP,BOTTOM") for part in args.backbone.split(",")]
        if len(widths) not in (1, 4):
            raise ArgumentError(f"expected --backbone NM or LEFT,RIGHT,TOP,BOTTOM, got {args.backbone!r}")
        return widths * 4 if len(widths) == 1 else widths
    if args.system == "full" and not any(table.get("backbone", ())):
        (ny, nx), (dy, dx) = regions.region.shape, regions.step
        return [0.5 * min(ny * dy, nx * dx)] * 4
    return None


def _read(args: argparse.Namespace) -> tuple[RegionMap, BoundaryNetwork | None]:
    from nbedex.transport import regions_from_table, regions_of

    if args.table:
        if args.scan_step is None:
            raise ArgumentError("an image of region numbers needs its pixel size: --scan-step NM")
        if not args.scan_step > 0:
            raise ArgumentError(f"the pixel size must be positive, got {args.scan_step:g} nm")
        return regions_from_table(_image(args.map), args.table, step=(args.scan_step, args.scan_step)), None
    from nbedex.boundaries import trace_boundaries
    from nbedex.grains import read_grain_map

    grain_map = read_grain_map(args.map)
    return regions_of(grain_map), trace_boundaries(grain_map)


def _image(path: str) -> NDArray[np.integer[Any]]:
    """A file with one image of whole numbers."""
    import numpy as np

    from nbedex.scan.image import open_patterns
    from nbedex.scan.npy import read_npy

    if path.lower().endswith(".npy"):
        try:
            image = read_npy(Path(path))
        except FileNotFoundError:
            raise ArgumentError(f"expected an image, found no file at {path}") from None
        except OSError as error:
            raise DataFormatError(f"{path} can't be read as an image: {error.strerror or error}") from None
    else:
        with open_patterns(path) as scan:
            image = np.asarray(scan.read(0, 1))[0]
    if image.ndim != 2 or image.dtype.kind not in "iu":
        raise DataFormatError(f"{path}: expected an image of whole numbers, got {image.dtype} of shape {image.shape}")
    return np.asarray(image)


def _mask(args: argparse.Namespace) -> NDArray[np.integer[Any]] | None:
    return _image(args.mask) if args.mask else None


def _more(
    args: argparse.Namespace,
    problem: Problem,
    solution: Solution,
    regions: RegionMap,
    settings: TransportSettings,
    progress: Progress,
) -> tuple[dict[str, Any], Any]:
    """Facts of the solution and of what else was asked for."""
    from nbedex.transport import effective_conductivity, sample_orientations, summary_of

    facts, spread = summary_of(solution), None
    if args.effective:
        effective = effective_conductivity(problem.structure, settings)
        values, direction = effective.principal
        facts["effective"] = {
            "tensor_S_per_m": effective.tensor.tolist(),
            "principal_S_per_m": values.tolist(),
            "direction_deg": float(direction),
            "insulated_sides_S_per_m": effective.insulated.tolist(),
        }
    if args.compare:
        facts["models"] = _models(problem, settings)
    if args.draws:
        spread = sample_orientations(
            problem, regions.orientation_error_deg, settings, draws=args.draws, seed=args.seed, progress=progress
        )
        facts["orientations"] = {
            "draws": args.draws,
            "seed": args.seed,
            "resistance_mean_ohm": float(spread.resistance.mean()),
            "resistance_sigma_ohm": float(spread.resistance.std(ddof=1)),
        }
    if args.sweep:
        facts["sweep"] = _sweep(args, problem, settings, progress)
    return facts, spread


def _models(problem: Problem, settings: TransportSettings) -> dict[str, Any]:
    from dataclasses import fields

    import msgspec.structs

    from nbedex.transport import compare_models, solve

    both = [
        solve(problem, msgspec.structs.replace(settings, model=model, refinement_pair=False))
        for model in ("ding2024", "tensor")
    ]
    found = compare_models(both[0], both[1])
    columns = {f.name: getattr(found, f.name).tolist() for f in fields(found) if f.name != "resistance_ratio"}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return {"resistance_published_over_tensor": found.resistance_ratio, "regions": rows}


def _sweep(
    args: argparse.Namespace, problem: Problem, settings: TransportSettings, progress: Progress
) -> dict[str, Any]:
    from dataclasses import fields

    from nbedex.transport import sweep

    what, equals, text = args.sweep.partition("=")
    if not equals:
        raise ArgumentError(f"expected --sweep WHAT=V1,V2,..., got {args.sweep!r}")
    values = [_number(part, "--sweep", "WHAT=V1,V2,...") for part in text.split(",")]
    target = [_number(part, "--target", "X,Y,Z") for part in args.target.split(",")]
    result = sweep(problem, what, values, settings, target=target, progress=progress)
    if args.sweep_to:
        from nbedex.report.current import plot_sweep

        plot_sweep(result, args.sweep_to, overwrite=args.overwrite, **figure_options(args))
    columns = {f.name: getattr(result, f.name) for f in fields(result)}
    return {name: column if name == "what" else column.tolist() for name, column in columns.items()}


def _blockade(
    args: argparse.Namespace, solution: Solution, network: BoundaryNetwork, facts: dict[str, Any]
) -> dict[str, Any]:
    """Classes and verdicts of all boundaries with the local field in the place of a uniform one."""
    from nbedex.blockade import Level, analyse_blockade
    from nbedex.blockade.tables import csv_of, segment_columns
    from nbedex.files import write_atomically
    from nbedex.transport import local_field

    source = network.grain_map.source
    blockade = analyse_blockade(network, local_field(solution, source.shape, source.step))
    length = network.boundaries.length
    level = blockade.segments.level
    share = {kind.name.lower(): float(length[level == kind].sum() / length.sum()) for kind in Level}
    written = list(facts["written"])
    if args.blockade:
        columns = segment_columns(blockade)
        written.append(str(write_atomically(args.blockade, csv_of(columns), overwrite=args.overwrite)))
    return {"length_share_with_local_field": share, "written": written}


def _write(
    args: argparse.Namespace, solution: Solution, boundaries: BoundaryCurrents, spread: Any, facts: dict[str, Any]
) -> list[str]:
    from nbedex.transport import write_boundary_csv, write_current, write_vtk

    written = []
    if args.output:
        from nbedex.provenance import software

        provenance = {"map": args.map, "software": software(), "more": facts}
        written.append(
            write_current(args.output, solution, boundaries, provenance=provenance, overwrite=args.overwrite)
        )
    if args.vtk:
        written.append(write_vtk(args.vtk, solution, overwrite=args.overwrite))
    if args.csv:
        written.append(write_boundary_csv(args.csv, boundaries, overwrite=args.overwrite))
    if args.to:
        from nbedex.report.current import plot_current

        written += plot_current(
            solution, args.to, boundaries=boundaries, spread=spread, kind=args.kind, overwrite=args.overwrite,
            **figure_options(args),
        )  # fmt: skip
    if args.sweep_to:
        from nbedex.report.style import FigureStyle

        style = FigureStyle.for_file(args.sweep_to, **figure_options(args))
        written += style.files(args.sweep_to)
    return [str(path) for path in written]


def _show(facts: dict[str, Any], boundaries: BoundaryCurrents) -> None:
    rows: list[tuple[str, object]] = [("model", facts["model"])]
    if facts["resistance_ohm"] is not None:
        error = facts["resistance_uncertainty_ohm"]
        text = "" if error is None else f" ± {error:.2g}"
        rows.append(("resistance", f"{facts['resistance_ohm']:.6g} Ω{text}"))
    for electrode in facts["electrodes"]:
        rows.append((electrode["name"], f"{electrode['potential_V']:.6g} V, {electrode['current_A']:.6g} A"))
    if facts["map_change"] is not None:
        rows.append(("error of the map", f"{100 * facts['map_change']:.0f} % rms change when cells are halved"))
    rows.append(("residual", f"{facts['residual']:.1e} ({facts['solver']}, {facts['unknowns']} unknowns)"))
    rows.append(("charge balance", f"{facts['charge_balance']:.1e}; worst cell {facts['cell_imbalance']:.1e}"))
    if facts["floating_regions"]:
        rows.append(("floating", f"{facts['floating_regions']} regions, {facts['floating_cells']} cells: no potential"))
    if "effective" in facts:
        first, second = facts["effective"]["principal_S_per_m"]
        direction = facts["effective"]["direction_deg"]
        rows.append(("effective", f"{first:.4g} S/m at {direction:.1f}° from X, {second:.4g} S/m across"))
    if "models" in facts:
        ratio = facts["models"]["resistance_published_over_tensor"]
        rows.append(("ding2024 / tensor", f"resistance ratio {ratio:.4g}"))
    if "orientations" in facts:
        spread = facts["orientations"]
        rows.append(
            ("orientations", f"{spread['resistance_mean_ohm']:.4g} ± {spread['resistance_sigma_ohm']:.2g} Ω in draws")
        )
    if "length_share_with_local_field" in facts:
        shares = facts["length_share_with_local_field"].items()
        text = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares if share > 0)
        rows.append(("boundaries", f"{text} of their length, with the local field"))
    rows += [("note", note) for note in facts["notes"]] + [("wrote", path) for path in facts["written"]]
    show_pairs(rows)
    if "models" in facts:
        show_table(
            ("region", "inclination, °", "trace off X or Y, °", "current, times", "turned, °", "rms change, %"),
            [
                (
                    row["region"], f"{row['inclination_deg']:.0f}", f"{row['off_axis_deg']:.0f}", f"{row['ratio']:.3g}",
                    f"{row['angle_deg']:.0f}", f"{100 * row['change']:.0f}",
                )
                for row in sorted(facts["models"]["regions"], key=lambda row: -row["change"])[:10]
            ],
            title="Grains in which ding2024 differs most from tensor",
        )  # fmt: skip
    worst = (-abs(boundaries.accumulation)).argsort(kind="stable")[:10]
    show_table(
        ("boundary", "class", "accumulation", "across, A/m²", "jump, V"),
        [
            (
                f"{boundaries.low[i]}/{boundaries.high[i]}", boundaries.labels[i], f"{boundaries.accumulation[i]:+.3f}",
                f"{boundaries.flux_across[i]:.3g}", f"{boundaries.potential_jump[i]:.3g}",
            )
            for i in worst.tolist()
        ],
        title="Boundaries of most accumulation, with the local field",
    )  # fmt: skip
