"""From the listed atom sites to every atom of the unit cell, with checks that it can exist."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import DataFormatError
from nbedex.phases.cell import Cell, direct_basis, reciprocal_basis
from nbedex.phases.symmetry import Operations

MAX_ATOMS = 5_000
# Images of a site closer than this are one atom on a special position written with few digits (0.333).
_SPECIAL_DISTANCE = 0.05
# Atoms closer than this can't both be there: their occupancies share one site.
_SHARED_DISTANCE = 0.5
_OCCUPANCY_TOLERANCE = 0.05


@dataclass(frozen=True, eq=False)
class Sites:
    """Atom sites as a file lists them.

    Attributes
    ----------
    labels, elements
        Names for messages, and element symbols, n each.
    positions
        Fractional coordinates (n, 3).
    occupancies
        Chemical occupancies (n,) in (0, 1].
    u_iso
        Mean square displacements (n,), angstrom^2.
    """

    labels: tuple[str, ...]
    elements: tuple[str, ...]
    positions: NDArray[np.float64]
    occupancies: NDArray[np.float64]
    u_iso: NDArray[np.float64]


def expand(sites: Sites, operations: Operations, cell: Cell, where: str) -> Sites:
    """All atoms of the unit cell, in the order of the sites, coordinates in [0, 1).

    A site whose images under some operations coincide within 0.05 angstrom is moved onto that special
    position exactly, and each distinct image kept once.

    Raises
    ------
    DataFormatError
        If the cell would hold too many atoms, or atoms that overlap.
    """
    basis = direct_basis(cell)
    source: list[NDArray[np.int64]] = []
    images: list[NDArray[np.float64]] = []
    total = 0
    for index, position in enumerate(sites.positions):
        found = _orbit(position, operations, basis)
        total += len(found)
        if total > MAX_ATOMS:
            raise DataFormatError(
                f"{where}: more than {MAX_ATOMS} atoms in the unit cell; nbedex is made for smaller crystal structures"
            )
        source.append(np.full(len(found), index))
        images.append(found)
    origin = np.concatenate(source)
    positions = np.concatenate(images)
    expanded = Sites(
        tuple(sites.labels[i] for i in origin),
        tuple(sites.elements[i] for i in origin),
        positions,
        sites.occupancies[origin],
        sites.u_iso[origin],
    )
    _check_overlap(expanded, cell, where)
    return expanded


def _orbit(position: NDArray[np.float64], operations: Operations, basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distinct images (m, 3) of a position under the operations, in [0, 1)."""
    images = operations.rotations @ position + operations.translations / 24.0
    offsets = images - position
    offsets -= np.rint(offsets)
    distances = np.linalg.norm(offsets @ basis.T, axis=1)
    stabiliser = np.flatnonzero(distances < _SPECIAL_DISTANCE)
    if len(stabiliser) > 1:
        stabiliser = _generated(stabiliser, operations.products)
        snapped = position + offsets[stabiliser].mean(axis=0)
        # Operations g and g s with s in the stabiliser give the same atom: one per coset.
        representatives = np.unique(operations.products[:, stabiliser].min(axis=1))
        images = operations.rotations[representatives] @ snapped
        images += operations.translations[representatives] / 24.0
    return _wrap(images)


def _generated(members: NDArray[np.int64], products: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of the subgroup that `members` generate."""
    while True:
        larger = np.unique(products[np.ix_(members, members)])
        if len(larger) == len(members):
            return larger
        members = larger


def _wrap(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coordinates in [0, 1), rounding noise removed so that 1 - 1e-17 becomes 0 on every machine."""
    wrapped = np.round(positions - np.floor(positions), 14)
    wrapped[wrapped >= 1.0] = 0.0
    return np.asarray(wrapped + 0.0)


def _check_overlap(atoms: Sites, cell: Cell, where: str) -> None:
    """Raise where atoms within 0.5 angstrom of one another add up to more than one atom."""
    from scipy.spatial import cKDTree

    # Atoms near a face are repeated beyond the opposite one, so that a plain neighbour search sees them.
    margin = _SHARED_DISTANCE * np.linalg.norm(reciprocal_basis(cell), axis=0)
    padded, owner = atoms.positions, np.arange(len(atoms.positions))
    for axis in range(3):
        low, high = padded[:, axis] < margin[axis], padded[:, axis] > 1 - margin[axis]
        step = np.eye(3)[axis]
        padded = np.concatenate([padded, padded[low] + step, padded[high] - step])
        owner = np.concatenate([owner, owner[low], owner[high]])
    basis = direct_basis(cell)
    tree = cKDTree(padded @ basis.T)
    crowd = tree.query_ball_point(atoms.positions @ basis.T, _SHARED_DISTANCE, return_length=True)
    for index in np.flatnonzero(crowd > 1):
        near = owner[tree.query_ball_point(basis @ atoms.positions[index], _SHARED_DISTANCE)]
        occupancy = float(atoms.occupancies[near].sum())
        if occupancy > 1 + _OCCUPANCY_TOLERANCE:
            labels = ", ".join(sorted({atoms.labels[i][:20] for i in near})[:6])
            raise DataFormatError(
                f"{where}: {len(near)} atoms ({labels}) lie within {_SHARED_DISTANCE:g} angstrom with a"
                f" total occupancy of {occupancy:.3g}, at most 1 is possible;"
                " symmetry, coordinates or occupancies are wrong"
            )
