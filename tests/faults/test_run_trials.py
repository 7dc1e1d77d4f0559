"""Runs ended at random instants, by signals and full disks: resuming gives the bytes of a run that was not.

A few of each; `bench/faults.py` does fifty.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracles.small_scan import small_scan

TRIALS = Path(__file__).parents[1] / "oracles" / "trials.py"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "scan.npy"
    np.save(path, small_scan((8, 5), drift=1.0))
    return path


def trials(folder: Path, scan: Path, kind: str, count: int, *before: str) -> list[dict[str, Any]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [*before, sys.executable, str(TRIALS), str(folder), kind, str(count)]
    if not before:
        shutil.copy(scan, folder)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == count
    for facts in found:
        assert facts["resumed"] == 0 and facts["same"] and facts["leftovers"] == [], facts
        assert facts.get("whole or absent", True), facts
        assert len(facts["said"].splitlines()) <= 1, facts  # no traceback
    return found


@pytest.mark.parametrize(("kind", "count"), [("kill", 4), ("operation", 8)])
def test_killed(tmp_path: Path, scan: Path, kind: str, count: int) -> None:
    found = trials(tmp_path, scan, kind, count)
    assert all(facts["code"] in (-9, 0) for facts in found)
    assert any(facts["code"] == -9 for facts in found)


@pytest.mark.parametrize(("kind", "count", "codes"), [("SIGINT", 4, (130, -2, 0)), ("SIGTERM", 4, (143, -15, 0))])
def test_stopped(tmp_path: Path, scan: Path, kind: str, count: int, codes: tuple[int, ...]) -> None:
    """-2, -15: before the command line had begun."""
    found = trials(tmp_path, scan, kind, count)
    assert any(facts["code"] != 0 for facts in found)
    for facts in found:
        assert facts["code"] in codes, facts
        assert facts["code"] <= 0 or facts["said"].startswith("nbedex: stopped"), facts


def test_full_disk(tmp_path: Path, scan: Path) -> None:
    """On a file system of its own, filled up but for a random rest."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f'mount -t tmpfs -o size=16m none "{disk}" && cp "{scan}" "{disk}/scan.npy" && exec "$@"'
    inside = ("unshare", "-rm", "sh", "-c", script, "sh")
    if shutil.which("unshare") is None or subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("needs unshare with permission to mount a tmpfs")
    found = trials(disk, scan, "disk", 6, *inside)
    for facts in found:
        assert facts["code"] in (0, 5), facts
        assert facts["code"] == 0 or "the disk is full" in facts["said"], facts
    assert any(facts["code"] == 5 for facts in found)
