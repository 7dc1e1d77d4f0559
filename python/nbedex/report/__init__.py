"""Figures of results; the only home of Matplotlib."""

from __future__ import annotations

from nbedex.report.figures import DEFAULT_MIN_INDEX, DEFAULT_MIN_RELIABILITY, KINDS, draw, plot_maps
from nbedex.report.grains import GRAIN_FIGURES, draw_grains, plot_grains

__all__ = [
    "DEFAULT_MIN_INDEX",
    "DEFAULT_MIN_RELIABILITY",
    "GRAIN_FIGURES",
    "KINDS",
    "draw",
    "draw_grains",
    "plot_grains",
    "plot_maps",
]
