"""Blocks of whole chunks, and chunks unpacked without the HDF5 library: the same numbers as a plain read."""

from __future__ import annotations

import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nbedex.scan import Scan, chunks, memory_scan, open_scan
from nbedex.scan.blocks import plan
from nbedex.scan.chunks import hdf5_chunks
from oracles.scan_files import patterns

SHAPE = (7, 11, 17, 19)
DATA = patterns(SHAPE)
GZIP = {"compression": "gzip"}
LAYOUTS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "frame": {"chunks": (1, 1, 17, 19)},
    "frame gzip": {"chunks": (1, 1, 17, 19), **GZIP},
    "all axes": {"chunks": (2, 3, 5, 7)},
    "all axes gzip": {"chunks": (2, 3, 5, 7), **GZIP},
    "shuffle": {"chunks": (1, 4, 17, 10), "shuffle": True},
    "shuffle gzip": {"chunks": (3, 4, 17, 19), "shuffle": True, **GZIP},
    "row gzip": {"chunks": (1, 4, 9, 19), **GZIP},
    "one chunk": {"chunks": SHAPE, **GZIP},
    "lzf": {"chunks": (2, 3, 17, 19), "compression": "lzf"},
    "fletcher": {"chunks": (2, 3, 17, 19), "fletcher32": True, **GZIP},
}
DIRECT = {"frame gzip", "all axes gzip", "shuffle", "shuffle gzip", "row gzip", "one chunk"}


def save(path: Path, data: np.ndarray, **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=data, **options)
    return path


def assert_blocks(scan: Scan, frames: np.ndarray, size: int, threads: int) -> None:
    """Every pattern comes once, and is what it should be."""
    seen = np.zeros(scan.size, int)
    with ThreadPoolExecutor(threads) as workers:
        for block in scan.blocks(size):
            read, unreadable = scan.read_block(block, workers)
            assert unreadable is None and len(block) == len(read)
            assert read.flags.c_contiguous and read.dtype == scan.dtype and read.dtype.isnative
            assert (block.first, block.last) == (block.patterns[0], block.patterns[-1])
            np.testing.assert_array_equal(read, frames[block.patterns])
            seen[block.patterns] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "|u1", "<i4", ">f4", "<f8"])
def test_every_layout_against_h5py(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for layout, options in LAYOUTS.items():
            file.create_dataset(layout, data=DATA.astype(dtype), **options)
    for layout in LAYOUTS:
        with h5py.File(path) as file:
            plain = file[layout][...].reshape(-1, 17, 19)
            assert (hdf5_chunks(file[layout], (0, 1, 2, 3)) is not None) == (layout in DIRECT)
        np.testing.assert_array_equal(plain, DATA.reshape(-1, 17, 19))
        with open_scan(path, dataset=layout) as scan:
            for size, threads in ((1, 1), (10, 3), (1000, 8)):
                assert_blocks(scan, plain, size, threads)
            where = np.random.default_rng(1).integers(0, scan.size, 40)
            np.testing.assert_array_equal(scan.read_at(where), plain[where])
            np.testing.assert_array_equal(scan.read(5, 60), plain[5:60])


def test_the_library_is_not_asked_where_it_need_not_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this, the fallback could hide that nothing is ever unpacked here."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for layout in DIRECT:
            file.create_dataset(layout, data=DATA, **LAYOUTS[layout])
    monkeypatch.setattr(chunks._Hdf5Loader, "__call__", chunks._Hdf5Loader._load)
    for layout in DIRECT:
        with open_scan(tmp_path / "a.h5", dataset=layout) as scan:
            assert_blocks(scan, DATA.reshape(-1, 17, 19), 10, 2)


def test_large_chunks_without_filters(tmp_path: Path) -> None:
    data = patterns((4, 6, 128, 256))
    path = save(tmp_path / "a.h5", data, chunks=(2, 3, 128, 256))
    with h5py.File(path) as file:
        assert hdf5_chunks(file["data"], (0, 1, 2, 3)) is not None
    with open_scan(path) as scan:
        assert_blocks(scan, data.reshape(-1, 128, 256), 6, 2)


def test_a_stack_and_its_chunks(tmp_path: Path) -> None:
    frames = DATA.reshape(-1, 17, 19)
    path = save(tmp_path / "a.h5", frames, chunks=(5, 17, 10), **GZIP)
    for shape in (None, (11, 7)):
        with open_scan(path, scan_shape=shape) as scan:
            for size in (1, 5, 12, 100):
                assert_blocks(scan, frames, size, 2)
            assert all(len(block) % 5 == 0 for block in scan.blocks(12)[:-1])


def test_axes_in_another_order(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.emd", "w") as file:
        group = file.create_group("scan")
        group.create_dataset("data", data=DATA.T, chunks=(19, 4, 3, 2), compression="gzip")
        for number, unit in enumerate(("1/nm", "1/nm", "nm", "nm")):
            group[f"dim{number}"] = [0.0, 1.0]
            group[f"dim{number}"].attrs["units"] = unit
    with open_scan(tmp_path / "a.emd") as scan:
        assert_blocks(scan, DATA.reshape(-1, 17, 19), 12, 2)


def test_chunks_never_written_have_the_fill_value(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        node = file.create_dataset("data", SHAPE, "u2", chunks=(2, 3, 17, 19), fillvalue=7, **GZIP)
        node[2:4, 3:9] = DATA[2:4, 3:9]
        plain = node[...].reshape(-1, 17, 19)
    assert (plain == 7).any() and (plain != 7).any()
    with open_scan(tmp_path / "a.h5") as scan:
        assert_blocks(scan, plain, 12, 2)


def test_filters_left_out_for_a_chunk(tmp_path: Path) -> None:
    """A writer may store single chunks without one of the filters; the mask of the chunk says which."""
    numbers = DATA[:1, :3].astype("<u2")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        node = file.create_dataset("data", numbers.shape, "<u2", chunks=(1, 1, 17, 19), shuffle=True, **GZIP)
        shuffled = np.frombuffer(numbers[0, 1].tobytes(), np.uint8).reshape(-1, 2).T.tobytes()
        node.id.write_direct_chunk((0, 0, 0, 0), numbers[0, 0].tobytes(), filter_mask=3)
        node.id.write_direct_chunk((0, 1, 0, 0), shuffled, filter_mask=2)
        node.id.write_direct_chunk((0, 2, 0, 0), zlib.compress(numbers[0, 2].tobytes()), filter_mask=1)
        np.testing.assert_array_equal(node[...], numbers)
    with open_scan(tmp_path / "a.h5") as scan:
        assert_blocks(scan, numbers[0], 3, 2)


def test_what_can_not_be_unpacked_here_the_library_reads(tmp_path: Path) -> None:
    """Whatever a file may have that is not known here, the library's word counts."""
    path = save(tmp_path / "a.h5", DATA, chunks=(1, 1, 17, 19), **GZIP)
    with open_scan(path) as scan:
        loader = scan._source._fetch._load  # type: ignore[union-attr]
        loader._filters = chunks._Filters([(1, 0), (1, 0)])  # unpacks twice: fails for every chunk
        assert_blocks(scan, DATA.reshape(-1, 17, 19), 12, 2)


def test_numbers_that_the_library_converts_are_left_to_it(tmp_path: Path) -> None:
    kind = h5py.h5t.NATIVE_UINT16.copy()
    kind.set_precision(12)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((1, 1, 17, 19))
        h5py.h5d.create(file.id, b"data", kind, h5py.h5s.create_simple(SHAPE), plist)
        file["data"][...] = DATA
        assert hdf5_chunks(file["data"], (0, 1, 2, 3)) is None
    with open_scan(tmp_path / "a.h5") as scan:
        assert_blocks(scan, DATA.reshape(-1, 17, 19), 12, 2)


def test_a_chunk_is_unpacked_once_and_by_several_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.h5", DATA, chunks=(2, 3, 5, 7), **GZIP)
    asked: list[tuple[int, ...]] = []
    names: set[str] = set()
    together = threading.Barrier(2, timeout=20)  # met only if two threads are at it at the same time
    load = chunks._Hdf5Loader.__call__

    def watch(self: Any, piece: chunks.Piece, target: np.ndarray) -> None:
        if len(names) < 2:
            names.add(threading.current_thread().name)
            together.wait()
        asked.append(piece.offset)
        load(self, piece, target)

    with open_scan(path) as scan:
        monkeypatch.setattr(chunks._Hdf5Loader, "__call__", watch)
        assert_blocks(scan, DATA.reshape(-1, 17, 19), 12, 2)
    assert len(asked) == len(set(asked)) == 4 * 4 * 4 * 3
    assert len(names) == 2


def test_plan_of_a_large_scan_keeps_chunks_whole() -> None:
    """512 x 512 patterns in chunks of 4 x 4: strips of 4 rows, so that memory does not depend on the row's length."""
    blocks = list(plan((512, 512), (4, 4), 128, 1024))
    assert {len(block) for block in blocks} == {128}
    assert blocks[1].rectangles == ((slice(0, 4), slice(32, 64)),)
    blocks = list(plan((512, 512), (32, 32), 128, 1024))  # what h5py makes of chunks=True
    assert {len(block) for block in blocks} == {1024} and len(blocks) == 256
    assert [b.first for b in plan((512, 512), (1, 1), 128, 1024)] == list(range(0, 512 * 512, 128))
    assert max(len(block) for block in plan((512, 512), (64, 64), 128, 1024)) == 1024  # no larger than allowed


def test_memory_scans_are_not_copied() -> None:
    data = patterns((4, 5, 16, 16))
    with memory_scan(data) as scan:
        for block in scan.blocks(7):
            frames, _ = scan.read_block(block)
            assert np.shares_memory(frames, data)


@pytest.mark.parametrize("compressor", ["default", None, "zlib"])
def test_zspy_in_blocks(tmp_path: Path, compressor: str | None) -> None:
    import numcodecs
    import zarr

    root = zarr.open(str(tmp_path / "a.zspy"), mode="w")
    group = root.create_group("Experiments/test")
    codec = numcodecs.Zlib(1) if compressor == "zlib" else compressor
    group.create_dataset("data", data=DATA, chunks=(2, 3, 9, 19), compressor=codec)
    for number in range(4):
        group.create_group(f"axis-{number}").attrs.update(
            name="x", size=SHAPE[number], scale=1.0, offset=0.0, units="", navigate=number < 2
        )
    with open_scan(tmp_path / "a.zspy") as scan:
        for size, threads in ((1, 1), (12, 3)):
            assert_blocks(scan, DATA.reshape(-1, 17, 19), size, threads)
