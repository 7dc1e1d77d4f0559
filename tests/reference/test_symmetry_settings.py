"""All 564 settings of gemmi's table: class, absences and content against gemmi's own."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from cif_builder import cell_for, cif, operations
from nbedex.phases.cif import parse_cif
from nbedex.phases.symmetry import operations_from_group

SETTINGS = list(gemmi.spacegroup_table())
RANGE = np.arange(-4, 5)
HKL = np.stack(np.meshgrid(RANGE, RANGE, RANGE, indexing="ij"), axis=-1).reshape(-1, 3)


def test_class_number_and_name_of_every_setting() -> None:
    for group in SETTINGS:
        structure = parse_cif(
            cif(cell=cell_for(group), symmetry=operations(group), sites=[("Na", 0.453, 0.134, 0.403)]), "x"
        )
        assert structure.operations.laue_class() == group.laue_str(), group.xhm()
        assert structure.number == group.number
        assert len(structure.atoms.elements) == len(group.operations()), group.xhm()
        assert structure.notes == ()


def test_absences_of_every_setting() -> None:
    for group in SETTINGS:
        ours = operations_from_group(group.operations(), "x").absent(HKL)
        theirs = group.operations().systematic_absences(HKL.astype(np.int32))
        np.testing.assert_array_equal(ours, theirs, err_msg=group.xhm())


def test_laue_rotations_keep_the_lattice_of_every_setting() -> None:
    """Cartesian orthogonality in a cell without accidental symmetry is what makes them rotations."""
    from nbedex.phases.cell import direct_basis

    for group in SETTINGS:
        rotations = operations_from_group(group.operations(), "x").laue_rotations()
        basis = direct_basis(cell_for(group))
        cartesian = basis @ rotations @ np.linalg.inv(basis)
        np.testing.assert_allclose(
            cartesian @ np.swapaxes(cartesian, 1, 2), np.broadcast_to(np.eye(3), cartesian.shape), atol=1e-9
        )
        np.testing.assert_allclose(np.linalg.det(cartesian), 1, atol=1e-9)


@pytest.mark.parametrize(
    ("setting", "site", "multiplicity"),
    [
        ("F m -3 m", (0, 0, 0), 4), ("F m -3 m", (0.25, 0.25, 0.25), 8), ("F m -3 m", (0.3, 0, 0), 24),
        ("R -3 m:H", (0, 0, 0.17), 6), ("R -3 m:H", (0.15, -0.15, 0.03), 18), ("I 4/m c m", (0.16, 0.66, 0), 8),
        ("P 63/m m c", (0.3333, 0.6667, 0.25), 2), ("F d -3 m:2", (0.125, 0.125, 0.125), 8),
        ("F d -3 m:2", (0.5, 0.5, 0.5), 16),
        ("I a -3 d", (0.125, 0, 0.25), 24), ("P 1 21/c 1", (0, 0, 0), 2),
    ],
)  # fmt: skip
def test_multiplicities_of_special_positions(setting: str, site: tuple[float, float, float], multiplicity: int) -> None:
    """International Tables A."""
    group = gemmi.SpaceGroup(setting)
    structure = parse_cif(cif(cell=cell_for(group), symmetry=operations(group), sites=[("Na", *site)]), "x")
    assert len(structure.atoms.elements) == multiplicity
