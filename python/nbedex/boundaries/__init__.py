"""Boundaries between grains: where they run, and how the crystals on both sides are turned to one another."""

from __future__ import annotations

from nbedex.boundaries.csl import CslTable, csl_table
from nbedex.boundaries.model import Boundaries, BoundaryNetwork
from nbedex.boundaries.network import trace_boundaries
from nbedex.boundaries.polyline import local_normals, midpoints, piece_lengths, polyline_length
from nbedex.boundaries.settings import BoundarySettings

__all__ = [
    "Boundaries",
    "BoundaryNetwork",
    "BoundarySettings",
    "CslTable",
    "csl_table",
    "local_normals",
    "midpoints",
    "piece_lengths",
    "polyline_length",
    "trace_boundaries",
]
