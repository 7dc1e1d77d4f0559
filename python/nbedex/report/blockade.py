"""Figures of boundaries in a field: their classes, what piles up, the sweep over fields, and what chance would give."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nbedex.blockade import BlockadeReport
from nbedex.errors import ArgumentError
from nbedex.report.blockade_charts import draw_bars, draw_sweep
from nbedex.report.blockade_maps import draw_accumulation, draw_classes
from nbedex.report.grains import GrainCanvas
from nbedex.report.panels import map_figure
from nbedex.report.style import WIDTH, FigureStyle, check_figure, write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_blockade(
    report: BlockadeReport,
    folder: str | os.PathLike[str],
    *,
    formats: str | Sequence[str] | None = None,
    width: str | float | None = None,
    dpi: int | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Draw all figures into a folder that exists. For formats, width and dpi see `FigureStyle.of`.

    Returns
    -------
    paths
        blockade-classes, blockade-accumulation, blockade-sweep, blockade-shares.

    Raises
    ------
    ArgumentError
        If format, width or dpi are not possible.
    OutputError
        If a file exists and `overwrite` is not given, or it can't be written; checked before anything is drawn.
    """
    style = FigureStyle.of(formats=formats, width=width, dpi=dpi)
    check_figures(folder, style, overwrite=overwrite)
    written = []
    for name in DRAWN:

        def draw(inches: float, name: str = name) -> Figure:
            return draw_blockade(report, name, width=inches)

        written += write_figure(Path(folder) / f"blockade-{name}", draw, style, overwrite=overwrite)
    return written


def check_figures(folder: str | os.PathLike[str], style: FigureStyle | None = None, *, overwrite: bool = False) -> None:
    """See that all figures can be written."""
    for name in DRAWN:
        check_figure(Path(folder) / f"blockade-{name}", style or FigureStyle(), overwrite=overwrite)


def draw_blockade(report: BlockadeReport, kind: str, *, width: float = WIDTH) -> Figure:
    """One figure of `DRAWN`, `width` inches wide; it is not known to pyplot."""
    if kind not in DRAWN:
        raise ArgumentError(f"expected one of {', '.join(DRAWN)}, got {kind!r}")
    return DRAWN[kind](report, width)


def _map(report: BlockadeReport, width: float, draw: Callable[..., None], side: float) -> Figure:
    page = GrainCanvas.of(report.blockade.network.grain_map)
    figure, axes = map_figure(page, width, side=side)
    draw(axes, report.blockade, page)
    return figure


def _sweep(report: BlockadeReport, width: float) -> Figure:
    from matplotlib.figure import Figure

    disc = min(width - 1.5, _LARGEST_DISC)
    size = (disc + 1.5, disc + 0.8)
    figure = Figure(figsize=size)
    axes = figure.add_axes((0.2 / size[0], 0.2 / size[1], disc / size[0], disc / size[1]), projection="polar")
    draw_sweep(axes, report.blockade, report.sweep, report.comparison)
    return figure


def _shares(report: BlockadeReport, width: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, min(0.55 * width, 3.0)), layout="constrained")
    draw_bars(figure.subplots(), report.comparison, report.blockade.settings.blocks_at)
    return figure


_LARGEST_DISC = 3.6  # inches
DRAWN: dict[str, Callable[[BlockadeReport, float], Figure]] = {
    "classes": lambda report, width: _map(report, width, draw_classes, 1.25),
    "accumulation": lambda report, width: _map(report, width, draw_accumulation, 0.75),
    "sweep": _sweep,
    "shares": _shares,
}
