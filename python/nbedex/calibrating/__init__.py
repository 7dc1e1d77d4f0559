"""Calibration from the data: scale, ellipse and centre from rings or single crystals, with uncertainties.

What diffraction patterns alone do not show, such as the rotation of the detector against the scan, is said as well.
"""

from __future__ import annotations

from nbedex.calibrating.fine_tuning import fine_tuned
from nbedex.calibrating.from_rings import RingCalibration, calibrate_rings
from nbedex.calibrating.from_spots import SpotCalibration, calibrate_spots
from nbedex.calibrating.settings import CalibrateSettings
from nbedex.calibrating.summary import summary

__all__ = [
    "CalibrateSettings",
    "RingCalibration",
    "SpotCalibration",
    "calibrate_rings",
    "calibrate_spots",
    "fine_tuned",
    "summary",
]
