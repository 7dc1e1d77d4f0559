"""Virtual dark-field images, and their overlay in colours."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.files import write_atomically
from nbedex.report.grains import png
from nbedex.report.panels import FONT

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
    overwrite: bool = False,
    dpi: int = 200,
) -> Path:
    """Draw the overlay of all images and the first 24 of them as PNG."""
    return write_atomically(path, [png(draw_dark_field(images, names), dpi)], overwrite=overwrite)


def draw_dark_field(images: NDArray[np.float32], names: Sequence[str]) -> Figure:
    """The overlay of images (n, ny, nx), and the single ones."""
    from matplotlib.figure import Figure

    shown = images[:_MOST]
    panels = [("overlay", overlay(images)), *((name, scaled(image)) for name, image in zip(names, shown, strict=False))]
    columns = min(len(panels), 5)
    rows = -(-len(panels) // columns)
    aspect = min(images.shape[1] / images.shape[2], 2.0)
    figure = Figure(figsize=(2.0 * columns, rows * (2.0 * aspect + 0.3)), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for place in axes:
        place.axis("off")
    for place, (name, image) in zip(axes, panels, strict=False):
        place.imshow(image, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
        place.set_title(name, fontsize=FONT, loc="left", pad=2)
    return figure
