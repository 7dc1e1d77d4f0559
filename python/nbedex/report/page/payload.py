"""What the page's own code looks up: arrays as bytes, and plain facts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.report.page.content import PageContent
from nbedex.report.page.facts import boundary_facts, grain_facts
from nbedex.report.page.lines import class_styles, stretch_points
from nbedex.report.page.panels import Panels
from nbedex.report.page.patterns import Measured, Simulated
from nbedex.report.page.pixels import euler_codes


def arrays_of(
    content: PageContent, panels: Panels, measured: Measured | None, simulated: Simulated | None
) -> dict[str, NDArray[Any]]:
    """By name; (k, 360) and (n, 360) for stretches and segments in fields of 0, 1, ... 359 degrees."""
    d, blockade, frame = content.directions, content.blockade, panels.maps.frame
    points, offset = stretch_points(blockade, min(content.grain_map.source.step) * frame.every)
    found: dict[str, NDArray[Any]] = {
        "grain": panels.grain_codes,
        "phase": frame.shown(content.grain_map.source.phase_id + 1).astype(np.uint8),
        "euler": euler_codes(content, frame),
        "points": points,
        "offset": offset,
        "segment": blockade.stretches.segment.astype(np.int32),
        "stretch_length": blockade.stretches.length.astype(np.float32),
        "stretch_class": d.code.view(np.uint8),
        "stretch_traces": d.code_traces.view(np.uint8),
        "stretch_unsure": d.undecided.view(np.uint8),
        "stretch_vector": blockade.along.vector[:, :2].astype(np.float32),
        "segment_class": d.segment_code.view(np.uint8),
        "segment_traces": d.segment_code_traces.view(np.uint8),
        "segment_vector": blockade.segments.vector[:, :2].astype(np.float32),
        "probability": _percent(d.probability),
        "blocks": _percent(d.blocks_probability),
        "sigma": np.rint(200 * np.clip(np.nan_to_num(d.accumulation_sigma), 0, 1)).astype(np.uint8),
    }
    found |= {f"numbers_{numbers.key}": numbers.codes for numbers in panels.numbers}
    if measured is not None:
        found |= {
            "pattern_grain": measured.grain.astype(np.int32),
            "pattern_image": measured.image,
            "pattern_pixels": measured.pixels.astype(np.int32),
        }
    if simulated is not None:
        found |= {f"spot_{name}": value for name, value in vars(simulated).items()}
    return {name: np.zeros(1, np.uint8) if array.size == 0 else array for name, array in found.items()}


def facts_of(content: PageContent, panels: Panels, measured: Measured | None) -> dict[str, Any]:
    """Names, units, grains and boundaries."""
    frame = panels.maps.frame
    return {
        "unit": frame.unit,
        "shape": frame.shape,
        "every": frame.every,
        "extent": frame.extent,
        "view": frame.view,
        "phases": [{"name": phase.name, "colour": phase.colour} for phase in content.grain_map.source.phases],
        "numbers": {
            n.key: {
                "low": n.low,
                "high": n.high,
                "name": n.name,
                "unit": n.unit,
                "log": n.logarithmic,
                "shape": n.codes.shape,
                "extent": _extent(content, panels, n.key),
            }
            for n in panels.numbers
        },
        "classes": class_styles(),
        "grains": grain_facts(content),
        "boundaries": boundary_facts(content),
        "n_boundaries": len(content.network.boundaries),
        "n_stretches": len(content.blockade.stretches),
        "blocks_at": content.blockade.settings.blocks_at,
        "every_deg": content.directions.every_deg,
        "field": content.blockade.field.get("direction_deg", 0.0),
        "patterns": None if measured is None else {"size": measured.image.shape[1], "pixel": measured.pixel_size},
    }


def _extent(content: PageContent, panels: Panels, key: str) -> tuple[float, float, float, float]:
    of_current = content.current is not None and key in {panel.name for panel in panels.current}
    return content.current.shown_extent if of_current and content.current is not None else panels.maps.frame.extent


def _percent(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Whole percent; 255 where there is no number."""
    return np.where(np.isfinite(values), np.rint(100 * np.nan_to_num(values)), 255).astype(np.uint8)
