"""Figures of boundaries in a field: their classes, what piles up, the sweep over fields, and what chance would give."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbedex.blockade import Blockade
from nbedex.blockade.expected import Comparison, compare_with_random
from nbedex.blockade.summary import map_texture
from nbedex.blockade.sweep import Sweep, sweep_field
from nbedex.blockade.texture import Texture
from nbedex.errors import ArgumentError
from nbedex.files import check_output, write_atomically
from nbedex.report.blockade_charts import draw_bars, draw_pole_figure, draw_sweep
from nbedex.report.blockade_maps import draw_accumulation, draw_classes, page_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockadeFigures:
    """The analysis with what is drawn beside it."""

    blockade: Blockade
    sweep: Sweep
    comparison: Comparison
    texture: Texture

    @classmethod
    def of(cls, blockade: Blockade) -> BlockadeFigures:
        """With everything worked out."""
        return cls(
            blockade=blockade,
            sweep=sweep_field(blockade),
            comparison=compare_with_random(blockade),
            texture=map_texture(blockade),
        )


def plot_blockade(
    figures: BlockadeFigures, folder: str | os.PathLike[str], *, overwrite: bool = False, dpi: int = 200
) -> list[Path]:
    """Draw all figures as PNG into a folder that exists.

    Returns
    -------
    paths
        blockade-classes.png, blockade-accumulation.png, blockade-sweep.png, blockade-shares.png, blockade-texture.png.

    Raises
    ------
    ArgumentError
        If dpi is not from 50 to 1200.
    OutputError
        If a file exists and `overwrite` is not given, or it can't be written; checked before anything is drawn.
    """
    if not 50 <= dpi <= 1200:
        raise ArgumentError(f"dpi must lie between 50 and 1200, got {dpi!r}")
    targets = {name: Path(folder) / f"blockade-{name}.png" for name in DRAWN}
    for target in targets.values():
        check_output(target, overwrite=overwrite)
    return [
        write_atomically(target, [_png(draw_blockade(figures, name), dpi)], overwrite=overwrite)
        for name, target in targets.items()
    ]


def draw_blockade(figures: BlockadeFigures, kind: str) -> Figure:
    """One figure of `DRAWN`; it is not known to pyplot."""
    if kind not in DRAWN:
        raise ArgumentError(f"expected one of {', '.join(DRAWN)}, got {kind!r}")
    return DRAWN[kind](figures)


def _map(figures: BlockadeFigures, draw: Callable[..., None]) -> Figure:
    from matplotlib.figure import Figure

    page = page_of(figures.blockade)
    width = 5.2
    height = min(max(width * page.aspect, 1.6), 1.8 * width)
    figure = Figure(figsize=(width + 2.2, height + 0.8))
    axes = figure.add_axes((0.0, 0.45 / (height + 0.8), width / (width + 2.2), height / (height + 0.8)))
    draw(axes, figures.blockade, page)
    return figure


def _sweep(figures: BlockadeFigures) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 4.6))
    axes = figure.add_axes((0.06, 0.06, 0.68, 0.8), projection="polar")
    draw_sweep(axes, figures.blockade, figures.sweep, figures.comparison)
    return figure


def _shares(figures: BlockadeFigures) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.4))
    draw_bars(figure.add_axes((0.1, 0.16, 0.86, 0.7)), figures.comparison, figures.blockade.settings.blocks_at)
    return figure


def _texture(figures: BlockadeFigures) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 3.6))
    axes = figure.add_axes((0.04, 0.06, 0.62, 0.82))
    draw_pole_figure(axes, figures.blockade, figures.texture)
    return figure


DRAWN: dict[str, Callable[[BlockadeFigures], Figure]] = {
    "classes": lambda figures: _map(figures, draw_classes),
    "accumulation": lambda figures: _map(figures, draw_accumulation),
    "sweep": _sweep,
    "shares": _shares,
    "texture": _texture,
}


def _png(figure: Figure, dpi: int) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    stream = io.BytesIO()
    FigureCanvasAgg(figure)
    options: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.06, "metadata": {"Software": "nbedex"}}
    figure.savefig(stream, format="png", dpi=dpi, facecolor="white", **options)
    return stream.getvalue()
