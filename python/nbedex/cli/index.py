"""nbedex index: orientations and phases of a scan."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from nbedex.cli.options import add_run_flags, run_settings
from nbedex.cli.output import progress_bar, show_json, show_pairs
from nbedex.cli.parser import add_command

log = logging.getLogger(__name__)

_MOSTLY_INDEXED = 0.5  # below this share of indexed patterns the exit code is 4
_COHERENT = 0.3  # neighbours that agree; less looks like a map of noise
_ENOUGH_PAIRS = 50  # to say so


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "index",
        run,
        help="index a scan: orientation, phase and confidence of every pattern",
        examples=[
            "nbedex index scan.hspy --phase beta2-alumina --phase nzsp --pixel-size 0.0094 --voltage 300 -o map.h5",
            "nbedex index scan.blo --phase au --pixel-size 0.032 -o map.h5     # voltage from the file",
            "nbedex index data.h5 --dataset /entry/data --library lib.h5 --pixel-size 0.0094 --voltage 300 -o map.h5",
            "nbedex index --config map.h5.toml -o again.h5                      # repeat a run",
        ],
        description="Ctrl-C stops and keeps what is done; the same command with --resume goes on. The effective options"
        " are written beside the result as NAME.toml.",
    )
    parser.add_argument("scan", nargs="?", help="4D-STEM file")
    parser.add_argument("-o", "--output", metavar="RESULT.h5", help="result file to write")
    parser.add_argument("--overwrite", action="store_true", default=None, help="replace the result if it exists")
    parser.add_argument("--resume", action="store_true", default=None, help="go on with an unfinished run")
    add_run_flags(parser)


def run(args: argparse.Namespace) -> int:
    from nbedex.errors import ArgumentError
    from nbedex.maps import summary
    from nbedex.workflow import run as run_workflow

    output = {"path": args.output, "overwrite": args.overwrite, "resume": args.resume}
    settings = run_settings(args, output=output)
    if not settings.output.path:
        raise ArgumentError("no output given: name the result file with -o RESULT.h5")
    with progress_bar(quiet=args.quiet) as progress:
        result = run_workflow(settings, progress=progress)
    facts = {"result": settings.output.path, **summary(result)}
    if args.json:
        show_json(facts)
    elif not args.quiet:
        show_pairs(sentences(facts))
    for doubt in doubts(facts):
        log.warning("%s", doubt)
    return 0 if facts["fraction_indexed"] >= _MOSTLY_INDEXED else 4


def doubts(facts: dict[str, Any]) -> list[str]:
    """What makes a result look wrong as a whole."""
    said = []
    if facts["fraction_indexed"] < _MOSTLY_INDEXED:
        counts = {name: count for name, count in facts["status"].items() if count and name != "OK"}
        shown = ", ".join(f"{name} {count}" for name, count in counts.items())
        said.append(
            f"only {facts['indexed']} of {facts['pixels']} patterns were indexed ({shown}): check --pixel-size"
            " (1/angstrom, not 1/nm), --phase and the patterns"
        )
    coherence = facts["neighbour_coherence"]
    if coherence is not None and coherence < _COHERENT and facts["neighbour_pairs"] >= _ENOUGH_PAIRS:
        said.append(
            f"only {coherence:.0%} of neighbouring pixels have the same orientation: check --pixel-size, --phase and"
            " the patterns"
        )
    return said


def sentences(facts: dict[str, Any]) -> list[tuple[str, object]]:
    """The summary of a result for people."""
    lines: list[tuple[str, object]] = [("result", facts["result"])]
    lines.append(("indexed", f"{facts['fraction_indexed']:.1%} of {facts['pixels']} patterns"))
    lines += [
        (f"  {p['name']}", f"{p['fraction']:.1%}, median index {p['median_index']:.3f}")
        for p in facts["phases"]
        if p["pixels"]
    ]
    lines += [(f"  {name}", count) for name, count in facts["status"].items() if count and name != "OK"]
    coherence = facts["neighbour_coherence"]
    if coherence is not None:
        lines.append(("neighbours within 5 degrees", f"{coherence:.1%}"))
    return lines
