"""Zone axes for template libraries: an even grid over the fundamental sector of any Laue group, in any setting.

The grid is a geodesic one: the faces of an icosahedron, divided into triangles. No lattice on a sphere covers it with
fewer than about 63,500 caps of radius half a degree; this one needs 8 % more. `step_deg` is a promise: no direction is
farther than half a step from a grid point or a symmetrical equivalent of one.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError

Array = NDArray[np.float64]

# Points are pulled along the face by sin(w * arc): with this arc (slightly more than the icosahedron's edge of 63.4
# degrees) the small triangles have nearly equal circumradii, 0.54 to 0.59 degrees for 49,000 points.
_WARP_ARC = 1.1 * np.arctan(2.0)
_SAME = 1e-7  # directions closer than this (radians) are one


def zone_axis_grid(laue_operators: Array, *, step_deg: float) -> Array:
    """Beam directions in the crystal frame, one per class of equivalent directions.

    Parameters
    ----------
    laue_operators : (n, 3, 3) float64
        All operations of the Laue group (inversion included) as Cartesian matrices acting on crystal vectors.
    step_deg
        Angular step in degrees: every direction is within step_deg / 2 of a grid point or an equivalent of one.

    Returns
    -------
    (m, 3) float64
        Unit vectors within one fundamental sector. No two are equivalent. Together with the mirror images of their
        patterns (which stand for the opposite directions) they cover all beam directions.
    """
    if not (np.isfinite(step_deg) and 0.05 <= step_deg <= 20.0):
        raise ArgumentError(f"step_deg must lie between 0.05 and 20 degrees, got {step_deg!r}")
    axes = _icosahedron_axes(laue_operators)
    points = _geodesic(np.deg2rad(step_deg) / 2) @ axes.T
    seed = _sector_seed(laue_operators)
    near = points[_near_sector(points, laue_operators, seed, margin=np.deg2rad(step_deg) / 2)]
    return _unique(_fold(near, laue_operators, seed))


def zone_axis_orientations(directions: Array) -> Array:
    """Quaternions (m, 4), sample to crystal, that bring the beam (sample Z) along `directions` (m, 3).

    O = R_z(azimuth) R_y(polar angle); the in-plane angle is arbitrary and left to matching.
    """
    polar = np.arccos(np.clip(directions[:, 2], -1.0, 1.0)) / 2
    azimuth = np.arctan2(directions[:, 1], directions[:, 0]) / 2
    return np.stack(
        [
            np.cos(azimuth) * np.cos(polar),
            -np.sin(azimuth) * np.sin(polar),
            np.cos(azimuth) * np.sin(polar),
            np.sin(azimuth) * np.cos(polar),
        ],
        axis=1,
    )


def _icosahedron() -> tuple[Array, list[tuple[int, int, int]]]:
    """Vertices (12, 3), with two-fold axes along x, y and z, and the 20 faces."""
    golden = (1 + np.sqrt(5)) / 2
    corners = [(0.0, s, t * golden) for s in (1, -1) for t in (1, -1)]
    vertices = np.array([np.roll(c, shift) for shift in range(3) for c in corners])
    vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    touching = vertices @ vertices.T > 0.4
    faces = [f for f in combinations(range(12), 3) if all(touching[a, b] for a, b in combinations(f, 2))]
    return vertices, faces


def _geodesic(radius: float) -> Array:
    """Points (n, 3) on the unit sphere, no direction farther than `radius` (radians) from one of them."""
    vertices, faces = _icosahedron()
    n = max(1, int(np.floor(0.6 / radius)))
    while _covering_radius(*_divided_face(vertices[list(faces[0])], n)) > radius:
        n += 1
    return _unique(np.concatenate([_divided_face(vertices[list(face)], n)[0] for face in faces]))


def _divided_face(corners: Array, n: int) -> tuple[Array, NDArray[np.intp]]:
    """Points of one face with edges cut into n, and the corner numbers (n * n, 3) of its small triangles."""
    i, j = (index.ravel() for index in np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij"))
    inside = i + j <= n
    number = np.full((n + 2, n + 2), -1)
    number[i[inside], j[inside]] = np.arange(inside.sum())
    weights = np.stack([i, j, n - i - j], axis=1)[inside] / n
    points = np.sin(weights * _WARP_ARC) @ corners
    points /= np.linalg.norm(points, axis=1, keepdims=True)

    a, b = i[inside], j[inside]
    up = np.stack([number[a, b], number[a + 1, b], number[a, b + 1]], axis=1)[a + b < n]
    down = np.stack([number[a + 1, b], number[a + 1, b + 1], number[a, b + 1]], axis=1)[a + b < n - 1]
    return points, np.concatenate([up, down])


def _covering_radius(points: Array, triangles: NDArray[np.intp]) -> float:
    """Largest circumradius (radians) of the spherical triangles."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    pole = np.cross(b - a, c - a)
    pole /= np.linalg.norm(pole, axis=1, keepdims=True)
    return float(np.arccos(np.abs(np.einsum("ij,ij->i", pole, a)).min()))


def _icosahedron_axes(operators: Array) -> Array:
    """Turn (3, 3) of the icosahedron that shares the most operations with the Laue group.

    A grid with the symmetry of the group needs no extra points along the sector's edges. The icosahedron has the
    operations of m-3 in its standard position and those of -3m (two ways round) with a three-fold axis upright.
    """
    vertices, _ = _icosahedron()
    upright = _basis(np.array([1.0, 1.0, 1.0]), np.array([1.0, -1.0, 0.0]))
    turned = _basis(np.array([1.0, 1.0, 1.0]), np.array([1.0, 1.0, -2.0]))

    def shared(axes: Array) -> int:
        corners = vertices @ axes.T
        images = np.einsum("nij,vj->nvi", operators, corners)
        matched = (np.einsum("nvi,wi->nvw", images, corners) > 1 - 1e-9).any(axis=2).all(axis=1)
        return int(matched.sum())

    return max((np.eye(3), upright, turned), key=shared)


def _basis(up: Array, along: Array) -> Array:
    """Rotation that carries `up` to z and `along` (perpendicular to it) to x."""
    z, x = up / np.linalg.norm(up), along / np.linalg.norm(along)
    return np.stack([x, np.cross(z, x), z])


def _sector_seed(operators: Array) -> Array:
    """Middle of the fundamental sector: the direction whose nearest equivalent is as far away as can be.

    The sector is the set of directions nearer to the seed than to any equivalent of it (a Dirichlet cell), which is a
    fundamental domain of any group in any setting; of many trial directions the roundest cell is taken.
    """
    n = 4000
    k = np.arange(n) + 0.5
    polar, azimuth = np.arccos(1 - 2 * k / n), np.pi * (1 + np.sqrt(5)) * k
    trials = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=1)
    others = [op for op in operators if not np.allclose(op, np.eye(3))]
    nearest = np.max([np.einsum("ni,ij,nj->n", trials, op, trials) for op in others], axis=0)
    return np.asarray(trials[np.argmin(np.round(nearest, 9))])


def _near_sector(points: Array, operators: Array, seed: Array, *, margin: float) -> NDArray[np.bool_]:
    """Which points lie in the seed's cell or within `margin` (radians) of it."""
    keep = np.ones(len(points), dtype=bool)
    for image in operators @ seed:
        away = seed - image
        length = np.linalg.norm(away)
        if length > _SAME:
            keep &= points @ (away / length) >= -np.sin(margin) - 1e-9
    return keep


def _fold(points: Array, operators: Array, seed: Array) -> Array:
    """The equivalent of each point in the seed's cell; on its edge, that with the largest x, then y, then z."""
    images = np.einsum("nij,pj->pni", operators, points)
    score = images @ seed
    tied = score >= score.max(axis=1, keepdims=True) - 1e-9
    order = np.round(images, 7) @ np.array([1.0, 1e-3, 1e-6])
    return np.asarray(images[np.arange(len(points)), np.where(tied, order, -np.inf).argmax(axis=1)])


def _unique(points: Array) -> Array:
    """Points without repetition, in a fixed order."""
    from scipy.spatial import cKDTree

    keep = np.ones(len(points), dtype=bool)
    for i, j in sorted(cKDTree(points).query_pairs(_SAME)):
        if keep[i]:
            keep[j] = False
    return points[keep]
