"""Distributions against Monte Carlo and published curves; inclinations; shares."""

from __future__ import annotations

import numpy as np
import pytest

from nbedex.boundaries import (
    BoundaryNetwork,
    boundary_facts,
    csl_shares,
    inclination_from_width,
    inclination_of,
    inclined,
    misorientation_distribution,
    plane_angle_deg,
    plane_distribution,
    random_disorientation_density,
    trace_boundaries,
)
from nbedex.boundaries.disorientation import reduced
from nbedex.boundaries.statistics import largest_disorientation
from nbedex.errors import ArgumentError
from nbedex.grains import MapPhase
from nbedex.maps.orientation import multiply, rotation_angle
from nbedex.phases import load_phase
from nbedex.phases.rotations import quaternions
from oracles.boundary_maps import grain_map, voronoi
from oracles.laue_groups import PROPER, random_quaternions

ALUMINA, AU = MapPhase.of(load_phase("beta2-alumina")), MapPhase.of(load_phase("au"))
MIDDLES = np.deg2rad(np.arange(0.5, 180.0))


def network(n: int = 40, *, seed: int = 2, orientations: np.ndarray | None = None) -> BoundaryNetwork:
    phantom = voronoi(120, n, seed, noise=1.0)
    count = int(phantom.labels.max()) + 1
    kind = np.where(np.arange(count) % 5 == 4, 1, 0)
    q = random_quaternions(count, seed) if orientations is None else orientations[:count]
    return trace_boundaries(grain_map(phantom.labels, [ALUMINA, AU], q, phase_of=kind, step=(2.0, 3.0)))


@pytest.mark.parametrize(
    "group", ["-1", "2/m, b unique", "mmm", "4/m", "4/mmm", "-3", "-3m1", "6/m", "6/mmm", "m-3", "m-3m"]
)
def test_curve_of_random_orientations_by_monte_carlo(group: str) -> None:
    s = quaternions(PROPER[group])
    density = random_disorientation_density(MIDDLES, s)
    assert density.sum() * np.deg2rad(1.0) == pytest.approx(1.0, abs=2e-3)
    drawn = np.rad2deg(rotation_angle(reduced(random_quaternions(20_000, 11), s)))
    counts, _ = np.histogram(drawn, np.arange(0.0, 181.0, 6.0))
    expected = 20_000 * np.deg2rad(1.0) * density.reshape(-1, 6).sum(axis=1)
    assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected + 1) + 0.01 * expected)


def test_the_cubic_curve_is_mackenzies() -> None:
    """Mackenzie 1958: mean 40.74 degrees, most frequent 45, largest 62.80; 2.3 % are below 15."""
    s = quaternions(PROPER["m-3m"])
    fine = np.deg2rad(np.arange(0.05, 70, 0.1))
    density = random_disorientation_density(fine, s) * np.deg2rad(0.1)
    assert np.rad2deg((density * fine).sum()) == pytest.approx(40.74, abs=0.03)
    assert np.rad2deg(fine[np.argmax(density)]) == pytest.approx(45.0, abs=0.3)
    assert np.rad2deg(largest_disorientation(s)) == pytest.approx(62.80, abs=0.1)
    assert density[fine < np.deg2rad(15)].sum() == pytest.approx(0.0228, abs=0.0005)


def test_curve_of_unlike_crystals_by_monte_carlo() -> None:
    first, second = quaternions(PROPER["-3m1"]), quaternions(PROPER["m-3m"])
    density = random_disorientation_density(MIDDLES, first, second)
    assert density.sum() * np.deg2rad(1.0) == pytest.approx(1.0, abs=2e-3)
    q = random_quaternions(20_000, 12)
    every = multiply(second[:, None], first[None, :]).reshape(-1, 4)
    drawn = np.rad2deg(2 * np.arccos(np.clip(np.abs(q @ (every * [1, -1, -1, -1]).T).max(axis=1), 0, 1)))
    counts, _ = np.histogram(drawn, np.arange(0.0, 181.0, 6.0))
    expected = 20_000 * np.deg2rad(1.0) * density.reshape(-1, 6).sum(axis=1)
    assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected + 1) + 0.01 * expected)


def test_distributions_of_a_network() -> None:
    net = network()
    b = net.boundaries
    d = misorientation_distribution(net, 0, bin_deg=5.0)
    width = np.diff(d.edges_deg)
    for values in (d.boundaries, d.grain_pairs, d.random):
        assert np.sum(values * width) == pytest.approx(1.0, abs=2e-3)
    mine = ~b.phase_boundary & (net.grain_map.grains.phase_id[b.grain_a] == 0)
    assert (d.n_boundaries, d.phase) == (int(mine.sum()), "beta2-alumina")
    assert d.length == pytest.approx(b.length[mine].sum())
    low, high = d.edges_deg[12:14]
    inside = mine & (b.disorientation_deg >= low) & (b.disorientation_deg < high)
    assert d.boundaries[12] == pytest.approx(b.length[inside].sum() / d.length / 5.0)
    again = misorientation_distribution(net, 0, bin_deg=5.0)
    assert np.array_equal(d.grain_pairs, again.grain_pairs)
    assert not np.array_equal(d.grain_pairs, misorientation_distribution(net, 0, bin_deg=5.0, seed=1).grain_pairs)
    # nobody is like anybody: random pairs of 30 grains follow the random curve within what 30 grains allow
    assert np.abs(d.grain_pairs - d.random).max() < 0.012
    with pytest.raises(ArgumentError, match="expected a phase from 0 to 1, got 2"):
        misorientation_distribution(net, 2)


def test_planes_of_random_grains_follow_sin_psi() -> None:
    net = network(300, seed=5)
    d = plane_distribution(net, bin_deg=15.0)
    assert np.sum(d.random_psi * 15) == pytest.approx(1.0)
    assert d.random_psi[0] == pytest.approx((1 - np.cos(np.deg2rad(15))) / 15)
    assert np.allclose(d.psi, d.random_psi, atol=0.006) and np.sum(d.psi * 15) == pytest.approx(1.0)
    assert np.allclose(d.delta_theta, 1 / 90, atol=0.006)
    assert np.abs(d.psi[0] - d.psi[-1]) > 0.008  # the two are different things
    assert np.isfinite(net.boundaries.psi_deg).sum() == d.n_boundaries


def test_a_textured_map_is_told_from_random_pairs() -> None:
    """All c axes along Z: psi is zero everywhere and traces are not defined."""
    angle = np.random.default_rng(1).uniform(0, np.pi, 60)
    net = network(orientations=np.column_stack([np.cos(angle), 0 * angle, 0 * angle, np.sin(angle)]))
    d = plane_distribution(net)
    assert d.psi[0] == pytest.approx(1 / 5.0) and d.delta_theta.sum() == 0
    m = misorientation_distribution(net, 0)
    assert np.all(m.grain_pairs[m.edges_deg[1:] > 63] == 0) and np.all(m.boundaries[m.edges_deg[1:] > 63] == 0)


def test_shares_of_coincidences() -> None:
    net = network()
    shares = csl_shares(net)
    for name in ("beta2-alumina", "au"):
        assert sum(s.share for s in shares if s.phase == name) == pytest.approx(1.0)
    assert sum(s.count for s in shares) == int((~net.boundaries.phase_boundary).sum())
    facts = boundary_facts(net)
    total = facts["phase_boundaries_percent"] + facts["low_angle_percent"] + facts["high_angle_percent"]
    assert total == pytest.approx(100.0)
    assert facts["length_nm"] == pytest.approx(net.boundaries.length.sum())
    assert facts["segments"] == len(net.boundaries) and facts["inclination"] == "edge-on assumed"


def test_inclined_boundaries() -> None:
    net = network()
    b = net.boundaries
    angle = np.zeros(len(b))
    k = int(np.flatnonzero(np.isfinite(b.plane_to_boundary_a_deg) & ~b.closed)[0])
    angle[k] = 25.0
    tilted = inclined(net, angle)
    t = np.deg2rad(25.0)
    expected = np.array([*(b.normal[k, :2] * np.cos(t)), np.sin(t)])
    assert np.allclose(tilted.boundaries.normal[k], expected)
    plane = net.grain_map.grains.conduction_normal[b.grain_a[k]]
    assert tilted.boundaries.plane_to_boundary_a_deg[k] == pytest.approx(float(plane_angle_deg(plane, expected)))
    assert tilted.boundaries.plane_to_boundary_a_deg[k] != pytest.approx(b.plane_to_boundary_a_deg[k], abs=0.1)
    others = np.arange(len(b)) != k
    assert np.allclose(tilted.boundaries.normal[others], b.normal[others], equal_nan=True)
    assert np.allclose(inclination_of(tilted), angle)
    assert tilted.settings["inclination"] == f"given for 1 of {len(b)} segments, the others edge-on"
    assert np.allclose(inclined(tilted, 0 * angle).boundaries.normal, b.normal, equal_nan=True)
    for wrong, message in ((angle[:-1], "for each of"), (angle + 90, "between -90 and 90")):
        with pytest.raises(ArgumentError, match=message):
            inclined(net, wrong)


def test_a_closed_boundary_stays_edge_on() -> None:
    labels = np.zeros((12, 12), dtype=int)
    labels[4:8, 3:9] = 1
    net = trace_boundaries(grain_map(labels, [ALUMINA], random_quaternions(2, 1)))
    assert np.isnan(net.boundaries.normal).all() and np.isnan(net.boundaries.plane_to_boundary_a_deg).all()
    assert np.isnan(inclined(net, np.array([np.nan])).boundaries.normal).all()
    with pytest.raises(ArgumentError, match="closed boundary has no mean normal"):
        inclined(net, np.array([10.0]))


def test_inclination_from_projected_width() -> None:
    assert inclination_from_width(np.array([0.0, 100.0]), 100.0) == pytest.approx([0.0, 45.0])
    with pytest.raises(ArgumentError, match="thickness above 0"):
        inclination_from_width(np.array([1.0]), 0.0)


def test_a_map_of_one_grain_has_no_boundaries() -> None:
    net = trace_boundaries(grain_map(np.zeros((4, 5), dtype=int), [ALUMINA], random_quaternions(1, 1)))
    assert len(net.boundaries) == 0 and net.triple_points.shape == (0, 2)
    assert boundary_facts(net)["twin_percent"] is None and csl_shares(net) == []
    assert plane_distribution(net).psi.sum() == 0
