"""Ring and spot patterns on a detector with a known scale and ellipse; written without nbedex's own geometry.

The ellipse by the plain recipe: lengths along the direction `angle` (from columns towards rows) are recorded longer by
sqrt(ratio), across it shorter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.library import SimulationSettings, simulate
from nbedex.phases import load_phase

# radii and relative brightnesses of rings of gold, a = 4.0786 angstrom: 1/d = sqrt(h2 + k2 + l2) / a
GOLD = 4.0786
GOLD_RINGS = {3: 1.0, 4: 0.45, 8: 0.3, 11: 0.3, 12: 0.1, 16: 0.03, 19: 0.12, 20: 0.1, 24: 0.08, 27: 0.05}


@dataclass(frozen=True, kw_only=True)
class Camera:
    """What a pattern is recorded with."""

    pixel_size: float
    ratio: float = 1.0
    angle_deg: float = 0.0
    center: tuple[float, float] = (127.3, 129.1)
    shape: tuple[int, int] = (256, 260)

    def radius(self) -> NDArray[np.float64]:
        """Scattering vector of every pixel, 1/angstrom."""
        rows, columns = np.indices(self.shape)
        x, y = columns - self.center[1], rows - self.center[0]
        c, s = np.cos(np.deg2rad(self.angle_deg)), np.sin(np.deg2rad(self.angle_deg))
        along, across = (c * x + s * y) / np.sqrt(self.ratio), (-s * x + c * y) * np.sqrt(self.ratio)
        return self.pixel_size * np.hypot(along, across)

    def place(self, kx: NDArray[np.float64], ky: NDArray[np.float64]) -> NDArray[np.float64]:
        """Row and column (n, 2) of scattering vectors."""
        c, s = np.cos(np.deg2rad(self.angle_deg)), np.sin(np.deg2rad(self.angle_deg))
        along, across = (c * kx + s * ky) * np.sqrt(self.ratio), (-s * kx + c * ky) / np.sqrt(self.ratio)
        x, y = (c * along - s * across) / self.pixel_size, (s * along + c * across) / self.pixel_size
        return np.stack([y + self.center[0], x + self.center[1]], axis=1)


def ring_pattern(
    camera: Camera, *, counts: float = 300.0, texture: float = 0.0, seed: int = 1, width: float = 2.0
) -> NDArray[np.uint16]:
    """A noisy pattern of gold rings on a diffuse background, with a direct beam.

    `counts`: of the brightest ring in a pixel. `texture`: how much brightness varies along the rings, twofold.
    """
    rng = np.random.default_rng(seed)
    k = camera.radius()
    rows, columns = np.indices(camera.shape)
    azimuth = np.arctan2(rows - camera.center[0], columns - camera.center[1])
    image = 2.0 * np.exp(-k / 0.25) + 0.02
    for number, (square, brightness) in enumerate(GOLD_RINGS.items()):
        ring = np.exp(-0.5 * ((k - np.sqrt(square) / GOLD) / (width * camera.pixel_size)) ** 2)
        image += brightness * ring * (1 + texture * np.cos(2 * azimuth - 1.3 * number))
    beam = np.exp(-0.5 * (k / (2 * camera.pixel_size)) ** 2)
    return rng.poisson(counts * (image + 40 * beam)).astype(np.uint16)


def spot_patterns(
    camera: Camera, phase: str, n: int, *, counts: float = 4e4, seed: int = 2, k_max: float = 1.3
) -> NDArray[np.uint16]:
    """Noisy patterns (1, n, det_y, det_x) of single crystals in random orientations."""
    rng = np.random.default_rng(seed)
    quaternions = rng.normal(size=(n, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    settings = SimulationSettings(voltage=300.0, k_max=k_max, max_excitation_error=0.02)
    spots = simulate(load_phase(phase), quaternions, settings, threads=1)
    k = camera.radius()
    background = np.exp(-k / 0.2)
    beam = np.exp(-0.5 * (k / (1.3 * camera.pixel_size)) ** 2)
    frames = np.empty((1, n, *camera.shape), np.uint16)
    rows, columns = np.indices(camera.shape)
    for number in range(n):
        pattern = spots.pattern(number)
        weight = np.sqrt(pattern["intensity"].astype(float))  # dynamical patterns are flatter than kinematical ones
        image = np.zeros(camera.shape)
        places = camera.place(pattern["kx"].astype(float), pattern["ky"].astype(float))
        for (row, column), value in zip(places, weight, strict=True):
            image += value * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * 1.3**2))
        expected = 0.4 * image / image.sum() + 0.3 * beam / beam.sum() + 0.3 * background / background.sum()
        frames[0, number] = rng.poisson(counts * expected)
    return frames
