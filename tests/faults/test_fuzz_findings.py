"""What the fuzzer found in checkpoints, scans and maps of other programs; see docs/decisions/fuzzing.md."""

from __future__ import annotations

from pathlib import Path

import h5py
import imageio.v3 as imageio
import numpy as np
import pytest
from rsciio import blockfile

from nbedex.blockade.field import read_field_map
from nbedex.errors import ArgumentError, DataFormatError
from nbedex.indexing.checkpoint import Checkpoint
from nbedex.maps import export, read_crystal_map
from nbedex.scan import guard, open_scan
from nbedex.scan.growing import open_growing
from nbedex.scan.image import open_patterns
from oracles.maps_sample import sample_result
from oracles.scan_files import patterns, signal

IDENTITY = {"input": "abc"}


@pytest.mark.parametrize("text", ["1", "[]", "null", '"x"', "true", "{}"])
def test_a_description_that_is_no_table(tmp_path: Path, text: str) -> None:
    Checkpoint(tmp_path / "part", IDENTITY, resume=False).close()
    (tmp_path / "part" / "run.json").write_text(text)
    with pytest.raises(ArgumentError, match=r"start over with --overwrite$"):
        Checkpoint(tmp_path / "part", IDENTITY, resume=True)


def test_an_infinite_step(tmp_path: Path) -> None:
    path = export(sample_result((3, 4), n_rivals=2), tmp_path / "a.ang", to="ang")
    lines = path.read_text().splitlines()
    row = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    columns = lines[row + 1].split()
    columns[3] = "1e400"
    lines[row + 1] = "  ".join(columns)
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataFormatError, match=r"a\.ang can't be read as an orientation map \(\.ang\): cannot convert"):
        read_crystal_map(path)


def test_a_followed_file_on_which_hdf5_sleeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong checksum in a file opened for SWMR: the library tries again, each time after twice the pause."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("data", (2, 3, 16, 17), "u2", maxshape=(5, 3, 16, 17), chunks=(1, 1, 16, 17))
    content = bytearray(path.read_bytes())
    content[content.index(b"OHDR") + 20] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(guard, "GROWING_TIMEOUT", 1.5)
    with pytest.raises(DataFormatError, match=r"a\.h5: the HDF5 library did not come back .* within 1\.5 s"):
        open_growing(path, dataset=None, scan_shape=(5, 3))


def test_more_patterns_than_any_file_can_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data", (2**40, 2**20, 16, 16), "u1", chunks=(1, 1, 16, 16))
    with pytest.raises(DataFormatError, match=r"x 16 x 16 pixels are more than any file can hold"):
        open_scan(path)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_pictures_are_single_patterns(tmp_path: Path, name: str) -> None:
    """RosettaSciIO's lazy reader of pictures fails on all of them."""
    image = np.random.default_rng(0).integers(0, 255, (16, 17)).astype(np.uint8)
    imageio.imwrite(tmp_path / name, image)
    with open_patterns(tmp_path / name) as scan:
        np.testing.assert_array_equal(scan.read(0, 1)[0], image)


def test_a_field_with_an_open_bracket(tmp_path: Path) -> None:
    """NumPy parses the head of a .npy file as Python: SyntaxError, TokenError and others come out of it."""
    path = tmp_path / "field.npy"
    np.save(path, np.zeros((4, 5, 2)))
    path.write_bytes(path.read_bytes().replace(b"'shape': (", b"'shape': (("))
    with pytest.raises(DataFormatError, match=r"field\.npy: not a NumPy \.npy file"):
        read_field_map(path, shape=(4, 5), step=(1.0, 1.0))


def test_a_block_file_with_more_patterns_than_bytes(tmp_path: Path) -> None:
    """RosettaSciIO's lazy reader makes a table of them all first, of 16 GB for instance."""
    path = tmp_path / "a.blo"
    blockfile.file_writer(str(path), signal(patterns((2, 3, 16, 16), np.uint8), units=("nm", "nm", "cm", "cm")))
    content = bytearray(path.read_bytes())
    content[24:28] = b"\xff\xff\xff\xff"  # columns and rows
    path.write_bytes(content)
    with pytest.raises(DataFormatError, match=r"a\.blo: truncated, expected \d+ bytes, the file has"):
        open_scan(path)
