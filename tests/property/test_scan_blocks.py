"""Blocks of a scan, for any shape, chunking and range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbedex.scan import memory_scan
from nbedex.scan.blocks import Block, plan, rectangles, tiles
from nbedex.scan.chunks import pieces
from nbedex.scan.sources import GridSource
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


@given(rows=sides, columns=sides, tile=st.tuples(sides, sides), size=st.integers(1, 30), largest=st.integers(1, 60))
def test_blocks_have_every_pattern_once(
    rows: int, columns: int, tile: tuple[int, int], size: int, largest: int
) -> None:
    tile = (min(tile[0], rows), min(tile[1], columns))
    blocks = list(plan((rows, columns), tile, size, largest))
    found = [block.patterns for block in blocks]
    assert sorted(np.concatenate(found)) == list(range(rows * columns))
    assert all(len(block) <= max(size, largest) for block in blocks)
    # the name of a block's records: its ends and its size
    assert len({(block.first, block.last, len(block)) for block in blocks}) == len(blocks)
    for block, numbers in zip(blocks, found, strict=True):
        assert (block.first, block.last, len(block)) == (numbers.min(), numbers.max(), len(numbers))
        pieces = [Block((where,), columns).patterns for where in tiles(block, tile)]
        assert sorted(np.concatenate(pieces)) == sorted(numbers)
        assert all(len({(n // columns // tile[0], n % columns // tile[1]) for n in piece}) == 1 for piece in pieces)
    if tile[0] * tile[1] <= largest:  # then every tile lies in one block
        owners: dict[tuple[int, int], set[int]] = {}
        for number, numbers in enumerate(found):
            for n in numbers:
                owners.setdefault((n // columns // tile[0], n % columns // tile[1]), set()).add(number)
        assert all(len(owner) == 1 for owner in owners.values())


@given(frames=st.integers(1, 60), tile=st.integers(1, 20), size=st.integers(1, 30), largest=st.integers(1, 60))
def test_blocks_of_a_stack(frames: int, tile: int, size: int, largest: int) -> None:
    blocks = list(plan((frames,), (min(tile, frames),), size, largest))
    np.testing.assert_array_equal(np.concatenate([block.patterns for block in blocks]), np.arange(frames))
    assert all(len(block) <= max(size, largest) for block in blocks)
    if tile <= largest:
        assert all(block.first % min(tile, frames) == 0 for block in blocks)


@given(shape=st.tuples(sides, sides, sides, sides), chunk=st.tuples(sides, sides, sides, sides), data=st.data())
def test_pieces_of_chunks_make_up_a_box(shape: tuple[int, ...], chunk: tuple[int, ...], data: st.DataObject) -> None:
    starts = [data.draw(st.integers(0, n - 1)) for n in shape]
    box = tuple(slice(a, data.draw(st.integers(a + 1, n))) for a, n in zip(starts, shape, strict=True))
    array = np.arange(np.prod(shape)).reshape(shape)
    out = np.full(array[box].shape, -1)
    for piece in pieces(box, chunk):
        whole = array[tuple(slice(a, a + n) for a, n in zip(piece.offset, chunk, strict=True))]
        assert all(a % n == 0 for a, n in zip(piece.offset, chunk, strict=True))
        assert (out[piece.target] == -1).all()
        out[piece.target] = whole[piece.inside]
        np.testing.assert_array_equal(array[piece.part], whole[piece.inside])
    np.testing.assert_array_equal(out, array[box])
