"""nbedex index: orientations and phases of a scan."""

from __future__ import annotations

import argparse
from typing import Any

from nbedex.cli.options import GROUPS, add_flags, given
from nbedex.cli.output import progress_bar, show_json, show_pairs
from nbedex.cli.parser import add_command

_MOSTLY_INDEXED = 0.5  # below this share of indexed patterns the exit code is 4
_COHERENT = 0.3  # neighbours that agree; less looks like a map of noise


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "index",
        run,
        help="index a scan: orientation, phase and confidence of every pattern",
        examples=[
            "nbedex index scan.hspy --phase beta2-alumina --phase nzsp --phase na2au --pixel-size 0.0094 --voltage 300 -o map.h5",
            "nbedex index scan.blo --phase au --pixel-size 0.032 -o map.h5     # voltage from the file",
            "nbedex index data.h5 --dataset /entry/data --library lib.h5 --pixel-size 0.0094 --voltage 300 -o map.h5",
            "nbedex index --config map.h5.toml -o again.h5                      # repeat a run",
        ],
        description="Ctrl-C stops and keeps what is done; the same command with --resume goes on. The effective options"
        " are written beside the result as NAME.toml.",
    )
    parser.add_argument("scan", nargs="?", help="4D-STEM file")
    parser.add_argument("-o", "--output", metavar="RESULT.h5", help="result file to write")
    parser.add_argument("--config", metavar="RUN.toml", help="options from a file; flags given here take precedence")
    parser.add_argument("--overwrite", action="store_true", default=None, help="replace the result if it exists")
    parser.add_argument("--resume", action="store_true", default=None, help="go on with an unfinished run")
    parser.add_argument("--threads", type=int, help="0 (default): all available")
    for title, flags in GROUPS:
        add_flags(parser.add_argument_group(title), flags)


def run(args: argparse.Namespace) -> int:
    from nbedex.errors import ArgumentError
    from nbedex.maps import summary
    from nbedex.workflow import run as run_workflow

    settings = _settings(args)
    if not settings.output.path:
        raise ArgumentError("no output given: name the result file with -o RESULT.h5")
    with progress_bar(quiet=args.quiet) as progress:
        result = run_workflow(settings, progress=progress)
    facts = {"result": settings.output.path, **summary(result)}
    if args.json:
        show_json(facts)
    elif not args.quiet:
        show_pairs(sentences(facts))
    return 0 if facts["fraction_indexed"] >= _MOSTLY_INDEXED else 4


def _settings(args: argparse.Namespace) -> Any:
    """The configuration file's options with those given as flags put over them."""
    from nbedex.settings import settings_from_dict, settings_from_toml
    from nbedex.workflow import RunSettings

    values = settings_from_toml(RunSettings, args.config).to_dict() if args.config else {}
    flags = [flag for _, group in GROUPS for flag in group]
    own = {
        "scan": {"path": args.scan},
        "output": {"path": args.output, "overwrite": args.overwrite, "resume": args.resume},
    }
    for tables in (given(args, flags), own):
        for table, options in tables.items():
            values.setdefault(table, {}).update({k: v for k, v in options.items() if v is not None})
    if args.threads is not None:
        values["threads"] = args.threads
    return settings_from_dict(RunSettings, values, where="options")


def sentences(facts: dict[str, Any]) -> list[tuple[str, object]]:
    """The summary of a result for people."""
    lines: list[tuple[str, object]] = [("result", facts["result"])]
    lines.append(("indexed", f"{facts['fraction_indexed']:.1%} of {facts['pixels']} patterns"))
    lines += [(f"  {p['name']}", f"{p['fraction']:.1%}, median index {p['median_index']:.3f}") for p in facts["phases"] if p["pixels"]]
    lines += [(f"  {name}", count) for name, count in facts["status"].items() if count and name != "OK"]
    coherence = facts["neighbour_coherence"]
    if coherence is not None:
        lines.append(("neighbours within 5 degrees", f"{coherence:.1%}"))
        if coherence < _COHERENT:
            lines.append(("warning", "neighbouring pixels hardly agree: check calibration, phases and the patterns"))
    return lines
