"""Results compared bit for bit."""

from __future__ import annotations

from nbedex.maps import IndexingResult
from nbedex.maps.result import ARRAYS


def assert_same_maps(one: IndexingResult, other: IndexingResult) -> None:
    """All arrays of two results have the same type, shape and bytes, NaNs included."""
    for name in ARRAYS:
        a, b = getattr(one, name), getattr(other, name)
        assert (a.dtype, a.shape) == (b.dtype, b.shape), name
        assert a.tobytes() == b.tobytes(), name
