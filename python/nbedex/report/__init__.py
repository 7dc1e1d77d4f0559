"""Figures of results; the only home of Matplotlib."""

from __future__ import annotations

from nbedex.report.figures import DEFAULT_MIN_PROBABILITY, KINDS, draw, plot_maps

__all__ = ["DEFAULT_MIN_PROBABILITY", "KINDS", "draw", "plot_maps"]
