"""nbedex transport: where the current flows."""

from __future__ import annotations

import argparse
from typing import Any

from nbedex.cli.figures import add_figure_flags
from nbedex.cli.parser import add_command


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "transport",
        run,
        help="direct current, potential and field in the microstructure",
        examples=[
            "nbedex transport grains.h5 --electrode top:10-400 --ground right -o current.h5 --to current.png",
            "nbedex transport grains.h5 --electrode left --ground right --model ding2024 --compare",
            "nbedex transport labels.npy --table regions.csv --scan-step 4 --electrode top --ground bottom",
            "nbedex transport grains.h5 --electrode left --ground right --sweep texture=0,0.25,0.5,0.75,1",
        ],
        description="Places: left, right, top, bottom (whole edges), top:10-40 (nm from the left or top end),"
        " top:10%%-40%%, rect:X0,Y0,X1,Y1, disc:X,Y,RADIUS, polygon:X,Y,X,Y,X,Y (nm), region:N, phase:NAME,"
        " mask:VALUE.",
    )
    parser.add_argument("map", help="grain file, or an image of region numbers (.npy, .tif, .png) with --table")
    parser.add_argument("--config", metavar="FILE.toml", help="options from a file; flags given here take precedence")
    _add_geometry(parser.add_argument_group("geometry"))
    _add_material(parser.add_argument_group("conductivities"))
    _add_numerics(parser.add_argument_group("calculation"))
    _add_more(parser.add_argument_group("what else to calculate"))
    _add_outputs(parser.add_argument_group("outputs"))
    add_figure_flags(parser)


def _add_geometry(group: Any) -> None:
    group.add_argument("--table", metavar="REGIONS.csv", help="label, phase, normal_x, normal_y, normal_z of an image")
    group.add_argument("--scan-step", type=float, metavar="NM", help="pixel size of an image of region numbers")
    group.add_argument(
        "--electrode", action="append", metavar="WHERE[=VOLTS]", help="metal at a potential (default 1 V)"
    )
    group.add_argument("--ground", action="append", metavar="WHERE", help="metal at 0 V")
    group.add_argument("--current", action="append", metavar="WHERE=AMPERES", help="metal with a given current")
    group.add_argument("--insulator", action="append", metavar="WHERE", help="cells that don't conduct")
    group.add_argument("--mask", metavar="IMAGE", help="whole numbers of the map's size for places mask:VALUE")
    group.add_argument("--backbone", metavar="NM", help="frame around the map: one width, or LEFT,RIGHT,TOP,BOTTOM")
    group.add_argument(
        "--system",
        choices=("full", "reduced"),
        help="as published: full has a frame (half the map's shorter side if --backbone is not given), reduced none",
    )
    group.add_argument("--thickness", type=float, metavar="NM", help="of the lamella (default 100)")
    group.add_argument("--pixel", type=float, metavar="NM", help="cell size, independent of the map's pixels")
    group.add_argument("--refine", type=int, metavar="N", help="cells along a pixel (default 1)")


def _add_material(group: Any) -> None:
    group.add_argument("--sigma", type=float, dest="in_plane", metavar="S/M", help="along planes (default 1)")
    group.add_argument("--anisotropy", type=float, metavar="N", help="along over across planes (default 1000)")
    group.add_argument(
        "--conductivity", action="append", metavar="PHASE=S/M[,S/M]", help="of a phase; two: along and across planes"
    )
    group.add_argument("--boundary-width", type=float, metavar="NM", help="of grain boundaries (default 1)")
    group.add_argument("--boundary-ratio", type=float, metavar="N", help="along planes over boundaries (default 20)")
    group.add_argument("--boundary-path", type=float, metavar="N", help="along boundaries over planes (default 0)")
    group.add_argument("--backbone-ratio", type=float, metavar="N", help="along planes over frame (default 250)")
    group.add_argument("--not-indexed", type=float, metavar="S/M", help="of pixels not indexed (default: insulating)")


def _add_numerics(group: Any) -> None:
    group.add_argument("--model", choices=("tensor", "ding2024"), help="default: tensor")
    group.add_argument("--pair", action=argparse.BooleanOptionalAction, help="solve on halved cells too, for the error")
    group.add_argument("--straighten", action=argparse.BooleanOptionalAction, help="true length of steps (default)")
    group.add_argument("--allow-isolated", action="store_true", help="electrodes may be on a small isolated region")
    group.add_argument("--tolerance", type=float, metavar="X", help="of residual and charge (default 1e-8)")
    group.add_argument("--solver", choices=("auto", "dissection", "superlu"), help="default: auto")


def _add_more(group: Any) -> None:
    group.add_argument("--compare", action="store_true", help="both models, and where they differ")
    group.add_argument("--effective", action="store_true", help="effective conductivity tensor")
    group.add_argument("--draws", type=int, default=0, metavar="N", help="solve N draws of the orientations' errors")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of the draws (default 0)")
    group.add_argument(
        "--sweep",
        metavar="WHAT=VALUES",
        help="direction, anisotropy, boundary-ratio, boundary-path or texture = V1,V2,...",
    )
    group.add_argument("--target", default="0,0,1", metavar="X,Y,Z", help="normal texture turns to (default 0,0,1)")


def _add_outputs(group: Any) -> None:
    group.add_argument("-o", "--output", metavar="CURRENT.h5", help="everything, as HDF5")
    group.add_argument("--vtk", metavar="FILE.vti", help="maps for ParaView")
    group.add_argument("--csv", metavar="FILE.csv", help="table of boundaries")
    group.add_argument(
        "--blockade", metavar="FILE.csv", help="blocking of boundaries with the local field (grain files)"
    )
    group.add_argument("--to", metavar="FILE.png", help="figure")
    group.add_argument(
        "--kind", choices=("overview", "current", "potential", "field", "boundaries"), default="overview",
        help="of figure (default overview)",
    )  # fmt: skip
    group.add_argument("--sweep-to", metavar="FILE.png", help="figure of the sweep")
    group.add_argument("--overwrite", action="store_true", help="replace files that exist")


def run(args: argparse.Namespace) -> int:
    from nbedex.cli.transport_run import run_transport

    return run_transport(args)
