"""Size and shape of regions of a map, and which touch. Positions (x, y) in nm, pixel (0, 0) at the origin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nbedex.grains.model import Floats

Labels = NDArray[np.int32]
Step = tuple[float, float]


def neighbours(region: Labels) -> NDArray[np.int32]:
    """Pairs (k, 2) of regions that share an edge of a pixel, smaller number first, sorted."""
    a = np.concatenate([region[:, :-1].ravel(), region[:-1].ravel()]).astype(np.int64)
    b = np.concatenate([region[:, 1:].ravel(), region[1:].ravel()]).astype(np.int64)
    low, high = np.minimum(a, b), np.maximum(a, b)
    n = int(region.max()) + 1
    key = np.unique((low * n + high)[low != high])
    return np.stack([key // n, key % n], axis=-1).astype(np.int32)


def centroids(region: Labels, count: NDArray[np.int64], step: Step) -> Floats:
    """Middle (n, 2) of each region."""
    sums = [
        np.bincount(region.ravel(), weights=axis.ravel(), minlength=len(count)) for axis in _positions(region, step)
    ]
    return np.stack(sums, axis=-1) / count[:, None]


def ellipses(region: Labels, count: NDArray[np.int64], step: Step) -> tuple[Floats, Floats]:
    """Long and short axis (n, 2), full lengths, and direction in degrees (n,) of the ellipse of the same moments."""
    x, y = _positions(region, step)
    middle = centroids(region, count, step)
    x, y = x - middle[region, 0], y - middle[region, 1]

    def mean(values: Floats) -> Floats:
        return np.asarray(np.bincount(region.ravel(), weights=values.ravel(), minlength=len(count)) / count)

    # a pixel is no point: it has moments of its own
    xx, yy, xy = mean(x * x) + step[1] ** 2 / 12, mean(y * y) + step[0] ** 2 / 12, mean(x * y)
    half, radius = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    axes = 4 * np.sqrt(np.stack([half + radius, np.maximum(half - radius, 0)], axis=-1))
    return axes, np.mod(np.rad2deg(np.arctan2(2 * xy, xx - yy) / 2), 180.0)


def bounds(region: Labels, n: int) -> NDArray[np.int64]:
    """First row, first column, last row, last column (n, 4)."""
    boxes = ndimage.find_objects(region + 1, max_label=n)
    return np.array([(r.start, c.start, r.stop - 1, c.stop - 1) for r, c in boxes], dtype=np.int64).reshape(-1, 4)


def touching_edge(region: Labels, n: int) -> NDArray[np.bool_]:
    """Whether the map's edge cuts each region (n,)."""
    touching = np.zeros(n, dtype=bool)
    for side in (region[0], region[-1], region[:, 0], region[:, -1]):
        touching[side] = True
    return touching


def perimeters(region: Labels, n: int, step: Step) -> Floats:
    """Length (n,) of each region's outline, the map's edge included.

    Crofton's formula with lines along the rows, the columns and both diagonals: half the integral over directions of
    the number of crossings per unit of distance between lines (Legland et al., Image Anal. Stereol. 26 (2007) 83).
    """
    dy, dx = step
    padded = np.pad(region, 1, constant_values=-1)
    diagonal = float(np.hypot(dx, dy))
    tilt = float(np.arctan2(dy, dx))  # of the diagonals against the rows
    total = np.zeros(n)
    for shift, spacing, angle in (
        ((0, 1), dy, tilt),
        ((1, 0), dx, np.pi / 2 - tilt),
        ((1, 1), dx * dy / diagonal, np.pi / 4),
        ((1, -1), dx * dy / diagonal, np.pi / 4),
    ):
        first = padded[: len(padded) - shift[0], max(-shift[1], 0) : padded.shape[1] - max(shift[1], 0)]
        second = padded[shift[0] :, max(shift[1], 0) : padded.shape[1] + min(shift[1], 0)]
        crossed = first != second
        for side in (first[crossed], second[crossed]):
            total += 0.5 * angle * spacing * np.bincount(side[side >= 0], minlength=n)
    return total


def _positions(region: Labels, step: Step) -> tuple[Floats, Floats]:
    rows, columns = np.indices(region.shape)
    return columns * step[1], rows * step[0]
