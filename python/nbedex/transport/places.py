"""Places on a map in words: edges, shapes, regions, phases, values of a mask image.

=====================  =============================================================================================
``right``              a whole edge: left, right, top or bottom
``top:10-40``          part of an edge, nm from the map's left end (for top, bottom) or top end (left, right)
``top:10%-40%``        the same in percent of the map
``rect:X0,Y0,X1,Y1``   cells whose middle lies in a rectangle, nm, (0, 0) in the middle of the map's first pixel
``disc:X,Y,RADIUS``    cells whose middle lies in a disc
``polygon:X,Y,X,Y,…``  cells whose middle lies in a polygon
``region:N``           a region of the map by its number
``phase:NAME``         all regions of a phase
``mask:VALUE``         cells with this value in the mask image
=====================  =============================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.transport.structure import EDGES

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_KINDS = (*EDGES, "rect", "disc", "polygon", "region", "phase", "mask")


@dataclass(frozen=True, kw_only=True, eq=False)
class Canvas:
    """A grid of cells on which places are looked up.

    Attributes
    ----------
    shape, step
        (ny, nx), (dy, dx) in nm.
    origin
        (x, y) of the first cell's middle, nm.
    extent
        (left, right, top, bottom) of the map itself, nm, without what was put around it.
    region
        (ny, nx) number of the map's region, -1 outside.
    phase
        Name of the phase of every region.
    mask
        (ny, nx) values of the mask image, or None.
    """

    shape: tuple[int, int]
    step: tuple[float, float]
    origin: tuple[float, float]
    extent: tuple[float, float, float, float]
    region: NDArray[np.integer]
    phase: Sequence[str]
    mask: NDArray[np.integer] | None = None

    @property
    def x(self) -> Floats:
        """(nx,) nm, middles of columns."""
        return self.origin[0] + self.step[1] * np.arange(self.shape[1], dtype=np.float64)

    @property
    def y(self) -> Floats:
        """(ny,) nm, middles of rows."""
        return self.origin[1] + self.step[0] * np.arange(self.shape[0], dtype=np.float64)


def is_edge(where: str) -> bool:
    """Whether a place is on the outer edge; otherwise it is a set of cells."""
    return where.partition(":")[0].strip() in EDGES


def edge_faces(where: str, canvas: Canvas) -> tuple[str, Bools]:
    """The edge that a place is on, and which of its faces are meant.

    Raises
    ------
    ArgumentError
        If the text can't be understood or no face of the edge lies there.
    """
    edge, _, span = (part.strip() for part in where.partition(":"))
    upright = edge in ("left", "right")
    middles = canvas.y if upright else canvas.x
    if not span:
        return edge, np.ones(len(middles), dtype=bool)
    start, end = canvas.extent[2:] if upright else canvas.extent[:2]
    first, dash, last = span.rpartition("-")
    if not dash or not first:
        raise ArgumentError(f"expected FROM-TO such as top:10-40 or top:10%-40%, got {where!r}")
    low, high = _length(first, end - start, where), _length(last, end - start, where)
    chosen = (middles - start >= low) & (middles - start < high)
    if not low < high or not chosen.any():
        raise ArgumentError(f"{where!r} holds no cell of that edge, which runs from 0 to {end - start:g} nm")
    return edge, chosen


def _length(text: str, whole: float, where: str) -> float:
    text = text.strip()
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        raise ArgumentError(f"expected FROM-TO such as top:10-40 or top:10%-40%, got {where!r}") from None
    return value / 100 * whole if text.endswith("%") else value


def place_cells(where: str, canvas: Canvas) -> Bools:
    """(ny, nx) cells of a place that is not on an edge.

    Raises
    ------
    ArgumentError
        If the text can't be understood or there is no such cell.
    """
    kind, _, rest = (part.strip() for part in where.partition(":"))
    if kind in ("rect", "disc", "polygon"):
        cells = _shape(kind, _numbers(rest, where), canvas, where)
    elif kind == "region":
        cells = canvas.region == _whole(rest, where)
    elif kind == "phase":
        if rest not in canvas.phase:
            known = ", ".join(sorted(set(canvas.phase))) or "none"
            raise ArgumentError(f"{where!r}: the map has no phase {rest!r}; it has {known}")
        of_phase = np.append(np.array([name == rest for name in canvas.phase]), False)
        cells = of_phase[canvas.region]
    elif kind == "mask":
        if canvas.mask is None:
            raise ArgumentError(f"{where!r} needs a mask image (--mask)")
        cells = canvas.mask == _whole(rest, where)
    else:
        raise ArgumentError(f"expected a place that starts with one of {', '.join(_KINDS)}, got {where!r}")
    if not cells.any():
        raise ArgumentError(f"{where!r} holds no cell of the map")
    return np.asarray(cells, dtype=bool)


def _numbers(text: str, where: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.replace(";", ",").split(",")]
    except ValueError:
        raise ArgumentError(f"expected numbers with commas between them, in nm, got {where!r}") from None
    if not np.isfinite(numbers).all():
        raise ArgumentError(f"expected finite numbers, got {where!r}")
    return numbers


def _whole(text: str, where: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ArgumentError(f"expected a whole number after the colon, got {where!r}") from None


def _shape(kind: str, numbers: list[float], canvas: Canvas, where: str) -> Bools:
    x, y = canvas.x[None, :], canvas.y[:, None]
    if kind == "rect" and len(numbers) == 4:
        x0, y0, x1, y1 = numbers
        return (x >= min(x0, x1)) & (x <= max(x0, x1)) & (y >= min(y0, y1)) & (y <= max(y0, y1))
    if kind == "disc" and len(numbers) == 3 and numbers[2] > 0:
        return (x - numbers[0]) ** 2 + (y - numbers[1]) ** 2 <= numbers[2] ** 2
    if kind == "polygon" and len(numbers) >= 6 and len(numbers) % 2 == 0:
        return _inside(np.array(numbers).reshape(-1, 2), x, y)
    wanted = {"rect": "X0,Y0,X1,Y1", "disc": "X,Y,RADIUS", "polygon": "X,Y of at least three corners"}[kind]
    raise ArgumentError(f"expected {kind}:{wanted} in nm, got {where!r}")


def _inside(corners: Floats, x: Floats, y: Floats) -> Bools:
    """Even-odd rule."""
    inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside
