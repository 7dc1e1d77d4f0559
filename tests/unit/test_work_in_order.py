"""Several blocks at once: results in order, no more at once than said, nothing left at work when closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from nbedex import _core
from nbedex.indexing.pipeline import Frames, Unread, whole, work_in_order
from oracles.watched_scan import FRAMES, Watched, reading_threads, scan_of


class Crowd:
    """Work that takes a while, longer for some blocks, and notes how many did it at once and with how many threads."""

    def __init__(self) -> None:
        self.lock, self.now, self.most, self.threads = threading.Lock(), 0, 0, set[int]()

    def __call__(self, frames: Frames | Unread, threads: int) -> int:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.threads.add(threads)
        time.sleep(0.005 + 0.01 * (frames.patterns[0] % 3))
        with self.lock:
            self.now -= 1
        np.testing.assert_array_equal(frames.frames, FRAMES[frames.patterns])
        return int(frames.patterns[0])


@pytest.mark.parametrize(
    ("at_once", "threads", "most", "each"), [(1, 1, 1, 1), (4, 4, 4, 1), (9, 3, 3, 1), (2, 5, 2, 3), (0, 2, 1, 2)]
)
def test_in_order_and_no_more_at_once(at_once: int, threads: int, most: int, each: int) -> None:
    crowd = Crowd()
    scan = scan_of(Watched())
    found = list(work_in_order(scan, whole(scan.blocks(2)), crowd, at_once=at_once, threads=threads))
    assert found == list(range(0, 42, 2))
    assert crowd.most == most
    assert crowd.threads == {each}
    assert not reading_threads()


def test_one_more_is_read_meanwhile() -> None:
    source, go = Watched(), threading.Event()
    scan = scan_of(source)

    def wait(frames: Frames | Unread, threads: int) -> None:
        assert go.wait(20)

    found = work_in_order(scan, whole(scan.blocks(3)), wait, at_once=2, threads=2)
    first = threading.Thread(target=lambda: next(found))
    first.start()
    end = time.monotonic() + 20
    while len(source.started) < 3:
        assert time.monotonic() < end
        time.sleep(0.002)
    time.sleep(0.05)
    assert sorted(source.started) == [0, 3, 6]
    go.set()
    first.join()
    found.close()


def test_no_jobs() -> None:
    assert list(work_in_order(scan_of(Watched()), [], Crowd(), at_once=2, threads=2)) == []


@pytest.mark.parametrize("where", ["reading", "work"])
def test_an_error_comes_in_its_place_and_nothing_stays(where: str) -> None:
    scan = scan_of(Watched(broken=12 if where == "reading" else None))

    def work(frames: Frames | Unread, threads: int) -> int:
        if where == "work" and 12 in frames.patterns:
            raise MemoryError("no room")
        return int(frames.patterns[0])

    got = []
    with pytest.raises(MemoryError, match="no room"):
        for first in work_in_order(scan, whole(scan.blocks(5)), work, at_once=3, threads=3):
            got.append(first)
    assert got == [0, 5]
    assert not reading_threads()


def long_job() -> Callable[[], object]:
    """Some ten seconds of the core's work, made ready."""
    rng = np.random.default_rng(1)
    spots, n = 30, 3000
    q = rng.normal(size=(n, 4))
    radius, angle = rng.uniform(0.1, 1.0, n * spots), rng.uniform(0, 2 * np.pi, n * spots)
    templates = _core.pack_templates(
        np.arange(0, n * spots + 1, spots),
        (radius * np.cos(angle)).astype("f4"),
        (radius * np.sin(angle)).astype("f4"),
        rng.uniform(0.1, 9, n * spots).astype("f4"),
        _core.PolarGrid(n_rings=24, n_azimuths=360, k_min=0.1, k_max=1.0),
        0.3,
        q / np.linalg.norm(q, axis=1, keepdims=True),
        np.array([[1.0, 0, 0, 0]]),
    )
    patterns = (rng.random((1500, 24, 360)) ** 8).astype("f4")
    options = _core.MatchOptions(n_best=1, distinct_angle=0.1, threads=1)
    return lambda: _core.match_exhaustive([templates], patterns, options)


def test_closing_stops_the_core_in_the_middle_of_its_work() -> None:
    scan, job = scan_of(Watched()), long_job()
    ended: list[BaseException | None] = []
    at_it = threading.Barrier(3)

    def work(frames: Frames | Unread, threads: int) -> int:
        first = int(frames.patterns[0])
        if first:
            at_it.wait(60)
            try:
                job()
                ended.append(None)
            except BaseException as stop:
                ended.append(stop)
                raise
        return first

    found = work_in_order(scan, whole(scan.blocks(20)), work, at_once=3, threads=3)  # a place for each of the three
    assert next(found) == 0
    at_it.wait(60)
    time.sleep(0.2)
    asked = time.process_time()
    found.close()
    assert time.process_time() - asked < 6.0  # of some twenty of two threads, whatever else runs: it takes 0.1
    assert len(ended) == 2 and all(isinstance(stop, KeyboardInterrupt) for stop in ended)
    assert not reading_threads()


def test_a_thread_that_does_not_watch_is_not_stopped() -> None:
    stop = _core.Stop()
    stop.set()
    patterns = np.ones((300, 40, 360), np.float32)
    _core.power_sums(patterns, 1)  # this thread watches nothing

    def watched() -> None:
        other = _core.Stop()
        stop.watch()
        other.watch()  # the last one counts
        _core.power_sums(patterns, 1)
        done.append(True)

    done: list[bool] = []
    thread = threading.Thread(target=watched)
    thread.start()
    thread.join()
    assert done
