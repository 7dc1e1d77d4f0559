"""Patterns like the published ones (Ding 2024, chapters 3 and 5): crystals near zone axes, by Bloch waves, on a camera.

Nothing here is kinematical, so that reflections which only double diffraction excites are there as they are in a
microscope. `particle` is what the thesis could not assign: six spots of 4.1 1/nm, 60 degrees apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.library.dynamical import DynamicalCrystal, DynamicalSettings
from nbedex.library.grid import zone_axis_orientations
from nbedex.maps import canonical, multiply
from nbedex.phases import load_phase

Array = NDArray[np.float64]

CALIBRATION = Calibration(pixel_size=0.0105, voltage=300.0)
SIZE = 256
PARTICLE = 0.41  # 1/angstrom


@dataclass(frozen=True, kw_only=True)
class Camera:
    """What reaches the camera, and how: shares are of the counts; what they leave is scattered diffusely.

    Attributes
    ----------
    counts
        Electrons in a frame.
    spots, beam, halo
        Shares of the diffracted beams, the direct beam and two broad rings of an amorphous layer.
    blur_px
        Standard deviation of a spot, pixels.
    shift_px
        How far the direct beam lies off the middle.
    """

    counts: float = 2e4
    spots: float = 0.4
    beam: float = 0.3
    halo: float = 0.0
    blur_px: float = 1.2
    shift_px: float = 1.0


def near_zone(
    phase: str, uvw: tuple[int, int, int], *, turn_deg: float = 0.0, tilt_deg: float = 0.0, towards_deg: float = 0.0
) -> Array:
    """Orientation (4,), sample to crystal: [uvw] along the beam, turned about it, then tilted off it."""
    direct = np.linalg.inv(load_phase(phase).reciprocal_basis).T
    axis = direct @ np.array(uvw, dtype=float)
    on_zone = zone_axis_orientations((axis / np.linalg.norm(axis))[None])[0]
    half, towards = np.deg2rad(tilt_deg) / 2, np.deg2rad(towards_deg)
    tilt = np.array([np.cos(half), np.sin(half) * np.cos(towards), np.sin(half) * np.sin(towards), 0.0])
    turn = np.deg2rad(turn_deg) / 2
    about_beam = np.array([np.cos(turn), 0.0, 0.0, np.sin(turn)])
    return np.asarray(canonical(multiply(multiply(on_zone, about_beam), tilt)))


@cache
def crystal(phase: str) -> DynamicalCrystal:
    """All beams up to 1.2 1/angstrom."""
    return DynamicalCrystal(load_phase(phase), DynamicalSettings(voltage=CALIBRATION.voltage, k_max=1.2))


def dynamical_frame(
    phase: str, orientation: Array, thickness_nm: float, *, seed: int, camera: Camera | None = None
) -> NDArray[np.uint16]:
    """One crystal, (SIZE, SIZE)."""
    pattern = crystal(phase).patterns(orientation[None], [thickness_nm], threads=1).pattern(0)
    diffracted = pattern["hkl"].any(axis=1)
    k = np.stack([pattern["kx"], pattern["ky"]], axis=1).astype(np.float64)[diffracted]
    return frame(k, pattern["intensity"][diffracted, 0].astype(np.float64), seed=seed, camera=camera)


def particle_frame(
    *, seed: int, turn_deg: float = 10.0, orders: bool = False, camera: Camera | None = None
) -> NDArray[np.uint16]:
    """Six spots of 4.1 1/nm, and with `orders` those of the whole hexagonal net they span, ever weaker."""
    rng = np.random.default_rng([seed, 11])
    a, b = (PARTICLE * np.array([np.cos(t), np.sin(t)]) for t in np.deg2rad([turn_deg, turn_deg + 60.0]))
    reach = 3 if orders else 1
    net = [m * a + n * b for m in range(-reach, reach + 1) for n in range(-reach, reach + 1) if (m, n) != (0, 0)]
    k = np.array([v for v in net if np.linalg.norm(v) < (1.2 if orders else 1.01 * PARTICLE)])
    intensity = np.exp(-((np.linalg.norm(k, axis=1) / 0.5) ** 2)) * rng.uniform(0.4, 1.0, len(k))
    return frame(k, intensity, seed=seed, camera=camera)


def frame(k: Array, intensity: Array, *, seed: int, camera: Camera | None = None) -> NDArray[np.uint16]:
    """Spots at k (n, 2) with the direct beam, diffuse scattering and Poisson noise."""
    camera = camera or Camera()
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi)
    center = (SIZE - 1) / 2 + camera.shift_px * np.array([np.sin(angle), np.cos(angle)])
    pixels = np.arange(SIZE)
    radius = np.hypot(pixels[:, None] - center[0], pixels[None] - center[1])
    far = radius * CALIBRATION.pixel_size
    image = (1 - camera.spots - camera.beam - camera.halo) * _share(np.exp(-far / 0.25))
    image += camera.beam * _share(np.exp(-((radius / camera.blur_px) ** 2) / 2))
    if camera.halo:
        image += camera.halo * _share(
            np.exp(-(((far - 0.28) / 0.05) ** 2) / 2) + np.exp(-(((far - 0.5) / 0.08) ** 2) / 2)
        )
    at = center + k[:, ::-1] / CALIBRATION.pixel_size
    y, x = (np.exp(-(((pixels - at[:, i, None]) / camera.blur_px) ** 2) / 2) for i in (0, 1))
    weight = camera.spots * intensity / (intensity.sum() * 2 * np.pi * camera.blur_px**2)
    image += (y * weight[:, None]).T @ x
    return rng.poisson(camera.counts * image).astype(np.uint16)


def _share(image: Array) -> Array:
    return np.asarray(image / image.sum())
