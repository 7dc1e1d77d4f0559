"""nbedex rotation: how the detector is turned against the scan."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from nbedex.cli.figures import add_figure_flags, check_picture, figure_options
from nbedex.cli.output import progress_bar, show_json, show_pairs
from nbedex.cli.parser import add_command, shape, thread_count

log = logging.getLogger(__name__)


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "rotation",
        run,
        help="rotation and handedness of the detector against the scan",
        examples=[
            "nbedex rotation scan.hspy --to rotation.png",
            "nbedex rotation --image moo3_image.tif --pattern moo3_pattern.tif --pixel-size 0.0102",
            "nbedex index scan.hspy --rotation -80.9 --phase nzsp -o map.h5",
        ],
        description="From a scan: a thin specimen deflects the beam by the gradient of its potential, which has no"
        " curl; the detector is turned, and mirrored or not, as leaves the least. From a lath-shaped crystal such as"
        " MoO3: its long edge in an image made by the same scan, and the row of spots along it in a pattern. Both leave"
        " half a turn open; one edge leaves the handedness open, too. Says so where the data don't show it.",
    )
    parser.add_argument("scan", nargs="?", help="4D-STEM file whose direct beam is not cut off")
    parser.add_argument("--dataset", help="path of the dataset in an HDF5 file that holds several")
    parser.add_argument("--scan-shape", type=shape, metavar="ROWS,COLUMNS", help="for files that don't say")
    parser.add_argument("--beam-radius", type=float, metavar="PX", help="radius of the direct beam (default 3)")
    parser.add_argument("--image", metavar="FILE", help="image of the crystal, columns and rows as those of the scan")
    parser.add_argument("--pattern", metavar="FILE", help="diffraction pattern of it")
    parser.add_argument("--pixel-size", type=float, metavar="K", help="of the pattern, 1/angstrom per pixel")
    parser.add_argument(
        "--spacings", metavar="D1,D2",
        help="of lattice planes, angstrom: spots along the edge, and across it (default 3.697,3.963: MoO3)",
    )  # fmt: skip
    parser.add_argument("--ellipse-ratio", type=float, default=1.0, help="of the camera, from `nbedex calibrate`")
    parser.add_argument("--ellipse-angle", type=float, default=0.0, metavar="DEG", help="direction of its long radius")
    parser.add_argument("--to", metavar="FILE.png", help="picture to write")
    parser.add_argument("--overwrite", action="store_true", help="replace it if it exists")
    parser.add_argument("--threads", type=thread_count, default=0, help="0 (default): all available")
    add_figure_flags(parser)


def run(args: argparse.Namespace) -> int:
    from nbedex.errors import ArgumentError

    edge = args.image or args.pattern
    if bool(edge) == bool(args.scan) or bool(args.image) != bool(args.pattern):
        raise ArgumentError("give a scan, or both an image (--image) and a pattern (--pattern) of a crystal")
    if args.to:
        check_picture(args.to, args)
    facts = _from_edge(args) if edge else _from_scan(args)
    if args.json:
        show_json(facts)
    elif not args.quiet:
        show_pairs([(name.replace("_", " "), value) for name, value in facts.items() if name != "not_determined"])
        show_pairs([("not determined", text) for text in facts["not_determined"]])
    return 0


def _from_scan(args: argparse.Namespace) -> dict[str, Any]:
    from nbedex.calibrating.deflections import beam_positions
    from nbedex.calibrating.rotation import rotation_from_deflections
    from nbedex.indexing import CenterSettings
    from nbedex.scan import open_scan
    from nbedex.settings import settings_from_dict

    given = {} if args.beam_radius is None else {"beam_radius": args.beam_radius}
    center = settings_from_dict(CenterSettings, given, where="command line")
    with (
        open_scan(args.scan, dataset=args.dataset, scan_shape=args.scan_shape) as scan,
        progress_bar(quiet=args.quiet) as progress,
    ):
        beam = beam_positions(scan, center, threads=args.threads, progress=progress)
    found = rotation_from_deflections(beam)
    written = []
    if args.to:
        from nbedex.report.rotation import plot_deflections

        written = plot_deflections(beam, found, args.to, overwrite=args.overwrite, **figure_options(args))
    known = found.flipped is not None
    missing = ["half a turn: rotation_deg + 180 is as good; the sign of the deflections is not known"]
    if not known:
        missing = [
            f"rotation and handedness: the deflections of the beam look like noise, or like no gradient (uncertainty"
            f" {found.uncertainty_deg:.0f} degrees, one handedness ahead by {found.lead:.1f} standard deviations; 10"
            " and 3 are needed). Take a thin specimen with edges or holes, more counts in the beam, or MoO3 (--image)"
        ]
    return {
        "source": "deflections",
        "rotation_deg": found.rotation_deg if known else None,
        "uncertainty_deg": found.uncertainty_deg if known else None,
        "flipped": found.flipped,
        "curl_share": list(found.curl_share),
        "not_determined": missing,
        "written": [str(path) for path in written],
    }


def _from_edge(args: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from nbedex.calibrating.edge_rotation import MOO3, rotation_from_edge
    from nbedex.calibration import Calibration
    from nbedex.errors import ArgumentError
    from nbedex.scan import open_patterns

    images = []
    for path in (args.image, args.pattern):
        with open_patterns(path) as scan:
            if scan.size != 1:
                raise ArgumentError(f"{path} holds {scan.size} patterns; a single image is needed")
            images.append(scan.read(0, 1)[0].astype(float))
            size = args.pixel_size or scan.metadata.pixel_size
    if not size or size <= 0:
        raise ArgumentError("the pattern does not say its pixel size; give --pixel-size, 1/angstrom per pixel")
    spacings = MOO3
    if args.spacings:
        try:
            first, second = (float(part) for part in args.spacings.split(","))
        except ValueError:
            raise ArgumentError(f"--spacings expects two numbers such as 3.697,3.963, got {args.spacings!r}") from None
        if min(first, second) <= 0:
            raise ArgumentError(f"--spacings must be positive, got {args.spacings}")
        spacings = (first, second)
    camera = Calibration(
        pixel_size=size, voltage=300.0, ellipse_ratio=args.ellipse_ratio, ellipse_angle_deg=args.ellipse_angle
    )
    undistort = np.linalg.inv(camera.detector_from_sample()) / size
    found = rotation_from_edge(images[0], images[1], pixel_size=size, spacings=spacings, undistort=undistort)
    written = []
    if args.to:
        from nbedex.report.rotation import plot_edge

        written = plot_edge(images[0], images[1], found, args.to, overwrite=args.overwrite, **figure_options(args))
    return {
        "source": "edge",
        "rotation_deg": found.rotation_deg,
        "rotation_if_flipped_deg": found.flipped_rotation_deg,
        "uncertainty_deg": found.uncertainty_deg,
        "edge_deg": found.edge_deg,
        "parallel_edges": found.edges,
        "spots_deg": found.row_deg,
        "angle_of_the_net_deg": found.angle_deg,
        "not_determined": [
            "half a turn: edge and spots look the same then",
            "handedness: one edge fits a mirrored detector as well, with the other rotation",
        ],
        "written": [str(path) for path in written],
    }
