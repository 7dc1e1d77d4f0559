"""Result files that are damaged, hostile, or can't be written."""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nbedex import files
from nbedex.errors import ArgumentError, DataFormatError, OutputError
from nbedex.maps import read_result, write_result
from nbedex.maps.result import ARRAYS

_SAMPLE = Path(__file__).parents[1] / "oracles" / "maps_sample.py"
_spec = importlib.util.spec_from_file_location("maps_sample", _SAMPLE)
assert _spec and _spec.loader
maps_sample = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(maps_sample)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_result(tmp_path_factory.mktemp("good") / "map.h5", maps_sample.sample_result((5, 7)))


@pytest.fixture
def copy(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(good, tmp_path / "map.h5"))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"expected a result file, found no file at .*none\.h5"):
        read_result(tmp_path / "none.h5")


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", b"\x89HDF\r\n\x1a\n"])
def test_not_hdf5(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "map.h5"
    path.write_bytes(content)
    with pytest.raises(DataFormatError, match=r"map.h5 can't be read as a result file \(HDF5\)"):
        read_result(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_cut_short(copy: Path, share: float) -> None:
    data = copy.read_bytes()
    copy.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DataFormatError):
        read_result(copy)


@pytest.mark.parametrize("name", [*ARRAYS, "phases", "calibration", "provenance"])
def test_one_flipped_bit_is_found(copy: Path, name: str) -> None:
    with h5py.File(copy) as file:
        offset, size = file[name].id.get_offset(), file[name].nbytes
    if not size:
        pytest.skip("no element, no bit")
    data = bytearray(copy.read_bytes())
    data[offset + size // 2] ^= 0x10
    copy.write_bytes(data)
    with pytest.raises(DataFormatError, match=f"{name}.* does not agree with its SHA-256"):
        read_result(copy)


def test_bits_flipped_anywhere(good: Path, tmp_path: Path) -> None:
    """Every 61st byte, structure included: an error or the very same result, never another one."""
    data, path = good.read_bytes(), tmp_path / "map.h5"
    expected = read_result(good)
    for offset in range(0, min(len(data), 9000), 61):
        broken = bytearray(data)
        broken[offset] ^= 0xFF
        path.write_bytes(broken)
        try:
            result = read_result(path)
        except DataFormatError:
            continue
        for name in ARRAYS:
            kind = getattr(expected, name).dtype.kind
            assert np.array_equal(getattr(result, name), getattr(expected, name), equal_nan=kind == "f")


def change(copy: Path, edit: Any) -> None:
    with h5py.File(copy, "r+") as file:
        edit(file)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda f: f.attrs.__delitem__("format"), "HDF5 but no result of nbedex: .* got None"),
        (lambda f: f.attrs.__setitem__("format", b"nbedex-library"), "got 'nbedex-library'"),
        (lambda f: f.attrs.__setitem__("version", 1), "is a result of version .*1.*, this nbedex reads version 2"),
        (lambda f: f.attrs.__setitem__("version", b"1"), "is a result of version"),
        (lambda f: f.__delitem__("status"), "lacks the dataset 'status'"),
        (lambda f: f.__delitem__("provenance"), "lacks the dataset 'provenance'"),
    ],
)
def test_not_what_it_claims(copy: Path, edit: Any, message: str) -> None:
    change(copy, edit)
    with pytest.raises(DataFormatError, match=message):
        read_result(copy)


def replaced(name: str, make: Any) -> Any:
    def edit(file: Any) -> None:
        array = file[name][()]
        del file[name]
        make(file, name, array)

    return edit


def virtual(file: Any, name: str, array: Any) -> None:
    layout = h5py.VirtualLayout(shape=array.shape, dtype=array.dtype)
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", shape=array.shape)
    file.create_virtual_dataset(name, layout)


def bomb(file: Any, name: str, array: Any) -> None:
    """A dataset of a petabyte of which not one byte is stored."""
    file.create_dataset(name, shape=(10**7, 10**7), dtype="<f8", chunks=(100, 100))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f, n, a: f.__setitem__(n, h5py.ExternalLink("/etc/hostname", "/x")), r"is a link \(ExternalLink\)"),
        (lambda f, n, a: f.__setitem__(n, h5py.SoftLink("/status")), r"is a link \(SoftLink\)"),
        (virtual, "must be a dataset with its data in this file"),
        (
            lambda f, n, a: f.create_dataset(n, data=a, external=[("stolen.bin", 0, a.nbytes)]),
            "must be a dataset with its data in this file",
        ),
        (lambda f, n, a: f.create_group(n), "must be a dataset with its data in this file"),
        (bomb, "should take 800000000000000 bytes, the file holds 0 of it"),
        (lambda f, n, a: f.create_dataset(n, data=a.astype("f4")), "must be float64, got float32"),
        (lambda f, n, a: f.create_dataset(n, data=a), "does not agree with its SHA-256"),
        (lambda f, n, a: f.create_dataset(n, data=["text"] * 3), "should take|must be float64"),
    ],
)
def test_hostile_dataset(copy: Path, monkeypatch: pytest.MonkeyPatch, make: Any, message: str) -> None:
    monkeypatch.chdir(copy.parent)
    change(copy, replaced("orientation", make))
    with pytest.raises(DataFormatError, match=message):
        read_result(copy)


def test_values_that_contradict(copy: Path) -> None:
    """A file with right checksums whose arrays don't fit: the model refuses it."""
    from nbedex.maps.stored import write_array as _write

    change(copy, replaced("phase_id", lambda f, n, a: _write(f, n, a[:-1])))
    with pytest.raises(DataFormatError, match=r"don't fit together: orientation must have the shape"):
        read_result(copy)


def test_nothing_is_overwritten_unasked(copy: Path) -> None:
    before = copy.read_bytes()
    with pytest.raises(OutputError, match=r"map\.h5 exists already; choose another name or ask for it"):
        write_result(copy, maps_sample.sample_result((2, 2)))
    assert copy.read_bytes() == before
    write_result(copy, maps_sample.sample_result((2, 2)), overwrite=True)
    assert read_result(copy).shape == (2, 2)


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    with (
        pytest.raises(OutputError, match="exists already"),
        files.replacing(path) as temporary,
    ):
        temporary.write_bytes(b"mine")
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"theirs" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing/map.h5", "the folder .*missing does not exist; create it first"),
        ("", "expected the name of a file to write|it is a folder"),
        (".", "it is a folder; give the name of a file"),
    ],
)
def test_bad_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=message):
        write_result(name, maps_sample.sample_result((2, 2)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="is not writable"):
        write_result(tmp_path / "map.h5", maps_sample.sample_result((2, 2)))


def test_too_full_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(OutputError, match=r"it needs 0.1 MB but the disk has 0.0 MB free"):
        write_result(tmp_path / "map.h5", maps_sample.sample_result((2, 2)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", ["fsync", "link", "replace"])
def test_failure_at_each_stage(copy: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    """The old file stays, the temporary one goes, the message is one line."""
    before = copy.read_bytes()

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, stage, full)
    if stage == "link":
        monkeypatch.setattr(os, "replace", full)
    target = copy if stage != "link" else copy.with_name("new.h5")
    with pytest.raises(OutputError, match="the disk is full; free some space or write elsewhere"):
        write_result(target, maps_sample.sample_result((2, 2)), overwrite=stage != "link")
    assert copy.read_bytes() == before and list(copy.parent.iterdir()) == [copy]


def test_what_was_written_wrong_is_discarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbedex.maps import result_file

    image = result_file._hdf5_image

    def damaged(result: Any) -> memoryview:
        data = bytearray(image(result))
        data[len(data) // 2 : len(data) // 2 + 500] = bytes(500)
        return memoryview(data)

    monkeypatch.setattr(result_file, "_hdf5_image", damaged)
    with pytest.raises(OutputError, match="was not written right, so it was discarded"):
        write_result(tmp_path / "map.h5", maps_sample.sample_result((9, 9)))
    assert list(tmp_path.iterdir()) == []


_ON_A_SMALL_DISK = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("maps_sample", sys.argv[1])
sample = importlib.util.module_from_spec(spec); spec.loader.exec_module(sample)
from nbedex.errors import OutputError
from nbedex.maps import export, write_result
import nbedex.files as files
files.shutil.disk_usage = lambda folder: type("Usage", (), {"free": 10**12})  # someone else fills the disk
for job in (lambda r: write_result("map.h5", r), lambda r: export(r, "map_orix.h5", to="orix"),
            lambda r: export(r, "map.csv", to="csv")):
    try:
        job(sample.sample_result((60, 90)))
    except OutputError as error:
        print(error)
import os; print(sorted(os.listdir(".")))
"""


def test_full_disk_for_real(tmp_path: Path) -> None:
    """A file system of 256 kB in a user namespace: an error, no crash (HDF5 itself dies of SIGSEGV)."""
    script = f'mount -t tmpfs -o size=256k none "{tmp_path}" && cd "{tmp_path}" && exec "$@"'
    trial = ["unshare", "-rm", "sh", "-c", script, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*trial, "true"], capture_output=True).returncode:
        pytest.skip("needs unshare with permission to mount a tmpfs")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [*trial, sys.executable, "-c", _ON_A_SMALL_DISK, str(_SAMPLE)],
        capture_output=True, text=True, env=environment, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(": ", 1)[1] for line in lines[:3]] == [
        "the disk is full; free some space or write elsewhere"
    ] * 3
    assert lines[3] == "[]"
