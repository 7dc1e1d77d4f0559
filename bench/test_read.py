"""Reading blocks of a contiguous HDF5 scan as the indexer does, against the HDF5 library; from the page cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nbedex.scan import open_scan

SHAPE = (16, 64, 256, 256)  # 128 MiB of uint16
BLOCK = 128


@pytest.fixture(scope="module")
def scan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("read") / "scan.h5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", SHAPE, dtype="u2")
        for row in range(SHAPE[0]):
            data[row] = rng.integers(0, 100, SHAPE[1:], dtype=np.uint16)
    return path


def by_nbedex(path: Path) -> int:
    total = 0
    with open_scan(path, dataset="/data") as scan:
        for start in range(0, scan.size, BLOCK):
            total += int(scan.read(start, min(start + BLOCK, scan.size)).sum(dtype=np.int64))
    return total


def by_h5py(path: Path) -> int:
    total = 0
    with h5py.File(path, "r") as file:
        data = file["data"]
        for row in range(0, SHAPE[0], BLOCK // SHAPE[1]):
            total += int(data[row : row + BLOCK // SHAPE[1]].sum(dtype=np.int64))
    return total


@pytest.mark.parametrize("reader", [by_nbedex, by_h5py], ids=["nbedex", "h5py"])
def test_read_and_sum(benchmark: Any, scan_file: Path, reader: Any) -> None:
    """The sum makes sure that the pages are touched; it is the same work for both."""
    benchmark.group = "read"
    benchmark.extra_info.update(patterns=SHAPE[0] * SHAPE[1], bytes=int(np.prod(SHAPE)) * 2)
    assert benchmark.pedantic(reader, (scan_file,), rounds=3, warmup_rounds=1) == by_h5py(scan_file)
