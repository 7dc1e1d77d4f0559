"""Unit cell: validity, the crystal's Cartesian frame, and the bases of the two lattices.

Crystal frame: e1 || a, e3 || c*, e2 = e3 x e1. Lengths in angstrom, reciprocal lengths 1/d in 1/angstrom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import DataFormatError

Cell = tuple[float, float, float, float, float, float]

_NAMES = ("a", "b", "c", "alpha", "beta", "gamma")
_MIN_LENGTH, _MAX_LENGTH = 1.0, 1000.0
# Volume over a*b*c below which a cell counts as flat; a rhombohedral cell with alpha = 15 degrees has 0.05.
_MIN_VOLUME_RATIO = 1e-3
# A cell may miss the symmetry of its space group by this much (0.1 % of a length, 0.1 degrees): it is then
# rounded to it, because every later step relies on exact operators. Beyond it, the file contradicts itself.
_METRIC_TOLERANCE = 2e-3


def check_cell(cell: Sequence[float], where: str) -> Cell:
    """Return `cell` as six floats, or raise DataFormatError if it isn't a possible unit cell.

    Parameters
    ----------
    cell
        a, b, c in angstrom, alpha, beta, gamma in degrees.
    where
        What to call the source in the message, for example the file name.
    """
    values = tuple(float(v) for v in cell)
    if len(values) != 6:
        raise DataFormatError(f"{where}: a unit cell has 6 parameters, got {len(values)}")
    for name, value in zip(_NAMES[:3], values[:3], strict=True):
        if not (math.isfinite(value) and _MIN_LENGTH <= value <= _MAX_LENGTH):
            raise DataFormatError(
                f"{where}: cell length {name} must lie between {_MIN_LENGTH:g} and {_MAX_LENGTH:g} angstrom,"
                f" got {value:g}"
            )
    for name, value in zip(_NAMES[3:], values[3:], strict=True):
        if not (math.isfinite(value) and 1.0 < value < 179.0):
            raise DataFormatError(f"{where}: cell angle {name} must lie between 1 and 179 degrees, got {value:g}")
    squared = _volume_ratio_squared(values)
    if squared < _MIN_VOLUME_RATIO**2:
        angles = ", ".join(f"{v:g}" for v in values[3:])
        raise DataFormatError(f"{where}: cell angles {angles} enclose no volume")
    return (values[0], values[1], values[2], values[3], values[4], values[5])


def direct_basis(cell: Cell) -> NDArray[np.float64]:
    """Matrix (3, 3) with columns a, b, c in the crystal frame, angstrom."""
    a, b, c = cell[:3]
    cos_alpha, cos_beta, cos_gamma = (_cos_deg(v) for v in cell[3:])
    sin_gamma = math.sqrt(1.0 - cos_gamma**2)
    height = math.sqrt(_volume_ratio_squared(cell)) / sin_gamma
    return np.array(
        [
            [a, b * cos_gamma, c * cos_beta],
            [0.0, b * sin_gamma, c * (cos_alpha - cos_beta * cos_gamma) / sin_gamma],
            [0.0, 0.0, c * height],
        ]
    )


def reciprocal_basis(cell: Cell) -> NDArray[np.float64]:
    """Matrix (3, 3) with columns a*, b*, c* in the crystal frame, 1/angstrom (no 2 pi)."""
    return np.ascontiguousarray(np.linalg.inv(direct_basis(cell)).T)


def fit_cell_to_symmetry(cell: Cell, rotations: NDArray[np.int64], where: str) -> tuple[Cell, float]:
    """Return the cell nearest to `cell` whose metric the operations keep, and how far off it was.

    The metric tensor G is averaged over the group, W^T G W.

    Parameters
    ----------
    cell
        Unit cell.
    rotations
        Rotation parts (n, 3, 3) acting on fractional coordinates, a group.
    where
        What to call the source in the message.

    Returns
    -------
    cell, deviation
        The fitted cell and the largest relative deviation of a metric element. The cell is returned
        unchanged where the deviation is rounding.
    """
    basis = direct_basis(cell)
    metric = basis.T @ basis
    images = np.swapaxes(rotations, 1, 2) @ metric @ rotations
    lengths = np.sqrt(np.diag(metric))
    deviation = float(np.max(np.abs(images - metric) / np.outer(lengths, lengths)))
    if deviation > _METRIC_TOLERANCE:
        shown = ", ".join(f"{v:g}" for v in cell)
        raise DataFormatError(
            f"{where}: the unit cell ({shown}) doesn't have the symmetry of the space group"
            f" (its metric changes by {deviation:.2g} under the group's operations,"
            f" {_METRIC_TOLERANCE:g} allowed); cell, setting or operations are wrong"
        )
    if deviation < 1e-9:
        return cell, deviation
    mean = images.mean(axis=0)
    a, b, c = np.sqrt(np.diag(mean))
    angles = (mean[1, 2] / (b * c), mean[0, 2] / (a * c), mean[0, 1] / (a * b))
    fitted = [float(a), float(b), float(c), *(math.degrees(math.acos(v)) for v in angles)]
    rounded = [round(v, 9) for v in fitted]
    return (rounded[0], rounded[1], rounded[2], rounded[3], rounded[4], rounded[5]), deviation


def _volume_ratio_squared(cell: Sequence[float]) -> float:
    """(V / abc)^2, negative for impossible angles."""
    ca, cb, cg = (_cos_deg(v) for v in cell[3:6])
    return 1.0 - ca * ca - cb * cb - cg * cg + 2.0 * ca * cb * cg


def _cos_deg(angle: float) -> float:
    """Cosine of an angle in degrees, exact where crystals need it: 60, 90 and 120 degrees."""
    exact = {60.0: 0.5, 90.0: 0.0, 120.0: -0.5}
    return exact.get(angle, math.cos(math.radians(angle)))
