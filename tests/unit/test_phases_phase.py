"""The phase object: frames, symmetry matrices, serialisation."""

from __future__ import annotations

import dataclasses
import json

import gemmi
import numpy as np
import pytest

from cif_builder import cell_for, cif, operations
from nbedex.errors import ArgumentError, DataFormatError
from nbedex.phases import Phase, list_phases, load_phase, phase_names


@pytest.mark.parametrize("name", phase_names())
def test_the_crystal_frame(name: str) -> None:
    phase = load_phase(name)
    direct, reciprocal = phase.direct_basis, phase.reciprocal_basis
    np.testing.assert_allclose(reciprocal.T @ direct, np.eye(3), atol=1e-12)
    a, c_star = direct[:, 0], reciprocal[:, 2]
    np.testing.assert_allclose(a, [phase.cell[0], 0, 0], atol=1e-12)
    np.testing.assert_allclose(c_star[:2], 0, atol=1e-12)
    assert c_star[2] > 0
    assert np.linalg.det(direct) > 0
    np.testing.assert_allclose(np.linalg.norm(direct, axis=0), phase.cell[:3], rtol=1e-12)


def test_an_oblique_cell_has_the_right_angles_and_spacings(tmp_path) -> None:
    cell = (5.1, 6.2, 7.3, 71.0, 83.0, 109.0)
    path = tmp_path / "oblique.cif"
    path.write_text(cif(cell=cell))
    phase = load_phase(path)
    a, b, c = phase.direct_basis.T
    for angle, (u, v) in zip(cell[3:], ((b, c), (a, c), (a, b)), strict=True):
        assert np.rad2deg(np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v))) == pytest.approx(angle, abs=1e-10)
    hkl = np.array([[1, 0, 0], [0, -1, 2], [3, 1, -2], [-1, 4, 1]])
    oracle = gemmi.UnitCell(*cell)
    np.testing.assert_allclose(phase.d_spacing(hkl), [oracle.calculate_d(h) for h in hkl.tolist()], rtol=1e-12)
    assert phase.volume == pytest.approx(oracle.volume)
    assert phase.d_spacing((1, 2, 3)).shape == ()


@pytest.mark.parametrize("hkl", [(0, 0, 0), (1, 2), [[1, 0, 0], [0, 0, 0]], 5])
def test_spacings_of_nonsense(hkl) -> None:
    with pytest.raises(ArgumentError, match=r"^hkl "):
        load_phase("au").d_spacing(hkl)


@pytest.mark.parametrize("name", phase_names())
def test_a_phase_survives_json(name: str) -> None:
    phase = load_phase(name)
    again = Phase.from_dict(json.loads(json.dumps(phase.to_dict())))
    for field in dataclasses.fields(Phase):
        one, other = getattr(phase, field.name), getattr(again, field.name)
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype == np.float64
        else:
            assert one == other, field.name


def test_a_damaged_stored_phase_is_refused() -> None:
    stored = load_phase("nzsp").to_dict()
    moved = json.loads(json.dumps(stored))
    moved["positions"][5][1] += 0.01
    with pytest.raises(DataFormatError, match=r"^lib.h5: stored phase 'nzsp' is damaged \(its hash doesn't match\)$"):
        Phase.from_dict(moved, where="lib.h5")
    for key in stored:
        with pytest.raises(DataFormatError, match=r"^lib.h5: "):
            Phase.from_dict({k: v for k, v in stored.items() if k != key}, where="lib.h5")
        with pytest.raises((DataFormatError, ArgumentError)):
            Phase.from_dict(
                {**stored, key: object() if key != "conducts_sodium" else None, "sha256": 0}, where="lib.h5"
            )
    with pytest.raises(DataFormatError, match=r"has version 2, this nbedex reads 1$"):
        Phase.from_dict({**stored, "version": 2})


def test_the_hash_sees_the_crystal_and_nothing_else() -> None:
    phase = load_phase("nzsp")
    assert len({p.sha256 for p in list_phases()}) == len(phase_names())
    described = dataclasses.replace(phase, colour="#000000", title="x", conduction_plane=(0, 0, 1))
    assert Phase.from_dict(described.to_dict()).sha256 == phase.sha256
    for key, change in {"cell": 1e-6, "positions": 1e-6, "occupancies": -1e-6, "u_iso": 1e-6}.items():
        stored = phase.to_dict()
        values = np.array(stored[key])
        values.flat[0] += change
        stored[key] = values.tolist()
        with pytest.raises(DataFormatError, match=r"hash"):
            Phase.from_dict(stored)


def test_the_hash_is_the_same_on_every_machine() -> None:
    """Golden value: it changes only if the file or the recipe does, and then caches are rightly rebuilt."""
    assert load_phase("cu").sha256 == "a0d4e4d951559ec8871aa87a3c175480b5adadb06fbbd0723feba68370dd667e"
    assert load_phase("beta2-alumina").sha256 == "93ee8524f4762350d3f96602523de310545bb0c9a9e22f99e91e18008733c483"


def test_a_phase_can_not_be_changed_by_accident() -> None:
    phase = load_phase("au")
    for array in (phase.positions, phase.occupancies, phase.u_iso, phase.symmetry_rotations, phase.direct_basis,
                  phase.reciprocal_basis, phase.laue_operators, phase.symmetry_quaternions):  # fmt: skip
        with pytest.raises(ValueError, match=r"read-only"):
            array[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        phase.name = "x"  # type: ignore[misc]


def test_a_user_declares_the_conduction_plane() -> None:
    phase = dataclasses.replace(load_phase("nzsp"), conduction_plane=(1, 0, 0))
    normal = phase.conduction_normal
    assert normal is not None
    # a* in a monoclinic cell with e1 || a: turned from a by beta - 90 degrees, away from c.
    np.testing.assert_allclose(normal, [np.sin(np.deg2rad(123.72)), 0, -np.cos(np.deg2rad(123.72))], atol=1e-12)
    with pytest.raises(ArgumentError, match=r"^conduction_plane must be three Miller indices, not all 0, got"):
        dataclasses.replace(phase, conduction_plane=(0, 0, 0))


def test_quaternions_turn_vectors_as_the_matrices_do(tmp_path) -> None:
    """Every proper operation of the cube and of the hexagon, 180 degree ones included."""
    vectors = np.random.default_rng(5).normal(size=(7, 3))
    for setting in ("F m -3 m", "P 6/m m m", "R -3 m:R"):
        path = tmp_path / "x.cif"
        group = gemmi.SpaceGroup(setting)
        path.write_text(cif(cell=cell_for(group), symmetry=operations(group)))
        phase = load_phase(path)
        for (w, *xyz), matrix in zip(phase.symmetry_quaternions, phase.symmetry_rotations, strict=True):
            u = np.array(xyz)
            # v' = v + 2 w (u x v) + 2 u x (u x v)
            turned = vectors + 2 * w * np.cross(u, vectors) + 2 * np.cross(u, np.cross(u, vectors))
            np.testing.assert_allclose(turned, vectors @ matrix.T, atol=1e-12)
            assert w >= 0


def test_the_systems() -> None:
    assert {load_phase(n).crystal_system for n in ("beta2-alumina", "nzsp-r3c")} == {"trigonal"}
    assert load_phase("nzsp").crystal_system == "monoclinic"
    assert load_phase("beta-alumina").crystal_system == "hexagonal"
