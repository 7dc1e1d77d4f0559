"""What is checked and said before a run begins: whether it is done already, disk space, memory."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nbedex.errors import ArgumentError, DataFormatError, OutputError
from nbedex.files import check_output
from nbedex.indexing.checkpoint import part_names, refuse_unfinished
from nbedex.indexing.memory import resident
from nbedex.indexing.pipeline import processors
from nbedex.indexing.task import Task, block_size
from nbedex.maps import ResultReader, to_json
from nbedex.workflow.options import OutputOptions

log = logging.getLogger(__name__)


def check_target(output: OutputOptions, shard: tuple[int, int] | None = None) -> Path:
    """Where the result goes, if it may: neither it nor a part of it is there, or what is there is asked for.

    Raises
    ------
    ArgumentError
        None is named, or what a run that was stopped has finished is there, or another run goes on.
    OutputError
        It can't be written, or is there.
    """
    if not output.path:
        raise ArgumentError("no output given: name the result file")
    may = output.overwrite or output.resume or shard is not None
    for file in (output.path, f"{output.path}.toml"):
        check_output(file, overwrite=may)
    if not may:
        refuse_unfinished(part_of(Path(output.path)))
    return Path(output.path)


def part_of(target: Path) -> Path:
    """Folder with what is finished of the run for a result."""
    return Path(f"{target}.part")


def is_complete(target: Path, task: Task) -> bool:
    """Whether the result is there already, of this very task.

    Raises
    ------
    OutputError
        There is one of another task.
    """
    if not target.exists():
        return False
    try:
        with ResultReader(target) as reader:
            there = {**reader.provenance, "calibration": asdict(reader.calibration)}
    except (ArgumentError, DataFormatError) as error:
        raise OutputError(f"{target} exists already and is no result ({error}); choose another name") from error
    wanted = json.loads(to_json({**task.head.provenance, "calibration": asdict(task.head.calibration)}))
    there = json.loads(to_json(there))
    differing = [
        name
        for name, keys in {
            "input": ("input", "fingerprint"),
            "library": ("library", "sha256"),
            "options": ("settings",),
            "calibration": ("calibration",),
            "region": ("region",),
        }.items()
        if _dig(there, keys) != _dig(wanted, keys)
    ]
    if differing:
        raise OutputError(
            f"{target} exists already, made with other {', '.join(differing)}; choose another name or ask for it to be"
            " overwritten (--overwrite)"
        )
    return True


def _dig(values: Any, keys: Sequence[str]) -> Any:
    """An entry of nested dictionaries; None where there is none."""
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def check_disk(task: Task, target: Path) -> None:
    """Refuse to begin what the disk has no room for: finished patterns, and then the result beside them.

    Raises
    ------
    OutputError
        The message says how much is needed.
    """
    part = part_of(target)
    there = sum(name.path.stat().st_size for name in part_names(part)) if part.is_dir() else 0
    records = int(np.count_nonzero(task.wanted)) * (task.dtype.itemsize + 8)
    needed = max(records - there, 0) + (task.head.file_bytes() if task.plan.shard is None else 0)
    free = shutil.disk_usage(target.resolve().parent).free
    log.info("disk: %.1f MB needed, %.1f MB free", needed / 1e6, free / 1e6)
    if needed > free:
        raise OutputError(
            f"can't write {target}: run and result need {needed / 1e6:.1f} MB but the disk has {free / 1e6:.1f} MB"
            " free; free some space, write elsewhere, or index less (--roi, --every)"
        )


def report_memory(task: Task) -> int:
    """Bytes that the run is expected to take at most; logged, with a warning where that is above the limit."""
    memory = task.plan.memory
    now = resident()
    more = memory.expected(task.scan, block_size(task.scan, memory), task.threads or processors()) + memory.band
    log.info(
        "memory: %.2f GB with the templates ready, at most %.2f GB more for patterns; limit %.2f GB",
        now / 1e9, more / 1e9, memory.limit / 1e9,
    )  # fmt: skip
    if now + more > memory.limit:
        log.warning(
            "%.1f GB of memory will be needed, more than the limit of %.1f GB: the library alone may be larger than"
            " that; use a coarser --step or a smaller --k-max, or say --memory %.0f",
            (now + more) / 1e9, memory.limit / 1e9, np.ceil((now + more) / 1e9),
        )  # fmt: skip
    return now + more
