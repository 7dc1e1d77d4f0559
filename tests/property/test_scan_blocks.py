"""Blocks of a scan, for any shape, chunking and range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbedex.scan import memory_scan
from nbedex.scan.sources import GridSource, rectangles
from nbedex.scan.units import length_factor, reciprocal_factor
from oracles.scan_files import patterns

sides = st.integers(1, 9)


@given(rows=sides, columns=sides, data=st.data())
def test_rectangles_cover_a_range_once_and_in_order(rows: int, columns: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, rows * columns))
    stop = data.draw(st.integers(start, rows * columns))
    grid = np.arange(rows * columns).reshape(rows, columns)
    pieces = list(rectangles((rows, columns), start, stop))
    found = np.concatenate([grid[piece].ravel() for piece in pieces] + [np.empty(0, int)])
    np.testing.assert_array_equal(found, np.arange(start, stop))
    assert len(pieces) <= 3


@given(rows=sides, columns=sides, tile=st.tuples(sides, sides), data=st.data())
def test_tiles_never_change_the_answer(rows: int, columns: int, tile: tuple[int, int], data: st.DataObject) -> None:
    array = patterns((rows, columns, 2, 3))
    source = GridSource(
        lambda where, workers: array[where],
        scan_shape=(rows, columns),
        frame_shape=(2, 3),
        dtype=array.dtype,
        tile=tile,
    )
    frames = array.reshape(-1, 2, 3)
    for _ in range(4):
        start = data.draw(st.integers(0, rows * columns))
        stop = data.draw(st.integers(start, rows * columns))
        np.testing.assert_array_equal(source.read(start, stop), frames[start:stop])


@given(wanted=st.lists(st.integers(0, 14), max_size=40))
def test_scattered_reads_keep_order_and_repetitions(wanted: list[int]) -> None:
    array = patterns((3, 5, 16, 17))
    with memory_scan(array) as scan:
        np.testing.assert_array_equal(scan.read_at(wanted), array.reshape(-1, 16, 17)[np.array(wanted, int)])


@pytest.mark.parametrize("length", ["pm", "Å", "nm", "µm", "m"])
@given(before=st.sampled_from(["", " ", "k_", "$", "["]), form=st.sampled_from(["1/{}", "{}^-1", "{}-1", "1 / {} "]))
def test_a_reciprocal_unit_is_the_inverse_of_its_length(length: str, before: str, form: str) -> None:
    factor = reciprocal_factor(before + form.format(length))
    step = length_factor(length)
    assert factor is not None and step is not None
    assert factor * step == pytest.approx(0.1)  # 1/angstrom times nm
