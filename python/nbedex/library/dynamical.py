"""Dynamical simulation by Bloch waves: what a pattern looks like behind tens of nanometres of crystal.

Costs about a thousand times what kinematical simulation does, and intensities change within a tenth of a degree: for
single orientations that are nearly known, not for libraries (docs/decisions/bloch-waves.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import ArrayLike, NDArray
from scipy import constants

from nbedex import _core
from nbedex.calibration import electron_wavelength
from nbedex.errors import ArgumentError
from nbedex.phases import Phase, reflections, structure_factors
from nbedex.settings import Settings

MAX_THICKNESS_NM = 10_000.0
_REAL = 1e-9  # imaginary part of a structure factor, relative to the largest, that is rounding


class DynamicalSettings(Settings, frozen=True, kw_only=True):
    """Which beams take part in dynamical simulation.

    Attributes
    ----------
    voltage
        Accelerating voltage, kV.
    k_max
        Largest scattering vector, 1/angstrom.
    max_excitation_error
        Beams farther from the Ewald sphere than this (1/angstrom) are left out.
    strong_excitation_error
        Beams farther from it than this are weak: they take part as perturbations (Bethe potentials), which costs
        much less. None: all are treated in full.
    scattering
        Atomic scattering factors: lobato or xtables.
    """

    voltage: Annotated[float, Meta(ge=10, le=3000)]
    k_max: Annotated[float, Meta(gt=0.1, le=10)] = 1.2
    max_excitation_error: Annotated[float, Meta(gt=0, le=0.5)] = 0.03
    strong_excitation_error: Annotated[float, Meta(gt=0, le=0.5)] | None = 0.01
    scattering: Literal["lobato", "xtables"] = "lobato"


@dataclass(frozen=True, eq=False)
class DynamicalPatterns:
    """Beams behind a crystal, at several orientations and thicknesses.

    Attributes
    ----------
    offset : (n + 1,) int64
        Beams of orientation t are [offset[t], offset[t + 1]); the first is the direct beam.
    kx, ky : (m,) float32
        Position in the sample frame, 1/angstrom.
    hkl : (m, 3) int32
        Miller indices.
    intensity : (m, thicknesses) float32
        Share of the incident beam.
    thickness_nm : (thicknesses,) float64
        As asked for.
    """

    offset: NDArray[np.int64]
    kx: NDArray[np.float32]
    ky: NDArray[np.float32]
    hkl: NDArray[np.int32]
    intensity: NDArray[np.float32]
    thickness_nm: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.offset) - 1

    def pattern(self, t: int) -> dict[str, NDArray[Any]]:
        """kx, ky, hkl and intensity (beams, thicknesses) of orientation t."""
        part = slice(self.offset[t], self.offset[t + 1])
        return {"kx": self.kx[part], "ky": self.ky[part], "hkl": self.hkl[part], "intensity": self.intensity[part]}


class DynamicalCrystal:
    """A phase made ready for dynamical simulation; make it once, it is the costly part.

    Parameters
    ----------
    phase
        The crystal.
    settings
        Voltage and choice of beams.

    Raises
    ------
    ArgumentError
        `k_max` is too small for this phase to have any reflection, or so large that there are millions.
    """

    def __init__(self, phase: Phase, settings: DynamicalSettings) -> None:
        self.phase = phase
        self.settings = settings
        hkl = reflections(phase, k_max=settings.k_max)
        # What the lattice's centring forbids is reached by no detour either; glide planes and screw axes forbid less.
        hkl = hkl[on_lattice(phase, hkl)]
        if not len(hkl):
            raise ArgumentError(f"k_max = {settings.k_max} 1/angstrom holds no reflection of {phase.name}")
        # Beams scatter into one another by differences of their vectors. The margin is for reflections on the rim.
        pairs = reflections(phase, k_max=2 * settings.k_max * (1 + 1e-8))
        q = couplings(phase, pairs, voltage=settings.voltage, scattering=settings.scattering)
        self._hkl = np.ascontiguousarray(np.concatenate([np.zeros((1, 3)), hkl]), dtype=np.int32)
        self._core = _core.BlochCrystal(
            coupling_hkl=np.ascontiguousarray(pairs, dtype=np.int32),
            coupling=q,
            hkl=self._hkl[1:],
            g=np.ascontiguousarray(hkl @ phase.reciprocal_basis.T),
        )

    @property
    def core(self) -> _core.BlochCrystal:
        """As the compiled core has it."""
        return self._core

    @property
    def is_real(self) -> bool:
        """Whether all couplings are real, as in crystals with a centre of symmetry; that is cheaper."""
        return self._core.is_real

    def patterns(self, orientations: ArrayLike, thickness_nm: ArrayLike, *, threads: int = 0) -> DynamicalPatterns:
        """Intensities of all excited beams, direct beam included.

        Parameters
        ----------
        orientations : (n, 4) float64
            Unit quaternions, sample to crystal.
        thickness_nm : (t,) float64
            Thicknesses along the beam, ascending, nm. Forty cost about twice what one does.
        threads
            Threads to use; 0: all this process may use. The result does not depend on it.

        Returns
        -------
        DynamicalPatterns
            In the order of `orientations`.

        Raises
        ------
        ArgumentError
            Shapes are wrong or thicknesses don't ascend from 0.
        """
        rotations = np.require(orientations, np.float64, ["C", "A"])
        depths = np.asarray(thickness_nm, dtype=np.float64)
        if rotations.ndim != 2 or rotations.shape[1] != 4:
            raise ArgumentError(f"orientations must have shape (n, 4), got {rotations.shape}")
        if not np.all(np.abs(np.linalg.norm(rotations, axis=1) - 1) < 1e-6):
            raise ArgumentError("orientations must be unit quaternions")
        if depths.ndim != 1 or not len(depths):
            raise ArgumentError(f"thickness_nm must be a list of at least one thickness, got shape {depths.shape}")
        if not (np.all(np.diff(depths) >= 0) and depths[0] >= 0 and depths[-1] <= MAX_THICKNESS_NM):
            raise ArgumentError(f"thickness_nm must ascend from 0 to at most {MAX_THICKNESS_NM:g} nm")
        strong = self.settings.strong_excitation_error
        options = _core.BlochOptions(
            wavelength=electron_wavelength(self.settings.voltage),
            max_excitation_error=self.settings.max_excitation_error,
            strong_excitation_error=np.inf if strong is None else strong,
            thickness=(10 * depths).tolist(),
        )
        beams = self._core.patterns(rotations, options, threads)
        return DynamicalPatterns(
            offset=beams["offset"],
            kx=beams["kx"],
            ky=beams["ky"],
            hkl=self._hkl[beams["reflection"] + 1],
            intensity=beams["intensity"],
            thickness_nm=depths,
        )


def couplings(phase: Phase, hkl: ArrayLike, *, voltage: float, scattering: str = "lobato") -> NDArray[np.complex128]:
    """How strongly beams that differ by g scatter into one another.

        q(g) = gamma lambda F(g) / (2 pi V),  |q| = 1 / (2 xi_g)

    with the relativistic factor gamma, the wavelength lambda, the volume V of the cell and the extinction
    distance xi_g (De Graef, Introduction to Conventional TEM, eqs. 2.90 and 5.18, small angles). In crystals with
    a centre of symmetry the origin is moved there, which makes all of them real and changes no intensity.

    Parameters
    ----------
    phase
        The crystal.
    hkl
        Miller indices (n, 3).
    voltage
        Accelerating voltage, kV.
    scattering
        ``"lobato"`` or ``"xtables"``.

    Returns
    -------
    ndarray
        Complex128 (n,), 1/angstrom.
    """
    indices = np.asarray(hkl)
    factors = structure_factors(phase, indices, scattering=scattering)
    center = inversion_center(phase)
    if center is not None:
        moved = factors * np.exp(-2j * np.pi * (indices @ center))
        if np.max(np.abs(moved.imag), initial=0.0) <= _REAL * np.max(np.abs(moved), initial=0.0):
            factors = moved.real.astype(np.complex128)
    gamma = 1 + constants.e * voltage * 1e3 / (constants.m_e * constants.c**2)
    return np.asarray(gamma * electron_wavelength(voltage) / (2 * np.pi * phase.volume) * factors)


def on_lattice(phase: Phase, hkl: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each of the Miller indices (n, 3) is a reciprocal lattice point of a centred cell, booleans (n,)."""
    operations = phase.space_group_operations
    centring = np.all(operations.rotations == np.eye(3, dtype=np.int64), axis=(1, 2))
    return np.asarray(np.all(hkl @ operations.translations[centring].T % 24 == 0, axis=1))


def inversion_center(phase: Phase) -> NDArray[np.float64] | None:
    """Fractional coordinates of a centre of symmetry, None where the space group has none."""
    operations = phase.space_group_operations
    inverts = np.all(operations.rotations == -np.eye(3, dtype=np.int64), axis=(1, 2))
    if not inverts.any():
        return None
    # x' = -x + w leaves w / 2 where it is; w counts in 1/24.
    return np.asarray(operations.translations[np.argmax(inverts)] / 48.0)
