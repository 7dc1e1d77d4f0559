"""What current flows through: regions of cells with their conductivities, and electrodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.transport.conductivity import planar_rows

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

EDGES = ("left", "right", "top", "bottom")


@dataclass(frozen=True, kw_only=True, eq=False)
class Structure:
    """A map of regions for the current. Frame and units as in docs/conventions.md.

    Attributes
    ----------
    labels
        (ny, nx) int32, row of the tables below; -1 where nothing conducts.
    step
        (dy, dx) in nm.
    normal
        (n, 3) unit normal of each region's conduction planes, sample frame; NaN where it conducts alike in all
        directions.
    in_plane, out_of_plane
        (n,) S/m along and across the planes; `in_plane` in all directions where `normal` is NaN; NaN for regions that
        don't conduct.
    grain
        (n,) bool: whether boundaries to other grains have a resistance. False for the backbone.
    name
        n texts.
    origin
        (x, y) in nm of the middle of the first cell, in the frame of the map it was made from.
    boundary_resistance
        Ohm m^2 across boundaries between grains.
    pair_resistance
        Ohm m^2 of particular pairs of regions, smaller number first; they go before `boundary_resistance`.
    boundary_path
        S/m times nm: conductance along boundaries (conductivity times width); 0 for none.
    region
        (n,) int64, number of the region in the map it was made from; -1 for what was added. For reports.
    notes
        What was assumed, for people.
    """

    labels: NDArray[np.int32]
    step: tuple[float, float]
    normal: Floats
    in_plane: Floats
    out_of_plane: Floats
    grain: Bools
    name: tuple[str, ...]
    origin: tuple[float, float] = (0.0, 0.0)
    boundary_resistance: float = 0.0
    pair_resistance: Mapping[tuple[int, int], float] = field(default_factory=dict)
    boundary_path: float = 0.0
    region: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx)."""
        ny, nx = self.labels.shape
        return int(ny), int(nx)

    @property
    def conducts(self) -> Bools:
        """(ny, nx) bool."""
        known = np.append(np.isfinite(self.in_plane), False)
        cells: Bools = known[self.labels]
        return cells

    def check(self) -> None:
        """Refuse conductivities that make no sense.

        Raises
        ------
        ArgumentError
            Zero, negative or missing conductivity, negative resistance, or tables that don't fit the labels.
        """
        if self.labels.ndim != 2 or self.labels.size == 0:
            raise ArgumentError(f"expected a map of at least one cell, got labels of shape {self.labels.shape}")
        n = len(self.in_plane)
        lowest, highest = int(self.labels.min()), int(self.labels.max())
        if lowest < -1 or highest >= n:
            raise ArgumentError(f"labels must lie between -1 and {n - 1} (the regions), got {lowest} to {highest}")
        if not all(np.isfinite(size) and size > 0 for size in self.step):
            raise ArgumentError(f"the cells' size must be positive, got {self.step[0]:g} x {self.step[1]:g} nm")
        for what, values in (("along", self.in_plane), ("across", self.out_of_plane)):
            needed = np.isfinite(self.in_plane)
            if what == "across":
                needed &= planar_rows(self.normal)
            wrong = np.flatnonzero(needed & ~((values > 0) & np.isfinite(values)) | (values <= 0))
            if len(wrong):
                raise ArgumentError(
                    f"conductivities must be positive, got {values[wrong[0]]:g} S/m {what} the planes of"
                    f" {self.name[wrong[0]]}; what doesn't conduct is an insulator"
                )
        length = np.linalg.norm(self.normal, axis=1)
        bad = np.flatnonzero(np.isfinite(length) & (np.abs(length - 1) > 1e-6))
        if len(bad):
            raise ArgumentError(f"normals must have length 1, got {length[bad[0]]:g} for {self.name[bad[0]]}")
        resistances = {(-1, -1): self.boundary_resistance, **self.pair_resistance}
        for pair, value in resistances.items():
            if not (np.isfinite(value) and value >= 0):
                where = "boundaries" if pair == (-1, -1) else f"the boundary of regions {pair[0]} and {pair[1]}"
                raise ArgumentError(f"the resistance of {where} must be finite and not negative, got {value:g} ohm m^2")
        if not (np.isfinite(self.boundary_path) and self.boundary_path >= 0):
            raise ArgumentError(f"the conductance along boundaries must not be negative, got {self.boundary_path:g}")

    def refined(self, factor: int) -> Structure:
        """The same with every cell cut into factor x factor."""
        if factor == 1:
            return self
        dy, dx = self.step
        fine = np.repeat(np.repeat(self.labels, factor, axis=0), factor, axis=1)
        shift = 0.5 * (1 - 1 / factor)
        origin = (self.origin[0] - shift * dx, self.origin[1] - shift * dy)
        return replace(self, labels=fine, step=(dy / factor, dx / factor), origin=origin)


@dataclass(frozen=True, kw_only=True)
class Electrode:
    """A metal at one potential, or with a given current.

    Attributes
    ----------
    where
        Place, for example "top:10-40"; see `nbedex.transport.places`.
    potential
        V; None where the current is given instead.
    current
        A into the specimen; None where the potential is given.
    name
        For reports; `where` if empty.
    """

    where: str
    potential: float | None = None
    current: float | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if (self.potential is None) == (self.current is None):
            raise ArgumentError(f"electrode {self.where!r} needs either a potential or a current, and not both")
        value = self.current if self.potential is None else self.potential
        if value is None or not np.isfinite(value):
            raise ArgumentError(f"electrode {self.where!r} needs a finite potential or current, got {value}")

    @property
    def label(self) -> str:
        """What it is called."""
        return self.name or self.where


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """A structure with its electrodes in place.

    Attributes
    ----------
    structure
        Regions.
    electrodes
        In the order that the numbers below count.
    of_cell
        (ny, nx) int16: electrode that the cell is metal of, or -1.
    of_edge
        For each of `EDGES`, the electrode that touches the edge's cells, or -1: (ny,) or (nx,) int16.
    """

    structure: Structure
    electrodes: tuple[Electrode, ...]
    of_cell: NDArray[np.int16]
    of_edge: Mapping[str, NDArray[np.int16]]

    @property
    def conducts(self) -> Bools:
        """(ny, nx) bool: cells that conduct and are no electrode."""
        cells: Bools = self.structure.conducts & (self.of_cell < 0)
        return cells

    def contacts(self) -> NDArray[np.int16]:
        """(ny, nx, 4) electrode at each face (west, east, north, south) of conducting cells, or -1."""
        out = np.full((*self.structure.shape, 4), -1, dtype=np.int16)
        out[:, 1:, 0], out[:, :-1, 1] = self.of_cell[:, :-1], self.of_cell[:, 1:]
        out[1:, :, 2], out[:-1, :, 3] = self.of_cell[:-1], self.of_cell[1:]
        out[:, 0, 0], out[:, -1, 1] = self.of_edge["left"], self.of_edge["right"]
        out[0, :, 2], out[-1, :, 3] = self.of_edge["top"], self.of_edge["bottom"]
        out[~self.conducts] = -1
        return out

    def refined(self, factor: int) -> Problem:
        """The same on cells cut into factor x factor."""
        if factor == 1:
            return self
        return Problem(
            structure=self.structure.refined(factor),
            electrodes=self.electrodes,
            of_cell=np.repeat(np.repeat(self.of_cell, factor, axis=0), factor, axis=1),
            of_edge={edge: np.repeat(values, factor) for edge, values in self.of_edge.items()},
        )


def no_edges(shape: tuple[int, int]) -> dict[str, NDArray[np.int16]]:
    """Edges without electrodes."""
    ny, nx = shape
    return {edge: np.full(ny if edge in ("left", "right") else nx, -1, dtype=np.int16) for edge in EDGES}


def edge_problem(structure: Structure, **potentials: float) -> Problem:
    """Electrodes on whole edges: `edge_problem(structure, left=1.0, right=0.0)`. The others are insulated."""
    of_edge = no_edges(structure.shape)
    electrodes: list[Electrode] = []
    for edge, potential in potentials.items():
        if edge not in EDGES:
            raise ArgumentError(f"expected one of {', '.join(EDGES)} as an edge, got {edge!r}")
        of_edge[edge][:] = len(electrodes)
        electrodes.append(Electrode(where=edge, potential=potential))
    of_cell = np.full(structure.shape, -1, dtype=np.int16)
    return Problem(structure=structure, electrodes=tuple(electrodes), of_cell=of_cell, of_edge=of_edge)


def simple_structure(labels: Any, *, step: tuple[float, float] = (1.0, 1.0), **tables: Any) -> Structure:
    """A structure from plain arrays: `normal`, `in_plane`, `out_of_plane` and, if wanted, the other attributes."""
    labels = np.asarray(labels, dtype=np.int32)
    in_plane = np.atleast_1d(np.asarray(tables.pop("in_plane"), dtype=np.float64))
    n = len(in_plane)
    normal = np.asarray(tables.pop("normal", np.full((n, 3), np.nan)), dtype=np.float64).reshape(n, 3)
    out_of_plane = np.broadcast_to(np.asarray(tables.pop("out_of_plane", in_plane), dtype=np.float64), (n,))
    tables.setdefault("grain", np.ones(n, dtype=bool))
    tables.setdefault("name", tuple(f"region {i}" for i in range(n)))
    return Structure(
        labels=labels, step=step, normal=normal, in_plane=in_plane, out_of_plane=np.array(out_of_plane), **tables
    )
