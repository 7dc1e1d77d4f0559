"""Polar unwrapping: analytic images, a slow oracle, masks and edges, calibration, and what must be refused."""

from __future__ import annotations

import numpy as np
import pytest

from nbedex import _core
from nbedex.calibration import Calibration
from oracles.polar_oracle import unwrap as slow_unwrap

RINGS, AZIMUTHS = 12, 72
K = {"k_min": 0.1, "k_max": 0.7}
PIXEL = 0.02
SHAPE = (91, 97)
CENTER = (44.3, 49.7)
INTEGERS = ("u1", "u2", "u4", "i1", "i2", "i4")


def sampler(calibration: Calibration | None = None, **grid: float) -> _core.PolarSampler:
    calibration = calibration or Calibration(pixel_size=PIXEL, voltage=300.0)
    values = {"n_rings": RINGS, "n_azimuths": AZIMUTHS, **K, **grid}
    return _core.PolarSampler(_core.PolarGrid(**values), np.ascontiguousarray(calibration.detector_from_sample()))


def unwrap(
    frame: np.ndarray,
    center: tuple[float, float] = CENTER,
    calibration: Calibration | None = None,
    mask: np.ndarray | None = None,
    threads: int = 1,
    **grid: float,
) -> np.ndarray:
    frames = np.ascontiguousarray(frame)[None]
    return _core.unwrap(frames, np.array([center], dtype=float), sampler(calibration, **grid), mask, threads)[0]


def disk(shape: tuple[int, int], row: float, column: float, sigma: float = 1.0) -> np.ndarray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * sigma**2))


def test_constant_stays_constant() -> None:
    np.testing.assert_allclose(unwrap(np.full(SHAPE, 7, dtype=np.uint16)), 7.0, rtol=1e-6)


def test_linear_ramp_gives_its_mean() -> None:
    """The mean over a sector of k cos(angle) is k cos(j turn), times sin(half a turn) / (half a turn)."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    ramp = (3 * x - 2 * y + 500).astype(np.float32)
    turn = 2 * np.pi / AZIMUTHS
    width = (K["k_max"] - K["k_min"]) / RINGS
    k = (K["k_min"] + (np.arange(RINGS) + 0.5) * width) / PIXEL  # mean radius of a bin, pixels
    angle = np.arange(AZIMUTHS) * turn
    shrink = np.sinc(turn / 2 / np.pi)
    expected = (
        500
        + 3 * (CENTER[1] + shrink * k[:, None] * np.cos(angle))
        - 2 * (CENTER[0] + shrink * k[:, None] * np.sin(angle))
    )
    # a mesh at most a pixel apart: its mean differs from the integral by some 1e-3 of the radius
    np.testing.assert_allclose(unwrap(ramp), expected, atol=0.15)
    assert abs(unwrap(ramp) - expected).mean() < 0.05


@pytest.mark.parametrize("n_azimuths", [36, 72, 360])
def test_azimuths_are_centred_and_half_open(n_azimuths: int) -> None:
    """X to the right, Y down: spots at 0, 90, 180 and 270 degrees lie in bins 0, A/4, A/2 and 3A/4, evenly spread."""
    center = (45.0, 48.0)
    for quarter, (dy, dx) in enumerate([(0, 21), (21, 0), (0, -21), (-21, 0)]):
        spot = disk(SHAPE, center[0] + dy, center[1] + dx, 1.5).astype(np.float32)
        polar = unwrap(spot, center, n_azimuths=n_azimuths)
        azimuth = quarter * n_azimuths // 4
        profile = np.roll(polar.sum(axis=0), n_azimuths // 2 - azimuth)
        assert profile.argmax() == n_azimuths // 2
        # as much on the one side as on the other: the bin is centred on the angle, not begun at it
        np.testing.assert_allclose(profile[1:], profile[1:][::-1], atol=1e-3 * profile.max())
        assert polar.sum(axis=1).argmax() == int((21 * PIXEL - K["k_min"]) / 0.05)


def test_ring_edges() -> None:
    """A ring-shaped image of one pixel's width lies in the ring its radius belongs to, and in no other."""
    y, x = np.mgrid[:161, :161]
    radius = np.hypot(y - 80, x - 80) * 0.01
    for ring in (0, 5, 11):
        low, high = 0.1 + ring * 0.05, 0.1 + (ring + 1) * 0.05
        image = ((radius >= low + 0.015) & (radius <= high - 0.015)).astype(np.float32)
        rows = unwrap(image, (80.0, 80.0), Calibration(pixel_size=0.01, voltage=300.0)).mean(axis=1)
        assert rows.argmax() == ring and rows[ring] > 0.3
        assert np.delete(rows, ring).max() == 0


@pytest.mark.parametrize(
    "calibration",
    [
        Calibration(pixel_size=PIXEL, voltage=300.0),
        Calibration(pixel_size=PIXEL, voltage=300.0, rotation_deg=37.0, flipped=True),
        Calibration(pixel_size=PIXEL, voltage=300.0, ellipse_ratio=1.2, ellipse_angle_deg=30.0),
        Calibration(pixel_size=0.05, voltage=300.0),  # bins smaller than pixels
    ],
    ids=["plain", "turned and flipped", "ellipse", "coarse pixels"],
)
def test_equal_to_the_oracle(calibration: Calibration) -> None:
    rng = np.random.default_rng(3)
    image = rng.poisson(40, size=SHAPE) + 0.0
    for _ in range(25):
        image += 300 * disk(SHAPE, *rng.uniform(5, 85, 2), 1.4)
    image = np.round(image).astype(np.uint16)
    mine = unwrap(image, calibration=calibration)
    slow = slow_unwrap(
        image, CENTER, calibration.detector_from_sample(), n_rings=RINGS, n_azimuths=AZIMUTHS, **K, fine=24
    )
    error = np.abs(mine - slow)
    assert error.mean() < 0.03 * slow.mean()
    assert np.corrcoef(mine.ravel(), slow.ravel())[0, 1] > 0.998
    # what the area-weighted total over the annulus has to be
    k = K["k_min"] + (np.arange(RINGS) + 0.5) * 0.05
    assert (mine * k[:, None]).sum() == pytest.approx((slow * k[:, None]).sum(), rel=2e-3)
    # and no systematic error of position: the best shift against the oracle is none
    shifts = [np.corrcoef(np.roll(mine, s, axis=1).ravel(), slow.ravel())[0, 1] for s in (-1, 0, 1)]
    assert np.argmax(shifts) == 1


def test_masked_pixels_do_not_count() -> None:
    image = np.full(SHAPE, 10, dtype=np.uint16)
    mask = np.zeros(SHAPE, dtype=np.uint8)
    image[40:60, 60:75] = 60000
    mask[40:60, 60:75] = 255  # any value but zero
    polar = unwrap(image, mask=mask)
    np.testing.assert_allclose(polar[~np.isnan(polar)], 10, rtol=1e-6)
    # bins wholly under the mask have no value, and only those
    slow = slow_unwrap(
        np.where(mask, np.nan, image), CENTER, Calibration(pixel_size=PIXEL, voltage=300.0).detector_from_sample(),
        n_rings=RINGS, n_azimuths=AZIMUTHS, **K,
    )  # fmt: skip
    assert np.isnan(polar).any()
    assert not np.isnan(polar)[~np.isnan(slow)].all()
    assert (np.isnan(polar) >= np.isnan(slow)).all()
    assert np.isnan(polar).sum() - np.isnan(slow).sum() < 20
    assert unwrap(image).max() > 10_000, "the mask made no difference"


def test_mask_of_zeros_is_no_mask() -> None:
    image = np.random.default_rng(1).integers(0, 1000, SHAPE).astype(np.uint16)
    np.testing.assert_array_equal(unwrap(image), unwrap(image, mask=np.zeros(SHAPE, dtype=np.uint8)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_pixels_of_float_frames(bad: float) -> None:
    image = np.full(SHAPE, 3.0, dtype=np.float32)
    image[30:33, 60:63] = bad
    image[60, 40] = bad
    polar = unwrap(image)
    assert not np.isinf(polar).any()
    np.testing.assert_allclose(polar[~np.isnan(polar)], 3.0, rtol=1e-6)


def test_outside_the_detector_there_is_nothing() -> None:
    polar = unwrap(np.full(SHAPE, 4, dtype=np.uint8), center=(44.0, 3.0))
    left, right = polar[:, AZIMUTHS // 2], polar[:, 0]
    assert np.isnan(left[2:]).all(), "30 pixels to the left of column 3"
    np.testing.assert_allclose(right, 4.0, rtol=1e-6)
    np.testing.assert_allclose(polar[~np.isnan(polar)], 4.0, rtol=1e-6)


@pytest.mark.parametrize("center", [(-500.0, 40.0), (40.0, 1e6), (np.nan, 40.0), (np.inf, 40.0)])
def test_centre_that_is_nowhere(center: tuple[float, float]) -> None:
    assert np.isnan(unwrap(np.full(SHAPE, 4, dtype=np.uint8), center=center)).all()


def test_last_pixel_belongs_to_the_detector() -> None:
    """A bin that just reaches the last column is whole; centres are those of pixels, (0, 0) the first one."""
    image = np.full((41, 41), 5, dtype=np.uint8)
    polar = unwrap(image, (20.0, 20.0), n_rings=5, k_min=0.0, k_max=0.4)  # 20 pixels to every side
    assert not np.isnan(polar).any()
    shifted = unwrap(image, (20.0, 20.6), n_rings=5, k_min=0.0, k_max=0.4)
    np.testing.assert_allclose(shifted[~np.isnan(shifted)], 5.0, rtol=1e-6)


@pytest.mark.parametrize("dtype", [*INTEGERS, "f4"])
def test_every_dtype_gives_the_same(dtype: str) -> None:
    image = np.random.default_rng(4).integers(0, 120, SHAPE)
    np.testing.assert_array_equal(unwrap(image.astype(dtype)), unwrap(image.astype(np.uint16)))


def test_negative_counts_survive() -> None:
    """Background-subtracted frames are signed."""
    np.testing.assert_allclose(unwrap(np.full(SHAPE, -7, dtype=np.int16)), -7.0, rtol=1e-6)
    np.testing.assert_allclose(unwrap(np.full(SHAPE, 4_000_000_000, dtype=np.uint32)), 4e9, rtol=1e-6)


def test_many_frames_and_threads() -> None:
    rng = np.random.default_rng(5)
    frames = rng.integers(0, 1000, (9, *SHAPE)).astype(np.uint16)
    centers = np.array(CENTER) + rng.normal(size=(9, 2))
    together = _core.unwrap(frames, centers, sampler(), None, 3)
    for i in range(9):
        np.testing.assert_array_equal(together[i], unwrap(frames[i], tuple(centers[i])))


def test_calibration_lands_spots_in_the_right_bins() -> None:
    """Rotation 37 deg, mirrored rows and an ellipse of 1.05 at 30 deg, forwards by hand, spot by spot."""
    truth = {"rotation_deg": 37.0, "flipped": True, "ellipse_ratio": 1.05, "ellipse_angle_deg": 30.0}
    without = [{**truth, "rotation_deg": 0.0}, {**truth, "flipped": False}, {**truth, "ellipse_ratio": 1.0}]
    lost = [0, 0, 0]
    for ring, azimuth in ((18, 2), (9, 15), (21, 43), (13, 61)):
        k, degrees = 0.1 + 0.025 * (ring + 0.5), 5.0 * azimuth
        # sample -> unturned -> mirrored -> stretched along 30 degrees on the detector
        unturned = np.deg2rad(degrees - 37.0)
        offset = k / PIXEL * np.array([np.cos(unturned), -np.sin(unturned)])  # column, row
        long = np.array([np.cos(np.deg2rad(30)), np.sin(np.deg2rad(30))])
        short = np.array([-long[1], long[0]])
        offset = np.sqrt(1.05) * (offset @ long) * long + (offset @ short) * short / np.sqrt(1.05)
        image = disk(SHAPE, CENTER[0] + offset[1], CENTER[1] + offset[0], 0.8).astype(np.float32)

        def brightest(options: dict[str, float], image: np.ndarray = image) -> tuple[int, ...]:
            polar = unwrap(image, calibration=Calibration(pixel_size=PIXEL, voltage=300.0, **options), n_rings=24)
            return tuple(int(i) for i in np.unravel_index(np.nanargmax(polar), polar.shape))

        assert brightest(truth) == (ring, azimuth)
        lost = [n + (brightest(options) != (ring, azimuth)) for n, options in zip(lost, without, strict=True)]
    assert all(lost), "a part of the calibration made no difference"


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"n_rings": 0}, "at least 1 ring"),
        ({"n_azimuths": 3}, "4 azimuths"),
        ({"k_min": -0.1}, "0 <= k_min < k_max"),
        ({"k_min": 0.7}, "0 <= k_min < k_max"),
        ({"k_max": float("nan")}, "0 <= k_min < k_max"),
    ],
)
def test_impossible_grids(grid: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sampler(**grid)


def frames_of(kind: str) -> np.ndarray:
    good = np.zeros((2, 30, 40), dtype=np.uint16)
    if kind == "float64":
        return good.astype(np.float64)
    if kind == "int64":
        return good.astype(np.int64)
    if kind == "bool":
        return good.astype(bool)
    if kind == "complex":
        return good.astype(np.complex64)
    if kind == "big-endian":
        return good.astype(">u2")
    if kind == "object":
        return good.astype(object)
    if kind == "two dimensions":
        return good[0]
    if kind == "strided":
        return np.zeros((2, 30, 80), dtype=np.uint16)[:, :, ::2]
    if kind == "transposed":
        return np.zeros((2, 40, 30), dtype=np.uint16).transpose(0, 2, 1)
    if kind == "reversed":
        return good[::-1]
    if kind == "misaligned":
        raw = np.zeros(good.nbytes + 1, dtype=np.uint8)[1:]
        return raw.view(np.uint16).reshape(good.shape)
    if kind == "one row":
        return np.zeros((2, 1, 40), dtype=np.uint16)
    raise AssertionError(kind)


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        (
            "float64",
            TypeError,
            r"^frames must be 8, 16 or 32 bit integers or float32 in native byte order, got float64$",
        ),
        ("int64", TypeError, r"^frames must be 8, 16 or 32 bit .* got int64$"),
        ("bool", TypeError, r"^frames must be 8, 16 or 32 bit .* got bool$"),
        ("complex", TypeError, r"^frames must be .* got complex64$"),
        ("big-endian", TypeError, r"^frames must be .* got >u2$"),
        ("object", TypeError, r"^frames must be .* got object$"),
        ("two dimensions", ValueError, r"^frames must have shape \(any, any, any\), got \(30, 40\)$"),
        ("strided", ValueError, r"^frames must be C-contiguous and aligned; numpy.require"),
        ("transposed", ValueError, r"^frames must be C-contiguous and aligned"),
        ("reversed", ValueError, r"^frames must be C-contiguous and aligned"),
        ("misaligned", ValueError, r"^frames must be C-contiguous and aligned"),
        ("one row", ValueError, r"^frames must be at least 2 pixels high and wide, got \(2, 1, 40\)$"),
    ],
)
@pytest.mark.parametrize("function", ["unwrap", "prepare_patterns", "find_beams"])
def test_frames_that_are_refused(kind: str, error: type[Exception], message: str, function: str) -> None:
    frames = frames_of(kind)
    centers = np.zeros((2, 2)) if frames.ndim == 3 else np.zeros((30, 2))
    with pytest.raises(error, match=message):
        if function == "unwrap":
            _core.unwrap(frames, centers, sampler(), None, 1)
        elif function == "prepare_patterns":
            _core.prepare_patterns(frames, centers, sampler(), preprocessing(), None, 1)
        else:
            search = _core.BeamSearch(row=10, column=10, search_radius=5, beam_radius=2)
            _core.find_beams(frames, search, None, 1)


def preprocessing() -> _core.Preprocessing:
    return _core.Preprocessing(
        remove_background=True, background_sigma=1.0, exponent=1.0, saturation=0.0, max_saturated=0.02,
        max_non_finite=0.01,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("centers", "mask", "error", "message"),
    [
        (np.zeros((3, 2)), None, ValueError, r"^centers must have shape \(2, 2\), got \(3, 2\)$"),
        (np.zeros((2, 3)), None, ValueError, r"^centers must have shape \(2, 2\), got \(2, 3\)$"),
        (np.zeros((2, 2), dtype=np.float32), None, TypeError, r"^centers must have dtype float64, got float32$"),
        (np.zeros((2, 4))[:, ::2], None, ValueError, r"^centers must be C-contiguous"),
        (
            np.zeros((2, 2)),
            np.zeros((30, 41), np.uint8),
            ValueError,
            r"^mask must have shape \(30, 40\), got \(30, 41\)$",
        ),
        (np.zeros((2, 2)), np.zeros((30, 40), bool), TypeError, r"^mask must have dtype uint8, got bool$"),
        (np.zeros((2, 2)), np.zeros((40, 30), np.uint8).T, ValueError, r"^mask must be C-contiguous"),
    ],
)
@pytest.mark.parametrize("function", ["unwrap", "prepare_patterns"])
def test_centres_and_masks_that_are_refused(
    centers: np.ndarray, mask: np.ndarray | None, error: type[Exception], message: str, function: str
) -> None:
    frames = np.zeros((2, 30, 40), dtype=np.uint16)
    arguments = (frames, centers, sampler()) if function == "unwrap" else (frames, centers, sampler(), preprocessing())
    with pytest.raises(error, match=message):
        getattr(_core, function)(*arguments, mask, 1)


def test_no_frames() -> None:
    empty = np.zeros((0, 30, 40), dtype=np.uint16)
    assert _core.unwrap(empty, np.zeros((0, 2)), sampler(), None, 0).shape == (0, RINGS, AZIMUTHS)
