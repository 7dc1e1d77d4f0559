"""A result file written and summed up in bands is the one written, and summed up, whole."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError, OutputError
from nbedex.maps import (
    Head,
    IndexingResult,
    ResultReader,
    Status,
    bands,
    read_result,
    streaming,
    summary,
    summary_of_file,
    write_result,
    write_rows,
)
from nbedex.maps.result import ARRAYS
from nbedex.maps.skeleton import skeleton
from oracles.maps_sample import sample_result


def head_of(result: IndexingResult) -> Head:
    return Head(
        result.phases,
        result.calibration,
        result.provenance,
        result.shape,
        result.n_rivals,
        result.overlap_phase_id.shape[2],
    )


def records_of(result: IndexingResult) -> NDArray[Any]:
    arrays = {name: getattr(result, name) for name in ARRAYS}
    records = np.empty(result.shape, [(name, a.dtype, a.shape[2:]) for name, a in arrays.items()])
    for name, array in arrays.items():
        records[name] = array
    return records


@pytest.fixture(scope="module")
def result() -> IndexingResult:
    found = sample_result((11, 7), grains=True)
    found.status[3, 2] = found.status[8, 5] = Status.UNREADABLE
    for place in ((3, 2), (8, 5)):
        found.phase_id[place] = -1
        found.orientation[place] = np.nan
    return found


@pytest.mark.parametrize("cuts", [[11], [1] * 11, [4, 1, 6]])
def test_same_bytes_as_when_written_whole(tmp_path: Path, result: IndexingResult, cuts: list[int]) -> None:
    whole = write_result(tmp_path / "whole.h5", result).read_bytes()
    records, edges = records_of(result), np.cumsum([0, *cuts])
    parts = (records[a:b] for a, b in itertools.pairwise(edges))
    path = write_rows(tmp_path / "rows.h5", head_of(result), parts)
    assert path.read_bytes() == whole
    assert head_of(result).file_bytes() == len(whole)


@pytest.mark.parametrize("budget", [1, 3000, 1 << 30])
def test_same_summary_in_bands(
    tmp_path: Path, result: IndexingResult, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    monkeypatch.setattr(bands, "_BAND_BYTES", budget)
    path = write_result(tmp_path / "map.h5", result)
    numbers = summary_of_file(path)
    assert numbers == summary(result)
    rows = np.flatnonzero((result.status == Status.UNREADABLE).any(axis=1))
    assert numbers["unreadable_rows"] == [rows[0], rows[-1]] and rows[-1] == 8 and len(rows) > 2
    with ResultReader(path) as reader:
        assert len(list(reader.bands())) == {1: 11, 3000: 6, 1 << 30: 1}[budget] or budget == 3000
        for name in ARRAYS:
            assert getattr(reader.rows(2, 5), name).tobytes() == getattr(result, name)[2:5].tobytes()
        reader.check()


def test_too_few_rows_or_wrong_ones_leave_nothing(tmp_path: Path, result: IndexingResult) -> None:
    records = records_of(result)
    with pytest.raises(ArgumentError, match=r"got 9 rows for a map of \(11, 7\)"):
        write_rows(tmp_path / "a.h5", head_of(result), [records[:9]])
    with pytest.raises(ArgumentError, match=r"rows 8 to 19 of \(11, 7\) don't fit a map of \(11, 7\)"):
        write_rows(tmp_path / "a.h5", head_of(result), [records[:8], records])
    broken = records.copy()
    broken["status"][4, 4] = Status.OK if broken["phase_id"][4, 4] < 0 else Status.BLANK
    with pytest.raises(ArgumentError, match="status must be OK exactly where phase_id is not -1"):
        write_rows(tmp_path / "a.h5", head_of(result), [broken])
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_wrong_is_discarded(
    tmp_path: Path, result: IndexingResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = streaming._write_arrays

    def damaged(stream: Any, head: Head, plan: Any, rows: Any) -> dict[str, str]:
        digests = write(stream, head, plan, rows)
        stream.seek(plan.offsets["rival_score"] + 40)
        stream.write(b"\x01\x02\x03")
        return digests

    monkeypatch.setattr(streaming, "_write_arrays", damaged)
    with pytest.raises(OutputError, match=r"a.h5 was not written right, so it was discarded: .*'rival_score'"):
        write_rows(tmp_path / "a.h5", head_of(result), [records_of(result)])
    assert list(tmp_path.iterdir()) == []


def test_damage_is_noticed_by_bands(tmp_path: Path, result: IndexingResult) -> None:
    path = write_result(tmp_path / "map.h5", result)
    data = bytearray(path.read_bytes())
    at = data.find(result.index.astype("<f4").tobytes()[:16])
    data[at + 5] ^= 1
    path.write_bytes(data)
    with ResultReader(path) as reader, pytest.raises(DataFormatError, match="'index' does not agree with its SHA-256"):
        reader.check()
    path.write_bytes(b"no HDF5")
    with pytest.raises(DataFormatError, match="can't be read as a result file"):
        ResultReader(path)
    with pytest.raises(ArgumentError, match="found no file at"):
        ResultReader(tmp_path / "missing.h5")


def test_sizes_beyond_two_to_the_31() -> None:
    """A map of 100,000 x 90,000 pixels is laid out without its 1.7 TB: every place follows from 64-bit arithmetic."""
    arrays = Head(sample_result((2, 2)).phases, sample_result((2, 2)).calibration, {}, (100_000, 90_000), 5).arrays()
    plan = skeleton(arrays, {"text": (b"{}", "0" * 64)})
    sizes = {name: int(np.prod(shape, dtype=object)) * dtype.itemsize for name, (shape, dtype) in arrays.items()}
    places = sorted((offset, sizes[name]) for name, offset in plan.offsets.items())
    assert all(a + size <= b for (a, size), (b, _) in itertools.pairwise(places))
    assert sum(sizes.values()) < plan.size < sum(sizes.values()) + (1 << 16)
    assert plan.size > 1 << 40 and sum(len(piece) for _, piece in plan.pieces) < 1 << 20


def test_the_file_of_a_large_map_is_written_in_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows pass by; what is held is one band."""
    import tracemalloc

    monkeypatch.setattr(bands, "_BAND_BYTES", 1 << 20)
    small = sample_result((40, 50), grains=True)
    records = records_of(small)
    head = Head(small.phases, small.calibration, {}, (40 * 60, 50), small.n_rivals, small.overlap_phase_id.shape[2])
    tracemalloc.start()
    path = write_rows(tmp_path / "map.h5", head, (records for _ in range(60)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 60 * records.nbytes * 0.99
    assert peak < 10 * records.nbytes + (1 << 21) < path.stat().st_size / 3
    assert read_result(path).shape == (2400, 50)
