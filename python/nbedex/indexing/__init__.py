"""From patterns to orientations: beam centre, preprocessing, matching, block by block."""

from __future__ import annotations

from nbedex.indexing.block import index_block
from nbedex.indexing.engine import make_engine
from nbedex.indexing.look import PatternView, look_at
from nbedex.indexing.memory import Memory
from nbedex.indexing.region import Region
from nbedex.indexing.run import index_scan
from nbedex.indexing.settings import (
    CenterSettings,
    IndexingSettings,
    MatchSettings,
    OverlapSettings,
    PreprocessSettings,
    RefineSettings,
    RerankSettings,
)
from nbedex.indexing.task import Plan

__all__ = [
    "CenterSettings",
    "IndexingSettings",
    "MatchSettings",
    "Memory",
    "OverlapSettings",
    "PatternView",
    "Plan",
    "PreprocessSettings",
    "RefineSettings",
    "Region",
    "RerankSettings",
    "index_block",
    "index_scan",
    "look_at",
    "make_engine",
]
