"""A ring pattern averaged into bins of radius and azimuth around its middle, on the detector as it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PolarBins:
    """Mean intensities in polar bins.

    Attributes
    ----------
    column, row : (sectors, radii) float64
        Place of a bin relative to `center`, pixels: mean radius of its pixels, in their mean direction. (Their mean
        place lies on the chord, 0.1 % inside the arc of ten degrees.)
    intensity : (sectors, radii) float64
        Mean intensity; 0 where a bin has no pixel.
    pixels : (sectors, radii) float64
        Good pixels in each bin.
    center : (2,) float64
        Row and column, pixels.
    """

    column: Array
    row: Array
    intensity: Array
    pixels: Array
    center: Array

    @property
    def radius(self) -> Array:
        """Distance of every bin from the centre, pixels."""
        return np.hypot(self.column, self.row)


def bin_pattern(
    image: NDArray[np.generic],
    center: Array,
    *,
    r_min: float,
    r_max: float,
    sectors: int = 36,
    mask: NDArray[np.bool_] | None = None,
) -> PolarBins:
    """Average a pattern (det_y, det_x) in bins one pixel wide and 360 / `sectors` degrees long.

    Every pixel belongs to one bin, so that the noise of bins is independent.
    """
    rows, columns = np.indices(image.shape, dtype=np.float64)
    y, x = rows - center[0], columns - center[1]
    r = np.hypot(x, y)
    good = np.isfinite(image) & (r >= r_min) & (r < r_max)
    if mask is not None:
        good &= ~mask
    sector = np.floor((np.arctan2(y, x) / (2 * np.pi) % 1.0) * sectors).astype(np.intp) % sectors
    n_radii = max(1, int(np.ceil(r_max - r_min)))
    ring = np.minimum((r - r_min).astype(np.intp), n_radii - 1)
    where = (sector * n_radii + ring)[good]

    def mean(values: Array) -> Array:
        total = np.bincount(where, values[good], sectors * n_radii)
        return np.asarray((total / np.maximum(count, 1)).reshape(sectors, n_radii))

    count = np.bincount(where, minlength=sectors * n_radii)
    radius, along, across = mean(r), mean(x), mean(y)
    stretch = radius / np.maximum(np.hypot(along, across), 1e-12)
    return PolarBins(
        along * stretch, across * stretch, mean(np.asarray(image, dtype=np.float64)),
        count.astype(np.float64).reshape(sectors, n_radii), np.asarray(center, dtype=np.float64),
    )  # fmt: skip
