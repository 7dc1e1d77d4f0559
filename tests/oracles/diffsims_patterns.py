"""Detector frames from diffsims' simulations of random orientations, with the faults of real data: noise, diffuse
background, a centre that is off, a scale that is off. Nothing here uses nbedex's own simulation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.phases import Phase

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Microscope:
    """How the patterns are taken.

    Attributes
    ----------
    voltage
        kV.
    size
        Detector rows and columns.
    pixel
        1/angstrom per pixel, as the indexer is told.
    excitation_error
        Of diffsims, 1/angstrom: where a reflection stops, and the width of its shape factor.
    counts
        Electrons in a frame.
    shift
        The direct beam is this many pixels off the middle, in a random direction.
    scale
        Distances on the detector are this many times what `pixel` says.
    spot_sigma
        Width of the Gaussian spots, pixels.
    spots, beam
        Their shares of the counts; the rest is diffuse background.
    """

    voltage: float = 300.0
    size: int = 256
    pixel: float = 0.0125
    excitation_error: float = 0.015
    counts: float = 2e4
    shift: float = 1.0
    scale: float = 1.005
    spot_sigma: float = 1.2
    spots: float = 0.4
    beam: float = 0.3


def random_orientations(n: int, seed: int) -> Array:
    """Unit quaternions (n, 4), uniform over all rotations."""
    q = np.random.default_rng(seed).normal(size=(n, 4))
    return np.asarray(q / np.linalg.norm(q, axis=1, keepdims=True))


def diffsims_spots(phase: Phase, orientations: Array, microscope: Microscope) -> list[tuple[Array, Array]]:
    """Per orientation: positions (n, 2), kx along columns and ky along rows in 1/angstrom, and intensities (n,).

    orix's orientations are ours: g_sample = O^-1 g_crystal. diffsims takes all reflections of |h| <= R / |a*| where
    R |a| would be needed, so it is asked for a larger radius R, and the list is cut back.
    """
    from diffsims.generators.simulation_generator import SimulationGenerator
    from orix.quaternion import Rotation

    k_max = (microscope.size / 2 + 8) * microscope.pixel
    reciprocal = phase.reciprocal_basis  # columns a*, b*, c*
    direct = np.linalg.inv(reciprocal).T
    larger = float((np.linalg.norm(direct, axis=0) * np.linalg.norm(reciprocal, axis=0)).max())
    simulation = SimulationGenerator(accelerating_voltage=microscope.voltage).calculate_diffraction2d(
        phase.to_orix(),
        rotation=Rotation(orientations),
        reciprocal_radius=1.02 * larger * k_max,
        with_direct_beam=False,
        max_excitation_error=microscope.excitation_error,
        debye_waller_factors=_debye_waller(phase),
    )
    coordinates = simulation.coordinates if len(orientations) > 1 else [simulation.coordinates]
    patterns = []
    for vectors in coordinates:
        g, intensity = np.asarray(vectors.data), np.asarray(vectors.intensity)
        keep = (np.linalg.norm(g, axis=1) <= k_max) & (intensity > 1e-6 * intensity.max())
        patterns.append((g[keep, :2], intensity[keep]))
    return patterns


def _debye_waller(phase: Phase) -> dict[str, float]:
    """B = 8 pi^2 U in square angstroms per element, all that diffsims knows; U averaged over the element's sites."""
    elements = np.array(phase.elements)
    return {e: float(8 * np.pi**2 * phase.u_iso[elements == e].mean()) for e in sorted(set(phase.elements))}


def frames(
    patterns: list[tuple[Array, Array]], microscope: Microscope, *, seed: int
) -> tuple[NDArray[np.uint16], Array]:
    """Frames (n, size, size) and the true direct beam (n, 2) as row and column."""
    rng = np.random.default_rng(seed)
    pixels = np.arange(microscope.size)
    images = np.empty((len(patterns), microscope.size, microscope.size), dtype=np.uint16)
    centers = np.empty((len(patterns), 2))
    for number, (k, intensity) in enumerate(patterns):
        angle = rng.uniform(0, 2 * np.pi)
        center = (microscope.size - 1) / 2 + microscope.shift * np.array([np.sin(angle), np.cos(angle)])
        at = center + k[:, ::-1] * microscope.scale / microscope.pixel
        y, x = (np.exp(-((pixels - at[:, axis, None]) ** 2) / (2 * microscope.spot_sigma**2)) for axis in (0, 1))
        spots = (y * intensity[:, None]).T @ x / (2 * np.pi * microscope.spot_sigma**2 * intensity.sum())
        r = np.hypot(pixels[:, None] - center[0], pixels[None, :] - center[1])
        beam, diffuse = np.exp(-(r**2) / (2 * 1.5**2)), np.exp(-r * microscope.pixel / 0.25)
        expected = (
            microscope.spots * spots
            + microscope.beam * beam / beam.sum()
            + (1 - microscope.spots - microscope.beam) * diffuse / diffuse.sum()
        )
        images[number] = rng.poisson(microscope.counts * expected)
        centers[number] = center
    return images, centers
