"""The direct current through the microstructure.

`build_problem` puts electrodes on a map of regions, `solve` calculates potential and current, `boundary_currents` sums
them up along boundaries. docs/transport.md explains models and options.
"""

from __future__ import annotations

from nbedex.transport.boundaries import BoundaryCurrents, boundary_currents, local_field
from nbedex.transport.checks import Connected, check_problem
from nbedex.transport.compare import ModelDifference, compare_models
from nbedex.transport.conductivity import field_along_beam, lamella_tensor, plane_tensor, published_conductivities
from nbedex.transport.effective import EffectiveConductivity, effective_conductivity
from nbedex.transport.export import summary_of, write_boundary_csv, write_current, write_vtk
from nbedex.transport.from_grains import regions_from_table, regions_of
from nbedex.transport.lines import stream_function
from nbedex.transport.regions import RegionMap, build_problem
from nbedex.transport.settings import TransportSettings
from nbedex.transport.solve import Solution, solve
from nbedex.transport.structure import Electrode, Problem, Structure, edge_problem, simple_structure
from nbedex.transport.sweep import Sweep, sweep, with_anisotropy, with_texture
from nbedex.transport.system import Checked, NotSolved
from nbedex.transport.uncertainty import OrientationSpread, sample_orientations

__all__ = [
    "BoundaryCurrents",
    "Checked",
    "Connected",
    "EffectiveConductivity",
    "Electrode",
    "ModelDifference",
    "NotSolved",
    "OrientationSpread",
    "Problem",
    "RegionMap",
    "Solution",
    "Structure",
    "Sweep",
    "TransportSettings",
    "boundary_currents",
    "build_problem",
    "check_problem",
    "compare_models",
    "edge_problem",
    "effective_conductivity",
    "field_along_beam",
    "lamella_tensor",
    "local_field",
    "plane_tensor",
    "published_conductivities",
    "regions_from_table",
    "regions_of",
    "sample_orientations",
    "simple_structure",
    "solve",
    "stream_function",
    "summary_of",
    "sweep",
    "with_anisotropy",
    "with_texture",
    "write_boundary_csv",
    "write_current",
    "write_vtk",
]
