"""Boundaries cut into stretches that are straight enough to have one normal and one field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade.field import Field
from nbedex.blockade.flux import unit
from nbedex.blockade.sums import sums
from nbedex.boundaries import Boundaries

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stretches:
    """Pieces of boundary segments, in the order of the segments and along each.

    Attributes
    ----------
    segment
        (k,) segment they belong to.
    first, last
        (k,) first and last point of the segment's polyline that they span.
    length
        (k,) nm, along the polyline.
    middle
        (k, 2) (x, y) in nm, mean of the points weighted by length.
    normal
        (k, 3) unit normal from grain_a to grain_b.
    field
        (k, 3) electric field there, NaN where there is none.
    """

    segment: Ints
    first: Ints
    last: Ints
    length: Floats
    middle: Floats
    normal: Floats
    field: Floats

    def __len__(self) -> int:
        return len(self.segment)


def cut_into_stretches(boundaries: Boundaries, field: Field, *, max_turn_deg: float) -> Stretches:
    """Cut every segment into the fewest stretches that turn alike, each by no more than `max_turn_deg`.

    Turning, of the boundary or of the field on it, is added up without its sign, so that no two edges of a stretch
    differ by more. Cuts are the same from whichever end one begins.

    Parameters
    ----------
    boundaries
        Polylines run so that Z x direction points from grain_a to grain_b; where the mean normal of a segment says
        otherwise, it is believed.
    field
        Looked up in the middle of every edge of every polyline.
    max_turn_deg
        Degrees.
    """
    edges = _edges(boundaries)
    local = field.at(edges.middle, edges.normal)
    stretch = _numbered(edges.segment, _part(edges, unit(local), max_turn_deg))
    k = int(stretch[-1]) + 1 if len(stretch) else 0
    begin = np.searchsorted(stretch, np.arange(k))
    end = np.searchsorted(stretch, np.arange(k), side="right") - 1
    length = sums(stretch, edges.length, k)
    mean = {
        name: np.stack([sums(stretch, edges.length * c, k) for c in values.T], axis=1) / length[:, None]
        for name, values in (("middle", edges.middle), ("normal", edges.normal), ("field", local))
    }
    return Stretches(
        segment=edges.segment[begin],
        first=edges.point[begin],
        last=edges.point[end] + 1,
        length=length,
        middle=mean["middle"],
        normal=unit(mean["normal"]),
        field=mean["field"],
    )


@dataclass(frozen=True, eq=False)
class _Edges:
    segment: Ints
    point: Ints
    middle: Floats
    length: Floats
    normal: Floats


def _edges(boundaries: Boundaries) -> _Edges:
    """Edges of all polylines, without those of no length."""
    counts = np.array([len(points) for points in boundaries.points], dtype=np.int64)
    points = np.concatenate([*boundaries.points, np.zeros((0, 2))])
    owner = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(points)) - np.repeat(np.cumsum(counts) - counts, counts)
    inside = np.flatnonzero(owner[1:] == owner[:-1]) if len(points) else np.zeros(0, dtype=np.int64)
    step = points[inside + 1] - points[inside]
    length = np.linalg.norm(step, axis=1)
    inside, step, length = (array[length > 0] for array in (inside, step, length))
    flat = np.stack([-step[:, 1], step[:, 0]], axis=1)  # Z x direction, times the length
    segment = owner[inside]
    sign = _side(boundaries, segment, flat)
    out = np.nan_to_num(boundaries.normal[:, 2])[segment]
    level = np.sqrt(np.maximum(0.0, 1.0 - out**2)) / length * sign[segment]
    return _Edges(
        segment=segment,
        point=place[inside],
        middle=0.5 * (points[inside] + points[inside + 1]),
        length=length,
        normal=np.column_stack([flat * level[:, None], out]),
    )


def _side(boundaries: Boundaries, segment: Ints, flat: Floats) -> Floats:
    """-1 for segments whose mean normal points against Z x direction, else 1."""
    n = len(boundaries)
    along = [sums(segment, flat[:, axis], n) * boundaries.normal[:, axis] for axis in (0, 1)]
    size = sums(segment, np.linalg.norm(flat, axis=1), n)
    return np.where(np.nan_to_num(along[0] + along[1]) < -1e-6 * size, -1.0, 1.0)


def _part(edges: _Edges, field: Floats, max_turn_deg: float) -> Ints:
    """(e,) in which part of its segment each edge lies."""
    if len(edges.segment) == 0:
        return np.zeros(0, dtype=np.int64)
    same = edges.segment[1:] == edges.segment[:-1]
    steps = np.zeros(len(edges.segment))
    steps[1:] = np.where(same, np.maximum(_angle(edges.normal), np.nan_to_num(_angle(field), nan=360.0)), 0.0)
    total = np.cumsum(steps)
    run = np.concatenate([[0], np.cumsum(~same)])
    first = np.flatnonzero(np.concatenate([[True], ~same]))
    turned = total - total[first][run]
    whole = turned[np.append(first[1:], len(steps)) - 1]
    whole[whole < 1e-9] = 0.0  # rounding: straight
    parts = np.floor(whole / max_turn_deg) + 1
    scale = parts / np.where(whole > 0, whole, 1.0)
    return np.asarray(np.minimum(np.floor(turned * scale[run]), parts[run] - 1), dtype=np.int64)


def _angle(vectors: Floats) -> Floats:
    """(e - 1,) degrees between successive unit vectors."""
    half = np.linalg.norm(vectors[1:] - vectors[:-1], axis=1) / 2
    return np.asarray(2 * np.rad2deg(np.arcsin(np.minimum(half, 1.0))))


def _numbered(segment: Ints, part: Ints) -> Ints:
    """Number runs of equal (segment, part) from 0."""
    new = (segment[1:] != segment[:-1]) | (part[1:] != part[:-1])
    return np.concatenate([np.zeros(min(1, len(segment)), dtype=np.int64), np.cumsum(new)])
