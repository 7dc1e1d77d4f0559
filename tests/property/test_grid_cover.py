"""Zone-axis grids: the promise about the step, without waste, for every Laue group in every setting."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.spatial import ConvexHull, cKDTree

from nbedex.errors import ArgumentError
from nbedex.library import zone_axis_grid, zone_axis_orientations
from nbedex.phases import load_phase
from oracles.laue_groups import ORDERS, PROPER, matrix, random_quaternions, turn, with_inversion

FINE = ("-1", "2/m, b unique", "-31m", "-3m, rhombohedral axes", "m-3", "m-3m")
CASES = [(name, 3.0) for name in PROPER] + [(name, 1.0) for name in FINE]


@cache
def grid_of(name: str, step: float) -> np.ndarray:
    grid = zone_axis_grid(with_inversion(PROPER[name]), step_deg=step)
    grid.setflags(write=False)
    return grid


def images(directions: np.ndarray, operators: np.ndarray) -> np.ndarray:
    return np.einsum("nij,pj->npi", operators, directions).reshape(-1, 3)


def ideal_count(step_deg: float, order: int) -> float:
    """Hexagons inscribed in circles of radius step / 2 that pave the sphere, per operation of the group."""
    return 4 * np.pi / (1.5 * np.sqrt(3) * np.deg2rad(step_deg / 2) ** 2) / order


@pytest.mark.parametrize("name", PROPER)
def test_groups_have_their_orders(name: str) -> None:
    assert len(PROPER[name]) == ORDERS[name]


@pytest.mark.parametrize(("name", "step"), CASES)
def test_covering_radius_is_half_a_step(name: str, step: float) -> None:
    """The faces of the convex hull of all equivalents are the Delaunay triangles: the largest circumradius is exact."""
    operators = with_inversion(PROPER[name])
    grid = grid_of(name, step)
    np.testing.assert_allclose(np.linalg.norm(grid, axis=1), 1.0, atol=1e-12)
    everywhere = images(grid, operators)
    first = np.unique(np.round(everywhere, 7), axis=0, return_index=True)[1]
    hull = ConvexHull(everywhere[first])
    radius = np.arccos(np.clip(-hull.equations[:, 3].max(), -1, 1))
    assert radius <= np.deg2rad(step / 2) + 1e-6
    assert radius > np.deg2rad(step / 2) * 0.85, "far too fine: the step is not used up"


@pytest.mark.parametrize(("name", "step"), CASES)
def test_random_directions_are_near(name: str, step: float) -> None:
    operators = with_inversion(PROPER[name])
    grid = grid_of(name, step)
    directions = np.random.default_rng(5).normal(size=(20_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    chord, _ = cKDTree(images(grid, operators)).query(directions)
    assert 2 * np.arcsin(chord.max() / 2) <= np.deg2rad(step / 2) + 1e-6


@pytest.mark.parametrize(("name", "step"), CASES)
def test_no_two_points_are_equivalent(name: str, step: float) -> None:
    operators = with_inversion(PROPER[name])
    grid = grid_of(name, step)
    tree = cKDTree(grid)
    for operator in operators:
        for i, near in enumerate(tree.query_ball_point(grid @ operator.T, r=1e-4)):
            assert set(near) <= {i}, f"points {i} and {near} are equivalent"


@pytest.mark.parametrize(("name", "step"), CASES)
def test_count_is_close_to_ideal(name: str, step: float) -> None:
    """A fraction more than hexagons would need, and half a point for every step along the sector's edge."""
    order = 2 * ORDERS[name]
    ideal = ideal_count(step, order)
    count = len(grid_of(name, step))
    edge = 2 * np.sqrt(np.pi * ideal)
    assert ideal < count < 1.12 * ideal + edge


def test_count_of_one_degree_without_symmetry() -> None:
    ideal = ideal_count(1.0, 2)
    assert ideal == pytest.approx(31_750, rel=0.01)
    assert len(grid_of("-1", 1.0)) < 1.10 * ideal


@pytest.mark.parametrize("name", ["-1", "-31m", "m-3m"])
def test_same_grid_every_time(name: str) -> None:
    operators = with_inversion(PROPER[name])
    first = zone_axis_grid(operators, step_deg=2.0)
    assert first.tobytes() == zone_axis_grid(operators, step_deg=2.0).tobytes()
    # nor does it depend on the order in which the operations are listed, but for the first
    shuffled = np.concatenate([operators[:1], operators[:0:-1]])
    np.testing.assert_allclose(zone_axis_grid(shuffled, step_deg=2.0), first, atol=1e-9)


def test_phases_give_groups_as_written_here() -> None:
    """nzsp is monoclinic with b unique, beta''-alumina -3m1: else the grid would cover the wrong sector."""
    for phase, name in (("nzsp", "2/m, b unique"), ("beta2-alumina", "-3m1"), ("na2au", "4/mmm"), ("au", "m-3m")):
        theirs, ours = load_phase(phase).laue_operators, with_inversion(PROPER[name])
        assert len(theirs) == len(ours)
        assert all(np.isclose(ours, one, atol=1e-9).all(axis=(1, 2)).any() for one in theirs)


def test_orientations_bring_the_beam_along_the_direction() -> None:
    directions = np.random.default_rng(2).normal(size=(50, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions = np.concatenate([directions, np.eye(3), -np.eye(3)])
    quaternions = zone_axis_orientations(directions)
    np.testing.assert_allclose(np.linalg.norm(quaternions, axis=1), 1, atol=1e-14)
    for q, direction in zip(quaternions, directions, strict=True):
        np.testing.assert_allclose(matrix(q) @ [0, 0, 1], direction, atol=1e-12)
        azimuth, polar = np.arctan2(direction[1], direction[0]), np.arccos(np.clip(direction[2], -1, 1))
        stated = turn((0, 0, 1), np.rad2deg(azimuth)) @ turn((0, 1, 0), np.rad2deg(polar))
        np.testing.assert_allclose(matrix(q), stated, atol=1e-7)


@pytest.mark.parametrize("name", PROPER)
def test_every_orientation_has_a_template_within_half_a_step(name: str) -> None:
    """O = O_t [R_y(180)] R_z(-phi), with the proper rotations only: the mirror image stands for the opposite beam."""
    step = 3.0
    proper = PROPER[name]
    templates = [matrix(q) for q in zone_axis_orientations(grid_of(name, step))]
    bases = np.array([t @ mirror for t in templates for mirror in (np.eye(3), turn((0, 1, 0), 180))])
    for q in random_quaternions(25, seed=8):
        equivalents = proper @ matrix(q)
        # M = base^T S O should be a turn about z; what is left after the best one is the error
        m = np.einsum("tji,sjk->tsik", bases, equivalents)
        about_z = np.hypot(m[..., 0, 0] + m[..., 1, 1], m[..., 0, 1] - m[..., 1, 0])
        error = np.arccos(np.clip((about_z + m[..., 2, 2] - 1) / 2, -1, 1)).min()
        assert error <= np.deg2rad(step / 2) + 1e-6


@pytest.mark.parametrize("step", [float("nan"), 0.0, -1.0, 0.049, 20.1, float("inf")])
def test_steps_out_of_range(step: float) -> None:
    with pytest.raises(ArgumentError, match=r"step_deg must lie between 0.05 and 20 degrees, got "):
        zone_axis_grid(with_inversion(PROPER["mmm"]), step_deg=step)


@pytest.mark.parametrize("name", ["-1", "m-3m"])
def test_coarsest_step(name: str) -> None:
    operators = with_inversion(PROPER[name])
    grid = zone_axis_grid(operators, step_deg=20.0)
    directions = np.random.default_rng(5).normal(size=(5_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    chord, _ = cKDTree(images(grid, operators)).query(directions)
    assert 2 * np.arcsin(chord.max() / 2) <= np.deg2rad(10) + 1e-6
