"""The rings of a polycrystal: where a phase has them, and about how bright they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.phases import Phase, reflections, structure_factors

Array = NDArray[np.float64]

_SAME = 1e-6  # 1/angstrom; closer reflections are one ring
_FAINT = 0.01  # of the brightest ring: fainter ones are left out


@dataclass(frozen=True, eq=False)
class Rings:
    """Rings of one phase, sorted by radius.

    Attributes
    ----------
    radius : (n,) float64
        1/d, 1/angstrom.
    brightness : (n,) float64
        Kinematical brightness of the ring's line, relative to the brightest.
    hkl : (n, 3) int64
        One of each ring's reflections.
    """

    radius: Array
    brightness: Array
    hkl: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.radius)


def rings_of(phase: Phase, *, k_max: float) -> Rings:
    """Rings of a polycrystal without texture up to `k_max`, 1/angstrom.

    A grain shows reflection g with a chance that falls as 1/|g|, and a ring's light is spread over its circumference:
    brightness is multiplicity times |F|^2 / |g|^2.

    Raises
    ------
    ArgumentError
        The phase has no ring there.
    """
    hkl = reflections(phase, k_max=k_max)
    if not len(hkl):
        raise ArgumentError(f"{phase.name} has no ring up to {k_max:g} 1/angstrom")
    radius = np.linalg.norm(hkl @ phase.reciprocal_basis.T, axis=1)
    light = np.abs(structure_factors(phase, hkl)) ** 2 / radius**2
    order = np.lexsort((-hkl[:, 2], -hkl[:, 1], -hkl[:, 0], np.round(radius / _SAME)))
    radius, light, hkl = radius[order], light[order], hkl[order]
    first = np.flatnonzero(np.diff(radius, prepend=-1.0) > _SAME)
    brightness = np.add.reduceat(light, first)
    if not brightness.max() > 0:
        raise ArgumentError(f"{phase.name} has no ring up to {k_max:g} 1/angstrom")
    keep = brightness > _FAINT * brightness.max()
    return Rings(radius[first][keep], brightness[keep] / brightness.max(), hkl[first][keep])
