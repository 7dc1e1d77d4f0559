"""The few numbers that say what a map is like in a field."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from nbedex.blockade.classes import BoundaryClass
from nbedex.blockade.expected import Comparison
from nbedex.blockade.flux import unit
from nbedex.blockade.model import UNDECIDED, Blockade, Flag, class_label
from nbedex.blockade.sweep import Sweep
from nbedex.blockade.tables import length_unit
from nbedex.blockade.texture import Texture, texture_of


def map_texture(blockade: Blockade) -> Texture:
    """Texture of the map's conduction planes, against the mean field."""
    grains = blockade.network.grain_map.grains
    field = unit(blockade.stretches.field)
    field = field[np.isfinite(field).all(axis=1)]
    mean = unit(field.mean(axis=0)) if len(field) else None
    return texture_of(
        blockade.media.normal, grains.area, field=mean, conductivity_ratio=blockade.settings.conductivity_ratio
    )


def summary_of(
    blockade: Blockade, sweep: Sweep, comparison: Comparison, texture: Texture, *, n_worst: int = 10
) -> dict[str, Any]:
    """Plain dictionary for people and JSON.

    Parameters
    ----------
    blockade, sweep, comparison, texture
        The analysis.
    n_worst
        How many of the boundaries are listed along which most piles up.
    """
    along, s, length = blockade.along, blockade.segments, blockade.stretches.length
    classes = {
        class_label(code): {
            "length": float(length[along.code == code].sum()),
            "share": float(comparison.class_share[code]),
            "share_at_random": float(comparison.class_expected[code]),
        }
        for code in range(1, len(BoundaryClass))
    }
    in_scheme = s.code != BoundaryClass.NOT_IN_SCHEME
    blocking = np.flatnonzero(s.blocking_length > 0)
    order = np.argsort(-(s.blocking_length * s.highest)[blocking], kind="stable")
    worst = [int(row) for row in blocking[order[:n_worst]]]
    return {
        "field": blockade.field,
        "unit": length_unit(blockade),
        "segments": len(s),
        "length": float(length.sum()),
        "in_scheme": {"segments": int(in_scheme.sum()), "length": comparison.length},
        "classes": classes,
        "blocking_share": comparison.blocking,
        "blocking_share_at_random": comparison.blocking_expected,
        "blocking_share_scatter": comparison.blocking_scatter,
        "random_maps_that_block_as_much": comparison.as_much_blocking,
        "published_blocking_share": comparison.published,
        "published_blocking_share_at_random": comparison.published_expected,
        "undecided_segments": int((in_scheme & (s.verdict == UNDECIDED)).sum()),
        "mixed_segments": int((in_scheme & ((s.flags & Flag.MIXED) != 0)).sum()),
        "segments_where_traces_differ": int((in_scheme & ((s.flags & Flag.TRACES_DIFFER) != 0)).sum()),
        "worst_field_deg": _worst_direction(sweep),
        "largest_blocking_share": float(sweep.blocking_share.max(initial=0.0)),
        "texture": asdict(texture),
        "worst": [_worst_row(blockade, sweep, row) for row in worst],
        "settings": blockade.settings.to_dict(),
    }


def _worst_direction(sweep: Sweep) -> float | None:
    if not sweep.blocking_share.any():
        return None
    return float(sweep.direction_deg[sweep.blocking_share.argmax()])


def _worst_row(blockade: Blockade, sweep: Sweep, row: int) -> dict[str, Any]:
    s, b = blockade.segments, blockade.network.boundaries
    return {
        "segment": row,
        "grains": [int(b.grain_a[row]), int(b.grain_b[row])],
        "length": float(b.length[row]),
        "blocking_length": float(s.blocking_length[row]),
        "class": class_label(s.code[row]),
        "verdict": class_label(s.verdict[row]),
        "probability": float(s.probability[row, s.code[row]]),
        "accumulation": float(s.accumulation[row]),
        "accumulation_sigma": float(s.accumulation_sigma[row]),
        "blocks_probability": float(s.blocks_probability[row]),
        "worst_field_deg": float(sweep.worst_deg[row]),
    }
