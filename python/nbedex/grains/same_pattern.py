"""Solutions that no pattern tells apart: half turns about a lattice direction that leave all spots where they are.

Where all spots within the detector belong to one zone, the crystal turned by half about the zone axis gives the same
spots with the same intensities, at every thickness. Half turns about other directions may do so, too, if they take the
spots' reflections to reflections. What little the evidence of measured patterns has for one of the two is noise of the
search. Whether it is so follows from simulation alone, so it is asked there.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.grains.bloch_evidence import BlochEngine, GrainEvidence
from nbedex.indexing.rerank import Reranked
from nbedex.library import DynamicalCrystal
from nbedex.maps import canonical, disorientation_angle, multiply

Array = NDArray[np.float64]

SAME = 0.002  # share of the intensity in which the simulations of two solutions may differ
_ORDER = 0.01  # log odds that are left between two that look the same, so that their order stays
_LARGEST_INDEX = 6  # of the directions
_MOST = 16  # of them are tried at most
_NEAR = 0.004  # 1/angstrom: spots this close are at one place


def with_same_patterns(
    evidence: GrainEvidence, record: NDArray[Any], bloch: BlochEngine, *, distinct: float, threads: int = 0
) -> tuple[GrainEvidence, NDArray[Any]]:
    """The evidence and the record with all solutions that have the same pattern as the best, hardly less probable.

    Parameters
    ----------
    evidence
        Of the candidates of a grain.
    record
        Of its mean pattern, whose rivals they are. Solutions that it lacks take free places.
    bloch
        Crystals.
    distinct
        Orientations closer than this (radians) are one.
    threads
        0: all available. The result doesn't depend on it.
    """
    best = int(evidence.order[0])
    phase, symmetry = int(record["rival_phase_id"][best]), bloch.symmetries[int(record["rival_phase_id"][best])]
    asked = evidence.patterns.tried.sum(axis=0)

    def turned(candidate: int) -> Array:
        thickness = np.unique(evidence.patterns.thickness_nm[:, candidate])
        thickness = thickness[np.isfinite(thickness)]
        if not len(thickness):
            return np.zeros((0, 4))
        return same_pattern_turns(
            bloch.engine.crystals[phase], evidence.orientation[candidate], thickness,
            k_min=bloch.k_min, k_max=bloch.k_max, distinct=distinct, threads=threads,
        )  # fmt: skip

    out, log_odds, orientation = record.copy(), evidence.log_odds.copy(), evidence.orientation.copy()
    patterns = {name: getattr(evidence.patterns, name).copy() for name in Reranked.__annotations__}
    for one in turned(best):
        away = np.where(out["rival_phase_id"] == phase, disorientation_angle(orientation, one, symmetry), np.inf)
        held = np.flatnonzero((away <= distinct) & np.isfinite(log_odds))
        place = int(held[away[held].argmin()]) if len(held) else _free(out)
        if place is None:
            break
        if len(held) and asked[place] == asked[best]:
            # where it came to rest itself it must look the same, too: else the two were told apart
            back = disorientation_angle(turned(place), evidence.orientation[best], symmetry)
            if not (back <= distinct).any():
                continue
        out["rival_phase_id"][place], out["rival_orientation"][place] = phase, one
        out["rival_score"][place] = record["rival_score"][best]
        log_odds[place] = max(log_odds[place], log_odds[best] - _ORDER)
        orientation[place] = one
        for name, values in patterns.items():
            values[:, place] = one if name == "orientation" else values[:, best]
    return replace(evidence, log_odds=log_odds, orientation=orientation, patterns=Reranked(**patterns)), out


def same_pattern_turns(
    crystal: DynamicalCrystal,
    orientation: Array,
    thickness_nm: Array,
    *,
    k_min: float,
    k_max: float,
    distinct: float,
    threads: int = 0,
) -> Array:
    """Orientations (m, 4) that are one (4,) turned by half about a lattice direction, and look the same.

    Parameters
    ----------
    crystal
        For the simulations.
    orientation
        Unit quaternion, sample to crystal.
    thickness_nm : (t,) float64
        Ascending; the patterns must be the same at all of them.
    k_min, k_max
        Annulus that is seen, 1/angstrom.
    distinct
        Orientations closer than this (radians) are one.
    threads
        0: all available.
    """

    def seen(q: Array) -> tuple[NDArray[np.int32], Array, Array]:
        spots = crystal.patterns(q[None], thickness_nm, threads=threads).pattern(0)
        k = np.stack([spots["kx"], spots["ky"]], axis=1).astype(float)
        inside = (np.hypot(*k.T) > k_min) & (np.hypot(*k.T) < k_max)
        return spots["hkl"][inside], k[inside], spots["intensity"][inside].astype(float)

    hkl, k, intensity = seen(orientation)
    basis = crystal.phase.reciprocal_basis
    g = hkl @ basis.T
    axes = directions() @ crystal.phase.direct_basis.T
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    moved = 2 * (axes @ g.T)[..., None] * axes[:, None] - g  # (axes, spots, 3)
    off = np.linalg.norm(moved - np.rint(moved @ np.linalg.inv(basis).T) @ basis.T, axis=-1)
    lost = (off > _NEAR).astype(float) @ intensity / intensity.sum(axis=0)
    turned = canonical(multiply(np.concatenate([np.zeros((len(axes), 1)), axes], axis=1), orientation))
    other = disorientation_angle(turned, orientation, crystal.phase.symmetry_quaternions) > distinct
    tried = np.flatnonzero((lost.max(axis=1) <= SAME) & other)
    tried = tried[np.argsort(lost[tried].max(axis=1), kind="stable")]
    found: list[Array] = []
    for one in turned[tried[:_MOST]]:
        if found and disorientation_angle(np.stack(found), one, crystal.phase.symmetry_quaternions).min() <= distinct:
            continue
        if _difference((k, intensity), seen(one)[1:]) <= SAME:
            found.append(one)
    return np.array(found).reshape(-1, 4)


@cache
def directions() -> NDArray[np.int64]:
    """Indices (m, 3) of lattice directions, one of each pair of opposite ones."""
    span = range(-_LARGEST_INDEX, _LARGEST_INDEX + 1)
    return np.array([uvw for uvw in itertools.product(span, repeat=3) if uvw > (0, 0, 0) and math.gcd(*uvw) == 1])


def _difference(first: tuple[Array, Array], second: tuple[Array, Array]) -> float:
    """Share of the intensity in which two patterns differ, at the thickness where it is largest."""
    (k, a), (other, b) = first, second
    if not len(k) or not len(other):
        return np.inf
    apart = np.linalg.norm(k[:, None] - other[None], axis=-1)
    partner, meets = apart.argmin(axis=1), apart.min(axis=1) <= _NEAR
    alone = np.ones(len(b), dtype=bool)
    alone[partner[meets]] = False
    different = np.abs(a - np.where(meets[:, None], b[partner], 0.0)).sum(axis=0) + b[alone].sum(axis=0)
    return float((different / (a.sum(axis=0) + b.sum(axis=0))).max())


def _free(record: NDArray[Any]) -> int | None:
    """A place of a record that holds no rival."""
    free = np.flatnonzero(record["rival_phase_id"] < 0)
    return int(free[0]) if len(free) else None
