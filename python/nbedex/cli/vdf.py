"""nbedex vdf: virtual dark-field images."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from nbedex.cli.figures import add_figure_flags, check_picture, figure_options
from nbedex.cli.options import CALIBRATION_FLAGS, SCAN_FLAGS, add_flags, given
from nbedex.cli.output import progress_bar, show_json
from nbedex.cli.parser import add_command, thread_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from nbedex.calibration import Calibration
    from nbedex.grains.dark_field import Apertures
    from nbedex.maps import IndexingResult
    from nbedex.phases import Phase
    from nbedex.scan import Scan
    from nbedex.workflow import ScanOptions


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "vdf",
        run,
        help="virtual dark-field images from the reflections of grains, or from chosen ones",
        examples=[
            "nbedex vdf scan.hspy --map map.h5 --grains grains.h5 -o vdf.h5 --figure vdf.png",
            "nbedex vdf scan.hspy --map map.h5 --grains grains.h5 --grain 4 --grain 7 -o pair.npy",
            "nbedex vdf scan.hspy --pixel-size 0.0094 --voltage 300 --at 0.268,0 --at=-0.268,0 -o spots.npy",
        ],
        description="Grains are imaged in the strongest reflections of their simulated pattern that no neighbouring"
        " grain shares; chosen positions one by one. The scan is read in blocks.",
    )
    parser.add_argument("scan", help="4D-STEM file")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help=".h5, or .npy for the images alone")
    parser.add_argument("--figure", metavar="FILE.png", help="overlay in colours, and the single images")
    parser.add_argument("--map", metavar="MAP.h5", help="result of `nbedex index`: calibration, centres and phases")
    parser.add_argument("--grains", metavar="GRAINS.h5", help="from `nbedex grains`")
    parser.add_argument("--grain", type=int, action="append", metavar="N", help="only these grains; repeat for several")
    parser.add_argument(
        "--at", type=_pair, action="append", metavar="KX,KY",
        help="position of a reflection in the sample frame, 1/angstrom; repeat for several",
    )  # fmt: skip
    parser.add_argument("--center", type=_pair, metavar="ROW,COLUMN", help="direct beam, pixels, instead of the map's")
    parser.add_argument("--radius", type=float, default=0.03, help="of the apertures, 1/angstrom (default 0.03)")
    parser.add_argument(
        "--hkl", type=_indices, action="append", default=[], metavar="H,K,L",
        help="only these reflections of the grains and their equivalents; repeat for several (--hkl=0,0,-3)",
    )  # fmt: skip
    parser.add_argument("--most", type=int, default=24, metavar="N", help="reflections of a grain (default 24)")
    parser.add_argument("--shared", action="store_true", help="also reflections that a neighbouring grain shares")
    parser.add_argument("--keep-background", action="store_true", help="don't take off the ring round each aperture")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    parser.add_argument("--threads", type=thread_count, default=0, help="0 (default): all available")
    add_flags(parser.add_argument_group("data"), SCAN_FLAGS)
    add_flags(parser.add_argument_group("calibration, without --map"), CALIBRATION_FLAGS)
    add_figure_flags(parser)


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from nbedex.errors import ArgumentError
    from nbedex.files import check_output
    from nbedex.grains.dark_field import virtual_dark_field
    from nbedex.maps import read_result
    from nbedex.workflow.inputs import binned_mask, load_mask, opened

    if bool(args.grains) == bool(args.at):
        raise ArgumentError("say what to image: grains (--grains GRAINS.h5) or positions (--at KX,KY)")
    if Path(args.output).suffix.lower() not in (".h5", ".hdf5", ".npy"):
        raise ArgumentError(f"the output must end in .h5 or .npy, got {args.output}")
    check_output(args.output, overwrite=args.overwrite)
    if args.figure:
        check_picture(args.figure, args)
    result = read_result(args.map) if args.map else None
    options = _scan_options(args, result)
    with opened(options) as scan:
        calibration = _calibration(args, result, scan)
        apertures = _apertures(args, result, calibration)
        with progress_bar(quiet=args.quiet) as progress:
            images = virtual_dark_field(
                scan,
                apertures,
                calibration,
                _center(args, result, scan),
                background=not args.keep_background,
                mask=binned_mask(load_mask(options.mask), scan.binning) if options.mask else None,
                threads=args.threads,
                progress=progress,
            )
    written = [_write(args, images, apertures)]
    if args.figure:
        from nbedex.report import plot_dark_field

        names = [aperture.name for aperture in apertures]
        step = result.calibration.step if result is not None else None
        written += plot_dark_field(
            images, names, args.figure, step=step, overwrite=args.overwrite, **figure_options(args)
        )
    if args.json:
        images_of = [{"name": a.name, "reflections": len(a.position)} for a in apertures]
        show_json({"written": [str(path) for path in written], "images": images_of})
    elif not args.quiet:
        for path in written:
            print(f"wrote {path}")
    return 0


def _scan_options(args: argparse.Namespace, result: IndexingResult | None) -> ScanOptions:
    """How to read the scan: as the map's run did, but for what is said here."""
    from nbedex.errors import ArgumentError
    from nbedex.workflow import ScanOptions

    said = given(args, SCAN_FLAGS).get("scan", {})
    if result is None:
        return ScanOptions(path=args.scan, **said)
    run = result.provenance.get("run", {}).get("scan", {})
    factor = int(run.get("bin", 1))
    if said.get("bin", factor) != factor:
        raise ArgumentError(
            f"--bin {said['bin']} and --map: the map's run binned the detector by {factor}, and its calibration and"
            " centres are for that; leave --bin out"
        )
    known = {"dataset": run.get("dataset"), "shape": tuple(run["shape"]) if run.get("shape") else None, "bin": factor}
    return ScanOptions(path=args.scan, **known | said)


def _calibration(args: argparse.Namespace, result: IndexingResult | None, scan: Scan) -> Calibration:
    from dataclasses import replace

    from nbedex.errors import ArgumentError
    from nbedex.workflow import CalibrationOptions
    from nbedex.workflow.inputs import stored_calibration

    flags = given(args, CALIBRATION_FLAGS).get("calibration", {})
    if result is None:
        stored = stored_calibration(CalibrationOptions(**flags), scan)
        return replace(stored, pixel_size=stored.pixel_size * scan.binning)
    if flags:
        raise ArgumentError(f"--{next(iter(flags)).replace('_', '-')} and --map: the map has the calibration already")
    if result.shape != scan.scan_shape:
        raise ArgumentError(f"the map is {result.shape[0]} x {result.shape[1]}, the scan {scan.scan_shape}")
    return result.calibration


def _center(args: argparse.Namespace, result: IndexingResult | None, scan: Scan) -> NDArray[np.float64]:
    import numpy as np

    from nbedex.workflow.inputs import binned_position

    if args.center:
        return np.array(binned_position(args.center, scan.binning))
    if result is not None:
        return result.center.astype(np.float64)
    return (np.array(scan.frame_shape) - 1) / 2


def _apertures(args: argparse.Namespace, result: IndexingResult | None, calibration: Calibration) -> list[Apertures]:
    import numpy as np

    from nbedex.grains import Role, read_grain_map
    from nbedex.grains.dark_field import Apertures, ReflectionChoice, grain_apertures
    from nbedex.library import SimulationSettings

    if args.at:
        return [Apertures(f"{x:g}, {y:g} 1/Å", np.array([[x, y]]), args.radius) for x, y in args.at]
    grain_map = read_grain_map(args.grains)
    usable = (grain_map.grains.role != Role.NOT_INDEXED) & np.isfinite(grain_map.grains.orientation[:, 0])
    grains = args.grain if args.grain is not None else np.flatnonzero(usable).tolist()
    return grain_apertures(
        grain_map,
        grains,
        _phases([phase.name for phase in grain_map.source.phases], result),
        SimulationSettings(voltage=calibration.voltage),
        radius=args.radius,
        choice=ReflectionChoice(most=args.most, own=not args.shared, hkl=tuple(args.hkl)),
    )


def _phases(names: Sequence[str], result: IndexingResult | None) -> dict[str, Phase]:
    """Structures by name: those of the map, else those of ours that have the name."""
    from nbedex.phases import load_phase, phase_names

    known = {phase.name: phase for phase in result.phases} if result is not None else {}
    return {name: known[name] if name in known else load_phase(name) for name in names
            if name in known or name in phase_names()}  # fmt: skip


def _write(args: argparse.Namespace, images: NDArray[np.float32], apertures: Sequence[Apertures]) -> Any:
    import io
    from pathlib import Path

    import numpy as np

    from nbedex.files import write_atomically
    from nbedex.grains import Group, write_groups

    if Path(args.output).suffix.lower() == ".npy":
        stream = io.BytesIO()
        np.save(stream, images, allow_pickle=False)
        return write_atomically(args.output, [stream.getbuffer()], overwrite=args.overwrite)
    texts = [
        {"name": a.name, "radius_inverse_angstrom": a.radius, "positions_inverse_angstrom": a.position}
        for a in apertures
    ]
    group = Group(arrays={"images": images}, texts={"apertures": texts, "scan": str(args.scan)})
    return write_groups(args.output, {"dark_field": group}, overwrite=args.overwrite)


def _indices(text: str) -> tuple[int, int, int]:
    try:
        first, second, third = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected three Miller indices such as 0,0,3, got {text!r}") from None
    return first, second, third


def _pair(text: str) -> tuple[float, float]:
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected two numbers with a comma between, got {text!r}") from None
    return first, second
