"""nbedex index: orientations and phases of a scan, or of many."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbedex.cli.options import INDEX_GROUPS, add_run_flags, run_settings
from nbedex.cli.output import Note, progress_bar, show_json, show_pairs
from nbedex.cli.parser import add_command

if TYPE_CHECKING:
    from nbedex.workflow import RunReport, RunSettings

log = logging.getLogger(__name__)

_MOSTLY_INDEXED = 0.5  # below this share of indexed patterns the exit code is 4
_COHERENT = 0.3  # neighbours that agree; less looks like a map of noise
_ENOUGH_PAIRS = 50  # to say so


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "index",
        run,
        help="index a scan, or many: orientation, phase and confidence of every pattern",
        examples=[
            "nbedex index scan.hspy --phase beta2-alumina --phase nzsp --pixel-size 0.0094 --voltage 300 -o map.h5",
            "nbedex index scan.blo --phase au --pixel-size 0.032 -o map.h5     # voltage from the file",
            "nbedex index data.h5 --dataset /entry/data --library lib.h5 --pixel-size 0.0094 --voltage 300 -o map.h5",
            "nbedex index --config map.h5.toml -o again.h5                      # repeat a run",
            "nbedex index scan.mib --config run.toml --preview -o map.h5        # a coarse map in seconds",
            "nbedex index scan.h5 --config run.toml --roi 100:200,0:64 --every 2 -o part.h5",
            "nbedex index 'series/*.hspy' --config run.toml -o maps/            # in situ series, one library load",
            "nbedex index scan.h5 --config run.toml --follow -o map.h5          # while it is being written",
            "nbedex index scan.h5 --config run.toml --shard 3/8 -o map.h5       # then: nbedex merge map.h5",
        ],
        description="Ctrl-C stops and keeps what is done; the same command with --resume goes on. The effective options"
        " are written beside the result as NAME.toml, what happened as NAME.log; `nbedex status` says how far it is.",
    )
    parser.add_argument("scan", nargs="*", help="4D-STEM file; several, or a pattern with *, are a series")
    parser.add_argument("-o", "--output", metavar="RESULT.h5", help="result file to write; of a series, a folder")
    parser.add_argument("--overwrite", action="store_true", default=None, help="replace the result if it exists")
    parser.add_argument("--resume", action="store_true", default=None, help="go on with an unfinished run")
    parser.add_argument("--follow", action="store_true", help="index a file that is still being written, as it grows")
    parser.add_argument("--shard", type=_shard, metavar="I/N", help="do the I-th of N shares; `nbedex merge` ends it")
    add_run_flags(parser, *INDEX_GROUPS)


def _shard(text: str) -> tuple[int, int]:
    try:
        number, of = (int(part) for part in text.split("/"))
    except ValueError:
        number, of = 0, 0
    if not 1 <= number <= of:
        raise argparse.ArgumentTypeError(f"expected I/N with 1 <= I <= N, such as 3/8, got {text!r}")
    return number, of


def run(args: argparse.Namespace) -> int:
    from nbedex.errors import ArgumentError
    from nbedex.workflow.series import expand

    scans = expand(args.scan)
    series = len(scans) > 1 or scans != args.scan
    args.scan = scans[0] if scans and not series else None
    settings = run_settings(args, output={"path": args.output, "overwrite": args.overwrite, "resume": args.resume})
    if not settings.output.path:
        raise ArgumentError("no output given: name the result file with -o RESULT.h5")
    if series:
        if args.shard or args.follow:
            raise ArgumentError("--shard and --follow are for one scan, not for a series")
        return _series(settings, scans, args)
    note = Note()
    with progress_bar(quiet=args.quiet, note=note) as progress:
        if args.follow:
            if args.shard:
                raise ArgumentError("--follow and --shard don't go together: index the finished file in shards")
            from nbedex.workflow.follow import follow

            report = follow(settings, progress=progress, watch=note.watch)
        else:
            from nbedex.workflow import run_to_file

            report = run_to_file(settings, shard=args.shard, progress=progress, watch=note.watch)
    return _one(settings, report, args)


def _one(settings: RunSettings, report: RunReport, args: argparse.Namespace) -> int:
    """What came of one scan."""
    from nbedex.maps import summary_of_file

    done = _of_work(report)
    if report.result is None:
        if args.json:
            show_json({"shard": list(args.shard), "work": done})
        elif not args.quiet:
            print(
                f"share {args.shard[0]} of {args.shard[1]} is done; when all are: nbedex merge {settings.output.path}"
            )
        return 0
    return finish({"result": settings.output.path, **summary_of_file(report.result), "work": done}, args)


def _of_work(report: RunReport) -> dict[str, Any]:
    """How it went, for people and machines."""
    facts = report.facts
    return {
        "seconds": report.seconds,
        "patterns_per_second": facts.rate if facts else None,
        "memory_expected_gb": report.memory_expected / 1e9,
        "memory_peak_gb": report.memory_peak / 1e9,
    }


def finish(facts: dict[str, Any], args: argparse.Namespace) -> int:
    """Show a result's facts and doubts; the exit code."""
    if args.json:
        show_json(facts)
    elif not args.quiet:
        show_pairs(sentences(facts))
    for doubt in doubts(facts):
        log.warning("%s", doubt)
    return 0 if facts["fraction_indexed"] >= _MOSTLY_INDEXED else 4


def _series(settings: RunSettings, scans: list[str], args: argparse.Namespace) -> int:
    """Index many scans; the exit code says whether all went well."""
    from nbedex.cli.series import show_series
    from nbedex.workflow import run_series

    note = Note()
    with progress_bar(quiet=args.quiet, note=note) as progress:
        entries = run_series(settings, scans, progress=progress, watch=note.watch)
    show_series(entries, Path(settings.output.path or "."), json=args.json, quiet=args.quiet)
    failed = [entry for entry in entries if entry.error is not None]
    for entry in entries:
        for doubt in doubts(entry.summary) if entry.summary else ():
            log.warning("%s: %s", entry.scan, doubt)
    if failed and len(failed) == len(entries):
        return failed[0].exit_code
    poor = any(e.summary is not None and e.summary["fraction_indexed"] < _MOSTLY_INDEXED for e in entries)
    return 4 if failed or poor else 0


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
            f"THIS MAP LOOKS LIKE NOISE: only {coherence:.0%} of neighbouring pixels have the same orientation: check"
            " --pixel-size, --phase and the patterns"
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
    for name, count in facts["status"].items():
        if count and name != "OK":
            rows = facts["unreadable_rows"]
            where = f", in rows {rows[0]} to {rows[1]}" if name == "UNREADABLE" and rows else ""
            lines.append((f"  {name}", f"{count}{where}"))
    coherence = facts["neighbour_coherence"]
    if coherence is not None:
        lines.append(("neighbours within 5 degrees", f"{coherence:.1%}"))
    if "work" in facts:
        work = facts["work"]
        rate = f", {work['patterns_per_second']:,.0f} patterns/s" if work["patterns_per_second"] else ""
        lines.append(("took", f"{work['seconds']:.1f} s{rate}, at most {work['memory_peak_gb']:.2f} GB of memory"))
    return lines
