"""Which boundaries block sodium in a field."""

from __future__ import annotations

from nbedex.blockade.alternatives import alternatives_of, rivals_of
from nbedex.blockade.analysis import analyse_blockade
from nbedex.blockade.classes import PUBLISHED_AS_BLOCKING, BoundaryClass, Classified, classify, edge_on
from nbedex.blockade.directions import Directions, in_all_directions
from nbedex.blockade.field import Field, FieldMap, UniformField, read_field_map
from nbedex.blockade.flux import BoundaryFlux, accumulation_vector, boundary_flux
from nbedex.blockade.model import Alternatives, Blockade, Flag, Level, SegmentStatements, Statements, class_label
from nbedex.blockade.output import (
    GROUP,
    BlockadeReport,
    blockade_group,
    check_blockade_files,
    write_blockade_files,
)
from nbedex.blockade.settings import BlockadeSettings, Tolerances
from nbedex.blockade.stretches import Stretches, cut_into_stretches
from nbedex.blockade.tensors import Media, Medium, conductivity_tensor, media_of

__all__ = [
    "GROUP",
    "PUBLISHED_AS_BLOCKING",
    "Alternatives",
    "Blockade",
    "BlockadeReport",
    "BlockadeSettings",
    "BoundaryClass",
    "BoundaryFlux",
    "Classified",
    "Directions",
    "Field",
    "FieldMap",
    "Flag",
    "Level",
    "Media",
    "Medium",
    "SegmentStatements",
    "Statements",
    "Stretches",
    "Tolerances",
    "UniformField",
    "accumulation_vector",
    "alternatives_of",
    "analyse_blockade",
    "blockade_group",
    "boundary_flux",
    "check_blockade_files",
    "class_label",
    "classify",
    "conductivity_tensor",
    "cut_into_stretches",
    "edge_on",
    "in_all_directions",
    "media_of",
    "read_field_map",
    "rivals_of",
    "write_blockade_files",
]
