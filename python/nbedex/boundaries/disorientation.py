"""Reduced disorientations, and angles between planes and between their traces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbedex.grains import disorientations

Floats = NDArray[np.float64]


def reduced(rotations: Floats, symmetry: Floats) -> Floats:
    """The disorientations (n, 4) of misorientations (n, 4) of one phase, as `nbedex.grains.disorientations` has them.

    Of all S_i M S_j and their inverses the one of least angle with its axis in the standard sector.
    """
    m = np.asarray(rotations, dtype=np.float64)
    return disorientations(np.broadcast_to([1.0, 0.0, 0.0, 0.0], m.shape), m, symmetry, threads=1).rotation


def plane_angle_deg(first: Floats, second: Floats) -> Floats:
    """Angle in degrees, 0 to 90, between planes with unit normals (..., 3); exact near both ends. NaN gives NaN."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    across = np.linalg.norm(np.cross(a, b), axis=-1)
    along = np.abs(np.sum(a * b, axis=-1))
    return np.asarray(np.rad2deg(np.arctan2(across, along)))


def trace_angle_deg(first: Floats, second: Floats) -> Floats:
    """Angle in degrees, 0 to 90, between directions given modulo 180 degrees (...); NaN gives NaN."""
    difference = np.mod(np.asarray(first, np.float64) - np.asarray(second, np.float64), 180.0)
    return np.asarray(np.minimum(difference, 180.0 - difference))
