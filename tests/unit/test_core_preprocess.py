"""From raw frame to the polar pattern that is matched: background, exponent, and frames that are given up."""

from __future__ import annotations

import numpy as np
import pytest

from nbedex import _core
from nbedex.calibration import Calibration
from nbedex.indexing.noise import skewness
from nbedex.maps.result import Status
from oracles.polar_oracle import found_contrast, spot_contrast
from oracles.polar_oracle import skewness as slow_skewness

RINGS, AZIMUTHS = 10, 90
CALIBRATION = Calibration(pixel_size=0.02, voltage=300.0)
SHAPE = (85, 81)
CENTER = (41.2, 40.6)


def prepared(
    frame: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    center: tuple[float, float] = CENTER,
    sampled_by: _core.PolarSampler | None = None,
    **options: float,
) -> tuple[np.ndarray, int]:
    values = {
        "remove_background": True, "background_sigma": 1.0, "exponent": 0.25, "saturation": 0.0, "max_saturated": 0.02,
        "max_non_finite": 0.01, **options,
    }  # fmt: skip
    polar, _, status, _ = _core.prepare_patterns(
        np.ascontiguousarray(frame)[None], np.array([center]), sampled_by or sampler(), _core.Preprocessing(**values),
        mask, 1,
    )  # fmt: skip
    return polar[0], int(status[0])


def sampler(azimuths: int = AZIMUTHS, rings: int = RINGS) -> _core.PolarSampler:
    grid = _core.PolarGrid(n_rings=rings, n_azimuths=azimuths, k_min=0.1, k_max=0.7)
    return _core.PolarSampler(grid, np.ascontiguousarray(CALIBRATION.detector_from_sample()))


def scene(seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = 80 * np.exp(-np.hypot(y - CENTER[0], x - CENTER[1]) / 12)
    for _ in range(20):
        row, column = rng.uniform(8, 74, 2)
        image += 400 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 3)
    return rng.poisson(image).astype(np.uint16)


@pytest.mark.parametrize("exponent", [1.0, 0.5, 0.25, 0.4, 2.0])
@pytest.mark.parametrize("sigma", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("background", [True, False])
def test_equal_to_numpy(exponent: float, sigma: float, background: bool) -> None:
    image = scene()
    raw = _core.unwrap(image[None], np.array([CENTER]), sampler(), None, 1)[0].astype(float)
    if background:  # by ring: mean and standard deviation over the azimuths
        raw = raw - raw.mean(axis=1, keepdims=True) - sigma * raw.std(axis=1, keepdims=True)
    expected = np.clip(raw, 0, None) ** exponent
    mine, status = prepared(image, exponent=exponent, background_sigma=sigma, remove_background=background)
    assert status == Status.OK
    # in float32, so what is next to the level may be lost: the exponent makes much of little
    near = 1e-4**exponent if exponent < 1 else 1e-4
    np.testing.assert_allclose(mine, expected, rtol=2e-4, atol=2 * near * max(1.0, raw.max() ** exponent / 100))
    assert (mine > 0).any() and (not background or (mine == 0).any())


def test_background_of_rings_with_missing_bins() -> None:
    """Bins under the mask are left out of mean and deviation, and become background."""
    image = scene()
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[:, 55:] = 1
    raw = _core.unwrap(image[None], np.array([CENTER]), sampler(), mask, 1)[0].astype(float)
    assert np.isnan(raw).any()
    with np.errstate(invalid="ignore"):
        level = np.nanmean(raw, axis=1, keepdims=True) + np.nanstd(raw, axis=1, keepdims=True)
        expected = np.nan_to_num(np.clip(raw - level, 0, None))
    mine, status = prepared(image, mask=mask, exponent=1.0)
    assert status == Status.OK
    np.testing.assert_allclose(mine, expected, rtol=2e-4, atol=2e-3)
    assert (mine[np.isnan(raw)] == 0).all()


def test_negative_values_become_zero_before_the_root() -> None:
    image = scene().astype(np.int16) - 30
    for exponent in (0.25, 0.5, 0.4, 1.0, 2.0):
        mine, _ = prepared(image, remove_background=False, exponent=exponent)
        assert np.isfinite(mine).all() and mine.min() == 0


@pytest.mark.parametrize("value", [0, 1, 65535])
def test_blank(value: int) -> None:
    polar, status = prepared(np.full(SHAPE, value, dtype=np.uint16))
    assert status == Status.BLANK
    assert (polar == 0).all()


def test_blank_where_all_contrast_is_masked_or_outside_the_annulus() -> None:
    image = np.full(SHAPE, 9, dtype=np.uint16)
    mask = np.zeros(SHAPE, dtype=np.uint8)
    image[10, 10] = 500
    mask[10, 10] = 1
    assert prepared(image, mask=mask)[1] == Status.BLANK
    zeros = np.zeros(SHAPE, dtype=np.uint16)
    zeros[0, 0] = zeros[40, 40] = 500  # corner and direct beam: not in the annulus
    assert prepared(zeros)[1] == Status.BLANK
    assert prepared(scene(), mask=np.ones(SHAPE, dtype=np.uint8))[1] == Status.BLANK


@pytest.mark.parametrize("center", [(float("nan"), float("nan")), (1e9, 0.0)])
def test_no_centre_is_blank(center: tuple[float, float]) -> None:
    assert prepared(scene(), center=center)[1] == Status.BLANK


@pytest.mark.parametrize(("share", "status"), [(0.019, Status.OK), (0.021, Status.SATURATED)])
def test_share_of_saturated_pixels(share: float, status: Status) -> None:
    image = scene()
    image.ravel()[: int(share * image.size)] = 4095
    image = np.minimum(image, 4095)
    polar, found = prepared(image, saturation=4095.0)
    assert found == status
    assert (polar == 0).all() == (status != Status.OK)
    assert prepared(image)[1] == Status.OK, "where it saturates was not said"


def test_masked_pixels_count_neither_way() -> None:
    """Saturated share among the pixels in use: 100 of 1500, though few of the whole detector."""
    image = scene()
    mask = np.ones(SHAPE, dtype=np.uint8)
    mask.ravel()[:1500] = 0
    image.ravel()[:100] = 4095
    assert prepared(image, saturation=4095.0)[1] == Status.OK
    assert prepared(image, mask=mask, saturation=4095.0)[1] == Status.SATURATED
    assert prepared(image, mask=1 - mask, saturation=4095.0, max_saturated=0.0)[1] == Status.OK


@pytest.mark.parametrize(("share", "status"), [(0.009, Status.OK), (0.011, Status.NON_FINITE)])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_share_of_non_finite_pixels(share: float, status: Status, bad: float) -> None:
    image = scene().astype(np.float32)
    clean, _ = prepared(image)
    where = np.random.default_rng(2).permutation(image.size)[: int(share * image.size)]
    image.ravel()[where] = bad
    polar, found = prepared(image)
    assert found == status
    assert np.isfinite(polar).all()
    if status == Status.OK:
        assert np.corrcoef(polar.ravel(), clean.ravel())[0, 1] > 0.9


def test_all_nan_is_non_finite() -> None:
    assert prepared(np.full(SHAPE, np.nan, dtype=np.float32))[1] == Status.NON_FINITE


def test_one_bad_frame_leaves_its_neighbours_alone() -> None:
    frames = np.stack([scene(1), np.zeros(SHAPE, dtype=np.uint16), scene(2)])
    options = _core.Preprocessing(
        remove_background=True, background_sigma=1.0, exponent=0.25, saturation=0.0, max_saturated=0.02,
        max_non_finite=0.01,
    )  # fmt: skip
    polar, _, status, _ = _core.prepare_patterns(frames, np.array([CENTER] * 3), sampler(), options, None, 3)
    assert status.tolist() == [Status.OK, Status.BLANK, Status.OK]
    assert not _core.power_sums(polar, 1)[1].any()
    for i in (0, 2):
        np.testing.assert_array_equal(polar[i], prepared(frames[i])[0])


@pytest.mark.parametrize("exponent", [0.25, 1.0, 2.0])
@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("azimuths", [88, 90])  # sums go on from ring to ring, or not
def test_power_sums_are_those_of_the_patterns(exponent: float, background: bool, azimuths: int) -> None:
    frames = np.stack([scene(1), scene(2), scene(3) // 8])
    options = _core.Preprocessing(
        remove_background=background, background_sigma=1.0, exponent=exponent, saturation=0.0, max_saturated=0.02,
        max_non_finite=0.01,
    )  # fmt: skip
    polar, peaks, _, sums = _core.prepare_patterns(
        frames, np.array([CENTER] * 3), sampler(azimuths), options, None, 2, True
    )
    assert peaks is not None
    for found, patterns in zip(sums, (polar, peaks), strict=True):
        expected = [[(pattern.astype(float) ** power).sum() for power in (1, 2, 3)] for pattern in patterns]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        np.testing.assert_array_equal(found, _core.power_sums(patterns, 2))
        slow = [slow_skewness(pattern) for pattern in patterns]
        np.testing.assert_allclose(skewness(found, patterns[0].size), slow, rtol=1e-9)
        assert np.min(slow) > 0


@pytest.mark.parametrize(("azimuths", "rings"), [(90, 10), (88, 24), (37, 5), (30, 1)])
@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("unit", [1.0, 3e-30, 2e30])
def test_contrast_of_spots(azimuths: int, rings: int, background: bool, masked: bool, unit: float) -> None:
    """A pattern has spots up to the contrast that the slow way finds: rings of fewer bins than lanes, missing bins."""
    image = (scene() * unit).astype(np.float32)
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[:, 55:] = masked
    by = sampler(azimuths, rings)
    bins = _core.unwrap(image[None], np.array([CENTER]), by, mask, 1)[0]
    assert np.isnan(bins).any() == (masked and rings > 1)

    def has_spots(min_contrast: float) -> bool:
        _, status = prepared(
            image, mask=mask, sampled_by=by, remove_background=background, background_sigma=0.0,
            min_contrast=min_contrast,
        )  # fmt: skip
        assert status in (Status.OK, Status.NO_SPOTS)
        return status == Status.OK

    assert has_spots(0.0)
    assert found_contrast(has_spots) == pytest.approx(spot_contrast(bins), rel=1e-5)


@pytest.mark.parametrize("expected", [1.0, 30.0, 1e4])
def test_contrast_of_noise_and_crystals(expected: float) -> None:
    """Normal deviates above their mean have pi/2, exponential ones 2, and the largest of some rings a little more."""
    rng = np.random.default_rng(3)
    noise = np.full(SHAPE, expected)
    spots = noise.copy()
    for row, column, strength in zip(
        *rng.integers(4, 77, (2, 40)), rng.exponential(60 * np.sqrt(expected), 40), strict=True
    ):
        spots[row, column] += strength
    by = sampler(rings=24)
    for image, status in ((noise, Status.NO_SPOTS), (spots, Status.OK)):
        counts = rng.poisson(image).astype(np.uint16)
        assert prepared(counts, sampled_by=by, min_contrast=2.4)[1] == status
        assert prepared(counts, sampled_by=by)[1] == Status.OK


def test_flat_annulus_has_no_skewness() -> None:
    """Contrast in the direct beam alone; without background removal all bins are equal."""
    image = np.full(SHAPE, 3, dtype=np.uint16)
    image[41, 41] = 900
    options = _core.Preprocessing(
        remove_background=False, background_sigma=1.0, exponent=0.25, saturation=0.0, max_saturated=0.02,
        max_non_finite=0.01,
    )  # fmt: skip
    polar, _, status, _ = _core.prepare_patterns(image[None], np.array([CENTER]), sampler(), options, None, 1)
    assert (
        status[0] == Status.OK and np.ptp(polar) < 1e-6 and skewness(_core.power_sums(polar, 1), polar[0].size)[0] == 0
    )


@pytest.mark.parametrize("level", [0.5, 250.0, 250.5, 255.0, 256.0, 1e12])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "f4"])
def test_saturation_between_two_values(level: float, dtype: str) -> None:
    image = np.random.default_rng(5).integers(-100 if dtype in ("i2", "f4") else 0, 255, SHAPE, endpoint=True)
    share = (image >= level).mean()
    for limit in (share - 1e-9, share):
        _, status = prepared(image.astype(dtype), saturation=level, max_saturated=limit)
        assert (status == Status.SATURATED) == (limit < share and share > 0)


def test_memory_of_patterns_is_used_again_only_when_nobody_holds_them() -> None:
    frames = np.stack([scene(seed) for seed in range(4)])
    options = _core.Preprocessing(
        remove_background=True, background_sigma=1.0, exponent=0.25, saturation=0.0, max_saturated=0.02,
        max_non_finite=0.01,
    )  # fmt: skip

    def made() -> np.ndarray:
        polar, _, _, _ = _core.prepare_patterns(frames, np.array([CENTER] * 4), sampler(), options, None, 1)
        return polar

    first = made()
    kept, view = first.copy(), first[1:]
    second = made()
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(first, second)
    second[:] = -1
    where = second.ctypes.data
    del first, second
    third = made()  # `view` holds the first one's memory
    assert third.ctypes.data == where
    np.testing.assert_array_equal(third, kept)
    np.testing.assert_array_equal(view, kept[1:])
