"""Reading ahead: in order, not too far, and gone when the one who asked is."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nbedex.errors import DataFormatError
from nbedex.indexing import pipeline
from nbedex.indexing.pipeline import plan_jobs, read_ahead, whole
from nbedex.scan import memory_scan, open_scan
from oracles.watched_scan import DATA, FRAMES, Watched, reading_threads, scan_of


def wait_until(condition: Any) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.mark.parametrize("threads", [0, 1, 5])
def test_all_blocks_in_order(tmp_path: Path, threads: int) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=DATA, chunks=(2, 3, 17, 19), compression="gzip")
    with open_scan(tmp_path / "a.h5") as scan:
        blocks = scan.blocks(6)
        read = list(read_ahead(scan, whole(blocks), threads=threads))
        assert [r.patterns.tolist() for r in read] == [block.patterns.tolist() for block in blocks]
        for r in read:
            assert r.unreadable is None
            np.testing.assert_array_equal(r.frames, FRAMES[r.patterns])
        assert list(read_ahead(scan, [], threads=threads)) == []
    assert not reading_threads()


@pytest.mark.parametrize(("budget", "ahead"), [(1 << 30, 2), (5 * 646 * 2 - 1, 1), (1, 1)])
def test_never_further_ahead_than_memory_allows(monkeypatch: pytest.MonkeyPatch, budget: int, ahead: int) -> None:
    monkeypatch.setattr(pipeline, "_AHEAD_BYTES", budget)
    source = Watched()
    scan = scan_of(source)
    blocks = scan.blocks(5)
    for number, _ in enumerate(read_ahead(scan, whole(blocks))):
        expected = min(number + 1 + ahead, len(blocks))
        wait_until(lambda expected=expected: len(source.started) == expected)  # really ahead
        time.sleep(0.01)
        assert len(source.started) == expected


def test_an_error_comes_in_its_place_and_nothing_stays() -> None:
    source = Watched(broken=12)
    scan = scan_of(source)
    got = []
    with pytest.raises(MemoryError, match="no room"):
        for read in read_ahead(scan, whole(scan.blocks(5))):
            got.append(read.patterns[0])
    assert got == [0, 5]
    assert not reading_threads()


def test_closing_waits_for_the_blocks_in_work_only() -> None:
    source = Watched(delay=0.2)
    scan = scan_of(source)
    reads = read_ahead(scan, whole(scan.blocks(2)))
    next(reads)
    asked = time.monotonic()
    reads.close()
    assert time.monotonic() - asked < 1.0
    count = len(source.started)
    assert count <= 3 and not reading_threads()
    time.sleep(0.3)
    assert len(source.started) == count


@pytest.mark.parametrize("options", [{"compression": "gzip"}, {"compression": "gzip", "fletcher32": True}])
@pytest.mark.parametrize("chunk", [(1, 1, 17, 19), (2, 3, 17, 19), (2, 3, 5, 10)])
def test_a_damaged_chunk_takes_its_own_patterns_only(
    tmp_path: Path,
    chunk: tuple[int, ...],
    options: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # At the logger itself: the command line, run by another test, keeps messages from the root logger.
    caplog.set_level(logging.INFO, "nbedex.scan.scan")
    monkeypatch.setattr(logging.getLogger("nbedex.scan.scan"), "handlers", [caplog.handler])
    monkeypatch.setattr(logging.getLogger("nbedex.scan.scan"), "propagate", False)
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        node = file.create_dataset("data", data=DATA, chunks=chunk, **options)
        corner = (3 // chunk[0] * chunk[0], 4 // chunk[1] * chunk[1], 0, 10 // chunk[3] * chunk[3])
        where = node.id.get_chunk_info_by_coord(corner)
    with open(path, "r+b") as raw:
        raw.seek(where.byte_offset)
        raw.write(b"\xa5" * where.size)
    expected = np.zeros((6, 7), bool)
    expected[corner[0] : corner[0] + chunk[0], corner[1] : corner[1] + chunk[1]] = True
    lost = np.zeros(42, bool)
    with open_scan(path) as scan:
        for read in read_ahead(scan, whole(scan.blocks(20)), threads=3):
            if read.unreadable is not None:
                lost[read.patterns] = read.unreadable
                assert not read.frames[read.unreadable].any()
                good = read.patterns[~read.unreadable]
                np.testing.assert_array_equal(read.frames[~read.unreadable], FRAMES[good])
            else:
                np.testing.assert_array_equal(read.frames, FRAMES[read.patterns])
        first = int(np.flatnonzero(expected.ravel())[0])
        message = r"a.h5: can't read patterns \d+ to \d+ \(" + (
            "" if "fletcher32" in options else rf"chunk at \({corner[0]}, "
        )
        with pytest.raises(DataFormatError, match=message):
            scan.read(first, first + 1)
    np.testing.assert_array_equal(lost.reshape(6, 7), expected)
    assert (
        sum("can't read patterns" in record.message for record in caplog.records if record.levelname == "WARNING") == 1
    )


def test_what_comes_does_not_depend_on_who_is_fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbedex.scan import chunks

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=DATA, chunks=(1, 2, 9, 19), compression="gzip")
    load = chunks._Hdf5Loader.__call__

    def slow(self: Any, piece: Any, target: np.ndarray) -> None:
        time.sleep((hash(piece.offset) % 5) / 1000)
        load(self, piece, target)

    monkeypatch.setattr(chunks._Hdf5Loader, "__call__", slow)
    with open_scan(tmp_path / "a.h5") as scan:
        read = list(read_ahead(scan, whole(scan.blocks(8)), threads=4))
    np.testing.assert_array_equal(np.concatenate([r.frames for r in read]), FRAMES)


def test_memory_is_handed_through() -> None:
    with memory_scan(DATA) as scan:
        assert all(np.shares_memory(read.frames, DATA) for read in read_ahead(scan, whole(scan.blocks(9))))


@pytest.mark.parametrize("chunk", [None, (1, 1), (1, 3), (2, 3), (4, 2)])
@pytest.mark.parametrize("size", [1, 4, 9, 100])
def test_any_choice_of_patterns(tmp_path: Path, chunk: tuple[int, int] | None, size: int) -> None:
    """Each once, with its own frame, whatever the chunks; and nothing is read of chunks without any."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        options = {} if chunk is None else {"chunks": (*chunk, 17, 19), "compression": "gzip"}
        file.create_dataset("data", data=DATA, **options)
    rng = np.random.default_rng(size)
    with open_scan(tmp_path / "a.h5") as scan:
        for share in (0.0, 0.1, 0.5, 0.9, 1.0):
            wanted = rng.random(scan.size) < share
            planned = list(plan_jobs(scan.iter_blocks(size), wanted, size))
            largest = max([size, *(len(block) for block in scan.iter_blocks(size))])
            assert all(0 < len(job) <= largest for job in planned)
            got = list(read_ahead(scan, planned, threads=2))
            assert sorted(n for read in got for n in read.patterns) == np.flatnonzero(wanted).tolist()
            for read in got:
                assert read.unreadable is None
                np.testing.assert_array_equal(read.frames, FRAMES[read.patterns])


def test_few_patterns_of_many_blocks_are_one_job_and_few_reads() -> None:
    source = Watched()
    scan = scan_of(source)
    wanted = np.zeros(42, bool)
    wanted[[0, 1, 9, 40]] = True
    (job,) = plan_jobs(scan.iter_blocks(3), wanted, 4)
    (read,) = read_ahead(scan, [job])
    assert read.patterns.tolist() == [0, 1, 9, 40]
    np.testing.assert_array_equal(read.frames, FRAMES[[0, 1, 9, 40]])
    assert source.started == [0, 9, 40]
