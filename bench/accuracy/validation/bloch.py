"""Spots and intensities of one crystal by abTEM's Bloch waves, in nbedex's frame.

In abTEM electrons travel along +z and a beam is excited at g_z = -lambda |g|^2 / 2; in nbedex's sample frame it is
excited at +lambda |g|^2 / 2. Half a turn about X takes one into the other: abTEM sees (X, -Y, -Z). Being a rotation, it
keeps the crystal's handedness.
"""

from __future__ import annotations

import warnings

import abtem
import numpy as np
from abtem.bloch import BlochWaves
from abtem.bloch.dynamical import StructureFactorArray
from abtem.core.constants import kappa
from abtem.core.energy import energy2sigma, energy2wavelength
from numpy.typing import NDArray

Array = NDArray[np.float64]
Spots = tuple[NDArray[np.int64], Array, Array]

TO_ABTEM = np.diag([1.0, -1.0, -1.0])
abtem.config.set({"precision": "float64"})
warnings.filterwarnings("ignore", message="provided g_max exceed")


def matrix(quaternion: Array) -> Array:
    """Rotation (3, 3) with v_crystal = M v_sample."""
    w, x, y, z = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def beam_directions(
    rng: np.random.Generator,
    *,
    precession_deg: float,
    azimuths: int,
    convergence_mrad: float,
    tilts: int,
    bend_deg: float,
) -> Array:
    """Tilts of the beam against the crystal (n, 2), radians about X and Y, whose intensities are averaged."""
    groups = [np.zeros((1, 2))]
    if precession_deg:
        phi = 2 * np.pi * (np.arange(azimuths) + rng.uniform()) / azimuths
        groups.append(np.deg2rad(precession_deg) * np.stack([np.cos(phi), np.sin(phi)], axis=1))
    if tilts > 1:
        # sunflower: equal areas of the disk
        k = np.arange(tilts) + 0.5
        radius, phi = 1e-3 * convergence_mrad * np.sqrt(k / tilts), k * np.pi * (3 - np.sqrt(5))
        groups.append(radius[:, None] * np.stack([np.cos(phi), np.sin(phi)], axis=1))
    if bend_deg:
        axis = rng.uniform(0, 2 * np.pi)
        groups.append(np.deg2rad(bend_deg) * np.linspace(-0.5, 0.5, 7)[:, None] * [[np.cos(axis), np.sin(axis)]])
    # every combination: each group is an average of its own
    total = groups[0]
    for group in groups[1:]:
        total = (total[:, None] + group[None]).reshape(-1, 2)
    return total


def spots(
    factors: StructureFactorArray, quaternion: Array, thickness_nm: float, tilts: Array, *, voltage: float,
    g_max: float, s_max: float, absorption: float = 0.0,
) -> Spots:  # fmt: skip
    """hkl (n, 3), positions (n, 2) in the sample frame at no tilt, mean intensities (n,) as shares of the beam."""
    hkl_all = np.asarray(factors.hkl)
    total = np.zeros(len(hkl_all))
    crystal_to_sample = matrix(quaternion).T
    for about_x, about_y in tilts:
        turned = _small_turn(about_x, about_y) @ crystal_to_sample
        waves = BlochWaves(
            factors, voltage * 1e3, s_max, g_max=g_max, orientation_matrix=TO_ABTEM @ turned, centering="P"
        )
        total[waves.hkl_mask] += _intensities(waves, 10 * thickness_nm, absorption)
    total /= len(tilts)
    seen = total > 1e-9
    g = hkl_all[seen] @ np.asarray(factors.cell.reciprocal()) @ crystal_to_sample.T
    return hkl_all[seen].astype(np.int64), g[:, :2], total[seen]


def _intensities(waves: BlochWaves, depth: float, absorption: float) -> Array:
    if not absorption:
        return np.asarray(waves.calculate_diffraction_patterns([depth], lazy=False).array[0], dtype=float)
    # The imaginary potential makes abTEM's matrix non-Hermitian, and abTEM's eigensolver is for Hermitian ones.
    structure = np.asarray(waves.calculate_structure_matrix(lazy=False), dtype=complex)
    diagonal = np.diag(structure).copy()
    potential = structure - np.diag(diagonal)
    hkl, factors = np.asarray(waves.structure_factor.hkl), np.asarray(waves.structure_factor.array)
    mean = (
        factors[np.all(hkl == 0, axis=1)][0].real
        * energy2sigma(waves.energy)
        / (kappa * energy2wavelength(waves.energy) * np.pi)
    )
    lossy = structure + 1j * absorption * (potential + mean * np.eye(len(structure)))
    values, vectors = np.linalg.eig(lossy)
    start = np.all(waves.hkl == 0, axis=1).astype(complex)
    weights = np.linalg.solve(vectors, start)
    wavelength = energy2wavelength(waves.energy)
    amplitude = vectors @ (np.exp(1j * np.pi * wavelength * depth * values) * weights)
    # abTEM's matrix is that of the amplitudes over this factor (its `_metric`), which is 1 for the direct beam
    intensity = np.abs(amplitude) ** 2 / (1 + waves.g_vec[:, 2] * wavelength)
    return np.asarray(intensity / intensity.sum())


def _small_turn(about_x: float, about_y: float) -> Array:
    angle = float(np.hypot(about_x, about_y))
    if angle == 0:
        return np.eye(3)
    x, y = about_x / angle, about_y / angle
    cross = np.array([[0, 0, y], [0, 0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)
