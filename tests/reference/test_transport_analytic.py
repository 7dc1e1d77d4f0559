"""Model `tensor` against solutions known exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex.transport import (
    TransportSettings,
    boundary_currents,
    edge_problem,
    effective_conductivity,
    simple_structure,
    solve,
    stream_function,
)
from nbedex.transport.cells import EAST, NORTH, SOUTH, WEST, Sheet
from nbedex.transport.system import System
from oracles.current_oracle import crystal, edge_on, grains, in_plane_tensor, left_and_bottom, rectangle_conductance

ONCE = TransportSettings(refinement_pair=False)
ANGLES = np.arange(0, 90.1, 7.5)


def conductance(structure, settings=ONCE, **edges) -> float:
    """Per thickness, S/m."""
    solution = solve(edge_problem(structure, **(edges or {"left": 1.0, "right": 0.0})), settings)
    return 1e9 / (solution.resistance * settings.thickness)


@pytest.mark.parametrize("degrees", ANGLES)
def test_tilted_crystal_within_a_percent(degrees: float) -> None:
    """Between electrodes on two whole edges; the finer cells of the pair are 64 across."""
    found = conductance(crystal(degrees, (32, 32)), TransportSettings())
    exact = {0.0: 1.0, 90.0: 1e-3}.get(degrees) or rectangle_conductance(in_plane_tensor(degrees))
    assert found == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("degrees", ANGLES[1:-1])
def test_tilted_crystal_converges(degrees: float) -> None:
    """First order without extrapolation: the potential has singularities where electrodes end."""
    exact = rectangle_conductance(in_plane_tensor(degrees))
    error = [abs(conductance(crystal(degrees, (n, n))) / exact - 1) for n in (16, 32, 64)]
    assert error[0] / error[1] > 1.3
    assert error[1] / error[2] > 1.7
    assert error[2] < (0.1 if degrees == 45 else 0.03)


def test_exact_rectangle_is_right() -> None:
    """Isotropic; by reciprocity K -> K/det turned by 90 degrees; axis-aligned limit."""
    assert rectangle_conductance(2.0 * np.eye(2), 3.0, 1.5) == pytest.approx(1.0, rel=1e-9)
    tensor = in_plane_tensor(20, 50)
    other = np.array([[tensor[1, 1], -tensor[0, 1]], [-tensor[0, 1], tensor[0, 0]]])
    both = rectangle_conductance(tensor, 1.3, 1.0) * rectangle_conductance(other, 1.0, 1.3)
    assert both == pytest.approx(np.linalg.det(tensor), rel=1e-9)


@pytest.mark.parametrize("degrees", [7.5, 37.5, 60.0])
def test_middle_of_a_long_strip(degrees: float) -> None:
    """Far from the electrodes no current flows across: J_x / E_x = det K / K_yy."""
    solution = solve(edge_problem(crystal(degrees, (16, 480), 20.0), left=1.0, right=0.0), ONCE)
    tensor = in_plane_tensor(degrees, 20.0)
    middle = slice(220, 260)
    ratio = solution.current_density[:, middle, 0].mean() / solution.field[:, middle, 0].mean()
    assert ratio == pytest.approx(np.linalg.det(tensor) / tensor[1, 1], rel=2e-3)


def test_laminates() -> None:
    """Layers across and along the current, planes along the layers or across them, unequal conductivities."""
    labels = np.repeat([0, 1, 2], [3, 7, 5])[None, :] * np.ones((6, 1), dtype=int)
    normal = [edge_on(0), edge_on(90), [np.nan] * 3]
    structure = simple_structure(labels, normal=normal, in_plane=[1.0, 2.0, 0.3], out_of_plane=[1e-3, 5e-3, 0.3])
    series = 6 / (3 / 1.0 + 7 / 5e-3 + 5 / 0.3)
    assert conductance(structure) == pytest.approx(series, rel=1e-10)
    parallel = (3 * 1e-3 + 7 * 2.0 + 5 * 0.3) / 6
    assert conductance(structure, top=1.0, bottom=0.0) == pytest.approx(parallel, rel=1e-10)


@pytest.mark.parametrize("model", ["tensor", "ding2024"])
def test_bicrystal_with_boundary_resistance(model: str) -> None:
    labels = np.repeat([0, 1], [9, 14])[None, :] * np.ones((5, 1), dtype=int)
    structure = simple_structure(
        labels, step=(3.0, 2.0), normal=[edge_on(0), edge_on(90)], in_plane=[1.0, 1.0], out_of_plane=[1e-3, 1e-3],
        boundary_resistance=2e-5,
    )  # fmt: skip
    solution = solve(edge_problem(structure, left=1.0, right=0.0), TransportSettings(model=model))
    height = 15e-9
    exact = (18e-9 / 1.0 + 28e-9 / 1e-3 + 2e-5) / height  # ohm m
    assert solution.resistance * 100e-9 == pytest.approx(exact, rel=1e-9)
    table = boundary_currents(solution)
    assert table.potential_jump == pytest.approx([2e-5 / height / exact], rel=1e-9)
    assert table.flux_across == pytest.approx([1 / exact / height], rel=1e-9)
    assert table.normal[0] == pytest.approx([1.0, 0.0, 0.0])


def test_single_pair_has_its_own_resistance() -> None:
    labels = np.repeat([0, 1, 2], 4)[None, :] * np.ones((3, 1), dtype=int)
    structure = simple_structure(labels, in_plane=[1.0] * 3, boundary_resistance=1e-9, pair_resistance={(1, 2): 1e-6})
    assert 1 / conductance(structure) == pytest.approx((12 + 1 + 1000) / 3, rel=1e-10)


def test_fast_path_along_a_boundary() -> None:
    """Two blocks in parallel with the boundary between them."""
    labels = np.repeat([0, 1], [6, 8])[None, :] * np.ones((10, 1), dtype=int)
    structure = simple_structure(
        labels, normal=[edge_on(0)] * 2, in_plane=[1.0] * 2, out_of_plane=[1e-3] * 2, boundary_path=50.0
    )
    found = conductance(structure, top=1.0, bottom=0.0)
    assert found == pytest.approx(14 / 10 * 1e-3 + 50 / 10, rel=1e-9)
    solution = solve(edge_problem(structure, top=1.0, bottom=0.0), ONCE)
    assert boundary_currents(solution).flux_path == pytest.approx([50 * 1 / 10e-9], rel=1e-6)


@pytest.mark.parametrize("degrees", [15.0, 30.0, 45.0])
def test_resistance_of_a_tilted_boundary(degrees: float) -> None:
    """A boundary that resists much more than the crystals conducts like its true length, not that of its steps."""
    n = 60
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    labels = (x * np.cos(np.radians(degrees)) + y * np.sin(np.radians(degrees)) > 0).astype(int)
    structure = simple_structure(labels, in_plane=[1.0, 1.0], boundary_resistance=1e-3)
    exact = n * 1e-9 / np.cos(np.radians(degrees)) / 1e-3
    assert conductance(structure) == pytest.approx(exact, rel=0.03)
    stretched = conductance(structure, TransportSettings(refinement_pair=False, straighten=False))
    steps = np.cos(np.radians(degrees)) + np.sin(np.radians(degrees))
    assert stretched == pytest.approx(exact * steps, rel=0.03)


@pytest.fixture(scope="module")
def polycrystal():
    labels, normal = grains((40, 56), 12, 3)
    return simple_structure(
        labels, step=(2.0, 3.0), normal=normal, in_plane=np.ones(12), out_of_plane=np.full(12, 1e-3),
        boundary_resistance=2e-8,
    )  # fmt: skip


def test_charge_is_conserved_in_every_cell(polycrystal) -> None:
    solution = solve(left_and_bottom(polycrystal), ONCE)
    divergence = np.diff(solution.across, axis=1) + np.diff(solution.along, axis=0)
    total = abs(solution.electrode_current[0]) / (100e-9)
    assert np.abs(divergence).max() < 1e-10 * total
    assert solution.charge_balance < 1e-10
    assert solution.checked.residual < 1e-11
    psi = stream_function(solution)
    assert psi is not None
    assert np.diff(psi, axis=0) == pytest.approx(solution.across, abs=1e-9 * total)


def test_quarter_turns_and_mirrors_change_nothing(polycrystal) -> None:
    base = solve(left_and_bottom(polycrystal), ONCE)
    normal = polycrystal.normal
    # a quarter turn from X to Y: (x, y) -> (-y, x); left becomes top, bottom becomes left
    turned = replace(
        polycrystal, labels=np.rot90(polycrystal.labels, -1), step=(3.0, 2.0), normal=normal[:, [1, 0, 2]] * [-1, 1, 1]
    )
    problem = edge_problem(turned, top=1.0, left=0.0)
    problem.of_edge["top"][:13] = -1
    other = solve(problem, ONCE)
    assert other.resistance == pytest.approx(base.resistance, rel=1e-9)
    scale = base.magnitude.max()
    expected = np.rot90(base.current_density[..., [1, 0]] * [-1, 1], -1)
    assert other.current_density == pytest.approx(expected, abs=1e-7 * scale)
    mirrored = replace(polycrystal, labels=polycrystal.labels[:, ::-1], normal=normal * [-1, 1, 1])
    problem = edge_problem(mirrored, right=1.0, bottom=0.0)
    problem.of_edge["right"][27:] = -1
    other = solve(problem, ONCE)
    assert other.resistance == pytest.approx(base.resistance, rel=1e-9)
    assert other.current_density == pytest.approx(base.current_density[:, ::-1] * [-1, 1], abs=1e-7 * scale)


def test_swapping_source_and_sink(polycrystal) -> None:
    there = solve(left_and_bottom(polycrystal), ONCE)
    back = solve(left_and_bottom(polycrystal, 0.0, 1.0), ONCE)
    assert there.resistance == pytest.approx(back.resistance, rel=1e-11)
    assert there.conductance == pytest.approx(there.conductance.T, rel=1e-9)


def _turned_square(turn: float, n: int) -> float:
    """Conductance of a square of two crystals, turned by some degrees on the grid, between two of its sides."""
    half, extent = 10.0, 16.0
    size = 2 * extent / n
    y, x = (np.mgrid[:n, :n] + 0.5) * size - extent
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    u, v = c * x + s * y, -s * x + c * y
    labels = np.where(u - 0.4 * v > 1.0, 1, 0)
    labels[(np.abs(u) > half) | (np.abs(v) > half)] = -1
    structure = simple_structure(
        labels, step=(size, size), normal=[edge_on(25 + turn), edge_on(-40 + turn)], in_plane=[1.0, 1.0],
        out_of_plane=[0.02, 0.02], boundary_resistance=5e-9,
    )  # fmt: skip
    problem = edge_problem(structure, left=1.0, right=0.0)
    of_cell = problem.of_cell.copy()
    of_cell[(u < -half) & (u > -half - 3) & (np.abs(v) <= half)] = 0
    of_cell[(u > half) & (u < half + 3) & (np.abs(v) <= half)] = 1
    edges = {edge: np.full_like(values, -1) for edge, values in problem.of_edge.items()}
    solution = solve(replace(problem, of_cell=of_cell, of_edge=edges), ONCE)
    return 1e9 / (solution.resistance * 100)


def test_any_rotation_converges() -> None:
    """Turned by 0 and by three other angles, the same specimen: they come together as cells get smaller."""
    gap = []
    for n in (32, 128):
        upright = _turned_square(0, n)
        assert _turned_square(90, n) == pytest.approx(upright, rel=1e-9)
        gap.append(np.mean([abs(_turned_square(turn, n) / upright - 1) for turn in (27, 45, 63)]))
    assert gap[1] < 0.6 * gap[0]
    assert gap[1] < 0.035


def _manufactured(n: int, degrees: float, anisotropy: float) -> tuple[float, float]:
    """Errors of potential and current for exp(k u) sin(k w), harmonic in coordinates that make the medium isotropic."""
    tensor = in_plane_tensor(degrees, anisotropy)
    values, vectors = np.linalg.eigh(tensor)
    metric = (vectors / np.sqrt(values)).T * np.sqrt(values.max())  # rows: u, w

    def exact(x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
        u, w = metric[0, 0] * x + metric[0, 1] * y, metric[1, 0] * x + metric[1, 1] * y
        k = 0.3
        phi = np.exp(k * w) * np.sin(k * u)
        slope = (
            k * np.exp(k * w)[..., None] * (np.cos(k * u)[..., None] * metric[0] + np.sin(k * u)[..., None] * metric[1])
        )
        return phi, -slope @ tensor

    h = 1.0 / n
    sheet = Sheet(
        *(np.full((n, n), tensor[i]) for i in ((0, 0), (0, 1), (1, 1))), np.ones((n, n), dtype=bool), (h * 1e9, h * 1e9)
    )
    x, y = (np.arange(n) + 0.5) * h, (np.arange(n)[:, None] + 0.5) * h
    fixed, given = np.zeros((n, n, 4), dtype=bool), np.zeros((n, n, 4))
    for face, rows, columns, x_face, y_face in (
        (WEST, slice(None), 0, 0.0 * y[:, 0], y[:, 0]),
        (EAST, slice(None), -1, 0.0 * y[:, 0] + 1, y[:, 0]),
        (NORTH, 0, slice(None), x, 0.0 * x),
        (SOUTH, -1, slice(None), x, 0.0 * x + 1),
    ):
        fixed[rows, columns, face] = True
        given[rows, columns, face] = exact(x_face, y_face)[0]
    system = System(sheet, resistance=None, fixed=fixed)
    faces, currents, _ = system.solve(given)
    phi, density = exact(x[None, :] + 0 * y, y + 0 * x[None, :])
    found = np.stack([currents[..., WEST] - currents[..., EAST], currents[..., NORTH] - currents[..., SOUTH]], -1) / (
        2 * h
    )
    error = np.sqrt(((system.middle(faces) - phi) ** 2).mean() / (phi**2).mean())
    return float(error), float(np.sqrt(((found - density) ** 2).mean() / (density**2).mean()))


@pytest.mark.parametrize(("degrees", "anisotropy"), [(0.0, 1.0), (20.0, 10.0), (65.0, 100.0), (45.0, 1000.0)])
def test_manufactured_solution(degrees: float, anisotropy: float) -> None:
    """Second order in the potential, at least first in the current."""
    errors = np.array([_manufactured(n, degrees, anisotropy) for n in (32, 64, 128)])
    order = np.log2(errors[:-1] / errors[1:])
    assert order[-1, 0] > 1.8
    assert order[-1, 1] > 0.9


def test_no_extrema_inside_isotropic_grains() -> None:
    """Contrast of 10^6 between neighbours: potentials stay between those of the electrodes."""
    labels, _ = grains((30, 30), 20, 5)
    sigma = 10.0 ** np.random.default_rng(1).uniform(-6, 0, 20)
    solution = solve(edge_problem(simple_structure(labels, in_plane=sigma), left=1.0, right=0.0), ONCE)
    assert solution.faces.min() > -1e-9
    assert solution.faces.max() < 1 + 1e-9
    assert solution.checked.residual < 1e-9


def test_polycrystal_by_dykhne() -> None:
    """Many grains of random direction: the geometric mean of both conductivities (Dykhne 1971)."""
    labels, _ = grains((96, 96), 90, 8)
    angle = np.random.default_rng(2).uniform(0, 180, 90)
    structure = simple_structure(
        labels, normal=[edge_on(a) for a in angle], in_plane=np.ones(90), out_of_plane=np.full(90, 0.1)
    )
    tensor = effective_conductivity(structure, ONCE).tensor
    assert np.sqrt(np.linalg.det(tensor)) == pytest.approx(np.sqrt(0.1), rel=0.08)


def test_effective_tensor_of_a_crystal_is_its_own() -> None:
    for degrees in (0.0, 30.0, 77.0):
        effective = effective_conductivity(crystal(degrees, (9, 13)), ONCE)
        assert effective.tensor == pytest.approx(in_plane_tensor(degrees), rel=1e-9)
        assert effective.principal[0] == pytest.approx([1.0, 1e-3], rel=1e-6)
        away = (effective.principal[1] - degrees + 90) % 180 - 90  # of an axis: 180 degrees are none
        assert away == pytest.approx(0, abs=1e-6)


def test_effective_tensor_of_a_laminate() -> None:
    labels = np.repeat([0, 1], [6, 10])[None, :] * np.ones((8, 1), dtype=int)
    structure = simple_structure(labels, in_plane=[1.0, 0.01], boundary_resistance=0.0)
    effective = effective_conductivity(structure, ONCE)
    assert effective.insulated == pytest.approx([16 / (6 / 1.0 + 10 / 0.01), (6 * 1.0 + 10 * 0.01) / 16], rel=1e-9)
