"""Boundaries as GeoJSON, for programs that draw and ask maps (QGIS, geopandas, d3).

The coordinates are those of the map, nm with X right and Y down, not degrees on the Earth; the file says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from nbedex.blockade.model import Blockade
from nbedex.blockade.sweep import Sweep
from nbedex.blockade.tables import Column, length_unit, segment_columns, stretch_columns


def segments_geojson(blockade: Blockade, sweep: Sweep | None = None) -> Iterator[bytes]:
    """A feature for every boundary segment, with what is said of it as properties."""
    lines = [np.round(points, 4).tolist() for points in blockade.network.boundaries.points]
    return _collection(lines, segment_columns(blockade, sweep), length_unit(blockade))


def stretches_geojson(blockade: Blockade) -> Iterator[bytes]:
    """A feature for every stretch of boundary."""
    s, points = blockade.stretches, blockade.network.boundaries.points
    lines = [
        np.round(points[segment][first : last + 1], 4).tolist()
        for segment, first, last in zip(s.segment, s.first, s.last, strict=True)
    ]
    return _collection(lines, stretch_columns(blockade), length_unit(blockade))


def _collection(lines: list[list[list[float]]], columns: dict[str, Column], unit: str) -> Iterator[bytes]:
    head = {"type": "FeatureCollection", "coordinates": f"{unit}; X right and Y down in the map, not longitude"}
    yield (json.dumps(head)[:-1] + ', "features": [').encode()
    table = [column.plain() for column in columns.values()]
    for number, line in enumerate(lines):
        feature = {
            "type": "Feature",
            "id": number,
            "geometry": {"type": "LineString", "coordinates": line},
            "properties": {name: values[number] for name, values in zip(columns, table, strict=True)},
        }
        yield ((",\n" if number else "\n") + json.dumps(feature, allow_nan=False)).encode()
    yield b"\n]}\n"
