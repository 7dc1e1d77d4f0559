"""Model `ding2024` against the published formula written out link by link, and the trends published with it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from nbedex.transport import (
    Electrode,
    TransportSettings,
    boundary_currents,
    compare_models,
    edge_problem,
    published_conductivities,
    simple_structure,
    solve,
)
from oracles.current_oracle import dense_published_network, edge_on, grains, left_and_bottom

PUBLISHED = TransportSettings(model="ding2024")


def _angles(normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """alpha and theta in degrees from normals: angle to the surface, direction of Z x n."""
    alpha = np.degrees(np.arccos(np.abs(normal[:, 2])))
    trace = np.cross([0.0, 0.0, 1.0], normal)
    return alpha, np.degrees(np.arctan2(trace[:, 1], trace[:, 0])) % 180


def test_conductivities_by_hand() -> None:
    """alpha = 0; alpha = 90 with traces along X, along Y and at 30 degrees; alpha = 60 with its trace along X."""
    half = np.sqrt(0.75)
    normal = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0], [-0.5, half, 0], [0, half, 0.5], [np.nan] * 3], dtype=float)
    found = published_conductivities(normal, np.full(6, 2.0), np.full(6, 0.002))
    expected = [
        [2.0, 2.0],
        [2.0, 0.002],
        [0.002, 2.0],
        [0.002 * 0.5 + 2 * half, 2 * 0.5 + 0.002 * half],
        [2.0, 2 * 0.5 + 0.002 * half],
        [2.0, 2.0],
    ]
    assert found == pytest.approx(np.array(expected), rel=1e-12)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_equals_the_dense_network(seed: int) -> None:
    """Random grains, an inclusion, one electrode on part of the top edge and one on the right, as published."""
    labels, normal = grains((9, 11), 6, seed)
    labels[4:6, 5:8] = -1
    alpha, theta = _angles(normal)
    structure = simple_structure(
        labels, step=(4.0, 4.0), normal=normal, in_plane=np.ones(6), out_of_plane=np.full(6, 1e-3),
        boundary_resistance=PUBLISHED.boundary_resistance,
    )  # fmt: skip
    problem = edge_problem(structure, top=1.0, right=0.0)
    problem.of_edge["top"][:2] = problem.of_edge["top"][6:] = -1
    outside = {((0, x), "top"): 1.0 for x in range(2, 6)} | {((y, 10), "right"): 0.0 for y in range(9)}
    potential, current = dense_published_network(labels, alpha, theta, {}, step_nm=4.0, outside=outside)
    for solver in ("dissection", "superlu"):
        solution = solve(problem, TransportSettings(model="ding2024", solver=solver))
        assert np.array_equal(np.isnan(solution.potential), labels < 0)
        assert solution.potential[labels >= 0] == pytest.approx(potential[labels >= 0], rel=1e-10, abs=1e-12)
        assert solution.electrode_current[0] / 100e-9 == pytest.approx(current, rel=1e-10)


def test_equals_the_dense_network_with_metal_cells() -> None:
    labels, normal = grains((8, 7), 5, 9)
    alpha, theta = _angles(normal)
    metal = {(3, 2): 1.0, (3, 3): 1.0, (6, 5): 0.0}
    structure = simple_structure(
        labels, step=(2.5, 2.5), normal=normal, in_plane=np.full(5, 3.0), out_of_plane=np.full(5, 3e-2),
        boundary_resistance=1e-9 * 20 / 3.0,
    )  # fmt: skip
    problem = edge_problem(structure)
    for cell, volts in metal.items():
        problem.of_cell[cell] = 0 if volts else 1
    problem = replace(problem, electrodes=(Electrode(where="a", potential=1.0), Electrode(where="b", potential=0.0)))
    potential, current = dense_published_network(
        labels, alpha, theta, metal, step_nm=2.5, in_plane=3.0, anisotropy=100.0
    )
    solution = solve(problem, PUBLISHED)
    free = problem.of_cell < 0
    assert solution.potential[free] == pytest.approx(potential[free], rel=1e-10, abs=1e-12)
    assert solution.electrode_current[0] / 100e-9 == pytest.approx(current, rel=1e-10)


def _two_electrodes(normal: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Magnitude of the current between part of the top edge and the upper part of the right edge."""
    n = len(normal)
    structure = simple_structure(
        labels, step=(20.0, 20.0), normal=normal, in_plane=np.ones(n), out_of_plane=np.full(n, 1e-3),
        boundary_resistance=PUBLISHED.boundary_resistance,
    )  # fmt: skip
    ny, nx = labels.shape
    problem = edge_problem(structure, top=1.0, right=0.0)
    problem.of_edge["top"][: nx // 3] = problem.of_edge["top"][2 * nx // 3 :] = -1
    problem.of_edge["right"][ny // 3 :] = -1
    return np.maximum(solve(problem, PUBLISHED).magnitude, 1e-300)


def test_without_microstructure_the_bottom_carries_far_less() -> None:
    """More than an order of magnitude between top and bottom, for two electrodes at right angles."""
    size = _two_electrodes(np.full((1, 3), np.nan), np.zeros((60, 60), dtype=int))
    assert size[:6].mean() > 10 * size[-6:].mean()


def test_misaligned_neighbours_make_jumps() -> None:
    """In the current, where planes turn from grain to grain; and a favourable grain carries more than one nearer."""
    labels = np.repeat(np.arange(6), 10)[None, :] * np.ones((60, 1), dtype=int) // 1
    labels = labels + 6 * (np.arange(60)[:, None] // 20)
    alike = np.array([edge_on(0)] * 18)
    turned = alike.copy()
    turned[[1, 4, 8, 9, 15]] = edge_on(90)
    for normal, jumps in ((alike, False), (turned, True)):
        size = _two_electrodes(normal, labels)
        step = np.abs(np.diff(np.log10(size), axis=1))
        on = np.zeros(step.shape[1], dtype=bool)
        on[9::10] = True
        assert (step[20:, on].max() > 0.5) == jumps
        assert np.median(step[:, ~on]) < 0.05


def _axis_aligned(shape: tuple[int, int]):
    labels, _ = grains((24, 24), 10, 4)
    factor = shape[0] // 24
    labels = np.kron(labels, np.ones((factor, factor), dtype=int))
    normal = np.array([edge_on(0) if i % 3 else edge_on(90) for i in range(10)])
    return simple_structure(
        labels, step=(12.0 / factor,) * 2, normal=normal, in_plane=np.ones(10), out_of_plane=np.full(10, 1e-2),
        boundary_resistance=2e-8,
    )  # fmt: skip


def test_models_agree_where_traces_are_along_the_axes() -> None:
    """Planes on edge, traces along X or Y: the same medium on other cells, so the gap closes as cells get smaller."""
    gaps = []
    for n in (24, 48, 96, 192):
        problem = left_and_bottom(_axis_aligned((n, n)))
        pair = [
            solve(problem, TransportSettings(model=model, refinement_pair=False, straighten=False))
            for model in ("ding2024", "tensor")
        ]
        found = compare_models(*pair)
        assert np.nanmax(found.off_axis_deg) == pytest.approx(0, abs=1e-6)
        gaps.append(abs(found.resistance_ratio - 1))
    assert gaps[-1] < 0.1
    assert all(later < 0.8 * earlier for earlier, later in pairwise(gaps))


def test_models_agree_exactly_in_layers() -> None:
    labels = np.repeat([0, 1], [5, 4])[None, :] * np.ones((6, 1), dtype=int)
    structure = simple_structure(labels, normal=[edge_on(0), edge_on(90)], in_plane=[1.0, 1.0], out_of_plane=[1e-3] * 2)
    a, b = (
        solve(edge_problem(structure, left=1.0, right=0.0), TransportSettings(model=m)) for m in ("ding2024", "tensor")
    )
    assert a.resistance == pytest.approx(b.resistance, rel=1e-9)


def test_difference_of_the_models_is_quantified() -> None:
    """A crystal with traces at 45 degrees: eq. 4-1 gives sigma_ip / sqrt(2) along X and Y, the tensor far less."""
    structure = simple_structure(
        np.zeros((20, 60), dtype=int), normal=[edge_on(45)], in_plane=[1.0], out_of_plane=[1e-3]
    )
    problem = edge_problem(structure, left=1.0, right=0.0)
    a, b = (solve(problem, TransportSettings(model=m, refinement_pair=False)) for m in ("ding2024", "tensor"))
    found = compare_models(a, b)
    assert found.off_axis_deg == pytest.approx([45.0])
    assert found.inclination_deg == pytest.approx([90.0])
    assert found.resistance_ratio < 0.01
    assert found.ratio == pytest.approx(found.mean_published / found.mean_tensor)
    assert found.ratio[0] > 100
    assert len(boundary_currents(a)) == 0
