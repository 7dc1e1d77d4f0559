"""nbedex: index 4D-STEM nanobeam diffraction scans of sodium solid electrolytes.

>>> import nbedex
>>> [phase.name for phase in nbedex.list_phases()][:3]
['beta2-alumina', 'beta-alumina', 'nzsp']
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("nbedex")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

# name -> module; loaded on first use, so that `import nbedex` and `nbedex --help` are fast
_PUBLIC = {
    "Calibration": "nbedex.calibration",
    "IndexingResult": "nbedex.maps",
    "Phase": "nbedex.phases",
    "RunSettings": "nbedex.workflow",
    "SimulationSettings": "nbedex.library",
    "Status": "nbedex.maps",
    "TemplateLibrary": "nbedex.library",
    "build_library": "nbedex.library",
    "calibrate_rings": "nbedex.calibrating",
    "calibrate_spots": "nbedex.calibrating",
    "export": "nbedex.maps",
    "index": "nbedex.workflow",
    "index_scan": "nbedex.indexing",
    "list_phases": "nbedex.phases",
    "load_library": "nbedex.library",
    "load_phase": "nbedex.phases",
    "look_at": "nbedex.indexing",
    "memory_scan": "nbedex.scan",
    "open_patterns": "nbedex.scan",
    "open_scan": "nbedex.scan",
    "plot_maps": "nbedex.report",
    "plot_pattern": "nbedex.report.pattern",
    "read_result": "nbedex.maps",
    "save_library": "nbedex.library",
    "to_crystal_map": "nbedex.maps",
    "write_report": "nbedex.reported",
    "write_result": "nbedex.maps",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'nbedex' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
