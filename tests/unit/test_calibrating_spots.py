"""Scale and ellipse from indexed single crystals with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from nbedex.calibrating import CalibrateSettings, calibrate_spots, summary
from nbedex.calibrating.spots import PatternSpots, find_spots, fit_spots
from nbedex.calibration import Calibration
from nbedex.errors import DataFormatError
from nbedex.library import SimulationSettings, TemplateLibrary, build_library
from nbedex.phases import load_phase
from nbedex.scan import memory_scan
from oracles.calibration_patterns import Camera, spot_patterns

PLACE = {"center": (95.2, 97.4), "shape": (190, 194)}


@pytest.fixture(scope="module")
def library() -> TemplateLibrary:
    return build_library([load_phase("na2au")], SimulationSettings(voltage=300, k_max=1.3, step_deg=3), threads=1)


def known_spots(camera: Camera, patterns: int = 6) -> list[PatternSpots]:
    """Spots where the camera has them, every pattern turned and shifted on its own."""
    rng = np.random.default_rng(4)
    spots = []
    for number in range(patterns):
        k = rng.uniform(-1, 1, size=(20, 2))
        turn = rng.normal(0, 0.003)
        x, y = k[:, 0] - turn * k[:, 1], k[:, 1] + turn * k[:, 0]
        places = camera.place(x, y) - camera.center + rng.normal(0, 0.5, 2)
        spots.append(PatternSpots(index=number, center=np.array(camera.center), k=k, place=places[:, ::-1]))
    return spots


@pytest.mark.parametrize("start_angle", [0.0, 70.0])
def test_exact_spots_give_the_exact_answer(start_angle: float) -> None:
    camera = Camera(pixel_size=0.0125, ratio=1.03, angle_deg=-20.0, **PLACE)
    start = Calibration(pixel_size=0.0122, voltage=300, ellipse_ratio=1.01, ellipse_angle_deg=start_angle)
    fit = fit_spots(known_spots(camera), start)
    assert fit.detector.pixel_size.value == pytest.approx(0.0125, rel=1e-4)
    assert fit.detector.ellipse_ratio.value == pytest.approx(1.03, abs=2e-4)
    assert fit.detector.ellipse_angle_deg.value == pytest.approx(-20.0, abs=0.3)
    assert fit.after < 0.01 < fit.before


def test_rotation_and_flip_of_the_detector_do_not_mix_with_the_ellipse() -> None:
    """The ellipse is the camera's, on the detector, however the detector is turned against the scan."""
    camera = Camera(pixel_size=0.0125, ratio=1.03, angle_deg=-20.0, **PLACE)
    start = Calibration(pixel_size=0.0122, voltage=300, rotation_deg=37.0, flipped=True)
    turned = []
    c, s = np.cos(np.deg2rad(37.0)), np.sin(np.deg2rad(37.0))
    for spots in known_spots(camera):
        # detector offsets are E F R^-1 k: here k is what gives F R^-1 k = the known detector vectors
        flipped_back = np.stack([spots.k[:, 0], -spots.k[:, 1]], axis=1)
        x, y = flipped_back.T
        k = np.stack([c * x - s * y, s * x + c * y], axis=1)
        turned.append(PatternSpots(index=spots.index, center=spots.center, k=k, place=spots.place))
    fit = fit_spots(turned, start)
    assert fit.detector.ellipse_ratio.value == pytest.approx(1.03, abs=3e-4)
    assert fit.detector.ellipse_angle_deg.value == pytest.approx(-20.0, abs=0.4)


def test_centroids_are_those_of_the_spots() -> None:
    rng = np.random.default_rng(3)
    rows, columns = np.indices((80, 90))
    truth = np.array(
        [[20.3, 30.6], [60.8, 25.1], [40.2, 60.7], [44.0, 63.0], [87.0, 40.0], [70.0, 70.0]]
    )  # column, row
    image = 5 + 0.1 * columns
    for column, row in truth[:5]:
        image = image + 300 * np.exp(-((columns - column) ** 2 + (rows - row) ** 2) / (2 * 1.3**2))
    frame = rng.poisson(image)
    found = find_spots(frame, truth + np.array([1.2, -0.8]))
    np.testing.assert_allclose(found[:2], truth[:2], atol=0.15)
    assert np.isnan(found[2:]).all()  # two neighbours, one at the edge, one that is not there


@pytest.mark.parametrize(("ratio", "angle", "off"), [(1.02, 37.0, 1.03), (1.01, -60.0, 0.98)])
def test_scale_and_ellipse_come_back(library: TemplateLibrary, ratio: float, angle: float, off: float) -> None:
    camera = Camera(pixel_size=0.0125, ratio=ratio, angle_deg=angle, **PLACE)
    result = calibrate_spots(
        memory_scan(spot_patterns(camera, "na2au", 12)),
        library,
        Calibration(pixel_size=0.0125 * off, voltage=300),
        settings=CalibrateSettings(search=0.045),
        threads=1,
    )
    detector = result.fit.detector
    assert detector.pixel_size.value == pytest.approx(0.0125, rel=6e-4)
    assert detector.ellipse_ratio.value == pytest.approx(ratio, abs=1.5e-3)
    assert abs((detector.ellipse_angle_deg.value - angle + 90) % 180 - 90) < 4
    assert result.fit.after < 0.12 and result.orientations > 8 and not result.doubts
    assert result.calibration.pixel_size == detector.pixel_size.value
    facts = summary(result)
    assert facts["source"] == "spots" and "na2au" in facts["scale_rests_on"]
    assert any("rotation_deg" in text for text in facts["not_determined"])


def test_one_orientation_is_doubted(library: TemplateLibrary) -> None:
    camera = Camera(pixel_size=0.0125, **PLACE)
    frames = np.repeat(spot_patterns(camera, "na2au", 1), 6, axis=1)
    result = calibrate_spots(
        memory_scan(frames), library, Calibration(pixel_size=0.0125, voltage=300),
        settings=CalibrateSettings(search=0.0), threads=1,
    )  # fmt: skip
    assert result.orientations == 1 and not result.ellipse_determined
    # not knowing the ellipse makes the scale less certain than its noise does
    assert result.fit.detector.pixel_size.uncertainty > 2e-3 * 0.0125
    assert result.calibration.ellipse_ratio == 1.0 and not result.fit.detector.is_elliptic
    assert any(
        doubt.startswith("only 1 different orientation: a strain of the crystal looks") for doubt in result.doubts
    )


def test_noise_is_refused(library: TemplateLibrary) -> None:
    k = Camera(pixel_size=0.0125, **PLACE).radius()
    frames = np.random.default_rng(1).poisson(
        20 * np.exp(-k / 0.3) + 300 * np.exp(-((k / 0.02) ** 2)), (1, 4, *k.shape)
    )
    with pytest.raises(DataFormatError, match="too few to calibrate with; check --pixel-size"):
        calibrate_spots(
            memory_scan(frames.astype(np.uint16)), library, Calibration(pixel_size=0.0125, voltage=300),
            settings=CalibrateSettings(search=0.0), threads=1,
        )  # fmt: skip
