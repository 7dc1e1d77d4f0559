"""Maps whose regions and conduction planes are known, without any pattern or file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.boundaries import BoundaryNetwork, trace_boundaries
from nbedex.grains import GrainMap, MapPhase, OrientationMap, grains_of
from nbedex.phases import load_phase

Floats = NDArray[np.float64]
NAMES = ("beta2-alumina", "nzsp", "au", "zro2-m")


def phases(names: tuple[str, ...] = NAMES) -> tuple[MapPhase, ...]:
    return tuple(MapPhase.of(load_phase(name)) for name in names)


def orientation_of(normal: Floats, spin: float = 0.3) -> Floats:
    """A quaternion that takes `normal` of the sample to e3 of the crystal, with any angle about it."""
    n = normal / np.linalg.norm(normal)
    axis = np.cross(n, [0.0, 0.0, 1.0])
    first = np.array([1.0 + n[2], *axis]) if n[2] > -0.999999 else np.array([0.0, 1.0, 0.0, 0.0])
    first = first / np.linalg.norm(first)
    w, z = np.cos(spin / 2), np.sin(spin / 2)  # then about e3
    a, b, c, d = first
    product = np.array([w * a - z * d, w * b - z * c, w * c + z * b, w * d + z * a])
    return np.asarray(product if product[0] >= 0 else -product)


def grain_map(
    labels: NDArray[np.integer], normals: Floats, *, phase: NDArray[np.integer] | None = None, step: float = 2.0
) -> GrainMap:
    """Regions (ny, nx), the plane normal (n, 3) and phase (n,) (index into NAMES, -1 not indexed) of each label."""
    which = np.zeros(len(normals), dtype=np.int16) if phase is None else np.asarray(phase, dtype=np.int16)
    each = np.array([orientation_of(n, spin=0.1 + 0.37 * i) for i, n in enumerate(normals)])
    orientation = each[labels].copy()
    orientation[which[labels] < 0] = np.nan
    source = OrientationMap(
        phases=phases(), phase_id=which[labels], orientation=orientation, step=(step, step), step_known=True
    )
    return grains_of(source, labels)


def network(
    labels: NDArray[np.integer], normals: Floats, *, phase: NDArray[np.integer] | None = None, step: float = 2.0
) -> BoundaryNetwork:
    return trace_boundaries(grain_map(labels, normals, phase=phase, step=step))


def halves(shape: tuple[int, int] = (24, 30)) -> NDArray[np.int64]:
    """Label 0 on the left, 1 on the right."""
    labels = np.zeros(shape, dtype=np.int64)
    labels[:, shape[1] // 2 :] = 1
    return labels


def disc(size: int = 81, radius: float = 25.0) -> NDArray[np.int64]:
    """Label 1 inside a circle."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return (np.hypot(x, y) <= radius).astype(np.int64)


def voronoi(shape: tuple[int, int], n: int, seed: int) -> NDArray[np.int64]:
    """Cells of n random points, numbered by their first pixel in reading order."""
    from scipy.spatial import cKDTree

    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 1, (n, 2)) * shape
    grid = np.stack(np.mgrid[: shape[0], : shape[1]], axis=-1).reshape(-1, 2)
    labels = cKDTree(points).query(grid)[1].reshape(shape)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[inverse].reshape(shape))


def indexing_result(labels: NDArray[np.integer], normals: Floats, *, phase: Any = None, noise_deg: float = 0.3) -> Any:
    """The same as a result of indexing: random symmetric equivalents and noise in every pixel."""
    from nbedex.calibration import Calibration
    from nbedex.maps import IndexingResult, Status, canonical, multiply

    rng = np.random.default_rng(11)
    which = np.zeros(len(normals), dtype=np.int16) if phase is None else np.asarray(phase, dtype=np.int16)
    ours = tuple(load_phase(name) for name in NAMES)
    result = IndexingResult.empty(
        labels.shape, ours, Calibration(pixel_size=0.01, voltage=300.0, step=(2.0, 2.0)), n_rivals=1,
        provenance={"input": "phantom"},
    )  # fmt: skip
    each = np.array([orientation_of(n, spin=0.1 + 0.37 * i) for i, n in enumerate(normals)])
    tilt = np.deg2rad(noise_deg) / 2 * rng.normal(size=(*labels.shape, 3))
    turned = multiply(np.concatenate([np.ones((*labels.shape, 1)), tilt], axis=-1), each[labels])
    for number, kind in enumerate(ours):
        mine = which[labels] == number
        pick = rng.integers(len(kind.symmetry_quaternions), size=int(mine.sum()))
        turned[mine] = multiply(kind.symmetry_quaternions[pick], turned[mine])
    result.orientation[:] = canonical(turned)
    result.phase_id[:] = which[labels]
    result.status[:] = Status.OK
    result.index[:] = 0.5
    return result
