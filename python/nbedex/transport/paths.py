"""Fast paths along boundaries: conductances between the faces that a boundary runs over.

The unknown of a face on a boundary is the potential in the middle of the boundary, so a path along it is a chain of
conductors from face to face. Where two or more faces meet in a corner of cells they are joined as a star, whose middle
is eliminated here (star-mesh transform), so that triple points need no rule of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.transport.sparse import face_numbers
from nbedex.transport.staircase import BoundaryFaces
from nbedex.transport.structure import Structure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def path_links(structure: Structure, faces: BoundaryFaces, contacts: NDArray[np.int16]) -> Any:
    """Sparse symmetric matrix of conductances (S/m) between face numbers (`nbedex.transport.sparse.face_numbers`).

    A boundary that ends at an electrode, faces where `contacts` (ny, nx, 4) is not negative, is joined to it.
    """
    from scipy import sparse

    ny, nx = structure.shape
    vertical, row, column = faces.vertical, faces.row, faces.column
    number = np.where(vertical, row * (nx + 1) + column + 1, ny * (nx + 1) + (row + 1) * nx + column)
    # from the middle of a face to its two ends: half a step, along the boundary's true direction
    size = np.where(vertical, structure.step[0], structure.step[1])
    half = structure.boundary_path * faces.stretch / (0.5 * size)
    end, conductance = np.tile(number, 2), np.tile(half, 2)
    corner = _corners(number, (ny, nx)).ravel()
    touching = np.unique(face_numbers((ny, nx))[contacts >= 0])
    metal_corner, first = np.unique(_corners(touching, (ny, nx)).ravel(), return_index=True)
    metal_face = np.tile(touching, 2)[first]
    at_metal = np.isin(corner, metal_corner)
    n = ny * (nx + 1) + (ny + 1) * nx

    def laplacian(a: Ints, b: Ints, g: Floats) -> Any:
        both = sparse.coo_matrix((np.r_[g, g, -g, -g], (np.r_[a, b, a, b], np.r_[a, b, b, a])), shape=(n, n))
        return both.tocsc()

    metal = metal_face[np.searchsorted(metal_corner, corner[at_metal])] if len(metal_face) else end[:0]
    links = laplacian(end[at_metal], metal, conductance[at_metal])
    names, corner = np.unique(corner[~at_metal], return_inverse=True)
    star = sparse.coo_matrix((conductance[~at_metal], (end[~at_metal], corner)), shape=(n, len(names))).tocsc()
    total = np.asarray(star.sum(axis=0)).ravel()
    mesh = star @ sparse.diags(1.0 / total) @ star.T
    return (links + sparse.diags(np.asarray(star.sum(axis=1)).ravel()) - mesh).tocsc()


def _corners(number: Ints, shape: tuple[int, int]) -> Ints:
    """(2, k) numbers of the corners of cells at the two ends of faces."""
    ny, nx = shape
    vertical = number < ny * (nx + 1)
    row = np.where(vertical, number // (nx + 1), (number - ny * (nx + 1)) // nx)
    column = np.where(vertical, number % (nx + 1), (number - ny * (nx + 1)) % nx)
    first = row * (nx + 1) + column
    return np.stack([first, np.where(vertical, first + nx + 1, first + 1)])
