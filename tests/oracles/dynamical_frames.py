"""Frames of dynamical patterns: Bloch waves, Gaussian spots, a falling background and Poisson noise."""

from __future__ import annotations

import numpy as np

from nbedex.calibration import Calibration
from nbedex.library import DynamicalCrystal
from nbedex.maps import multiply

SIZE, PIXEL, CENTER = 200, 0.0125, (98.3, 100.9)
CALIBRATION = Calibration(pixel_size=PIXEL, voltage=300.0, rotation_deg=23.0, flipped=True)


def tilted(orientation: np.ndarray, x_deg: float, y_deg: float, turn_deg: float = 0.0) -> np.ndarray:
    """The crystal tilted about X and Y, then turned with its pattern from X to Y."""
    x, y, turn = np.deg2rad([x_deg, y_deg, turn_deg]) / 2
    out = multiply(orientation, np.array([np.cos(x), -np.sin(x), 0, 0]))
    out = multiply(out, np.array([np.cos(y), 0, -np.sin(y), 0]))
    return np.asarray(multiply(out, np.array([np.cos(turn), 0, 0, -np.sin(turn)])))


def frame(
    crystal: DynamicalCrystal,
    orientation: np.ndarray,
    thickness_nm: float,
    *,
    counts: float = 4e4,
    stretch: float = 1.0,
    seed: int = 5,
) -> np.ndarray:
    """Gaussian spots, a falling background and Poisson noise; half of the counts are in the direct beam."""
    rows, columns = np.indices((SIZE, SIZE))
    beams = crystal.patterns(orientation[None], [thickness_nm], threads=1).pattern(0)
    at = np.stack([beams["kx"], beams["ky"]], axis=1) @ CALIBRATION.detector_from_sample().T * stretch
    share = beams["intensity"][:, 0] / beams["intensity"][1:, 0].sum() * 0.3
    share[0] = 0.4
    image = 0.3 * np.exp(-np.hypot(rows - CENTER[0], columns - CENTER[1]) * PIXEL / 0.25)
    image *= 0.3 / image.sum()
    for (x, y), s in zip(at, share, strict=True):
        image += s / (2 * np.pi) * np.exp(-((columns - CENTER[1] - x) ** 2 + (rows - CENTER[0] - y) ** 2) / 2)
    return np.random.default_rng(seed).poisson(counts * image).astype(np.uint16)
