"""How often single patterns of given crystals of beta''-alumina are indexed right, as in a scan of the lamella."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import nbedex
from nbedex.library.dynamical import DynamicalCrystal, DynamicalSettings
from nbedex.maps import disorientation_angle, multiply

PHASES = ("beta2-alumina", "na2au", "au", "zro2-m")  # all that the lamella holds compete
PIXEL, SIZE = 0.0105, 256  # 1/angstrom, pixels: the standard camera of bench/accuracy
COUNTS, SPOTS, BEAM, SPREAD = 2e4, 0.4, 0.3, 1.2  # electrons, shares, sigma of a spot in pixels
THICKNESS_NM = (85.0, 95.0, 105.0, 115.0)
TILT_DEG = 0.2  # one sigma per axis: bending
RIGHT_DEG = 1.0

Floats = NDArray[np.float64]


def share_indexed(orientations: Floats, repeats: int, seed: int = 1) -> Floats:
    """(n,) share of each crystal's patterns whose phase is right and whose orientation is within 1 degree.

    As many patterns of each crystal as there are thicknesses, `repeats` times.
    """
    phase = nbedex.load_phase("beta2-alumina")
    crystal = DynamicalCrystal(phase, DynamicalSettings(voltage=300.0, k_max=1.35))
    rng = np.random.default_rng(seed)
    n, t = len(orientations), len(THICKNESS_NM)
    tilt = np.deg2rad(TILT_DEG) / 2 * rng.normal(size=(n, repeats * t, 3))
    small = np.concatenate([np.ones((n, repeats * t, 1)), tilt], axis=-1)
    truth = multiply(small, orientations[:, None])
    truth /= np.linalg.norm(truth, axis=-1, keepdims=True)
    patterns = crystal.patterns(truth.reshape(-1, 4), THICKNESS_NM)
    frames = np.empty((n * repeats * t, SIZE, SIZE), dtype=np.uint16)
    for i in range(len(frames)):
        spots = patterns.pattern(i)
        intensity = spots["intensity"][1:, i % t].astype(float)
        frames[i] = rng.poisson(COUNTS * _expected(spots["kx"][1:], spots["ky"][1:], intensity))
    result = nbedex.index(frames.reshape(n, repeats * t, SIZE, SIZE), phases=PHASES, pixel_size=PIXEL, voltage=300.0)
    off = np.rad2deg(disorientation_angle(result.orientation, truth, phase.symmetry_quaternions))
    return np.asarray(((result.phase_id == 0) & (off < RIGHT_DEG)).mean(axis=1))


def _expected(kx: Floats, ky: Floats, intensity: Floats) -> Floats:
    """What a detector pixel gets of one electron: spots, direct beam, diffuse background."""
    middle, reach = (SIZE - 1) / 2, 5
    rows, columns = np.mgrid[:SIZE, :SIZE]
    image = np.zeros((SIZE, SIZE))
    for x, y, weight in zip(kx / PIXEL + middle, ky / PIXEL + middle, intensity, strict=True):
        if max(abs(x - middle), abs(y - middle)) < middle - reach and weight > 1e-6:
            top, left = round(float(y)) - reach, round(float(x)) - reach
            near = np.s_[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
            image[near] += weight * np.exp(-((columns[near] - x) ** 2 + (rows[near] - y) ** 2) / (2 * SPREAD**2))
    r = np.hypot(rows - middle, columns - middle)
    beam, diffuse = np.exp(-(r**2) / (2 * SPREAD**2)), np.exp(-r * PIXEL / 0.25)
    return SPOTS * image / image.sum() + BEAM * beam / beam.sum() + (1 - SPOTS - BEAM) * diffuse / diffuse.sum()
