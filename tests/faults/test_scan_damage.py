"""Damaged, truncated and hostile scan files: one clear error, never a wrong number, a crash or a hang."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from nbedex.errors import DataFormatError, NbedexError
from nbedex.scan import guard, open_scan
from oracles.scan_files import patterns, signal, write_dm4, write_empad, write_mib, write_mrc

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")

DATA = patterns()
FRAMES = DATA.reshape(-1, 17, 19)
SQUARE = patterns((3, 5, 19, 19), np.uint8)


def write(path: Path) -> Path:
    """File of the format that its ending names."""
    kind = path.suffix
    if kind == ".npy":
        np.save(path, DATA)
    elif kind == ".mib":
        write_mib(path, DATA)
    elif kind == ".mrc":
        write_mrc(path, FRAMES)
    elif kind == ".dm4":
        write_dm4(path, DATA)
    elif kind == ".xml":
        write_empad(path, patterns((3, 5, 128, 128), np.float32))
    elif kind == ".blo":
        from rsciio.blockfile import file_writer

        file_writer(str(path), signal(SQUARE, units=("nm", "nm", "cm", "cm")))
    elif kind == ".tvips":
        from rsciio.tvips import file_writer

        file_writer(str(path.with_name("t.tvips")), signal(DATA))
    elif kind == ".hspy":
        from rsciio.hspy import file_writer

        file_writer(str(path), signal(DATA))
    else:
        with h5py.File(path, "w") as file:
            file["data"] = DATA
    return path


@pytest.mark.parametrize("name", ["a.npy", "a.mrc", "a.blo", "a.h5", "a.hspy"])
def test_truncation_names_expected_and_actual_bytes(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.truncate(size * 6 // 10)
    with pytest.raises(DataFormatError) as error:
        open_scan(path)
    assert str(error.value) == (
        f"{path}: truncated, expected {size} bytes, the file has {size * 6 // 10}; copy or export it again"
    )


def test_truncation_of_the_raw_file_of_empad(tmp_path: Path) -> None:
    write(tmp_path / "a.xml")
    raw = tmp_path / "scan_x5_y3.raw"
    with open(raw, "r+b") as file:
        file.truncate(7 * 130 * 128 * 4)
    expected = 14 * 130 * 128 * 4 + 128 * 128 * 4  # the last frame's footer is not needed
    with pytest.raises(DataFormatError, match=f"truncated, expected {expected} bytes, the file has {7 * 66560};"):
        open_scan(tmp_path / "a.xml")


@pytest.mark.parametrize("name", ["a.npy", "a.mib", "a.mrc", "a.dm4", "a.blo", "a_000.tvips", "a.xml"])
def test_cut_anywhere(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name if "tvips" not in name else tmp_path / "t_000.tvips")
    whole = path.read_bytes()
    for tenth in range(10):
        path.write_bytes(whole[: len(whole) * tenth // 10 + tenth])
        with pytest.raises(NbedexError):
            open_scan(path, scan_shape=(3, 5)).close()


@pytest.mark.parametrize("name", ["a.npy", "a.mib", "a.mrc", "a.dm4", "a.blo", "t_000.tvips", "a.xml"])
def test_flipped_bits_in_the_header(tmp_path: Path, name: str) -> None:
    """Either an error of ours or a scan; nothing else comes out, and nothing hangs."""
    path = write(tmp_path / name)
    whole = path.read_bytes()
    rng = np.random.default_rng(5)
    logging.getLogger("rsciio").setLevel(logging.CRITICAL)
    for _ in range(40):
        broken = bytearray(whole)
        place = int(rng.integers(0, min(len(whole), 700)))
        broken[place] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(broken)
        try:
            with open_scan(path) as scan:
                assert scan.read(scan.size - 1, scan.size).shape == (1, *scan.frame_shape)
        except NbedexError:
            pass


def test_flipped_bits_in_hdf5(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    whole = path.read_bytes()
    rng = np.random.default_rng(6)
    for _ in range(12):
        broken = bytearray(whole)
        broken[int(rng.integers(8, 2048))] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(broken)
        try:
            with open_scan(path) as scan:
                assert scan.read(0, 1).shape == (1, *scan.frame_shape)
        except NbedexError:
            pass


def test_a_damaged_chunk_in_the_middle_names_its_patterns(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        node = file.create_dataset("data", data=DATA, chunks=(1, 1, 17, 19), compression="gzip", fletcher32=True)
        chunk = node.id.get_chunk_info_by_coord((1, 2, 0, 0))
    with open(path, "r+b") as raw:
        raw.seek(chunk.byte_offset + 20)
        raw.write(b"\xff\x00\xff\x00")
    with open_scan(path) as scan:
        np.testing.assert_array_equal(scan.read(0, 7), FRAMES[:7])
        with pytest.raises(DataFormatError, match=r"a.h5: can't read patterns 5 to 9 \(.*the file is damaged"):
            scan.read(5, 10)
        with pytest.raises(DataFormatError, match=r"can't read patterns 7 "):
            scan.read_at([1, 7])
        np.testing.assert_array_equal(scan.read(8, 15), FRAMES[8:])


@pytest.mark.parametrize("name", ["a.npy", "a.h5", "a.mib"])
def test_a_file_that_shrinks_while_it_is_read_is_an_error_not_a_crash(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    with open_scan(path) as scan:
        with open(path, "r+b") as file:
            file.truncate(path.stat().st_size // 2)
        with pytest.raises(DataFormatError, match=r"can't read patterns 14 to 14 \(expected .* the file ends early"):
            scan.read(14, 15)


def test_hdf5_that_hangs_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.h5")
    monkeypatch.setattr(guard, "TIMEOUT", 0.3)
    monkeypatch.setattr(guard, "_CHILD", "import time; time.sleep(60)")
    with pytest.raises(DataFormatError, match=r"did not come back from this file within 0.3 s; the file is damaged"):
        open_scan(path)


def test_hdf5_that_crashes_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.h5")
    monkeypatch.setattr(guard, "_CHILD", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(DataFormatError, match=r"the HDF5 library crashed on this file \(code -11\)"):
        open_scan(path)


def test_the_child_reads_the_same_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.h5")
    open_scan(path).close()
    monkeypatch.setattr(guard, "_CHILD", "raise SystemExit(9)")
    open_scan(path).close()
    with h5py.File(path, "a") as file:
        file["more"] = 1
    with pytest.raises(DataFormatError, match="code 9"):
        open_scan(path)


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    np.save(tmp_path / "a.npy", np.array([[Trap(mark)]], object), allow_pickle=True)
    with pytest.raises(DataFormatError, match="holds Python objects, never unpickled here"):
        open_scan(tmp_path / "a.npy")
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Trap(mark)))
    with pytest.raises(DataFormatError, match=r"not a NumPy .npy file"):
        open_scan(tmp_path / "b.npy")
    assert not mark.exists()


def zspy(path: Path) -> Path:
    from rsciio.zspy import file_writer

    file_writer(str(path), signal(DATA), chunks=(1, 5, 17, 19))
    return path


def test_zspy_with_a_pickle_codec_is_refused(tmp_path: Path) -> None:
    import json

    path = zspy(tmp_path / "a.zspy")
    for name in (".zmetadata", "Experiments/test/data/.zarray"):
        where = path / name
        if where.exists():
            content = json.loads(where.read_text())
            target = content["metadata"]["Experiments/test/data/.zarray"] if "metadata" in content else content
            target["compressor"] = {"id": "pickle", "protocol": 5}
            where.write_text(json.dumps(content))
    with pytest.raises(DataFormatError, match=r"holds Python objects .* never unpickled here"):
        open_scan(path)


def test_zspy_with_a_missing_chunk_says_so(tmp_path: Path) -> None:
    path = zspy(tmp_path / "a.zspy")
    chunks = sorted(p for p in (path / "Experiments/test/data").rglob("*") if p.is_file() and p.name[0] != ".")
    chunks[1].unlink()
    with open_scan(path) as scan:
        assert scan.metadata.notes == ("1 of 3 chunks are missing, read as zeros: the copy may be incomplete",)


def test_zspy_with_a_damaged_chunk(tmp_path: Path) -> None:
    path = zspy(tmp_path / "a.zspy")
    chunks = sorted(p for p in (path / "Experiments/test/data").rglob("*") if p.is_file() and p.name[0] != ".")
    chunks[1].write_bytes(b"\x02\x01garbage" * 9)
    with open_scan(path) as scan:
        np.testing.assert_array_equal(scan.read(0, 5), FRAMES[:5])
        with pytest.raises(DataFormatError, match=r"can't read patterns 5 to 9"):
            scan.read(5, 10)


def test_not_what_the_name_says(tmp_path: Path) -> None:
    for name in ("a.blo", "a.mib", "a.mrc", "a.dm4", "a.npy", "a.xml", "t_000.tvips", "a.hspy", "a.zspy", "a.emd"):
        path = tmp_path / name
        path.write_bytes(b"Dear diary, today I measured nothing. " * 100)
        with pytest.raises(NbedexError) as error:
            open_scan(path, scan_shape=(3, 5))
        assert str(path) in str(error.value)


def test_sixty_gigabytes_are_not_read(tmp_path: Path) -> None:
    shape = (2048, 4096, 64, 64)
    path = tmp_path / "large.npy"
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint16, shape=shape).flush()
    with open(path, "r+b") as file:
        file.seek(-2, 2)
        file.write(b"\x07\x00")
    with open_scan(path) as scan:
        assert scan.size == 2048 * 4096
        last = scan.read(scan.size - 2, scan.size)
        assert last.sum() == 7 and last[-1, -1, -1] == 7


NPY_HEADS = {
    "open bracket": b"{'descr': '<u2', 'fortran_order': False, 'shape': (3, 5, 17, 19",
    "open string": b"{'descr': '<u2, 'fortran_order': False, 'shape': (3, 5, 17, 19), }",
    "three quotes": b"'''",
    "no dictionary": b"[1, 2]",
    "negative": b"{'descr': '<u2', 'fortran_order': False, 'shape': (3, -5, 17, 19), }",
    "negative twice": b"{'descr': '<u2', 'fortran_order': False, 'shape': (-3, -5, 17, 19), }",
    "beyond 64 bits": b"{'descr': '<u2', 'fortran_order': False, 'shape': (99999999999999999999, 5, 17, 19), }",
    "no such type": b"{'descr': '<q9', 'fortran_order': False, 'shape': (3, 5, 17, 19), }",
    "deep": b"(" * 5000,
    "truth values": b"{'descr': '|b1', 'fortran_order': False, 'shape': (True, True), }",
    "deeper": b"[" * 9000,
    "a word": b"{'descr': '<u2', 'fortran_order': os, 'shape': (3, 5, 17, 19), }",
}


@pytest.mark.parametrize("name", sorted(NPY_HEADS))
@pytest.mark.parametrize("version", [1, 2, 3])
def test_heads_of_npy_files_found_by_fuzzing(tmp_path: Path, name: str, version: int) -> None:
    from nbedex.workflow import load_mask

    text = NPY_HEADS[name] + b"\n"
    size = len(text).to_bytes(2 if version == 1 else 4, "little")
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY" + bytes([version, 0]) + size + text + bytes(4000))
    for read in (open_scan, lambda p: load_mask(str(p))):
        with pytest.raises(DataFormatError, match=r"a\.npy"):
            read(path)


def test_a_head_that_claims_gigabytes_for_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x02\x00\xff\xff\xff\xfe{'descr'")
    with pytest.raises(DataFormatError, match=r"a\.npy: not a NumPy \.npy file, it starts with b'.x93NUMPY"):
        open_scan(path)


def test_an_array_longer_than_its_file_takes_no_memory(tmp_path: Path) -> None:
    from nbedex.workflow import load_mask

    text = b"{'descr': '|b1', 'fortran_order': False, 'shape': (1000000, 1000000), }\n"
    path = tmp_path / "m.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    with pytest.raises(DataFormatError, match=r"truncated, expected 1000000000082 bytes, the file has 82;"):
        load_mask(str(path))


def test_an_unknown_version_of_npy(tmp_path: Path) -> None:
    from nbedex.workflow import load_mask

    path = tmp_path / "a.npy"
    np.save(path, np.zeros((20, 20), bool))
    content = bytearray(path.read_bytes())
    content[7] = 4
    path.write_bytes(content)
    for read in (open_scan, lambda p: load_mask(str(p))):
        with pytest.raises(DataFormatError, match=r"a\.npy: not a NumPy \.npy file, it starts with"):
            read(path)
