"""From a grain map to its boundary network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.boundaries.csl_labels import CslLabels, join_labels, label_csl
from nbedex.boundaries.disorientation import plane_angle_deg, trace_angle_deg
from nbedex.boundaries.junctions import end_points
from nbedex.boundaries.model import Boundaries, BoundaryNetwork
from nbedex.boundaries.polyline import measure
from nbedex.boundaries.settings import BoundarySettings
from nbedex.boundaries.smoothing import enclosed_area, smooth_loop, smooth_open, starts_of
from nbedex.boundaries.tracing import Chains, trace_chains
from nbedex.grains import GrainMap, Role, disorientations
from nbedex.maps.orientation import rotation_angle

Floats = NDArray[np.float64]


def trace_boundaries(grain_map: GrainMap, settings: BoundarySettings | None = None) -> BoundaryNetwork:
    """Trace all boundaries of a grain map and say what crystallography says about each.

    Parameters
    ----------
    grain_map
        The map; regions that aren't grains have boundaries too.
    settings
        Options; None for the defaults.

    Returns
    -------
    network
        Segments sorted by their grains; boundary planes are taken as edge-on to the lamella, see `inclined`.
    """
    settings = settings or BoundarySettings()
    chains = trace_chains(grain_map.grain_id)
    step = np.array([grain_map.source.step[1], grain_map.source.step[0]])  # (x, y)
    lines = _polylines(chains, settings.smoothing_px)
    points = tuple(line * step for line in lines)
    shape = measure(points)
    crystal = _crystallography(grain_map, chains, settings)
    planes = grain_map.grains.conduction_normal
    boundaries = Boundaries(
        grain_a=chains.left.astype(np.int32),
        grain_b=chains.right.astype(np.int32),
        points=points,
        closed=shape.closed,
        length=shape.length,
        normal=shape.normal,
        phase_boundary=crystal.phase_boundary,
        disorientation_deg=crystal.angle_deg,
        axis=crystal.axis,
        psi_deg=plane_angle_deg(planes[chains.left], planes[chains.right]),
        delta_theta_deg=trace_angle_deg(
            grain_map.grains.trace_deg[chains.left], grain_map.grains.trace_deg[chains.right]
        ),
        plane_to_boundary_a_deg=plane_angle_deg(planes[chains.left], shape.normal),
        plane_to_boundary_b_deg=plane_angle_deg(planes[chains.right], shape.normal),
        sigma=crystal.csl.sigma,
        csl_deviation_deg=crystal.csl.deviation_deg,
        csl_label=crystal.csl.label,
        twin=crystal.csl.twin,
    )
    return BoundaryNetwork(
        grain_map=grain_map,
        boundaries=boundaries,
        triple_points=_triple_points(chains, lines) * step,
        settings={**settings.to_dict(), "inclination": "edge-on assumed"},
    )


def _polylines(chains: Chains, wavelength: float) -> list[Floats]:
    """Smooth curves of all chains, in pixels."""
    positions = chains.positions(chains.vertices)
    middles = (positions[:-1] + positions[1:]) / 2
    between = np.ones(len(middles), dtype=bool)
    between[chains.offset[1:-1] - 1] = False  # from the end of one chain to the beginning of the next
    samples = middles[between]
    counts = np.diff(chains.offset) - 1
    offset = starts_of(counts)
    lines: list[Floats] = [np.zeros((0, 2))] * len(chains)
    for k in np.flatnonzero(chains.loop):
        corners = positions[chains.offset[k] : chains.offset[k + 1] - 1]
        lines[k] = smooth_loop(samples[offset[k] : offset[k + 1]], enclosed_area(corners), wavelength=wavelength)
    opened = np.flatnonzero(~chains.loop)
    if len(opened):
        mine = np.repeat(~chains.loop, counts)
        ends = end_points(chains.where(~chains.loop), starts_of(counts[opened]), samples[mine], reach=wavelength / 2)
        curves = smooth_open(starts_of(counts[opened]), samples[mine], ends, wavelength=wavelength)
        for k, line in zip(opened, curves.split(), strict=True):
            lines[k] = line
    return lines


def _triple_points(chains: Chains, lines: list[Floats]) -> Floats:
    """Where three or more regions meet (k, 2), in pixels: the ends that the segments there share."""
    ends = np.array([line[[0, -1]] for line in lines]).reshape(-1, 2)
    vertices = np.stack([chains.vertices[chains.offset[:-1]], chains.vertices[chains.offset[1:] - 1]], axis=1)
    known, first = np.unique(vertices.reshape(-1), return_index=True)
    return np.asarray(ends[first[np.searchsorted(known, chains.triple_points)]])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Crystallography:
    """What follows from the orientations on both sides."""

    phase_boundary: NDArray[np.bool_]
    angle_deg: Floats
    axis: Floats
    csl: CslLabels


def _crystallography(grain_map: GrainMap, chains: Chains, settings: BoundarySettings) -> _Crystallography:
    grains, phases = grain_map.grains, grain_map.source.phases
    a, b = chains.left, chains.right
    phase = grains.phase_id[a]
    known = np.isfinite(grains.orientation).all(axis=1) & (grains.role != Role.NOT_INDEXED) & (grains.role != Role.HOLE)
    same = (phase == grains.phase_id[b]) & (phase >= 0) & known[a] & known[b]
    quaternion = np.full((len(a), 4), np.nan)
    labels: list[tuple[NDArray[np.int64], CslLabels]] = []
    for number, kind in enumerate(phases):
        rows = np.flatnonzero(same & (phase == number))
        if not len(rows):
            continue
        pairs = grains.orientation[a[rows]], grains.orientation[b[rows]]
        quaternion[rows] = disorientations(*pairs, kind.symmetry).rotation
        labels.append((rows, label_csl(quaternion[rows], kind, settings)))
    length = np.linalg.norm(quaternion[:, 1:], axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        axis = np.where(length > 1e-9, quaternion[:, 1:] / np.maximum(length, 1e-300), np.nan)
    return _Crystallography(
        phase_boundary=~same,
        angle_deg=np.rad2deg(rotation_angle(quaternion)),
        axis=axis,
        csl=join_labels(len(a), labels),
    )
