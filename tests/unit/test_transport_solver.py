"""The direct solver for grids against SciPy's, and how systems report what they are worth."""

from __future__ import annotations

import numpy as np
import pytest

from nbedex.transport import NotSolved, TransportSettings, edge_problem, simple_structure, solve
from nbedex.transport.cells import Sheet, add_resistance, cell_matrices
from nbedex.transport.dissection import GridFactor, NotPositiveDefinite
from nbedex.transport.sparse import SparseFactor, face_numbers
from oracles.current_oracle import grains


def _system(shape: tuple[int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cell matrices with all outer faces held, and right-hand sides of two columns; holes and strong contrast."""
    rng = np.random.default_rng(seed)
    ny, nx = shape
    angle, low = rng.uniform(0, np.pi, shape), 10.0 ** rng.uniform(-4, 0, shape)
    high = 10.0 ** rng.uniform(-2, 0, shape)
    c, s = np.cos(angle), np.sin(angle)
    low = low * high
    sheet = Sheet(
        high * c * c + low * s * s,
        (high - low) * c * s,
        high * s * s + low * c * c,
        rng.random(shape) > 0.15,
        (1.5, 1.0),
    )
    cells = cell_matrices(sheet)
    outer = np.zeros((ny, nx, 4), dtype=bool)
    outer[:, 0, 0] = outer[:, -1, 1] = outer[0, :, 2] = outer[-1, :, 3] = True
    cells[outer[..., None] | outer[..., None, :]] = 0.0
    cells += np.where(outer, 0.0, 1e-3)[..., None] * np.eye(4)  # so that nothing floats
    return cells, np.where(outer[..., None], 0.0, rng.standard_normal((ny, nx, 4, 2)))


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 2), (2, 1), (1, 40), (37, 1), (3, 5), (16, 16), (17, 31), (64, 40), (100, 230), (210, 97)]
)
def test_dissection_equals_superlu(shape: tuple[int, int]) -> None:
    cells, rhs = _system(shape, 5)
    factor = GridFactor(cells)
    found, expected = factor.solve(rhs), SparseFactor(cells).solve(rhs)
    assert found.shape == rhs.shape
    assert found == pytest.approx(expected, rel=1e-7, abs=1e-9 * np.abs(expected).max(initial=1.0))
    assert np.array_equal(found[:, :-1, 1], found[:, 1:, 0])
    assert np.array_equal(found[:-1, :, 3], found[1:, :, 2])
    assert shape == (1, 1) or factor.n_bytes > 0


def test_dissection_solves_the_dense_system() -> None:
    cells, rhs = _system((5, 7), 2)
    found = GridFactor(cells).solve(rhs[..., :1])[..., 0]
    ny, nx = 5, 7
    number = face_numbers((ny, nx))
    dense, right = np.zeros((200, 200)), np.zeros(200)
    for y in range(ny):
        for x in range(nx):
            dense[np.ix_(number[y, x], number[y, x])] += cells[y, x]
            right[number[y, x]] += rhs[y, x, :, 0]
    live = np.flatnonzero(np.diag(dense) > 0)
    solution = np.zeros(200)
    solution[live] = np.linalg.solve(dense[np.ix_(live, live)], right[live])
    assert found == pytest.approx(solution[number], rel=1e-9, abs=1e-12)


def test_singular_systems_are_refused() -> None:
    """An island that nothing holds."""
    cells = cell_matrices(
        Sheet(*(np.full((6, 6), v) for v in (1.0, 0.2, 0.7)), np.ones((6, 6), dtype=bool), (1.0, 1.0))
    )
    cells[:, 0, 0, 0] = 0  # only one side's diagonal is wrong: the rest has no unique solution
    cells[2, 2] = 0.0
    cells[2, 2][np.diag_indices(4)] = -5.0
    with pytest.raises(NotPositiveDefinite, match="no unique solution"):
        GridFactor(cells)


def test_resistors_between_face_and_cell() -> None:
    """The condensed matrix gives the currents that the two relations q = S (faces - R q) give together."""
    rng = np.random.default_rng(0)
    sheet = Sheet(*(np.full((2, 3), v) for v in (1.0, 0.3, 0.5)), np.ones((2, 3), dtype=bool), (2.0, 1.0))
    inner = cell_matrices(sheet)
    resistance = rng.uniform(0, 3, (2, 3, 4)) * (rng.random((2, 3, 4)) > 0.4)
    outer = add_resistance(inner.copy(), resistance)
    faces = rng.standard_normal((2, 3, 4))
    current = np.einsum("yxij,yxj->yxi", outer, faces)
    assert current == pytest.approx(np.einsum("yxij,yxj->yxi", inner, faces - resistance * current), rel=1e-10)
    assert outer == pytest.approx(np.swapaxes(outer, 2, 3))


def test_linear_potentials_are_exact() -> None:
    """Whatever the tensor and the shape of cells, currents of a linear potential are those of the tensor."""
    tensor = np.array([[1.3, 0.4], [0.4, 0.2]])
    sheet = Sheet(
        *(np.full((1, 1), tensor[i]) for i in ((0, 0), (0, 1), (1, 1))), np.ones((1, 1), dtype=bool), (2.0, 5.0)
    )
    slope = np.array([0.7, -1.1])
    faces = np.array([-2.5 * slope[0], 2.5 * slope[0], -slope[1], slope[1]])
    current = cell_matrices(sheet)[0, 0] @ faces
    density = -tensor @ slope
    assert current == pytest.approx([2 * density[0], -2 * density[0], 5 * density[1], -5 * density[1]])


def test_isotropic_cells_are_m_matrices() -> None:
    sheet = Sheet(np.full((1, 1), 3.0), np.zeros((1, 1)), np.full((1, 1), 3.0), np.ones((1, 1), dtype=bool), (1.0, 1.0))
    matrix = cell_matrices(sheet)[0, 0]
    assert (matrix - np.diag(np.diag(matrix)) <= 1e-15).all()


@pytest.mark.parametrize("model", ["tensor", "ding2024"])
def test_contrast_of_a_million(model: str) -> None:
    """Anisotropy 10^3 and another 10^3 between grains, with holes; both solvers, both to their own check."""
    labels, normal = grains((50, 60), 25, 6)
    rng = np.random.default_rng(3)
    labels[rng.random(labels.shape) < 0.08] = -1
    high = 10.0 ** rng.uniform(-3, 0, 25)
    structure = simple_structure(
        labels, step=(3.0, 3.0), normal=normal, in_plane=high, out_of_plane=high * 1e-3, boundary_resistance=2e-8
    )
    found = [
        solve(
            edge_problem(structure, left=1.0, right=0.0),
            TransportSettings(model=model, solver=s, refinement_pair=False),
        )
        for s in ("dissection", "superlu")
    ]
    assert found[0].resistance == pytest.approx(found[1].resistance, rel=1e-7)
    for solution in found:
        assert solution.checked.residual < 1e-9
        assert solution.charge_balance < 1e-9
        assert solution.checked.cell_imbalance < 1e-11


def test_what_is_not_solved_is_an_error() -> None:
    structure = simple_structure(
        np.zeros((8, 8), dtype=int), normal=[[0.6, 0.8, 0.0]], in_plane=[1.0], out_of_plane=[1e-3]
    )
    with pytest.raises(NotSolved, match=r"the current is not solved: residual .* expected at most 1e-30"):
        solve(edge_problem(structure, left=1.0, right=0.0), TransportSettings(tolerance=1e-30))
