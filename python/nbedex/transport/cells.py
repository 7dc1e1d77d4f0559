"""From conductivities of cells to the matrix of each cell: currents into it from potentials on its four faces.

Unknowns are the mean potentials of faces (pixel edges), so currents are continuous from face to face and every cell
balances its own. Order of faces: west, east, north, south (north is towards row 0). docs/decisions/ has the reasons.

Units: conductivities in S/m, lengths in nm; a matrix entry is a conductance per thickness, S/m, since lengths cancel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

WEST, EAST, NORTH, SOUTH = range(4)
_EX = np.array([-1.0, 1.0, 0.0, 0.0])
_EY = np.array([0.0, 0.0, -1.0, 1.0])
_TWIST = np.array([1.0, 1.0, -1.0, -1.0])


@dataclass(frozen=True, eq=False)
class Sheet:
    """Conductivity of every cell in the plane.

    Attributes
    ----------
    xx, xy, yy
        (ny, nx) S/m; what stands in cells that don't conduct has no meaning.
    conducts
        (ny, nx) bool.
    step
        (dy, dx) in nm.
    two_point
        Whether a cell is the published star of four resistors (which has no place for `xy`) and not the finite
        element that carries the whole tensor.
    """

    xx: Floats
    xy: Floats
    yy: Floats
    conducts: Bools
    step: tuple[float, float]
    two_point: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        ny, nx = self.xx.shape
        return int(ny), int(nx)


def cell_matrices(sheet: Sheet) -> Floats:
    """(ny, nx, 4, 4) S/m: current into a cell per thickness, from its faces' potentials. Zero where nothing conducts.

    Linear potentials are exact. What is left is one mode, x^2 - y^2 in units of the cell, whose stiffness any positive
    multiple of the conductivity may be (mimetic and hybrid methods; the rotated bilinear elements of Rannacher & Turek
    1992 have 1/3 and 3/4 of the trace). Half of the trace is the most at which no entry off the diagonal of an
    isotropic cell is positive, so that potentials there have no extrema inside. The published star of four resistors
    has its own.
    """
    dy, dx = sheet.step
    along_x, along_y = sheet.xx * (dy / dx), sheet.yy * (dx / dy)
    with np.errstate(divide="ignore", invalid="ignore"):
        twist = along_x * along_y / (along_x + along_y) if sheet.two_point else 0.5 * (along_x + along_y)
    matrices = np.empty((*sheet.shape, 4, 4))
    for i in range(4):
        for j in range(4):
            entry = along_x * (_EX[i] * _EX[j]) + along_y * (_EY[i] * _EY[j]) + twist * (_TWIST[i] * _TWIST[j])
            if not sheet.two_point:
                entry += sheet.xy * (_EX[i] * _EY[j] + _EY[i] * _EX[j])
            matrices[..., i, j] = np.where(sheet.conducts, entry, 0.0)
    return matrices


def middle_weights(sheet: Sheet) -> Floats:
    """(ny, nx, 2): weights of west + east and of north + south in a cell's own potential."""
    if not sheet.two_point:
        return np.full((*sheet.shape, 2), 0.25)
    dy, dx = sheet.step
    along_x, along_y = sheet.xx * (dy / dx), sheet.yy * (dx / dy)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = 0.5 * along_x / (along_x + along_y)
    return np.stack([share, 0.5 - share], axis=-1)


def add_resistance(matrices: Floats, resistance: Floats) -> Floats:
    """Put resistors between faces and cells.

    Parameters
    ----------
    matrices
        (ny, nx, 4, 4), S/m; changed in place.
    resistance
        (ny, nx, 4), m/S: resistance times thickness of each face.

    Returns
    -------
    matrices
        (1 + S R)^-1 S: the same relation, between currents and potentials beyond the resistors.
    """
    rows, columns = np.nonzero(resistance.any(axis=-1))
    inner = matrices[rows, columns]
    through = np.eye(4) + inner * resistance[rows, columns][:, None, :]
    outer = np.linalg.solve(through, inner)
    matrices[rows, columns] = 0.5 * (outer + np.swapaxes(outer, 1, 2))
    return matrices


@dataclass(frozen=True, eq=False)
class Closed:
    """Faces through which nothing flows, eliminated: `potentials` has theirs back."""

    steps: tuple[tuple[int, NDArray[np.intp], NDArray[np.intp], Floats], ...]

    def potentials(self, faces: Floats) -> None:
        """Fill in the closed faces of (ny, nx, 4), in place."""
        for face, rows, columns, share in reversed(self.steps):
            faces[rows, columns, face] = 0.0
            faces[rows, columns, face] = np.einsum("nk,nk->n", share, faces[rows, columns])


def close(matrices: Floats, closed: Bools) -> Closed:
    """Eliminate faces that carry no current, in place: their rows and columns become zero.

    A cell must have at least one face that is not closed (others are floating and were taken out).
    """
    steps = []
    for face in range(4):
        rows, columns = np.nonzero(closed[..., face])
        chosen = matrices[rows, columns]
        share = -chosen[:, face] / chosen[:, face, face, None]
        chosen += chosen[:, :, face, None] * share[:, None, :]
        chosen[:, face, :] = 0.0
        chosen[:, :, face] = 0.0
        share[:, face] = 0.0
        matrices[rows, columns] = chosen
        steps.append((face, rows, columns, share))
    return Closed(tuple(steps))


def of_faces(across: NDArray[np.generic], along: NDArray[np.generic]) -> NDArray[np.generic]:
    """Values of vertical faces (ny, nx + 1) and horizontal faces (ny + 1, nx) -> of every cell's faces (ny, nx, 4)."""
    return np.stack([across[:, :-1], across[:, 1:], along[:-1], along[1:]], axis=-1)
