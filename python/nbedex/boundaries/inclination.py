"""Boundary planes that are not edge-on to the lamella."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nbedex.boundaries.disorientation import plane_angle_deg
from nbedex.boundaries.model import BoundaryNetwork
from nbedex.errors import ArgumentError

Floats = NDArray[np.float64]


def inclined(network: BoundaryNetwork, inclination_deg: Floats) -> BoundaryNetwork:
    """The network with boundary planes tilted out of the beam direction.

    Parameters
    ----------
    network
        As traced.
    inclination_deg
        (n,) for every segment the angle by which its normal, from grain_a to grain_b, is turned from the plane of the
        map towards +Z, -90 to 90 (excluded); 0 or NaN where it is edge-on or not known. A closed segment has no mean
        normal and must be edge-on.

    Returns
    -------
    network
        With `normal` and the planes' angles to the boundary changed; the rest is the same.
    """
    b, planes = network.boundaries, network.grain_map.grains.conduction_normal
    angle = np.nan_to_num(np.asarray(inclination_deg, dtype=np.float64), nan=0.0)
    if angle.shape != (len(b),):
        raise ArgumentError(f"expected an inclination for each of {len(b)} segments, got shape {angle.shape}")
    if not np.all(np.abs(angle) < 90):
        raise ArgumentError("an inclination must lie between -90 and 90 degrees; at 90 a boundary lies in the lamella")
    if np.any(b.closed & (angle != 0)):
        raise ArgumentError("a closed boundary has no mean normal; it can't be given an inclination")
    flat = b.normal[:, :2] / np.linalg.norm(b.normal[:, :2], axis=1, keepdims=True)
    tilt = np.deg2rad(angle)
    normal = np.column_stack([flat * np.cos(tilt)[:, None], np.where(b.closed, np.nan, np.sin(tilt))])
    changed = replace(
        b,
        normal=normal,
        plane_to_boundary_a_deg=plane_angle_deg(planes[b.grain_a], normal),
        plane_to_boundary_b_deg=plane_angle_deg(planes[b.grain_b], normal),
    )
    known = int(np.count_nonzero(angle))
    text = f"given for {known} of {len(b)} segments, the others edge-on" if known else "edge-on assumed"
    return replace(network, boundaries=changed, settings={**network.settings, "inclination": text})


def inclination_of(network: BoundaryNetwork) -> Floats:
    """Inclinations (n,) in degrees as `inclined` takes them; 0 for a closed segment."""
    return np.asarray(np.rad2deg(np.arcsin(np.clip(np.nan_to_num(network.boundaries.normal[:, 2]), -1, 1))))


def inclination_from_width(width: Floats, thickness: float) -> Floats:
    """Size of the inclination in degrees from how wide a boundary looks in projection.

    A plane tilted by i through a lamella of that thickness overlaps both grains over a width thickness * tan(i). To
    which side it tilts doesn't show in one projection: the sign is the user's to give.

    Parameters
    ----------
    width
        Width of the overlap, nm, at least 0.
    thickness
        Of the lamella, nm.
    """
    if not thickness > 0 or np.any(np.asarray(width) < 0):
        raise ArgumentError(f"expected a thickness above 0 and widths of at least 0, got {thickness!r} and {width!r}")
    return np.asarray(np.rad2deg(np.arctan2(np.asarray(width, dtype=np.float64), thickness)))
