"""Orientation maps: the result of indexing, its file, and the formats of other programs."""

from __future__ import annotations

from nbedex.maps.bands import ResultReader
from nbedex.maps.crystal_map import to_crystal_map
from nbedex.maps.export import FORMATS, SUFFIXES, export
from nbedex.maps.foreign import read_crystal_map
from nbedex.maps.orientation import (
    canonical,
    conjugate,
    disorientation_angle,
    from_euler,
    half_turned,
    misorientation,
    multiply,
    rotate,
    rotation_angle,
    to_euler,
    to_matrix,
)
from nbedex.maps.result import USABLE, IndexingResult, Status
from nbedex.maps.result_file import read_result, write_result
from nbedex.maps.stored import to_json
from nbedex.maps.streaming import Head, write_rows
from nbedex.maps.summary import neighbour_coherence, summary, summary_of_file

__all__ = [
    "FORMATS",
    "SUFFIXES",
    "USABLE",
    "Head",
    "IndexingResult",
    "ResultReader",
    "Status",
    "canonical",
    "conjugate",
    "disorientation_angle",
    "export",
    "from_euler",
    "half_turned",
    "misorientation",
    "multiply",
    "neighbour_coherence",
    "read_crystal_map",
    "read_result",
    "rotate",
    "rotation_angle",
    "summary",
    "summary_of_file",
    "to_crystal_map",
    "to_euler",
    "to_json",
    "to_matrix",
    "write_result",
    "write_rows",
]
