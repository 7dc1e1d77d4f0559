"""Indexing on other people's machinery: Dask clusters and LiberTEM, each an optional extra.

Thin: they carry patterns to `nbedex.indexing.index_block` and its records back, and schedule nothing. Results are those
of `nbedex.index_scan`, bit for bit. See docs/clusters.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# name -> module; on first use, because each needs a library that may not be installed
_PUBLIC = {
    "OrientationUDF": "nbedex.adapters.libertem",
    "Recipe": "nbedex.adapters.recipe",
    "dask_index": "nbedex.adapters.dask",
    "dask_records": "nbedex.adapters.dask",
    "libertem_index": "nbedex.adapters.libertem",
    "libertem_recipe": "nbedex.adapters.libertem",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'nbedex.adapters' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
