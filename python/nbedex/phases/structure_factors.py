"""Reflections within a sphere, their kinematical structure factors, and systematic absences."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbedex.errors import ArgumentError
from nbedex.phases.phase import Phase

SCATTERING = ("lobato", "xtables")
MAX_REFLECTIONS = 5_000_000
# A reflection on the sphere within rounding belongs to it, or its symmetry equivalents would be torn apart.
_RIM = 1e-9
_CHUNK_ELEMENTS = 1 << 21  # complex numbers per block, 32 MiB


def reflections(phase: Phase, *, k_max: float) -> NDArray[np.int64]:
    """Every reciprocal lattice point with 0 < abs(g) <= k_max (to 1e-9 relative), absent ones included.

    For each h and k the range of l follows from a quadratic equation, so the list is complete in oblique
    cells too, where index limits taken from abs(a*) lose reflections.

    Parameters
    ----------
    phase
        The crystal.
    k_max
        Radius of the sphere, 1/angstrom.

    Returns
    -------
    ndarray
        Miller indices (n, 3), int64, in lexicographic order.

    Raises
    ------
    ArgumentError
        If `k_max` isn't positive and finite, or would mean more than five million reflections.
    """
    if not (np.isfinite(k_max) and k_max > 0):
        raise ArgumentError(f"k_max must be positive (1/angstrom), got {k_max!r}")
    if 4.0 / 3.0 * np.pi * k_max**3 * phase.volume > MAX_REFLECTIONS:
        raise ArgumentError(
            f"k_max = {k_max:g} per angstrom means more than {MAX_REFLECTIONS} reflections of {phase.name};"
            " lower it (usual values are 1 to 2)"
        )
    radius = k_max * (1 + _RIM)
    basis = phase.reciprocal_basis
    # |h| = |g . a| <= |g| |a|, with equality possible: the limit is k_max |a|, not k_max / |a*|.
    h_max, k_index_max, _ = np.floor(radius * np.linalg.norm(phase.direct_basis, axis=0)).astype(np.int64)
    h = np.repeat(np.arange(-h_max, h_max + 1), 2 * k_index_max + 1)
    k = np.tile(np.arange(-k_index_max, k_index_max + 1), 2 * h_max + 1)
    # |p + l c*|^2 <= radius^2 with p = h a* + k b*
    p = np.outer(h, basis[:, 0]) + np.outer(k, basis[:, 1])
    c_star = basis[:, 2]
    along = p @ c_star / (c_star @ c_star)
    room = along**2 - (np.einsum("ij,ij->i", p, p) - radius**2) / (c_star @ c_star)
    hit = room >= 0
    h, k, along, reach = h[hit], k[hit], along[hit], np.sqrt(room[hit])
    # One more on either side: rounding is settled by the exact test below.
    first = np.floor(-along - reach).astype(np.int64)
    counts = np.ceil(-along + reach).astype(np.int64) - first + 1
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    hkl = np.stack([np.repeat(h, counts), np.repeat(k, counts), np.repeat(first, counts) + offsets], axis=1)
    keep = np.linalg.norm(hkl @ basis.T, axis=1) <= radius
    keep &= np.any(hkl != 0, axis=1)
    return np.asarray(hkl[keep], dtype=np.int64)


def allowed(phase: Phase, hkl: ArrayLike) -> NDArray[np.bool_]:
    """Whether each reflection is free of systematic absence, from the space group's own operations.

    Absences of atoms on special positions are not among them.

    Parameters
    ----------
    phase
        The crystal.
    hkl
        Miller indices (n, 3).

    Returns
    -------
    ndarray
        Booleans (n,).
    """
    return ~phase.space_group_operations.absent(_indices(hkl))


def structure_factors(phase: Phase, hkl: ArrayLike, *, scattering: str = "lobato") -> NDArray[np.complex128]:
    """Kinematical structure factors for electrons.

        F(g) = sum_j o_j f_j(|g|) exp(-2 pi^2 U_j |g|^2) exp(2 pi i g . r_j)

    over all atoms of the unit cell, with occupancies o. The Debye-Waller factor is exp(-B s^2) with
    B = 8 pi^2 U and s = |g|/2 [International Tables C, 6.1.1]. Scattering factors are those of neutral
    atoms for electrons at rest, without the relativistic factor, from diffsims' tables.

    Parameters
    ----------
    phase
        The crystal.
    hkl
        Miller indices (n, 3).
    scattering
        ``"lobato"`` (Lobato & Van Dyck 2014) or ``"xtables"`` (International Tables C, table 4.3.2.3).

    Returns
    -------
    ndarray
        Complex128 (n,), angstrom.

    Raises
    ------
    ArgumentError
        If `hkl` has another shape, the table isn't known or lacks an element of the phase.
    """
    indices = _indices(hkl)
    result = np.empty(len(indices), dtype=np.complex128)
    species, which = _species(phase)
    coefficients = np.array([_coefficients(element, scattering, phase.name) for element, _ in species])
    u_iso = np.array([u for _, u in species])
    step = max(1, _CHUNK_ELEMENTS // len(phase.elements))
    for start in range(0, len(indices), step):
        block = indices[start : start + step]
        g_squared = np.sum((block @ phase.reciprocal_basis.T) ** 2, axis=1)[:, None]
        factors = _scattering_factors(g_squared, coefficients, scattering)
        factors *= np.exp(-2 * np.pi**2 * g_squared * u_iso)
        waves = np.exp(2j * np.pi * (block @ phase.positions.T))
        waves *= phase.occupancies
        # Atoms of one species share f: sum their waves first.
        by_species = np.add.reduceat(waves[:, np.argsort(which, kind="stable")], _starts(which), axis=1)
        result[start : start + step] = np.sum(factors * by_species, axis=1)
    return result


def _species(phase: Phase) -> tuple[list[tuple[str, float]], NDArray[np.int64]]:
    """Distinct (element, U_iso) pairs, and for each atom which of them it is."""
    pairs = list(zip(phase.elements, phase.u_iso.tolist(), strict=True))
    species = sorted(set(pairs))
    position = {pair: i for i, pair in enumerate(species)}
    return species, np.array([position[pair] for pair in pairs], dtype=np.int64)


def _starts(which: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each species begins once the atoms are sorted by species."""
    counts = np.bincount(which)
    return np.asarray(np.cumsum(counts) - counts, dtype=np.int64)


def _scattering_factors(
    g_squared: NDArray[np.float64], coefficients: NDArray[np.float64], scattering: str
) -> NDArray[np.float64]:
    """Scattering factors (n, species) in angstrom from abs(g)^2 (n, 1) and coefficients (species, 5, 2)."""
    a, b = coefficients[..., 0], coefficients[..., 1]
    result = np.zeros((len(g_squared), len(coefficients)))
    for term in range(coefficients.shape[1]):
        x = g_squared * b[:, term]
        if scattering == "lobato":
            result += a[:, term] * (2 + x) / (1 + x) ** 2
        else:
            # b belongs to s^2 = g^2 / 4 here.
            result += a[:, term] * np.exp(-0.25 * x)
    return result


@lru_cache(maxsize=256)
def _coefficients(element: str, scattering: str, name: str) -> tuple[tuple[float, float], ...]:
    """Five pairs (a, b) of an element from diffsims' table."""
    if scattering not in SCATTERING:
        raise ArgumentError(f"scattering must be one of {', '.join(SCATTERING)}, got {scattering!r}")
    from diffsims.utils.sim_utils import get_scattering_params_dict

    table = get_scattering_params_dict(scattering)
    if element not in table:
        raise ArgumentError(f"the scattering table {scattering!r} has no element {element!r} of phase {name}")
    return tuple((float(a), float(b)) for a, b in table[element])


def _indices(hkl: ArrayLike) -> NDArray[np.int64]:
    """`hkl` as int64 (n, 3), or ArgumentError."""
    array = np.asarray(hkl)
    if array.ndim != 2 or array.shape[1] != 3:
        raise ArgumentError(f"hkl must have shape (n, 3), got {array.shape}")
    if not np.issubdtype(array.dtype, np.integer) and not np.array_equal(array, np.rint(array)):
        raise ArgumentError("hkl must be whole numbers")
    return np.asarray(array, dtype=np.int64)
