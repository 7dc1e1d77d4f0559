"""Boundaries between grains: where they run, and how the crystals on both sides are turned to one another."""

from __future__ import annotations

from nbedex.boundaries.model import Boundaries, BoundaryNetwork

__all__ = ["Boundaries", "BoundaryNetwork"]
