"""nbedex grains: the grains of an orientation map."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from nbedex.cli.figures import add_figure_flags, figure_options
from nbedex.cli.output import progress_bar, show_json, show_pairs
from nbedex.cli.parser import add_command, thread_count

if TYPE_CHECKING:
    from nbedex.grains import GrainMap, GrainSettings, OrientationMap, PooledRivals


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "grains",
        run,
        help="find the grains of a map, and what each is like",
        examples=[
            "nbedex grains map.h5 -o grains.h5 --csv grains.csv --figures figures/",
            "nbedex grains astar.ang --phase 'Na beta=beta2-alumina' --threshold 3 -o grains.h5",
            "nbedex grains ebsd.ctf --confidence BC --step 20 -o grains.h5 --json",
        ],
        description="Takes a result of `nbedex index`, an orix .h5, .ang or .ctf file. Neighbouring regions of one"
        " phase are different grains if their mean orientations differ by more than the threshold.",
    )
    parser.add_argument("map", help="orientation map")
    parser.add_argument("-o", "--output", required=True, metavar="GRAINS.h5", help="file to write")
    parser.add_argument("--csv", metavar="FILE", help="table of the grains, units in its header")
    parser.add_argument("--figures", metavar="FOLDER", help="draw grain map, KAM, GROD, conduction planes, pole figure")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    parser.add_argument("--threads", type=thread_count, default=0, help="0 (default): all available")
    add_source_flags(parser)
    add_grain_flags(parser)
    add_figure_flags(parser)


def add_source_flags(parser: argparse.ArgumentParser) -> None:
    """What a map of another program may not say of itself."""
    group = parser.add_argument_group("the map")
    group.add_argument(
        "--phase", action="append", type=_pair, default=[], metavar="NAME=KEY",
        help="NAME in the map is our phase KEY (see `nbedex phases`) or a CIF; repeat for several",
    )  # fmt: skip
    group.add_argument(
        "--role", action="append", type=_pair, default=[], metavar="NAME=ROLE",
        help="NAME in the map is a grain (conducts), an insulator or an electrode; repeat for several",
    )  # fmt: skip
    group.add_argument("--step", type=_step, metavar="NM[,NM]", help="scan step, nm, along Y and X if they differ")
    group.add_argument("--confidence", metavar="PROPERTY", help="property of the map that is a confidence in [0, 1]")
    group.add_argument(
        "--holes", metavar="MASK.npy", help="booleans of the map's shape, True where there is no specimen"
    )


def add_grain_flags(parser: argparse.ArgumentParser) -> None:
    """How the map is cut into grains."""
    group = parser.add_argument_group("grains")
    group.add_argument("--threshold", type=float, metavar="DEG", help="between grains, degrees (default 5)")
    group.add_argument("--min-size", type=int, metavar="N", help="pixels of the smallest grain (default 10)")
    group.add_argument(
        "--max-gap", type=int, metavar="N", help="not-indexed places up to so many pixels wide are filled (default 4)"
    )
    group.add_argument("--min-confidence", type=float, metavar="C", help="pixels below count as not indexed")
    group.add_argument(
        "--pool-rivals", action="store_true",
        help="pixels take the one of their rival solutions that their grain's pixels together speak for",
    )  # fmt: skip
    group.add_argument(
        "--orientation-floor", type=float, metavar="DEG",
        help="systematic error of an orientation per axis, degrees (default 0.3)",
    )  # fmt: skip
    group.add_argument(
        "--min-inclination", type=float, metavar="DEG",
        help="below this inclination of the conduction plane its trace is not given, degrees (default 3)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from nbedex.files import check_output
    from nbedex.grains import rivals_group, write_grain_map, write_grain_table

    settings = grain_settings(args)
    drawn = figure_options(args)
    for output in filter(None, (args.output, args.csv)):
        check_output(output, overwrite=args.overwrite)
    grain_map, rivals, changed = _found(args, settings)
    more = {} if rivals is None else {"rivals": rivals_group(rivals)}
    written = [write_grain_map(args.output, grain_map, more=more, overwrite=args.overwrite)]
    if args.csv:
        written.append(write_grain_table(args.csv, grain_map, rivals=rivals, overwrite=args.overwrite))
    if args.figures:
        from nbedex.report import plot_grains

        written += plot_grains(grain_map, args.figures, overwrite=args.overwrite, threads=args.threads, **drawn)
    facts = grain_facts(grain_map)
    if rivals is not None:
        facts["ambiguous_grains"] = int(rivals.ambiguous.sum())
        facts["pixels_with_another_solution_percent"] = changed
    if args.json:
        show_json({"written": [str(path) for path in written], **facts})
    elif not args.quiet:
        show_pairs([(name.replace("_", " "), _text(value)) for name, value in facts.items()])
        for path in written:
            print(f"wrote {path}")
    return 0


def _found(args: argparse.Namespace, settings: GrainSettings) -> tuple[GrainMap, PooledRivals | None, float]:
    """The grains; what their pixels' rivals say, where the map has them; share of pixels that took one, percent."""
    from nbedex.grains import find_grains, pool_rivals, resolve_rivals

    source = source_map(args)
    with progress_bar(quiet=args.quiet) as progress:
        if args.pool_rivals:
            found = resolve_rivals(source, settings, progress=progress)
            return found.grain_map, found.rivals, 100 * float(found.changed.mean())
        grain_map = find_grains(source, settings, threads=args.threads, progress=progress)
        rivals = None if source.rival_score is None else pool_rivals(grain_map, progress=progress)
        return grain_map, rivals, 0.0


def source_map(args: argparse.Namespace) -> OrientationMap:
    """The map that the source flags describe."""
    from nbedex.errors import ArgumentError
    from nbedex.grains import read_orientation_map, with_roles
    from nbedex.phases import load_phase
    from nbedex.workflow import load_mask

    for option, pairs in (("--phase", args.phase), ("--role", args.role)):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ArgumentError(f"{option} is given twice for {twice[0]!r}")
    source = read_orientation_map(
        args.map,
        phases={name: load_phase(key) for name, key in args.phase},
        confidence=args.confidence,
        step=args.step,
        hole=load_mask(args.holes) if args.holes else None,
    )
    return with_roles(source, dict(args.role))


def grain_settings(args: argparse.Namespace) -> GrainSettings:
    """The settings that the grain flags give."""
    from nbedex.grains import GrainSettings

    given = {
        "threshold_deg": args.threshold,
        "min_size": args.min_size,
        "max_gap": args.max_gap,
        "min_confidence": args.min_confidence,
        "orientation_floor_deg": args.orientation_floor,
        "min_inclination_deg": args.min_inclination,
    }
    return GrainSettings(**{name: value for name, value in given.items() if value is not None})


def grain_facts(grain_map: GrainMap) -> dict[str, Any]:
    """What one wants to know first."""
    import numpy as np

    from nbedex.grains import Role

    grains = grain_map.grains
    mine = grains.role == Role.GRAIN
    unit = "nm" if grain_map.source.step_known else "px"
    diameter = np.sqrt(4 * grains.area[mine] / np.pi)
    return {
        "grains": int(mine.sum()),
        "insulators": int((grains.role == Role.INSULATOR).sum()),
        "electrodes": int((grains.role == Role.ELECTRODE).sum()),
        "not_indexed_regions": int((grains.role == Role.NOT_INDEXED).sum()),
        "holes": int((grains.role == Role.HOLE).sum()),
        f"median_diameter_{unit}": float(np.median(diameter)) if diameter.size else None,
        f"mean_diameter_{unit}": float(diameter.mean()) if diameter.size else None,
        "median_spread_deg": float(np.median(grains.spread_deg[mine])) if diameter.size else None,
        "absorbed_pixels_percent": 100 * float(grain_map.absorbed.mean()),
    }


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _pair(text: str) -> tuple[str, str]:
    # a name may hold an equals sign, a key of ours doesn't
    name, separator, key = text.rpartition("=")
    if not separator or not name or not key:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, key


def _step(text: str) -> tuple[float, float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 2) or not all(0 < value < float("inf") for value in values):
        raise argparse.ArgumentTypeError(f"expected a length in nm, or Y,X, got {text!r}")
    return values[0], values[-1]
