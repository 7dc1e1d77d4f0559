"""Grains of an orientation map: which pixels belong together, and what each grain is like."""

from __future__ import annotations

from nbedex.grains.disorientation import Disorientations, disorientations
from nbedex.grains.file import grain_groups, read_grain_map, write_grain_map
from nbedex.grains.find import find_grains, grains_of
from nbedex.grains.misorientation import (
    grain_orientation_spread,
    grain_reference_deviation,
    kernel_average_misorientation,
)
from nbedex.grains.model import GrainMap, Grains, MapPhase, OrientationMap, Role
from nbedex.grains.resolve import Resolved, resolve_rivals
from nbedex.grains.rivals import PooledRivals, RivalSettings, pool_rivals, rivals_group
from nbedex.grains.settings import GrainSettings
from nbedex.grains.source import from_crystal_map, orientation_map, read_orientation_map, with_roles
from nbedex.grains.store import Group, is_grain_file, put_groups, read_groups, write_groups
from nbedex.grains.table import grain_columns, write_grain_table

__all__ = [
    "Disorientations",
    "GrainMap",
    "GrainSettings",
    "Grains",
    "Group",
    "MapPhase",
    "OrientationMap",
    "PooledRivals",
    "Resolved",
    "RivalSettings",
    "Role",
    "disorientations",
    "find_grains",
    "from_crystal_map",
    "grain_columns",
    "grain_groups",
    "grain_orientation_spread",
    "grain_reference_deviation",
    "grains_of",
    "is_grain_file",
    "kernel_average_misorientation",
    "orientation_map",
    "pool_rivals",
    "put_groups",
    "read_grain_map",
    "read_groups",
    "read_orientation_map",
    "resolve_rivals",
    "rivals_group",
    "with_roles",
    "write_grain_map",
    "write_grain_table",
    "write_groups",
]
