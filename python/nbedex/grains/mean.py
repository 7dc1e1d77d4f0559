"""Mean orientation of each grain with its symmetry, how far its pixels stray, and how well the mean is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.grains.arrays import MapArrays, flags
from nbedex.grains.model import Floats
from nbedex.maps import canonical


@dataclass(frozen=True, eq=False)
class Means:
    """Mean orientation (n, 4), mean angle of the pixels to it and one sigma of it per axis (n,), degrees; or NaN."""

    orientation: Floats
    spread_deg: Floats
    error_deg: Floats


def mean_orientations(
    arrays: MapArrays,
    region: NDArray[np.int32],
    own: NDArray[np.bool_],
    phase_of: NDArray[np.int16],
    *,
    floor_deg: float,
    threads: int = 0,
) -> Means:
    """Symmetry-aware means over the pixels in `own`, which must be of their region's phase.

    Every pixel counts as that equivalent which is nearest to the mean; the mean is the eigenvector of sum q q^T with
    the largest eigenvalue (Markley et al., J. Guid. Control Dyn. 30 (2007) 1193, eq. 12), found again until no pixel
    changes its equivalent.

    The error of a mean is not the spread over the root of the number of pixels, because neighbouring pixels err alike:
    it is the largest of the estimates from averages over blocks of 1, 2, 4 ... pixels (Flyvbjerg & Petersen, J. Chem.
    Phys. 91 (1989) 461), and to it `floor_deg`, which no average makes smaller, is added in quadrature. Where a grain
    has too few pixels for that (8), one typical pixel's error is taken for the mean's.
    """
    found = arrays.call(
        _core.mean_orientations,
        own=flags(own),
        phase_of=phase_of,
        label=np.ascontiguousarray(region),
        threads=threads,
    )
    there = np.linalg.norm(found["mean"], axis=1) > 0
    orientation = np.full_like(found["mean"], np.nan)
    orientation[there] = canonical(found["mean"][there])
    estimated = there & (found["variance_of_mean"] >= 0)
    few = there & ~estimated
    # of those with enough pixels; without any, of those with at least two different ones
    usual = found["variance"][estimated] if estimated.any() else found["variance"][few]
    variance = np.where(estimated, found["variance_of_mean"], float(np.median(usual)) if usual.size else 0.0)
    error = np.hypot(np.rad2deg(np.sqrt(variance)), floor_deg)
    return Means(
        orientation,
        np.where(there, np.rad2deg(found["spread"]), np.nan),
        np.where(there, error, np.nan),
    )
