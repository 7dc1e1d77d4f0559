"""Disks made into spots."""

from __future__ import annotations

import numpy as np
import pytest

from nbedex.indexing import IndexingSettings, PreprocessSettings, index_scan
from nbedex.indexing.disks import disk_less_ring, sharpened
from nbedex.library import SimulationSettings, simulate
from nbedex.maps import disorientation_angle
from nbedex.phases import load_phase
from nbedex.scan import memory_scan
from oracles.small_scan import CALIBRATION, CENTER, DETECTOR, PHASES, orientations, small_library

RNG = np.random.default_rng(3)


def slow(frame: np.ndarray, radius: float) -> np.ndarray:
    """The sum over each pixel's surroundings, pixel by pixel."""
    kernel = disk_less_ring(radius)
    reach = len(kernel) // 2
    padded = np.pad(frame.astype(float), reach, mode="edge")
    out = np.zeros(frame.shape)
    for row in range(frame.shape[0]):
        for column in range(frame.shape[1]):
            out[row, column] = (padded[row : row + 2 * reach + 1, column : column + 2 * reach + 1] * kernel).sum()
    return np.maximum(out, 0)


@pytest.mark.parametrize("radius", [1.5, 4.8])
def test_as_the_slow_twin_has_it(radius: float) -> None:
    frames = RNG.poisson(20.0, (3, 31, 40)).astype(np.uint16)
    got = sharpened(frames, radius, threads=1)
    np.testing.assert_allclose(got[1], slow(frames[1], radius), atol=2e-3)
    np.testing.assert_array_equal(got[1:2], sharpened(frames[1:2], radius, threads=2))
    assert abs(disk_less_ring(radius).sum()) < 1e-9
    mask = np.zeros((31, 40), np.uint8)
    mask[10, 10] = 1
    lit = frames.copy()
    lit[:, 10, 10] = 65000
    np.testing.assert_array_equal(sharpened(lit, radius, mask=mask), sharpened(np.where(mask, 0, frames), radius))


def test_a_disk_becomes_a_spot_in_its_middle() -> None:
    rows, columns = np.indices((60, 60))
    frame = 5.0 + 40.0 * np.clip(5.0 + 0.5 - np.hypot(rows - 30, columns - 24), 0, 1)
    got = sharpened(frame[None], 5.0)[0]
    assert np.unravel_index(got.argmax(), got.shape) == (30, 24)
    assert got[30, 24] == pytest.approx(40 * disk_less_ring(5.0).clip(0).sum(), rel=0.04)
    assert got[30, 28] < 0.45 * got[30, 24]  # half the width


def disks(radius: float, n: int = 8) -> np.ndarray:
    """Patterns (1, n, det_y, det_x) of Na2Au whose spots are disks."""
    settings = SimulationSettings(voltage=300.0, k_max=1.2, max_excitation_error=0.018)
    spots = simulate(load_phase(PHASES[0]), orientations(n), settings, threads=1)
    rows, columns = np.indices(DETECTOR)
    frames = []
    for i in range(n):
        p = spots.pattern(i)
        x, y = CALIBRATION.detector_from_sample() @ np.stack([p["kx"], p["ky"]]).astype(float)
        share = p["intensity"] / p["intensity"].sum()
        image = np.zeros(DETECTOR)
        for a, b, s in zip(np.r_[0, x], np.r_[0, y], np.r_[1.0, share], strict=True):
            image += s * np.clip(radius + 0.5 - np.hypot(rows - CENTER[0] - b, columns - CENTER[1] - a), 0, 1)
        frames.append(4e4 * image / image.sum() + 1.0)
    return RNG.poisson(np.stack(frames)).astype(np.uint16)[None]


def test_orientations_of_patterns_of_disks() -> None:
    symmetry = load_phase(PHASES[0]).symmetry_quaternions
    n = 20
    scan, library = memory_scan(disks(3.0, n)), small_library()
    errors = {}
    for radius in (0.0, 3.0):
        settings = IndexingSettings(preprocess=PreprocessSettings(disk_radius=radius, k_min=0.12))
        found = index_scan(scan, library, CALIBRATION, settings=settings, threads=1)
        angle = np.rad2deg(disorientation_angle(orientations(n), found.orientation[0], symmetry))
        errors[radius] = np.where(found.phase_id[0] == 0, angle, 180.0)
    assert np.median(errors[3.0]) < 0.6 * np.median(errors[0.0])
    assert (errors[3.0] < 1.5).sum() >= max(14, 3 * (errors[0.0] < 1.5).sum())  # 15 to 17, and 2 or 3 without
