"""Flags of the command line and the options of `RunSettings` that they set."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbedex.cli.parser import shape, thread_count

if TYPE_CHECKING:
    from nbedex.workflow import RunSettings


@dataclass(frozen=True, kw_only=True)
class Flag:
    """One flag: `names`, and the (table, key) of the option it sets. `convert` None: a switch that sets `value`."""

    names: tuple[str, ...]
    table: str
    key: str
    help: str
    convert: Callable[[str], Any] | None = str
    metavar: str | None = None
    value: Any = True
    repeat: bool = False

    @property
    def dest(self) -> str:
        return f"option_{self.table}_{self.key}"


def _pair(text: str) -> tuple[float, float]:
    try:
        row, column = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected ROW,COLUMN such as 127.5,130, got {text!r}") from None
    return row, column


def _region(text: str) -> tuple[int, int, int, int]:
    try:
        (top, bottom), (left, right) = ((int(n) for n in part.split(":")) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected FIRST:LAST,FIRST:LAST of rows and columns such as 10:50,0:64, got {text!r}"
        ) from None
    return top, bottom, left, right


def _flag(name: str, target: str, help: str, convert: Callable[[str], Any] | None = float, **more: Any) -> Flag:
    table, key = target.split(".")
    return Flag(names=tuple(name.split()), table=table, key=key, help=help, convert=convert, **more)


SCAN_FLAGS = (
    _flag("--dataset", "scan.dataset", "path of the dataset in an HDF5 file that holds several", str),
    _flag(
        "--scan-shape",
        "scan.shape",
        "for files that don't say how patterns were scanned",
        shape,
        metavar="ROWS,COLUMNS",
    ),
    _flag("--mask", "scan.mask", ".npy of booleans: detector pixels not to use (beam stop, gaps)", str),
    _flag("--bin", "scan.bin", "add up N x N detector pixels; all options in pixels are those as stored", int),
)
REGION_FLAGS = (
    _flag(
        "--roi",
        "scan.roi",
        "only these rows and columns of the scan, from 0, the last ones not included",
        _region,
        metavar="R0:R1,C0:C1",
    ),
    _flag("--every", "scan.every", "only each N-th row and column", int),
    _flag("--roi-mask", "scan.region_mask", ".npy of booleans (scan rows, columns): patterns to index", str),
)
AVERAGE_FLAGS = (
    _flag(
        "--average",
        "scan.average",
        "average patterns with those up to N scan positions away (1: 3 x 3); for few counts in wide grains",
        int,
    ),
    _flag("--average-width", "scan.average_width", "sigma of their weight, scan positions (default 0.8)"),
)
WORK_FLAGS = (
    _flag("--memory", "work.memory_gb", "memory to stay below, GB (default 2)", metavar="GB"),
    _flag("--preview", "work.preview", "index a coarse map first, and draw it: RESULT.h5.live.png", None),
    _flag("--live-every", "work.live_s", "seconds between live pictures (default 10)", metavar="S"),
    _flag(
        "--follow-timeout",
        "work.follow_timeout_s",
        "with --follow: give up after so long without a new pattern (default 60)",
        metavar="S",
    ),
)
CALIBRATION_FLAGS = (
    _flag("--pixel-size", "calibration.pixel_size", "1/angstrom per detector pixel; else from the file"),
    _flag("--voltage", "calibration.voltage", "accelerating voltage, kV; else from the file"),
    _flag("--scan-step", "calibration.step_nm", "scan step, nm; else from the file"),
    _flag(
        "--rotation",
        "calibration.rotation_deg",
        "direction of the detector's columns in the scan, degrees from X (right) towards Y (down)",
    ),
    _flag("--flip", "calibration.flipped", "the detector's rows are mirrored against the scan", None),
    _flag("--ellipse-ratio", "calibration.ellipse_ratio", "long over short radius of the camera's distortion"),
    _flag(
        "--ellipse-angle", "calibration.ellipse_angle_deg", "direction of the long radius, degrees from columns to rows"
    ),
)
FINE_TUNE_FLAGS = (
    _flag(
        "--no-fine-tune",
        "calibration.fine_tune",
        "keep pixel size and ellipse as they are given, also where the patterns say clearly that they are off",
        None,
        value=False,
    ),
)
LIBRARY_FLAGS = (
    _flag(
        "--phase", "library.phases", "shipped phase or CIF; repeat for several", str, repeat=True, metavar="NAME_OR_CIF"
    ),
    _flag("--k-max", "library.k_max", "largest scattering vector of templates, 1/angstrom (default 1.5)"),
    _flag(
        "--step",
        "library.step_deg",
        "no beam direction is farther than half of this from a template, degrees (default 2)",
    ),
    _flag(
        "--excitation-error",
        "library.max_excitation_error",
        "largest distance from the Ewald sphere, 1/angstrom (default 0.02)",
    ),
    _flag("--shape-factor", "library.shape", "binary, linear, lorentzian (default), sinc, sin2c or atanc", str),
    _flag("--thickness", "library.thickness_nm", "crystal thickness, nm: sets the width of the shape factor"),
    _flag("--precession", "library.precession_deg", "precession angle, degrees"),
    _flag("--min-intensity", "library.minimum_intensity", "leave out spots weaker than this share of the strongest"),
    _flag("--scattering", "library.scattering", "lobato (default) or xtables", str),
    _flag(
        "--double-diffraction",
        "library.double_diffraction",
        "strength of double-diffraction spots, 0 to 1 (default 0: none)",
    ),
)
CENTER_FLAGS = (
    _flag("--center-method", "center.method", "fit (default), per-pattern or fixed", str),
    _flag("--center-finder", "center.finder", "auto (default), beam, or friedel for a masked beam", str),
    _flag("--center", "center.position", "where the direct beam is expected, pixels", _pair, metavar="ROW,COLUMN"),
    _flag("--beam-radius", "center.beam_radius", "radius of the direct beam, pixels (default 3)"),
    _flag("--center-search", "center.search_radius", "how far from there it may be, pixels"),
)
PREPROCESS_FLAGS = (
    _flag("--k-min", "preprocess.k_min", "inner edge of the annulus, 1/angstrom (default 0.07)"),
    _flag("--no-background", "preprocess.remove_background", "keep the background", None, value=False),
    _flag(
        "--background-sigma",
        "preprocess.background_sigma",
        "standard deviations of a ring taken off with its mean (default 0)",
    ),
    _flag("--peak-sigma", "preprocess.peak_sigma", "the same for the sparser pattern that is searched (default 2.75)"),
    _flag(
        "--disk-radius",
        "preprocess.disk_radius",
        "radius of spots or disks, pixels: they are brought out of noise and surroundings (default: measured; 0: no)",
    ),
    _flag(
        "--min-contrast",
        "preprocess.min_contrast",
        "patterns whose spots stand out less than this are not searched (default 2.4 if that is noise; 0: search all)",
    ),
    _flag("--exponent", "preprocess.exponent", "exponent on intensities (default 0.25)"),
    _flag("--keep-hot-pixels", "preprocess.hot_pixels", "don't look for hot pixels", None, value=False),
)
MATCH_FLAGS = (
    _flag("--template-exponent", "match.template_exponent", "exponent on template intensities (default 0.2)"),
    _flag("--n-best", "match.n_best", "distinct orientations kept (default 5)", int),
    _flag("--distinct", "match.distinct_deg", "orientations closer than this count as one, degrees (default 5)"),
    _flag(
        "--rival-share", "match.rival_share", "below this share of the best nothing is a rival (default 0.7; 0: all)"
    ),
    _flag("--no-refine", "refine.enabled", "leave orientations on the grid of templates", None, value=False),
    _flag("--crystals", "overlap.max_crystals", "overlapping crystals looked for in a pattern, 1 (default) to 3", int),
    _flag(
        "--rerank",
        "rerank.mode",
        "compare candidates by Bloch waves: off (default), ambiguous ones, or all; up to 50 ms a pattern and core",
        str,
        metavar="off|ambiguous|all",
    ),
)
GROUPS = (
    ("data", SCAN_FLAGS),
    ("calibration", CALIBRATION_FLAGS),
    (
        "phases and templates",
        (*LIBRARY_FLAGS, _flag("--library", "library.file", "library file instead of phases", str, metavar="LIB.h5")),
    ),
    ("direct beam", CENTER_FLAGS),
    ("preprocessing", PREPROCESS_FLAGS),
    ("matching", MATCH_FLAGS),
)
# Of `nbedex look` and `index`, and of the latter only.
LOOK_GROUPS = (("calibration by the scan's own patterns", FINE_TUNE_FLAGS),)
INDEX_GROUPS = (*LOOK_GROUPS, ("region of the scan", REGION_FLAGS), ("averaging", AVERAGE_FLAGS), ("work", WORK_FLAGS))


def add_flags(parser: Any, flags: Sequence[Flag]) -> None:
    """Add flags; one not given is None."""
    for flag in flags:
        if flag.convert is None:
            parser.add_argument(*flag.names, dest=flag.dest, action="store_const", const=flag.value, help=flag.help)
            continue
        parser.add_argument(
            *flag.names,
            dest=flag.dest,
            type=flag.convert,
            action="append" if flag.repeat else "store",
            metavar=flag.metavar or ("N" if flag.convert in (float, int) else flag.key.upper()),
            help=flag.help,
        )


def given(args: argparse.Namespace, flags: Sequence[Flag]) -> dict[str, dict[str, Any]]:
    """The options that were given, by table."""
    tables: dict[str, dict[str, Any]] = {}
    for flag in flags:
        value = getattr(args, flag.dest)
        if value is not None:
            tables.setdefault(flag.table, {})[flag.key] = value
    return tables


def add_run_flags(parser: argparse.ArgumentParser, *more: tuple[str, tuple[Flag, ...]]) -> None:
    """The options of a run, in groups, with the configuration file they may come from."""
    parser.add_argument("--config", metavar="RUN.toml", help="options from a file; flags given here take precedence")
    parser.add_argument("--threads", type=thread_count, help="0 (default): all available")
    for title, flags in (*GROUPS, *more):
        add_flags(parser.add_argument_group(title), flags)


def run_settings(args: argparse.Namespace, *, output: dict[str, Any] | None = None) -> RunSettings:
    """The configuration file's options with those given as flags put over them."""
    from nbedex.settings import settings_from_dict, settings_from_toml
    from nbedex.workflow import RunSettings

    values = settings_from_toml(RunSettings, args.config).to_dict() if args.config else {}
    groups = (*GROUPS, *INDEX_GROUPS)
    flags = [flag for _, group in groups for flag in group if hasattr(args, flag.dest)]
    for tables in (given(args, flags), {"scan": {"path": args.scan}, "output": output or {}}):
        for table, options in tables.items():
            values.setdefault(table, {}).update({k: v for k, v in options.items() if v is not None})
    if args.threads is not None:
        values["threads"] = args.threads
    return settings_from_dict(RunSettings, values, where="options")
