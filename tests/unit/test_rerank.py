"""Dynamical re-ranking on patterns without noise, where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from nbedex import _core
from nbedex.errors import ArgumentError
from nbedex.indexing.rerank import (
    Candidates,
    PolarPattern,
    RerankSettings,
    hexagonal_net,
    rerank,
    tilted_orientations,
)
from nbedex.library import DynamicalCrystal, DynamicalSettings
from nbedex.maps import disorientation_angle, multiply
from nbedex.phases import load_phase
from oracles.laue_groups import matrix, random_quaternions

GRID = _core.PolarGrid(n_rings=88, n_azimuths=360, k_min=0.07, k_max=1.17)
SETTINGS = RerankSettings(reach_deg=0.5, step_deg=0.25, starts=2)


@pytest.fixture(scope="module")
def crystal() -> DynamicalCrystal:
    return DynamicalCrystal(load_phase("na2au"), DynamicalSettings(voltage=300.0, max_excitation_error=0.02))


def polar(crystal: DynamicalCrystal, orientation: np.ndarray, thickness_nm: float) -> PolarPattern:
    """Gaussian spots on the bins, to the power of a quarter."""
    beams = crystal.patterns(orientation[None], [thickness_nm], threads=1).pattern(0)
    k = GRID.k_min + (np.arange(GRID.n_rings) + 0.5) * (GRID.k_max - GRID.k_min) / GRID.n_rings
    angle = np.arange(GRID.n_azimuths) * 2 * np.pi / GRID.n_azimuths
    x, y = k[:, None] * np.cos(angle), k[:, None] * np.sin(angle)
    image = np.zeros(x.shape)
    for kx, ky, intensity in zip(beams["kx"][1:], beams["ky"][1:], beams["intensity"][1:, 0], strict=True):
        image += intensity * np.exp(-((x - kx) ** 2 + (y - ky) ** 2) / (2 * 0.012**2))
    image[image < 1e-4] = 0
    return PolarPattern((image**0.25).astype(np.float32), GRID)


def test_finds_tilt_turn_thickness_and_the_right_candidate(crystal: DynamicalCrystal) -> None:
    truth, other = random_quaternions(2, seed=14)
    start = tilted_orientations(truth, np.array([[0.31, -0.22]]))[0]
    half = np.deg2rad(0.4) / 2
    start = np.asarray(multiply(start, np.array([np.cos(half), 0, 0, -np.sin(half)])))
    candidates = Candidates(
        orientation=np.array([other, start, [np.nan] * 4]),
        phase_id=np.array([0, 0, -1]),
        score=np.array([0.3, 0.29, np.nan]),
    )
    found = rerank(polar(crystal, truth, 74.0), candidates, [crystal], SETTINGS)
    assert found.order.tolist() == [1, 0, 2]
    symmetry = crystal.phase.symmetry_quaternions
    assert np.rad2deg(disorientation_angle(truth, start, symmetry)) > 0.45
    assert np.rad2deg(disorientation_angle(truth, found.orientation[0], symmetry)) < 0.12
    assert abs(found.thickness_nm[0] - 74.0) <= 4.0
    assert found.score[0] > found.score[1] + 0.2
    assert np.isnan(found.score[2]) and np.isnan(found.thickness_nm[2])


def test_candidates_beyond_the_gate_stay_as_they_are(crystal: DynamicalCrystal) -> None:
    truth, other = random_quaternions(2, seed=15)
    candidates = Candidates(orientation=np.array([truth, other]), phase_id=np.array([0, 0]), score=np.array([0.3, 0.2]))
    found = rerank(polar(crystal, truth, 40.0), candidates, [crystal], RerankSettings(gate=0.9, halvings=1))
    assert found.order.tolist() == [0, 1]
    np.testing.assert_array_equal(found.orientation[1], other)
    assert np.isfinite(found.score[0]) and np.isnan(found.score[1])


def test_a_tilt_leaves_the_pattern_where_it_is() -> None:
    q = random_quaternions(1, seed=3)[0]
    tilted = tilted_orientations(q, np.array([[0.0, 0.0], [0.6, -0.8]]))
    np.testing.assert_allclose(tilted[0], q, atol=1e-15)
    turn = matrix(q).T @ matrix(tilted[1])
    assert np.rad2deg(np.arccos((np.trace(turn) - 1) / 2)) == pytest.approx(1.0, abs=1e-6)
    assert turn[0, 1] == pytest.approx(turn[1, 0])  # no turn about Z


def test_hexagonal_net() -> None:
    assert [len(hexagonal_net(radius)) for radius in (0.0, 1.0, 1.8, 2.0)] == [1, 7, 13, 19]
    net = hexagonal_net(3.3)
    distance = np.hypot(*(net[:, None] - net[None]).transpose(2, 0, 1)) + 9 * np.eye(len(net))
    np.testing.assert_allclose(distance.min(axis=0), 1.0)
    np.testing.assert_array_equal(net[0], [0, 0])


def test_refused() -> None:
    with pytest.raises(ArgumentError, match=r"polar must have shape \(88, 360\), got \(2, 3\)"):
        PolarPattern(np.zeros((2, 3), dtype=np.float32), GRID)
    with pytest.raises(ArgumentError, match="max_thickness_nm must not be below min_thickness_nm, got 10 and 20"):
        RerankSettings(max_thickness_nm=10.0).thicknesses()
