"""Coincidence site lattices of any lattice: which rotations bring one lattice site in Σ onto sites of the other.

With B the primitive basis, M = B^-1 R B; Σ is the least N for which N M and N M^-1 are integer matrices (Grimmer 1976,
Acta Cryst. A32, 783). M is rational when the metric G = B^T B is, and R turns about a lattice vector p by theta with
tan(theta / 2) = |B p| / (m sqrt(det G)), m and p integers without common factor. Then with D = det G, F = m^2 D + p.Gp

    M = [(m^2 D - p.Gp) 1 + 2 p (Gp)^T + 2 m adj(G) [p]x] / F,

so Σ is F over a common divisor of the numerators, and that divides 4 D: from the trace it divides 4 m^2 D, from the
symmetric part of the numerators times adj(G) 4 D p_i p_j, and m, p have no common factor. All coincidence rotations up
to a limit therefore have F <= 4 D limit: a finite list.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nbedex.boundaries.disorientation import reduced, sector_centre
from nbedex.boundaries.lattice import RationalLattice, rational_lattice
from nbedex.grains import MapPhase
from nbedex.maps.orientation import rotate, rotation_angle, to_matrix

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CUBIC = ("m-3", "m-3m")
_UNIAXIAL = ("4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm")
CUBIC_LIMIT, OTHER_LIMIT = 49, 29
_MOST_VECTORS = 8e6  # lattice vectors looked at; above, the limit is lowered
_ROWS = 200_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class CslTable:
    """All coincidence rotations of a phase that are no symmetry of it, up to a limit, sorted by Σ and angle.

    Attributes
    ----------
    sigma
        (n,) coincidence index. 1 is a rotation of the lattice that is none of the crystal (merohedry).
    quaternion
        (n, 4) disorientations, reduced.
    axis
        (n, 3) int, rotation axis as lattice direction [uvw] of the conventional cell.
    exact
        (n,) bool: holds for the phase's own cell; otherwise only for the strained one.
    strain
        Of the strained cell.
    description
        Its axial ratios.
    limit
        Up to which Σ the table is complete.
    """

    sigma: Ints
    quaternion: Floats
    axis: Ints
    exact: NDArray[np.bool_]
    strain: float
    description: str
    limit: int

    def __len__(self) -> int:
        return len(self.sigma)

    @property
    def angle_deg(self) -> Floats:
        """Disorientation angles (n,)."""
        return np.asarray(np.rad2deg(rotation_angle(self.quaternion)))


def csl_table(phase: MapPhase, *, limit: int | None = None, strain_tolerance: float = 0.01) -> CslTable:
    """Coincidence rotations of a phase.

    Parameters
    ----------
    phase
        Its symmetry, cell and centring. Without a cell the lattice is known only in cubic classes; in those with one
        main axis the table then has the rotations that hold for any axial ratio, and it is empty in others.
    limit
        Largest Σ; None for 49 in cubic classes and 29 in others. Lowered, with a message in the log, where the strained
        cell needs such large integers that a complete list would take too long.
    strain_tolerance
        Largest strain of the cell.
    """
    cell = None if phase.direct_basis is None else tuple(np.asarray(phase.direct_basis, np.float64).reshape(-1))
    if limit is None:
        limit = CUBIC_LIMIT if phase.laue_class in CUBIC else OTHER_LIMIT
    symmetry = np.ascontiguousarray(phase.symmetry, dtype=np.float64)
    return _table(cell, phase.centring, phase.laue_class, symmetry.tobytes(), limit, strain_tolerance)


@lru_cache(maxsize=64)
def _table(
    cell: tuple[float, ...] | None, centring: str, laue: str, symmetry: bytes, limit: int, tolerance: float
) -> CslTable:
    operators = np.frombuffer(symmetry, dtype=np.float64).reshape(-1, 4)
    if cell is not None:
        own = np.array(cell).reshape(3, 3)
    elif laue in CUBIC:
        own = np.eye(3)
    elif laue in _UNIAXIAL:
        # no axial ratio: one that is surely irrational tells apart what holds for all
        second = [0.0, 1.0, 0.0] if laue.startswith("4") else [-0.5, np.sqrt(0.75), 0.0]
        own = np.array([[1.0, 0.0, 0.0], second, [0.0, 0.0, np.sqrt(np.e / 2)]])
    else:
        return _empty(limit)
    lattice = rational_lattice(own, centring, tolerance=tolerance if cell is not None else 0.5)
    if lattice is None or limit < 1:
        return _empty(limit)
    affordable = int((_MOST_VECTORS / (33.5 * lattice.determinant)) ** (2 / 3))
    if affordable < limit:
        _log.warning("coincidence rotations are listed up to Σ%d, not Σ%d: the cell is too general", affordable, limit)
        limit = affordable
    sigma, vectors, quaternion = coincidence_rotations(lattice, operators, limit)
    exact = _holds(own, lattice, sigma, quaternion)
    table = _unique(lattice, operators, sigma, vectors, quaternion, exact, limit)
    return table if cell is not None or laue in CUBIC else _only(table, table.exact)


def coincidence_rotations(lattice: RationalLattice, symmetry: Floats, limit: int) -> tuple[Ints, Ints, Floats]:
    """Σ (n,), rotation axes (n, 3) in primitive vectors and quaternions (n, 4) of all coincidence rotations.

    Every class of equivalent rotations with Σ <= limit has at least one member in the list: those that satisfy the
    inequalities of the disorientation with a small margin.
    """
    determinant = lattice.determinant
    found: list[tuple[Ints, Ints, Floats]] = []
    for p in _vectors(lattice, sector_centre(symmetry), symmetry, 4 * determinant * limit):
        square = np.einsum("ij,jk,ik->i", p, lattice.metric, p)
        vector = p @ lattice.basis.T
        for m in range(int(2 * np.sqrt(limit)) + 1):
            form = m * m * determinant + square
            quaternion = np.column_stack([np.full(len(p), m * np.sqrt(determinant)), vector])
            inside = form <= 4 * determinant * limit
            inside &= _least_angle(quaternion, symmetry)
            inside &= np.gcd(np.gcd.reduce(p, axis=1), m) == 1
            rows = np.flatnonzero(inside)
            sigma = coincidence_index(lattice.metric, m, p[rows], form[rows])
            good = sigma <= limit
            unit = quaternion[rows[good]]
            found.append((sigma[good], p[rows[good]], unit / np.linalg.norm(unit, axis=1, keepdims=True)))
    return (
        np.concatenate([sigma for sigma, _, _ in found]),
        np.concatenate([vectors for _, vectors, _ in found]),
        np.concatenate([quaternion for _, _, quaternion in found]),
    )


def coincidence_index(metric: Ints, m: int, p: Ints, form: Ints) -> Ints:
    """Σ (n,) of the rotations with integers m and p (n, 3): the least common denominator of M and M^-1."""
    determinant = int(round(float(np.linalg.det(metric))))
    adjugate = np.rint(determinant * np.linalg.inv(metric)).astype(np.int64)
    gp = p @ metric
    square = np.einsum("ij,ij->i", p, gp)
    x, y, z = p.T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    turning = 2 * m * (adjugate @ cross)
    even = 2 * p[:, :, None] * gp[:, None, :] + (m * m * determinant - square)[:, None, None] * np.eye(
        3, dtype=np.int64
    )
    parts = []
    for numerators in (even + turning, even - turning):
        shared = np.gcd(np.gcd.reduce(numerators.reshape(-1, 9), axis=1), form)
        parts.append(form // shared)
    return np.asarray(np.lcm(parts[0], parts[1]))


def _vectors(lattice: RationalLattice, centre: Floats, symmetry: Floats, largest: int) -> list[Ints]:
    """Lattice vectors p with p.Gp <= largest, those in the standard sector, and 0; in pieces."""
    reach = np.sqrt(largest * np.diag(np.linalg.inv(lattice.metric)))
    limits = np.floor(reach + 1e-9).astype(np.int64)
    walls = [centre - rotate(q, centre) * sign for q in symmetry for sign in (1, -1)]
    walls = [wall for wall in walls if np.linalg.norm(wall) > 1e-9]
    normals = np.array(walls).reshape(-1, 3) @ lattice.basis
    grid = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in limits[1:]), indexing="ij"), axis=-1).reshape(-1, 2)
    pieces: list[Ints] = []
    for first in range(-int(limits[0]), int(limits[0]) + 1):
        p = np.column_stack([np.full(len(grid), first), grid])
        square = np.einsum("ij,jk,ik->i", p, lattice.metric, p)
        p, square = p[square <= largest], square[square <= largest]
        margin = 1e-6 * np.sqrt(square)[:, None]
        pieces.append(p[np.all(p @ normals.T >= -margin, axis=1)])
    whole = np.concatenate(pieces)
    return [whole[start : start + _ROWS] for start in range(0, len(whole), _ROWS)]


def _least_angle(quaternion: Floats, symmetry: Floats) -> NDArray[np.bool_]:
    """Whether no symmetric equivalent S q has a smaller angle."""
    others = np.abs(quaternion @ (symmetry * np.array([1.0, -1.0, -1.0, -1.0])).T)
    return np.asarray(np.all(others <= (quaternion[:, :1] * (1 + 1e-9) + 1e-6), axis=1))


def _holds(cell: Floats, lattice: RationalLattice, sigma: Ints, quaternion: Floats) -> NDArray[np.bool_]:
    """Whether a rotation has its Σ in the unstrained cell too (rows a, b, c)."""
    basis = cell.T @ lattice.primitive / 6
    m = np.linalg.inv(basis) @ to_matrix(quaternion) @ basis
    both = np.concatenate([m, np.linalg.inv(m)], axis=-1) * sigma[:, None, None]
    return np.asarray(np.all(np.abs(both - np.rint(both)) < 1e-6 * sigma[:, None, None], axis=(1, 2)))


def _unique(
    lattice: RationalLattice,
    symmetry: Floats,
    sigma: Ints,
    vectors: Ints,
    quaternion: Floats,
    exact: NDArray[np.bool_],
    limit: int,
) -> CslTable:
    """One row for each class of equivalent rotations, without the crystal's own symmetry."""
    standard = reduced(quaternion, symmetry)
    angle = rotation_angle(standard)
    uvw = vectors @ lattice.primitive.T
    uvw = uvw // np.maximum(np.gcd.reduce(uvw, axis=1), 1)[:, None]
    # of equal rotations the one that is its own representative comes first: its axis is the reduced one
    itself = np.linalg.norm(standard - np.where(quaternion[:, :1] < 0, -1, 1) * quaternion, axis=1) < 1e-6
    order = np.lexsort((*uvw.T, ~itself, *np.rint(standard.T * 1e6), np.rint(angle * 1e6), sigma))
    order = order[angle[order] > 1e-6]
    keys = np.column_stack([sigma[order], np.rint(standard[order] * 1e6)])
    new = np.ones(len(order), dtype=bool)
    new[1:] = np.any(np.abs(keys[1:] - keys[:-1]) > 1, axis=1)
    rows = order[new]
    return CslTable(
        sigma=sigma[rows],
        quaternion=standard[rows],
        axis=uvw[rows],
        exact=exact[rows],
        strain=lattice.strain,
        description=lattice.description,
        limit=limit,
    )


def _only(table: CslTable, rows: NDArray[np.bool_]) -> CslTable:
    return CslTable(
        sigma=table.sigma[rows],
        quaternion=table.quaternion[rows],
        axis=table.axis[rows],
        exact=table.exact[rows],
        strain=0.0,
        description="",
        limit=table.limit,
    )


def _empty(limit: int) -> CslTable:
    return CslTable(
        sigma=np.zeros(0, dtype=np.int64),
        quaternion=np.zeros((0, 4)),
        axis=np.zeros((0, 3), dtype=np.int64),
        exact=np.zeros(0, dtype=bool),
        strain=0.0,
        description="",
        limit=limit,
    )
