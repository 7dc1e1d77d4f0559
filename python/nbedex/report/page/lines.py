"""Boundaries and traces of conduction planes as flat arrays of points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade import PUBLISHED_AS_BLOCKING, Blockade, BoundaryClass
from nbedex.grains import GrainMap
from nbedex.report.blockade_maps import ARROW, CLASS_COLOURS
from nbedex.report.grains import inner_points

Floats = NDArray[np.float64]
_TOLERANCE = 0.15  # of a pixel, by which a line may be off
ACROSS, ALONG = "solid", [7, 3]


def class_styles() -> list[dict[str, Any]]:
    """Name, colour, dash and weight of every class, as in the figures: the number is the dash, 2 (along) dashed."""
    return [
        {
            "label": kind.label,
            "colour": CLASS_COLOURS[kind],
            "dash": ALONG if kind and kind % 2 == 0 else [],
            "blocking": kind in PUBLISHED_AS_BLOCKING,
        }
        for kind in BoundaryClass
    ]


def stretch_points(blockade: Blockade, pixel: float) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """(p, 2) points of all stretches, those left out that a straight line misses by less than 0.15 pixels; offsets."""
    s, points = blockade.stretches, blockade.network.boundaries.points
    lines = [
        simplified(points[segment][first : last + 1], _TOLERANCE * pixel)
        for segment, first, last in zip(s.segment, s.first, s.last, strict=True)
    ]
    counts = np.array([len(line) for line in lines], dtype=np.int64)
    offset = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return np.concatenate([*lines, np.zeros((0, 2))]).astype(np.float32), offset


def simplified(line: Floats, tolerance: float) -> Floats:
    """Ramer, Douglas and Peucker: the fewest of its own points that keep a line to within a tolerance."""
    keep = np.zeros(len(line), dtype=bool)
    keep[[0, -1]] = True
    todo = [(0, len(line) - 1)]
    while todo:
        first, last = todo.pop()
        if last - first < 2:
            continue
        chord = line[last] - line[first]
        off = line[first + 1 : last] - line[first]
        length = float(np.hypot(*chord))
        away = np.abs(chord[0] * off[:, 1] - chord[1] * off[:, 0]) / length if length > 0 else np.hypot(*off.T)
        worst = int(np.argmax(away))
        if away[worst] > tolerance:
            middle = first + 1 + worst
            keep[middle] = True
            todo += [(first, middle), (middle, last)]
    return line[keep]


def trace_lines(grain_map: GrainMap) -> dict[str, Any]:
    """Traces of conduction planes through each grain's innermost point, the longer the steeper the planes.

    Returns
    -------
    lines
        "xs", "ys": two ends each; "flat_x", "flat_y": points of grains whose planes lie in the surface.
    """
    grains = grain_map.grains
    rows = np.flatnonzero(np.isfinite(grains.conduction_normal).all(axis=1))
    if not rows.size:
        return {"xs": [], "ys": [], "flat_x": [], "flat_y": []}
    middle, deep = (values[rows] for values in inner_points(grain_map))
    normal = grains.conduction_normal[rows]
    half = ARROW * deep[:, None] * np.stack([-normal[:, 1], normal[:, 0]], axis=1)
    standing = np.isfinite(grains.trace_deg[rows])
    ends = np.stack([middle - half, middle + half], axis=1)[standing]
    return {
        "xs": [list(x) for x in ends[:, :, 0].tolist()],
        "ys": [list(y) for y in ends[:, :, 1].tolist()],
        "flat_x": middle[~standing, 0].tolist(),
        "flat_y": middle[~standing, 1].tolist(),
    }
