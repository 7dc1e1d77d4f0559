"""Where and by how much the two models differ: per region, against the angle between its planes' trace and the axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.transport.conductivity import FLAT_DEG, planar_rows
from nbedex.transport.solve import Solution

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelDifference:
    """Two solutions of the same problem compared. One row per region that conducts.

    Attributes
    ----------
    resistance_ratio
        That of `ding2024` over that of `tensor`; NaN with more than two electrodes.
    region
        (n,) row of the structure's tables.
    inclination_deg, off_axis_deg
        (n,) between conduction planes and surface, and between their trace and the nearer of X and Y (0 to 45); NaN
        without planes or trace.
    mean_published, mean_tensor
        (n,) A/m^2, mean magnitude of the current density in the region.
    ratio
        (n,) of the two.
    angle_deg
        (n,) between the mean current densities.
    change
        (n,) root mean square difference over the root mean square of model `tensor`.
    """

    resistance_ratio: float
    region: NDArray[np.int64]
    inclination_deg: Floats
    off_axis_deg: Floats
    mean_published: Floats
    mean_tensor: Floats
    ratio: Floats
    angle_deg: Floats
    change: Floats


def compare_models(published: Solution, tensor: Solution) -> ModelDifference:
    """Quantify the difference between solutions of the same problem with the models `ding2024` and `tensor`.

    Raises
    ------
    ArgumentError
        If they are not of these models, or not on the same cells.
    """
    if (published.settings.model, tensor.settings.model) != ("ding2024", "tensor"):
        raise ArgumentError(
            "expected solutions of the models ding2024 and tensor, in this order, got"
            f" {published.settings.model} and {tensor.settings.model}"
        )
    structure = tensor.problem.structure
    if not np.array_equal(published.problem.structure.labels, structure.labels):
        raise ArgumentError("expected solutions on the same cells; use the same refinement for both")
    cells = tensor.connected.reached
    label = structure.labels[cells].astype(np.int64)
    n = len(structure.in_plane)
    count = np.bincount(label, minlength=n).astype(np.float64)
    region = np.flatnonzero(count)
    a, b = published.current_density[cells], tensor.current_density[cells]

    def mean(values: Floats) -> Floats:
        return np.asarray((np.bincount(label, values, minlength=n)[region] / count[region]), dtype=np.float64)

    normal = structure.normal[region]
    planar = planar_rows(normal)
    flat = np.hypot(normal[:, 0], normal[:, 1])
    inclination = np.degrees(np.arccos(np.clip(np.abs(np.where(planar, normal[:, 2], 0.0)), 0.0, 1.0)))
    trace = np.degrees(np.arctan2(np.abs(normal[:, 0]), np.abs(normal[:, 1])))
    traced = planar & (flat > np.sin(np.radians(FLAT_DEG)))
    mean_a = np.stack([mean(a[:, 0]), mean(a[:, 1])], axis=1)
    mean_b = np.stack([mean(b[:, 0]), mean(b[:, 1])], axis=1)
    size_a, size_b = mean(np.linalg.norm(a, axis=1)), mean(np.linalg.norm(b, axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.einsum("nk,nk->n", mean_a, mean_b) / np.linalg.norm(mean_a, axis=1) / np.linalg.norm(mean_b, axis=1)
        change = np.sqrt(mean(((a - b) ** 2).sum(axis=1)) / mean((b**2).sum(axis=1)))
        ratio = size_a / size_b
    both = published.resistance is not None and tensor.resistance is not None
    return ModelDifference(
        resistance_ratio=published.resistance / tensor.resistance if both else np.nan,  # type: ignore[operator]
        region=region,
        inclination_deg=np.where(planar, inclination, np.nan),
        off_axis_deg=np.where(traced, np.minimum(trace, 90 - trace), np.nan),
        mean_published=size_a,
        mean_tensor=size_b,
        ratio=ratio,
        angle_deg=np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))),
        change=change,
    )
