"""The data that grains, boundaries, blockade and transport share.

Frames and units as everywhere (docs/conventions.md): sample frame X right along columns, Y down along rows,
Z = X x Y along the beam; orientations are quaternions (w, x, y, z) from the sample frame to the crystal frame;
angles in radians unless a name ends in `_deg`; lengths in nm. Positions in a map are (x, y) in nm, the middle of
pixel (row 0, column 0) at (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.grains.answer import GrainAnswer
from nbedex.phases import Phase

Floats = NDArray[np.float64]


class Role(IntEnum):
    """What a region of the map is for the current: a grain of conductor, or something else."""

    GRAIN = 0  # indexed, conducts
    INSULATOR = 1  # inclusion such as ZrO2
    ELECTRODE = 2  # metal such as Au, Pt
    NOT_INDEXED = 3  # a region of the map nothing is known of
    HOLE = 4  # no specimen there


@dataclass(frozen=True, kw_only=True, eq=False)
class MapPhase:
    """What grain work needs to know of a phase, also where a map of another program says no more.

    Attributes
    ----------
    name
        As in the map.
    laue_class
        One of the 11, such as -3m.
    symmetry
        (m, 4) proper rotations of the Laue class in the crystal frame (e1 || a, e3 || c*), identity first.
    direct_basis
        (3, 3), rows a, b, c in angstrom in the crystal frame; None where the map gives no cell.
    centring
        Lattice letter of the space group (P, A, B, C, I, F, R), "P" where not known.
    conduction_normal
        (3,) unit normal of the planes along which Na+ moves, crystal frame; None for a phase without such planes.
    conducts_sodium
        Whether it is an Na+ conductor.
    role
        What regions of this phase are.
    colour
        Hex colour.
    """

    name: str
    laue_class: str
    symmetry: Floats
    direct_basis: Floats | None = None
    centring: str = "P"
    conduction_normal: Floats | None = None
    conducts_sodium: bool = False
    role: Role = Role.GRAIN
    colour: str = "#888888"

    @classmethod
    def of(cls, phase: Phase) -> MapPhase:
        """What is needed of a phase of ours."""
        return cls(
            name=phase.name,
            laue_class=phase.laue_class,
            symmetry=phase.symmetry_quaternions,
            # the phase has a, b, c as columns
            direct_basis=phase.direct_basis.T,
            centring=_centring(phase),
            conduction_normal=phase.conduction_normal,
            conducts_sodium=phase.conducts_sodium,
            role={"electrode": Role.ELECTRODE, "inclusion": Role.INSULATOR}.get(phase.role, Role.GRAIN),
            colour=phase.colour,
        )


def _centring(phase: Phase) -> str:
    """Lattice letter; a rhombohedral lattice on its own axes is primitive there."""
    name = phase.space_group_name
    return "P" if name.replace(" ", "").endswith(":R") else name[:1] or "P"


@dataclass(frozen=True, kw_only=True, eq=False)
class OrientationMap:
    """Phase and orientation of every pixel, from whoever made the map.

    Attributes
    ----------
    phases
        `phase_id` counts in this tuple.
    phase_id
        (ny, nx) int16, -1 where not indexed.
    orientation
        (ny, nx, 4) float64, NaN where not indexed.
    step
        (along rows' direction Y, along X) in nm; (1, 1) where not known, see `step_known`.
    step_known
        Whether `step` is in nm; otherwise lengths count pixels.
    confidence
        (ny, nx) float32 in [0, 1], or None: a probability where the map has one, else a score.
    hole
        (ny, nx) bool, True where there is no specimen; None if that is not known.
    rival_orientation, rival_phase_id, rival_score
        The n best distinct solutions of every pixel as in `IndexingResult`; None in maps of other programs.
    answers
        What Bloch waves said of grains (`nbedex pool`).
    origin
        What goes into the provenance of results: file, its hash, program.
    """

    phases: tuple[MapPhase, ...]
    phase_id: NDArray[np.int16]
    orientation: Floats
    step: tuple[float, float] = (1.0, 1.0)
    step_known: bool = False
    confidence: NDArray[np.float32] | None = None
    hole: NDArray[np.bool_] | None = None
    rival_orientation: Floats | None = None
    rival_phase_id: NDArray[np.int16] | None = None
    rival_score: NDArray[np.float32] | None = None
    answers: tuple[GrainAnswer, ...] = ()
    origin: dict[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx)."""
        ny, nx = self.phase_id.shape
        return int(ny), int(nx)


@dataclass(frozen=True, kw_only=True, eq=False)
class Grains:
    """One row per region, numbered from 0 as in `GrainMap.grain_id`. Regions that aren't grains have no orientation.

    Attributes
    ----------
    role
        (n,) int8, a `Role`.
    phase_id
        (n,) int16, index into the map's phases; -1 where not indexed.
    orientation
        (n, 4) symmetry-aware mean, sample to crystal; NaN without one.
    spread_deg
        (n,) mean disorientation of the pixels from the mean orientation (GOS).
    orientation_error_deg
        (n,) one sigma of the mean orientation, per axis: what blockade propagates.
    n_pixels, n_absorbed
        (n,) pixels, and how many of them were specks or not indexed before they were absorbed.
    area, perimeter
        (n,) nm^2 and nm.
    centroid
        (n, 2) (x, y) in nm.
    ellipse_axes, ellipse_deg
        (n, 2) long and short axis of the ellipse with the region's second moments, nm (full lengths); (n,) direction of
        the long one against X (towards Y), in [0, 180).
    bounds
        (n, 4) first row, first column, last row, last column.
    confidence
        (n,) mean confidence of the pixels; NaN if the map has none.
    conduction_normal
        (n, 3) unit normal of the conduction planes in the sample frame, z >= 0 (a plane's normal has no sign); NaN
        for phases without.
    inclination_deg
        (n,) alpha = arccos |n_z|, between conduction plane and lamella surface.
    trace_deg
        (n,) theta, direction of the plane's trace on the surface against X (towards Y), in [0, 180); NaN where alpha
        is too small to define it.
    touches_edge
        (n,) bool, whether the map's edge cuts it.
    """

    role: NDArray[np.int8]
    phase_id: NDArray[np.int16]
    orientation: Floats
    spread_deg: Floats
    orientation_error_deg: Floats
    n_pixels: NDArray[np.int64]
    n_absorbed: NDArray[np.int64]
    area: Floats
    perimeter: Floats
    centroid: Floats
    ellipse_axes: Floats
    ellipse_deg: Floats
    bounds: NDArray[np.int64]
    confidence: Floats
    conduction_normal: Floats
    inclination_deg: Floats
    trace_deg: Floats
    touches_edge: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.role)


@dataclass(frozen=True, kw_only=True, eq=False)
class GrainMap:
    """A map cut into regions: every pixel belongs to exactly one.

    Attributes
    ----------
    source
        The map.
    grain_id
        (ny, nx) int32, row of `grains`. Numbers follow the first pixel of each region in reading order, so they don't
        depend on how the grains were found.
    grains
        What is known of each.
    neighbours
        (k, 2) int32, pairs of regions that share an edge, smaller number first, sorted.
    settings
        The options that led here, for provenance.
    absorbed
        (ny, nx) bool, pixels that were specks or not indexed and now belong to the region around them: their own
        orientation and phase say nothing about it.
    """

    source: OrientationMap
    grain_id: NDArray[np.int32]
    grains: Grains
    neighbours: NDArray[np.int32]
    absorbed: NDArray[np.bool_]
    settings: dict[str, Any] = field(default_factory=dict)

    def pixels(self) -> list[NDArray[np.intp]]:
        """Flat numbers of the pixels of every region, rising."""
        flat = self.grain_id.ravel()
        order = np.argsort(flat, kind="stable")
        edges = np.searchsorted(flat[order], np.arange(len(self.grains) + 1))
        return [order[first:end] for first, end in pairwise(edges)]

    def near(self) -> list[list[int]]:
        """The neighbours of every region."""
        near: list[list[int]] = [[] for _ in range(len(self.grains))]
        for a, b in self.neighbours.tolist():
            near[a].append(b)
            near[b].append(a)
        return near
