"""Grains of an orientation map: which pixels belong together, and what each grain is like."""

from __future__ import annotations

from nbedex.grains.disorientation import Disorientations, disorientations
from nbedex.grains.find import find_grains, grains_of
from nbedex.grains.model import GrainMap, Grains, MapPhase, OrientationMap, Role
from nbedex.grains.settings import GrainSettings
from nbedex.grains.source import from_crystal_map, orientation_map, read_orientation_map

__all__ = [
    "Disorientations",
    "GrainMap",
    "GrainSettings",
    "Grains",
    "MapPhase",
    "OrientationMap",
    "Role",
    "disorientations",
    "find_grains",
    "from_crystal_map",
    "grains_of",
    "orientation_map",
    "read_orientation_map",
]
