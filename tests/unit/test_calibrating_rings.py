"""Scale, ellipse and centre from rings with a known answer; the patterns are made without nbedex's own geometry."""

from __future__ import annotations

import numpy as np
import pytest

from nbedex.calibrating import CalibrateSettings, RingCalibration, calibrate_rings, summary
from nbedex.calibrating.geometry import DetectorFit, distortion, logarithm
from nbedex.calibrating.powder import rings_of
from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError, DataFormatError
from nbedex.phases import load_phase
from nbedex.scan import memory_scan
from oracles.calibration_patterns import GOLD, GOLD_RINGS, Camera, ring_pattern

SMALL = {"center": (95.4, 98.2), "shape": (192, 196)}


def rings(camera: Camera, *, pixel_size: float | None = None, **pattern: float) -> RingCalibration:
    frames = ring_pattern(camera, **pattern)[None, None]
    start = camera.pixel_size * 1.07 if pixel_size is None else pixel_size
    return calibrate_rings(memory_scan(frames), load_phase("au"), pixel_size=start)


def turned(a: float, b: float) -> float:
    """Angle between two directions without a sense, degrees, -90 to 90."""
    return (a - b + 90) % 180 - 90


@pytest.mark.parametrize(("ratio", "angle"), [(1.03, 25.0), (1.03, -65.0), (1.015, 80.0)])
def test_scale_ellipse_and_center_come_back(ratio: float, angle: float) -> None:
    """25 and -65 degrees exchange the axes: a wrong sign or row-column exchange can't pass both."""
    camera = Camera(pixel_size=0.0125, ratio=ratio, angle_deg=angle, **SMALL)
    result = rings(camera)
    detector = result.fit.detector
    assert detector.pixel_size.value == pytest.approx(camera.pixel_size, rel=6e-4)
    assert detector.ellipse_ratio.value == pytest.approx(ratio, abs=1.5e-3)
    assert abs(turned(detector.ellipse_angle_deg.value, angle)) < 3
    np.testing.assert_allclose(result.fit.center, camera.center, atol=0.05)
    assert detector.is_elliptic and not result.doubts


def test_what_is_found_goes_into_a_calibration_the_right_way_round() -> None:
    """Calibration with the values found puts a ring's point where the oracle has it."""
    camera = Camera(pixel_size=0.0125, ratio=1.04, angle_deg=25.0, **SMALL)
    detector = rings(camera).fit.detector
    calibration = Calibration(
        pixel_size=detector.pixel_size.value,
        voltage=200,
        ellipse_ratio=detector.ellipse_ratio.value,
        ellipse_angle_deg=detector.ellipse_angle_deg.value,
    )
    k = np.array([[0.9, 0.1], [0.3, -0.8]])
    column, row = calibration.detector_from_sample() @ k.T
    np.testing.assert_allclose(
        np.stack([row, column], axis=1) + camera.center, camera.place(k[:, 0], k[:, 1]), atol=0.15
    )


def test_texture_is_not_taken_for_an_ellipse() -> None:
    """Overlapping rings that vary along their length in different ways look elliptic."""
    camera = Camera(pixel_size=0.0125, **SMALL)
    detector = rings(camera, texture=0.5).fit.detector
    assert detector.ellipse_ratio.value - 1 < 3 * detector.ellipse_ratio.uncertainty < 4e-3


def test_uncertainties_hold_and_follow_the_counts() -> None:
    camera = Camera(pixel_size=0.0125, ratio=1.02, angle_deg=40.0, **SMALL)
    weak, strong = rings(camera, counts=20.0).fit.detector, rings(camera, counts=2000.0).fit.detector
    assert weak.ellipse_ratio.uncertainty > 3 * strong.ellipse_ratio.uncertainty
    for found in (weak, strong):
        assert abs(found.ellipse_ratio.value - 1.02) < 4 * found.ellipse_ratio.uncertainty
        assert abs(found.pixel_size.value - 0.0125) < 4 * found.pixel_size.uncertainty


def test_scale_is_found_without_a_start() -> None:
    camera = Camera(pixel_size=0.0125, ratio=1.02, angle_deg=-10.0, **SMALL)
    result = calibrate_rings(memory_scan(ring_pattern(camera)[None, None]), load_phase("au"))
    assert result.fit.detector.pixel_size.value == pytest.approx(0.0125, rel=1e-3)
    assert result.candidates[0].likeness > 1.1 * result.candidates[1].likeness


def test_sparse_patterns_of_a_scan_add_up_though_the_beam_wanders() -> None:
    patterns = []
    for number in range(12):
        center = (95.0 + 0.5 * (number % 4), 97.0 + 0.9 * (number // 4))
        camera = Camera(pixel_size=0.0125, ratio=1.03, angle_deg=25.0, center=center, shape=(192, 196))
        patterns.append(ring_pattern(camera, counts=5.0, seed=number))
    frames = np.stack(patterns).reshape(3, 4, 192, 196)
    result = calibrate_rings(memory_scan(frames), load_phase("au"), pixel_size=0.012)
    detector = result.fit.detector
    assert result.patterns == 12
    assert detector.pixel_size.value == pytest.approx(0.0125, rel=2e-3)
    assert detector.ellipse_ratio.value == pytest.approx(1.03, abs=5e-3)
    path = summary(result)["center_path"]
    assert path["range_rows"] == pytest.approx(1.5, abs=0.3)
    assert path["range_columns"] == pytest.approx(1.8, abs=0.3)


def test_masked_pixels_do_not_count() -> None:
    camera = Camera(pixel_size=0.0125, ratio=1.03, angle_deg=25.0, **SMALL)
    frame, mask = ring_pattern(camera), np.zeros((192, 196), bool)
    mask[80:112, :85] = True
    frame[mask] = 60000
    found = calibrate_rings(memory_scan(frame[None, None]), load_phase("au"), pixel_size=0.012, mask=mask)
    assert found.fit.detector.ellipse_ratio.value == pytest.approx(1.03, abs=2e-3)
    assert found.fit.detector.pixel_size.value == pytest.approx(0.0125, rel=1e-3)


def test_rings_of_a_phase_are_its_spacings() -> None:
    found = rings_of(load_phase("au"), k_max=1.3)
    np.testing.assert_allclose(found.radius, np.sqrt(list(GOLD_RINGS))[: len(found)] / GOLD, rtol=1e-4)
    assert found.brightness[0] == 1.0 and (found.brightness[1:] < 1).all()


def test_logarithm_of_the_ellipse_is_that_of_calibration() -> None:
    calibration = Calibration(pixel_size=0.01, voltage=200, ellipse_ratio=1.1, ellipse_angle_deg=-35.0)
    p, q = logarithm(calibration)
    np.testing.assert_allclose(distortion(p, q) / 0.01, calibration.detector_from_sample(), rtol=1e-12)
    fit = DetectorFit(log_pixel_size=0.0, p=p, q=q, covariance=np.eye(3) * 1e-6)
    assert fit.ellipse_ratio.value == pytest.approx(1.1) and fit.ellipse_angle_deg.value == pytest.approx(-35.0)


def test_a_circle_has_no_direction() -> None:
    fit = DetectorFit(log_pixel_size=0.0, p=0.0, q=0.0, covariance=np.eye(3) * 1e-6)
    assert not fit.is_elliptic
    assert fit.ellipse_angle_deg.uncertainty == pytest.approx(90 / np.sqrt(3))


def smooth(counts: float = 200.0) -> np.ndarray:
    k = Camera(pixel_size=0.0125, **SMALL).radius()
    image = counts * (np.exp(-k / 0.25) + 20 * np.exp(-((k / 0.03) ** 2)))
    return np.random.default_rng(0).poisson(image).astype(np.uint16)[None, None]


def test_no_rings_no_answer() -> None:
    with pytest.raises(DataFormatError, match="no rings like those of au"):
        calibrate_rings(memory_scan(smooth()), load_phase("au"), pixel_size=0.0125)


def test_rings_of_another_phase_are_refused_or_doubted() -> None:
    frames = memory_scan(ring_pattern(Camera(pixel_size=0.0125, **SMALL))[None, None])
    with pytest.raises(DataFormatError, match="no rings like those of beta2-alumina"):
        calibrate_rings(frames, load_phase("beta2-alumina"), pixel_size=0.0125)
    assert calibrate_rings(frames, load_phase("na"), pixel_size=0.0125, settings=CalibrateSettings(search=0.3)).doubts


@pytest.mark.parametrize(
    ("options", "start", "message"),
    [
        ({"inner": 90.0}, 0.0125, "px between the inner radius"),
        ({}, 0.125, r"check --pixel-size \(1/angstrom, not 1/nm\)|innermost ring|lies outside|no rings"),
        ({}, 12.5, "pixel_size must lie between"),
        ({}, 0.0005, "check --pixel-size"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, float], start: float, message: str) -> None:
    scan = memory_scan(ring_pattern(Camera(pixel_size=0.0125, **SMALL))[None, None])
    with pytest.raises((ArgumentError, DataFormatError), match=message):
        calibrate_rings(scan, load_phase("au"), pixel_size=start, settings=CalibrateSettings(**options))
