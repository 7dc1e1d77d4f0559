"""Angles between crystals of point group -3m for whole batches of Bunge angles, in degrees.

Written for speed and for this one purpose; tests/oracles/lamella_oracle.py says the same slowly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbedex.maps.orientation import conjugate, multiply

Floats = NDArray[np.float64]

A, C = 5.614, 33.85  # beta''-alumina, angstrom
LONGEST_ZONE = 24.0  # angstrom: lattice vectors up to here count as low-index zone axes
# identity and thirds of a turn about c, half turns about a and its equivalents
SYMMETRY = np.array(
    [[np.cos(k * np.pi / 3), 0, 0, np.sin(k * np.pi / 3)] for k in range(3)]
    + [[0, np.cos(k * np.pi / 3), np.sin(k * np.pi / 3), 0] for k in range(3)]
)


def from_bunge(bunge: Floats) -> Floats:
    """Quaternions (..., 4), sample to crystal."""
    phi1, phi, phi2 = np.moveaxis(np.deg2rad(bunge), -1, 0)
    half, mean, difference = phi / 2, (phi1 + phi2) / 2, (phi1 - phi2) / 2
    return np.stack(
        [
            np.cos(half) * np.cos(mean),
            -np.sin(half) * np.cos(difference),
            -np.sin(half) * np.sin(difference),
            -np.cos(half) * np.sin(mean),
        ],
        axis=-1,
    )


def normals(bunge: Floats) -> Floats:
    """c in the sample frame (..., 3)."""
    phi1, phi = np.deg2rad(bunge[..., 0]), np.deg2rad(bunge[..., 1])
    return np.stack([np.sin(phi1) * np.sin(phi), -np.cos(phi1) * np.sin(phi), np.cos(phi)], axis=-1)


def _angle(scalar: Floats) -> Floats:
    return np.rad2deg(2 * np.arccos(np.clip(scalar, 0, 1 - 1e-12)))


def disorientation_deg(first: Floats, second: Floats) -> Floats:
    """Least angle (...) over the six operators: the scalar part of S_i M S_j is that of S_j S_i M."""
    m = multiply(second, conjugate(first))
    return _angle(np.abs(m @ conjugate(SYMMETRY).T).max(axis=-1))


def coincidences(about_c_deg: float) -> Floats:
    """All equivalents (72, 4) of a rotation about c, grains exchanged or not."""
    half = np.deg2rad(about_c_deg) / 2
    both = np.array([[np.cos(half), 0, 0, np.sin(half)], [np.cos(half), 0, 0, -np.sin(half)]])
    left = multiply(SYMMETRY[:, None, None], both[None, :, None])
    return multiply(left, SYMMETRY[None, None, :]).reshape(-1, 4)


def angle_to(first: Floats, second: Floats, variants: Floats) -> Floats:
    """Angle (...) from the misorientation of two crystals to the nearest of some rotations (k, 4)."""
    return _angle(np.abs(multiply(second, conjugate(first)) @ variants.T).max(axis=-1))


def line_angle(first: Floats, second: Floats) -> Floats:
    """Angle between directions without sense, 0 to 90."""
    apart = np.abs(first - second) % 180
    return np.minimum(apart, 180 - apart)


def _zone_axes() -> Floats:
    """(k, 3) unit vectors along the shortest lattice vectors, one of each pair of opposite ones."""
    cell = np.array([[A, 0, 0], [-A / 2, A * np.sqrt(3) / 2, 0], [0, 0, C]])
    whole = np.array(
        [
            (u, v, w)
            for w in range(3)
            for u in range(-13, 14)
            for v in range(-13, 14)
            if (-u + v + w) % 3 == 0 and (w > 0 or v > 0 or (v == 0 and u > 0))
        ]
    )
    vectors = whole @ cell / 3
    length = np.linalg.norm(vectors, axis=1)
    return vectors[length < LONGEST_ZONE] / length[length < LONGEST_ZONE, None]


_ZONES = _zone_axes()


def zone_distance(bunge: Floats) -> Floats:
    """Angle (...) from the beam to the nearest low-index zone axis."""
    phi, phi2 = np.deg2rad(bunge[..., 1]), np.deg2rad(bunge[..., 2])
    beam = np.stack([np.sin(phi2) * np.sin(phi), np.cos(phi2) * np.sin(phi), np.cos(phi)], axis=-1)
    return np.rad2deg(np.arccos(np.clip(np.abs(beam @ _ZONES.T).max(axis=-1), 0, 1)))
