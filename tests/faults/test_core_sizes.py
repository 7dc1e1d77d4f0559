"""Places beyond 2^31 bytes and numbers: indices are 64 bits wide everywhere."""

from __future__ import annotations

import mmap

import numpy as np
import pytest

from nbedex import _core

GRID = _core.PolarGrid(n_rings=4, n_azimuths=36, k_min=0.1, k_max=0.9)
SAMPLER = _core.PolarSampler(GRID, np.array([[60.0, 0.0], [0.0, 60.0]]))


def nowhere(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """An array of zeros that takes memory only where it is written (or read, a page of zeros)."""
    kind = np.dtype(dtype)
    try:
        room = mmap.mmap(-1, int(np.prod(shape, dtype=np.int64)) * kind.itemsize, flags=mmap.MAP_PRIVATE | 0x4000)
    except (OSError, ValueError, AttributeError):
        pytest.skip("the system gives no address space without memory")
    array = np.frombuffer(room, kind).reshape(shape)
    array.flags.writeable = True
    return array


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_patterns_beyond_two_thousand_million_pixels(dtype: str) -> None:
    """Many large patterns in one array, of which the last is read right."""
    n, side = 40, 8192
    frames = nowhere((n, side, side), dtype)
    assert (n - 1) * side**2 > 2**31
    row, column = side - 120, side - 130
    small = np.random.default_rng(1).integers(1, 200, (120, 130)).astype(dtype)
    frames[-1, row:, column:] = small
    here = np.array([[60.25, 65.5]])
    near = _core.unwrap(small[None], here, SAMPLER, None, 1)
    far = _core.unwrap(frames, np.repeat(here + np.array([row, column]), n, axis=0), SAMPLER, None, 1)
    assert near.max() > 0 and not far[:-1].any()
    np.testing.assert_allclose(far[-1:], near, rtol=1e-3)  # places are single precision: 1/2000 pixel out there


def test_one_pattern_of_that_many_pixels_is_refused() -> None:
    frames = nowhere((1, 46_400, 46_400), "u1")
    assert frames.size > 2**31
    with pytest.raises(ValueError, match=r"^frames must have less than 2\^31 pixels$"):
        _core.unwrap(frames, np.array([[9.0, 9.0]]), SAMPLER, None, 1)
