"""What a run says about itself."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex.indexing import IndexingSettings, monitor
from nbedex.indexing.memory import Memory, peak, resident
from nbedex.indexing.monitor import Monitor, RunFacts, duration, sentence
from nbedex.indexing.records import empty_records
from nbedex.maps import Status
from nbedex.progress import silent
from nbedex.scan import memory_scan

IDENTITY = np.array([[1.0, 0.0, 0.0, 0.0]])


def records(phase: list[int], turn_deg: list[float]) -> NDArray[Any]:
    found = empty_records(len(phase), IndexingSettings(), 2, Status.NO_MATCH)
    found["phase_id"] = phase
    found["status"][np.array(phase) >= 0] = Status.OK
    half = np.deg2rad(turn_deg) / 2
    found["orientation"] = np.stack([np.cos(half), 0 * half, 0 * half, np.sin(half)], axis=1)
    return found


def watch(total: int = 100, **options: Any) -> Monitor:
    return Monitor(total, columns=5, symmetries=(IDENTITY, IDENTITY), progress=silent, **options)


def test_neighbours_are_of_one_row_one_phase_and_next_to_each_other() -> None:
    m = watch()
    # 3-4 agree; 4 | 5 is the end of a row; 5-6 differ by 6 degrees; 6, 8 are no neighbours; 8-9 are of two phases
    m.add(np.array([3, 4, 5, 6, 8, 9]), records([0, 0, 0, 0, 1, 0], [10, 14, 10, 16, 0, 0]))
    facts = m.facts()
    assert (facts.done, facts.indexed, facts.coherence) == (6, 6, 0.5)
    m.add(np.array([10, 11]), records([1, 1], [0, 1]))
    assert m.facts().coherence == pytest.approx(2 / 3)


def test_what_was_done_before_does_not_make_the_run_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(monitor.time, "monotonic", lambda: now[0])
    m = watch()
    m.add(np.arange(40), records([0] * 40, [0.0] * 40), before=True)
    now[0] += 4.0
    m.add(np.arange(40, 60), records([-1] * 20, [0.0] * 20))
    facts = m.facts()
    assert (facts.done, facts.rate, facts.left, facts.share_indexed) == (60, 5.0, 8.0, 40 / 60)
    assert sentence(facts) == "60 of 100 patterns, 5 patterns/s, about 8 s left, 66.7% of them indexed"


@pytest.mark.parametrize(
    ("phase", "turn", "message"),
    [
        ([-1, 0], [0.0, 0.0], "only 4 of the first 8 patterns are indexed"),
        ([0, 0], [0.0, 90.0], "THIS LOOKS LIKE NOISE: only 0% of neighbouring patterns have the same orientation"),
        ([0, 0], [0.0, 1.0], ""),
    ],
)
def test_doubts_are_said_once(
    monkeypatch: pytest.MonkeyPatch, phase: list[int], turn: list[float], message: str
) -> None:
    monkeypatch.setattr(monitor, "_ENOUGH", 6)
    monkeypatch.setattr(monitor, "MOSTLY_INDEXED", 0.6)
    said: list[str] = []
    monkeypatch.setattr(monitor.log, "warning", lambda text, *values: said.append(text % values))
    m = watch()
    for start in range(0, 40, 4):
        m.add(np.arange(start, start + 4), records(phase * 2, turn * 2))
    assert len(said) == bool(message)
    assert not message or (said[0].startswith(message) and "--pixel-size" in said[0])


def test_the_progress_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    m = watch(file=tmp_path / "progress.json")
    m.add(np.arange(3), records([0, 0, -1], [0.0] * 3))
    m.write("stopped")
    said = json.loads((tmp_path / "progress.json").read_text())
    assert (said["state"], said["done"], said["indexed"], said["total"]) == ("stopped", 3, 2, 100)
    assert list(tmp_path.iterdir()) == [tmp_path / "progress.json"]
    logging.getLogger("nbedex").setLevel(logging.WARNING)
    watch(file=tmp_path / "missing" / "progress.json").write("running")  # no reason to stop


def test_durations() -> None:
    assert [duration(s) for s in (0.4, 119, 121, 7199, 7300, 90061)] == [
        "0 s", "119 s", "2 min", "119 min", "2 h 1 min", "25 h 1 min",
    ]  # fmt: skip
    assert RunFacts("running", 9, 0, 0, 0, None, 0.0, 0.0).left is None


def test_memory_sets_the_blocks() -> None:
    default, small = Memory(), Memory(100_000_000)
    assert (default.block, default.chunk) == (32 << 20, 128 << 20)
    assert small.block == 100_000_000 // 64 and small.chunk == 100_000_000 // 16
    scan = memory_scan(np.zeros((4, 50, 64, 64), np.uint16))
    block = 128 * 64 * 64 * 2
    assert default.blocks_at_once(scan, 128) == (2 << 30) // 4 // block > 16
    assert default.expected(scan, 128, threads=1) == 4 * block
    assert default.expected(scan, 128, threads=7) == 16 * block
    assert Memory(9 * block).blocks_at_once(scan, 128) == 2 and Memory(1).blocks_at_once(scan, 128) == 1
    assert Memory(9 * block).expected(scan, 128, threads=7) == 6 * block
    assert 10 << 20 < resident() <= peak()
