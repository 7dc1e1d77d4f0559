"""Dynamical intensities in plain NumPy, two ways: eigenvectors of the structure matrix, and multislice."""

from __future__ import annotations

import numpy as np
from scipy import constants

from nbedex.phases import Phase, structure_factors
from oracles.simulate_oracle import all_reflections, wavelength

Beams = dict[tuple[int, int, int], np.ndarray]


def relativistic_mass(kilovolt: float) -> float:
    """Mass over rest mass."""
    return float(1 + kilovolt * 1e3 * constants.e / (constants.m_e * constants.c**2))


def bloch_eigen(
    phase: Phase, orientation: np.ndarray, thickness: np.ndarray, *, kilovolt: float, k_max: float, error: float
) -> Beams:
    """Intensity by hkl at all thicknesses (angstrom), from eigenvectors; orientation: v_crystal = O v_sample."""
    radius = 1 / wavelength(kilovolt)
    hkl = np.concatenate([np.zeros((1, 3), dtype=int), all_reflections(phase, k_max)])
    g = hkl @ phase.reciprocal_basis.T @ orientation
    s = g[:, 2] - radius + np.sqrt(radius**2 - g[:, 0] ** 2 - g[:, 1] ** 2)
    keep = np.abs(s) <= error  # absent ones too: they couple to nothing
    hkl, s = hkl[keep], s[keep]
    differences = (hkl[:, None] - hkl[None]).reshape(-1, 3)
    unique, back = np.unique(differences, axis=0, return_inverse=True)
    factor = relativistic_mass(kilovolt) / (radius * 2 * np.pi * phase.volume)
    a = factor * structure_factors(phase, unique)[back.ravel()].reshape(len(hkl), len(hkl))
    a[np.diag_indices(len(hkl))] = s
    values, vectors = np.linalg.eigh(a)
    waves = np.exp(-2j * np.pi * np.outer(thickness, values)) * vectors[0].conj()
    return dict(zip(map(tuple, hkl.tolist()), (np.abs(waves @ vectors.T) ** 2).T, strict=True))


def multislice(phase: Phase, cells: int, *, kilovolt: float, k_max: float, slices: int, pixels: int) -> Beams:
    """Intensity by (h, k, l = 0) behind 1 … `cells` cells of an orthogonal crystal, electrons along -c.

    The crystal's three-dimensional potential is cut into slices and each projected; nothing here knows of
    excitation errors, or of any sign but that of time: the wave is exp(+2 pi i k.r).
    """
    a, b, c = phase.direct_basis.diagonal()
    assert np.allclose(phase.direct_basis, np.diag([a, b, c]))
    hkl = all_reflections(phase, 2 * k_max)
    # V(r) has the coefficients of sum f exp(-2 pi i g.r_j), the conjugates of structure_factors
    coefficients = np.conj(structure_factors(phase, hkl))
    sigma = wavelength(kilovolt) * relativistic_mass(kilovolt) / phase.volume  # phase per angstrom: sigma * sum F e^...
    frequencies = np.fft.fftfreq(pixels, 1 / pixels)
    fx, fy = np.meshgrid(frequencies / a, frequencies / b, indexing="ij")
    radius = 1 / wavelength(kilovolt)
    inside = np.hypot(fx, fy) <= 1.999 * k_max
    step = c / slices
    transmissions = []
    for i in reversed(range(slices)):  # from the top, large z, downwards
        low, high = i / slices, (i + 1) / slices
        projected = np.zeros((pixels, pixels), dtype=complex)
        for (h, k, el), value in zip(hkl.tolist(), coefficients, strict=True):
            along = (
                step
                if el == 0
                else c * (np.exp(2j * np.pi * el * high) - np.exp(2j * np.pi * el * low)) / (2j * np.pi * el)
            )
            projected[h, k] += value * along
        potential = np.fft.ifft2(projected) * pixels**2
        assert np.abs(potential.imag).max() < 1e-9 * np.abs(potential.real).max()
        transmissions.append(np.exp(1j * sigma * potential.real))
    half = np.exp(1j * np.pi * step * (np.sqrt(radius**2 - fx**2 - fy**2) - radius))
    wave = np.ones((pixels, pixels), dtype=complex)
    out = []
    for _ in range(cells):
        for transmission in transmissions:
            wave = np.fft.ifft2(np.fft.fft2(wave) * half)
            wave = np.fft.ifft2(np.fft.fft2(wave * transmission) * half * inside)
        out.append(np.abs(np.fft.fft2(wave) / pixels**2) ** 2)
    stack = np.array(out)
    n = int(k_max * max(a, b)) + 1
    return {
        (h, k, 0): stack[:, h, k] for h in range(-n, n + 1) for k in range(-n, n + 1) if np.hypot(h / a, k / b) <= k_max
    }
