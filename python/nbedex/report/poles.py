"""Pole figure of conduction planes: their normals in equal-area projection, as points and as a density."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nbedex.grains import GrainMap
from nbedex.report.panels import FONT, set_title
from nbedex.report.style import WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

_HALFWIDTH_DEG = 10.0
_CELLS = 121
_LARGEST = 4.2  # inches, of the disc


def equal_area(normal: Floats) -> Floats:
    """Positions (..., 2) in the unit disc of unit vectors (..., 3) with z >= 0 (Lambert): X right, Y down."""
    scale = 1.0 / np.sqrt(1.0 + normal[..., 2])
    return np.asarray(normal[..., :2] * scale[..., None])


def from_equal_area(position: Floats) -> Floats:
    """Unit vectors (..., 3) of positions (..., 2) in the unit disc, NaN outside it."""
    square = (position**2).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        scale = np.sqrt(2.0 - square)
    inside = square <= 1.0
    vector = np.concatenate([position * scale[..., None], (1.0 - square)[..., None]], axis=-1)
    return np.asarray(np.where(inside[..., None], vector, np.nan))


def pole_density(normal: Floats, weight: Floats, at: Floats, *, halfwidth_deg: float = _HALFWIDTH_DEG) -> Floats:
    """Density of axes in multiples of a uniform distribution.

    Parameters
    ----------
    normal, weight
        Unit vectors (n, 3), of which the sign doesn't matter, and their weights (n,).
    at
        Directions (..., 3).
    halfwidth_deg
        Angle at which the kernel (von Mises and Fisher's, on both ends of the axis) has half its height.

    Returns
    -------
    density
        (...), mean 1 over the sphere.
    """
    kappa = np.log(2.0) / (1.0 - np.cos(np.deg2rad(halfwidth_deg)))
    # kappa / (4 pi sinh kappa) exp(kappa cos), times 4 pi; exp(-kappa) taken out of both
    norm = 2.0 * kappa / (1.0 - np.exp(-2.0 * kappa))
    total = np.zeros(at.shape[:-1])
    for n, w in zip(normal, weight / weight.sum(), strict=True):
        cosine = at @ n
        total += w * norm / 2.0 * (np.exp(kappa * (cosine - 1.0)) + np.exp(kappa * (-cosine - 1.0)))
    return np.asarray(total)


def draw_poles(grain_map: GrainMap, *, width: float = WIDTH) -> Figure:
    """Normals of the conduction planes of all grains that have them; dots and density weigh grains by area."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

    grains = grain_map.grains
    mine = np.isfinite(grains.conduction_normal).all(axis=1)
    normal, area = grains.conduction_normal[mine], grains.area[mine]
    axis = np.linspace(-1.0, 1.0, _CELLS)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    beyond = np.maximum(np.linalg.norm(grid, axis=-1, keepdims=True), 1.0)
    density = pole_density(normal, area, from_equal_area(grid / (beyond * (1 + 1e-9))))  # the rim goes on outside
    disc = min(width - 0.9, _LARGEST)
    size = (disc + 0.9, disc + 0.4)
    figure = Figure(figsize=size)
    axes = figure.add_axes((0.0, 0.0, disc / size[0], disc / size[1]))
    picture = axes.imshow(
        density, extent=(-1.0, 1.0, 1.0, -1.0), cmap="viridis", vmin=0.0, vmax=max(2.0, float(np.nanmax(density)))
    )
    circle = Circle((0, 0), 1.0, facecolor="none", edgecolor="black", linewidth=0.8)
    axes.add_patch(circle)
    picture.set_clip_path(circle)
    x, y = equal_area(normal).T
    axes.scatter(x, y, s=3 + 60 * area / area.max(), facecolor="none", edgecolor="white", linewidth=0.7)
    axes.set_xlim(-1.12, 1.12)
    axes.set_ylim(1.12, -1.12)
    axes.set_aspect("equal")
    axes.axis("off")
    axes.text(1.03, 0.0, "X", fontsize=FONT, va="center")
    axes.text(0.0, 1.04, "Y", fontsize=FONT, ha="center", va="top")
    set_title(axes, f"Normals of conduction planes, {len(area)} grains, equal area")
    bar = figure.colorbar(picture, cax=axes.inset_axes((1.02, 0.1, 0.12 / disc, 0.8)))
    bar.set_label("multiples of a uniform distribution", fontsize=FONT)
    bar.ax.tick_params(labelsize=FONT - 1)
    return figure
