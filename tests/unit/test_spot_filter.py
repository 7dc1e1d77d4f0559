"""Spots brought out of frames before these are unwrapped."""

from __future__ import annotations

import numpy as np
import pytest

from nbedex import _core
from nbedex.indexing import CenterSettings, IndexingSettings, PreprocessSettings, index_scan
from nbedex.indexing.spot_filter import NARROW, disk_less_ring, spot_filter
from nbedex.indexing.spot_size import autocorrelation, half_width
from nbedex.library import SimulationSettings, simulate
from nbedex.maps import disorientation_angle
from nbedex.phases import load_phase
from nbedex.scan import memory_scan
from oracles.small_scan import CALIBRATION, CENTER, DETECTOR, PHASES, orientations, small_library

RNG = np.random.default_rng(3)
SHAPE = (31, 40)
GRID = _core.PolarGrid(n_rings=12, n_azimuths=36, k_min=0.1, k_max=1.3)
SAMPLER = _core.PolarSampler(GRID, np.array([[9.0, 2.0], [-1.0, 11.0]]))
AT = (14.3, 21.8)


def whole(radius: float) -> np.ndarray:
    """The kernel, all four quadrants."""
    quadrant = disk_less_ring(radius).astype(float)
    lower = np.concatenate([quadrant[:, :0:-1], quadrant], axis=1)
    return np.concatenate([lower[:0:-1], lower])


def slow(frame: np.ndarray, radius: float, mask: np.ndarray | None = None) -> np.ndarray:
    """The sum over each pixel's surroundings, pixel by pixel; a masked pixel is as the nearest that is not."""
    frame = np.array(frame, dtype=float)
    lost = ~np.isfinite(frame)
    frame[lost] = 0
    if mask is not None:
        good = np.argwhere(mask == 0)
        for row, column in np.argwhere(mask):
            nearest = good[((good - [row, column]) ** 2).sum(axis=1).argmin()]
            frame[row, column] = frame[tuple(nearest)]
    kernel = whole(radius)
    reach = len(kernel) // 2
    padded = np.pad(frame, reach, mode="edge")
    out = np.zeros(frame.shape)
    for row in range(frame.shape[0]):
        for column in range(frame.shape[1]):
            out[row, column] = (padded[row : row + 2 * reach + 1, column : column + 2 * reach + 1] * kernel).sum()
    return np.where(lost, np.nan, np.maximum(out, 0))


def unwrapped(frame: np.ndarray, mask: np.ndarray | None, radius: float, threads: int = 1) -> np.ndarray:
    frames, centers = np.stack([frame[::-1], frame]), np.array([(9.0, 17.0), AT])
    return _core.unwrap(frames, centers, SAMPLER, mask, threads, spot_filter(radius, SHAPE, mask))[1]


def as_slow(frame: np.ndarray, mask: np.ndarray | None, radius: float) -> np.ndarray:
    filtered = slow(frame, radius, mask).astype(np.float32)
    return _core.unwrap(filtered[None], np.array([AT]), SAMPLER, mask, 1)[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("radius", [0.75, 1.5, 2.4, 4.8])
def test_as_the_slow_twin_has_it(radius: float, dtype: type) -> None:
    frame = (RNG.poisson(20.0, SHAPE) + 30 * (RNG.random(SHAPE) > 0.95)).astype(dtype)
    frame[:, :7] *= 2  # asymmetric
    got = unwrapped(frame, None, radius)
    np.testing.assert_allclose(got, as_slow(frame, None, radius), atol=2e-3)
    np.testing.assert_array_equal(got, unwrapped(frame, None, radius, threads=2))
    assert np.nanmax(got) > 10


def test_masked_pixels_look_like_their_nearest_neighbours() -> None:
    frame = RNG.poisson(20.0, SHAPE).astype(np.uint16)
    mask = np.zeros(SHAPE, np.uint8)
    mask[20:] = 1  # no two are as near
    dark, lit = frame.copy(), frame.copy()
    dark[mask != 0], lit[mask != 0] = 0, 60000
    got = unwrapped(dark, mask, 1.5)
    np.testing.assert_array_equal(got, unwrapped(lit, mask, 1.5))
    np.testing.assert_allclose(got, as_slow(dark, mask, 1.5), atol=2e-3)


def test_no_spot_appears_beside_a_stop() -> None:
    flat = np.full(SHAPE, 100, np.uint16)
    mask = np.zeros(SHAPE, np.uint8)
    mask[13:16, 25:] = 1
    flat[mask != 0] = 0
    np.testing.assert_allclose(np.nan_to_num(unwrapped(flat, mask, 1.5)), 0, atol=1e-3)


def test_pixels_that_are_not_finite_stay_so() -> None:
    frame = RNG.poisson(20.0, SHAPE).astype(np.float32)
    frame[12:15, 24:27] = np.nan
    frame[20, 10] = np.inf
    np.testing.assert_allclose(unwrapped(frame, None, 1.5), as_slow(frame, None, 1.5), atol=2e-3)


def test_the_kernel_sums_to_zero_and_is_one_in_the_disk() -> None:
    for radius in (0.75, 1.5, 2.4, 4.8, 20.0):
        kernel = whole(radius)
        assert abs(kernel.sum()) < 1e-3
        assert kernel.max() == kernel[len(kernel) // 2, len(kernel) // 2] == 1
        assert (kernel[[0, -1]] != 0).any()  # no border of nothing


def test_frames_of_another_size_are_refused() -> None:
    wrong = spot_filter(1.5, (40, 31))
    with pytest.raises(ValueError, match="another size"):
        _core.unwrap(np.zeros((1, *SHAPE), np.uint8), np.array([AT]), SAMPLER, None, 1, wrong)
    for filled in ([[0, 99]], [[3, 1], [2, 1]], [[-1, 0]]):
        with pytest.raises(ValueError, match="filled pixels"):
            _core.SpotFilter(quadrant=disk_less_ring(1.5), filled=np.array(filled, np.int64), rows=4, columns=5)


def test_a_disk_becomes_a_spot_in_its_middle() -> None:
    rows, columns = np.indices((60, 60))
    frame = 5.0 + 40.0 * np.clip(5.0 + 0.5 - np.hypot(rows - 30, columns - 24), 0, 1)
    got = slow(frame, 5.0)
    assert np.unravel_index(got.argmax(), got.shape) == (30, 24)
    assert got[30, 24] == pytest.approx(40 * whole(5.0).clip(0).sum(), rel=0.04)
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


def seen(sigma: float, counts: float, *, ring: float = 0.0, spots: int = 40, n: int = 12) -> np.ndarray:
    """Frames (n, 160, 144) of Gaussian spots at random, a falling background, and an amorphous ring."""
    rows, columns = np.indices((160, 144))
    k = np.hypot(rows - 80.0, columns - 70.0)
    frames = []
    for _ in range(n):
        image = 0.5 * np.exp(-k / 25) / np.exp(-k / 25).sum() + ring * np.exp(-(((k - 40) / 6) ** 2)) / 4000
        for _ in range(spots):
            row, column = RNG.uniform(3, 156), RNG.uniform(3, 140)
            spot = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2))
            image = image + RNG.exponential(0.5 / spots) * spot / (2 * np.pi * sigma**2)
        frames.append(RNG.poisson(counts * image))
    return np.array(frames, dtype=np.uint16)


def width(frames: np.ndarray, usable: np.ndarray | None = None) -> float | None:
    usable = np.ones(frames.shape[1:], bool) if usable is None else usable
    return half_width(sum(autocorrelation(f, usable, np.array([80.0, 70.0]), 8.0) for f in frames))


def test_width_of_spots_at_any_dose_and_beside_rings() -> None:
    expected = {0.8: 1.94, 1.2: 2.72, 2.4: 4.75}
    for sigma, half in expected.items():
        for counts, ring in ((1e3, 0.0), (1e5, 0.0), (2e4, 0.5)):
            assert width(seen(sigma, counts, ring=ring)) == pytest.approx(half, rel=0.18), (sigma, counts, ring)


def test_width_does_not_see_masked_pixels() -> None:
    frames = seen(1.2, 2e4)
    usable = np.ones(frames.shape[1:], bool)
    usable[70:90, 70:] = False
    frames[:, ~usable] = 50_000
    assert width(frames, usable) == pytest.approx(2.72, rel=0.12)


def test_no_width_without_spots() -> None:
    for counts in (1e3, 1e5):
        assert width(seen(1.2, counts, ring=0.5, spots=0)) is None


def test_radius_is_measured_unless_it_is_given() -> None:
    for frames, expected in ((disks(0.8), NARROW), (disks(3.0), pytest.approx(3.0, abs=1.0))):
        found = index_scan(memory_scan(frames), small_library(), CALIBRATION, threads=1)
        assert found.provenance["settings"]["preprocess"]["disk_radius"] == expected
    given = IndexingSettings(preprocess=PreprocessSettings(disk_radius=2.25))
    found = index_scan(memory_scan(frames), small_library(), CALIBRATION, settings=given, threads=1)
    assert found.provenance["settings"]["preprocess"]["disk_radius"] == 2.25
    blank = np.zeros((1, 3, *DETECTOR), np.uint16)
    fixed = IndexingSettings(
        center=CenterSettings(method="fixed", position=CENTER), preprocess=PreprocessSettings(hot_pixels=False)
    )
    found = index_scan(memory_scan(blank), small_library(), CALIBRATION, settings=fixed, threads=1)
    assert (found.status != 0).all()


@pytest.mark.parametrize("center", [(30.3, 44.2), (3.0, 2.5), (66.0, 88.0), (-6.0, 40.0), (35.0, 100.0)])
@pytest.mark.parametrize("radius", [1.5, 3.2])
def test_only_what_the_annulus_needs_is_filtered_and_nothing_is_missing(
    center: tuple[float, float], radius: float
) -> None:
    shape = (70, 90)
    rng = np.random.default_rng(7)
    frames = rng.poisson(5.0, (2, *shape)).astype(np.float32)
    frames[1, 33, 47] = frames[1, 60, 80] = np.nan
    centers = np.array([(50.0, 20.0), center])  # what the first one leaves must not show in the second
    found = _core.unwrap(frames, centers, SAMPLER, None, 1, spot_filter(radius, shape, None))[1]
    expected = _core.unwrap(slow(frames[1], radius).astype(np.float32)[None], centers[1:], SAMPLER, None, 1)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
