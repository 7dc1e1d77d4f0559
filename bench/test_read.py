"""Reading a scan as the indexer does, from the page cache, and how near that comes to what bounds it.

The bound of stored numbers is a copy in memory of as many bytes, that of compressed ones is their unpacking alone, by
the same library, on as many threads. Both are measured in turns with the reading, so that a busy machine slows them
alike; the ratio is kept in the report as `fraction_of_limit`.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nbedex.indexing.pipeline import read_ahead, whole
from nbedex.scan import Scan, open_scan

SHAPE = (8, 128, 256, 256)  # 128 MiB of uint16
BLOCK = 128
FRAME = (1, 1, 256, 256)
GZIP = {"compression": "gzip"}
LAYOUTS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunks of 1": {"chunks": FRAME},
    "chunks of 4x4": {"chunks": (4, 4, 256, 256)},
    "chunks in all axes": {"chunks": (1, 4, 64, 64)},
    "gzip": {"chunks": FRAME, **GZIP},
    "gzip 4x4": {"chunks": (4, 4, 256, 256), **GZIP},
    "gzip in all axes": {"chunks": (1, 4, 64, 64), **GZIP},
    "gzip as h5py cuts": {"chunks": True, **GZIP},
    "shuffle gzip": {"chunks": FRAME, "shuffle": True, **GZIP},
    "lzf": {"chunks": FRAME, "compression": "lzf"},
}
ROUNDS = 7


@pytest.fixture(scope="module")
def scan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Spots on a background that falls off, most pixels dark, as patterns are."""
    path = tmp_path_factory.mktemp("read") / "scan.h5"
    rng = np.random.default_rng(0)
    radius = np.hypot(*np.ogrid[-128:128, -128:128])
    row = rng.poisson(0.3 + 40 * np.exp(-radius / 12), SHAPE[1:]).astype(np.uint16)
    data = np.stack([np.roll(row, number, axis=1) for number in range(SHAPE[0])])
    with h5py.File(path, "w") as file:
        for name, options in LAYOUTS.items():
            file.create_dataset(name, data=data, **options)
    return path


def by_nbedex(scan: Scan, threads: int) -> int:
    """Sum of one pixel of every pattern: the rest is read all the same."""
    reads = read_ahead(scan, whole(scan.iter_blocks(BLOCK)), threads=threads)
    return sum(int(read.frames[:, 130, 128].sum()) for read in reads)


def by_h5py(path: Path, name: str) -> int:
    with h5py.File(path, "r") as file:
        return sum(int(file[name][row, :, 130, 128].sum()) for row in range(SHAPE[0]))


def copying(data: np.ndarray) -> Callable[[], None]:
    """Copy in memory, block by block, to where the reader would put it."""
    target = np.empty((BLOCK, *SHAPE[2:]), data.dtype)

    def copy() -> None:
        for frames in data.reshape(-1, BLOCK, *SHAPE[2:]):
            np.copyto(target, frames)

    return copy


def unpacking(node: Any, threads: int) -> Callable[[], None]:
    """Nothing but zlib on the chunks of a dataset, which are in memory already."""
    stored: list[bytes] = []
    node.id.chunk_iter(lambda chunk: stored.append(node.id.read_direct_chunk(chunk.chunk_offset)[1]))
    size = int(np.prod(node.chunks)) * node.dtype.itemsize

    def some(first: int) -> None:
        for data in stored[first::threads]:
            zlib.decompress(data, bufsize=size)

    def unpack() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(some, range(threads)))

    return unpack


def seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", LAYOUTS)
def test_read(benchmark: Any, scan_file: Path, name: str, threads: int) -> None:
    benchmark.group = f"read, {threads} thread{'s' * (threads > 1)}"
    with h5py.File(scan_file, "r") as file:
        zipped = LAYOUTS[name].get("compression") == "gzip"
        limit = unpacking(file[name], threads) if zipped else copying(file[name][...])
    with open_scan(scan_file, dataset=name) as scan:

        def read() -> int:
            return by_nbedex(scan, threads)

        assert benchmark.pedantic(read, rounds=ROUNDS, warmup_rounds=1) == by_h5py(scan_file, name)
        pairs = [(seconds(limit), seconds(read)) for _ in range(ROUNDS)]
    fraction = min(pair[0] for pair in pairs) / min(pair[1] for pair in pairs)
    benchmark.extra_info.update(
        patterns=SHAPE[0] * SHAPE[1], bytes=int(np.prod(SHAPE)) * 2, fraction_of_limit=round(fraction, 3)
    )
    if zipped:
        # a quarter of the time goes into finding chunks of 32 KiB, so that a busy machine decides
        least = 0.4 if "all axes" in name else 0.5
        assert fraction > least, f"reading takes {1 / fraction:.2f} times as long as unpacking alone"
