"""Boundaries between grains: where they run, and how the crystals on both sides are turned to one another."""

from __future__ import annotations

from nbedex.boundaries.csl import CslTable, csl_table
from nbedex.boundaries.disorientation import plane_angle_deg, trace_angle_deg
from nbedex.boundaries.file import boundary_group, network_of, read_network, write_network
from nbedex.boundaries.inclination import inclination_from_width, inclination_of, inclined
from nbedex.boundaries.model import Boundaries, BoundaryNetwork
from nbedex.boundaries.network import trace_boundaries
from nbedex.boundaries.polyline import local_normals, midpoints, piece_lengths, polyline_length
from nbedex.boundaries.settings import BoundarySettings
from nbedex.boundaries.statistics import (
    CslShare,
    MisorientationDistribution,
    PlaneDistribution,
    csl_shares,
    misorientation_distribution,
    plane_distribution,
    random_disorientation_density,
)
from nbedex.boundaries.summary import boundary_facts
from nbedex.boundaries.table import (
    boundary_columns,
    boundary_kind,
    read_inclinations,
    write_boundary_table,
    write_geometry,
)

__all__ = [
    "Boundaries",
    "BoundaryNetwork",
    "BoundarySettings",
    "CslShare",
    "CslTable",
    "MisorientationDistribution",
    "PlaneDistribution",
    "boundary_columns",
    "boundary_facts",
    "boundary_group",
    "boundary_kind",
    "csl_shares",
    "csl_table",
    "inclination_from_width",
    "inclination_of",
    "inclined",
    "local_normals",
    "midpoints",
    "misorientation_distribution",
    "network_of",
    "piece_lengths",
    "plane_angle_deg",
    "plane_distribution",
    "polyline_length",
    "random_disorientation_density",
    "read_inclinations",
    "read_network",
    "trace_angle_deg",
    "trace_boundaries",
    "write_boundary_table",
    "write_geometry",
    "write_network",
]
