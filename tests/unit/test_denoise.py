"""Averaging patterns with their neighbours: weights, edges, boundaries, and a twin that is slow and obvious."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.indexing.denoise import DenoiseSettings, averaged, distance

RNG = np.random.default_rng(5)


def slow(frames: NDArray[np.float64], settings: DenoiseSettings) -> NDArray[np.float64]:
    """Without gate, pixel by pixel."""
    ny, nx = frames.shape[:2]
    out = np.zeros(frames.shape)
    for y in range(ny):
        for x in range(nx):
            weights = 0.0
            for v in range(max(0, y - settings.reach), min(ny, y + settings.reach + 1)):
                for u in range(max(0, x - settings.reach), min(nx, x + settings.reach + 1)):
                    w = np.exp(-((v - y) ** 2 + (u - x) ** 2) / (2 * settings.width**2))
                    out[y, x] += w * frames[v, u]
                    weights += w
            out[y, x] /= weights
    return out


@pytest.mark.parametrize("reach", [1, 2])
@pytest.mark.parametrize("shape", [(5, 4), (1, 6), (3, 1), (1, 1)])
def test_as_the_slow_twin_has_it(shape: tuple[int, int], reach: int) -> None:
    frames = RNG.poisson(3.0, (*shape, 6, 7)).astype(np.uint16)
    settings = DenoiseSettings(reach=reach, width=0.9)
    got = averaged(frames, settings)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, slow(frames.astype(float), settings), rtol=1e-5)


def test_no_reach_no_change() -> None:
    frames = RNG.poisson(3.0, (3, 3, 4, 4)).astype(np.uint16)
    np.testing.assert_array_equal(averaged(frames, DenoiseSettings()), frames)


@pytest.mark.parametrize("gate", [0.0, 0.2])
def test_rows_done_in_parts_are_those_done_at_once(gate: float) -> None:
    """With the rows around them; the gate's scale is then that of the part, so it is held fixed by equal patterns."""
    frames = np.repeat(RNG.poisson(5.0, (1, 1, 16, 16)), 35, axis=0).reshape(7, 5, 16, 16).astype(np.uint16)
    frames[:, :, 3, 4] += np.arange(7, dtype=np.uint16)[:, None] if gate == 0 else np.uint16(0)
    settings = DenoiseSettings(reach=2, width=1.0, gate=gate)
    whole = averaged(frames, settings)
    part = averaged(frames[1:6], settings, above=2, below=2)
    np.testing.assert_allclose(part, whole[3:4], rtol=1e-6)


def boundary(counts: float) -> NDArray[np.uint16]:
    """Two grains with other spots, meeting between columns 3 and 4."""
    mean = np.full((2, 64, 64), 0.02)
    for k in range(2):
        for row, column in RNG.integers(6, 58, (12, 2)):
            mean[k, row - 2 : row + 3, column - 2 : column + 3] += counts / 25
    return RNG.poisson(mean[(np.arange(8) > 3).astype(int)][None].repeat(4, axis=0)).astype(np.uint16)


def test_the_gate_keeps_grains_apart_and_still_averages_within_one() -> None:
    frames = boundary(60.0)
    left = frames[:, :3].mean(axis=(0, 1))
    right = frames[:, 5:].mean(axis=(0, 1))
    alien = (right > 1) & (left < 0.5)  # spots of the right grain alone
    leaked = {}
    for gate in (0.0, 0.3):
        got = averaged(frames, DenoiseSettings(reach=1, width=0.8, gate=gate))
        leaked[gate] = float(got[:, 3][:, alien].mean() / right[alien].mean())
        inside = got[1:3, 1] - left
        plain = frames[1:3, 1] - left
        assert inside.std() < 0.75 * plain.std()
    assert leaked[0.0] > 0.2 and leaked[0.3] < 0.02


def test_distance_of_two_patterns_of_one_kind_does_not_depend_on_the_dose() -> None:
    from scipy.ndimage import gaussian_filter

    values = []
    for counts in (4.0, 40.0):
        pair = RNG.poisson(counts, (2, 200, 200)).astype(np.float32)
        a, b = (gaussian_filter(p, 1.5).ravel() for p in pair)
        values.append(float(distance(a, b)))
    assert values == pytest.approx([1.0, 1.0], abs=0.08)


def test_what_cannot_be_averaged_is_told() -> None:
    frames = np.zeros((3, 3, 4, 4))
    with pytest.raises(
        ArgumentError, match=r"must have the axes \(scan_y, scan_x, det_y, det_x\), got shape \(3, 4, 4\)"
    ):
        averaged(frames[0], DenoiseSettings(reach=1))
    with pytest.raises(ArgumentError, match="of 3 rows, 2 above and 1 below leave none to average"):
        averaged(frames, DenoiseSettings(reach=1), above=2, below=1)
