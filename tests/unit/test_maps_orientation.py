"""Quaternions and disorientations against orix and against the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbedex.errors import ArgumentError
from nbedex.maps.orientation import (
    canonical,
    conjugate,
    disorientation_angle,
    from_euler,
    misorientation,
    multiply,
    rotate,
    rotation_angle,
    to_euler,
    to_matrix,
)
from nbedex.phases import load_phase

LAUE = ("Ci", "C2h", "D2h", "C4h", "D4h", "S6", "D3d", "C6h", "D6h", "Th", "Oh")


def random_quaternions(n: int, seed: int = 3) -> np.ndarray:
    return canonical(np.random.default_rng(seed).normal(size=(n, 4)))


def proper_operators(name: str) -> np.ndarray:
    from orix.quaternion import symmetry

    group = getattr(symmetry, name)
    return np.asarray(group[~group.improper.astype(bool)].data)


def test_hand_made_orientation() -> None:
    """Turning the crystal by 30 degrees about Z takes its e1 to (cos 30, sin 30, 0) in the sample."""
    q = from_euler(np.deg2rad([30.0, 0.0, 0.0]))
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    np.testing.assert_allclose(rotate(conjugate(q), np.array([1.0, 0, 0])), [c, s, 0], atol=1e-15)
    # and sample X has the crystal coordinates (cos 30, -sin 30, 0)
    np.testing.assert_allclose(rotate(q, np.array([1.0, 0, 0])), [c, -s, 0], atol=1e-15)


def test_bunge_matrix() -> None:
    """g = Z(phi2) X(Phi) Z(phi1), passive (Bunge 1982, eq. 2.50), at a general orientation."""
    phi1, phi, phi2 = 0.7, 1.1, 2.3

    def passive(axis: int, angle: float) -> np.ndarray:
        i, j = [k for k in range(3) if k != axis]
        m = np.eye(3)
        m[i, i] = m[j, j] = np.cos(angle)
        m[i, j], m[j, i] = np.sin(angle), -np.sin(angle)
        return m

    g = passive(2, phi2) @ passive(0, phi) @ passive(2, phi1)
    np.testing.assert_allclose(to_matrix(from_euler(np.array([phi1, phi, phi2]))), g, atol=1e-14)


def test_like_orix() -> None:
    from orix.quaternion import Orientation, Rotation
    from orix.vector import Vector3d

    q, p = random_quaternions(300), random_quaternions(300, seed=4)
    euler = to_euler(q)
    ours = np.abs(np.sum(np.asarray(Rotation.from_euler(euler).data) * q, axis=1))
    np.testing.assert_allclose(ours, 1, atol=1e-14)
    np.testing.assert_allclose(to_matrix(q), Rotation(q).to_matrix(), atol=1e-14)
    np.testing.assert_allclose((Rotation(q) * Rotation(p)).data, multiply(q, p), atol=1e-14)
    v = np.array([0.3, -0.5, 0.8])
    np.testing.assert_allclose((Orientation(q) * Vector3d(v)).data, rotate(q, v), atol=1e-14)


@pytest.mark.parametrize("euler", [[0.4, 0.0, 0.9], [0.4, np.pi, 0.9], [0, 0, 0], [6.2, 1e-13, 0.1]])
def test_euler_at_the_poles(euler: list[float]) -> None:
    q = from_euler(np.array(euler))
    back = to_euler(q)
    assert back[2] == 0
    assert rotation_angle(misorientation(q, from_euler(back))) < 1e-12


@settings(max_examples=200, deadline=None)
@given(st.tuples(*(st.floats(-7, 7) for _ in range(3))))
def test_euler_round_trip(angles: tuple[float, float, float]) -> None:
    q = from_euler(np.array(angles))
    back = to_euler(q)
    assert q[0] >= 0
    assert np.all(back >= 0) and back[0] < 2 * np.pi and back[1] <= np.pi and back[2] < 2 * np.pi
    assert rotation_angle(misorientation(q, from_euler(back))) < 1e-11


@pytest.mark.parametrize("name", LAUE)
def test_disorientation_by_brute_force(name: str) -> None:
    """Against the least angle of S_i O2 O1^T S_j over both sides, with matrices."""
    operators = proper_operators(name)
    a, b = random_quaternions(25), random_quaternions(25, seed=9)
    s, m = to_matrix(operators), to_matrix(b) @ np.swapaxes(to_matrix(a), -1, -2)
    traces = np.einsum("iab,nbc,jca->nij", s, m, s).reshape(len(a), -1)
    expected = np.arccos(np.clip((traces.max(axis=1) - 1) / 2, -1, 1))
    np.testing.assert_allclose(disorientation_angle(a, b, operators), expected, atol=1e-7)


@pytest.mark.parametrize("name", LAUE)
def test_disorientation_like_orix(name: str) -> None:
    from orix.quaternion import Orientation, symmetry

    group = getattr(symmetry, name)
    a, b = random_quaternions(60), random_quaternions(60, seed=9)
    theirs = Orientation(a, symmetry=group).angle_with(Orientation(b, symmetry=group))
    np.testing.assert_allclose(disorientation_angle(a, b, proper_operators(name)), theirs, atol=1e-6)


@pytest.mark.parametrize("name", LAUE)
def test_equivalents_have_none(name: str) -> None:
    operators = proper_operators(name)
    q = random_quaternions(20)
    for s in operators:
        assert disorientation_angle(q, multiply(s, q), operators).max() < 1e-12


def test_monoclinic_axis_is_b() -> None:
    """NZSP: a half turn about b is a symmetry, one about c* or a is not."""
    phase = load_phase("nzsp")
    q = from_euler(np.array([0.3, 1.0, 2.0]))
    for axis, degrees in ((1, 180.0), (2, 180.0), (3, 180.0)):
        turn = np.zeros(4)
        turn[axis] = 1.0
        angle = disorientation_angle(q, multiply(turn, q), phase.symmetry_quaternions)
        assert np.rad2deg(angle) == pytest.approx(0.0 if axis == 2 else degrees, abs=1e-9)


def test_small_angles_are_exact() -> None:
    tiny = 1e-9
    q = random_quaternions(50)
    turned = multiply(np.array([np.cos(tiny / 2), np.sin(tiny / 2), 0, 0]), q)
    np.testing.assert_allclose(disorientation_angle(q, turned, proper_operators("Oh")), tiny, rtol=1e-5)


def test_nan_and_shapes() -> None:
    q = random_quaternions(6).reshape(2, 3, 4)
    q[0, 0] = np.nan
    angle = disorientation_angle(q, random_quaternions(1)[0], proper_operators("D3d"))
    assert angle.shape == (2, 3)
    assert np.isnan(angle[0, 0]) and np.isfinite(angle[0, 1:]).all()
    assert np.isnan(to_euler(q)[0, 0]).all() and np.isnan(canonical(q)[0, 0]).all()
    with pytest.raises(ArgumentError, match=r"symmetry must be quaternions of shape \(m, 4\), got shape \(4,\)"):
        disorientation_angle(q, q, np.array([1.0, 0, 0, 0]))


def test_canonical() -> None:
    q = canonical(np.array([[-2.0, 0, 0, 2], [0, -1, 0, 0], [0, 0, 0, -3]]))
    root = np.sqrt(0.5)
    np.testing.assert_allclose(q, [[root, 0, 0, -root], [0, 1, 0, 0], [0, 0, 0, 1]], atol=1e-15)
    assert not np.signbit(q[1, 0]) and not np.signbit(q[1, 2])
    with pytest.raises(ArgumentError, match="all four components zero"):
        canonical(np.zeros(4))
