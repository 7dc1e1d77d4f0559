"""Which patterns make the map, by slicing an array of their numbers; and numbers beyond 2^31."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbedex.errors import ArgumentError
from nbedex.indexing.region import Region, coarse
from nbedex.scan.blocks import plan, runs


@st.composite
def regions(draw: st.DrawFn) -> Region:
    rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    top, left = draw(st.integers(0, rows - 1)), draw(st.integers(0, columns - 1))
    return Region(
        scan_shape=(rows, columns),
        rows=(top, draw(st.integers(top + 1, rows))),
        columns=(left, draw(st.integers(left + 1, columns))),
        every=draw(st.integers(1, 4)),
    )


@given(regions())
def test_a_region_is_a_slice(region: Region) -> None:
    numbers = np.arange(np.prod(region.scan_shape)).reshape(region.scan_shape)
    part = numbers[region.rows[0] : region.rows[1] : region.every, region.columns[0] : region.columns[1] : region.every]
    assert region.map_shape == part.shape and region.size == part.size
    assert np.flatnonzero(region.wanted()).tolist() == sorted(part.ravel().tolist())
    pixels = region.pixels(numbers.ravel())
    for number, pixel in enumerate(pixels.tolist()):
        assert (part.ravel()[pixel] == number) if pixel >= 0 else (number not in part)
    for first in range(region.map_shape[0]):
        low, high = region.patterns_of_rows(first, first + 1)
        assert low == part[first, 0] and part[first, -1] < high <= part[first, -1] + region.every
    assert Region.from_dict(json.loads(json.dumps(region.to_dict()))) == region
    mask = numbers % 3 == 1
    assert region.wanted(mask).tolist() == (region.wanted() & mask.ravel()).tolist()


@given(regions(), st.integers(1, 40))
def test_a_coarse_part_is_even_and_small(region: Region, at_most: int) -> None:
    chosen, stride = coarse(region, region.wanted(), at_most=at_most)
    assert chosen.any() and not (chosen & ~region.wanted()).any()
    rows, columns = region.map_shape
    assert chosen.sum() == -(-rows // stride) * -(-columns // stride)
    assert stride == 1 or chosen.sum() < region.size
    assert region.size > at_most or chosen.sum() == region.size


def test_numbers_beyond_two_to_the_31() -> None:
    """A scan of 3 x 10^9 patterns: no number passes through 32 bits."""
    region = Region(scan_shape=(60_000, 50_000), rows=(1, 60_000), columns=(7, 50_000), every=3)
    last = 59_998 * 50_000 + 49_999
    row, column = (59_998 - 1) // 3, (49_999 - 7) // 3
    assert region.pixels(np.array([last - 1, last])).tolist() == [
        -1 if (49_998 - 7) % 3 or (59_998 - 1) % 3 else row * region.map_shape[1] + (49_998 - 7) // 3,
        row * region.map_shape[1] + column if (59_998 - 1) % 3 == 0 and (49_999 - 7) % 3 == 0 else -1,
    ]
    inside = np.int64((1 + 3 * 19_990) * 50_000 + 7 + 3 * 16_600)
    assert inside > 1 << 31
    assert region.pixels(np.array([inside])).tolist() == [19_990 * region.map_shape[1] + 16_600]
    low, high = region.patterns_of_rows(19_990, 19_991)
    assert low == (1 + 3 * 19_990) * 50_000 + 7 and high - low == 50_000 - 7
    blocks = plan((60_000, 50_000), (1, 1), 1_000_000, 1_000_000)
    *_, end = blocks
    assert end.last == 60_000 * 50_000 - 1 and end.patterns[-1] == end.last and end.patterns.dtype == np.int64
    assert list(runs(np.array([1 << 40, (1 << 40) + 1, 1 << 41]))) == [
        (1 << 40, (1 << 40) + 2),
        (1 << 41, (1 << 41) + 1),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": (0, 9)}, "rows 0:9 are not within the scan's 0:8"),
        ({"columns": (-1, 3)}, "columns -1:3"),
        ({"columns": (3, 3)}, "or empty"),
        ({"every": 0}, "every must be at least 1, got 0"),
    ],
)
def test_impossible_regions(changes: dict[str, object], message: str) -> None:
    good = {"scan_shape": (8, 5), "rows": (0, 8), "columns": (0, 5)}
    with pytest.raises(ArgumentError, match=message):
        Region(**(good | changes))  # type: ignore[arg-type]
