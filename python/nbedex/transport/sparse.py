"""The same systems as `nbedex.transport.dissection` with SciPy's sparse LU factorisation.

Slower (docs/decisions/transport-solver.md), but it takes links between faces that are not of one cell: paths along
boundaries. For everything else it is the check.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.transport.dissection import NotPositiveDefinite

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def face_numbers(shape: tuple[int, int]) -> Ints:
    """(ny, nx, 4) number of every cell's faces: vertical ones first, row by row."""
    ny, nx = shape
    across = np.arange(ny * (nx + 1)).reshape(ny, nx + 1)
    along = ny * (nx + 1) + np.arange((ny + 1) * nx).reshape(ny + 1, nx)
    return np.stack([across[:, :-1], across[:, 1:], along[:-1], along[1:]], axis=-1)


class SparseFactor:
    """Factorisation with the interface of `GridFactor`.

    Parameters
    ----------
    cells
        (ny, nx, 4, 4) symmetric cell matrices.
    links
        Symmetric sparse matrix between face numbers to be added, or None.
    """

    def __init__(self, cells: Floats, links: Any = None) -> None:
        from scipy import sparse
        from scipy.sparse.linalg import splu

        self._numbers = numbers = face_numbers(cells.shape[:2])
        rows, columns = np.repeat(numbers[..., None], 4, axis=-1), np.repeat(numbers[..., None, :], 4, axis=-2)
        wanted = cells != 0
        size = int(numbers.max()) + 1
        matrix = sparse.coo_matrix((cells[wanted], (rows[wanted], columns[wanted])), shape=(size, size)).tocsc()
        if links is not None:
            matrix = (matrix + links).tocsc()
        self._live = np.flatnonzero(matrix.diagonal() > 0)
        self._matrix = matrix[self._live][:, self._live]
        try:
            self._factor = splu(
                self._matrix,
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
        except RuntimeError as error:
            raise NotPositiveDefinite(f"the equations of the current have no unique solution: {error}") from error

    def solve(self, rhs: Floats) -> Floats:
        """(ny, nx, 4, m) right-hand sides, to be added up per face -> potentials (ny, nx, 4, m)."""
        m = rhs.shape[3]
        size = int(self._numbers.max()) + 1
        total = np.stack(
            [np.bincount(self._numbers.ravel(), rhs[..., k].ravel(), minlength=size) for k in range(m)], axis=1
        )
        out = np.zeros((size, m))
        out[self._live] = self._factor.solve(total[self._live])
        return out[self._numbers]

    @property
    def n_bytes(self) -> int:
        """Memory that the factorisation holds: values and indices of L and U."""
        return int(self._factor.nnz) * 12
