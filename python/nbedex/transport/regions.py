"""From a map of regions, places and options to a problem that can be solved."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.grains import Role
from nbedex.transport.conductivity import planar_rows
from nbedex.transport.places import Canvas, edge_faces, is_edge, place_cells
from nbedex.transport.settings import TransportSettings
from nbedex.transport.structure import Electrode, Problem, Structure, no_edges

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionMap:
    """Regions with what their conductivity follows from; from a grain map or from a label image and a table.

    Attributes
    ----------
    region
        (ny, nx) int, row of the tables; -1 where there is no specimen.
    step
        (dy, dx) in nm.
    role
        (n,) of `nbedex.grains.Role`.
    phase
        n names.
    normal
        (n, 3) unit normal of the conduction planes, sample frame; NaN for none.
    conducts_sodium
        (n,) bool: phases with planes that conduct take the default conductivities.
    orientation_error_deg
        (n,) one sigma of the orientation about each axis, degrees; for the uncertainty.
    """

    region: NDArray[np.integer]
    step: tuple[float, float]
    role: NDArray[np.int8]
    phase: tuple[str, ...]
    normal: Floats
    conducts_sodium: Bools
    orientation_error_deg: Floats = field(default_factory=lambda: np.zeros(0))


def build_problem(
    regions: RegionMap,
    electrodes: Sequence[Electrode],
    settings: TransportSettings | None = None,
    *,
    insulators: Sequence[str] = (),
    mask: NDArray[np.integer] | None = None,
) -> Problem:
    """Put electrodes, insulators and the frame around a map.

    Parameters
    ----------
    regions
        The map.
    electrodes
        Where they are (`nbedex.transport.places`) and what drives them.
    settings
        Conductivities and sizes.
    insulators
        Places that don't conduct.
    mask
        (ny, nx) image of the map's size whose values places may name.

    Raises
    ------
    ArgumentError
        Places that hold nothing or overlap, phases without conductivity, a mask of another size.
    """
    settings = settings or TransportSettings()
    placed = {where.partition(":")[2].strip() for where in (*insulators, *(e.where for e in electrodes))}
    in_plane, out, normal, notes = region_conductivities(regions, settings, exempt=placed)
    index, step, origin = _resampled(regions, settings.pixel)
    shown = np.asarray(regions.region)[index]
    extent = _extent(regions)
    frame = _frame(settings.backbone, step)
    (left, right, top, bottom), outside = frame, len(in_plane)
    width = ((top, bottom), (left, right))
    labels = np.pad(shown.astype(np.int32), width, constant_values=outside)
    if any(frame):
        in_plane, out = np.append(in_plane, settings.in_plane / settings.backbone_ratio), np.append(out, np.nan)
        normal = np.vstack([normal, np.full(3, np.nan)])
    if mask is not None and mask.shape != regions.region.shape:
        raise ArgumentError(f"expected a mask image of {regions.region.shape} pixels, as the map has, got {mask.shape}")
    canvas = Canvas(
        shape=(labels.shape[0], labels.shape[1]),
        step=step,
        origin=(origin[0] - left * step[1], origin[1] - top * step[0]),
        extent=extent,
        region=np.where(labels == outside, -1, labels),
        phase=regions.phase,
        mask=None if mask is None else np.pad(np.asarray(mask)[index], width, constant_values=-1),
    )
    of_cell, of_edge = _place(electrodes, insulators, canvas, labels)
    n = len(regions.role)
    structure = Structure(
        labels=labels,
        step=step,
        origin=canvas.origin,
        normal=normal,
        in_plane=in_plane,
        out_of_plane=out,
        grain=np.append(np.ones(n, dtype=bool), np.zeros(len(in_plane) - n, dtype=bool)),
        name=(*(f"region {i} ({phase})" for i, phase in enumerate(regions.phase)), "backbone")[: len(in_plane)],
        boundary_resistance=settings.boundary_resistance,
        boundary_path=settings.path_conductance,
        region=np.append(np.arange(n), np.full(len(in_plane) - n, -1)),
        notes=notes,
    )
    return Problem(structure=structure, electrodes=tuple(electrodes), of_cell=of_cell, of_edge=of_edge)


def region_conductivities(
    regions: RegionMap, settings: TransportSettings, *, exempt: Collection[str] = ()
) -> tuple[Floats, Floats, Floats, tuple[str, ...]]:
    """(n,) along and (n,) across the planes, S/m, NaN where nothing conducts; (n, 3) normals; notes.

    Phases in `exempt`, those placed as insulators or electrodes, need no conductivity.

    Raises
    ------
    ArgumentError
        If phases of grains have no conductivity, or two conductivities but no planes.
    """
    n = len(regions.role)
    in_plane, out, normal = np.full(n, np.nan), np.full(n, np.nan), np.array(regions.normal, dtype=np.float64)
    planar = planar_rows(normal)
    notes, missing = [], []
    unknown = sorted(set(settings.phases) - set(regions.phase))
    if unknown:
        known = ", ".join(sorted(set(regions.phase))) or "none"
        raise ArgumentError(f"conductivity given for {', '.join(unknown)}, but the map's phases are {known}")
    for phase in sorted(set(regions.phase)):
        mine = np.array([name == phase for name in regions.phase]) & (regions.role == Role.GRAIN)
        given = settings.phases.get(phase)
        if not mine.any():
            if given is not None:
                notes.append(f"the conductivity of {phase} is not used: its regions are no grains of conductor")
            continue
        if isinstance(given, tuple):
            if not planar[mine].all():
                raise ArgumentError(
                    f"phase {phase} has no conduction planes, so expected one conductivity, got two ({given[0]:g} and"
                    f" {given[1]:g} S/m)"
                )
            in_plane[mine], out[mine] = given
        elif given is not None:
            in_plane[mine] = out[mine] = given
            normal[mine] = np.nan
        elif (planar & regions.conducts_sodium)[mine].all():
            in_plane[mine], out[mine] = settings.in_plane, settings.in_plane / settings.anisotropy
        elif phase not in exempt:
            missing.append(f"{phase} ({int(mine.sum())} regions)")
    if missing:
        first = missing[0].rpartition(" (")[0]
        raise ArgumentError(
            f"phases without conductivity: {', '.join(missing)}; give each, for example --conductivity {first}=0.1,"
            f" or make it an insulator with --insulator phase:{first}"
        )
    blank = regions.role == Role.NOT_INDEXED
    if blank.any():
        share = float(blank[np.asarray(regions.region)[np.asarray(regions.region) >= 0]].mean())
        if settings.not_indexed is None:
            notes.append(f"{100 * share:.1f} % of the map is not indexed and was taken as insulating")
        else:
            in_plane[blank] = out[blank] = settings.not_indexed
            normal[blank] = np.nan
            notes.append(f"{100 * share:.1f} % of the map is not indexed and was given {settings.not_indexed:g} S/m")
    return in_plane, out, normal, tuple(notes)


def _extent(regions: RegionMap) -> tuple[float, float, float, float]:
    (dy, dx), (ny, nx) = regions.step, regions.region.shape
    return -0.5 * dx, (nx - 0.5) * dx, -0.5 * dy, (ny - 0.5) * dy


def _resampled(
    regions: RegionMap, pixel: float | None
) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], tuple[float, float], tuple[float, float]]:
    """Pixels of the map that the cells lie in, the cells' size, and the middle of the first."""
    (dy, dx), (ny, nx) = regions.step, regions.region.shape
    if pixel is None:
        rows, columns, step = np.arange(ny), np.arange(nx), (dy, dx)
    else:
        my, mx = max(1, round(ny * dy / pixel)), max(1, round(nx * dx / pixel))
        if my * mx > 50_000_000:
            raise ArgumentError(f"cells of {pixel:g} nm would be {my} x {mx}, more than 50 million; make them larger")
        rows = np.minimum(((np.arange(my) + 0.5) * ny / my).astype(int), ny - 1)
        columns = np.minimum(((np.arange(mx) + 0.5) * nx / mx).astype(int), nx - 1)
        step = (ny * dy / my, nx * dx / mx)
    origin = (0.5 * step[1] - 0.5 * dx, 0.5 * step[0] - 0.5 * dy)
    index = np.ix_(rows, columns)
    return (index[0], index[1]), step, origin


def _frame(widths: tuple[float, float, float, float], step: tuple[float, float]) -> tuple[int, int, int, int]:
    """Cells of the frame left, right, top and bottom; at least one where a width is given."""
    sizes = (step[1], step[1], step[0], step[0])
    left, right, top, bottom = (max(1, round(w / s)) if w > 0 else 0 for w, s in zip(widths, sizes, strict=True))
    return left, right, top, bottom


def _place(
    electrodes: Sequence[Electrode], insulators: Sequence[str], canvas: Canvas, labels: NDArray[np.int32]
) -> tuple[NDArray[np.int16], dict[str, NDArray[np.int16]]]:
    """Electrodes of cells and edges; insulators are cut out of `labels`."""
    of_cell, of_edge = np.full(canvas.shape, -1, dtype=np.int16), no_edges(canvas.shape)
    for number, electrode in enumerate(electrodes):
        if is_edge(electrode.where):
            edge, chosen = edge_faces(electrode.where, canvas)
            _refuse_overlap(electrodes, electrode, of_edge[edge][chosen])
            of_edge[edge][chosen] = number
        else:
            cells = place_cells(electrode.where, canvas)
            _refuse_overlap(electrodes, electrode, of_cell[cells])
            of_cell[cells] = number
    for where in insulators:
        if is_edge(where):
            raise ArgumentError(f"edges insulate anyway where no electrode is; expected cells, got {where!r}")
        cells = place_cells(where, canvas)
        taken = of_cell[cells]
        if (taken >= 0).any():
            other = electrodes[int(taken.max())].label
            raise ArgumentError(
                f"roles overlap: {int((taken >= 0).sum())} cells are both insulator {where} and electrode {other}"
            )
        labels[cells] = -1
    return of_cell, of_edge


def _refuse_overlap(electrodes: Sequence[Electrode], mine: Electrode, there: NDArray[np.int16]) -> None:
    if (there >= 0).any():
        other = electrodes[int(there.max())].label
        raise ArgumentError(
            f"roles overlap: {int((there >= 0).sum())} cells are of both electrodes {other} and {mine.label}"
        )
