"""Laue operators in every class and setting, against groups built without our code."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
import pytest

from cif_builder import cell_for, cif, operations
from nbedex.phases import Phase, load_phase
from nbedex.phases.symmetry import LAUE_CLASSES


def phase_of(setting: str, folder: Path, cell: tuple[float, ...] | None = None) -> Phase:
    group = gemmi.SpaceGroup(setting)
    path = folder / "x.cif"
    path.write_text(cif(cell=cell or cell_for(group), symmetry=operations(group)))
    return load_phase(path)


def same_set(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two sets of matrices (m, 3, 3) hold the same members."""
    distance = np.abs(one[:, None] - other[None]).max(axis=(2, 3))
    return len(one) == len(other) and bool((distance.min(axis=1) < 1e-9).all() and (distance.min(axis=0) < 1e-9).all())


def turn(axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    """Rotation matrix about an axis (Rodrigues)."""
    u = np.array(axis) / np.linalg.norm(axis)
    k = np.array([[0, -u[2], u[1]], [u[2], 0, -u[0]], [-u[1], u[0], 0]])
    angle = np.deg2rad(degrees)
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def generated(*generators: np.ndarray) -> np.ndarray:
    """The finite group that rotation matrices generate."""
    members = [np.eye(3)]
    while True:
        found = list(members)
        for g in generators:
            for m in members:
                if not any(np.abs(g @ m - f).max() < 1e-9 for f in found):
                    found.append(g @ m)
        if len(found) == len(members):
            return np.array(members)
        members = found


Z4, Z6, Z3, Z2 = (turn((0, 0, 1), angle) for angle in (90, 60, 120, 180))
X2, Y2, XYZ3 = turn((1, 0, 0), 180), turn((0, 1, 0), 180), turn((1, 1, 1), 120)

# Laue class: (centrosymmetric setting, one without inversion, proper rotations in the frame e1 || a, e3 || c*)
STANDARD = {
    "-1": ("P -1", "P 1", generated(np.eye(3))),
    "2/m": ("P 1 2/m 1", "P 1 m 1", generated(Y2)),
    "mmm": ("P m m m", "P m m 2", generated(Z2, X2)),
    "4/m": ("P 4/m", "P -4", generated(Z4)),
    "4/mmm": ("P 4/m m m", "P -4 2 m", generated(Z4, X2)),
    "-3": ("P -3", "P 3", generated(Z3)),
    "-3m": ("P -3 m 1", "P 3 2 1", generated(Z3, X2)),
    "6/m": ("P 6/m", "P -6", generated(Z6)),
    "6/mmm": ("P 6/m m m", "P -6 2 m", generated(Z6, X2)),
    "m-3": ("P m -3", "P 2 3", generated(Z2, X2, XYZ3)),
    "m-3m": ("P m -3 m", "P -4 3 m", generated(Z4, X2, XYZ3)),
}


@pytest.mark.parametrize("laue", LAUE_CLASSES)
@pytest.mark.parametrize("which", [0, 1])
def test_the_proper_rotations_of_each_laue_class(laue: str, which: int, tmp_path: Path) -> None:
    phase = phase_of(STANDARD[laue][which], tmp_path)
    expected = STANDARD[laue][2]
    assert phase.laue_class == laue
    assert same_set(phase.symmetry_rotations, expected)
    np.testing.assert_array_equal(phase.symmetry_rotations[0], np.eye(3))
    np.testing.assert_allclose(np.linalg.det(phase.symmetry_rotations), 1, atol=1e-12)
    assert same_set(phase.laue_operators, np.concatenate([expected, -expected]))
    assert phase.laue_operators.shape == (2 * len(expected), 3, 3)


@pytest.mark.parametrize("laue", [c for c in LAUE_CLASSES if c != "2/m"])
def test_orix_agrees_where_it_is_right(laue: str, tmp_path: Path) -> None:
    from orix.quaternion import symmetry

    group = next(g for g in symmetry._groups if g.name == laue).laue_proper_subgroup
    assert same_set(phase_of(STANDARD[laue][0], tmp_path).symmetry_rotations, np.asarray(group.to_matrix()))


@pytest.mark.parametrize(
    ("setting", "axis"),
    [
        ("P 1 2/m 1", "b"), ("C 1 2/c 1", "b"), ("I 1 2/a 1", "b"), ("P 1 21/n 1", "b"), ("P 1 c 1", "b"),
        ("P 1 1 2/m", "c"), ("B 1 1 2/b", "c"), ("P 1 1 b", "c"), ("P 2/m 1 1", "a"), ("P 21/b 1 1", "a"),
    ],
)  # fmt: skip
def test_the_monoclinic_axis_is_where_the_setting_has_it(setting: str, axis: str, tmp_path: Path) -> None:
    """The direct axis stays, the plane across it is kept; the frame is e1 || a, e3 || c*."""
    phase = phase_of(setting, tmp_path)
    direction = phase.direct_basis[:, "abc".index(axis)]
    direction = direction / np.linalg.norm(direction)
    assert phase.laue_class == "2/m"
    assert same_set(phase.symmetry_rotations, np.array([np.eye(3), 2 * np.outer(direction, direction) - np.eye(3)]))
    # Where that is in Cartesian terms, written out.
    expected = {"a": [1, 0, 0], "b": [0, 1, 0], "c": [0, 0, 1]}[axis]
    np.testing.assert_allclose(direction, expected, atol=1e-12)


def test_the_two_orientations_of_minus_3m(tmp_path: Path) -> None:
    """P -3 m 1 has its two-fold axes along a, P -3 1 m along a* (30 degrees away); R groups are of the first kind."""
    along_a, along_a_star = generated(Z3, X2), generated(Z3, turn((np.sqrt(3) / 2, 0.5, 0), 180))
    assert not same_set(along_a, along_a_star)
    for setting in ("P -3 m 1", "P 3 m 1", "P 3 2 1", "R -3 m:H", "R -3 c:H", "R 3 2:H"):
        assert same_set(phase_of(setting, tmp_path).symmetry_rotations, along_a), setting
    for setting in ("P -3 1 m", "P 3 1 m", "P 3 1 2", "P -3 1 c"):
        assert same_set(phase_of(setting, tmp_path).symmetry_rotations, along_a_star), setting


@pytest.mark.parametrize("kind", ["R -3 m", "R -3", "R 3 2", "R 3 m", "R -3 c"])
def test_rhombohedral_axes_give_the_same_group_in_their_own_frame(kind: str, tmp_path: Path) -> None:
    """The same lattice in obverse hexagonal and in rhombohedral axes: frames differ by a known rotation."""
    a_h, c_h = 10.0, 24.0
    hexagonal = phase_of(f"{kind}:H", tmp_path, (a_h, a_h, c_h, 90, 90, 120))
    edge = np.sqrt(a_h**2 / 3 + c_h**2 / 9)
    alpha = np.rad2deg(2 * np.arcsin(a_h / (2 * edge)))
    rhombohedral = phase_of(f"{kind}:R", tmp_path, (edge, edge, edge, alpha, alpha, alpha))
    assert rhombohedral.space_group_name == f"{kind}:R"
    assert rhombohedral.laue_class == hexagonal.laue_class
    # International Tables A: a_r = (2a + b + c)/3, b_r = (-a + b + c)/3, c_r = (-a - 2b + c)/3 (obverse)
    primitive = hexagonal.direct_basis @ np.array([[2, -1, -1], [1, 1, -2], [1, 1, 1]]) / 3
    frame = rhombohedral.direct_basis @ np.linalg.inv(primitive)
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-9)
    assert same_set(rhombohedral.symmetry_rotations, frame @ hexagonal.symmetry_rotations @ frame.T)
    assert not same_set(rhombohedral.symmetry_rotations, hexagonal.symmetry_rotations)


def test_an_unusual_setting_of_our_own(tmp_path: Path) -> None:
    """C2/c of NZSP in the cell a' = c, b' = a, c' = b: unique axis c, no entry of the table needed."""
    nzsp = load_phase("nzsp")
    change = gemmi.Op("z,x,y")
    ops = [
        change.combine(op).combine(change.inverse()).wrap().triplet()
        for op in gemmi.SpaceGroup("C 1 2/c 1").operations()
    ]
    a, b, c, _, beta, _ = nzsp.cell
    path = tmp_path / "x.cif"
    symmetry = "loop_\n_space_group_symop_operation_xyz\n" + "\n".join(ops)
    path.write_text(cif(cell=(c, a, b, 90, 90, beta), symmetry=symmetry))
    phase = load_phase(path)
    assert phase.laue_class == "2/m"
    np.testing.assert_allclose(phase.symmetry_rotations[1], np.diag([-1, -1, 1]), atol=1e-12)
