"""Polygons that share corners: whether they cut a rectangle without gap or overlap, and which one a point is in.

Corners are rows (y, x) in the sample frame (docs/conventions.md), Y down; a ring runs from X towards Y, clockwise on
the screen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError

Floats = NDArray[np.float64]
Ring = Sequence[int]


def areas(corners: Floats, rings: Sequence[Ring]) -> Floats:
    """(n,) areas, positive for rings that run from X towards Y."""
    return np.array([_area(corners[list(ring)]) for ring in rings])


def _area(points: Floats) -> float:
    y, x = points[:, 0], points[:, 1]
    return 0.5 * float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def check_partition(corners: Floats, rings: Sequence[Ring], names: Sequence[str], size: tuple[float, float]) -> None:
    """Check that the rings cut the rectangle from (0, 0) to `size` into parts.

    Every ring must run from X towards Y without crossing itself, every edge inside the rectangle must belong to two
    rings, once in each direction, and the edges left over must be the rectangle's outline. Then the rings' winding
    numbers add up to one everywhere inside, and as each is 0 or 1, every point lies in exactly one ring.

    Raises
    ------
    ArgumentError
        Which ring, and what is wrong with it.
    """
    owner: dict[tuple[int, int], int] = {}
    for number, ring in enumerate(rings):
        if len(ring) < 3 or len(set(ring)) != len(ring):
            raise ArgumentError(
                f"region {names[number]!r} needs at least three corners, all different, got {list(ring)}"
            )
        if min(ring) < 0 or max(ring) >= len(corners):
            raise ArgumentError(f"region {names[number]!r} names corner {max(ring)}; there are {len(corners)}")
        for edge in zip(ring, [*ring[1:], ring[0]], strict=True):
            if edge in owner:
                raise ArgumentError(
                    f"regions {names[owner[edge]]!r} and {names[number]!r} lie on the same side of an edge"
                )
            owner[edge] = number
        check_ring(corners[list(ring)], names[number])
    for (first, second), number in owner.items():
        if (second, first) not in owner and not _on_outline(corners[[first, second]], size):
            raise ArgumentError(
                f"region {names[number]!r} has nothing on the other side of its edge from corner {first} to {second};"
                " neighbours must share the corners of their boundary"
            )
    total, whole = float(areas(corners, rings).sum()), size[0] * size[1]
    if abs(total - whole) > 1e-9 * whole:
        raise ArgumentError(f"the regions cover {total:g} nm^2 of a field of view of {whole:g} nm^2")


def check_ring(points: Floats, name: str) -> None:
    """Check that a ring (k, 2) runs from X towards Y and doesn't cross or touch itself."""
    if _area(points) <= 0:
        raise ArgumentError(f"the corners of region {name!r} must run from X towards Y (clockwise, Y down)")
    n = len(points)
    start, end = points, np.roll(points, -1, axis=0)
    for i in range(n):
        for j in range(i + 2, n - (i == 0)):
            if _cross(start[i], end[i], start[j], end[j]):
                raise ArgumentError(f"the outline of region {name!r} crosses itself between its corners {i} and {j}")


def _cross(p: Floats, q: Floats, r: Floats, s: Floats) -> bool:
    """Whether segments p-q and r-s have a point in common."""

    def side(a: Floats, b: Floats, c: Floats) -> float:
        return float((b[1] - a[1]) * (c[0] - a[0]) - (b[0] - a[0]) * (c[1] - a[1]))

    apart = (np.maximum(p, q) < np.minimum(r, s)) | (np.maximum(r, s) < np.minimum(p, q))
    return not apart.any() and side(p, q, r) * side(p, q, s) <= 0 and side(r, s, p) * side(r, s, q) <= 0


def _on_outline(edge: Floats, size: tuple[float, float]) -> bool:
    return any(np.all(edge[:, axis] == value) for axis in (0, 1) for value in (0.0, size[axis]))


def locate(
    y: Floats,
    x: Floats,
    corners: Floats,
    rings: Sequence[Ring],
    lean: Floats | None = None,
    depth: Floats | None = None,
) -> NDArray[np.int64]:
    """Ring that each point (n,) lies in, -1 if none; corners may move with the depth (n,) of a point.

    Even-odd rule. Each edge is asked once and its answer serves both its rings, so that rounding opens no gap along it.
    """
    parity = np.zeros((len(rings), len(y)), dtype=bool)
    users: dict[tuple[int, int], list[int]] = {}
    for number, ring in enumerate(rings):
        for first, second in zip(ring, [*ring[1:], ring[0]], strict=True):
            users.setdefault((min(first, second), max(first, second)), []).append(number)
    for (first, second), numbers in users.items():
        ends = []
        for corner in (first, second):
            place = corners[corner]
            if lean is None or depth is None or not lean[corner].any():
                ends.append((place[0], place[1]))
            else:
                ends.append((place[0] + lean[corner, 0] * depth, place[1] + lean[corner, 1] * depth))
        (y0, x0), (y1, x1) = ends
        between = (y0 <= y) != (y1 <= y)
        rise = np.where(between, y1 - y0, 1.0)
        left = between & (x < x0 + (x1 - x0) * ((y - y0) / rise))
        for number in numbers:
            parity[number] ^= left
    found = parity.argmax(axis=0)
    return np.where(parity.any(axis=0), found, -1)
