"""Phases of a map as crystals: colour keys as SVG, and the zone axis that a grain shows."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.grains import MapPhase
from nbedex.maps import to_matrix
from nbedex.report.ipf import ColourKey, colour_key

Floats = NDArray[np.float64]
_LARGEST, _NEAR_DEG = 4, 2.0


@dataclass(frozen=True, eq=False)
class MapCrystal:
    """A phase of a map, as `nbedex.report.ipf` wants it; also one of another program's map."""

    phase: MapPhase

    @property
    def name(self) -> str:
        return self.phase.name

    @property
    def laue_class(self) -> str:
        return self.phase.laue_class

    @cached_property
    def symmetry_rotations(self) -> Floats:
        return np.asarray(to_matrix(self.phase.symmetry))

    @cached_property
    def reciprocal_basis(self) -> Floats:
        basis = self.phase.direct_basis
        return np.eye(3) if basis is None else np.asarray(np.linalg.inv(basis))


def key_svg(crystal: MapCrystal) -> dict[str, Any]:
    """What the template draws of a colour key: picture, outline and corners, in one frame with Y down."""
    key: ColourKey = colour_key(crystal, pixels=160)
    left, right, bottom, top = key.extent
    size = max(right - left, top - bottom)
    scale = 100.0 / size

    def place(x: float, y: float) -> tuple[float, float]:
        return round(scale * (x - left), 2), round(scale * (top - y), 2)

    middle = np.array([(left + right) / 2, (bottom + top) / 2])
    corners = []
    for (x, y), indices in key.corners if crystal.phase.direct_basis is not None else ():
        away = np.array([x, y]) - middle
        away = away / (np.linalg.norm(away) or 1.0)
        px, py = place(x, y)
        anchor = "start" if away[0] > 0.3 else "end" if away[0] < -0.3 else "middle"
        corners.append(
            {
                "x": px + 3 * away[0],
                "y": py - 3 * away[1] + (0 if away[1] > 0.2 else 12 if away[1] < -0.2 else 4),
                "anchor": anchor,
                "indices": [{"digit": abs(i), "bar": i < 0} for i in indices],
            }
        )
    return {
        "name": crystal.name,
        "laue": crystal.laue_class,
        "width": round(scale * (right - left), 2),
        "height": round(scale * (top - bottom), 2),
        "image": _png_uri(key.image),
        "outline": " ".join("{},{}".format(*place(float(x), float(y))) for x, y in key.outline),
        "corners": corners,
    }


def _png_uri(rgba: Floats) -> str:
    from matplotlib.image import imsave

    stream = io.BytesIO()
    imsave(stream, np.rint(255 * rgba).astype(np.uint8), format="png")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def zone_axis(phase: MapPhase, orientation: Floats) -> tuple[tuple[int, int, int], float] | None:
    """The lattice direction [u v w] next to the beam, and its angle to it in degrees; None without a cell.

    The one with the smallest indices within 2 degrees, or else the nearest with indices up to 4. Of a direction and
    its opposite the one that points along +Z.
    """
    if phase.direct_basis is None or not np.isfinite(orientation).all():
        return None
    beam = np.asarray(to_matrix(orientation))[:, 2]
    steps = np.arange(-_LARGEST, _LARGEST + 1)
    uvw = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    uvw = uvw[np.gcd.reduce(uvw, axis=1) == 1]
    vectors = uvw @ phase.direct_basis
    cosine = vectors @ beam / np.linalg.norm(vectors, axis=1)
    angle = np.rad2deg(np.arccos(np.clip(cosine, -1.0, 1.0)))
    near = np.flatnonzero(angle <= _NEAR_DEG)
    size = np.abs(uvw).sum(axis=1)
    best = near[np.lexsort((angle[near], size[near]))[0]] if near.size else int(np.argmin(angle))
    u, v, w = (int(i) for i in uvw[best])
    return (u, v, w), float(angle[best])
