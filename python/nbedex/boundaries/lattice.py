"""Lattices whose metric is rational, near that of a phase.

Coincidence rotations other than those that symmetry gives exist only where ratios of squared cell lengths are rational.
So the cell is strained a little to one whose metric (a_i . a_j) is a matrix of small integers, up to scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# primitive vectors as columns, in sixths of the conventional ones
_PRIMITIVE = {
    "P": [[6, 0, 0], [0, 6, 0], [0, 0, 6]],
    "A": [[6, 0, 0], [0, 3, 0], [0, 3, 6]],
    "B": [[3, 0, 0], [0, 6, 0], [3, 0, 6]],
    "C": [[3, 0, 0], [3, 6, 0], [0, 0, 6]],
    "I": [[6, 0, 3], [0, 6, 3], [0, 0, 3]],
    "F": [[0, 3, 3], [3, 0, 3], [3, 3, 0]],
    "R": [[6, 0, 4], [0, 6, 2], [0, 0, 2]],  # hexagonal axes, obverse
}
_LARGEST = 400  # of the integer that stands for a . a


@dataclass(frozen=True, kw_only=True, eq=False)
class RationalLattice:
    """A primitive lattice with integer metric.

    Attributes
    ----------
    metric
        (3, 3) int64, scalar products of the primitive vectors in units of their common measure, without common factor.
    basis
        (3, 3), columns the primitive vectors in the crystal frame, basis.T @ basis == metric.
    primitive
        (3, 3) int64, columns the primitive vectors in sixths of the conventional ones.
    strain
        How much the most changed ratio of two lengths in the crystal differs from the phase's; 0 if the cell is not
        strained.
    description
        The strained cell for people, such as "(c/a)²=36"; "" where there is nothing to say.
    """

    metric: Ints
    basis: Floats
    primitive: Ints
    strain: float
    description: str

    @property
    def determinant(self) -> int:
        """Of the metric."""
        return round(float(np.linalg.det(self.metric)))


def rational_lattices(cell: Floats, centring: str, *, tolerance: float) -> Iterator[RationalLattice]:
    """Lattices within a strain of the phase's, those with the smallest integers first.

    Parameters
    ----------
    cell
        (3, 3), rows a, b, c in the crystal frame, in any unit.
    centring
        P, A, B, C, I, F or R. R with other than hexagonal axes is primitive.
    tolerance
        Largest strain.
    """
    basis = np.asarray(cell, dtype=np.float64).T
    metric = basis.T @ basis / (basis[:, 0] @ basis[:, 0])
    hexagonal = bool(abs(metric[0, 1] + 0.5) < 1e-3 and abs(metric[1, 1] - 1) < 1e-3)
    sixths = np.array(_PRIMITIVE[centring if centring != "R" or hexagonal else "P"], dtype=np.int64)
    for first in range(1, _LARGEST + 1):
        integers = np.rint(first * metric).astype(np.int64)
        if hexagonal:
            # a . b is half of a . a, and the ratio (c/a)^2 is counted in whole a . a
            integers *= 2
            integers[0, 1] = integers[1, 0] = -first
            integers[1, 1] = integers[0, 0]
        strained = _aligned(integers, basis)
        if strained is None or strained[1] > max(tolerance, 1e-9):
            continue
        product = sixths.T @ integers @ sixths
        measure = int(np.gcd.reduce(product.reshape(-1)))
        yield RationalLattice(
            metric=product // measure,
            basis=strained[0] @ sixths / np.sqrt(measure),
            primitive=sixths,
            strain=strained[1] if strained[1] > 1e-6 else 0.0,
            description=_described(integers, hexagonal=hexagonal),
        )


def _aligned(integers: Ints, basis: Floats) -> tuple[Floats, float] | None:
    """The cell with that metric, turned so that it is reached from `basis` by pure strain, and that strain."""
    try:
        upper = np.linalg.cholesky(integers.astype(np.float64)).T
    except np.linalg.LinAlgError:
        return None  # rounded too far: these are no scalar products of three vectors
    left, stretches, right = np.linalg.svd(upper @ np.linalg.inv(basis))
    return (left @ right).T @ upper, float(stretches[0] / stretches[-1] - 1)


def _described(integers: Ints, *, hexagonal: bool) -> str:
    """Ratios of the strained cell: one for tetragonal and hexagonal axes, squared lengths and products otherwise."""
    diagonal = np.diag(integers)
    off = (integers[1, 2], integers[0, 2], integers[0, 1])
    if not any(off) and diagonal[0] == diagonal[1] == diagonal[2]:
        return ""
    if hexagonal or (not any(off) and diagonal[0] == diagonal[1]):
        shared = int(np.gcd(diagonal[0], diagonal[2]))
        above, below = int(diagonal[2]) // shared, int(diagonal[0]) // shared
        return f"(c/a)²={above}" + (f"/{below}" if below > 1 else "")
    text = "a²:b²:c²=" + ":".join(str(value) for value in diagonal)
    names = [f"{name}={value}" for name, value in zip(("bc", "ac", "ab"), off, strict=True) if value]
    return ", ".join([text, *names])
