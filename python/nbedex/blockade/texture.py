"""Whether the conduction planes of a map prefer a direction: numbers that need no orientation distribution function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbedex.blockade.flux import unit

Floats = NDArray[np.float64]
CAP_DEG = 15.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Texture:
    """Texture of conduction planes, weighted by area.

    Attributes
    ----------
    n_grains, area
        Grains with planes, and their area.
    tensor
        (3, 3) mean of n n^T; a third of the unit matrix without texture.
    values, axes
        (3,) its eigenvalues, largest first, and (3, 3) their axes as rows: normals gather about the first (fibre) or
        avoid the last (girdle).
    strength
        (3 values[0] - 1) / 2: 0 without texture, 1 if all planes are parallel.
    effective_grains
        (sum of areas)^2 / sum of squares: how many equal grains would scatter as much.
    along_field
        Mean |n . E|: 1/2 at random, 0 if all planes contain the field.
    conductivity
        Mean of E . sigma E / sigma_ip, the upper bound of the map's conductivity along the field: 2/3 at random.
    multiples
        For X, Y, Z and the field: area with normals within 15 degrees of it, in multiples of random.
    """

    n_grains: int
    area: float
    tensor: Floats
    values: Floats
    axes: Floats
    strength: float
    effective_grains: float
    along_field: float
    conductivity: float
    multiples: dict[str, float]


def texture_of(
    normals: ArrayLike, areas: ArrayLike, *, field: ArrayLike | None = None, conductivity_ratio: float = 1e3
) -> Texture:
    """Texture of planes with unit normals (n, 3) and areas (n,); rows of NaN or zeros don't count.

    Parameters
    ----------
    normals, areas
        Of grains.
    field
        (3,) direction; None leaves what refers to it NaN.
    conductivity_ratio
        In-plane over out-of-plane conductivity.
    """
    n, area = np.asarray(normals, dtype=np.float64).reshape(-1, 3), np.asarray(areas, dtype=np.float64)
    known = (n**2).sum(axis=1) > 0.5
    n, area = n[known], area[known]
    total = float(area.sum())
    if total <= 0:
        nan3 = np.full(3, np.nan)
        return Texture(
            n_grains=0, area=0.0, tensor=np.full((3, 3), np.nan), values=nan3, axes=np.full((3, 3), np.nan),
            strength=np.nan, effective_grains=0.0, along_field=np.nan, conductivity=np.nan,
            multiples=dict.fromkeys(("X", "Y", "Z", "E"), np.nan),
        )  # fmt: skip
    weight = area / total
    tensor = np.einsum("k,ki,kj->ij", weight, n, n)
    values, vectors = np.linalg.eigh(tensor)
    e = np.full(3, np.nan) if field is None else unit(field)
    cosine = n @ e
    cap = 1 - np.cos(np.deg2rad(CAP_DEG))
    directions = dict(zip("XYZ", np.eye(3), strict=True)) | {"E": e}
    return Texture(
        n_grains=len(n),
        area=total,
        tensor=tensor,
        values=values[::-1],
        axes=vectors.T[::-1],
        strength=float((3 * values[-1] - 1) / 2),
        effective_grains=float(1 / (weight**2).sum()),
        along_field=float(weight @ np.abs(cosine)),
        conductivity=float(weight @ (1 - (1 - 1 / conductivity_ratio) * cosine**2)),
        multiples={
            name: float(weight @ (np.abs(n @ d) >= 1 - cap)) / cap if np.isfinite(d).all() else np.nan
            for name, d in directions.items()
        },
    )
