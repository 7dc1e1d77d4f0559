"""One pattern as a figure: the frame with the best template over it, and what is matched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nbedex.indexing.look import PatternView
from nbedex.maps.orientation import to_euler
from nbedex.report.panels import FONT
from nbedex.report.style import TWO_COLUMNS, WIDTH, FigureStyle, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_pattern(
    view: PatternView,
    path: str | os.PathLike[str],
    *,
    formats: str | Sequence[str] | None = None,
    width: str | float | None = None,
    dpi: int | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write `draw_pattern(view)`; see `FigureStyle.for_file`.

    Raises
    ------
    OutputError
        The file exists and `overwrite` is not set, or it can't be written.
    """
    style = FigureStyle.for_file(path, formats=formats, width=width, dpi=dpi)
    return write_figure(path, lambda inches: draw_pattern(view, width=inches), style, overwrite=overwrite)


def draw_pattern(view: PatternView, *, width: float = WIDTH) -> Figure:
    """Frame with annulus and the best orientation's spots; polar pattern as unwrapped and as matched; scores."""
    from matplotlib.figure import Figure

    columns = 2 if width >= TWO_COLUMNS else 1
    high = 0.75 * width if columns == 2 else 3.2 * width
    figure = Figure(figsize=(width, high), layout="constrained")
    raw, table, unwrapped, prepared = figure.subplots(4 // columns, columns).ravel()
    for axes in (raw, table, unwrapped, prepared):
        axes.tick_params(labelsize=FONT - 1)
    _draw_frame(raw, view)
    _draw_scores(table, view)
    _draw_polar(unwrapped, view, np.sqrt(np.clip(view.unwrapped, 0, None)), "(c) unwrapped, square root", spots=False)
    _draw_polar(prepared, view, view.prepared, "(d) as matched, with the best template's spots", spots=True)
    return figure


def _draw_frame(axes: Axes, view: PatternView) -> None:
    image = np.where(view.mask | ~np.isfinite(view.frame), np.nan, view.frame.astype(np.float64))
    shown = np.log1p(np.clip(image, 0, None))
    axes.imshow(shown, cmap="gray_r", interpolation="nearest", vmax=float(np.nanpercentile(shown, 99.8)) or None)
    row, column = view.center
    axes.plot(column, row, "+", color="C0", markersize=10)
    turn = np.linspace(0, 2 * np.pi, 361)
    for k in (view.k_min, view.k_max):
        x, y = view.to_detector @ (k * np.stack([np.cos(turn), np.sin(turn)]))
        axes.plot(column + x, row + y, "-", color="C0", linewidth=0.8)
    if len(view.spots):
        x, y = view.to_detector @ view.spots[:, :2].T
        size = 20 + 140 * (view.spots[:, 2] / view.spots[:, 2].max()) ** 0.5
        axes.scatter(column + x, row + y, s=size, facecolors="none", edgecolors="C3", linewidths=0.8)
    axes.set_title(
        f"(a) pattern ({view.row}, {view.column}), logarithm; red: best orientation", fontsize=FONT, loc="left"
    )
    axes.set_xlabel("detector column", fontsize=FONT)
    axes.set_ylabel("detector row", fontsize=FONT)
    axes.set_xlim(-0.5, view.frame.shape[1] - 0.5)
    axes.set_ylim(view.frame.shape[0] - 0.5, -0.5)


def _draw_polar(axes: Axes, view: PatternView, image: Any, title: str, *, spots: bool) -> None:
    axes.imshow(
        image, cmap="gray_r", origin="lower", aspect="auto", extent=(-0.5, 359.5, view.k_min, view.k_max),
        interpolation="nearest", vmax=float(np.nanpercentile(image, 99.8)) or None,
    )  # fmt: skip
    if spots and len(view.spots):
        azimuth = np.rad2deg(np.arctan2(view.spots[:, 1], view.spots[:, 0])) % 360
        radius = np.hypot(view.spots[:, 0], view.spots[:, 1])
        axes.plot(azimuth, radius, "o", markerfacecolor="none", markeredgecolor="C3", markersize=5, markeredgewidth=0.7)
    axes.set_title(title, fontsize=FONT, loc="left")
    axes.set_xlabel("azimuth from X towards Y / degrees", fontsize=FONT)
    axes.set_ylabel("|k| / Å⁻¹", fontsize=FONT)


def _draw_scores(axes: Axes, view: PatternView) -> None:
    """The distinct solutions, best first."""
    axes.axis("off")
    axes.set_title(f"(b) {view.status.sentence}", fontsize=FONT, loc="left")
    rows = []
    for number, orientation, score in zip(
        view.record["rival_phase_id"], view.record["rival_orientation"], view.record["rival_score"], strict=True
    ):
        if number >= 0:
            angles = " ".join(f"{a:.1f}" for a in np.rad2deg(to_euler(orientation)))
            rows.append([view.phase_names[number], angles, f"{score:.4f}"])
    if rows:
        table = axes.table(rows, colLabels=["phase", "φ1 Φ φ2 / °", "score"], loc="upper center", cellLoc="left")
        table.auto_set_font_size(False)
        table.set_fontsize(FONT)
        table.scale(1, 1.3)
    names = ("reliability", "phase_reliability", "mirror_margin", "half_turn_margin")
    text = "\n".join(f"{name.replace('_', ' ')}: {_percent(view.record[name])}" for name in names)
    axes.text(0.0, 0.25, text, transform=axes.transAxes, fontsize=FONT, va="top", family="monospace")


def _percent(value: float) -> str:
    return "no rival" if np.isnan(value) else f"{value:.1f} %"
