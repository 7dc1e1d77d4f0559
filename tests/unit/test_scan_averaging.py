"""Patterns averaged with their neighbours: a slow twin, blocks that don't matter, edges, damage, saturation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.scan import Block, Scan, averaged_scan, memory_scan, open_scan

RNG = np.random.default_rng(5)
SIZE = (16, 17)


def slow(frames: NDArray[Any], reach: int, width: float) -> NDArray[np.float64]:
    """Pixel by pixel."""
    ny, nx = frames.shape[:2]
    out = np.zeros(frames.shape)
    for y in range(ny):
        for x in range(nx):
            weights = 0.0
            for v in range(max(0, y - reach), min(ny, y + reach + 1)):
                for u in range(max(0, x - reach), min(nx, x + reach + 1)):
                    w = np.exp(-((v - y) ** 2 + (u - x) ** 2) / (2 * width**2))
                    out[y, x] += w * frames[v, u]
                    weights += w
            out[y, x] /= weights
    return out


def counts(shape: tuple[int, int]) -> NDArray[np.uint16]:
    return RNG.poisson(3.0, (*shape, *SIZE)).astype(np.uint16)


@pytest.mark.parametrize("reach", [1, 3])
@pytest.mark.parametrize("shape", [(5, 4), (1, 6), (3, 1), (1, 1)])
def test_as_the_slow_twin_has_it(shape: tuple[int, int], reach: int) -> None:
    frames = counts(shape)
    scan = averaged_scan(memory_scan(frames), reach, 0.9)
    got = scan.read(0, scan.size)
    assert got.dtype == np.float32 == scan.dtype and scan.scan_shape == shape
    np.testing.assert_allclose(got.reshape(frames.shape), slow(frames, reach, 0.9), rtol=1e-5)


def stored(kind: str, frames: NDArray[np.uint16], folder: Path) -> Scan:
    """The same patterns in files that are read in other orders."""
    if kind == "memory":
        return memory_scan(frames)
    if kind == "stack":
        np.save(folder / "stack.npy", frames.reshape(-1, *SIZE))
        return open_scan(folder / "stack.npy", scan_shape=frames.shape[:2])
    with h5py.File(folder / f"{kind}.h5", "w") as file:
        chunks = {"rows": (1, 4, *SIZE), "tiles": (3, 2, *SIZE)}[kind]
        file.create_dataset("data", data=frames, chunks=chunks, compression="gzip")
    return open_scan(folder / f"{kind}.h5")


@pytest.mark.parametrize("kind", ["memory", "stack", "rows", "tiles"])
def test_a_pattern_is_the_same_whatever_is_read_with_it(kind: str, tmp_path: Path) -> None:
    frames = counts((11, 9))
    whole = averaged_scan(memory_scan(frames), 2, 0.8).read(0, 99)
    with averaged_scan(stored(kind, frames, tmp_path), 2, 0.8) as scan:
        for size in (1, 7, 40, 200):
            seen = np.zeros(99, int)
            for block in scan.iter_blocks(size):
                got, unreadable = scan.read_block(block)
                assert unreadable is None
                np.testing.assert_array_equal(got, whole[block.patterns])
                seen[block.patterns] += 1
            assert (seen == 1).all()
        keep = RNG.random(len(block)) < 0.3
        np.testing.assert_array_equal(scan.read_block(block, keep=keep)[0], whole[block.patterns[keep]])
        np.testing.assert_array_equal(scan.read_at([98, 3, 3]), whole[[98, 3, 3]])


class Damaged:
    """Pattern 14 can't be read."""

    tile, parallel, scan_shape, frame_shape, dtype = (1, 1), False, (5, 6), SIZE, np.dtype(np.uint16)

    def __init__(self, frames: NDArray[np.uint16]) -> None:
        self.frames = frames.reshape(-1, *SIZE)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        if start <= 14 < stop:
            raise OSError("bad sector")
        return self.frames[start:stop]

    def read_block(self, block: Block, workers: object = None) -> NDArray[Any]:
        return self.read(block.first, block.last + 1)

    def close(self) -> None:
        pass


def test_what_cannot_be_read_is_left_out_of_the_means_around_it() -> None:
    frames = counts((5, 6))
    inner = Scan(Damaged(frames), path=Path("x"), format="test")
    scan = averaged_scan(inner, 1, 0.8)
    (block,) = scan.iter_blocks(100)
    got, unreadable = scan.read_block(block)
    assert unreadable is not None and np.flatnonzero(unreadable).tolist() == [14]
    without = frames.copy()
    without[2, 2] = 0
    weight = np.exp(-1 / (2 * 0.8**2))
    all_of_it = sum(np.exp(-(a * a + b * b) / (2 * 0.8**2)) for a in (-1, 0, 1) for b in (-1, 0, 1))
    wanted = slow(without, 1, 0.8)[2, 3] * all_of_it / (all_of_it - weight)
    np.testing.assert_allclose(got[15], wanted, rtol=1e-5)
    with pytest.raises(DataFormatError, match="can't read pattern"):
        scan.read_at([14])


def test_saturated_pixels_stay_saturated() -> None:
    frames = counts((3, 3))
    frames[1, 1, 4, 5] = 65535
    scan = averaged_scan(memory_scan(frames), 1)
    got = scan.read(0, 9)
    assert scan.saturation_value == 65535
    assert got[4, 4, 5] == 65535 and (got[[0, 1, 8], 4, 5] < 65535).all()


def test_identity_says_how_patterns_were_averaged() -> None:
    scan = memory_scan(counts((3, 3)))
    found = {averaged_scan(scan, reach, width).fingerprint() for reach, width in ((0, 0.8), (1, 0.8), (2, 0.8), (2, 1))}
    assert len(found) == 4


@pytest.mark.parametrize(("reach", "width"), [(4, 1.0), (-1, 1.0), (1, 0.0)])
def test_what_is_out_of_range_is_told(reach: int, width: float) -> None:
    with pytest.raises(ArgumentError, match="averaged over 0 to 3"):
        averaged_scan(memory_scan(counts((2, 2))), reach, width)
