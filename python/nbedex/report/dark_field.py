"""Virtual dark-field images, and their overlay in colours."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.report.panels import FONT, MapScale, scale_bar, short
from nbedex.report.style import WIDTH, FigureStyle, write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GOLDEN = 0.6180339887498949
_MOST = 24  # single images on a page
_CLIP = 99.5  # percentile of an image that is drawn at full brightness


def scaled(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """An image (ny, nx) between 0 and 1: from 0 or its median, if that is more, to nearly its largest value."""
    known = image[np.isfinite(image)]
    if known.size == 0:
        return np.zeros(image.shape)
    low = max(float(np.median(known)), 0.0)
    high = float(np.percentile(known, _CLIP))
    if not high > low:
        low, high = 0.0, max(float(known.max()), 1e-30)
    return np.nan_to_num(np.clip((image.astype(np.float64) - low) / (high - low), 0.0, 1.0))


def overlay(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """RGB (ny, nx, 3) of images (n, ny, nx), each in a colour of its own, the brightest where several are."""
    from matplotlib.colors import hsv_to_rgb

    if images.ndim != 3 or len(images) == 0:
        raise ArgumentError(f"expected images (n, ny, nx), got shape {images.shape}")
    total = np.zeros((*images.shape[1:], 3))
    for number, image in enumerate(images):
        colour = hsv_to_rgb((number * _GOLDEN % 1.0, 0.85 if number % 2 == 0 else 0.55, 1.0))
        total = np.maximum(total, scaled(image)[..., None] * colour)
    return np.asarray(total)


def plot_dark_field(
    images: NDArray[np.float32],
    names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    step: tuple[float, float] | None = None,
    formats: str | Sequence[str] | None = None,
    width: str | float | None = None,
    dpi: int | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Draw the overlay of all images and the first 24 of them into a file; see `FigureStyle.for_file`.

    `step` of the scan, (y, x) in nm, for the scale bar; pixels without it.
    """
    style = FigureStyle.for_file(path, formats=formats, width=width, dpi=dpi)

    def draw(inches: float) -> Figure:
        return draw_dark_field(images, names, step=step, width=inches)

    return write_figure(path, draw, style, overwrite=overwrite)


def draw_dark_field(
    images: NDArray[np.float32],
    names: Sequence[str],
    *,
    step: tuple[float, float] | None = None,
    width: float = WIDTH,
) -> Figure:
    """The overlay of images (n, ny, nx), and the single ones; `width` in inches."""
    from matplotlib.figure import Figure

    shown = images[:_MOST]
    panels = [("overlay", overlay(images)), *((name, scaled(image)) for name, image in zip(names, shown, strict=False))]
    dy, dx = step or (1.0, 1.0)
    _, ny, nx = images.shape
    canvas = MapScale(extent=(0.0, nx * dx, ny * dy, 0.0), unit="nm" if step else "px")
    columns = min(len(panels), 5, max(int(width / 1.1), 1))
    rows = -(-len(panels) // columns)
    wide = min(width / columns, 2.4)
    figure = Figure(figsize=(wide * columns, rows * (wide * min(ny * dy / (nx * dx), 2.0) + 0.3)), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for place in axes:
        place.axis("off")
    for place, (name, image) in zip(axes, panels, strict=False):
        place.imshow(image, cmap="gray", vmin=0.0, vmax=1.0, extent=canvas.extent, interpolation="nearest")
        place.set_title(short(name), fontsize=FONT, loc="left", pad=2)
    scale_bar(axes[0], canvas)
    return figure
