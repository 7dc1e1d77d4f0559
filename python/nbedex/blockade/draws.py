"""The orientations that are tried to see how far a class and an accumulation can be trusted.

One fixed set serves every stretch of boundary, in axes that go with the boundary (m, Z x m, Z), so that the answer
depends on neither the order of the work nor how the map lies. It is a low-discrepancy sequence (Roberts' additive
recurrence) with its images under two symmetries: all errors reversed, and the two grains swapped, which turns m round.
Means and variances of every coordinate are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# rotation of A about (m, t, Z), of B, then the boundary: its direction in the map, its tilt out of the beam
_N = 8
_HALF_TURN = np.array([-1.0, -1.0, 1.0])  # about Z: m and t change sign


@dataclass(frozen=True, eq=False)
class Draws:
    """Errors in units of their sigma; k draws.

    Attributes
    ----------
    turn_a, turn_b
        (3, k) rotation vectors of the two grains, along m, t = Z x m, Z.
    direction, tilt
        (k,) of the boundary: about Z, and out of the edge-on position.
    """

    turn_a: Floats
    turn_b: Floats
    direction: Floats
    tilt: Floats


@cache
def make_draws(n_draws: int) -> Draws:
    """`n_draws` draws, a multiple of 4."""
    base = _standard_normal(_recurrence(n_draws // 4))
    full = np.concatenate([base, swapped(base)])
    full = np.concatenate([full, -full])
    full = full @ _inverse_root(full.T @ full / len(full))
    columns = np.ascontiguousarray(full.T)
    columns.setflags(write=False)
    return Draws(columns[0:3], columns[3:6], columns[6], columns[7])


def swapped(draws: Floats) -> Floats:
    """The same errors (n, 8) seen after the grains changed places, with the boundary's normal turned round."""
    return np.concatenate(
        [draws[:, 3:6] * _HALF_TURN, draws[:, 0:3] * _HALF_TURN, draws[:, 6:7], -draws[:, 7:8]], axis=1
    )


def _recurrence(n: int) -> Floats:
    """(n, 8) points in the unit cube: multiples of powers of the root of x^9 = x + 1, modulo 1."""
    root = 1.0
    for _ in range(60):
        root = (1.0 + root) ** (1.0 / (_N + 1))
    steps = root ** -np.arange(1.0, _N + 1.0)
    return np.asarray((0.5 + np.arange(1, n + 1)[:, None] * steps) % 1.0)


def _standard_normal(uniform: Floats) -> Floats:
    from scipy.special import ndtri

    return np.asarray(ndtri(uniform))


def _inverse_root(covariance: Floats) -> Floats:
    """Inverse square root; of a singular covariance (very few draws) that of the part that is there."""
    values, vectors = np.linalg.eigh(covariance)
    inverse = np.where(values > 1e-9, 1.0 / np.sqrt(np.maximum(values, 1e-9)), 0.0)
    return np.asarray((vectors * inverse) @ vectors.T)
