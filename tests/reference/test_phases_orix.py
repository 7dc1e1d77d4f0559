"""Phases handed to orix: lattice, atoms, and above all the symmetry that orix then works with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import gemmi
import numpy as np
import pytest

from cif_builder import cell_for, cif, operations
from nbedex.phases import Phase, load_phase, phase_names

# Conventions under test: Orientation turns sample vectors into crystal vectors, symmetry multiplies from the left.


def random_quaternions(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 4))


def shortest_angle(one: np.ndarray, other: np.ndarray, rotations: np.ndarray) -> float:
    """Disorientation angle in degrees of two orientation matrices, over every pair of operators."""
    difference = other @ one.T
    traces = [np.trace(a @ difference @ b.T) for a in rotations for b in rotations]
    return float(np.rad2deg(np.arccos(np.clip((max(traces) - 1) / 2, -1, 1))))


def orix_angles(phase: Phase, one, other) -> np.ndarray:
    """The same by orix, with the symmetry of the orix phase as a crystal map uses it."""
    from orix.quaternion import Orientation

    group = phase.to_orix().point_group
    a, b = (Orientation(o, symmetry=group) for o in (one, other))
    return np.rad2deg(a.angle_with(b))


@pytest.mark.parametrize("name", phase_names())
def test_disorientations_by_orix_are_those_by_brute_force(name: str) -> None:
    from orix.quaternion import Rotation

    phase = load_phase(name)
    one, other = (Rotation(random_quaternions(seed, 25)) for seed in (3, 4))
    expected = [
        shortest_angle(a, b, phase.symmetry_rotations) for a, b in zip(one.to_matrix(), other.to_matrix(), strict=True)
    ]
    np.testing.assert_allclose(orix_angles(phase, one, other), expected, atol=1e-3)


@pytest.mark.parametrize(
    "setting",
    [
        "P 1 2/m 1",
        "P 1 1 2/m",
        "P 2/m 1 1",
        "P -3 1 m",
        "P 3 1 2",
        "R -3 m:R",
        "R -3:R",
        "P -6 2 m",
        "P -4 m 2",
        "P m m a",
    ],
)
def test_symmetric_copies_are_zero_degrees_apart_in_every_setting(setting: str, tmp_path: Path) -> None:
    from orix.quaternion import Rotation

    group = gemmi.SpaceGroup(setting)
    path = tmp_path / "x.cif"
    path.write_text(cif(cell=cell_for(group), symmetry=operations(group)))
    phase = load_phase(path)
    one = Rotation(random_quaternions(5, 1))
    copies = Rotation(phase.symmetry_quaternions).outer(one).flatten()
    np.testing.assert_allclose(orix_angles(phase, one, copies), 0, atol=1e-3)


def test_orix_own_symmetry_of_c2c_is_wrong_and_ours_survives() -> None:
    """With space_group=15 orix puts the 2-fold on z and no point group given besides can change that."""
    import orix.crystal_map
    from orix.quaternion import Orientation, Rotation

    nzsp = load_phase("nzsp")
    one = Rotation(random_quaternions(6, 1))
    twin = Rotation(nzsp.symmetry_quaternions[1]) * one
    theirs = orix.crystal_map.Phase(space_group=15, structure=nzsp.to_orix().structure).point_group
    a, b = (Orientation(o, symmetry=theirs) for o in (one, twin))
    assert np.rad2deg(a.angle_with(b))[0] == pytest.approx(180, abs=1e-3)
    assert orix_angles(nzsp, one, twin)[0] == pytest.approx(0, abs=1e-3)

    forced = orix.crystal_map.Phase(space_group=15, point_group=nzsp.to_orix().point_group)
    np.testing.assert_allclose(np.abs(forced.point_group.data), np.abs(theirs.data), atol=1e-12)

    ours = nzsp.to_orix()
    assert ours.space_group is None
    assert ours.point_group.name == "2/m"
    assert ours.point_group.proper_subgroup.name == "121"
    # Copies, and a phase list of a crystal map, keep it.
    for kept in (orix.crystal_map.Phase(ours), ours.deepcopy(), orix.crystal_map.PhaseList([ours])[0]):
        np.testing.assert_allclose(kept.point_group.data, ours.point_group.data)
        np.testing.assert_array_equal(kept.point_group.improper, ours.point_group.improper)


def test_a_crystal_map_works_with_our_operators() -> None:
    from orix.crystal_map import CrystalMap, PhaseList
    from orix.quaternion import Rotation

    nzsp = load_phase("nzsp")
    one = Rotation(random_quaternions(6, 1))
    pair = Rotation(np.concatenate([one.data, (Rotation(nzsp.symmetry_quaternions[1]) * one).data]))
    xmap = CrystalMap(pair, x=np.arange(2), phase_id=np.zeros(2, dtype=int), phase_list=PhaseList([nzsp.to_orix()]))
    orientations = xmap["nzsp"].orientations
    assert np.rad2deg(orientations[0].angle_with(orientations[1]))[0] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("name", phase_names())
def test_the_space_group_is_kept_wherever_orix_is_right(name: str) -> None:
    phase = load_phase(name)
    theirs = phase.to_orix()
    if phase.laue_class == "2/m":
        assert theirs.space_group is None
    else:
        assert theirs.space_group.number == phase.space_group
    assert theirs.name == name


def test_a_crystal_without_inversion_gets_its_laue_group(tmp_path: Path) -> None:
    """Patterns obey Friedel's law, so orix must not split what indexing can't tell apart."""
    group = gemmi.SpaceGroup("F -4 3 m")
    path = tmp_path / "x.cif"
    path.write_text(cif(cell=cell_for(group), symmetry=operations(group)))
    theirs = load_phase(path).to_orix()
    assert (theirs.space_group, theirs.point_group.name, theirs.point_group.size) == (None, "m-3m", 48)


@pytest.mark.parametrize("name", phase_names())
def test_the_lattice_is_ours(name: str) -> None:
    """Rows of diffpy's base are our columns a, b, c: e1 || a, e3 || c*."""
    phase = load_phase(name)
    theirs = phase.to_orix()
    np.testing.assert_allclose(theirs.structure.lattice.base, phase.direct_basis.T, atol=1e-9)
    assert [a.element for a in theirs.structure] == list(phase.elements)
    np.testing.assert_allclose(theirs.structure.occupancy, phase.occupancies)
    np.testing.assert_allclose([a.Uisoequiv for a in theirs.structure], phase.u_iso)


def test_the_lattice_vectors_orix_computes_with_are_ours() -> None:
    from orix.vector import Miller

    nzsp = load_phase("nzsp")
    hkl = np.array([[1, 1, -2], [0, 2, 0], [3, -1, 2]])
    np.testing.assert_allclose(Miller(hkl=hkl, phase=nzsp.to_orix()).data, hkl @ nzsp.reciprocal_basis.T, atol=1e-9)


def test_colours_reach_orix_and_odd_ones_get_the_nearest_it_takes() -> None:
    import matplotlib.colors

    for name in phase_names():
        phase = load_phase(name)
        assert matplotlib.colors.to_hex(phase.to_orix().color) == phase.colour
    odd = dataclasses.replace(load_phase("au"), colour="#1e78b5")
    assert odd.to_orix().color == "tab:blue"
    assert dataclasses.replace(odd, colour="no colour").to_orix().color in {"tab:gray", "tab:grey"}


def test_an_orix_file_keeps_only_the_name_of_the_point_group(tmp_path: Path) -> None:
    """A limit of orix's HDF5 format, stated in `to_orix`: if this fails, orix has learned to store operators."""
    from orix import io
    from orix.crystal_map import CrystalMap, PhaseList
    from orix.quaternion import Rotation

    nzsp = load_phase("nzsp").to_orix()
    xmap = CrystalMap(Rotation.identity((2,)), x=np.arange(2), phase_list=PhaseList([nzsp]), phase_id=np.zeros(2, int))
    io.save(str(tmp_path / "map.h5"), xmap)
    group = io.load(str(tmp_path / "map.h5")).phases[0].point_group
    assert group.name == "2/m"
    assert not np.allclose(np.abs(group.data), np.abs(nzsp.point_group.data))
