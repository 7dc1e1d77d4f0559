"""Rotation matrices made exact, and turned into quaternions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def nearest_rotations(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthogonal matrices nearest to (m, 3, 3), free of rounding noise about zero."""
    u, _, vt = np.linalg.svd(matrices)
    return np.asarray(np.round(u @ vt, 14) + 0.0)


def quaternions(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit quaternions (m, 4), scalar first, of rotation matrices (m, 3, 3).

    From q q^T, whose sixteen elements are linear in the matrix (Shepperd 1978): the column with the largest
    diagonal element is the best conditioned, also at 180 degrees.
    """
    r = matrices
    outer = np.empty((len(r), 4, 4))
    outer[:, 0, 0] = 1 + r[:, 0, 0] + r[:, 1, 1] + r[:, 2, 2]
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        outer[:, i + 1, i + 1] = 1 + r[:, i, i] - r[:, j, j] - r[:, k, k]
        outer[:, 0, i + 1] = outer[:, i + 1, 0] = r[:, k, j] - r[:, j, k]
        outer[:, i + 1, j + 1] = outer[:, j + 1, i + 1] = r[:, i, j] + r[:, j, i]
    best = np.argmax(np.diagonal(outer, axis1=1, axis2=2), axis=1)
    q = outer[np.arange(len(r)), best]
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    q[np.abs(q) < 1e-14] = 0.0
    leading = q[np.arange(len(q)), np.argmax(q != 0, axis=1)]
    return np.asarray(q * np.sign(leading)[:, None] + 0.0)
