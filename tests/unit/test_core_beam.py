"""The direct beam: in one frame, by symmetry, and as a smooth surface over a scan."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from nbedex import _core
from nbedex.errors import ArgumentError
from nbedex.indexing.centers import find_centers, locate, symmetry_center
from nbedex.indexing.sample import sample_positions
from nbedex.indexing.settings import CenterSettings
from nbedex.scan import Scan, open_scan

SHAPE = (96, 112)
Opened = Callable[[np.ndarray], Scan]


def frame(
    row: float,
    column: float,
    *,
    beam: float = 2000.0,
    sigma: float = 2.5,
    seed: int = 1,
    shape: tuple[int, int] = SHAPE,
) -> np.ndarray:
    """Beam, diffuse background, some spots, shot noise; float."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    r2 = (y - row) ** 2 + (x - column) ** 2
    image = beam * np.exp(-r2 / (2 * sigma**2)) + 30 * np.exp(-np.sqrt(r2) / 20)
    for _ in range(12):
        k, angle = rng.uniform(15, 35), rng.uniform(0, 2 * np.pi)
        image += rng.uniform(50, 300) * np.exp(
            -((y - row - k * np.sin(angle)) ** 2 + (x - column - k * np.cos(angle)) ** 2) / (2 * sigma**2)
        )
    return rng.poisson(image).astype(float)


def find(
    image: np.ndarray,
    *,
    at: tuple[float, float] = (48, 56),
    radius: float = 14,
    beam: float = 3,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    search = _core.BeamSearch(row=at[0], column=at[1], search_radius=radius, beam_radius=beam)
    return _core.find_beams(np.ascontiguousarray(image)[None], search, mask, 1)[0]


@pytest.mark.parametrize("seed", range(6))
def test_sub_pixel_accuracy(seed: int) -> None:
    row, column = np.random.default_rng(seed).uniform((40, 48), (56, 64))
    found = find(frame(row, column, seed=seed).astype(np.uint16))
    np.testing.assert_allclose(found[:2], (row, column), atol=0.1)
    assert 0.9 < found[2] <= 1.0


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i1", "i2", "i4", "f4"])
def test_every_dtype(dtype: str) -> None:
    image = np.minimum(frame(45.3, 58.6, beam=90.0), 127)
    np.testing.assert_array_equal(find(image.astype(dtype)), find(image.astype("u2")))


def test_flat_topped_saturated_beam() -> None:
    """Clipped at an eighth of its height, the disk is wide and flat; its edge tells where it is."""
    image = np.minimum(frame(44.4, 60.2, beam=8000.0), 1000).astype(np.uint16)
    assert (image == 1000).sum() > 70
    np.testing.assert_allclose(find(image, beam=5)[:2], (44.4, 60.2), atol=0.15)


def test_sharp_disk_of_a_convergent_beam() -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.where(np.hypot(y - 46.7, x - 53.2) <= 6, 500, 10).astype(np.uint16)
    np.testing.assert_allclose(find(image, beam=6)[:2], (46.7, 53.2), atol=0.15)


def test_hot_pixel_elsewhere() -> None:
    image = frame(45.3, 58.6)
    expected = find(image.astype(np.float32))[:2]
    image[38, 47] = 60000.0  # within the search circle: one pixel is no disk, with a mask that says so
    image[5, 5] = 1e6
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[38, 47] = 1
    np.testing.assert_allclose(find(image.astype(np.float32), mask=mask)[:2], expected, atol=1e-9)


def test_weak_hot_pixel_nearby_needs_no_mask() -> None:
    """A pixel five times as bright as the beam but alone: the box mean is lower than that of the disk."""
    image = frame(45.3, 58.6, beam=2000.0)
    image[38, 47] = 10_000
    np.testing.assert_allclose(find(image.astype(np.float32))[:2], (45.3, 58.6), atol=0.1)


def test_hot_pixel_within_the_beam() -> None:
    """Cut off at the beam's height, it pulls the centre of mass by less than half a pixel instead of by two."""
    image = frame(45.3, 58.6, beam=2000.0)
    image[45, 62] = 10_000
    np.testing.assert_allclose(find(image.astype(np.float32))[:2], (45.3, 58.6), atol=0.45)


def test_non_finite_pixels_in_the_beam() -> None:
    image = frame(45.3, 58.6).astype(np.float32)
    image[45, 59] = np.nan
    image[44, 58] = np.inf
    np.testing.assert_allclose(find(image)[:2], (45.3, 58.6), atol=0.4)


def test_masked_beam_is_not_found() -> None:
    image = frame(48.0, 56.0).astype(np.uint16)
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[:, :] = 1
    assert np.isnan(find(image, mask=mask)[:2]).all()
    assert find(image, mask=mask)[2] == 0
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    mask = (np.hypot(y - 48, x - 56) < 22).astype(np.uint8)
    assert np.isnan(find(image, mask=mask)[:2]).all()


def test_search_outside_the_detector() -> None:
    image = frame(48.0, 56.0).astype(np.uint16)
    assert np.isnan(find(image, at=(-300, 56))[:2]).all()
    assert np.isnan(find(image, at=(48, 4000))[:2]).all()


def test_beam_beyond_the_search_radius_is_not_taken() -> None:
    image = frame(48.0, 20.0).astype(np.uint16)
    found = find(image, at=(48, 80), radius=5)
    assert np.isnan(found[:2]).all() or np.hypot(found[0] - 48, found[1] - 80) < 12


def test_blank_frame_has_no_beam() -> None:
    found = find(np.full(SHAPE, 7, dtype=np.uint16))
    assert np.isnan(found[:2]).all() and found[2] == 0
    assert np.isnan(find(np.zeros(SHAPE, dtype=np.uint16))[:2]).all()


def test_locate_leaves_out_faint_disks() -> None:
    """A contrast below 0.2 is no direct beam, whatever the brightest box is."""
    flat = np.random.default_rng(0).poisson(1000, (1, *SHAPE)).astype(np.uint16)
    settings = CenterSettings(finder="beam")
    assert np.isnan(locate(flat, settings, np.array([48.0, 56.0]), None, threads=1)).all()


# the centre of symmetry


@pytest.mark.parametrize("shape", [(96, 112), (97, 113), (96, 113), (129, 64)])
@pytest.mark.parametrize("stop", [0.0, 8.0])
def test_centre_of_symmetry(shape: tuple[int, int], stop: float) -> None:
    """Spots in Friedel pairs of unequal strength, the beam masked or not."""
    rng = np.random.default_rng(3)
    row, column = shape[0] / 2 + 2.3, shape[1] / 2 - 3.4
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = 5.0 + 4000 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 8)
    for _ in range(14):
        k, angle = rng.uniform(10, 26), rng.uniform(0, np.pi)
        for sign in (1, -1):
            dy, dx = sign * k * np.sin(angle), sign * k * np.cos(angle)
            image += rng.uniform(100, 400) * np.exp(-((y - row - dy) ** 2 + (x - column - dx) ** 2) / (2 * 1.5**2))
    image = rng.poisson(image).astype(np.uint16)
    mask = None
    if stop:
        mask = (np.hypot(y - row - 1.5, x - column + 1) < stop).astype(np.uint8)
        mask[int(row) :, int(column) - 2 : int(column) + 2] = 1  # with its stalk
        image = np.where(mask, 0, image).astype(np.uint16)
    found = symmetry_center(image, np.array([shape[0] / 2, shape[1] / 2]), 10.0, mask)
    np.testing.assert_allclose(found, (row, column), atol=0.3)


def test_no_symmetry_in_nothing() -> None:
    assert np.isnan(symmetry_center(np.zeros((40, 50), dtype=np.uint16), np.array([20.0, 25.0]), 5.0, None)).all()
    nan = np.full((40, 50), np.nan, dtype=np.float32)
    assert np.isnan(symmetry_center(nan, np.array([20.0, 25.0]), 5.0, None)).all()


def test_auto_takes_symmetry_where_the_beam_is_stopped(opened: Opened) -> None:
    rng = np.random.default_rng(6)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.full(SHAPE, 2.0)
    for _ in range(12):
        k, angle = rng.uniform(20, 38), rng.uniform(0, np.pi)
        for sign in (1, -1):
            at = (50.2 + sign * k * np.sin(angle), 54.1 + sign * k * np.cos(angle))
            image += 300 * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 4.5)
    mask = (np.hypot(y - 48, x - 56) < 17).astype(np.uint8)
    frames = np.where(mask, 0, rng.poisson(image, size=(2, 2, *SHAPE))).astype(np.uint16)
    scan = opened(frames)
    model = find_centers(scan, CenterSettings(search_radius=12.0), mask, threads=1)
    np.testing.assert_allclose(model.at(np.arange(4)), [[50.2, 54.1]] * 4, atol=0.3)
    with pytest.raises(
        ArgumentError, match=r"^no direct beam within 12 px of \(48, 56\) in any of 4 patterns; give its"
    ):
        find_centers(scan, CenterSettings(search_radius=12.0, finder="beam"), mask, threads=1)


# over a scan


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Opens frames (ny, nx, det_y, det_x) as a scan, from a file."""
    with ExitStack() as stack:

        def open_frames(frames: np.ndarray) -> Scan:
            path = tmp_path / f"{id(frames)}.npy"
            np.save(path, frames)
            return stack.enter_context(open_scan(path))

        yield open_frames


def frames_with(centers: np.ndarray) -> np.ndarray:
    """Frames with a beam at each of centers (ny, nx, 2)."""
    ny, nx = centers.shape[:2]
    frames = np.empty((ny, nx, 48, 52), dtype=np.uint16)
    for i in range(ny):
        for j in range(nx):
            image = frame(*centers[i, j], beam=600.0, sigma=2.0, seed=i * nx + j, shape=(48, 52))
            frames[i, j] = image
    return frames


def drift(ny: int, nx: int) -> np.ndarray:
    y, x = np.mgrid[:ny, :nx].astype(float)
    v, u = y / (ny - 1), x / (nx - 1)
    return np.stack([24 + 1.5 * v - 2.0 * u + 1.2 * u * v, 25 - 1.0 * v + 1.3 * u**2], axis=-1)


def test_fit_follows_drift_and_ignores_outliers(opened: Opened) -> None:
    true = drift(9, 11)
    shown = true.copy()
    wrong = np.random.default_rng(1).permutation(99)[:10]
    shown.reshape(-1, 2)[wrong] += (4.0, -5.0)  # a tenth of the patterns have their brightest disk elsewhere
    model = find_centers(opened(frames_with(shown)), CenterSettings(search_radius=10.0), None, threads=1)
    found = model.at(np.arange(99)).reshape(9, 11, 2)
    assert np.abs(found - true).max() < 0.25
    assert model.order == 2 and model.residual < 0.15


def test_order_falls_where_patterns_are_few(opened: Opened) -> None:
    scan = opened(frames_with(drift(9, 11)[:2, :3]))
    model = find_centers(scan, CenterSettings(search_radius=10.0), None, threads=1)
    assert model.order == 0
    line = opened(frames_with(drift(9, 11)[:1]))
    model = find_centers(line, CenterSettings(search_radius=10.0), None, threads=1)
    assert np.isfinite(model.at(np.arange(11))).all()


def test_rough_surface_is_reported(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    centers = drift(6, 6) + np.random.default_rng(2).normal(scale=2.5, size=(6, 6, 2))
    with caplog.at_level(logging.WARNING):
        find_centers(opened(frames_with(centers)), CenterSettings(search_radius=12.0), None, threads=1)
    assert "px (median) off a smooth surface over the scan; consider --center-method per-pattern" in caplog.text


def test_fixed_and_impossible_centres(opened: Opened) -> None:
    scan = opened(frames_with(drift(3, 3)))
    fixed = find_centers(scan, CenterSettings(method="fixed"), None, threads=1)
    np.testing.assert_allclose(fixed.at(np.arange(9)), [[23.5, 25.5]] * 9)
    given = find_centers(scan, CenterSettings(method="fixed", position=(3.0, 7.5)), None, threads=1)
    np.testing.assert_allclose(given.at(np.arange(2)), [[3.0, 7.5]] * 2)
    with pytest.raises(ArgumentError, match=r"^the centre \(48, 10\) lies outside the detector of 48 x 52 pixels$"):
        find_centers(scan, CenterSettings(position=(48.0, 10.0)), None, threads=1)


@pytest.mark.parametrize(
    ("shape", "samples"), [((100, 100), 64), ((7, 300), 50), ((300, 7), 50), ((1, 5000), 100), ((5, 4), 1000)]
)
def test_sample_positions_spread_over_the_scan(shape: tuple[int, int], samples: int) -> None:
    indices = sample_positions(shape, samples)
    ny, nx = shape
    assert len(np.unique(indices)) == len(indices) <= 1.6 * samples
    assert len(indices) >= min(0.5 * samples, ny * nx)
    assert indices.min() == 0 and indices.max() == ny * nx - 1
    rows, columns = np.divmod(indices, nx)
    assert {0, ny - 1} <= set(rows.tolist()) and {0, nx - 1} <= set(columns.tolist())
    # no gap wider than twice the even spacing
    for positions, n in ((rows, ny), (columns, nx)):
        steps = np.diff(np.unique(positions))
        assert not len(steps) or steps.max() <= 2 * max(1, (n - 1) / max(1, len(steps)))


def test_one_sample() -> None:
    assert sample_positions((10, 10), 1).tolist() == [0]
