"""Disorientations of the core against brute force over the operators of both sides, and against orix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nbedex.errors import ArgumentError
from nbedex.grains import disorientations
from nbedex.grains.laue import LAUE_CLASSES, laue_rotations
from nbedex.maps import disorientation_angle, multiply, rotate, rotation_angle
from oracles.laue_groups import PROPER, matrix, random_quaternions

SETTING = {"2/m": "2/m, b unique", "-3m": "-3m1"}
# orix has 2/m along c; its operators along b are the right ones
ORIX = {"-1": "C1", "2/m": "C2y", "mmm": "D2", "4/m": "C4", "4/mmm": "D4", "-3": "C3", "-3m": "D3", "6/m": "C6",
        "6/mmm": "D6", "m-3": "T", "m-3m": "O"}  # fmt: skip


def group(laue_class: str) -> np.ndarray:
    return PROPER[SETTING.get(laue_class, laue_class)]


def angle_of(rotation: np.ndarray) -> np.ndarray:
    """Angle of rotation matrices (..., 3, 3), exact at both ends: from sine and cosine."""
    skew = rotation - np.swapaxes(rotation, -1, -2)
    sine = np.sqrt((skew**2).sum(axis=(-1, -2)) / 8)
    return np.arctan2(sine, (np.trace(rotation, axis1=-2, axis2=-1) - 1) / 2)


def brute_force(first: np.ndarray, second: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """All S2 O2 (S1 O1)^-1 written out as matrices."""
    o1, o2 = (np.array([matrix(q) for q in quaternions]) for quaternions in (first, second))
    every = np.einsum("jab,nbc,ndc,ide->nijae", right, o2, o1, np.swapaxes(left, 1, 2))
    return angle_of(every).min(axis=(1, 2))


def pairs(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random pairs, some of them very near to one another."""
    first, second = random_quaternions(n, seed), random_quaternions(n, seed + 1000)
    near = n // 4
    tilt = np.random.default_rng(seed).normal(size=(near, 3)) * np.logspace(-8, -1, near)[:, None]
    second[:near] = multiply(np.concatenate([np.ones((near, 1)), tilt], axis=1), first[:near])
    return first, second / np.linalg.norm(second, axis=1, keepdims=True)


@pytest.mark.parametrize("laue_class", LAUE_CLASSES)
def test_one_phase_agrees_with_brute_force(laue_class: str) -> None:
    first, second = pairs(40, 7)
    expected = brute_force(first, second, group(laue_class), group(laue_class))
    operators = laue_rotations(laue_class)
    assert len(operators) == len(group(laue_class))
    found = disorientations(first, second, operators)
    np.testing.assert_allclose(np.rad2deg(found.angle), np.rad2deg(expected), atol=1e-6, rtol=0)
    np.testing.assert_allclose(rotation_angle(found.rotation), found.angle, atol=1e-12)
    np.testing.assert_allclose(found.angle, disorientation_angle(first, second, operators), atol=1e-12)


@pytest.mark.parametrize(("a", "b"), [("-3m", "m-3m"), ("2/m", "-3m"), ("-1", "6/mmm"), ("4/m", "mmm"), ("m-3", "-3")])
def test_unlike_phases_agree_with_brute_force(a: str, b: str) -> None:
    first, second = pairs(30, 11)
    expected = brute_force(first, second, group(a), group(b))
    found = disorientations(first, second, laue_rotations(a), laue_rotations(b))
    np.testing.assert_allclose(np.rad2deg(found.angle), np.rad2deg(expected), atol=1e-6, rtol=0)
    # the rotation is one of the equivalents S2 M S1
    equivalents = multiply(
        laue_rotations(b)[:, None, None],
        multiply(multiply(second, first * (1, -1, -1, -1)), laue_rotations(a)[:, None]),
    ).reshape(-1, 30, 4)
    assert np.abs(np.einsum("knc,nc->kn", equivalents, found.rotation)).max(axis=0) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("laue_class", LAUE_CLASSES)
def test_symmetry_on_either_side_and_exchange_change_nothing(laue_class: str) -> None:
    first, second = pairs(30, 3)
    operators = laue_rotations(laue_class)
    rng = np.random.default_rng(5)
    left, right = (operators[rng.integers(len(operators), size=30)] for _ in range(2))
    found = disorientations(first, second, operators)
    for again in (
        disorientations(multiply(left, first), multiply(right, second), operators),
        disorientations(second, first, operators),
    ):
        np.testing.assert_allclose(again.angle, found.angle, atol=1e-10)
        clear = np.rad2deg(found.angle) > 0.1  # the axis of next to no rotation is noise
        np.testing.assert_allclose(again.axis[clear], found.axis[clear], atol=1e-6)


def test_rotating_the_sample_changes_nothing() -> None:
    first, second = pairs(30, 13)
    turn = random_quaternions(1, 99)[0]
    found = disorientations(first, second, laue_rotations("-3m"))
    again = disorientations(multiply(first, turn), multiply(second, turn), laue_rotations("-3m"))
    np.testing.assert_allclose(again.angle, found.angle, atol=1e-12)
    clear = np.rad2deg(found.angle) > 0.1
    np.testing.assert_allclose(again.axis[clear], found.axis[clear], atol=1e-6)


IN_SECTOR: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "m-3m": lambda v: (v[:, 2] >= v[:, 0] - 1e-6) & (v[:, 0] >= v[:, 1] - 1e-6) & (v[:, 1] >= -1e-6),
    "6/mmm": lambda v: (v[:, 2] >= -1e-6) & (v[:, 1] >= -1e-6) & (v[:, 1] <= np.tan(np.pi / 6) * v[:, 0] + 1e-6),
    "mmm": lambda v: (v >= -1e-6).all(axis=1),
    "-1": lambda v: v[:, 2] >= -1e-6,
}


@pytest.mark.parametrize("laue_class", IN_SECTOR)
def test_the_reduced_axis_lies_in_the_standard_sector(laue_class: str) -> None:
    first, second = pairs(200, 17)
    axis = disorientations(first[50:], second[50:], laue_rotations(laue_class)).axis
    assert IN_SECTOR[laue_class](axis).all()


def test_known_disorientations() -> None:
    """60 degrees about [111] of a cube, and 60 about c of beta''-alumina: Sigma 3 of both."""
    start = random_quaternions(1, 2)[0]
    for laue_class, axis in (("m-3m", np.ones(3) / np.sqrt(3)), ("-3m", np.array([0.0, 0.0, 1.0]))):
        twin = np.concatenate([[np.cos(np.pi / 6)], np.sin(np.pi / 6) * axis])
        found = disorientations(start[None], multiply(twin, start)[None], laue_rotations(laue_class))
        assert np.rad2deg(found.angle[0]) == pytest.approx(60, abs=1e-9)
        np.testing.assert_allclose(found.axis[0], axis, atol=1e-7)


@pytest.mark.parametrize("laue_class", ORIX)
def test_orix_agrees(laue_class: str) -> None:
    from orix.quaternion import Orientation, Rotation, symmetry

    operators = getattr(symmetry, ORIX[laue_class])
    first, second = pairs(60, 23)
    a, b = (Orientation(q, symmetry=operators) for q in (first, second))
    expected = np.asarray(a.angle_with(b))
    # angle_with takes the angle from the cosine, which is only good to 1e-8 of it
    found = disorientations(first, second, laue_rotations(laue_class)).angle
    np.testing.assert_allclose(found[15:], expected[15:], atol=np.deg2rad(1e-6))
    if laue_class == "-3m":
        # Misorientation.reduce of orix 0.15 misses the least angle of some pairs of unlike phases
        every = symmetry.O.outer(Rotation(multiply(second, first * (1, -1, -1, -1)))).outer(operators)
        ours = disorientations(first, second, laue_rotations(laue_class), laue_rotations("m-3m")).angle
        np.testing.assert_allclose(ours[15:], np.asarray(every.angle).min(axis=(0, 2))[15:], atol=np.deg2rad(1e-6))


def test_planes_never_differ_by_more_than_crystals() -> None:
    """psi <= omega (science.md, 4), for -3m also with the axes carried onto one another."""
    first, second = pairs(400, 29)
    omega = disorientations(first, second, laue_rotations("-3m")).angle
    normal = [rotate(q * (1, -1, -1, -1), np.array([0.0, 0.0, 1.0])) for q in (first, second)]
    psi = np.arccos(np.clip(np.abs((normal[0] * normal[1]).sum(axis=1)), 0, 1))
    assert (psi <= omega + 1e-7).all()


def test_unknown_orientations_and_wrong_shapes() -> None:
    first, second = pairs(4, 31)
    first[2] = np.nan
    found = disorientations(first, second, laue_rotations("mmm"))
    assert np.isnan(found.angle).tolist() == [False, False, True, False]
    assert np.isnan(found.rotation[2]).all()
    assert np.isnan(disorientations(second, second, laue_rotations("mmm")).axis).all()
    with pytest.raises(
        ArgumentError, match=r"expected pairs of orientations \(n, 4\), got shapes \(4, 4\) and \(3, 4\)"
    ):
        disorientations(first, second[:3], laue_rotations("mmm"))
    with pytest.raises(ArgumentError, match=r"symmetry must be quaternions of shape \(m, 4\), got shape \(0, 4\)"):
        disorientations(first, second, np.zeros((0, 4)))


def test_threads_change_no_bit() -> None:
    first, second = pairs(20000, 37)
    one, two = (disorientations(first, second, laue_rotations("6/mmm"), threads=n) for n in (1, 2))
    assert one.angle.tobytes() == two.angle.tobytes()
    assert one.rotation.tobytes() == two.rotation.tobytes()


def test_groups_are_those_written_by_hand() -> None:
    for name in LAUE_CLASSES:
        operators = np.array([matrix(q) for q in laue_rotations(name)])
        assert all(np.isclose(operators, g, atol=1e-9).all(axis=(1, 2)).any() for g in group(name)), name
    for axis in "abc":
        mine = np.array([matrix(q) for q in laue_rotations("2/m", unique_axis=axis)])
        np.testing.assert_allclose(mine, PROPER[f"2/m, {axis} unique"], atol=1e-12)
    between = np.array([matrix(q) for q in laue_rotations("-3m", space_group=162)])
    assert all(np.isclose(between, g, atol=1e-9).all(axis=(1, 2)).any() for g in PROPER["-31m"])
