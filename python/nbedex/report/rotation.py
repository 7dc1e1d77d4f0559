"""How the detector is turned, as a figure: what the beam's deflections say, or a crystal's edge and its pattern."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nbedex.calibrating.edge_rotation import EdgeRotation
from nbedex.calibrating.rotation import BeamRotation, curl_share, deflections
from nbedex.report.panels import FONT, wrapped
from nbedex.report.style import TWO_COLUMNS, WIDTH, FigureStyle, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_ARROWS = 24  # along the longer side of the scan


def plot_deflections(
    beam: Array,
    found: BeamRotation,
    path: str | os.PathLike[str],
    *,
    formats: str | Sequence[str] | None = None,
    width: str | float | None = None,
    dpi: int | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write the figure of a rotation from deflections (ny, nx, 2); see `FigureStyle.for_file`."""
    style = FigureStyle.for_file(path, formats=formats, width=width, dpi=dpi)
    return write_figure(path, lambda inches: draw_deflections(beam, found, width=inches), style, overwrite=overwrite)


def plot_edge(
    image: Array,
    pattern: Array,
    found: EdgeRotation,
    path: str | os.PathLike[str],
    *,
    formats: str | Sequence[str] | None = None,
    width: str | float | None = None,
    dpi: int | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write the figure of a rotation from the edge of a crystal; see `FigureStyle.for_file`."""
    style = FigureStyle.for_file(path, formats=formats, width=width, dpi=dpi)
    return write_figure(path, lambda inches: draw_edge(image, pattern, found, width=inches), style, overwrite=overwrite)


def draw_deflections(beam: Array, found: BeamRotation, *, width: float = WIDTH) -> Figure:
    """Deflections of the beam (row, column) over the scan, turned into its frame; share of curl over the rotation."""
    figure, (field, curve) = _two_panels(width)
    known = found.flipped is not None
    row, column = np.moveaxis(deflections(beam), -1, 0)
    turn = np.deg2rad(found.rotation_deg) if known else 0.0
    up = -row if found.flipped else row
    x, y = np.cos(turn) * column - np.sin(turn) * up, np.sin(turn) * column + np.cos(turn) * up
    length = np.hypot(x, y)
    shown = field.imshow(length, cmap="magma", interpolation="nearest", vmax=float(np.nanpercentile(length, 99)))
    bar = figure.colorbar(shown, ax=field, shrink=0.8)
    bar.set_label("deflection / detector px", fontsize=FONT)
    bar.ax.tick_params(labelsize=FONT - 1)
    step = max(1, -(-max(length.shape) // _ARROWS))
    rows, columns = np.mgrid[step // 2 : length.shape[0] : step, step // 2 : length.shape[1] : step]
    scale = float(np.nanpercentile(length, 95)) / (1.3 * step) or 1.0
    field.quiver(
        columns, rows, x[rows, columns], y[rows, columns], angles="xy", scale_units="xy", scale=scale, color="C2",
        width=0.004,
    )  # fmt: skip
    frame = "of the scan" if known else "of the detector"
    field.set_title(f"(a) deflection of the beam in the frame {frame}", fontsize=FONT, loc="left")
    field.set_xlabel("scan column", fontsize=FONT)
    field.set_ylabel("scan row", fontsize=FONT)
    angles = np.linspace(-90, 90, 361)
    for share, name, color in zip(curl_share(beam, angles), ("not mirrored", "mirrored"), ("C0", "C1"), strict=True):
        curve.plot(angles, share, color=color, linewidth=1.2, label=f"detector {name}")
    if known:
        curve.axvline(found.rotation_deg, color="0.3", linewidth=0.8)
        curve.axvspan(
            found.rotation_deg - found.uncertainty_deg,
            found.rotation_deg + found.uncertainty_deg,
            color="0.8",
            zorder=0,
        )
    curve.axhline(0.5, color="0.6", linewidth=0.8, dashes=(3, 3))
    curve.annotate("noise", (-89, 0.5), va="bottom", fontsize=FONT - 1, color="0.4")
    curve.set_xlim(-90, 90)
    curve.set_ylim(0, 1)
    curve.set_xlabel("rotation of the detector / degrees", fontsize=FONT)
    curve.set_ylabel("share of curl in the deflections", fontsize=FONT)
    curve.set_title("(b) a gradient has no curl in the right frame", fontsize=FONT, loc="left")
    curve.legend(fontsize=FONT, frameon=False)
    headline = "the deflections don't show the rotation"
    if known:
        mirrored = "mirrored" if found.flipped else "not mirrored"
        headline = (
            f"rotation ({found.rotation_deg:.1f} ± {found.uncertainty_deg:.1f})°, or half a turn more; {mirrored}"
        )
    figure.suptitle(wrapped(headline, width, FONT + 1), fontsize=FONT + 1)
    return figure


def draw_edge(image: Array, pattern: Array, found: EdgeRotation, *, width: float = WIDTH) -> Figure:
    """The crystal with its edge, and the pattern with the net of spots; in both the direction they share."""
    figure, (crystal, spots) = _two_panels(width)
    _grey(crystal, image)
    _line(crystal, found.edge_middle, found.edge_deg)
    crystal.set_title(f"(a) edge at {found.edge_deg:.1f}°", fontsize=FONT, loc="left")
    crystal.set_xlabel("image column", fontsize=FONT)
    crystal.set_ylabel("image row", fontsize=FONT)
    _grey(spots, np.log1p(np.clip(pattern, 0, None) / max(float(np.median(np.abs(pattern))), 1e-12)))
    _line(spots, found.beam, found.row_deg)
    for vector, color in zip(found.vectors, ("C3", "C0"), strict=True):
        spots.annotate(
            "",
            tuple(found.beam + vector),
            tuple(found.beam),
            arrowprops={"arrowstyle": "->", "color": color, "linewidth": 1.2},
        )
    spots.set_title(f"(b) spots along the edge at {found.row_deg:.1f}°", fontsize=FONT, loc="left")
    spots.set_xlabel("detector column", fontsize=FONT)
    spots.set_ylabel("detector row", fontsize=FONT)
    mirrored = f"{found.flipped_rotation_deg:.1f}° if the detector is mirrored"
    headline = f"{_value(found)}, or {mirrored}; or half a turn more"
    figure.suptitle(wrapped(headline, width, FONT + 1), fontsize=FONT + 1)
    return figure


def _value(found: BeamRotation | EdgeRotation) -> str:
    return f"rotation ({found.rotation_deg:.1f} ± {found.uncertainty_deg:.1f})°"


def _two_panels(width: float) -> tuple[Figure, tuple[Axes, Axes]]:
    from matplotlib.figure import Figure

    side_by_side = width >= TWO_COLUMNS
    figure = Figure(figsize=(width, 0.5 * width if side_by_side else 1.8 * width), layout="constrained")
    axes = figure.subplots(*((1, 2) if side_by_side else (2, 1)))
    for each in axes:
        each.tick_params(labelsize=FONT - 1)
    return figure, (axes[0], axes[1])


def _grey(axes: Axes, image: Array) -> None:
    axes.imshow(image, cmap="gray", interpolation="nearest", vmax=float(np.nanpercentile(image, 99.8)) or None)
    axes.set_xlim(-0.5, image.shape[1] - 0.5)
    axes.set_ylim(image.shape[0] - 0.5, -0.5)


def _line(axes: Axes, point: Array, direction_deg: float) -> None:
    """Through a point (column, row), from edge to edge of the panel."""
    angle = np.deg2rad(direction_deg)
    axes.axline(point, point + np.array([np.cos(angle), np.sin(angle)]), color="C3", linewidth=0.8, dashes=(6, 3))  # type: ignore[arg-type]
