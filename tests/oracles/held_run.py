"""Runs of the command line that can't end before a test has looked at them, however long the test is not scheduled.

They have blocks of four patterns, a pause after each, and wait before the end of the last one while there is a file
`hold` in their folder.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from oracles.command_line import environment

SCRIPT = """
import os, sys, time
import nbedex.indexing.task as task
task._BLOCK_PATTERNS = 4
records = task._records
def slow(task, read, *more):
    found = records(task, read, *more)
    time.sleep(float(sys.argv[1]))
    while read.patterns[-1] == task.scan.size - 1 and os.path.exists("hold"):
        time.sleep(0.05)
    return found
task._records = slow
from nbedex.cli import main
sys.exit(main(sys.argv[2:]))
"""


def start(folder: Path, *arguments: str, pause: float) -> subprocess.Popen[str]:
    """A run that is held; `pause` in seconds."""
    (folder / "hold").touch()
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(pause), *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def release(folder: Path) -> None:
    (folder / "hold").unlink()


def blocks(folder: Path) -> list[Path]:
    """What is saved of map.h5."""
    return sorted((folder / "map.h5.part").glob("patterns_*.bin"))


def wait_for_blocks(folder: Path, process: subprocess.Popen[str], count: int) -> None:
    end = time.monotonic() + 90
    while len(blocks(folder)) < count:
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.005)
