"""How orientations vary within grains: maps that users know as KAM, GROD and GOS."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.errors import ArgumentError
from nbedex.grains.arrays import MapArrays, flags
from nbedex.grains.model import GrainMap

Map = NDArray[np.float32]


def kernel_average_misorientation(
    grain_map: GrainMap, *, radius: int = 1, largest_deg: float = 180.0, threads: int = 0
) -> Map:
    """KAM: mean disorientation of each pixel from its neighbours in the same grain.

    Parameters
    ----------
    grain_map
        The map; absorbed pixels take no part.
    radius
        Neighbours are all pixels up to so many steps away along rows and columns: 4 for 1, 12 for 2.
    largest_deg
        Pairs that differ by more don't count.
    threads
        0: all available.

    Returns
    -------
    kam
        (ny, nx) degrees, NaN where there is no such pair.
    """
    if not 1 <= radius <= 100:
        raise ArgumentError(f"radius must lie between 1 and 100 pixels, got {radius}")
    if not 0 < largest_deg <= 180:
        raise ArgumentError(f"largest_deg must lie between 0 and 180 degrees, got {largest_deg}")
    angle = MapArrays.of(grain_map.source).call(
        _core.kernel_misorientation,
        own=flags(_own(grain_map)),
        label=grain_map.grain_id,
        radius=radius,
        largest=float(np.deg2rad(largest_deg)),
        threads=threads,
    )
    return np.rad2deg(angle)


def grain_reference_deviation(grain_map: GrainMap, *, threads: int = 0) -> Map:
    """GROD: disorientation (ny, nx) of each pixel from its grain's mean, degrees; NaN where absorbed or not indexed."""
    angle = MapArrays.of(grain_map.source).call(
        _core.grain_deviations,
        own=flags(_own(grain_map)),
        mean=grain_map.grains.orientation,
        label=grain_map.grain_id,
        threads=threads,
    )
    return np.rad2deg(angle)


def grain_orientation_spread(grain_map: GrainMap) -> Map:
    """GOS: mean of GROD over each grain as a map (ny, nx), degrees; NaN where there is no orientation."""
    return grain_map.grains.spread_deg[grain_map.grain_id].astype(np.float32)


def _own(grain_map: GrainMap) -> NDArray[np.bool_]:
    """Pixels that are of their grain's phase and were not absorbed, of grains with an orientation."""
    oriented = np.isfinite(grain_map.grains.orientation[:, 0])
    of_grain = np.where(oriented, grain_map.grains.phase_id, -1)[grain_map.grain_id]
    return np.asarray(~grain_map.absorbed & (of_grain >= 0) & (grain_map.source.phase_id == of_grain))
