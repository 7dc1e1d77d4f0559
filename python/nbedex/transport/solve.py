"""From a problem to its solution: models, electrodes, fields, and how good it all is."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.progress import Progress, silent
from nbedex.transport.cells import EAST, NORTH, SOUTH, WEST, Sheet
from nbedex.transport.checks import Connected, check_problem
from nbedex.transport.conductivity import lamella_tensor, plane_tensor, published_conductivities
from nbedex.transport.paths import path_links
from nbedex.transport.settings import TransportSettings
from nbedex.transport.staircase import BoundaryFaces, boundary_faces
from nbedex.transport.structure import Problem, Structure
from nbedex.transport.system import Checked, NotSolved, System

Floats = NDArray[np.float64]

_PAIR_CELLS = 250_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """The current in a structure. X right, Y down; see `TransportSettings` for what was assumed.

    Attributes
    ----------
    problem, settings
        What was solved.
    potential
        (ny, nx) V; NaN where nothing conducts and where no electrode reaches.
    current_density
        (ny, nx, 2) A/m^2 along X and Y; 0 where nothing conducts or flows, NaN never.
    field
        (ny, nx, 3) V/m; the third, along the beam, keeps J_z = 0 in model "tensor". NaN where the potential is.
    across, along
        (ny, nx + 1) and (ny + 1, nx): current per thickness, A/m, through vertical faces (towards X) and through
        horizontal ones (towards Y). They add up to zero in every cell.
    faces
        (ny, nx, 4) V: potentials of every cell's faces (west, east, north, south), on the cell's side of a boundary.
    electrode_potential, electrode_current
        (n,) V and A (into the specimen).
    conductance
        (n, n) S: currents from potentials of electrodes.
    resistance
        Ohm between two electrodes, extrapolated where a refinement pair was solved; None with more than two.
    resistance_uncertainty
        What the extrapolation changed at the finer of the pair; None without a pair.
    map_change
        Root mean square change of the current density between the pair over its root mean square; None without.
    checked, connected
        Residual and charge balance of the equations; what floats.
    charge_balance
        Sum of all electrodes' currents over the largest.
    seconds
        Time of the solution.
    """

    problem: Problem
    settings: TransportSettings
    potential: Floats
    current_density: Floats
    field: Floats
    across: Floats
    along: Floats
    faces: Floats
    electrode_potential: Floats
    electrode_current: Floats
    conductance: Floats
    resistance: float | None
    resistance_uncertainty: float | None
    map_change: float | None
    checked: Checked
    connected: Connected
    charge_balance: float
    seconds: float

    @property
    def magnitude(self) -> Floats:
        """(ny, nx) A/m^2."""
        return np.asarray(np.hypot(self.current_density[..., 0], self.current_density[..., 1]), dtype=np.float64)


def solve(problem: Problem, settings: TransportSettings | None = None, *, progress: Progress = silent) -> Solution:
    """Calculate the direct current.

    Parameters
    ----------
    problem
        Structure and electrodes.
    settings
        Model and how to calculate; conductivities and geometry are already in `problem`.
    progress
        Called for each solution.

    Raises
    ------
    ArgumentError
        If the problem has no answer (see `check_problem`).
    NotSolved
        If the equations don't hold to the tolerance.
    """
    settings = settings or TransportSettings()
    started = time.perf_counter()
    cells = problem.structure.labels.size
    pair = settings.refinement_pair
    if pair is None:
        pair = settings.model == "tensor" and cells <= _PAIR_CELLS
    problem = problem.refined(settings.refine)
    progress("solving", 0, 2 if pair else 1)
    coarse = solve_once(problem, settings)
    progress("solving", 1, 2 if pair else 1)
    if not pair:
        return replace(coarse, seconds=time.perf_counter() - started)
    fine = solve_once(problem.refined(2), settings)
    progress("solving", 2, 2)
    return _with_pair(coarse, fine, seconds=time.perf_counter() - started)


def _with_pair(coarse: Solution, fine: Solution, *, seconds: float) -> Solution:
    """Errors fall in proportion to the cells' size, by theory and by measurement; so the pair gives their limit."""
    ny, nx = coarse.potential.shape
    mean = fine.current_density.reshape(ny, 2, nx, 2, 2).mean(axis=(1, 3))
    size = float(np.linalg.norm(mean))
    change = float(np.linalg.norm(mean - coarse.current_density)) / size if size else 0.0
    resistance, uncertainty = coarse.resistance, None
    if fine.resistance is not None and coarse.resistance is not None:
        limit = 2 / fine.resistance - 1 / coarse.resistance
        resistance = 1 / limit if limit > 0 else fine.resistance
        uncertainty = abs(resistance - fine.resistance)
    return replace(
        coarse, resistance=resistance, resistance_uncertainty=uncertainty, map_change=change, seconds=seconds
    )


def sheet_of(structure: Structure, conducts: NDArray[np.bool_], model: str) -> Sheet:
    """In-plane conductivities of every cell."""
    normal, in_plane, out = structure.normal, structure.in_plane, structure.out_of_plane
    index = np.where(conducts, structure.labels, 0)
    if model == "ding2024":
        pair = published_conductivities(normal, in_plane, out)
        xx, yy, xy = pair[:, 0], pair[:, 1], np.zeros(len(pair))
    else:
        flat = lamella_tensor(plane_tensor(normal, in_plane, out))
        xx, xy, yy = flat[:, 0, 0], flat[:, 0, 1], flat[:, 1, 1]
    return Sheet(xx[index], xy[index], yy[index], conducts, structure.step, two_point=model == "ding2024")


def grain_boundaries(structure: Structure, conducts: NDArray[np.bool_], *, straight: bool) -> BoundaryFaces:
    """Faces between grains."""
    grain = np.append(structure.grain & np.isfinite(structure.in_plane), False)
    labels = np.where(conducts & grain[structure.labels], structure.labels, -1)
    return boundary_faces(labels, structure.step, straight=straight)


def face_resistance(structure: Structure, faces: BoundaryFaces) -> Floats | None:
    """(ny, nx, 4) m/S: half of the boundary's resistance on each side; None if there is none."""
    area = np.full(len(faces), structure.boundary_resistance)
    for (low, high), value in structure.pair_resistance.items():
        area[(faces.low == low) & (faces.high == high)] = value
    if not area.any():
        return None
    size = np.where(faces.vertical, structure.step[0], structure.step[1]) * 1e-9
    half = 0.5 * area * faces.stretch / size
    out = np.zeros((*structure.shape, 4))
    for vertical, first, second, down, right in ((True, EAST, WEST, 0, 1), (False, SOUTH, NORTH, 1, 0)):
        chosen = faces.vertical == vertical
        row, column = faces.row[chosen], faces.column[chosen]
        out[row, column, first] = half[chosen]
        out[row + down, column + right, second] = half[chosen]
    return out


def solve_once(problem: Problem, settings: TransportSettings) -> Solution:
    connected = check_problem(problem, allow_isolated=settings.allow_isolated)
    structure = problem.structure
    straight = settings.straighten and settings.model == "tensor"
    boundary = grain_boundaries(structure, connected.reached, straight=straight)
    contacts = np.where(connected.reached[..., None], problem.contacts(), -1)
    links = path_links(structure, boundary, contacts) if structure.boundary_path > 0 else None
    system = System(
        sheet_of(structure, connected.reached, settings.model),
        resistance=face_resistance(structure, boundary),
        fixed=contacts >= 0,
        links=links,
        solver=settings.solver,
    )
    conductance, units = _unit_solutions(system, contacts, len(problem.electrodes), settings)
    potential, current = _drive(problem, conductance)
    drops = potential[1:] - potential[0]
    faces = potential[0] + sum(drop * unit[0] for drop, unit in zip(drops, units, strict=True))
    currents = sum(drop * unit[1] for drop, unit in zip(drops, units, strict=True))
    worst = max((unit[2] for unit in units), key=lambda checked: checked.residual)
    balance = abs(float(current.sum())) / float(np.abs(current).max())
    if not balance <= settings.tolerance:
        raise NotSolved(
            f"charge is not conserved: currents of the electrodes add up to {balance:.1e} of the largest, expected at"
            f" most {settings.tolerance:.0e}; reduce the contrast of conductivities, or raise the tolerance"
        )
    two = len(problem.electrodes) == 2
    fields = _fields(system, problem, faces, currents, settings.model)
    return Solution(
        problem=problem,
        settings=settings,
        electrode_potential=potential,
        electrode_current=current,
        conductance=conductance,
        resistance=abs(float(potential[0] - potential[1]) / float(current[0])) if two else None,
        resistance_uncertainty=None,
        map_change=None,
        checked=worst,
        connected=connected,
        charge_balance=balance,
        seconds=0.0,
        **fields,
    )


def _unit_solutions(
    system: System, contacts: NDArray[np.int16], n: int, settings: TransportSettings
) -> tuple[Floats, list[tuple[Floats, Floats, Checked]]]:
    """Solutions with 1 V on one electrode and 0 on the others, for all but the first; and all conductances, S."""
    units = []
    matrix = np.zeros((n, n))
    for electrode in range(1, n):
        faces, currents, checked = system.solve((contacts == electrode).astype(float), tolerance=settings.tolerance)
        units.append((faces, currents, checked))
        touched = contacts >= 0
        leaving = currents + system.drawn(faces)
        matrix[:, electrode] = np.bincount(contacts[touched], leaving[touched], minlength=n)
    matrix[:, 0] = -matrix[:, 1:].sum(axis=1)  # equal potentials drive nothing
    return matrix * settings.thickness * 1e-9, units


def _drive(problem: Problem, conductance: Floats) -> tuple[Floats, Floats]:
    """Potentials and currents of all electrodes from those given."""
    electrodes = problem.electrodes
    given = np.array([electrode.potential is not None for electrode in electrodes])
    potential = np.array([electrode.potential or 0.0 for electrode in electrodes])
    if not given.any():
        given[-1] = True  # only differences matter: the last is ground
    wanted = np.array([electrode.current or 0.0 for electrode in electrodes])
    free = np.flatnonzero(~given)
    if len(free):
        held = conductance[np.ix_(free, np.flatnonzero(given))] @ potential[given]
        potential[free] = np.linalg.solve(conductance[np.ix_(free, free)], wanted[free] - held)
    current: Floats = conductance @ potential
    return potential, current


def _fields(system: System, problem: Problem, faces: Floats, currents: Floats, model: str) -> dict[str, Any]:
    dy, dx = problem.structure.step
    inside = system.inside(faces, currents)
    density = np.stack(
        [
            (currents[..., WEST] - currents[..., EAST]) / (2 * dy * 1e-9),
            (currents[..., NORTH] - currents[..., SOUTH]) / (2 * dx * 1e-9),
        ],
        axis=-1,
    )
    field = np.zeros((*problem.structure.shape, 3))
    field[..., 0] = (inside[..., WEST] - inside[..., EAST]) / (dx * 1e-9)
    field[..., 1] = (inside[..., NORTH] - inside[..., SOUTH]) / (dy * 1e-9)
    if model == "tensor":
        structure = problem.structure
        tensor = plane_tensor(structure.normal, structure.in_plane, structure.out_of_plane)
        slope = -tensor[:, 2, :2] / tensor[:, 2, 2, None]
        index = np.where(system.sheet.conducts, structure.labels, 0)
        field[..., 2] = np.einsum("yxk,yxk->yx", slope[index], field[..., :2])
    ny, nx = problem.structure.shape
    across, along = np.zeros((ny, nx + 1)), np.zeros((ny + 1, nx))
    across[:, :-1], along[:-1] = currents[..., WEST], currents[..., NORTH]
    # the same face seen from its other cell, where the first does not conduct
    across[:, 1:] = np.where(across[:, 1:] == 0, -currents[..., EAST], across[:, 1:])
    along[1:] = np.where(along[1:] == 0, -currents[..., SOUTH], along[1:])
    return {
        "potential": system.middle(inside),
        "current_density": density,
        "field": np.where(system.sheet.conducts[..., None], field, np.nan),
        "across": across,
        "along": along,
        "faces": inside,
    }
