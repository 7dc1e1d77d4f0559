"""The Laue groups in every setting that matters, multiplied out from generators written down by hand.

Cartesian matrices in the crystal frame, e1 || a, e3 || c*.
"""

from __future__ import annotations

import numpy as np


def turn(axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    """Rotation matrix about an axis (Rodrigues)."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    a = np.deg2rad(degrees)
    return np.eye(3) + np.sin(a) * k + (1 - np.cos(a)) * (k @ k)


def generated(*generators: np.ndarray) -> np.ndarray:
    """The group (n, 3, 3) that some matrices generate, identity first."""
    group = [np.eye(3)]
    for element in group:  # grows while it is walked
        for generator in generators:
            product = generator @ element
            if not any(np.allclose(product, known, atol=1e-9) for known in group):
                group.append(product)
    return np.array(group)


A, B, C = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def _rhombohedral_axes(alpha_deg: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Three-fold axis a + b + c and two-fold axis a - b of a rhombohedral cell in its own axes."""
    cos, sin = np.cos(np.deg2rad(alpha_deg)), np.sin(np.deg2rad(alpha_deg))
    # c* is normal to a and b, so with e1 || a and e3 || c*, b lies in the plane of e1 and e2
    a, b = np.array([1.0, 0.0, 0.0]), np.array([cos, sin, 0.0])
    c2 = (cos - cos * cos) / sin
    c = np.array([cos, c2, np.sqrt(1 - cos**2 - c2**2)])
    return tuple(a + b + c), tuple(a - b)


_R3, _R2 = _rhombohedral_axes(71.0)

PROPER: dict[str, np.ndarray] = {
    "-1": generated(),
    "2/m, a unique": generated(turn(A, 180)),
    "2/m, b unique": generated(turn(B, 180)),
    "2/m, c unique": generated(turn(C, 180)),
    "mmm": generated(turn(A, 180), turn(C, 180)),
    "4/m": generated(turn(C, 90)),
    "4/mmm": generated(turn(C, 90), turn(A, 180)),
    "-3": generated(turn(C, 120)),
    "-3m1": generated(turn(C, 120), turn(A, 180)),
    "-31m": generated(turn(C, 120), turn(B, 180)),
    "-3, rhombohedral axes": generated(turn(_R3, 120)),
    "-3m, rhombohedral axes": generated(turn(_R3, 120), turn(_R2, 180)),
    "6/m": generated(turn(C, 60)),
    "6/mmm": generated(turn(C, 60), turn(A, 180)),
    "m-3": generated(turn(A, 180), turn(C, 180), turn((1, 1, 1), 120)),
    "m-3m": generated(turn(C, 90), turn((1, 1, 1), 120)),
}

ORDERS = {
    "-1": 1, "2/m, a unique": 2, "2/m, b unique": 2, "2/m, c unique": 2, "mmm": 4, "4/m": 4, "4/mmm": 8, "-3": 3,
    "-3m1": 6, "-31m": 6, "-3, rhombohedral axes": 3, "-3m, rhombohedral axes": 6, "6/m": 6, "6/mmm": 12, "m-3": 12,
    "m-3m": 24,
}  # fmt: skip


def with_inversion(proper: np.ndarray) -> np.ndarray:
    """The whole Laue group of its proper rotations."""
    return np.concatenate([proper, -proper])


def matrix(quaternion: np.ndarray) -> np.ndarray:
    """v_crystal = M v_sample of one unit quaternion (w, x, y, z): turn by 2 arccos(w) about (x, y, z)."""
    w, axis = quaternion[0], np.asarray(quaternion[1:])
    sine = np.linalg.norm(axis)
    return np.eye(3) if sine < 1e-15 else turn(tuple(axis), np.rad2deg(2 * np.arctan2(sine, w)))


def random_quaternions(n: int, seed: int) -> np.ndarray:
    """Evenly distributed orientations (n, 4) with w >= 0."""
    q = np.random.default_rng(seed).normal(size=(n, 4))
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    return q * np.where(q[:, :1] < 0, -1.0, 1.0)


def disorientation_deg(first: np.ndarray, second: np.ndarray, proper: np.ndarray) -> float:
    """Least angle in degrees between two orientation matrices (3, 3) over all equivalents S O."""
    traces = np.einsum("nij,jk,ik->n", proper, first, second)
    return float(np.rad2deg(np.arccos(np.clip((traces.max() - 1) / 2, -1, 1))))
