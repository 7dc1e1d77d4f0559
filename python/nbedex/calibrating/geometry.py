"""Scale and ellipse of a detector as numbers that can be fitted, and back to a `Calibration`'s.

The ellipse is fitted as its symmetric traceless logarithm, log E = [[p, q], [q, -p]]: unlike ratio and angle, p and q
are smooth at the circle, where every real detector nearly is. ratio = exp(2 sqrt(p^2 + q^2)), angle = atan2(q, p) / 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration

Array = NDArray[np.float64]

SIGNIFICANT = 2.0  # standard deviations


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its standard uncertainty."""

    value: float
    uncertainty: float


@dataclass(frozen=True, eq=False, kw_only=True)
class DetectorFit:
    """Scale and ellipse as found, with their uncertainty.

    Attributes
    ----------
    log_pixel_size
        Natural logarithm of the pixel size in 1/angstrom.
    p, q
        Logarithm of the elliptic distortion, [[p, q], [q, -p]].
    covariance : (3, 3) float64
        Of (log_pixel_size, p, q).
    """

    log_pixel_size: float
    p: float
    q: float
    covariance: Array

    @property
    def pixel_size(self) -> Estimate:
        """1/angstrom per pixel."""
        value = float(np.exp(self.log_pixel_size))
        return Estimate(value=value, uncertainty=value * float(np.sqrt(self.covariance[0, 0])))

    @property
    def ellipse_ratio(self) -> Estimate:
        """Longest over shortest radius of the recorded ellipse."""
        size = float(np.hypot(self.p, self.q))
        value = float(np.exp(2 * size))
        return Estimate(value=value, uncertainty=2 * value * self._along(self._direction))

    @property
    def ellipse_angle_deg(self) -> Estimate:
        """Direction of the longest radius on the detector, degrees from columns towards rows, in (-90, 90].

        Its uncertainty is at most 52 degrees, that of a direction nobody knows.
        """
        size = float(np.hypot(self.p, self.q))
        across = self._along(np.array([-self._direction[1], self._direction[0]]))
        unknown = 90.0 / np.sqrt(3.0)
        spread = float(np.rad2deg(across / (2 * size))) if size > 0 else unknown
        value = float(np.rad2deg(np.arctan2(self.q, self.p)) / 2)
        return Estimate(value=90.0 if value == -90.0 else value, uncertainty=min(spread, unknown))

    @property
    def is_elliptic(self) -> bool:
        """Whether the ellipse differs from a circle by more than twice its uncertainty."""
        return bool(np.hypot(self.p, self.q) > SIGNIFICANT * self._along(self._direction))

    @property
    def _direction(self) -> Array:
        size = np.hypot(self.p, self.q)
        return np.array([self.p, self.q]) / size if size > 0 else np.array([1.0, 0.0])

    def _along(self, direction: Array) -> float:
        return float(np.sqrt(direction @ self.covariance[1:, 1:] @ direction))


def distortion(p: float, q: float) -> Array:
    """Elliptic distortion E (2, 2) with logarithm [[p, q], [q, -p]], on (column, row)."""
    size = np.hypot(p, q)
    share = np.sinh(size) / size if size > 0 else 1.0
    return np.asarray(np.cosh(size) * np.eye(2) + share * np.array([[p, q], [q, -p]]))


def logarithm(calibration: Calibration) -> tuple[float, float]:
    """p and q of a calibration's ellipse."""
    size = np.log(calibration.ellipse_ratio) / 2
    twice = 2 * np.deg2rad(calibration.ellipse_angle_deg)
    return float(size * np.cos(twice)), float(size * np.sin(twice))
