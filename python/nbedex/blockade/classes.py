"""The twelve published classes of boundaries, from angles and from the sign of what is driven towards the boundary.

Ding2023 fig. 5 draws them in two dimensions, with the field exactly across or along the boundary. Here they follow from
normals of planes, of the boundary and of the field in space; the label from traces puts the normals of planes that
stand on edge and have the same traces in their place.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbedex.blockade.flux import unit
from nbedex.blockade.settings import Tolerances

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
_Z = np.array([0.0, 0.0, 1.0])
# A chevron weaker than this has no clear a or b: it says nothing that an error of some degrees could not turn round.
WEAK_CHEVRON = 0.1


class BoundaryClass(IntEnum):
    """Type I, II or III; a or b; 1 for a field across the boundary, 2 for one along it."""

    NOT_IN_SCHEME = 0
    I_A1 = 1
    I_A2 = 2
    I_B1 = 3
    I_B2 = 4
    II_A1 = 5
    II_A2 = 6
    II_B1 = 7
    II_B2 = 8
    III_A1 = 9
    III_A2 = 10
    III_B1 = 11
    III_B2 = 12

    @property
    def label(self) -> str:
        """As published, such as "III a2"."""
        if self is BoundaryClass.NOT_IN_SCHEME:
            return "not in the scheme"
        kind, rest = self.name.split("_")
        return f"{kind} {rest.lower()}"


PUBLISHED_AS_BLOCKING = (BoundaryClass.II_B1, BoundaryClass.III_A2)
N_CODES = len(BoundaryClass)


@dataclass(frozen=True, kw_only=True, eq=False)
class Classified:
    """The class of every row.

    Attributes
    ----------
    code
        (...) int8, a `BoundaryClass`.
    oblique_field
        (...) bool: the field is clearly neither across nor along; the label is that of the nearer direction.
    weak_chevron
        (...) bool: type III, but the two sides hardly differ in what they drive towards the boundary, so that a or b
        means little.
    """

    code: Codes
    oblique_field: NDArray[np.bool_]
    weak_chevron: NDArray[np.bool_]


def classify(
    normal_a: ArrayLike,
    normal_b: ArrayLike,
    boundary: ArrayLike,
    field: ArrayLike,
    tolerances: Tolerances | None = None,
) -> Classified:
    """Class of boundaries from the conduction planes in space.

    Parameters
    ----------
    normal_a, normal_b
        (..., 3) unit normals of the conduction planes of the two grains; NaN or zero rows are not in the scheme.
    boundary
        (..., 3) unit normal of the boundary, from A to B.
    field
        (..., 3) electric field, of any magnitude; rows without one are not in the scheme.
    tolerances
        Limits between the classes.

    Returns
    -------
    classified
        Swapping the grains (and turning the boundary's normal round) changes nothing, nor does turning everything
        about Z.
    """
    n_a, n_b, m, e = np.broadcast_arrays(
        np.asarray(normal_a, dtype=np.float64),
        np.asarray(normal_b, dtype=np.float64),
        np.asarray(boundary, dtype=np.float64),
        unit(field),
    )
    a_m, b_m, a_e, b_e, e_m = _dot(n_a, m), _dot(n_b, m), _dot(n_a, e), _dot(n_b, e), _dot(e, m)
    t = tangent(m)
    limits = cosines(tolerances or Tolerances())
    chevron = chevron_of(a_m, b_m, a_e, b_e, _dot(n_a, t), _dot(n_b, t), e_m)
    code = code_of(_dot(n_a, n_b), a_m, b_m, e_m, chevron, limits)
    known = np.isfinite(e_m) & (_dot(n_a, n_a) > 0.5) & (_dot(n_b, n_b) > 0.5)
    code = np.where(known, code, np.int8(0))
    across = np.abs(e_m)
    return Classified(
        code=code,
        oblique_field=known & (across < limits.field_across) & (across > limits.field_along),
        weak_chevron=(code >= BoundaryClass.III_A1) & (np.abs(chevron) < WEAK_CHEVRON),
    )


def edge_on(normal: ArrayLike, *, least_inclination_deg: float) -> Floats:
    """(..., 3) normals of planes that stand on edge and have the same traces on the surface.

    It is what a map of traces shows. Planes flatter than `least_inclination_deg` have no trace; they are taken to lie
    in the surface (normal along Z).
    """
    n = np.asarray(normal, dtype=np.float64)
    flat = np.hypot(n[..., 0], n[..., 1])
    lying = flat < np.sin(np.deg2rad(least_inclination_deg))
    standing = n * np.array([1.0, 1.0, 0.0]) / np.where(lying, 1.0, flat)[..., None]
    empty = (n**2).sum(axis=-1)[..., None] == 0
    return np.where(empty, n, np.where(lying[..., None], _Z, standing))


@dataclass(frozen=True)
class Cosines:
    """Tolerances as limits of |cos| between vectors, in which the classes are decided."""

    parallel: float
    perpendicular: float
    along: float
    across: float
    field_across: float
    field_along: float


@cache
def cosines(tolerances: Tolerances) -> Cosines:
    """Limits from tolerances."""
    t = {name: float(np.deg2rad(value)) for name, value in tolerances.to_dict().items()}
    return Cosines(
        parallel=float(np.cos(t["parallel_deg"])),
        perpendicular=float(np.sin(t["perpendicular_deg"])),
        along=float(np.cos(t["along_deg"])),
        across=float(np.sin(t["across_deg"])),
        field_across=float(np.cos(t["field_deg"])),
        field_along=float(np.sin(t["field_deg"])),
    )


def code_of(a_b: Any, a_m: Any, b_m: Any, e_m: Any, chevron: Any, limits: Cosines) -> Codes:
    """Class from n_A.n_B, n_A.m, n_B.m, E.m and the chevron; arrays of one shape."""
    a_b, a_m, b_m = np.abs(a_b), np.abs(a_m), np.abs(b_m)
    least, most = np.minimum(a_m, b_m), np.maximum(a_m, b_m)
    parallel = a_b >= limits.parallel
    both_along = least >= limits.along
    both_across = most <= limits.across
    one_walls = (most >= limits.along) & (least <= limits.across)
    second = (a_b <= limits.perpendicular) & (both_across | one_walls)
    # first code of the type, plus 2 for b, plus 1 for a field along the boundary
    is_b = np.where(parallel, ~both_along, np.where(second, one_walls, ~(chevron > 0)))
    code = np.where(parallel, np.int8(1), np.where(second, np.int8(5), np.int8(9)))
    code += 2 * is_b.view(np.int8)
    code += (np.abs(e_m) < _HALF_WAY).view(np.int8)
    return np.asarray(code)


_HALF_WAY = float(np.cos(np.pi / 4))


def chevron_of(a_m: Any, b_m: Any, a_e: Any, b_e: Any, a_t: Any, b_t: Any, e_m: Any) -> Any:
    """What a field along the boundary would pile up there, for fully blocked planes: its sign tells III a from III b.

    The field along the boundary is the one there is, without its part across. Where the field is rather across (1), it
    has no such part to speak of; then it is the field turned by 90 degrees, from X towards Y.
    """
    along = b_m * b_e - a_m * a_e - e_m * (b_m * b_m - a_m * a_m)
    turned = np.sign(e_m) * (b_m * b_t - a_m * a_t)
    return np.where(np.abs(e_m) < _HALF_WAY, along, turned)


def tangent(normal: Floats) -> Floats:
    """Z x m made a unit vector: the direction of the boundary in the map; X for a boundary that lies in the map."""
    t = np.stack([-normal[..., 1], normal[..., 0], np.zeros(normal.shape[:-1])], axis=-1)
    length = np.linalg.norm(t, axis=-1, keepdims=True)
    return np.where(length > 1e-12, t / np.where(length > 1e-12, length, 1.0), np.array([1.0, 0.0, 0.0]))


def _dot(u: Floats, v: Floats) -> Floats:
    return np.asarray((u * v).sum(axis=-1))
