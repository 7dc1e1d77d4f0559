"""Scans read in part and binned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nbedex.errors import ArgumentError
from nbedex.scan import ScanMetadata, memory_scan, open_scan
from nbedex.scan.binning import bin_frames, binned_dtype
from nbedex.scan.sources import RawSource

RNG = np.random.default_rng(3)
DATA = RNG.integers(0, 250, (4, 6, 50, 53), np.uint16)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", ">u2", "i2", "u4", "f4", ">f8"])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_bins_are_sums(tmp_path: Path, dtype: str, factor: int) -> None:
    data = (DATA // 2).astype(dtype)
    np.save(tmp_path / "a.npy", data)
    with open_scan(tmp_path / "a.npy").binned(factor) as scan:
        rows, columns = 50 // factor, 53 // factor
        cut = data[..., : rows * factor, : columns * factor].astype(np.float64)
        expected = cut.reshape(24, rows, factor, columns, factor).sum(axis=(2, 4))
        assert scan.frame_shape == (rows, columns)
        frames = scan.read(0, 24)
        np.testing.assert_array_equal(frames, expected)
        assert frames.dtype == scan.dtype and frames.dtype.isnative and frames.flags.c_contiguous
        np.testing.assert_array_equal(scan.read_at([7, 2]), expected[[7, 2]])
        block = scan.blocks(10)[1]
        np.testing.assert_array_equal(scan.read_block(block)[0], expected[block.patterns])


def test_binned_types_hold_every_sum() -> None:
    for dtype in (np.uint8, np.int8, np.uint16, np.int16):
        for factor in (2, 3, 16, 64):
            wide = binned_dtype(np.dtype(dtype), factor)
            limits = np.iinfo(dtype)
            for value in (limits.min, limits.max):
                frames = np.full((1, factor, factor), value, dtype)
                assert bin_frames(frames, factor, dtype=wide)[0, 0, 0] == int(value) * factor**2
    assert binned_dtype(np.dtype(np.uint16), 1) == np.uint16
    assert binned_dtype(np.dtype(np.uint32), 2) == np.float32


def test_a_bin_with_a_saturated_pixel_is_saturated() -> None:
    data = np.full((1, 1, 32, 32), 9, np.uint8)
    data[0, 0, 3, 5] = 255
    scan = memory_scan(data).binned(2)
    frame = scan.read(0, 1)[0]
    assert scan.saturation_value == 1020
    assert frame[1, 2] == 1020 and np.count_nonzero(frame == 36) == frame.size - 1


def test_binning_changes_pixel_size_and_fingerprint_not_the_note() -> None:
    scan = memory_scan(DATA, ScanMetadata(pixel_size=0.01, voltage=200.0))
    binned = scan.binned(2)
    assert binned.metadata.pixel_size == pytest.approx(0.02) and binned.metadata.voltage == 200.0
    assert binned.fingerprint() != scan.fingerprint()
    assert binned.shape == (4, 6, 25, 26)
    assert scan.binned(1).shape == scan.shape
    with pytest.raises(ArgumentError, match="binning by 4 leaves 12 x 13 of the detector's 50 x 53 pixels"):
        scan.binned(4)


@pytest.mark.parametrize("chunk", [None, (1, 1), (2, 3), (3, 1)])
def test_kept_patterns_of_a_block(tmp_path: Path, chunk: tuple[int, int] | None) -> None:
    options: dict[str, Any] = {} if chunk is None else {"chunks": (*chunk, 50, 53), "compression": "gzip"}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=DATA, **options)
    with open_scan(tmp_path / "a.h5") as scan:
        for block in scan.iter_blocks(9):
            for share in (0.0, 0.3, 1.0):
                keep = RNG.random(len(block)) < share
                frames, unreadable = scan.read_block(block, keep=keep)
                assert unreadable is None
                np.testing.assert_array_equal(frames, DATA.reshape(-1, 50, 53)[block.patterns[keep]])


def test_one_unreadable_pattern_in_a_run_takes_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", DATA)
    read = RawSource.read

    def failing(self: RawSource, start: int, stop: int) -> Any:
        if start <= 4 < stop:
            raise OSError("bad sector")
        return read(self, start, stop)

    monkeypatch.setattr(RawSource, "read", failing)
    with open_scan(tmp_path / "a.npy") as scan:
        (block,) = scan.blocks(100)
        keep = np.zeros(24, bool)
        keep[[2, 3, 4, 5, 9, 10]] = True
        frames, unreadable = scan.read_block(block, keep=keep)
        assert unreadable is not None and unreadable.tolist() == [False, False, True, False, False, False]
        expected = DATA.reshape(-1, 50, 53)[keep]
        np.testing.assert_array_equal(frames[~unreadable], expected[~unreadable])
        assert not frames[unreadable].any()


def test_state_changes_when_the_file_does(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", DATA)
    with open_scan(tmp_path / "a.npy") as scan:
        before = scan.state()
        assert before is not None and before == scan.state()
        with open(tmp_path / "a.npy", "ab") as stream:
            stream.write(b"more")
        assert scan.state() != before
    assert memory_scan(DATA).state() is None
