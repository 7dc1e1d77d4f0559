"""Quaternions, Bunge Euler angles and disorientations, for whole arrays.

An orientation is orix's: the rotation that takes vectors of the sample frame into the crystal frame,
v_crystal = O v_sample, as a unit quaternion (w, x, y, z) with v' = q v q*. The equivalents of O are S O,
S running over the proper rotations of the phase's Laue class, so symmetry stands on the left.

The operators come from the phase itself and never from the name of a point group: for 2/m with the axis
along b, orix uses an axis along c.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError

Floats = NDArray[np.float64]

# rows handled at once, so that a large map needs tens of MB and not the product of map and symmetry
_ROWS = 65536


def multiply(first: Floats, second: Floats) -> Floats:
    """Hamilton product, the rotation `second` followed by `first`; shapes (..., 4) broadcast."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    aw, ax, ay, az = a[..., 0], a[..., 1], a[..., 2], a[..., 3]
    bw, bx, by, bz = b[..., 0], b[..., 1], b[..., 2], b[..., 3]
    product = np.empty(np.broadcast_shapes(a.shape, b.shape))
    product[..., 0] = aw * bw - ax * bx - ay * by - az * bz
    product[..., 1] = aw * bx + ax * bw + ay * bz - az * by
    product[..., 2] = aw * by - ax * bz + ay * bw + az * bx
    product[..., 3] = aw * bz + ax * by - ay * bx + az * bw
    return product


def conjugate(quaternion: Floats) -> Floats:
    """Inverse of unit quaternions (..., 4)."""
    return np.asarray(np.asarray(quaternion, dtype=np.float64) * np.array([1.0, -1.0, -1.0, -1.0]))


def canonical(quaternion: Floats) -> Floats:
    """The same rotations with unit norm and w >= 0; shape (..., 4), NaN stays NaN.

    Where w is zero, the first of x, y, z that is not zero is made positive.
    """
    q = np.asarray(quaternion, dtype=np.float64)
    norm = np.linalg.norm(q, axis=-1, keepdims=True)
    if bool(np.any(norm == 0)):
        raise ArgumentError("expected quaternions of a rotation, got one with all four components zero")
    q = q / norm
    leading = np.take_along_axis(q, np.argmax(q != 0, axis=-1)[..., None], axis=-1)
    # + 0.0 turns -0.0 into 0.0: equal maps, equal bytes
    return np.asarray(np.where(leading < 0, -q, q) + 0.0)


def to_matrix(quaternion: Floats) -> Floats:
    """Rotation matrices (..., 3, 3) with v_crystal = M v_sample, of unit quaternions (..., 4)."""
    w, x, y, z = np.moveaxis(np.asarray(quaternion, dtype=np.float64), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def rotate(quaternion: Floats, vector: Floats) -> Floats:
    """Vectors (..., 3) turned by unit quaternions (..., 4); an orientation gives crystal-frame vectors."""
    q, v = np.asarray(quaternion, dtype=np.float64), np.asarray(vector, dtype=np.float64)
    w, axis = q[..., :1], q[..., 1:]
    twice = 2.0 * np.cross(axis, v)
    return np.asarray(v + w * twice + np.cross(axis, twice))


def from_euler(euler: Floats) -> Floats:
    """Orientations (..., 4), w >= 0, of Bunge Euler angles (phi1, Phi, phi2) in radians, shape (..., 3).

    The crystal frame is reached from the sample frame by turning about Z by phi1, about the new X by Phi,
    about the new Z by phi2 (Bunge 1982, eq. 2.3); orix calls the result `lab2crystal`.
    """
    phi1, capital_phi, phi2 = np.moveaxis(np.asarray(euler, dtype=np.float64), -1, 0)
    half, mean, difference = capital_phi / 2, (phi1 + phi2) / 2, (phi1 - phi2) / 2
    q = np.stack(
        [
            np.cos(half) * np.cos(mean),
            -np.sin(half) * np.cos(difference),
            -np.sin(half) * np.sin(difference),
            -np.cos(half) * np.sin(mean),
        ],
        axis=-1,
    )
    return canonical(q)


def to_euler(quaternion: Floats) -> Floats:
    """Bunge Euler angles (..., 3) in radians: phi1, phi2 in [0, 2 pi), Phi in [0, pi]; NaN stays NaN.

    Where Phi is 0 or pi only one of phi1, phi2 is determined; phi2 is then 0.
    """
    w, x, y, z = np.moveaxis(np.asarray(quaternion, dtype=np.float64), -1, 0)
    axial, equatorial = np.hypot(w, z), np.hypot(x, y)
    capital_phi = 2 * np.arctan2(equatorial, axial)
    mean, difference = np.arctan2(-z, w), np.arctan2(-y, -x)
    tiny = 1e-12
    mean = np.where(axial < tiny, difference, mean)
    difference = np.where(equatorial < tiny, mean, difference)
    turn = 2 * np.pi
    phi1, phi2 = np.mod(mean + difference, turn), np.mod(mean - difference, turn)
    # np.mod of -1e-17 is 2 pi itself; and both at a pole mean phi2 = 0 exactly
    phi1, phi2 = np.where(phi1 >= turn, 0.0, phi1), np.where(phi2 >= turn, 0.0, phi2)
    return np.stack([phi1, capital_phi, phi2], axis=-1)


def misorientation(first: Floats, second: Floats) -> Floats:
    """Rotation O2 O1^-1 from the crystal frame of `first` to that of `second`, (..., 4)."""
    return multiply(np.asarray(second), conjugate(first))


def rotation_angle(quaternion: Floats) -> Floats:
    """Angle of rotation in radians, [0, pi], exact also for the smallest angles."""
    q = np.asarray(quaternion, dtype=np.float64)
    return np.asarray(2 * np.arctan2(np.linalg.norm(q[..., 1:], axis=-1), np.abs(q[..., 0])))


def disorientation_angle(first: Floats, second: Floats, symmetry: Floats) -> Floats:
    """Least angle between two orientations of one phase over all symmetric equivalents.

    The misorientation M = O2 O1^-1 has the equivalents S_i M S_j. The scalar part of a product does not
    change under cyclic exchange, so the angle of S_i M S_j is that of (S_j S_i) M and one sum over the
    group is enough.

    Parameters
    ----------
    first, second
        Orientations (..., 4), unit quaternions; shapes broadcast. NaN gives NaN.
    symmetry
        Proper rotations of the phase's Laue class (m, 4), `Phase.symmetry_quaternions`.

    Returns
    -------
    angle
        (...) radians.
    """
    operators = np.asarray(symmetry, dtype=np.float64)
    if operators.ndim != 2 or operators.shape[1] != 4 or len(operators) == 0:
        raise ArgumentError(f"symmetry must be quaternions of shape (m, 4), got shape {operators.shape}")
    a, b = np.broadcast_arrays(np.asarray(first, np.float64), np.asarray(second, np.float64))
    shape = a.shape[:-1]
    a, b = a.reshape(-1, 4), b.reshape(-1, 4)
    angle = np.empty(len(a))
    # scalar part of S M = S . (w, -x, -y, -z) of M
    signed = conjugate(operators).T
    for start in range(0, len(a), _ROWS):
        rows = slice(start, start + _ROWS)
        m = misorientation(a[rows], b[rows])
        best = np.argmax(np.abs(m @ signed), axis=-1)
        angle[rows] = rotation_angle(multiply(operators[best], m))
    return angle.reshape(shape)


def half_turned(
    first: Floats,
    second: Floats,
    symmetry: Floats,
    *,
    tilt: float = np.deg2rad(20.0),
    tolerance: float = np.deg2rad(3.0),
) -> NDArray[np.bool_]:
    """Whether two orientations differ by half a turn about a crystal axis near the beam.

    A half turn about a zone axis carries each reflection g of that zone into -g, at the same place and with the same
    excitation error; by Friedel's law the zone's spots are the same, however far the beam is tilted off the axis. Only
    reflections of other zones tell the two apart, and a thin crystal at small k shows none: this is the 180-degree
    ambiguity of single patterns.

    Parameters
    ----------
    first, second
        Orientations (..., 4), unit quaternions; shapes broadcast. NaN gives False.
    symmetry
        Proper rotations of the phase's Laue class (m, 4).
    tilt
        Largest angle (radians) between the axis of the half turn and the beam.
    tolerance
        Largest deviation (radians) from half a turn.

    Returns
    -------
    is_half_turn
        (...) bool.
    """
    a, b = np.broadcast_arrays(np.asarray(first, np.float64), np.asarray(second, np.float64))
    m = misorientation(a, b)
    beam = rotate(a, np.array([0.0, 0.0, 1.0]))  # crystal direction along the beam
    operators = np.asarray(symmetry, dtype=np.float64)
    turn = multiply(operators.reshape(-1, *[1] * (m.ndim - 1), 4), m)  # of all operators at once
    axis = turn[..., 1:]
    with np.errstate(invalid="ignore"):
        near_half = np.abs(turn[..., 0]) <= np.sin(tolerance / 2)
        along = np.abs(axis[..., 0] * beam[..., 0] + axis[..., 1] * beam[..., 1] + axis[..., 2] * beam[..., 2])
        near_half &= along >= np.cos(tilt) * np.linalg.norm(axis, axis=-1)
    return np.asarray(near_half.any(axis=0))
