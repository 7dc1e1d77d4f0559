"""Figures of boundaries in a field: their classes, what piles up, the sweep over fields, and what chance would give."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nbedex.blockade import BlockadeReport
from nbedex.errors import ArgumentError
from nbedex.files import check_output, write_atomically
from nbedex.report.blockade_charts import draw_bars, draw_sweep
from nbedex.report.blockade_maps import draw_accumulation, draw_classes
from nbedex.report.grains import GrainCanvas, png

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_blockade(
    report: BlockadeReport, folder: str | os.PathLike[str], *, overwrite: bool = False, dpi: int = 200
) -> list[Path]:
    """Draw all figures as PNG into a folder that exists.

    Returns
    -------
    paths
        blockade-classes.png, blockade-accumulation.png, blockade-sweep.png, blockade-shares.png.

    Raises
    ------
    ArgumentError
        If dpi is not from 50 to 1200.
    OutputError
        If a file exists and `overwrite` is not given, or it can't be written; checked before anything is drawn.
    """
    if not 50 <= dpi <= 1200:
        raise ArgumentError(f"dpi must lie between 50 and 1200, got {dpi!r}")
    targets = check_figures(folder, overwrite=overwrite)
    return [
        write_atomically(target, [png(draw_blockade(report, name), dpi)], overwrite=overwrite)
        for name, target in targets.items()
    ]


def check_figures(folder: str | os.PathLike[str], *, overwrite: bool = False) -> dict[str, Path]:
    """The file of each figure, after seeing that it can be written."""
    targets = {name: Path(folder) / f"blockade-{name}.png" for name in DRAWN}
    for target in targets.values():
        check_output(target, overwrite=overwrite)
    return targets


def draw_blockade(report: BlockadeReport, kind: str) -> Figure:
    """One figure of `DRAWN`; it is not known to pyplot."""
    if kind not in DRAWN:
        raise ArgumentError(f"expected one of {', '.join(DRAWN)}, got {kind!r}")
    return DRAWN[kind](report)


def _map(report: BlockadeReport, draw: Callable[..., None]) -> Figure:
    from matplotlib.figure import Figure

    page = GrainCanvas.of(report.blockade.network.grain_map)
    width = 5.2
    height = min(max(width * page.aspect, 1.6), 1.8 * width)
    figure = Figure(figsize=(width + 2.2, height + 0.8))
    axes = figure.add_axes((0.0, 0.45 / (height + 0.8), width / (width + 2.2), height / (height + 0.8)))
    draw(axes, report.blockade, page)
    return figure


def _sweep(report: BlockadeReport) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 4.6))
    axes = figure.add_axes((0.06, 0.06, 0.68, 0.8), projection="polar")
    draw_sweep(axes, report.blockade, report.sweep, report.comparison)
    return figure


def _shares(report: BlockadeReport) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.4))
    draw_bars(figure.add_axes((0.1, 0.16, 0.86, 0.7)), report.comparison, report.blockade.settings.blocks_at)
    return figure


DRAWN: dict[str, Callable[[BlockadeReport], Figure]] = {
    "classes": lambda report: _map(report, draw_classes),
    "accumulation": lambda report: _map(report, draw_accumulation),
    "sweep": _sweep,
    "shares": _shares,
}
