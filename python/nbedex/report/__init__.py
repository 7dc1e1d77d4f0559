"""Figures of results; the only home of Matplotlib."""

from __future__ import annotations

from nbedex.report.boundaries import BOUNDARY_FIGURES, draw_boundaries, plot_boundaries
from nbedex.report.dark_field import draw_dark_field, overlay, plot_dark_field
from nbedex.report.figures import DEFAULT_MIN_PROBABILITY, KINDS, draw, plot_maps
from nbedex.report.grains import GRAIN_FIGURES, draw_grains, plot_grains
from nbedex.report.style import FigureStyle

__all__ = [
    "BOUNDARY_FIGURES",
    "DEFAULT_MIN_PROBABILITY",
    "GRAIN_FIGURES",
    "KINDS",
    "FigureStyle",
    "draw",
    "draw_boundaries",
    "draw_dark_field",
    "draw_grains",
    "overlay",
    "plot_boundaries",
    "plot_dark_field",
    "plot_grains",
    "plot_maps",
]
