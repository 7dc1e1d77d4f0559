"""What a scan promises of the frames it delivers, whatever they are stored as."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.scan import ScanMetadata, describe, memory_scan, open_scan
from oracles.scan_files import SHAPE, patterns


def save_h5(path: Path, data: np.ndarray, **options: object) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=data, **options)
    return path


@pytest.mark.parametrize("kind", ["memory", "npy", "fortran", "contiguous", "chunked", "strided"])
def test_blocks_and_scattered_frames_equal_the_array(tmp_path: Path, kind: str) -> None:
    data = patterns()
    if kind == "npy":
        np.save(tmp_path / "a.npy", data)
        scan = open_scan(tmp_path / "a.npy")
    elif kind == "fortran":
        np.save(tmp_path / "a.npy", np.asfortranarray(data))
        scan = open_scan(tmp_path / "a.npy")
    elif kind == "contiguous":
        scan = open_scan(save_h5(tmp_path / "a.h5", data))
    elif kind == "chunked":
        scan = open_scan(save_h5(tmp_path / "a.h5", data, chunks=(2, 2, 5, 19), compression="gzip"))
    elif kind == "strided":
        scan = memory_scan(np.repeat(data, 2, axis=1)[:, ::2, :, :])
    else:
        scan = memory_scan(data)
    frames = data.reshape(-1, *SHAPE[2:])
    with scan:
        assert scan.shape == SHAPE and scan.size == 15 and scan.frame_shape == SHAPE[2:]
        for start in range(16):
            for stop in range(start, 16):
                block = scan.read(start, stop)
                np.testing.assert_array_equal(block, frames[start:stop])
                assert block.dtype == np.uint16
                assert block.flags.c_contiguous and block.flags.aligned and block.dtype.isnative
        where = np.array([14, 0, 7, 7, 3, 14])
        np.testing.assert_array_equal(scan.read_at(where), frames[where])
        assert scan.read_at([]).shape == (0, 17, 19)


@pytest.mark.parametrize("suffix", ["npy", "h5"])
@pytest.mark.parametrize(
    ("stored", "delivered", "top"),
    [
        ("|u1", "uint8", 255), ("<u2", "uint16", 65535), (">u2", "uint16", 65535), (">i2", "int16", 32767),
        ("<i4", "int32", 2**31 - 1), ("<u4", "uint32", 2**32 - 1), ("<f2", "float32", None),
        (">f4", "float32", None), ("<f8", "float32", None), ("|b1", "uint8", None), ("<i8", "float32", None),
        (">u8", "float32", None),
    ],
)  # fmt: skip
def test_stored_and_delivered_types(tmp_path: Path, suffix: str, stored: str, delivered: str, top: int | None) -> None:
    data = patterns(dtype=np.int64) % (2 if stored == "|b1" else 128)
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, data.astype(stored))
    else:
        save_h5(path, data.astype(stored), chunks=(1, 2, 17, 19))
    with open_scan(path) as scan:
        frames = scan.read(4, 11)
        assert frames.dtype == np.dtype(delivered) == scan.dtype and frames.dtype.isnative
        np.testing.assert_array_equal(frames, data.reshape(-1, 17, 19)[4:11])
        assert scan.saturation_value == top
        note = f"intensities are stored as {np.dtype(stored).name} and read as float32"
        assert (note in scan.metadata.notes) == (stored in ("<f8", "<i8", ">u8"))


@pytest.mark.parametrize("dtype", ["complex64", "M8[s]", "S3", "V4"])
def test_refused_types(dtype: str) -> None:
    with pytest.raises(DataFormatError, match="expected integers, booleans or real floating-point numbers"):
        memory_scan(np.zeros((2, 2, 16, 16), dtype))


def test_structured_and_object_types_are_refused() -> None:
    for array in (np.zeros((2, 2, 16, 16), [("a", "u1")]), np.zeros((2, 2, 16, 16), object)):
        with pytest.raises(DataFormatError, match="intensities of type"):
            memory_scan(array)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((32, 32), "memory: a single image of 32 x 32 pixels; a scan has 4 dimensions"),
        ((2, 2, 2, 32, 32), "memory: an array of 5 dimensions (2 x 2 x 2 x 32 x 32); expected 4"),
        ((7,), "memory: an array of 1 dimension (7); expected 4"),
        ((2, 2, 15, 64), "memory: detector of 15 x 64 pixels; expected at least 16 x 16"),
        ((0, 2, 32, 32), "memory: empty, shape 0 x 2 x 32 x 32"),
    ],
)
def test_refused_shapes(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(DataFormatError) as error:
        memory_scan(np.zeros(shape, np.uint8))
    assert str(error.value).startswith(message)


def test_stack_is_one_row_or_what_scan_shape_says(tmp_path: Path) -> None:
    stack = patterns((15, 17, 19))
    np.save(tmp_path / "s.npy", stack)
    with open_scan(tmp_path / "s.npy") as scan:
        assert scan.shape == (1, 15, 17, 19)
    with open_scan(tmp_path / "s.npy", scan_shape=(3, 5)) as scan:
        assert scan.shape == (3, 5, 17, 19)
        np.testing.assert_array_equal(scan.read(5, 15), stack[5:])
    with pytest.raises(ArgumentError, match=r"--scan-shape 4 x 5 has 20 patterns, .*s.npy has 15 \(15\)"):
        open_scan(tmp_path / "s.npy", scan_shape=(4, 5))
    with pytest.raises(ArgumentError, match="two positive numbers, got -3 x -5"):
        open_scan(tmp_path / "s.npy", scan_shape=(-3, -5))


def test_out_of_range_and_closed() -> None:
    scan = memory_scan(patterns())
    for start, stop in ((-1, 2), (3, 2), (0, 16)):
        with pytest.raises(ArgumentError, match=r"are not within \[0, 15\)"):
            scan.read(start, stop)
    with pytest.raises(ArgumentError, match="patterns 0 to 15 are not within"):
        scan.read_at([0, 15])
    scan.close()
    scan.close()
    with pytest.raises(ArgumentError, match="the scan memory is closed"):
        scan.read(0, 1)


def test_memory_is_not_written_through() -> None:
    data = patterns()
    with memory_scan(data) as scan, pytest.raises(ValueError, match="read-only"):
        scan.read(0, 2)[:] = 0
    assert data.flags.writeable


def test_metadata_of_a_memory_scan() -> None:
    known = ScanMetadata(pixel_size=0.01, voltage=300.0)
    assert memory_scan(patterns(), known).metadata == known


def test_fingerprint_follows_the_data_not_the_place(tmp_path: Path) -> None:
    data = patterns()
    marks = {}
    for name, array in (("a", data), ("b", data), ("middle", data.copy()), ("last", data.copy())):
        if name == "last":
            array[-1, -1, -1, -1] += 1
        if name == "middle":
            array = array.reshape(5, 3, 17, 19)
        np.save(tmp_path / f"{name}.npy", array)
        with open_scan(tmp_path / f"{name}.npy") as scan:
            marks[name] = scan.fingerprint()
    assert marks["a"] == marks["b"]
    assert len({marks["a"], marks["middle"], marks["last"]}) == 3


def test_two_threads_read_the_same_scan(tmp_path: Path) -> None:
    data = patterns((6, 7, 17, 19))
    frames = data.reshape(-1, 17, 19)
    wrong: list[int] = []

    for number, options in enumerate(({}, {"chunks": (4, 4, 17, 19), "compression": "gzip"})):
        with open_scan(save_h5(tmp_path / f"{number}.h5", data, **options)) as scan:

            def work(step: int, scan=scan) -> None:  # type: ignore[no-untyped-def]
                for repeat in range(60):
                    start = (repeat * step) % 37
                    if not np.array_equal(scan.read(start, start + 5), frames[start : start + 5]):
                        wrong.append(start)

            threads = [threading.Thread(target=work, args=(step,)) for step in (1, 5, 11, 17)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert not wrong


def test_describe_is_json_and_counts(tmp_path: Path) -> None:
    data = patterns(dtype=np.float32)
    data[0, 0, :2, 0] = np.nan
    data[-1, -1, 0, 0] = 1e4
    np.save(tmp_path / "a.npy", data)
    with open_scan(tmp_path / "a.npy") as scan:
        facts = json.loads(json.dumps(describe(scan), allow_nan=False))
    assert facts["shape"] == [3, 5, 17, 19] and facts["format"] == "npy" and facts["bytes"] == data.nbytes
    assert [frame["pattern"] for frame in facts["frames"]] == [0, 7, 14]
    assert [frame["non_finite"] for frame in facts["frames"]] == [2, 0, 0]
    assert facts["frames"][2]["max"] == 1e4
    assert facts["frames"][1]["mean"] == pytest.approx(data[1, 2].mean())
    saturated = np.full((1, 1, 16, 16), 255, np.uint8)
    saturated[0, 0, 0, :3] = 254
    assert describe(memory_scan(saturated))["frames"] == [
        {
            "pattern": 0,
            "min": 254.0,
            "max": 255.0,
            "mean": (253 * 255 + 3 * 254) / 256,
            "saturated": 253,
            "non_finite": 0,
        }
    ]


def test_fingerprint_tells_types_of_the_same_bytes_apart() -> None:
    data = patterns()
    marks = {memory_scan(data.view(kind)).fingerprint() for kind in ("<u2", "<i2", ">u2")}
    assert len(marks) == 3
