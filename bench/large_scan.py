"""A scan larger than memory: patterns per second and memory of a whole run, against the same patterns in memory.

    python bench/large_scan.py                       # 60 GB made of a pool of patterns on the fly
    python bench/large_scan.py --gigabytes 4 --step 6
    python bench/large_scan.py --pairs 8 --step 1.5 --refine     # file against memory, in turns

The scan is a file of `--pool` patterns that a reader gives out again and again, as if they were one after the other
in a file of the full size: everything but the disk's own speed is as in a real run, reading from the page cache
included. "In memory" is `index_scan` on an array of the pool, before and after the large run. Rates are by the clock
and by the time of the processors, which other users of the machine hardly change. Matching is kept cheap (one phase,
a coarse grid, no refinement): reading and keeping weigh the most then.

With `--pairs` the pool is indexed in turns as an array, the result left in memory, and as a file not in the page
cache, block by block into a folder from which the result file is put together. The median of the ratios counts: what
else the machine does comes and goes more slowly than a turn takes.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from cases import PHASES, VOLTAGE, Detector, library, make_frames
from readme import machine

from nbedex.calibration import Calibration
from nbedex.indexing import IndexingSettings, MatchSettings, Memory, Plan, RefineSettings, index_scan
from nbedex.indexing.assembly import assemble
from nbedex.indexing.memory import peak
from nbedex.indexing.run import index_task
from nbedex.indexing.task import make_task
from nbedex.maps import summary_of_file
from nbedex.scan import Block, Scan, memory_scan, open_scan
from nbedex.scan.sources import RawSource

DETECTOR = Detector(size=512, pixel=0.00625, spot_sigma=2.4, beam_sigma=3.0)
CALIBRATION = Calibration(pixel_size=DETECTOR.pixel, voltage=VOLTAGE)


class PoolSource(RawSource):
    """Many more frames than the file has: number n is frame n modulo the pool."""

    def __init__(self, path: Path, *, pool: int, rows: int, columns: int) -> None:
        frame = (DETECTOR.size, DETECTOR.size)
        super().__init__(path, offset=0, scan_shape=(pool,), frame_shape=frame, dtype=np.dtype("<u2"))
        self._pool, self.scan_shape, self.tile = pool, (rows, columns), (1, 1)

    def places(self, numbers: np.ndarray) -> np.ndarray:
        return super().places(numbers % self._pool)

    def read(self, start: int, stop: int) -> np.ndarray:
        parts = []
        while start < stop:
            first = start % self._pool
            count = min(stop - start, self._pool - first)
            parts.append(super().read(first, first + count))
            start += count
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def read_block(self, block: Block, workers: Any = None) -> np.ndarray:
        return self.read(block.first, block.last + 1)


def settings(options: argparse.Namespace) -> IndexingSettings:
    return IndexingSettings(refine=RefineSettings(enabled=options.refine), match=MatchSettings(n_best=2))


class Clock:
    """Time by the wall and of this process on all processors."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def rates(self, patterns: int) -> dict[str, float]:
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return {"seconds": wall, "patterns_per_second": patterns / wall, "patterns_per_cpu_second": patterns / cpu}


def in_memory(pool: np.ndarray, templates: Any, options: argparse.Namespace) -> dict[str, float]:
    """Rates of indexing, looking at the scan left out."""
    started: list[Clock] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "indexing" and done == 0:
            started.append(Clock())

    index_scan(
        memory_scan(pool), templates, CALIBRATION, settings=settings(options), threads=options.threads,
        progress=progress,
    )  # fmt: skip
    return started[0].rates(pool.shape[0] * pool.shape[1])


def from_file(path: Path, templates: Any, options: argparse.Namespace) -> dict[str, float]:
    """Rates of the same from a file that has to be read from the disk, to a result file on it."""
    with open(path, "rb") as stream:
        if options.cached:
            while stream.read(1 << 24):
                pass
        else:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with tempfile.TemporaryDirectory(dir=path.parent) as name, open_scan(path) as scan:
        task = make_task(scan, templates, CALIBRATION, settings=settings(options), threads=options.threads)
        clock = Clock()
        index_task(task, Path(name) / "map.part")
        assemble([Path(name) / "map.part"], Path(name) / "map.h5", memory=task.plan.memory)
        return clock.rates(scan.size)


def pairs(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Ratios of time, file over memory, of pairs run in turns."""
    templates = library(PHASES[: options.phases], options.step, 1.5)
    pool = np.fromfile(folder / "pool.raw", "<u2").reshape(-1, 64, DETECTOR.size, DETECTOR.size)
    path = folder / "pool.npy"
    np.save(path, pool)
    os.sync()
    found: dict[str, Any] = {"patterns": options.pool, "cpu": [], "wall": [], "cpu ms per pattern in memory": []}
    for turn in range(options.pairs + 1):  # the first warms up
        rates: dict[str, dict[str, float]] = {}
        for kind in ("memory", "file") if turn % 2 else ("file", "memory"):
            rates[kind] = (
                in_memory(pool, templates, options) if kind == "memory" else from_file(path, templates, options)
            )
        if turn:
            for name, key in (("cpu", "patterns_per_cpu_second"), ("wall", "patterns_per_second")):
                found[name].append(rates["memory"][key] / rates["file"][key])
            found["cpu ms per pattern in memory"].append(1e3 / rates["memory"]["patterns_per_cpu_second"])
    medians = {f"median {name}": float(np.median(found[name])) for name in list(found)[1:]}
    return {**found, **medians}


def measure(role: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One measurement, in a process of its own so that memory is that of this run."""
    if role == "pairs":
        return pairs(folder, options)
    templates = library(PHASES[: options.phases], options.step, 1.5)
    frame = 2 * DETECTOR.size**2
    path = folder / "pool.raw"
    if role == "memory":
        pool = np.fromfile(path, "<u2").reshape(-1, 64, DETECTOR.size, DETECTOR.size)
        return in_memory(pool, templates, options)
    columns = 512
    rows = max(1, round(options.gigabytes * 1e9 / frame / columns))
    source = PoolSource(path, pool=options.pool, rows=rows, columns=columns)
    with Scan(source, path=path, format="pool") as scan:
        task = make_task(
            scan, templates, CALIBRATION, settings=settings(options), threads=options.threads,
            plan=Plan(memory=Memory(int(options.memory * 1e9))),
        )  # fmt: skip
        before = peak()
        clock = Clock()
        index_task(task, folder / "map.part")
        rates = clock.rates(scan.size)
        clock = Clock()
        target = assemble([folder / "map.part"], folder / "map.h5", memory=task.plan.memory)
        writing = clock.rates(scan.size)
        facts = summary_of_file(target)
    return {
        "scan_gb": rows * columns * frame / 1e9,
        "patterns": rows * columns,
        **rates,
        "seconds_writing": writing["seconds"],
        "result_gb": target.stat().st_size / 1e9,
        "memory_before_gb": before / 1e9,
        "memory_peak_gb": peak() / 1e9,
        "indexed": facts["fraction_indexed"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=60.0)
    parser.add_argument("--pool", type=int, default=1024, help="different patterns, a multiple of 64")
    parser.add_argument("--phases", type=int, default=1)
    parser.add_argument("--step", type=float, default=6.0)
    parser.add_argument("--refine", action="store_true")
    parser.add_argument("--memory", type=float, default=2.0, help="limit, GB")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=0, help="of runs from a file and in memory, in turns")
    parser.add_argument("--cached", action="store_true", help="leave the file of the pairs in the page cache")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--role", choices=("memory", "large", "pairs"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.role:
        sys.stdout.write(json.dumps(measure(options.role, options.folder, options)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        rng = np.random.default_rng(0)
        frames = make_frames("easy", PHASES[0], 64, seed=2, detector=DETECTOR)[0]
        with open(folder / "pool.raw", "wb") as stream:
            for _ in range(options.pool // 64):
                stream.write(frames[rng.permutation(64)].astype("<u2").tobytes())
        logging.info("%s", machine())
        for role in ("pairs",) if options.pairs else ("memory", "large", "memory"):
            command = [sys.executable, __file__, *sys.argv[1:], "--folder", name, "--role", role]
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            logging.info("%s: %s", role, json.dumps(json.loads(done.stdout), indent=1))


if __name__ == "__main__":
    main()
