"""Length, normals and places along the polylines of boundaries.

Polylines run so that grain_a lies on the left as one sees the map (Y down): m = Z x t points from grain_a to grain_b,
t being the direction along the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError

Floats = NDArray[np.float64]


def polyline_length(points: Floats) -> float:
    """Length of a polyline (m, 2), in its own unit."""
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def local_normals(points: Floats, *, inclination_deg: float = 0.0) -> Floats:
    """Boundary normals along a polyline, from grain_a to grain_b.

    Parameters
    ----------
    points
        (m, 2) vertices, as in `Boundaries.points`.
    inclination_deg
        How far the normal is tilted out of the map towards +Z; 0 for a boundary edge-on to the lamella.

    Returns
    -------
    normals
        (m - 1, 3) unit vectors in the sample frame, one for each straight piece, at `midpoints`.
    """
    along = np.diff(np.asarray(points, dtype=np.float64), axis=0)
    length = np.linalg.norm(along, axis=1)
    if len(along) == 0 or not np.all(length > 0):
        raise ArgumentError("a polyline needs at least two points, all different from the one before")
    tilt = np.deg2rad(inclination_deg)
    flat = np.stack([-along[:, 1], along[:, 0]], axis=1) / length[:, None] * np.cos(tilt)
    return np.column_stack([flat, np.full(len(flat), np.sin(tilt))])


def midpoints(points: Floats) -> Floats:
    """Middles (m - 1, 2) of the straight pieces of a polyline."""
    return np.asarray((points[:-1] + points[1:]) / 2)


def piece_lengths(points: Floats) -> Floats:
    """Lengths (m - 1,) of the straight pieces of a polyline."""
    return np.asarray(np.linalg.norm(np.diff(points, axis=0), axis=1))


@dataclass(frozen=True, kw_only=True, eq=False)
class Measures:
    """Length (n,), mean normal (n, 3) and whether it is closed (n,), of n polylines."""

    length: Floats
    normal: Floats
    closed: NDArray[np.bool_]


def measure(lines: Sequence[Floats]) -> Measures:
    """Measure polylines, all at once.

    The mean normal is that of the local normals weighted by length, in the plane of the map. The pieces add up to the
    chord, so it is the chord's normal; on a closed line they cancel and it is NaN.
    """
    if not lines:
        return Measures(length=np.zeros(0), normal=np.zeros((0, 3)), closed=np.zeros(0, dtype=bool))
    points = np.concatenate(lines)
    counts = np.array([len(line) for line in lines])
    first = np.cumsum(counts) - counts
    pieces = np.linalg.norm(np.diff(points, axis=0), axis=1)
    pieces[first[1:] - 1] = 0.0  # from one line to the next
    length = np.add.reduceat(np.append(pieces, 0.0), first)
    chord = points[first + counts - 1] - points[first]
    straight = np.linalg.norm(chord, axis=1)
    closed = straight <= 1e-9 * length
    flat = np.stack([-chord[:, 1], chord[:, 0]], axis=1) / np.where(closed, np.nan, straight)[:, None]
    return Measures(length=length, normal=np.column_stack([flat, np.where(closed, np.nan, 0.0)]), closed=closed)
