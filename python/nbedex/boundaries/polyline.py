"""Length, normals and places along the polylines of boundaries.

Polylines run so that grain_a lies on the left as one sees the map (Y down): m = Z x t points from grain_a to grain_b,
t being the direction along the line.
"""

from __future__ import annotations

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


def mean_normal(points: Floats) -> Floats:
    """Mean of the local normals weighted by length, (3,), in the plane of the map; NaN where they cancel (a closed line).

    The sum of the pieces is the chord, so this is the chord's normal.
    """
    chord = points[-1] - points[0]
    length = float(np.linalg.norm(chord))
    if length <= 1e-9 * polyline_length(points):
        return np.full(3, np.nan)
    return np.array([-chord[1] / length, chord[0] / length, 0.0])
