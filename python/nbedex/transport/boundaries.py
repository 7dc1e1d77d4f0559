"""What the current does at every boundary, and what its own field says about blocking there."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade import BoundaryClass, FieldMap, Tolerances, boundary_flux, classify
from nbedex.boundaries import BoundaryNetwork
from nbedex.transport.cells import EAST, NORTH, SOUTH, WEST
from nbedex.transport.conductivity import plane_tensor
from nbedex.transport.solve import Solution, grain_boundaries
from nbedex.transport.staircase import BoundaryFaces

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class BoundaryCurrents:
    """One row per boundary: per pair of regions, or per segment of a network.

    Attributes
    ----------
    low, high
        (n,) the regions on its sides, the smaller number first.
    segment
        (n,) row in the network's boundaries; -1 where there was none.
    length
        (n,) nm.
    normal
        (n, 3) mean unit normal from `low` to `high`.
    flux_across
        (n,) A/m^2, mean current density through the boundary, positive from `low` to `high`.
    flux_along
        (n,) A/m^2, mean of both sides along Z x normal.
    flux_path
        (n,) A/m^2 times nm that a fast path along the boundary carries in the same direction; 0 without one.
    potential_jump
        (n,) V, mean of `low` minus `high`: an overpotential.
    side_difference
        (n,) A/m^2, norm of the mean difference between the current densities of the two sides.
    magnitude_difference
        (n,) A/m^2, mean magnitude at `high` minus that at `low`.
    crowding
        (n,) mean magnitude beside the boundary over that of the whole map.
    field
        (n, 3) V/m, mean local field of both sides.
    accumulation, transmission
        (n,) with the mean local field, in units of the larger sigma_ip times |E|. What each crystal on its own would
        drive in the mean field of both sides: a steady current itself never piles up. `local_field` gives
        `nbedex.blockade` the same field point by point.
    code
        (n,) int8, `nbedex.blockade.BoundaryClass` with the local field.
    """

    low: Ints
    high: Ints
    segment: Ints
    length: Floats
    normal: Floats
    flux_across: Floats
    flux_along: Floats
    flux_path: Floats
    potential_jump: Floats
    side_difference: Floats
    magnitude_difference: Floats
    crowding: Floats
    field: Floats
    accumulation: Floats
    transmission: Floats
    code: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.low)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(BoundaryClass(int(code)).label for code in self.code)


def boundary_currents(
    solution: Solution, *, network: BoundaryNetwork | None = None, tolerances: Tolerances | None = None
) -> BoundaryCurrents:
    """Sum up a solution along every boundary between grains.

    Parameters
    ----------
    solution
        The current.
    network
        Boundaries of the same grain map: rows are then its segments, otherwise pairs of regions.
    tolerances
        Limits between the classes.
    """
    structure = solution.problem.structure
    faces = grain_boundaries(structure, solution.connected.reached, straight=True)
    if network is None:
        keys = np.stack([faces.low, faces.high], axis=1).reshape(-1, 2)
        pairs, group = np.unique(keys, axis=0, return_inverse=True)
        segment = np.full(len(pairs), -1)
        low, high = pairs[:, 0], pairs[:, 1]
    else:
        segment, group = np.unique(_segments(solution, faces, network), return_inverse=True)
        low, high = (np.zeros(len(segment), dtype=np.int64) for _ in range(2))
        low[group.ravel()], high[group.ravel()] = faces.low, faces.high
    return _summed(solution, faces, group.ravel(), (low, high, segment), tolerances)


def _summed(
    solution: Solution,
    faces: BoundaryFaces,
    group: Ints,
    names: tuple[Ints, Ints, Ints],
    tolerances: Tolerances | None,
) -> BoundaryCurrents:
    low, high, segment = names
    n, weight = len(low), faces.length
    length = np.bincount(group, weight, minlength=n).astype(np.float64)

    def mean(values: Floats) -> Floats:
        if values.ndim == 2:
            return np.stack([mean(column) for column in values.T], axis=1)
        return np.bincount(group, weight * values, minlength=n) / length

    (row_a, column_a), (row_b, column_b) = _low_cells(faces), _high_cells(faces)
    density_a, density_b = solution.current_density[row_a, column_a], solution.current_density[row_b, column_b]
    tangent = np.stack([-faces.normal[:, 1], faces.normal[:, 0]], axis=1)
    beside = 0.5 * (solution.field[row_a, column_a] + solution.field[row_b, column_b])
    field = mean(beside)
    normal = np.zeros((n, 3))
    normal[:, :2] = mean(faces.normal)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
    magnitude = solution.magnitude[solution.connected.reached].mean()
    structure = solution.problem.structure
    tensor = plane_tensor(structure.normal, structure.in_plane, structure.out_of_plane)
    flux = boundary_flux(
        tensor[low], tensor[high], normal, field, reference=np.fmax(structure.in_plane[low], structure.in_plane[high])
    )
    planes = np.where(np.isfinite(structure.normal), structure.normal, 0.0)
    size_a, size_b = np.linalg.norm(density_a, axis=1), np.linalg.norm(density_b, axis=1)
    return BoundaryCurrents(
        low=low,
        high=high,
        segment=segment,
        length=length,
        normal=normal,
        flux_across=np.bincount(group, _through(solution, faces), minlength=n) / (length * 1e-9),
        flux_along=mean(np.einsum("kd,kd->k", 0.5 * (density_a + density_b), tangent)),
        flux_path=mean(structure.boundary_path * np.einsum("kd,kd->k", beside[:, :2], tangent)),
        potential_jump=mean(_jump(solution, faces)),
        side_difference=np.linalg.norm(mean(density_a - density_b), axis=1),
        magnitude_difference=mean(size_b - size_a),
        crowding=mean(0.5 * (size_a + size_b)) / magnitude if magnitude > 0 else np.zeros(n),
        field=field,
        accumulation=flux.accumulation,
        transmission=flux.transmission,
        code=classify(planes[low], planes[high], normal, field, tolerances).code,
    )


def _first(faces: BoundaryFaces) -> tuple[Ints, Ints]:
    return faces.row, faces.column


def _second(faces: BoundaryFaces) -> tuple[Ints, Ints]:
    return faces.row + ~faces.vertical, faces.column + faces.vertical


def _low_cells(faces: BoundaryFaces) -> tuple[Ints, Ints]:
    first, second = _first(faces), _second(faces)
    return np.where(faces.sign > 0, first[0], second[0]), np.where(faces.sign > 0, first[1], second[1])


def _high_cells(faces: BoundaryFaces) -> tuple[Ints, Ints]:
    first, second = _first(faces), _second(faces)
    return np.where(faces.sign > 0, second[0], first[0]), np.where(faces.sign > 0, second[1], first[1])


def _through(solution: Solution, faces: BoundaryFaces) -> Floats:
    """Current per thickness through each face from the lower number to the higher, A/m."""
    row, column = _second(faces)
    across = solution.across[faces.row, np.minimum(column, solution.across.shape[1] - 1)]
    along = solution.along[np.minimum(row, solution.along.shape[0] - 1), faces.column]
    return np.asarray(faces.sign * np.where(faces.vertical, across, along), dtype=np.float64)


def _jump(solution: Solution, faces: BoundaryFaces) -> Floats:
    """Potential at the lower number's side minus that at the higher's, V."""
    (row_a, column_a), (row_b, column_b) = _first(faces), _second(faces)
    first = solution.faces[row_a, column_a, np.where(faces.vertical, EAST, SOUTH)]
    second = solution.faces[row_b, column_b, np.where(faces.vertical, WEST, NORTH)]
    return np.asarray(faces.sign * (first - second), dtype=np.float64)


def _segments(solution: Solution, faces: BoundaryFaces, network: BoundaryNetwork) -> Ints:
    """Segment of the network that each face belongs to: the nearest one of the same pair, or -1."""
    from scipy.spatial import cKDTree

    structure = solution.problem.structure
    step = np.array([structure.step[1], structure.step[0]])
    offset = np.where(faces.vertical[:, None], (0.5, 0.0), (0.0, 0.5))
    middle = np.array(structure.origin) + step * (np.stack([faces.column, faces.row], axis=1) + offset)
    of_pair: dict[tuple[int, int], list[int]] = {}
    for number, pair in enumerate(zip(network.boundaries.grain_a, network.boundaries.grain_b, strict=True)):
        of_pair.setdefault((int(pair[0]), int(pair[1])), []).append(number)
    out = np.full(len(faces), -1)
    keys, group = np.unique(np.stack([faces.low, faces.high], axis=1).reshape(-1, 2), axis=0, return_inverse=True)
    for index, (low, high) in enumerate(keys.tolist()):
        rows = np.flatnonzero(group.ravel() == index)
        candidates = of_pair.get((low, high), [])
        if len(candidates) > 1:
            points = [_dense(network.boundaries.points[number], float(step.min())) for number in candidates]
            owner = np.repeat(candidates, [len(part) for part in points])
            out[rows] = owner[cKDTree(np.concatenate(points)).query(middle[rows])[1]]
        elif candidates:
            out[rows] = candidates[0]
    return out


def _dense(points: Floats, step: float) -> Floats:
    """Points along a polyline no farther apart than a cell."""
    parts = [points[:1]]
    for a, b in pairwise(points):
        count = max(1, int(np.ceil(np.linalg.norm(b - a) / step)))
        parts.append(a + (b - a) * (np.arange(1, count + 1) / count)[:, None])
    return np.concatenate(parts)


def local_field(solution: Solution, shape: tuple[int, int], step: tuple[float, float]) -> FieldMap:
    """The local field in the pixels of the map the structure was made from, for `nbedex.blockade.analyse_blockade`.

    Means over the cells in each pixel; where cells are larger than pixels, the cell's that holds the pixel's middle.

    Parameters
    ----------
    solution
        The current.
    shape, step
        (ny, nx) and (dy, dx) in nm of the map.
    """
    structure = solution.problem.structure
    (ny, nx), (cell_y, cell_x) = structure.shape, structure.step
    y = structure.origin[1] + cell_y * np.arange(ny)
    x = structure.origin[0] + cell_x * np.arange(nx)
    if cell_y <= 1.001 * step[0] and cell_x <= 1.001 * step[1]:
        row, column = np.rint(y / step[0]).astype(int), np.rint(x / step[1]).astype(int)
        known = np.isfinite(solution.field[..., 0])
        known &= ((row >= 0) & (row < shape[0]))[:, None] & ((column >= 0) & (column < shape[1]))
        pixel = (row[:, None] * shape[1] + column)[known]
        count = np.bincount(pixel, minlength=shape[0] * shape[1])
        sums = [np.bincount(pixel, solution.field[known, k], minlength=len(count)) for k in range(3)]
        with np.errstate(invalid="ignore"):
            values = np.stack([np.where(count > 0, part / count, np.nan) for part in sums], axis=1)
        values = values.reshape(*shape, 3)
    else:
        row = np.clip(np.rint((np.arange(shape[0]) * step[0] - y[0]) / cell_y).astype(int), 0, ny - 1)
        column = np.clip(np.rint((np.arange(shape[1]) * step[1] - x[0]) / cell_x).astype(int), 0, nx - 1)
        values = solution.field[np.ix_(row, column)]
    return FieldMap(values=values, step=step, name=f"transport, model {solution.settings.model}")
