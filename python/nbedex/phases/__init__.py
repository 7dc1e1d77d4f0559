"""Crystal structures: reading, symmetry, reflections, structure factors; the phases nbedex ships."""

from __future__ import annotations

from nbedex.phases.catalogue import list_phases, load_phase, phase_names, templates_dir
from nbedex.phases.phase import Phase
from nbedex.phases.structure_factors import allowed, reflections, structure_factors

__all__ = [
    "Phase",
    "allowed",
    "list_phases",
    "load_phase",
    "phase_names",
    "reflections",
    "structure_factors",
    "templates_dir",
]
