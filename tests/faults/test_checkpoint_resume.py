"""Runs that are stopped, killed, damaged and resumed end with the bits of one that was not."""

from __future__ import annotations

import dataclasses
import random
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex import read_result
from nbedex.errors import ArgumentError, Cancelled
from nbedex.indexing import IndexingSettings, MatchSettings, index_scan
from nbedex.indexing.checkpoint import Checkpoint, discard, part_names
from nbedex.library import TemplateLibrary
from nbedex.scan import memory_scan, open_scan
from oracles import held_run
from oracles.command_line import here, nbedex
from oracles.held_run import blocks, release, wait_for_blocks
from oracles.small_scan import CALIBRATION, FLAGS, small_library, small_scan, write_h5

SHAPE = (8, 5)
MAPS = (
    "phase_id", "orientation", "index", "reliability", "phase_reliability", "mirror_margin", "half_turn_margin",
    "center", "status", "rival_phase_id", "rival_orientation", "rival_score", "phase_score", "template_id", "mirrored",
)  # fmt: skip


@pytest.fixture(scope="module")
def library() -> TemplateLibrary:
    return small_library()


@pytest.fixture(scope="module")
def frames() -> NDArray[np.uint16]:
    return small_scan(SHAPE, drift=1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, frames: NDArray[np.uint16]) -> Path:
    """A scan and the result of an uninterrupted run."""
    path = tmp_path_factory.mktemp("resume")
    np.save(path / "scan.npy", frames)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBEDEX_CACHE", str(path / "cache"))
        done = nbedex("index", "scan.npy", *FLAGS, "-o", "whole.h5", "-q", folder=path)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(autouse=True)
def one_cache(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "folder" in request.fixturenames:
        monkeypatch.setenv("NBEDEX_CACHE", str(request.getfixturevalue("folder") / "cache"))


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    return held_run.start(folder, "index", "scan.npy", *FLAGS, "-o", "map.h5", "-q", *more, pause=0.06)


def clean(folder: Path) -> None:
    shutil.rmtree(folder / "map.h5.part", ignore_errors=True)
    for name in ("map.h5", "map.h5.toml"):
        (folder / name).unlink(missing_ok=True)


def assert_same(first: Any, second: Any) -> None:
    for name in MAPS:
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes(), name


def assert_finished(folder: Path) -> None:
    assert_same(read_result(folder / "map.h5"), read_result(folder / "whole.h5"))
    assert not (folder / "map.h5.part").exists()
    assert (folder / "map.h5.toml").is_file()


def test_ctrl_c_and_resume(folder: Path) -> None:
    clean(folder)
    process = start(folder)
    wait_for_blocks(folder, process, 3)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    release(folder)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - asked < 10
    assert process.returncode == 130
    (line,) = err.splitlines()
    assert line.startswith("nbedex: stopped after ") and line.endswith(
        "of 40 patterns; what is done is kept, go on with --resume"
    )
    kept = {path: path.stat().st_mtime_ns for path in blocks(folder)}
    assert len(kept) >= 3 and not (folder / "map.h5").exists()

    # neither by accident from the start, nor with something else
    for more, fragment in [
        ((), "map.h5.part holds an unfinished run: continue it with --resume, or start over with --overwrite"),
        (("--resume", "--n-best", "3"), "was made with other options (options.match.n_best 5, now 3); resume it as it"),
        (("--resume", "--roi", "0:4,0:5"), "was made with other region (region.rows [0, 8], now [0, 4]); resume it"),
    ]:
        refused = nbedex("index", "scan.npy", *FLAGS, "-o", "map.h5", "-q", *more, folder=folder)
        assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1
        assert fragment in refused.stderr
    assert {path: path.stat().st_mtime_ns for path in blocks(folder)} == kept

    process = start(folder, "--resume")
    wait_for_blocks(folder, process, min(len(kept) + 1, 9))
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())  # not done again
    release(folder)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert_finished(folder)


@pytest.mark.parametrize("more", [(), ("--follow",)])
def test_an_unfinished_run_is_the_first_thing_said(tmp_path: Path, more: tuple[str, ...]) -> None:
    """Before the scan is opened, which takes seconds where the calibration is checked."""
    (tmp_path / "map.h5.part").mkdir()
    (tmp_path / "map.h5.part" / "run.json").write_text("{}")
    code, _, err = here(tmp_path, "index", "missing.npy", *FLAGS, "-o", "map.h5", "-q", *more)
    assert code == 2 and "map.h5.part holds an unfinished run" in err


def test_killed_at_random(folder: Path) -> None:
    clean(folder)
    rng = random.Random(3)
    for _ in range(3):
        process = start(folder, "--resume")
        wait_for_blocks(folder, process, min(len(blocks(folder)) + 1, 9))
        time.sleep(rng.uniform(0, 0.12))
        process.kill()
        process.communicate()
        assert not (folder / "map.h5").exists()
    done = nbedex("index", "scan.npy", *FLAGS, "-o", "map.h5", "-q", "--resume", folder=folder)
    assert done.returncode == 0, done.stderr
    assert_finished(folder)


def test_overwrite_starts_over(folder: Path) -> None:
    clean(folder)
    part = folder / "map.h5.part"
    part.mkdir()
    (part / "run.json").write_text("{}")
    (part / "patterns_000000000000_000000000009_10.bin").write_bytes(b"left by another run")
    done = nbedex("index", "scan.npy", *FLAGS, "-o", "map.h5", "-q", "--overwrite", folder=folder)
    assert done.returncode == 0, done.stderr
    assert_finished(folder)


def test_a_folder_of_the_users_is_left_alone(folder: Path) -> None:
    """map.h5.part with other files is not ours; it is refused, and with --overwrite too."""
    clean(folder)
    part = folder / "map.h5.part"
    part.mkdir()
    (part / "notes.txt").write_text("mine")
    for more in ((), ("--overwrite",)):
        done = nbedex("index", "scan.npy", *FLAGS, "-o", "map.h5", "-q", *more, folder=folder)
        assert done.returncode == 5 and "it holds other files (notes.txt)" in done.stderr
        assert [path.name for path in part.iterdir()] == ["notes.txt"]
    shutil.rmtree(part)


def test_discard_takes_only_what_is_a_runs(tmp_path: Path) -> None:
    part = tmp_path / "part"
    store = Checkpoint(part, {"a": 1}, resume=False)
    store.save(np.arange(1), np.zeros(1))
    store.close()
    (part / ".patterns_000000000001_000000000002_2.bin.tmp-12-3").write_bytes(b"of a killed run")
    (part / "notes.txt").write_text("mine")
    discard(part)
    assert [path.name for path in part.iterdir()] == ["notes.txt"]
    (part / "notes.txt").unlink()
    Checkpoint(part, {"a": 1}, resume=False).close()  # an empty folder is no obstacle
    discard(part)
    assert not part.exists()
    discard(part)


class Stop:
    """Progress that is Ctrl-C after some patterns."""

    def __init__(self, after: int) -> None:
        self.after = after

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage == "indexing" and done >= self.after:
            raise KeyboardInterrupt


@pytest.fixture
def stopped(
    tmp_path: Path, frames: NDArray[np.uint16], library: TemplateLibrary, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The blocks of a run of which 24 of 40 patterns are done, four a block."""
    monkeypatch.setattr("nbedex.indexing.task._BLOCK_PATTERNS", 4)
    part = tmp_path / "part"
    with pytest.raises(Cancelled, match="stopped after 24 of 40 patterns; what is done is kept"):
        index_scan(memory_scan(frames), library, CALIBRATION, checkpoint=part, progress=Stop(24))
    assert len(list(part.glob("*.bin"))) == 6
    return part


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "swap", "foreign"])
def test_damaged_block_is_done_again(
    stopped: Path, frames: NDArray[np.uint16], library: TemplateLibrary, damage: str
) -> None:
    first, second = sorted(stopped.glob("*.bin"))[:2]
    data = bytearray(first.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    elif damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "empty":
        data = bytearray()
    elif damage == "foreign":
        data = bytearray(b"something else altogether")
    if damage == "swap":
        first.write_bytes(second.read_bytes())
    else:
        first.write_bytes(bytes(data))
    resumed = index_scan(memory_scan(frames), library, CALIBRATION, checkpoint=stopped, resume=True)
    assert_same(resumed, index_scan(memory_scan(frames), library, CALIBRATION))


def test_changed_input_is_refused(stopped: Path, frames: NDArray[np.uint16], library: TemplateLibrary) -> None:
    changed = frames.copy()
    changed[0, 0, 3, 3] += 1
    with pytest.raises(ArgumentError, match=r"was made with other input \(input.fingerprint\); resume it as it was"):
        index_scan(memory_scan(changed), library, CALIBRATION, checkpoint=stopped, resume=True)
    settings = IndexingSettings(match=MatchSettings(distinct_deg=4.0))
    with pytest.raises(
        ArgumentError,
        match=r"was made with other options \(options.match.distinct_deg 5.0, now 4.0\); resume it as it was",
    ):
        index_scan(memory_scan(frames), library, CALIBRATION, settings=settings, checkpoint=stopped, resume=True)
    other = dataclasses.replace(CALIBRATION, rotation_deg=1.0)
    with pytest.raises(
        ArgumentError, match=r"was made with other calibration \(calibration.rotation_deg 0.0, now 1.0\); resume it"
    ):
        index_scan(memory_scan(frames), library, other, checkpoint=stopped, resume=True)
    (stopped / "run.json").write_text("{ not JSON")
    with pytest.raises(ArgumentError, match=r"run.json can't be read .* start over with --overwrite"):
        index_scan(memory_scan(frames), library, CALIBRATION, checkpoint=stopped, resume=True)


def test_blocks_of_another_size_are_not_mixed_up(
    stopped: Path, frames: NDArray[np.uint16], library: TemplateLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbedex.indexing.task._BLOCK_PATTERNS", 7)
    resumed = index_scan(memory_scan(frames), library, CALIBRATION, checkpoint=stopped, resume=True)
    assert_same(resumed, index_scan(memory_scan(frames), library, CALIBRATION))


@pytest.mark.parametrize(("threads", "size"), [(2, 128), (2, 1), (5, 17)])
def test_threads_and_blocks_do_not_matter(
    frames: NDArray[np.uint16], library: TemplateLibrary, monkeypatch: pytest.MonkeyPatch, threads: int, size: int
) -> None:
    reference = index_scan(memory_scan(frames), library, CALIBRATION, threads=1)
    monkeypatch.setattr("nbedex.indexing.task._BLOCK_PATTERNS", size)
    assert_same(index_scan(memory_scan(frames), library, CALIBRATION, threads=threads), reference)


def test_part_file(tmp_path: Path) -> None:
    """Any choice of patterns comes back with its records, to the bit; whatever is wrong with a file, it is left out."""
    store = Checkpoint(tmp_path / "part", {"a": 1}, resume=False)
    records = np.zeros(3, dtype=[("x", "<f4"), ("y", "<i2", (2,))])
    records["x"] = [1, np.nan, -0.0]
    large = np.array([5, 1 << 40, 8])
    store.save(large, records, frame_crc=77)
    store.save(np.arange(3), records[::-1])
    first, second = store.parts(records.dtype)
    assert first.patterns.tolist() == [0, 1, 2] and first.records.tobytes() == records[::-1].tobytes()
    assert second.patterns.tolist() == large.tolist() and second.records.tobytes() == records.tobytes()
    assert (first.frame_crc, second.frame_crc) == (0, 77)
    assert [(n.first, n.last, n.count) for n in part_names(store.folder)] == [(0, 2, 3), (5, 1 << 40, 3)]
    assert list(store.parts(np.dtype("<f4"))) == []
    path = part_names(store.folder)[0].path
    whole = path.read_bytes()
    for damaged in (b"", whole[:11], whole[:-1], whole + b"0", whole[:40] + b"x" + whole[41:], b"y" + whole[1:]):
        path.write_bytes(damaged)
        assert len(list(store.parts(records.dtype))) == 1
    assert not [path for path in (tmp_path / "part").iterdir() if "tmp" in path.name]
    store.close()


def test_ctrl_c_and_resume_in_the_order_of_chunks(
    tmp_path: Path, frames: NDArray[np.uint16], library: TemplateLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks are rectangles of the scan then; each keeps its own patterns, and with other blocks none is mixed up."""
    monkeypatch.setattr("nbedex.indexing.task._BLOCK_PATTERNS", 4)
    path = write_h5(tmp_path / "a.h5", frames, chunks=(2, 2, *frames.shape[2:]))
    part = tmp_path / "part"
    expected = index_scan(memory_scan(frames), library, CALIBRATION)
    with open_scan(path) as scan:
        assert scan.blocks(4)[1].patterns.tolist() == [2, 3, 7, 8]
        with pytest.raises(Cancelled, match="stopped after 20 of 40 patterns; what is done is kept"):
            index_scan(scan, library, CALIBRATION, checkpoint=part, progress=Stop(20))
        kept = {path: path.stat().st_mtime_ns for path in part.glob("*.bin")}
        assert len(kept) == 6
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("nbedex-")]
        for size, threads in ((7, 1), (4, 3)):
            monkeypatch.setattr("nbedex.indexing.task._BLOCK_PATTERNS", size)
            resumed = index_scan(scan, library, CALIBRATION, checkpoint=part, resume=True, threads=threads)
            assert_same(resumed, expected)
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())  # not done again
