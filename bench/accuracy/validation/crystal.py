"""From a CIF to abTEM's structure factors. Nothing here is nbedex's: gemmi fills the cell, abTEM does the rest.

Crystal frame: e1 along a, e3 along c*.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from abtem.bloch import StructureFactor
from abtem.bloch.dynamical import StructureFactorArray
from ase import Atoms
from numpy.typing import NDArray

DEFAULT_U = 0.0063  # angstrom^2, B = 0.5


@dataclass(frozen=True, eq=False)
class UnitCell:
    """All atoms of the cell.

    Attributes
    ----------
    basis : (3, 3) float64
        Rows a, b, c in the crystal frame, angstrom.
    numbers : (n,) int
        Atomic numbers.
    fractional : (n, 3) float64
    occupancy, u_iso : (n,) float64
        U in angstrom^2.
    centring : (m, 3) float64
        Lattice translations inside the cell, fractional; the zero vector among them.
    """

    basis: NDArray[np.float64]
    numbers: NDArray[np.int64]
    fractional: NDArray[np.float64]
    occupancy: NDArray[np.float64]
    u_iso: NDArray[np.float64]
    centring: NDArray[np.float64]


def read_cell(path: Path) -> UnitCell:
    small = gemmi.read_small_structure(str(path))
    sites = small.get_all_unit_cell_sites()
    group = small.spacegroup
    if group is None:
        raise SystemExit(f"{path}: gemmi knows no space group for it")
    return UnitCell(
        basis=_basis(small.cell),
        numbers=np.array([site.element.atomic_number for site in sites]),
        fractional=np.array([site.fract.tolist() for site in sites]) % 1.0,
        occupancy=np.array([site.occ for site in sites]),
        u_iso=np.array([site.u_iso if site.u_iso > 0 else DEFAULT_U for site in sites]),
        centring=np.array(list(group.operations().cen_ops), dtype=float) / gemmi.Op.DEN,
    )


def _basis(cell: Any) -> NDArray[np.float64]:
    """Rows a, b, c: a along x, b in the plane of x and y. Then c* is along z."""
    alpha, beta, gamma = np.deg2rad([cell.alpha, cell.beta, cell.gamma])
    cx, cy = np.cos(beta), (np.cos(alpha) - np.cos(beta) * np.cos(gamma)) / np.sin(gamma)
    return np.array(
        [
            [cell.a, 0.0, 0.0],
            [cell.b * np.cos(gamma), cell.b * np.sin(gamma), 0.0],
            [cell.c * cx, cell.c * cy, cell.c * np.sqrt(1.0 - cx**2 - cy**2)],
        ]
    )


def scattering(cell: UnitCell, *, g_max: float) -> StructureFactorArray:
    """Structure factors for beams up to `g_max`, so all differences up to twice that.

    Only reflections of the lattice: abTEM knows no R centring, and absent beams would make the matrices larger.
    """
    atoms = Atoms(cell.numbers, scaled_positions=cell.fractional, cell=cell.basis, pbc=True)
    full = StructureFactor(
        atoms, g_max=2 * g_max, parametrization="lobato", thermal_sigma=np.sqrt(cell.u_iso), occupancy=cell.occupancy,
        centering="P",
    )  # fmt: skip
    built = full.build(lazy=False)
    turns = built.hkl @ cell.centring.T
    present = np.all(np.abs(turns - np.rint(turns)) < 1e-6, axis=1)
    return StructureFactorArray(built.array[present], built.hkl[present], atoms.cell, 2 * g_max)


def changed(cell: UnitCell, rng: np.random.Generator, *, cell_error: float, occupancy_error: float) -> UnitCell:
    """The same structure as another specimen may have it; see `Crystal`."""
    if not cell_error and not occupancy_error:
        return cell
    lengths = 1 + rng.uniform(-cell_error, cell_error, 3)
    factor = dict.fromkeys(np.unique(cell.numbers).tolist(), 1.0)
    factor = {number: 1 + rng.uniform(-occupancy_error, occupancy_error) for number in factor}
    occupancy = np.minimum(1.0, cell.occupancy * np.array([factor[int(number)] for number in cell.numbers]))
    return UnitCell(cell.basis * lengths[:, None], cell.numbers, cell.fractional, occupancy, cell.u_iso, cell.centring)
