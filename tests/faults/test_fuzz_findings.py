"""What the fuzzer found in checkpoints and maps of other programs; see docs/decisions/fuzzing.md."""

from __future__ import annotations

import io
import logging
import pickle
import zlib
from pathlib import Path

import numpy as np
import pytest

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.indexing import IndexingSettings
from nbedex.indexing.checkpoint import Checkpoint
from nbedex.indexing.records import empty_records
from nbedex.maps import Status, export, read_crystal_map
from oracles.maps_sample import sample_result

IDENTITY = {"input": "abc"}


@pytest.mark.parametrize("text", ["1", "[]", "null", '"x"', "true", "{}"])
def test_a_description_that_is_no_table(tmp_path: Path, text: str) -> None:
    Checkpoint(tmp_path / "part", IDENTITY, resume=False)
    (tmp_path / "part" / "run.json").write_text(text)
    with pytest.raises(ArgumentError, match=r"start over with --overwrite$"):
        Checkpoint(tmp_path / "part", IDENTITY, resume=True)


def _npy(head: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(200)


def _objects() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"nothing", pickle.dumps([1]), _objects(), _npy(b"{'descr': '<f4', 'shape': (3"), _npy(b"'''"),
        _npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"), b"PK\x03\x04" + bytes(60),
    ],
)  # fmt: skip
def test_a_forged_block_is_indexed_again(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Its checksum is right, so someone made it; nothing in it is unpickled."""
    records = empty_records(3, IndexingSettings(), 2, Status.NO_MATCH)
    store = Checkpoint(tmp_path / "part", IDENTITY, resume=False)
    store.save(0, 3, records)
    (block,) = (tmp_path / "part").glob("patterns_*")
    assert store.load(0, 3, records.dtype) is not None
    block.write_bytes(zlib.crc32(content, zlib.crc32(block.name.encode())).to_bytes(4, "little") + content)
    with caplog.at_level(logging.WARNING):
        assert store.load(0, 3, records.dtype) is None
    assert f"{block.name} is damaged" in caplog.text


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
