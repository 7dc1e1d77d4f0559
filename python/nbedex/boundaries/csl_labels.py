"""Which coincidence a boundary is nearest to, with its name and whether it is a known twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.boundaries.csl import CUBIC, CslTable, csl_table
from nbedex.boundaries.settings import BoundarySettings
from nbedex.grains import MapPhase
from nbedex.maps.orientation import conjugate, multiply, rotation_angle

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CLOSE_PACKED = (1.55, 1.90)  # c/a of hexagonal metals, from Be to Cd
_TWIN_PLANES = ((1, 0, 2), (1, 0, 1), (1, 1, 1), (1, 1, 2))  # {10-12}, {10-11}, {11-21}, {11-22}


@dataclass(frozen=True, kw_only=True, eq=False)
class CslLabels:
    """Columns of `Boundaries` that speak of coincidence; filled phase by phase."""

    sigma: NDArray[np.int32]
    deviation_deg: Floats
    label: tuple[str, ...]
    twin: NDArray[np.bool_]


def join_labels(n: int, parts: Sequence[tuple[Ints, CslLabels]]) -> CslLabels:
    """Labels of n boundaries from those of some rows each; the others are general."""
    sigma, deviation = np.zeros(n, dtype=np.int32), np.full(n, np.nan)
    label, twin = np.full(n, "", dtype=object), np.zeros(n, dtype=bool)
    for rows, part in parts:
        sigma[rows], deviation[rows], twin[rows] = part.sigma, part.deviation_deg, part.twin
        label[rows] = part.label
    return CslLabels(sigma=sigma, deviation_deg=deviation, label=tuple(label), twin=twin)


def label_csl(quaternions: Floats, phase: MapPhase, settings: BoundarySettings) -> CslLabels:
    """Label disorientations (n, 4), reduced, of one phase.

    Of all coincidences within their tolerance the one with the smallest deviation relative to it counts; of equal ones
    the first in the table. Disorientations below the low-angle limit are Σ1.
    """
    table = csl_table(phase, limit=settings.csl_limit, strain_tolerance=settings.strain_tolerance)
    angle = np.rad2deg(rotation_angle(quaternions))
    row, deviation = nearest_csl(quaternions, phase.symmetry, table, settings)
    low = angle < settings.low_angle_deg
    found = (row >= 0) & ~low
    names = np.array([*csl_names(table), ""], dtype=object)
    twins = np.append(twin_rows(table, phase), False)
    row = np.where(found, row, len(table))
    sigma = np.append(table.sigma, 0)[row]
    return CslLabels(
        sigma=np.where(low, 1, sigma).astype(np.int32),
        deviation_deg=np.where(low, angle, np.where(found, deviation, np.nan)),
        label=tuple(np.where(low, "Σ1", names[row])),
        twin=twins[row],
    )


def tolerances_deg(sigma: Ints, settings: BoundarySettings) -> Floats:
    """Largest deviation (n,) from a coincidence rotation, degrees."""
    return np.asarray(settings.brandon_deg / sigma.astype(np.float64) ** settings.brandon_exponent)


def nearest_csl(
    quaternions: Floats, symmetry: Floats, table: CslTable, settings: BoundarySettings
) -> tuple[Ints, Floats]:
    """Row of the table (n,), -1 if none is within its tolerance, and the deviation in degrees.

    The deviation is the disorientation between the two disorientations, over all operators on both sides and the
    exchange of the grains. Since they are reduced, only equivalents of a coincidence rotation near the reduced region
    can be the nearest; the others are left out beforehand.
    """
    best = np.full(len(quaternions), -1, dtype=np.int64)
    relative, deviation = np.full(len(quaternions), np.inf), np.full(len(quaternions), np.nan)
    limits = tolerances_deg(table.sigma, settings)
    for row, limit in enumerate(limits):
        variants = _equivalents(table.quaternion[row], symmetry)
        variants = variants[_near_reduced(variants, symmetry, np.deg2rad(limit))]
        cosine = np.abs(quaternions @ variants.T)
        closest = np.argmax(cosine, axis=1)
        near = np.flatnonzero(cosine[np.arange(len(closest)), closest] >= np.cos(np.deg2rad(limit) / 2) - 1e-12)
        between = multiply(quaternions[near], conjugate(variants[closest[near]]))
        angle = np.rad2deg(rotation_angle(between))
        better = (angle <= limit) & (angle / limit < relative[near] - 1e-9)
        rows = near[better]
        best[rows], relative[rows], deviation[rows] = row, angle[better] / limit, angle[better]
    return best, deviation


def _equivalents(quaternion: Floats, symmetry: Floats) -> Floats:
    """All equivalents S q S' and S q^-1 S' (k, 4), w >= 0, each once."""
    both = np.stack([quaternion, conjugate(quaternion)])
    products = multiply(multiply(symmetry[:, None, None], both[None, :, None]), symmetry[None, None, :]).reshape(-1, 4)
    leading = np.take_along_axis(products, np.argmax(np.abs(products) > 1e-9, axis=1)[:, None], axis=1)
    products = np.where(leading < 0, -products, products)
    _, first = np.unique(np.rint(products * 1e7), axis=0, return_index=True)
    return np.asarray(products[np.sort(first)])


def _near_reduced(variants: Floats, symmetry: Floats, limit: float) -> NDArray[np.bool_]:
    """Whether a reduced disorientation can be within `limit` of a variant.

    A reduced q has |q.1| >= |q.S| for all S. A rotation within `limit` of it is at most 2 sin(limit / 4) away on the
    sphere of quaternions, so it keeps the inequality but for twice that.
    """
    scalar = np.abs(variants[:, :1])
    others = np.abs(variants @ symmetry.T)
    return np.asarray(np.all(others <= scalar + 4 * np.sin(limit / 4) + 1e-9, axis=1))


def csl_names(table: CslTable) -> list[str]:
    """Names such as "Σ13b 27.80°[111]"; the letter counts those of equal Σ by their angle, where there are several.

    Coincidences of the strained cell are counted apart, so that the names of the others don't depend on the strain.
    """
    names = []
    suffix = "" if table.strain == 0 else f" ({table.description}, strain {100 * table.strain:.1f} %)"
    for row, sigma in enumerate(table.sigma):
        same = np.flatnonzero((table.sigma == sigma) & (table.exact == table.exact[row]))
        letter = chr(ord("a") + int(np.flatnonzero(same == row)[0])) if 1 < len(same) <= 26 else ""
        axis = "".join(str(u) for u in table.axis[row])
        if np.any((table.axis[row] < 0) | (table.axis[row] > 9)):
            axis = " ".join(str(u) for u in table.axis[row])
        exact = "" if table.exact[row] else suffix
        names.append(f"Σ{sigma}{letter} {table.angle_deg[row]:.2f}°[{axis}]{exact}")
    return names


def twin_rows(table: CslTable, phase: MapPhase) -> NDArray[np.bool_]:
    """Which rows are known twin laws.

    By merohedry: Σ1 in any lattice that has more symmetry than the crystal. By reticular merohedry: Σ3 about [111] of
    cubic crystals, which is the twin of fcc and bcc metals, and Σ3 about [001] of rhombohedral ones, where obverse and
    reverse meet. Deformation twins of hexagonal metals (c/a as in close packing): half a turn about the normal of
    {10-12}, {10-11}, {11-21} or {11-22} of the strained cell.
    """
    angle, axis = table.angle_deg, table.axis
    sixty = (table.sigma == 3) & (np.abs(angle - 60) < 1e-3)
    law = table.sigma == 1
    if phase.laue_class in CUBIC:
        law |= sixty & np.all(np.abs(axis) == 1, axis=1)
    elif phase.centring == "R":
        law |= sixty & np.all(axis == [0, 0, 1], axis=1)
    elif phase.laue_class == "6/mmm" and phase.direct_basis is not None:
        a, _, c = phase.direct_basis
        ratio = float(np.linalg.norm(c) / np.linalg.norm(a))
        if _CLOSE_PACKED[0] <= ratio <= _CLOSE_PACKED[1]:
            law |= _is_plane_twin(table, phase)
    return np.asarray(law)


def _is_plane_twin(table: CslTable, phase: MapPhase) -> NDArray[np.bool_]:
    """Whether a row is half a turn about the normal of one of the twin planes of hexagonal metals."""
    reciprocal = np.linalg.inv(np.asarray(phase.direct_basis, dtype=np.float64))  # columns a*, b*, c*
    normals = np.array([reciprocal @ plane for plane in _TWIN_PLANES])
    turns = np.column_stack([np.zeros(len(normals)), normals / np.linalg.norm(normals, axis=1, keepdims=True)])
    law = np.zeros(len(table), dtype=bool)
    for row in range(len(table)):
        variants = _equivalents(table.quaternion[row], phase.symmetry)
        nearest = np.rad2deg(2 * np.arccos(np.clip(np.abs(turns @ variants.T).max(), 0, 1)))
        # the strained cell's twin differs from the phase's by about the strain
        law[row] = nearest <= np.rad2deg(table.strain) + 1e-3
    return law
