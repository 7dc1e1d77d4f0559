"""Size and shape of regions of a map, and which touch. Positions (x, y) in nm, pixel (0, 0) at the origin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.grains.model import Floats

Step = tuple[float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Shapes:
    """As the attributes of `Grains` of the same names; `contacts` are the pairs (k, 2) of neighbours."""

    n_pixels: NDArray[np.int64]
    area: Floats
    perimeter: Floats
    centroid: Floats
    ellipse_axes: Floats
    ellipse_deg: Floats
    bounds: NDArray[np.int64]
    touches_edge: NDArray[np.bool_]
    contacts: NDArray[np.int32]


def region_shapes(region: NDArray[np.int32], n: int, step: Step) -> Shapes:
    """Shapes of regions (ny, nx) numbered from 0 to n - 1."""
    found = _core.region_shapes(region, n)
    count = found["sums"][:, 0]
    middle, axes, direction = _moments(found["sums"].astype(np.float64), step)
    bounds = found["bounds"]
    ny, nx = region.shape
    return Shapes(
        n_pixels=count,
        area=np.asarray(count * float(step[0] * step[1]), dtype=np.float64),
        perimeter=_perimeters(found["crossings"], step),
        centroid=middle,
        ellipse_axes=axes,
        ellipse_deg=direction,
        bounds=bounds,
        touches_edge=np.asarray((bounds[:, :2] == 0).any(axis=1) | (bounds[:, 2:] == (ny - 1, nx - 1)).any(axis=1)),
        contacts=found["contacts"],
    )


def _moments(sums: Floats, step: Step) -> tuple[Floats, Floats, Floats]:
    """Centroid (n, 2), full axes (n, 2) and direction in degrees (n,) of the ellipse of the same second moments."""
    dy, dx = step
    count, row, column, row_row, column_column, row_column = sums.T
    y, x = row / count, column / count
    # a pixel is no point: it has moments of its own
    yy = dy * dy * (row_row / count - y * y + 1 / 12)
    xx = dx * dx * (column_column / count - x * x + 1 / 12)
    xy = dx * dy * (row_column / count - x * y)
    half, radius = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    axes = 4 * np.sqrt(np.stack([half + radius, np.maximum(half - radius, 0.0)], axis=-1))
    direction = np.mod(np.rad2deg(np.arctan2(2 * xy, xx - yy) / 2), 180.0)
    return np.stack([x * dx, y * dy], axis=-1), axes, np.where(direction >= 180.0, 0.0, direction)


def _perimeters(crossings: NDArray[np.int64], step: Step) -> Floats:
    """Length (n,) of each region's outline, the map's edge included.

    Crofton's formula with lines along the rows, the columns and both diagonals: half the integral over directions of
    the number of crossings per unit of distance between lines (Legland et al., Image Anal. Stereol. 26 (2007) 83).
    """
    dy, dx = step
    tilt = np.arctan2(dy, dx)  # of the diagonals against the rows; each direction stands for those nearest to it
    angle = np.array([tilt, np.pi / 2 - tilt, np.pi / 4, np.pi / 4])
    apart = np.array([dy, dx, dx * dy / np.hypot(dx, dy), dx * dy / np.hypot(dx, dy)])
    return np.asarray(0.5 * (crossings @ (angle * apart)))
