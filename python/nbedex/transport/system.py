"""The equations of a sheet with electrodes: set up, factorised, solved, and checked every time."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import NbedexError
from nbedex.transport.cells import EAST, NORTH, SOUTH, WEST, Sheet, add_resistance, cell_matrices, close, middle_weights
from nbedex.transport.dissection import GridFactor
from nbedex.transport.sparse import SparseFactor, face_numbers

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_MOST_REFINEMENTS = 6


class NotSolved(NbedexError):
    """The solution isn't one: residual or charge balance beyond the tolerance."""


@dataclass(frozen=True, eq=False)
class Checked:
    """How well equations hold.

    Attributes
    ----------
    residual
        Norm of the current that is lost at faces over the norm of the currents through faces.
    cell_imbalance
        Largest sum of the four currents into a cell, over the total current.
    refinements
        Steps of iterative refinement after the direct solution.
    unknowns
        Number of faces whose potential was looked for.
    factor_bytes
        Memory of the factorisation.
    solver
        "nested dissection" or "SuperLU".
    """

    residual: float
    cell_imbalance: float
    refinements: int
    unknowns: int
    factor_bytes: int
    solver: str


class System:
    """Conductances between the faces of a sheet, with potentials given on some of them.

    Parameters
    ----------
    sheet
        Conductivities.
    resistance
        (ny, nx, 4) m/S, in series between a face and its cell; None for none.
    fixed
        (ny, nx, 4) bool, faces of conducting cells whose potential will be given.
    links
        Sparse symmetric matrix of more conductances between faces (`face_numbers`), or None.
    solver
        "dissection", "superlu", or "auto": the former where there are no links.
    """

    def __init__(
        self, sheet: Sheet, *, resistance: Floats | None, fixed: Bools, links: Any = None, solver: str = "auto"
    ) -> None:
        self.sheet = sheet
        self._fixed = fixed & sheet.conducts[..., None]
        self._links = links
        self._resistance = resistance
        matrices = cell_matrices(sheet)
        if resistance is not None:
            add_resistance(matrices, np.where(sheet.conducts[..., None], resistance, 0.0))
        open_faces = self._fixed | (sheet.conducts[..., None] & _conducts_beyond(sheet.conducts))
        self._closed = close(matrices, sheet.conducts[..., None] & ~open_faces)
        self._matrices = matrices
        self._inner = open_faces & ~self._fixed
        reduced = np.where(self._inner[..., :, None] & self._inner[..., None, :], matrices, 0.0)
        scale = float(np.einsum("yxkk->", matrices)) / max(4 * int(sheet.conducts.sum()), 1)
        alone = ~sheet.conducts[..., None] & ~_outer(sheet.shape)
        for face in range(4):
            reduced[..., face, face] += np.where(alone[..., face], scale, 0.0)
        use_sparse = solver == "superlu" or (solver == "auto" and links is not None)
        self._factor: Any = SparseFactor(reduced, self._between_free(links)) if use_sparse else GridFactor(reduced)
        self.solver = "SuperLU" if use_sparse else "nested dissection"
        self.unknowns = int(self._inner.sum()) // 2

    def solve(self, given: Floats, *, tolerance: float = 1e-8) -> tuple[Floats, Floats, Checked]:
        """Potentials and currents of all faces.

        Parameters
        ----------
        given
            (ny, nx, 4) potentials of fixed faces, V; elsewhere without meaning.
        tolerance
            Largest residual and imbalance that is accepted.

        Returns
        -------
        potentials
            (ny, nx, 4), V; of a face with a resistance: in the middle of the boundary. NaN in cells that don't conduct.
        currents
            (ny, nx, 4) into each cell through its faces per thickness, A/m.
        checked
            How well it is solved.

        Raises
        ------
        NotSolved
            If it isn't.
        """
        faces = np.where(self._fixed, given, 0.0)
        loss, _ = self._loss(faces)
        faces += self._solved(-loss)
        refinements = 0
        loss, residual = self._loss(faces)
        while residual > 1e-15 and refinements < _MOST_REFINEMENTS:
            better = faces + self._solved(-loss)
            new_loss, new_residual = self._loss(better)
            if not new_residual < 0.5 * residual:
                break
            faces, loss, residual = better, new_loss, new_residual
            refinements += 1
        currents = self._currents(faces)
        total = 0.5 * float(np.abs(currents[self._fixed]).sum())
        imbalance = float(np.abs(currents.sum(axis=-1)).max()) / total if total > 0 else 0.0
        if not (residual <= tolerance and imbalance <= tolerance):
            raise NotSolved(
                f"the current is not solved: residual {residual:.1e} and largest imbalance of a cell {imbalance:.1e},"
                f" expected at most {tolerance:.0e}; reduce the contrast of conductivities, or raise the tolerance"
            )
        self._closed.potentials(faces)
        faces = np.where(self.sheet.conducts[..., None], faces, np.nan)
        checked = Checked(residual, imbalance, refinements, self.unknowns, self._factor.n_bytes, self.solver)
        log.info("residual %.1e, imbalance %.1e, %d refinements", residual, imbalance, refinements)
        return faces, currents, checked

    def _between_free(self, links: Any) -> Any:
        """Links without those to fixed faces, which belong to the right-hand side; their diagonal stays."""
        if links is None:
            return None
        from scipy import sparse

        free = sparse.diags(self._by_number(self._inner.astype(float)))
        return free @ links @ free

    def drawn(self, faces: Floats) -> Floats:
        """(ny, nx, 4) current per thickness that links draw from fixed faces, A/m, given at the cell that conducts."""
        if self._links is None:
            return np.zeros_like(faces)
        values = self._links @ self._by_number(np.where(self._fixed | self._inner, faces, 0.0))
        return np.where(self._fixed, values[face_numbers(self.sheet.shape)], 0.0)

    def _solved(self, rhs: Floats) -> Floats:
        return np.where(self._inner, self._factor.solve(rhs[..., None])[..., 0], 0.0)

    def _currents(self, faces: Floats) -> Floats:
        # a constant drives no current; without it nothing large cancels
        known = self._fixed | self._inner
        mean = np.einsum("yxi,yxi->yx", faces, known) / np.maximum(known.sum(axis=-1), 1)
        return np.asarray(np.einsum("yxij,yxj->yxi", self._matrices, faces - mean[..., None]), dtype=np.float64)

    def _loss(self, faces: Floats) -> tuple[Floats, float]:
        """Current lost at each inner face, given at its west or north cell, and its norm over that of all currents."""
        currents = self._currents(faces)
        loss = np.zeros_like(currents)
        loss[:, :-1, EAST] = currents[:, :-1, EAST] + currents[:, 1:, WEST]
        loss[:-1, :, SOUTH] = currents[:-1, :, SOUTH] + currents[1:, :, NORTH]
        if self._links is not None:
            drawn = self._links @ self._by_number(faces)
            numbers = face_numbers(self.sheet.shape)
            loss[..., EAST] += drawn[numbers[..., EAST]]
            loss[..., SOUTH] += drawn[numbers[..., SOUTH]]
        loss[~self._inner] = 0.0
        norm = float(np.linalg.norm(currents))
        return loss, float(np.linalg.norm(loss)) / norm if norm > 0 else 0.0

    def _by_number(self, faces: Floats) -> Floats:
        numbers = face_numbers(self.sheet.shape)
        known = self._fixed | self._inner
        out = np.zeros(int(numbers.max()) + 1)
        out[numbers[known]] = faces[known]
        return out

    def inside(self, faces: Floats, currents: Floats) -> Floats:
        """Potentials (ny, nx, 4) on the cells' side of resistors."""
        return faces if self._resistance is None else faces - self._resistance * currents

    def middle(self, inside: Floats) -> Floats:
        """Potentials (ny, nx) of the cells."""
        weights = middle_weights(self.sheet)
        west_east = inside[..., WEST] + inside[..., EAST]
        return weights[..., 0] * west_east + weights[..., 1] * (inside[..., NORTH] + inside[..., SOUTH])


def _conducts_beyond(conducts: Bools) -> Bools:
    """(ny, nx, 4): whether the cell beyond each face conducts."""
    beyond = np.zeros((*conducts.shape, 4), dtype=bool)
    beyond[:, 1:, WEST] = conducts[:, :-1]
    beyond[:, :-1, EAST] = conducts[:, 1:]
    beyond[1:, :, NORTH] = conducts[:-1]
    beyond[:-1, :, SOUTH] = conducts[1:]
    return beyond


def _outer(shape: tuple[int, int]) -> Bools:
    """(ny, nx, 4): faces on the outer edge."""
    return ~_conducts_beyond(np.ones(shape, dtype=bool))
