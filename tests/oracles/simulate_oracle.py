"""Kinematical patterns in plain NumPy, one reflection at a time, from the equations in simulate.hpp."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nbedex.phases import Phase, allowed, structure_factors


def wavelength(kilovolt: float) -> float:
    """Relativistic de Broglie wavelength, angstrom: 12.2643 / sqrt(V + 0.97848e-6 V^2), V in volts."""
    v = kilovolt * 1e3
    return 12.264259661 / np.sqrt(v + 0.978475598e-6 * v * v)


def _sinc(s: float, width: float) -> float:
    x = 5 * s / width
    return abs(float(np.sinc(x)))  # numpy's sinc is sin(pi x) / (pi x)


SHAPES: dict[str, Callable[[float, float], float]] = {
    "binary": lambda s, w: 1.0,
    "linear": lambda s, w: max(0.0, 1 - abs(s) / w),
    "lorentzian": lambda s, w: 1 / (1 + (np.pi * s / w) ** 2),
    "sinc": _sinc,
    "sin2c": lambda s, w: _sinc(s, w) ** 2,
    "atanc": lambda s, w: 1.0 if s == 0 else float(np.arctan(5 * np.pi * s / w) / (5 * np.pi * s / w)),
}


def all_reflections(phase: Phase, k_max: float, half: int = 40) -> np.ndarray:
    """Every (h, k, l) but (0, 0, 0) of a large cube that lies within the sphere."""
    ends = [min(half, int(np.ceil(k_max * length)) + 2) for length in np.linalg.norm(phase.direct_basis, axis=0)]
    axes = [np.arange(-end, end + 1) for end in ends]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    g = np.linalg.norm(hkl @ phase.reciprocal_basis.T, axis=1)
    return hkl[(g > 0) & (g <= k_max * (1 + 1e-9))]


def simulate_one(
    phase: Phase,
    orientation: np.ndarray,
    *,
    kilovolt: float,
    k_max: float,
    max_excitation_error: float,
    shape: str,
    width: float | None = None,
    precession_deg: float = 0.0,
    minimum_intensity: float = 0.0,
    double_diffraction: float = 0.0,
    scattering: str = "lobato",
) -> dict[tuple[int, int, int], tuple[float, float, float]]:
    """(kx, ky, intensity) by hkl, for one orientation matrix (v_crystal = O v_sample)."""
    width = max_excitation_error if width is None else width
    radius = 1 / wavelength(kilovolt)
    tilt = np.deg2rad(precession_deg)
    hkl = all_reflections(phase, k_max)
    strength = np.abs(structure_factors(phase, hkl, scattering=scattering)) ** 2
    present = strength > 1e-10 * strength.max()
    forbidden = ~allowed(phase, hkl)
    spots: dict[tuple[int, int, int], list[float]] = {}
    for index, f2, there, absent in zip(hkl.tolist(), strength, present, forbidden, strict=True):
        if not there and not (double_diffraction > 0 and absent):
            continue
        x, y, z = orientation.T @ (phase.reciprocal_basis @ index)
        r = np.hypot(x, y)
        s = radius - np.sqrt(radius**2 - r**2) - z
        if tilt == 0:
            if not abs(s) < max_excitation_error:
                continue
            factor = SHAPES[shape](s, width)
        else:
            # the sphere's centre circles at (R sin, R cos): highest and lowest surface over r during one turn
            surfaces = [
                radius * np.cos(tilt) - np.sqrt(radius**2 - (r + d * radius * np.sin(tilt)) ** 2) for d in (1, -1)
            ]
            if not surfaces[1] - max_excitation_error <= z <= surfaces[0] + max_excitation_error:
                continue
            turn = np.linspace(0, 2 * np.pi, 4096, endpoint=False)
            factor = float(np.mean([SHAPES[shape](s + r * tilt * np.cos(t), width) for t in turn]))
        spots[tuple(index)] = [x, y, f2 * factor if there else 0.0, factor]  # type: ignore[index]
    if double_diffraction > 0:
        strongest = max(v[2] for v in spots.values())
        direct = {key: v[2] for key, v in spots.items()}
        for key, v in spots.items():
            if direct[key] > 0:
                continue
            pairs = 0.0
            for first, i1 in direct.items():
                second = (key[0] - first[0], key[1] - first[1], key[2] - first[2])
                pairs += i1 * direct.get(second, 0.0)
            v[2] = double_diffraction * v[3] * pairs / strongest
    top = max((v[2] for v in spots.values()), default=0.0)
    return {k: (v[0], v[1], v[2]) for k, v in spots.items() if v[2] > top * minimum_intensity}
