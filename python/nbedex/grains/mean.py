"""Mean orientation of each grain with its symmetry, how far its pixels stray, and how well the mean is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbedex.grains.model import Floats, OrientationMap
from nbedex.grains.settings import GrainSettings
from nbedex.maps import canonical, disorientation_angle, multiply

Labels = NDArray[np.int32]


def mean_orientations(
    source: OrientationMap,
    region: Labels,
    own: NDArray[np.bool_],
    phase: NDArray[np.int16],
    settings: GrainSettings,
) -> tuple[Floats, Floats, Floats]:
    """Mean (n, 4), spread in degrees (n,), and one sigma of the mean per axis in degrees (n,)."""
    n = len(phase)
    mean, spread, error = np.full((n, 4), np.nan), np.full(n, np.nan), np.full(n, np.nan)
    order = np.argsort(np.where(own, region, n).ravel(), kind="stable")
    starts = np.searchsorted(np.where(own, region, n).ravel()[order], np.arange(n + 1))
    flat = source.orientation.reshape(-1, 4)
    for g in range(n):
        pixels = order[starts[g] : starts[g + 1]]
        if phase[g] < 0 or len(pixels) == 0:
            continue
        q, symmetry = flat[pixels], source.phases[phase[g]].symmetry
        mean[g] = mean_orientation(q, symmetry)
        away = np.rad2deg(disorientation_angle(mean[g], q, symmetry))
        spread[g] = away.mean()
        per_axis = np.sqrt((away**2).mean() / 3)
        error[g] = np.hypot(per_axis / np.sqrt(max(len(pixels) / 20, 1)), settings.orientation_floor_deg)
    return mean, spread, error


def mean_orientation(orientation: Floats, symmetry: Floats) -> Floats:
    """Mean (4,) of orientations (n, 4), each taken as the equivalent nearest to the mean.

    The mean is the eigenvector of sum q q^T with the largest eigenvalue (Markley et al., J. Guid. Control Dyn. 30
    (2007) 1193, eq. 12), which doesn't depend on the quaternions' signs.
    """
    mean = orientation[0]
    before = np.full(len(orientation), -1)
    for _ in range(10):
        images = multiply(symmetry[:, None], orientation[None])  # (m, n, 4)
        best = np.abs(images @ mean).argmax(axis=0)
        if bool((best == before).all()):
            break
        before = best
        chosen = images[best, np.arange(len(orientation))]
        mean = np.linalg.eigh(chosen.T @ chosen)[1][:, -1]
    return canonical(mean)
