"""Small grains that are lost in specks: pixels that have different solutions first, and hold one in common.

Few columns of a small grain are its alone, and their patterns are often of few spots. Its pixels then differ in what
they have in front, no piece of it is large enough to be a grain, and the grains around absorb it before anything was
asked. So specks that touch and hold a common solution, which none of the grains around them has, are made one region
for the time being, to be asked like any other.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from nbedex.grains.bloch_evidence import mean_near
from nbedex.grains.model import GrainMap
from nbedex.grains.rivals import Held
from nbedex.maps import USABLE, IndexingResult, Status, disorientation_angle

Array = NDArray[np.float64]
Pixels = NDArray[np.intp]

CHANGED = ("phase_id", "orientation", "index", "probability", "status")


def with_gathered(
    result: IndexingResult, grain_map: GrainMap, *, least: int, distinct: float
) -> tuple[IndexingResult, NDArray[np.bool_]]:
    """The map with pixels that were absorbed at the solution that they and others around them hold, and where.

    Their probability is 0: they are unsure, and take what their region's patterns say.

    Parameters
    ----------
    result, grain_map
        The map and its regions.
    least
        Pixels of a region, at least.
    distinct
        Orientations closer than this (radians) are one.
    """
    flat = {n: getattr(result, n).reshape(grain_map.grain_id.size, *getattr(result, n).shape[2:]).copy()
            for n in CHANGED}  # fmt: skip
    held = Held.of(grain_map.source)
    gathered = np.zeros(grain_map.grain_id.size, dtype=bool)
    for pixels, places in scattered(result, grain_map, held, least=least, distinct=distinct):
        flat["phase_id"][pixels] = held.phase[pixels, places]
        flat["orientation"][pixels] = held.orientation[pixels, places]
        flat["index"][pixels] = held.score[pixels, places]
        flat["status"][pixels], flat["probability"][pixels] = Status.OK, 0.0
        gathered[pixels] = True
    shaped = {name: values.reshape(getattr(result, name).shape) for name, values in flat.items()}
    return replace(result, **shaped), gathered.reshape(result.shape)


def restored(result: IndexingResult, before: IndexingResult, where: NDArray[np.bool_]) -> IndexingResult:
    """The map with some pixels (ny, nx) as they were before they were gathered."""
    values = {}
    for name in CHANGED:
        values[name] = getattr(result, name).copy()
        values[name][where] = getattr(before, name)[where]
    return replace(result, **values)


def scattered(
    result: IndexingResult, grain_map: GrainMap, held: Held, *, least: int, distinct: float
) -> list[tuple[Pixels, Pixels]]:
    """Flat numbers of the pixels of each region that specks make together, and the place of their common solution.

    The largest first; no pixel is in two.
    """
    left = (grain_map.absorbed & np.isin(result.status, USABLE)).ravel()
    left |= ((grain_map.grains.phase_id[grain_map.grain_id] < 0) & (result.status == Status.OK)).ravel()
    pixel, place, cluster = _clusters(grain_map, held, left, distinct)
    waiting: list[tuple[int, float, int, Pixels, Pixels]] = []  # the largest first, then the better scored

    number = itertools.count()

    def wait(pixels: Pixels, places: Pixels) -> None:
        if len(pixels) >= least:
            pixels, places = _largest_part(pixels, places, held, result.shape)
        if len(pixels) >= least:
            score = float(held.score[pixels, places].sum())
            heapq.heappush(waiting, (-len(pixels), -score, next(number), pixels, places))

    for of in _members(cluster):
        wait(pixel[of], place[of])
    found: list[tuple[Pixels, Pixels]] = []
    while waiting:
        pixels, places = heapq.heappop(waiting)[3:]
        still = left[pixels]
        if not still.all():
            wait(pixels[still], places[still])
        elif not _is_around(grain_map, held, pixels, places, distinct):
            found.append((pixels, places))
            left[pixels] = False
    return found


def _clusters(
    grain_map: GrainMap, held: Held, usable: NDArray[np.bool_], distinct: float
) -> tuple[Pixels, Pixels, NDArray[np.int32]]:
    """All solutions of usable pixels (m): pixel, place, and number of a chain of alike ones whose pixels touch."""
    ny, nx = grain_map.grain_id.shape
    pixel, place = np.nonzero((held.phase >= 0) & usable[:, None])
    node = np.full(held.phase.shape, -1)
    node[pixel, place] = np.arange(len(pixel))
    number = np.arange(ny * nx).reshape(ny, nx)
    pairs = np.concatenate([
        np.stack([number[:-1].ravel(), number[1:].ravel()], axis=1),
        np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], axis=1),
    ])  # fmt: skip
    pairs = pairs[usable[pairs].all(axis=1)]
    first, second = node[pairs[:, 0]][:, :, None], node[pairs[:, 1]][:, None, :]
    first, second = (side[(first >= 0) & (second >= 0)] for side in np.broadcast_arrays(first, second))
    phase = held.phase[pixel, place]
    alike = np.zeros(len(first), dtype=bool)
    for one, of_phase in enumerate(grain_map.source.phases):
        both = np.flatnonzero((phase[first] == one) & (phase[second] == one))
        q = [held.orientation[pixel[side[both]], place[side[both]]] for side in (first, second)]
        alike[both] = disorientation_angle(q[0], q[1], of_phase.symmetry) <= distinct
    edges = sparse.coo_array((np.ones(alike.sum()), (first[alike], second[alike])), shape=(len(pixel), len(pixel)))
    return pixel, place, sparse.csgraph.connected_components(edges, directed=False)[1]


def _members(cluster: NDArray[np.int32]) -> list[Pixels]:
    """Which belong to each number."""
    order = np.argsort(cluster, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(cluster[order])) + 1)


def _largest_part(pixels: Pixels, places: Pixels, held: Held, shape: tuple[int, ...]) -> tuple[Pixels, Pixels]:
    """The largest connected part, and of several solutions that a pixel has the best scored."""
    order = np.lexsort((-held.score[pixels, places], pixels))
    first = order[np.unique(pixels[order], return_index=True)[1]]
    pixels, places = pixels[first], places[first]
    row, column = np.divmod(pixels, shape[1])
    there = np.zeros((np.ptp(row) + 1, np.ptp(column) + 1), dtype=bool)
    at = row - row.min(), column - column.min()
    there[at] = True
    part = ndimage.label(there)[0][at]
    own = part == np.bincount(part).argmax()
    return pixels[own], places[own]


def _is_around(grain_map: GrainMap, held: Held, pixels: Pixels, places: Pixels, distinct: float) -> bool:
    """Whether a grain that these pixels touch, or went to, has their solution."""
    label, grains = grain_map.grain_id, grain_map.grains
    row, column = np.divmod(pixels, label.shape[1])
    step = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    near = np.clip(np.stack([row, column])[:, :, None] + step.T[:, None], 0, np.array(label.shape)[:, None, None] - 1)
    phase = int(held.phase[pixels[0], places[0]])
    symmetry = grain_map.source.phases[phase].symmetry
    mean = mean_near(held.orientation[pixels, places], held.orientation[pixels[0], places[0]], symmetry)
    regions = [g for g in np.unique(label[near[0], near[1]]) if grains.phase_id[g] == phase]
    return bool((disorientation_angle(grains.orientation[regions], mean, symmetry) <= distinct).any())
