"""Effective conductivity of the microstructure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.transport.cells import EAST, NORTH, SOUTH, WEST
from nbedex.transport.checks import check_problem
from nbedex.transport.paths import path_links
from nbedex.transport.settings import TransportSettings
from nbedex.transport.solve import face_resistance, grain_boundaries, sheet_of
from nbedex.transport.structure import Problem, Structure, edge_problem
from nbedex.transport.system import System

Floats = NDArray[np.float64]
_SIDES = {"left": WEST, "right": EAST, "top": NORTH, "bottom": SOUTH}


@dataclass(frozen=True, kw_only=True, eq=False)
class EffectiveConductivity:
    """What the map conducts as a whole.

    Attributes
    ----------
    tensor
        (2, 2) S/m, symmetric: mean current density over mean field when the whole outer edge is held at a linear
        potential. A finite map then conducts no worse than it would as part of a larger one (an upper bound, Huet
        1990).
    insulated
        (2,) S/m along X and along Y between electrodes on opposite edges with the other two insulated; 0 where no
        path leads across.
    field
        (2, ny, nx, 2) local field, V/m, for a mean field of 1 V/m along X and along Y; NaN where nothing conducts.
    """

    tensor: Floats
    insulated: Floats
    field: Floats

    @property
    def principal(self) -> tuple[Floats, Floats]:
        """Principal conductivities (2,), larger first, S/m, and the direction of the larger in degrees from X to Y."""
        values, vectors = np.linalg.eigh(self.tensor)
        direction = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])) % 180.0
        return values[::-1], np.asarray(direction)

    def along(self, direction_deg: float) -> float:
        """S/m along a direction, degrees from X to Y: mean current density along the mean field."""
        angle = np.radians(direction_deg)
        unit = np.array([np.cos(angle), np.sin(angle)])
        return float(unit @ self.tensor @ unit)


def effective_conductivity(structure: Structure, settings: TransportSettings | None = None) -> EffectiveConductivity:
    """Calculate the effective conductivity tensor.

    Parameters
    ----------
    structure
        The map; electrodes play no part.
    settings
        Model and solver.

    Raises
    ------
    ArgumentError
        If no conductor touches the outer edge.
    """
    settings = settings or TransportSettings()
    structure = structure.refined(settings.refine)
    structure.check()
    conducts = _from_edge(structure)
    faces = grain_boundaries(structure, conducts, straight=settings.straighten and settings.model == "tensor")
    fixed = np.zeros((*structure.shape, 4), dtype=bool)
    fixed[:, 0, WEST] = fixed[:, -1, EAST] = fixed[0, :, NORTH] = fixed[-1, :, SOUTH] = True
    fixed &= conducts[..., None]
    contacts = np.where(fixed, 0, -1).astype(np.int16)
    links = path_links(structure, faces, contacts) if structure.boundary_path > 0 else None
    system = System(
        sheet_of(structure, conducts, settings.model),
        resistance=face_resistance(structure, faces),
        fixed=fixed,
        links=links,
        solver=settings.solver,
    )
    positions = _positions(structure)
    (dy, dx), (ny, nx) = structure.step, structure.shape
    area = ny * nx * dy * dx * 1e-18
    tensor, fields = np.zeros((2, 2)), np.full((2, *structure.shape, 2), np.nan)
    for direction in (0, 1):
        faces_v, currents, _ = system.solve(-positions[direction], tolerance=settings.tolerance)
        leaving = np.where(fixed, -currents - system.drawn(faces_v), 0.0)
        tensor[:, direction] = [float((positions[k] * leaving).sum()) / area for k in (0, 1)]
        inside = system.inside(faces_v, currents)
        fields[direction, ..., 0] = (inside[..., WEST] - inside[..., EAST]) / (dx * 1e-9)
        fields[direction, ..., 1] = (inside[..., NORTH] - inside[..., SOUTH]) / (dy * 1e-9)
    return EffectiveConductivity(
        tensor=0.5 * (tensor + tensor.T), insulated=_insulated(structure, settings), field=fields
    )


def _positions(structure: Structure) -> Floats:
    """(2, ny, nx, 4) x and y of the middles of all faces, m."""
    (dy, dx), (ny, nx) = structure.step, structure.shape
    x, y = np.zeros((ny, nx, 4)), np.zeros((ny, nx, 4))
    x += dx * (np.arange(nx)[None, :, None] + np.array([-0.5, 0.5, 0.0, 0.0]))
    y += dy * (np.arange(ny)[:, None, None] + np.array([0.0, 0.0, -0.5, 0.5]))
    return np.stack([x, y]) * 1e-9


def _from_edge(structure: Structure) -> NDArray[np.bool_]:
    """Conducting cells that reach the outer edge."""
    from scipy.ndimage import label

    patches, count = label(structure.conducts)
    edge = np.concatenate([patches[0], patches[-1], patches[:, 0], patches[:, -1]])
    keep = np.isin(np.arange(count + 1), edge)
    keep[0] = False
    if not keep.any():
        raise ArgumentError("no conductor touches the edge of the map, so it has no effective conductivity")
    return np.asarray(keep[patches])


def _insulated(structure: Structure, settings: TransportSettings) -> Floats:
    from nbedex.transport.solve import solve_once

    (dy, dx), (ny, nx) = structure.step, structure.shape
    out = np.zeros(2)
    for axis, (first, second) in enumerate((("left", "right"), ("top", "bottom"))):
        problem = edge_problem(structure, **{first: 1.0, second: 0.0})
        if _connected(problem):
            solution = solve_once(problem, settings)
            sheet = float(solution.electrode_current[0]) / (settings.thickness * 1e-9)
            out[axis] = sheet * ((nx * dx) / (ny * dy) if axis == 0 else (ny * dy) / (nx * dx))
    return out


def _connected(problem: Problem) -> bool:
    try:
        check_problem(problem, allow_isolated=True)
    except ArgumentError:
        return False
    return True
