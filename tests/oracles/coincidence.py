"""Coincidence rotations by the definition and by integer quaternions: slow, and obvious.

Matrices and quaternions as everywhere: v' = R v, scalar first.
"""

from __future__ import annotations

from itertools import product

import numpy as np


def sigma_by_definition(rotation: np.ndarray, basis: np.ndarray, limit: int) -> int:
    """The least N <= limit for which N M and N M^-1 are integer, M = B^-1 R B, B's columns primitive; 0 if none."""
    m = np.linalg.inv(basis) @ rotation @ basis
    for n in range(1, limit + 1):
        both = n * np.concatenate([m, np.linalg.inv(m)])
        if np.abs(both - np.rint(both)).max() < 1e-6:
            return n
    return 0


def sigma_by_counting(rotation: np.ndarray, basis: np.ndarray, radius: int) -> float:
    """One over the share of lattice points near the origin that are points of the turned lattice too."""
    span = range(-radius, radius + 1)
    points = np.array(list(product(span, span, span))) @ basis.T
    inside = points[np.linalg.norm(points, axis=1) <= radius * np.linalg.svd(basis)[1][-1]]
    back = inside @ rotation @ np.linalg.inv(basis).T
    shared = np.abs(back - np.rint(back)).max(axis=1) < 1e-6
    return len(inside) / int(shared.sum())


def rational_rotations(metric: np.ndarray, limit: int) -> list[tuple[int, np.ndarray]]:
    """Σ and axis-angle quaternions of all coincidence rotations with Σ <= limit of a lattice with integer metric.

    A rotation with rational M turns about a lattice vector p by tan(theta / 2) = |B p| / (m sqrt(det G)), m and p
    integers without common factor; with F = m^2 det G + p.Gp the numerators of M over F share at most the factor
    4 det G, so F <= 4 det G limit.
    """
    determinant = round(np.linalg.det(metric))
    basis = np.linalg.cholesky(metric).T
    inverse = np.linalg.inv(basis)
    largest = 4 * determinant * limit
    reach = np.floor(np.sqrt(largest * np.diag(np.linalg.inv(metric)))).astype(int)
    p = np.array(list(product(*(range(-n, n + 1) for n in reach))))
    square = np.einsum("ij,jk,ik->i", p, metric, p)
    found = []
    for m in range(int(2 * limit**0.5) + 1):
        rows = (m * m * determinant + square <= largest) & (
            np.gcd.reduce(np.column_stack([p, 0 * p[:, :1] + m]), 1) == 1
        )
        q = np.column_stack([np.full(rows.sum(), m * np.sqrt(determinant)), p[rows] @ basis.T])
        q /= np.linalg.norm(q, axis=1, keepdims=True)
        w, v = q[:, 0, None, None], q[:, 1:]
        cross = np.cross(np.eye(3)[None], v[:, None, :])  # rows e_i x v: the matrix of v x
        turned = (2 * w**2 - 1) * np.eye(3) + 2 * v[:, :, None] * v[:, None, :] + 2 * w * cross
        matrices = inverse @ turned @ basis
        both = np.concatenate([matrices, np.linalg.inv(matrices)], axis=1)
        sigma = np.zeros(len(q), dtype=int)
        for n in range(limit, 0, -1):
            sigma[np.abs(n * both - np.rint(n * both)).max(axis=(1, 2)) < 1e-6] = n
        found += [(int(s), x) for s, x in zip(sigma, q, strict=True) if s]
    return found
