"""nbedex status: finished, running or interrupted."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from nbedex.cli.output import show_json, show_pairs
from nbedex.cli.parser import add_command

log = logging.getLogger(__name__)


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "status",
        run,
        help="how far a run is, finished, in progress or interrupted, and whether its map looks like noise",
        examples=["nbedex status map.h5", "nbedex status map.h5 --json"],
        description="Reads the files of a run and disturbs nothing; works from another terminal, and on another machine"
        " that sees the folder.",
    )
    parser.add_argument("result", metavar="RESULT.h5", help="result file, finished or to be")


def run(args: argparse.Namespace) -> int:
    from nbedex.cli.index import doubts, sentences
    from nbedex.workflow import status

    facts = status(args.result)
    if args.json:
        show_json(facts)
        return 0
    if "run" in facts:
        show_pairs([("state", facts["state"]), *_of_run(facts["run"])])
    if "result" in facts:
        if "run" in facts:
            print("an older result is in its place until the run ends:")
        show_pairs([("written", facts["written"]), *sentences({"result": facts["path"], **facts["result"]})])
        for doubt in doubts(facts["result"]):
            log.warning("%s", doubt)
    return 0


def _of_run(run: dict[str, Any]) -> list[tuple[str, object]]:
    from nbedex.indexing.monitor import duration

    total = run["total"]
    done = f"{run['done']} of {total} patterns ({run['done'] / total:.1%})" if total else f"{run['done']} patterns"
    lines: list[tuple[str, object]] = [("done", done)]
    if "reason" in run:
        lines.append(("of no use", f"{run['reason']}; start over with --overwrite"))
    if run.get("share_indexed") is not None:
        lines.append(("indexed so far", f"{run['share_indexed']:.1%}"))
    if run.get("unreadable"):
        lines.append(("could not be read", run["unreadable"]))
    if run.get("neighbour_coherence") is not None:
        lines.append(("neighbours within 5 degrees", f"{run['neighbour_coherence']:.1%}"))
    if run.get("patterns_per_second"):
        lines.append(("rate", f"{run['patterns_per_second']:,.0f} patterns/s"))
    if run.get("seconds_left") is not None:
        lines.append(("left", f"about {duration(run['seconds_left'])}"))
    for process in run.get("processes", ()):
        ago = duration(process["seconds_ago"])
        who = f"{process['pid']} on {process['host']}: {process['state']}"
        lines.append(("process", f"{who}, {process['done']} of {process['total']}, {ago} ago"))
    return lines
