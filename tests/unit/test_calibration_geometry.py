"""Between detector pixels and the sample frame, and the energy of the electrons."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from nbedex.calibration import Calibration, electron_wavelength
from nbedex.errors import ArgumentError


@pytest.mark.parametrize(
    ("kilovolt", "angstrom"),
    [(60, 0.0486610), (80, 0.0417572), (100, 0.0370144), (200, 0.0250793), (300, 0.0196875), (1000, 0.0087192)],
)
def test_wavelengths_of_the_tables(kilovolt: float, angstrom: float) -> None:
    """Williams & Carter, table 1.2, to the digits that Kirkland gives."""
    assert electron_wavelength(kilovolt) == pytest.approx(angstrom, rel=2e-5)
    assert Calibration(pixel_size=0.01, voltage=kilovolt).wavelength == electron_wavelength(kilovolt)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_voltages(value: float) -> None:
    with pytest.raises(ArgumentError, match=r"^voltage must be positive \(kV\), got "):
        electron_wavelength(value)


def k_of(offset: np.ndarray, c: Calibration) -> np.ndarray:
    """The docstring's formula, k = pixel_size R(rotation) F E^-1 d, factor by factor."""
    a, e = np.deg2rad(c.rotation_deg), np.deg2rad(c.ellipse_angle_deg)
    long, short = np.array([np.cos(e), np.sin(e)]), np.array([-np.sin(e), np.cos(e)])
    root = np.sqrt(c.ellipse_ratio)
    d = (offset @ long) / root * long + (offset @ short) * root * short
    if c.flipped:
        d = d * [1, -1]
    return c.pixel_size * np.array([np.cos(a) * d[0] - np.sin(a) * d[1], np.sin(a) * d[0] + np.cos(a) * d[1]])


@pytest.mark.parametrize(
    ("rotation", "flipped", "ratio", "angle"),
    list(itertools.product((0.0, 37.0, -125.0, 400.0), (False, True), (1.0, 1.05, 1.9), (0.0, 30.0, -70.0))),
)
def test_matrix_is_the_inverse_of_the_formula(rotation: float, flipped: bool, ratio: float, angle: float) -> None:
    c = Calibration(
        pixel_size=0.013, voltage=200.0, rotation_deg=rotation, flipped=flipped, ellipse_ratio=ratio,
        ellipse_angle_deg=angle,
    )  # fmt: skip
    matrix = c.detector_from_sample()
    for offset in np.array([[1.0, 0.0], [0.0, 1.0], [-13.2, 40.9]]):
        np.testing.assert_allclose(matrix @ k_of(offset, c), offset, atol=1e-10)
    # the ellipse keeps areas; a flip alone changes handedness
    assert np.linalg.det(matrix) == pytest.approx((-1 if flipped else 1) / 0.013**2)


def test_senses_by_hand() -> None:
    """Column axis of the detector at +90 degrees: along sample Y, which points down; rows then run against X."""
    turned = Calibration(pixel_size=0.01, voltage=200.0, rotation_deg=90.0).detector_from_sample() * 0.01
    np.testing.assert_allclose(turned @ [0, 1], [1, 0], atol=1e-12)
    np.testing.assert_allclose(turned @ [1, 0], [0, -1], atol=1e-12)
    flipped = Calibration(pixel_size=0.01, voltage=200.0, flipped=True).detector_from_sample() * 0.01
    np.testing.assert_allclose(flipped, np.diag([1, -1]), atol=1e-12)
    both = Calibration(pixel_size=0.01, voltage=200.0, flipped=True, rotation_deg=90.0).detector_from_sample() * 0.01
    np.testing.assert_allclose(both @ [0, 1], [1, 0], atol=1e-12)
    np.testing.assert_allclose(both @ [1, 0], [0, 1], atol=1e-12)


def test_a_circle_is_recorded_as_the_ellipse() -> None:
    c = Calibration(pixel_size=0.01, voltage=200.0, ellipse_ratio=1.21, ellipse_angle_deg=25.0)
    angle = np.linspace(0, 2 * np.pi, 721)
    radius = np.linalg.norm(c.detector_from_sample() @ np.stack([np.cos(angle), np.sin(angle)]), axis=0)
    assert radius.max() / radius.min() == pytest.approx(1.21, rel=1e-5)
    longest = (c.detector_from_sample() @ np.stack([np.cos(angle), np.sin(angle)]))[:, radius.argmax()]
    assert np.rad2deg(np.arctan2(longest[1], longest[0])) % 180 == pytest.approx(25.0, abs=0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"pixel_size": 0.0},
            r"^pixel_size must lie between 1e-5 and 1 per angstrom and pixel, got 0\.0 \(a value in 1/nm",
        ),
        ({"pixel_size": 1.5}, r"^pixel_size must lie between"),
        ({"pixel_size": float("nan")}, r"^pixel_size must lie between .* got nan"),
        ({"voltage": 300_000.0}, r"^voltage must lie between 10 and 3000 kV, got 300000\.0$"),
        ({"voltage": float("nan")}, r"^voltage must lie between"),
        ({"step": (2.0, 0.0)}, r"^step must be two positive lengths in nm, got \(2\.0, 0\.0\)$"),
        ({"step": (float("inf"), 2.0)}, r"^step must be two positive"),
        ({"rotation_deg": float("nan")}, r"^rotation_deg must be finite, got nan$"),
        ({"ellipse_ratio": 0.95}, r"^ellipse_ratio must lie in \[1, 2\), got 0\.95$"),
        ({"ellipse_ratio": 2.0}, r"^ellipse_ratio must lie in"),
        ({"ellipse_angle_deg": float("inf")}, r"^ellipse_angle_deg must be finite, got inf$"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str) -> None:
    values: dict[str, Any] = {"pixel_size": 0.01, "voltage": 300.0, **changes}
    with pytest.raises(ArgumentError, match=message):
        Calibration(**values)


def test_step_of_one_length_is_refused() -> None:
    with pytest.raises(ArgumentError, match="step must be two positive lengths"):
        Calibration(pixel_size=0.01, voltage=300.0, step=(2.0,))  # type: ignore[arg-type]
