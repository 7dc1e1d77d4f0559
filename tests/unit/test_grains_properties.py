"""What is said of each grain: orientation and its error, shape, conduction plane."""

from __future__ import annotations

import numpy as np
import pytest

from nbedex.errors import ArgumentError
from nbedex.grains import GrainSettings, Role, find_grains, grains_of
from nbedex.grains.properties import plane_angles
from nbedex.maps import canonical, disorientation_angle, multiply
from oracles.grain_maps import BETA, GOLD, NZSP, ZIRCONIA, noisy, orientation_map, turned
from oracles.laue_groups import matrix, random_quaternions

MAP_TURN = 33.0


def one_grain(orientation: np.ndarray, **more: object) -> object:
    found = grains_of(orientation_map(orientation, **more), np.zeros(orientation.shape[:2], dtype=int))
    return found.grains


@pytest.mark.parametrize("phase", [BETA, GOLD, NZSP], ids=lambda p: p.name)
def test_mean_of_pixels_in_any_equivalent(phase) -> None:
    truth = random_quaternions(1, 8)[0]
    orientation = noisy(np.broadcast_to(truth, (40, 50, 4)), 2.0, 3, phase.symmetry)
    grains = one_grain(orientation, phases=(phase,))
    away = np.rad2deg(disorientation_angle(grains.orientation[0], truth, phase.symmetry))
    assert away < 0.15  # 2 degrees over the root of 2000, per axis
    # mean of |rotation| of three normal components
    assert grains.spread_deg[0] == pytest.approx(2.0 * np.sqrt(8 / np.pi), rel=0.03)
    assert grains.orientation[0, 0] >= 0


def test_mean_does_not_depend_on_the_order_of_pixels() -> None:
    orientation = noisy(np.broadcast_to(random_quaternions(1, 8)[0], (10, 12, 4)), 3.0, 3, BETA.symmetry)
    forward, backward = (one_grain(o) for o in (orientation, np.ascontiguousarray(orientation[::-1, ::-1])))
    away = disorientation_angle(forward.orientation[0], backward.orientation[0], BETA.symmetry)
    assert np.rad2deg(away) < 1e-6


def smoothed_noise(shape: tuple[int, int], length: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of unit variance that is the same over blocks of length x length pixels."""
    ny, nx = (-(-n // length) for n in shape)
    return np.kron(rng.normal(size=(ny, nx)), np.ones((length, length)))[: shape[0], : shape[1]]


@pytest.mark.parametrize("length", [1, 3, 6])
def test_error_of_the_mean_is_what_repetition_shows(length: int) -> None:
    """Correlated noise: the error claimed agrees with the scatter of the mean over repeated maps."""
    rng = np.random.default_rng(length)
    start, sigma, errors, claimed = random_quaternions(1, 1)[0], 1.0, [], []
    for _ in range(60):
        tilt = np.stack([smoothed_noise((40, 40), length, rng) for _ in range(3)], axis=-1) * np.deg2rad(sigma) / 2
        orientation = multiply(np.concatenate([np.ones((40, 40, 1)), tilt], axis=-1), start)
        source = orientation_map(canonical(orientation))
        grains = grains_of(source, np.zeros((40, 40), int), GrainSettings(orientation_floor_deg=0)).grains
        errors.append(np.rad2deg(disorientation_angle(grains.orientation[0], start, BETA.symmetry)))
        claimed.append(grains.orientation_error_deg[0])
    per_axis = np.sqrt(np.mean(np.square(errors)) / 3)
    assert per_axis == pytest.approx(sigma * length / 40, rel=0.35)
    # the largest of several estimates errs to the safe side
    assert 0.8 < np.mean(claimed) / per_axis < 1.6


def test_error_has_a_floor_and_small_grains_borrow() -> None:
    orientation = noisy(np.broadcast_to(random_quaternions(1, 8)[0], (20, 20, 4)), 1.0, 3)
    region = np.zeros((20, 20), dtype=int)
    region[5, :3] = 1
    grains = grains_of(orientation_map(orientation), region).grains
    assert grains.orientation_error_deg[0] == pytest.approx(np.hypot(0.3, 1 / 20), rel=0.1)
    assert grains.orientation_error_deg[1] == pytest.approx(np.hypot(0.3, 1.0), rel=0.1)
    one = one_grain(orientation[:1, :1])
    assert one.orientation_error_deg[0] == pytest.approx(0.3)


def test_area_outline_and_ellipse_of_a_disc_and_a_tilted_ellipse() -> None:
    step = (2.0, 3.0)  # Y, X
    rows, columns = np.indices((200, 160))
    y, x = rows * step[0] - 200, columns * step[1] - 240
    disc = np.hypot(x, y) < 90
    grains = grains_of(
        orientation_map(np.ones((200, 160, 1)) * [1.0, 0, 0, 0], step=step, step_known=True), disc.astype(int)
    ).grains
    assert grains.area[1] == pytest.approx(np.pi * 90**2, rel=0.01)
    assert grains.perimeter[1] == pytest.approx(2 * np.pi * 90, rel=0.02)
    assert grains.perimeter[0] == pytest.approx(2 * (400 + 480) + 2 * np.pi * 90, rel=0.08)
    np.testing.assert_allclose(grains.centroid[1], (240, 200), atol=0.5)
    np.testing.assert_allclose(grains.ellipse_axes[1], 180, rtol=0.01)
    long, short, angle = 150.0, 60.0, np.deg2rad(35.0)  # from X towards Y
    along, across = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    shape = (along / long) ** 2 + (across / short) ** 2 < 1
    grains = grains_of(
        orientation_map(np.ones((200, 160, 1)) * [1.0, 0, 0, 0], step=step, step_known=True), shape.astype(int)
    ).grains
    np.testing.assert_allclose(grains.ellipse_axes[1], (300, 120), rtol=0.01)
    assert grains.ellipse_deg[1] == pytest.approx(35, abs=0.3)


def test_bounds_edges_and_neighbours() -> None:
    region = np.zeros((6, 7), dtype=int)
    region[1:3, 2:5] = 4
    region[4:, 6:] = 2
    grain_map = grains_of(orientation_map(np.ones((6, 7, 1)) * [1.0, 0, 0, 0]), region)
    grains = grain_map.grains
    assert grains.bounds.tolist() == [[0, 0, 5, 6], [1, 2, 2, 4], [4, 6, 5, 6]]
    assert grains.touches_edge.tolist() == [True, False, True]
    assert grain_map.neighbours.tolist() == [[0, 1], [0, 2]]
    assert grains.n_pixels.tolist() == [34, 6, 2]


def test_conduction_plane_against_matrices() -> None:
    """n, alpha and theta of random crystals by hand: the third row of O is c* in the sample frame."""
    truth = random_quaternions(50, 12)
    orientation = np.repeat(truth[:, None], 3, axis=1)
    found = grains_of(orientation_map(orientation), np.arange(50)[:, None].repeat(3, axis=1)).grains
    for g in range(50):
        n = matrix(truth[g])[2]
        n = n if n[2] >= 0 else -n
        np.testing.assert_allclose(found.conduction_normal[g], n, atol=1e-12)
        assert found.inclination_deg[g] == pytest.approx(np.rad2deg(np.arccos(n[2])), abs=1e-6)
        trace = np.cross([0, 0, 1], n)
        expected = np.rad2deg(np.arctan2(trace[1], trace[0])) % 180
        assert (found.trace_deg[g] - expected + 90) % 180 - 90 == pytest.approx(0, abs=1e-6)


def test_rotating_the_map_turns_the_planes_with_it() -> None:
    """The sample turned about the beam by 33 degrees: theta by as much, alpha and angles between grains not at all."""
    truth = random_quaternions(20, 31)
    region = np.arange(20)[:, None].repeat(3, axis=1)
    turn = turned((0, 0, 1), -MAP_TURN)  # new sample components from old ones; O' = O R^-1
    before = grains_of(orientation_map(np.repeat(truth[:, None], 3, axis=1)), region).grains
    after = grains_of(orientation_map(np.repeat(multiply(truth, turn)[:, None], 3, axis=1)), region).grains
    np.testing.assert_allclose(after.inclination_deg, before.inclination_deg, atol=1e-9)
    change = (after.trace_deg - before.trace_deg - MAP_TURN + 90) % 180 - 90
    np.testing.assert_allclose(change, 0, atol=1e-9)
    a, b = truth[:-1], truth[1:]
    np.testing.assert_allclose(
        disorientation_angle(multiply(a, turn), multiply(b, turn), BETA.symmetry),
        disorientation_angle(a, b, BETA.symmetry),
        atol=1e-12,
    )


def test_turning_the_whole_map_turns_grains_shapes_and_planes() -> None:
    """Pixels and sample frame turned by a quarter from X towards Y: what was at (x, y) is at (ny - 1 - y, x)."""
    cell = np.arange(6).reshape(2, 3).repeat(14, axis=0).repeat(11, axis=1)
    orientation = noisy(random_quaternions(6, 41)[cell], 0.4, 2, BETA.symmetry)
    before = find_grains(orientation_map(orientation, step=(2.0, 2.0), step_known=True))
    turn = turned((0, 0, 1), -90.0)
    moved = np.rot90(multiply(orientation, turn), k=-1, axes=(0, 1))
    after = find_grains(orientation_map(np.ascontiguousarray(moved), step=(2.0, 2.0), step_known=True))
    # which grain of the turned map is which of the first
    same = np.array([after.grain_id[np.rot90(before.grain_id, k=-1) == g][0] for g in range(6)])
    assert (same[np.rot90(before.grain_id, k=-1)] == after.grain_id).all()
    a, b = before.grains, after.grains
    height = 2.0 * (len(cell) - 1)
    np.testing.assert_allclose(b.centroid[same], np.stack([height - a.centroid[:, 1], a.centroid[:, 0]], axis=1))
    np.testing.assert_allclose(b.ellipse_axes[same], a.ellipse_axes)
    np.testing.assert_allclose(b.inclination_deg[same], a.inclination_deg, atol=1e-6)
    change = (b.trace_deg[same] - a.trace_deg - 90 + 90) % 180 - 90
    np.testing.assert_allclose(change, 0, atol=1e-6)
    for name in ("n_pixels", "perimeter", "spread_deg", "touches_edge"):
        np.testing.assert_allclose(getattr(b, name)[same], getattr(a, name), atol=1e-9)


@pytest.mark.parametrize(
    ("normal", "alpha", "theta"),
    [
        ((0, 0, 1), 0, np.nan),
        ((1, 0, 0), 90, 90),
        ((0, 1, 0), 90, 0),
        ((np.sqrt(0.5), np.sqrt(0.5), 0), 90, 135),
        ((0.02, 0, np.sqrt(1 - 0.02**2)), np.rad2deg(np.arcsin(0.02)), np.nan),
        ((0.06, 0, np.sqrt(1 - 0.06**2)), np.rad2deg(np.arcsin(0.06)), 90),
    ],
)
def test_plane_angles(normal: tuple[float, float, float], alpha: float, theta: float) -> None:
    """Under 3 degrees of inclination the trace is said to be undefined."""
    found = plane_angles(np.array([normal]), 3.0)
    np.testing.assert_allclose(np.concatenate(found), (alpha, theta), atol=1e-9)


def test_phases_without_planes_and_regions_without_phase() -> None:
    phase = np.repeat([[0, 1, 2, -1]], 4, axis=0).repeat(5, axis=0).repeat(5, axis=1)
    orientation = np.broadcast_to(random_quaternions(1, 3)[0], (*phase.shape, 4)).copy()
    found = find_grains(orientation_map(orientation, phase, phases=(BETA, ZIRCONIA, GOLD))).grains
    assert found.role.tolist() == [Role.GRAIN, Role.INSULATOR, Role.ELECTRODE, Role.NOT_INDEXED]
    assert np.isnan(found.conduction_normal).all(axis=1).tolist() == [False, True, True, True]
    assert np.isnan(found.inclination_deg).tolist() == [False, True, True, True]
    assert np.isnan(found.orientation_error_deg).tolist() == [False, False, False, True]


def test_confidence_is_that_of_the_grains_own_pixels() -> None:
    phase = np.zeros((6, 6), dtype=np.int16)
    phase[2, 2] = -1
    confidence = np.full((6, 6), 0.8, dtype=np.float32)
    confidence[2, 2], confidence[4, 4] = 0.1, np.nan
    found = find_grains(orientation_map(np.ones((6, 6, 1)) * [1.0, 0, 0, 0], phase, confidence=confidence)).grains
    assert found.confidence[0] == pytest.approx(0.8)


def test_a_region_map_of_another_shape_is_refused() -> None:
    with pytest.raises(
        ArgumentError, match=r"region must hold integers, shape \(4, 4\), got float64 of shape \(4, 4\)"
    ):
        grains_of(orientation_map(np.ones((4, 4, 1)) * [1.0, 0, 0, 0]), np.zeros((4, 4)))
