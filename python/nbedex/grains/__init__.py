"""Grains of an orientation map: which pixels belong together, and what each grain is like."""

from __future__ import annotations

from nbedex.grains.model import GrainMap, Grains, MapPhase, OrientationMap, Role

__all__ = ["GrainMap", "Grains", "MapPhase", "OrientationMap", "Role"]
