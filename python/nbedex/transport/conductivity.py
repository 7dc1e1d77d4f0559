"""Conductivities of grains with conduction planes, in the plane of a thin lamella.

`plane_tensor` and `lamella_tensor` make the physical tensor (model "tensor"), `published_conductivities` the formula of
Ding2024 eq. 4-1 (model "ding2024").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Below this inclination the trace of a plane on the surface has no direction (degrees).
FLAT_DEG = 0.01


def planar_rows(normal: Floats) -> NDArray[np.bool_]:
    """(n,) whether there are conduction planes: normals (n, 3) without NaN."""
    return np.asarray(np.isfinite(normal).all(axis=1), dtype=np.bool_)


def plane_tensor(normal: Floats, in_plane: Floats, out_of_plane: Floats) -> Floats:
    """Conductivity tensors of crystals that conduct along planes.

    Parameters
    ----------
    normal
        (n, 3) unit normals of the conduction planes in the sample frame; NaN where a crystal conducts alike in all
        directions.
    in_plane, out_of_plane
        (n,) conductivities along and across the planes, S/m. Where `normal` is NaN, `in_plane` holds for all.

    Returns
    -------
    tensor
        (n, 3, 3), S/m.
    """
    known = planar_rows(normal)
    across = np.where(known, out_of_plane - in_plane, 0.0)
    unit = np.where(known[:, None], normal, 0.0)
    tensor: Floats = in_plane[:, None, None] * np.eye(3) + across[:, None, None] * unit[:, :, None] * unit[:, None, :]
    return tensor


def lamella_tensor(tensor: Floats) -> Floats:
    """In-plane tensors of a thin lamella, through whose surfaces no current leaves: J_z = 0.

    sigma_2D = sigma_par - sigma_par,z sigma_z,par / sigma_zz: the field along Z adjusts until J_z vanishes.

    Parameters
    ----------
    tensor
        (n, 3, 3), S/m, symmetric positive definite.

    Returns
    -------
    tensor
        (n, 2, 2), S/m.
    """
    coupling = tensor[:, :2, 2]
    flat: Floats = tensor[:, :2, :2] - coupling[:, :, None] * coupling[:, None, :] / tensor[:, 2, 2, None, None]
    return flat


def field_along_beam(tensor: Floats, field: Floats) -> Floats:
    """E_z (n,) that goes with the in-plane fields (n, 2) in a thin lamella of tensors (n, 3, 3)."""
    along: Floats = -np.einsum("nk,nk->n", tensor[:, 2, :2], field) / tensor[:, 2, 2]
    return along


def published_conductivities(normal: Floats, in_plane: Floats, out_of_plane: Floats) -> Floats:
    """Conductivities along X and Y after Ding2024 eq. 4-1.

    sigma_x = sigma_op |sin a||sin t| + sigma_ip (|cos t| + |cos a||sin t|),
    sigma_y = sigma_ip (|sin t| + |cos a||cos t|) + sigma_op |sin a||cos t|,
    a the angle between conduction plane and surface, t that of the plane's trace to X. Where the plane lies in the
    surface and t has no meaning, t = 0 is taken: sigma_ip along both.

    Parameters
    ----------
    normal, in_plane, out_of_plane
        As for `plane_tensor`.

    Returns
    -------
    conductivities
        (n, 2), S/m.
    """
    known = planar_rows(normal)
    n_x, n_y, n_z = np.where(known[:, None], normal, (0.0, 0.0, 1.0)).T
    sin_a = np.hypot(n_x, n_y)
    cos_a = np.abs(n_z)
    flat = sin_a < np.sin(np.radians(FLAT_DEG))
    length = np.where(flat, 1.0, sin_a)
    cos_t = np.where(flat, 1.0, np.abs(n_y) / length)  # the trace is Z x n = (-n_y, n_x)
    sin_t = np.where(flat, 0.0, np.abs(n_x) / length)
    along_x = out_of_plane * sin_a * sin_t + in_plane * (cos_t + cos_a * sin_t)
    along_y = out_of_plane * sin_a * cos_t + in_plane * (sin_t + cos_a * cos_t)
    both: Floats = np.where(known[:, None], np.stack([along_x, along_y], axis=1), in_plane[:, None])
    return both
