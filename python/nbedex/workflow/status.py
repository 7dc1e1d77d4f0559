"""What is known of a run from its files: finished, in progress, or interrupted."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from nbedex.errors import ArgumentError
from nbedex.indexing.assembly import description_of
from nbedex.indexing.checkpoint import part_names, read_json
from nbedex.indexing.lock import is_held
from nbedex.maps import summary_of_file


def status(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The state of a result: facts that JSON can hold.

    Parameters
    ----------
    path
        A result file, finished or to be, or the folder `NAME.part` of its run.

    Returns
    -------
    facts
        `state`: "finished", "running", "interrupted", "to be merged" (all shards are done) or "spoiled" (the input
        changed; of no use); `result`: of the
        finished file, `summary`; `run`: of an unfinished one, patterns done and in all, and what its processes said
        last (share indexed, rate, seconds left, neighbour coherence).

    Raises
    ------
    ArgumentError
        There is neither a result nor a run.
    DataFormatError
        The result is damaged.
    """
    target = Path(str(path).removesuffix(".part")) if str(path).endswith(".part") else Path(path)
    part = Path(f"{target}.part")
    facts: dict[str, Any] = {"path": str(target), "state": "finished"}
    if (part / "run.json").is_file():
        facts["run"] = _run(part)
        facts["state"] = facts["run"].pop("state")
    if target.is_file():
        facts["result"] = summary_of_file(target)
        facts["written"] = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(target.stat().st_mtime))
    elif "run" not in facts:
        raise ArgumentError(f"neither a result at {target} nor an unfinished run at {part}")
    return facts


def _run(part: Path) -> dict[str, Any]:
    """Facts about an unfinished run."""
    spoiled = part / "spoiled.json"
    held = is_held(part)
    facts: dict[str, Any] = {
        "state": "spoiled" if spoiled.is_file() else "running" if held else "interrupted",
        "done": sum(name.count for name in part_names(part)),
        "total": None,
    }
    with contextlib.suppress(ArgumentError):
        facts["total"] = description_of(part).wanted
    if facts["state"] == "interrupted" and facts["done"] == facts["total"]:
        facts["state"] = "to be merged"
    if spoiled.is_file():
        facts["reason"] = read_json(spoiled).get("reason")
    processes = [said for said in map(_said, sorted(part.glob("progress*.json"))) if said is not None]
    if processes:
        done = sum(said["done"] for said in processes)
        indexed = sum(said["indexed"] for said in processes)
        facts["share_indexed"] = indexed / done if done else None
        facts["unreadable"] = sum(said["unreadable"] for said in processes)
        facts["neighbour_coherence"] = processes[0]["coherence"]
        if held:
            rate = sum(said["rate"] for said in processes if said["state"] == "running")
            facts["patterns_per_second"] = rate
            facts["seconds_left"] = (facts["total"] - facts["done"]) / rate if rate and facts["total"] else None
        facts["processes"] = [
            {name: said.get(name) for name in ("pid", "host", "state", "done", "total")}
            | {"seconds_ago": round(time.time() - said["time"], 1)}
            for said in processes
        ]
    return facts


def _said(path: Path) -> dict[str, Any] | None:
    """What a process wrote about itself last; None where it can't be understood."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        numbers = [said[name] for name in ("done", "indexed", "unreadable", "rate", "time")]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    good = all(isinstance(number, int | float) for number in numbers) and "state" in said and "coherence" in said
    return dict(said) if good else None
