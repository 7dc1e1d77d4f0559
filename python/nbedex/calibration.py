"""Geometry between detector pixels, the sample frame and reciprocal space; beam energy.

Sample frame: X along scan columns (right), Y along scan rows (down), Z = X x Y along the beam.
All reciprocal lengths are 1/d in 1/angstrom, without 2 pi.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import constants

from nbedex.errors import ArgumentError


def electron_wavelength(voltage: float) -> float:
    """Relativistic electron wavelength in angstrom for an accelerating voltage in kV.

    lambda = h / sqrt(2 m e V (1 + e V / (2 m c^2))).
    """
    if not (np.isfinite(voltage) and voltage > 0):
        raise ArgumentError(f"voltage must be positive (kV), got {voltage!r}")
    energy = constants.e * voltage * 1e3
    rest = constants.m_e * constants.c**2
    momentum = np.sqrt(2 * constants.m_e * energy * (1 + energy / (2 * rest)))
    return float(constants.h / momentum * 1e10)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How a detector pixel maps to a scattering vector in the sample frame.

    For a pixel at offset d = (column, row) - centre, the scattering vector is

        k = pixel_size * R(rotation) * F * E^-1 * d

    with E the area-preserving elliptic distortion of the camera, F = diag(1, -1) where the detector
    is flipped and R the turn of the detector against the scan.

    Parameters
    ----------
    pixel_size
        Reciprocal length of one detector pixel, 1/angstrom.
    voltage
        Accelerating voltage, kV.
    step
        Scan step along (rows, columns), nm, or None where it is not known.
    rotation_deg
        Direction of the detector's column axis in the sample frame, degrees from X towards Y.
    flipped
        Whether the detector's rows run against the sample frame (mirror image), before rotation.
    ellipse_ratio
        Longest over shortest radius of the ellipse that a circle is recorded as, >= 1.
    ellipse_angle_deg
        Direction of the longest radius on the detector, degrees from columns towards rows.
    """

    pixel_size: float
    voltage: float
    step: tuple[float, float] | None = None
    rotation_deg: float = 0.0
    flipped: bool = False
    ellipse_ratio: float = 1.0
    ellipse_angle_deg: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.pixel_size) and 1e-5 < self.pixel_size < 1.0):
            raise ArgumentError(
                f"pixel_size must lie between 1e-5 and 1 per angstrom and pixel, got {self.pixel_size!r}"
                " (a value in 1/nm must be divided by 10)"
            )
        if not (np.isfinite(self.voltage) and 10 <= self.voltage <= 3000):
            raise ArgumentError(f"voltage must lie between 10 and 3000 kV, got {self.voltage!r}")
        if self.step is not None and not (len(self.step) == 2 and all(np.isfinite(s) and s > 0 for s in self.step)):
            raise ArgumentError(f"step must be two positive lengths in nm, got {self.step!r}")
        if not np.isfinite(self.rotation_deg):
            raise ArgumentError(f"rotation_deg must be finite, got {self.rotation_deg!r}")
        if not (np.isfinite(self.ellipse_ratio) and 1.0 <= self.ellipse_ratio < 2.0):
            raise ArgumentError(f"ellipse_ratio must lie in [1, 2), got {self.ellipse_ratio!r}")
        if not np.isfinite(self.ellipse_angle_deg):
            raise ArgumentError(f"ellipse_angle_deg must be finite, got {self.ellipse_angle_deg!r}")

    @property
    def wavelength(self) -> float:
        """Electron wavelength, angstrom."""
        return electron_wavelength(self.voltage)

    def detector_from_sample(self) -> NDArray[np.float64]:
        """Matrix (2, 2) from k = (kx, ky) in 1/angstrom to an offset (column, row) in pixels.

        The one place where rotation, handedness and ellipse of the detector enter.
        """
        turn = _rotation_2d(self.rotation_deg)
        flip = np.diag([1.0, -1.0 if self.flipped else 1.0])
        axis = _rotation_2d(self.ellipse_angle_deg)
        stretch = np.sqrt(self.ellipse_ratio)
        ellipse = axis @ np.diag([stretch, 1.0 / stretch]) @ axis.T
        return np.asarray(ellipse @ flip @ turn.T / self.pixel_size)


def _rotation_2d(angle_deg: float) -> NDArray[np.float64]:
    """Matrix (2, 2) of a rotation by `angle_deg` from the first axis towards the second."""
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return np.array([[c, -s], [s, c]])
