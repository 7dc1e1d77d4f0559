"""What each region is like: orientation, size, shape, conduction plane, neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbedex.grains.arrays import MapArrays
from nbedex.grains.mean import mean_orientations
from nbedex.grains.model import Floats, GrainMap, Grains, OrientationMap, Role
from nbedex.grains.segment import Segmentation
from nbedex.grains.settings import GrainSettings
from nbedex.grains.shape import region_shapes
from nbedex.maps import conjugate, rotate

Labels = NDArray[np.int32]


def describe_regions(
    source: OrientationMap, found: Segmentation, settings: GrainSettings, *, threads: int = 0
) -> GrainMap:
    """Everything known of regions, with their neighbours."""
    region, absorbed, phase, n = found.region, found.absorbed, found.phase_of, len(found.phase_of)
    own = found.oriented & (phase >= 0)[region] & (source.phase_id == phase[region])
    mean = mean_orientations(
        MapArrays.of(source), region, own, phase, floor_deg=settings.orientation_floor_deg, threads=threads
    )
    normal = conduction_normals(source, mean.orientation, phase)
    inclination, trace = plane_angles(normal, settings.min_inclination_deg)
    shapes = region_shapes(region, n, source.step)
    grains = Grains(
        role=_roles(source, found),
        phase_id=phase,
        orientation=mean.orientation,
        spread_deg=mean.spread_deg,
        orientation_error_deg=mean.error_deg,
        n_pixels=shapes.n_pixels,
        n_absorbed=np.bincount(region[absorbed], minlength=n).astype(np.int64),
        area=shapes.area,
        perimeter=shapes.perimeter,
        centroid=shapes.centroid,
        ellipse_axes=shapes.ellipse_axes,
        ellipse_deg=shapes.ellipse_deg,
        bounds=shapes.bounds,
        confidence=_mean_confidence(source, region, ~absorbed & (source.phase_id >= 0), n),
        conduction_normal=normal,
        inclination_deg=inclination,
        trace_deg=trace,
        touches_edge=shapes.touches_edge,
    )
    return GrainMap(
        source=source,
        grain_id=region,
        grains=grains,
        neighbours=shapes.contacts,
        absorbed=absorbed,
        settings=settings.to_dict(),
    )


def conduction_normals(source: OrientationMap, orientation: Floats, phase: NDArray[np.int16]) -> Floats:
    """Unit normals (n, 3) of the conduction planes in the sample frame, z >= 0; NaN for phases without."""
    normal = np.full((len(phase), 3), np.nan)
    for number, kind in enumerate(source.phases):
        mine = phase == number
        if kind.conduction_normal is not None and bool(mine.any()):
            normal[mine] = rotate(conjugate(orientation[mine]), kind.conduction_normal)
    # a plane's normal has no sign: z >= 0, and where z is 0 the first of y, x that isn't is positive
    key = np.where(normal[:, 2] != 0, normal[:, 2], np.where(normal[:, 1] != 0, normal[:, 1], normal[:, 0]))
    return np.asarray(np.where(key[:, None] < 0, -normal, normal) + 0.0)


def plane_angles(normal: Floats, min_inclination_deg: float) -> tuple[Floats, Floats]:
    """Inclination alpha and trace direction theta, degrees, of planes with unit normals (..., 3) (science.md, 4).

    alpha = arccos |n_z|; the trace is Z x n, theta its angle from X towards Y in [0, 180), NaN where alpha is under
    the limit.
    """
    x, y, z = np.moveaxis(normal, -1, 0)
    inclination = np.rad2deg(np.arctan2(np.hypot(x, y), np.abs(z)))
    trace = np.mod(np.rad2deg(np.arctan2(x, -y)), 180.0)
    trace = np.where(trace >= 180.0, 0.0, trace)  # np.mod of -1e-17 is 180
    return np.asarray(inclination), np.where(inclination >= max(min_inclination_deg, 1e-9), trace, np.nan)


def _roles(source: OrientationMap, found: Segmentation) -> NDArray[np.int8]:
    of_phase = np.array([int(p.role) for p in source.phases], dtype=np.int8)
    without = np.where(found.hole, Role.HOLE, Role.NOT_INDEXED)
    return np.where(found.phase_of >= 0, of_phase[found.phase_of], without).astype(np.int8)


def _mean_confidence(source: OrientationMap, region: Labels, of: NDArray[np.bool_], n: int) -> Floats:
    if source.confidence is None:
        return np.full(n, np.nan)
    known = of & np.isfinite(source.confidence)
    total = np.bincount(region[known], weights=source.confidence[known], minlength=n)
    number = np.bincount(region[known], minlength=n)
    return np.asarray(np.where(number > 0, total / np.maximum(number, 1), np.nan))
