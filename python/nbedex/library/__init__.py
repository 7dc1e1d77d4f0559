"""Template libraries: zone-axis grid, kinematical simulation, file and cache; and dynamical simulation."""

from __future__ import annotations

from nbedex.library.dynamical import DynamicalCrystal, DynamicalPatterns, DynamicalSettings
from nbedex.library.grid import zone_axis_grid, zone_axis_orientations
from nbedex.library.library import (
    TemplateLibrary,
    build_library,
    cached_library,
    library_from_bytes,
    library_to_bytes,
    load_library,
    save_library,
)
from nbedex.library.simulation import (
    SimulationSettings,
    Spots,
    kinematical_intensities,
    simulate,
    simulate_templates,
)

__all__ = [
    "DynamicalCrystal",
    "DynamicalPatterns",
    "DynamicalSettings",
    "SimulationSettings",
    "Spots",
    "TemplateLibrary",
    "build_library",
    "cached_library",
    "kinematical_intensities",
    "library_from_bytes",
    "library_to_bytes",
    "load_library",
    "save_library",
    "simulate",
    "simulate_templates",
    "zone_axis_grid",
    "zone_axis_orientations",
]
