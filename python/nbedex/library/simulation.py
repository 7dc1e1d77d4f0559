"""Kinematical simulation of the templates of one phase.

The formulas are diffsims', which stays the reference that tests hold this against; the loop over orientations is in
the C++ core, and the reflection list is complete (diffsims 0.7 cuts it short in oblique cells).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from nbedex import _core
from nbedex.calibration import electron_wavelength
from nbedex.errors import ArgumentError
from nbedex.library.grid import zone_axis_grid, zone_axis_orientations
from nbedex.phases import Phase, allowed, reflections, structure_factors
from nbedex.settings import Settings

ABSENT = 1e-10  # |F|^2 relative to the strongest below which a reflection counts as absent


class SimulationSettings(Settings, frozen=True, kw_only=True):
    """How templates are simulated.

    Attributes
    ----------
    voltage
        Accelerating voltage, kV.
    k_max
        Largest scattering vector, 1/angstrom.
    step_deg
        Angular step of the zone-axis grid: no beam direction is farther than half of it from a template.
    max_excitation_error
        Reflections farther from the Ewald sphere than this (1/angstrom) give no spot.
    shape
        Intensity against excitation error: binary, linear, lorentzian, sinc, sin2c or atanc, as in diffsims.
    thickness_nm
        Thickness of the crystal; sets the width of the shape factor to its inverse. Without it that width is
        `max_excitation_error`.
    precession_deg
        Precession angle of the beam, degrees.
    minimum_intensity
        Spots weaker than this share of a pattern's strongest are left out.
    scattering
        Atomic scattering factors: lobato or xtables.
    double_diffraction
        Share of the strongest pair's product that reflections absent by a glide plane or screw axis get by
        double diffraction; 0: none.
    """

    voltage: Annotated[float, Meta(ge=10, le=3000)]
    k_max: Annotated[float, Meta(gt=0.1, le=10)] = 1.5
    step_deg: Annotated[float, Meta(ge=0.05, le=20)] = 2.5
    max_excitation_error: Annotated[float, Meta(gt=0, le=0.5)] = 0.02
    shape: Literal["binary", "linear", "lorentzian", "sinc", "sin2c", "atanc"] = "lorentzian"
    thickness_nm: Annotated[float, Meta(gt=0, le=10000)] | None = None
    precession_deg: Annotated[float, Meta(ge=0, le=5)] = 0.0
    minimum_intensity: Annotated[float, Meta(ge=0, lt=1)] = 1e-4
    scattering: Literal["lobato", "xtables"] = "lobato"
    double_diffraction: Annotated[float, Meta(ge=0, le=1)] = 0.0

    @property
    def shape_width(self) -> float:
        """Half-width of the shape factor, 1/angstrom."""
        if self.thickness_nm is None:
            return self.max_excitation_error
        return 1.0 / (10.0 * self.thickness_nm)


@dataclass(frozen=True, eq=False)
class Spots:
    """Simulated patterns of one phase.

    Attributes
    ----------
    orientation : (n, 4) float64
        Quaternions, sample to crystal.
    offset : (n + 1,) int64
        Spots of pattern t are [offset[t], offset[t + 1]).
    kx, ky : (m,) float32
        Position in the sample frame, 1/angstrom.
    intensity : (m,) float32
        Kinematical intensity, arbitrary units common to all patterns.
    reflection : (m,) int32
        Row of `hkl` that each spot is.
    hkl : (r, 3) int32
        Miller indices.
    """

    orientation: NDArray[np.float64]
    offset: NDArray[np.int64]
    kx: NDArray[np.float32]
    ky: NDArray[np.float32]
    intensity: NDArray[np.float32]
    reflection: NDArray[np.int32]
    hkl: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.orientation)

    def pattern(self, t: int) -> dict[str, NDArray[Any]]:
        """kx, ky, intensity and hkl of pattern t."""
        part = slice(self.offset[t], self.offset[t + 1])
        return {
            "kx": self.kx[part],
            "ky": self.ky[part],
            "intensity": self.intensity[part],
            "hkl": self.hkl[self.reflection[part]],
        }


@lru_cache(maxsize=32)  # every engine, simulation and library of a run asks for the same few
def kinematical_intensities(
    phase: Phase, settings: SimulationSettings
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
    """All reflections up to k_max that a pattern can show; the arrays are read-only.

    Returns
    -------
    hkl : (n, 3) int32
    g : (n, 3) float64
        Crystal frame, 1/angstrom.
    intensity : (n,) float64
        |F|^2; 0 for those that only double diffraction excites, which are there if the settings ask for it.

    Raises
    ------
    ArgumentError
        `k_max` is too small for this phase to have any reflection.
    """
    hkl = reflections(phase, k_max=settings.k_max)
    g = hkl @ phase.reciprocal_basis.T
    intensity = np.abs(structure_factors(phase, hkl, scattering=settings.scattering)) ** 2
    if not len(hkl) or not intensity.max() > 0:
        raise ArgumentError(f"k_max = {settings.k_max} 1/angstrom holds no reflection of {phase.name}")
    keep = intensity > ABSENT * intensity.max()
    if settings.double_diffraction > 0:
        # Kept at zero intensity: what only a glide plane or screw axis forbids can be reached by two reflections.
        intensity = np.where(keep, intensity, 0.0)
        keep |= ~allowed(phase, hkl)
    found = np.ascontiguousarray(hkl[keep], dtype=np.int32), g[keep], intensity[keep]
    for array in found:
        array.setflags(write=False)
    return found


def simulate(
    phase: Phase, orientations: NDArray[np.float64], settings: SimulationSettings, *, threads: int = 0
) -> Spots:
    """Kinematical spot patterns of `phase` at given orientations.

    Parameters
    ----------
    phase
        The crystal.
    orientations : (n, 4) float64
        Unit quaternions, sample to crystal.
    settings
        How to simulate.
    threads
        Threads to use; 0: all this process may use. The result does not depend on it.

    Returns
    -------
    Spots
        Patterns in the order of `orientations`, without the direct beam.

    Raises
    ------
    ArgumentError
        `k_max` is too small for this phase to have any reflection.
    """
    hkl, g, intensity = kinematical_intensities(phase, settings)
    spots = _core.simulate_patterns(
        g,
        intensity,
        hkl,
        np.require(orientations, np.float64, ["C", "A"]),
        _core.SimulationOptions(
            wavelength=electron_wavelength(settings.voltage),
            max_excitation_error=settings.max_excitation_error,
            shape_width=settings.shape_width,
            shape=settings.shape,
            precession_angle=float(np.deg2rad(settings.precession_deg)),
            minimum_intensity=settings.minimum_intensity,
            double_diffraction=settings.double_diffraction,
        ),
        threads,
    )
    return Spots(
        orientation=np.ascontiguousarray(orientations, dtype=np.float64),
        hkl=hkl,
        **spots,
    )


def simulate_templates(phase: Phase, settings: SimulationSettings, *, threads: int = 0) -> Spots:
    """Patterns at all zone axes of the phase's fundamental sector, see `zone_axis_grid`."""
    directions = zone_axis_grid(phase.laue_operators, step_deg=settings.step_deg)
    return simulate(phase, zone_axis_orientations(directions), settings, threads=threads)
