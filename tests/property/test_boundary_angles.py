"""Disorientation, psi, delta theta and angles to the boundary: brute force, orix, and what must not change anything."""

from __future__ import annotations

import numpy as np
import pytest

from nbedex.boundaries import BoundaryNetwork, trace_boundaries
from nbedex.boundaries.disorientation import plane_angle_deg, reduced, trace_angle_deg
from nbedex.grains import MapPhase
from nbedex.grains import disorientations as grain_disorientations
from nbedex.maps.orientation import multiply, rotation_angle
from nbedex.phases import load_phase
from nbedex.phases.rotations import quaternions
from oracles.boundary_maps import grain_map, turned, voronoi
from oracles.laue_groups import PROPER, disorientation_deg, matrix, random_quaternions


def disorientations(first: np.ndarray, second: np.ndarray, symmetry: np.ndarray) -> np.ndarray:
    return grain_disorientations(first, second, symmetry).rotation


GROUPS = ["-1", "2/m, b unique", "mmm", "4/m", "4/mmm", "-3", "-3m1", "-31m", "6/m", "6/mmm", "m-3", "m-3m"]
N = 60


def pairs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    return random_quaternions(N, seed), random_quaternions(N, seed + 100)


@pytest.mark.parametrize("group", GROUPS)
def test_angle_and_axis_by_brute_force(group: str) -> None:
    """All operators on both sides, matrices only: least angle, and an axis that some such product really has."""
    proper = PROPER[group]
    first, second = pairs(1)
    found = disorientations(first, second, quaternions(proper))
    for a, b, q in zip(first, second, found, strict=True):
        m = matrix(b) @ matrix(a).T
        every = np.einsum("aij,jk,bkl->abil", proper, m, proper).reshape(-1, 3, 3)
        angles = np.rad2deg(np.arccos(np.clip((np.trace(every, axis1=1, axis2=2) - 1) / 2, -1, 1)))
        angle = np.rad2deg(rotation_angle(q))
        assert angle == pytest.approx(angles.min(), abs=1e-6)
        assert angle == pytest.approx(disorientation_deg(matrix(a), matrix(b), proper), abs=1e-6)
        mine = matrix(q)
        assert min(np.abs(every - mine).max(axis=(1, 2)).min(), np.abs(every - mine.T).max(axis=(1, 2)).min()) < 1e-9
        assert q[0] >= 0


@pytest.mark.parametrize(
    ("group", "name"),
    [("-1", "Ci"), ("mmm", "D2h"), ("4/m", "C4h"), ("4/mmm", "D4h"), ("-3", "S6"), ("-3m1", "D3d"), ("6/m", "C6h"),
     ("6/mmm", "D6h"), ("m-3", "Th"), ("m-3m", "Oh"), ("2/m, c unique", "C2h")],
)  # fmt: skip
def test_angle_as_orix_has_it(group: str, name: str) -> None:
    from orix.quaternion import Orientation, symmetry

    point_group = getattr(symmetry, name)
    first, second = pairs(2)
    theirs = Orientation(first, symmetry=point_group).angle_with(
        Orientation(second, symmetry=point_group), degrees=True
    )
    mine = np.rad2deg(rotation_angle(disorientations(first, second, quaternions(PROPER[group]))))
    assert np.allclose(mine, theirs, atol=1e-6)


@pytest.mark.parametrize("group", GROUPS)
def test_symmetry_on_either_side_and_swapping_change_nothing(group: str) -> None:
    s = quaternions(PROPER[group])
    rng = np.random.default_rng(4)
    first, second = pairs(3)
    plain = disorientations(first, second, s)
    for _ in range(4):
        left, right = s[rng.integers(len(s), size=N)], s[rng.integers(len(s), size=N)]
        assert np.allclose(disorientations(multiply(left, first), multiply(right, second), s), plain, atol=1e-9)
    assert np.allclose(disorientations(second, first, s), plain, atol=1e-9)
    # a rotation of the whole sample
    turn = random_quaternions(1, 9)
    assert np.allclose(disorientations(multiply(first, turn), multiply(second, turn), s), plain, atol=1e-9)


@pytest.mark.parametrize("group", GROUPS)
def test_special_rotations_have_one_answer(group: str) -> None:
    """Twofold turns, coincidences and no turn at all: all equivalents give the same axis."""
    s = quaternions(PROPER[group])
    rng = np.random.default_rng(6)
    special = [
        [1.0, 0, 0, 0],
        [0.0, 1, 0, 0],
        [0.0, 0, 0, 1],
        [0.5, 0.5, 0.5, 0.5],
        [3, 1, 1, 1],
        [0, 1, 2, 0],
        [2, 0, 0, 1],
    ]
    q = np.array(special, dtype=float)
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    answer = reduced(q, s)
    for _ in range(10):
        left, right = s[rng.integers(len(s), size=len(q))], s[rng.integers(len(s), size=len(q))]
        assert np.allclose(reduced(multiply(multiply(left, q), right), s), answer, atol=1e-8)


def test_cubic_axes_lie_in_the_standard_triangle() -> None:
    q = reduced(random_quaternions(500, 8), quaternions(PROPER["m-3m"]))
    x, y, z = q[:, 1:].T
    assert np.all((z >= x - 1e-12) & (x >= y - 1e-12) & (y >= -1e-12))
    assert np.rad2deg(rotation_angle(q)).max() < 62.8


@pytest.mark.parametrize("group", GROUPS)
def test_largest_angles(group: str) -> None:
    """Grimmer 1980: no disorientation is larger."""
    largest = {"-1": 180, "2/m, b unique": 180, "mmm": 120, "4/m": 180, "4/mmm": 98.43, "-3": 180, "-3m1": 104.48,
               "-31m": 104.48, "6/m": 180, "6/mmm": 93.84, "m-3": 90, "m-3m": 62.80}[group]  # fmt: skip
    angle = np.rad2deg(rotation_angle(reduced(random_quaternions(20_000, 5), quaternions(PROPER[group]))))
    assert largest - 7 < angle.max() <= largest + 0.005


def test_angles_between_planes_and_traces() -> None:
    z, x = np.array([0.0, 0, 1]), np.array([1.0, 0, 0])
    assert plane_angle_deg(z, -z) == 0.0
    assert plane_angle_deg(z, x) == 90.0
    tiny = np.array([1e-9, 0, 1])
    assert plane_angle_deg(z, tiny) == pytest.approx(np.rad2deg(1e-9))
    assert trace_angle_deg(np.array([175.0, 5.0, 100.0, 0.0]), np.array([5.0, 175.0, 10.0, 180.0])).tolist() == [
        10.0, 10.0, 90.0, 0.0,
    ]  # fmt: skip
    assert np.isnan(trace_angle_deg(np.array([np.nan]), np.array([3.0]))).all()


ALUMINA, NZSP = MapPhase.of(load_phase("beta2-alumina")), MapPhase.of(load_phase("nzsp"))


def network(turn_deg: float = 0.0, seed: int = 3) -> BoundaryNetwork:
    """A map of two phases, or that map turned by quarter turns about Z (from X towards Y)."""
    phantom = voronoi(80, 14, seed, noise=1.0)
    n = int(phantom.labels.max()) + 1
    q = random_quaternions(n, seed)
    half = np.deg2rad(turn_deg) / 2
    # what pointed along v now points along T v: O' = O T^-1
    turned = multiply(q, np.array([np.cos(half), 0, 0, -np.sin(half)]))
    labels = np.rot90(phantom.labels, -round(turn_deg / 90))
    kind = np.where(np.arange(n) % 4 == 3, 1, 0)
    return trace_boundaries(grain_map(labels, [ALUMINA, NZSP], turned, phase_of=kind))


def by_pair(net: BoundaryNetwork, names: np.ndarray) -> dict[tuple[int, int, int], int]:
    """Row of each boundary by its regions' names in the first map, counted where there are several."""
    found: dict[tuple[int, int, int], int] = {}
    b = net.boundaries
    for row in np.lexsort((b.length.round(6),)):
        pair = sorted((int(names[b.grain_a[row]]), int(names[b.grain_b[row]])))
        count = sum(1 for key in found if key[:2] == tuple(pair))
        found[(*pair, count)] = int(row)
    return found


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_turning_the_map_turns_normals_and_nothing_else(quarter: int) -> None:
    """theta and m turn with the map; disorientation, psi, delta theta, angles to the boundary and labels stay."""
    one, two = network(), network(90.0 * quarter)
    turned_ids = np.rot90(one.grain_map.grain_id, -quarter)
    names = np.array([turned_ids[two.grain_map.grain_id == k][0] for k in range(len(two.grain_map.grains))])
    theta = two.grain_map.grains.trace_deg - one.grain_map.grains.trace_deg[names] - 90 * quarter
    assert np.allclose(trace_angle_deg(theta[np.isfinite(theta)], np.zeros(1)), 0, atol=1e-9)
    rows, others = by_pair(one, np.arange(len(names))), by_pair(two, names)
    assert rows.keys() == others.keys() and len(rows) > 20
    a = np.deg2rad(90.0 * quarter)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    p, q = one.boundaries, two.boundaries
    for key, i in rows.items():
        j = others[key]
        swapped = names[q.grain_a[j]] != p.grain_a[i]
        assert q.length[j] == pytest.approx(p.length[i], abs=1e-6)
        assert np.allclose(q.normal[j] * (-1 if swapped else 1), turn @ p.normal[i], atol=1e-6)
        for name in ("disorientation_deg", "psi_deg", "delta_theta_deg", "csl_deviation_deg"):
            assert getattr(q, name)[j] == pytest.approx(getattr(p, name)[i], abs=1e-6, nan_ok=True), name
        assert np.allclose(q.axis[j], p.axis[i], atol=1e-7, equal_nan=True)
        sides = ("plane_to_boundary_a_deg", "plane_to_boundary_b_deg")
        for mine, other in zip(sides, sides[::-1] if swapped else sides, strict=True):
            assert getattr(q, other)[j] == pytest.approx(getattr(p, mine)[i], abs=1e-5, nan_ok=True)
        assert (q.sigma[j], q.csl_label[j], q.phase_boundary[j]) == (p.sigma[i], p.csl_label[i], p.phase_boundary[i])


@pytest.mark.parametrize("degrees", [11.0, 37.0, -142.0])
def test_turning_by_any_angle(degrees: float) -> None:
    """A specimen turned under the beam: its boundaries' normals and theta turn with it, all other angles stay."""
    a = np.deg2rad(degrees)
    one, two = voronoi(260, 60, 8, step=(1.0, 1.0)), voronoi(260, 60, 8, step=(1.0, 1.0), turn_deg=degrees)
    # cells of the second map by their site in the first
    distance = np.linalg.norm(turned(two.sites, 260, two.step, -degrees)[:, None] - one.sites[None], axis=2)
    names = np.where(distance.min(axis=1) < 1e-6, distance.argmin(axis=1), -1)
    q = random_quaternions(len(one.sites), 8)
    inverse_turn = np.array([np.cos(a / 2), 0, 0, -np.sin(a / 2)])
    nets = [
        trace_boundaries(grain_map(one.labels, [ALUMINA], q)),
        trace_boundaries(grain_map(two.labels, [ALUMINA], multiply(q[names], inverse_turn))),
    ]
    rows = {(int(i), int(j)): k for k, (i, j) in enumerate(_pairs(nets[0]))}
    p, r = nets[0].boundaries, nets[1].boundaries
    compared = 0
    for k, (i, j) in enumerate(_pairs(nets[1])):
        first, second = int(names[i]), int(names[j])
        row = rows.get((min(first, second), max(first, second)))
        if min(first, second) < 0 or row is None:
            continue
        for name in ("disorientation_deg", "psi_deg", "delta_theta_deg"):
            assert getattr(r, name)[k] == pytest.approx(getattr(p, name)[row], abs=1e-6), name
        assert r.csl_label[k] == p.csl_label[row] and np.allclose(r.axis[k], p.axis[row], atol=1e-7)
        if min(r.length[k], p.length[row]) > 30:
            compared += 1
            sign = 1.0 if first < second else -1.0
            there = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) @ p.normal[row, :2]
            assert sign * r.normal[k, :2] @ there > np.cos(np.deg2rad(3.0))
    assert compared > 20
    theta = [net.grain_map.grains.trace_deg for net in nets]
    known = names >= 0
    assert np.allclose(trace_angle_deg(theta[1][known], theta[0][names[known]] + degrees), 0, atol=1e-6)


def _pairs(net: BoundaryNetwork) -> list[tuple[int, int]]:
    return list(zip(net.boundaries.grain_a, net.boundaries.grain_b, strict=True))


def test_angles_of_a_network_one_by_one() -> None:
    net = network()
    b, grains = net.boundaries, net.grain_map.grains
    proper = np.array([matrix(q) for q in ALUMINA.symmetry])
    seen = {"same": 0, "mixed": 0}
    for k in range(len(b)):
        i, j = b.grain_a[k], b.grain_b[k]
        one, other = matrix(grains.orientation[i]), matrix(grains.orientation[j])
        normals = [one.T @ [0, 0, 1], other.T @ [0, 0, 1]]
        if grains.phase_id[i] != grains.phase_id[j]:
            seen["mixed"] += 1
            assert b.phase_boundary[k] and np.isnan(b.disorientation_deg[k]) and np.isnan(b.axis[k]).all()
            assert np.isnan(b.psi_deg[k]) and b.sigma[k] == 0 and b.csl_label[k] == ""
            continue
        assert not b.phase_boundary[k]
        if grains.phase_id[i] == 1:
            assert np.isnan(b.psi_deg[k]) and np.isnan(b.delta_theta_deg[k])
            continue
        seen["same"] += 1
        assert b.disorientation_deg[k] == pytest.approx(disorientation_deg(one, other, proper), abs=1e-6)
        psi = np.rad2deg(np.arccos(min(1.0, abs(normals[0] @ normals[1]))))
        assert b.psi_deg[k] == pytest.approx(psi, abs=1e-6)
        assert b.psi_deg[k] <= b.disorientation_deg[k] + 1e-9
        traces = [np.cross([0, 0, 1], v)[:2] for v in normals]
        cosine = abs(traces[0] @ traces[1]) / np.linalg.norm(traces[0]) / np.linalg.norm(traces[1])
        assert b.delta_theta_deg[k] == pytest.approx(np.rad2deg(np.arccos(min(1.0, cosine))), abs=1e-6)
        for side, v in zip("ab", normals, strict=True):
            to_boundary = np.rad2deg(np.arccos(min(1.0, abs(v @ b.normal[k]))))
            assert getattr(b, f"plane_to_boundary_{side}_deg")[k] == pytest.approx(to_boundary, abs=1e-6)
        # the axis is a rotation axis of some equivalent, in either direction
        m = other @ one.T
        every = np.einsum("aij,jk,bkl->abil", proper, m, proper).reshape(-1, 3, 3)
        assert np.abs(np.einsum("nij,j->ni", every, b.axis[k]) - b.axis[k]).max(axis=1).min() < 1e-6
    assert seen["same"] > 8 and seen["mixed"] > 5


def test_normals_point_from_grain_a_to_grain_b() -> None:
    """A step along m from any piece leads into b, a step against it into a: also where the map is lopsided."""
    net = network(seed=11)
    b, region = net.boundaries, net.grain_map.grain_id
    right = total = 0
    for k in range(len(b)):
        if b.length[k] < 8:
            continue
        middle = len(b.points[k]) // 2
        here = (b.points[k][middle - 1] + b.points[k][middle]) / 2
        direction = b.points[k][middle] - b.points[k][middle - 1]
        m = np.array([-direction[1], direction[0]]) / np.linalg.norm(direction)
        for sign, grain in ((1, b.grain_b[k]), (-1, b.grain_a[k])):
            x, y = np.rint(here + 2.0 * sign * m).astype(int)
            if 0 <= x < region.shape[1] and 0 <= y < region.shape[0]:
                total += 1
                right += int(region[y, x] == grain)
    assert total > 40 and right >= 0.97 * total
