"""What became of patterns of known orientation: right, ambiguous, turned, mirrored, or simply wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.library import SimulationSettings, simulate
from nbedex.maps import canonical, conjugate, disorientation_angle, half_turned, multiply, rotate
from nbedex.phases import Phase

Array = NDArray[np.float64]

RIGHT_DEG = 1.5
NEAR_DEG = 5.0
AMBIGUOUS = 0.95  # cosine between the patterns of the truth and of its twin from which nothing tells them apart
_TILT_DEG = 20.0  # between beam and zone axis, as in `half_turned`


class Verdict(IntEnum):
    """Of one pattern."""

    RIGHT = 0  # within RIGHT_DEG of the truth
    AMBIGUOUS = 1  # within RIGHT_DEG of the truth's twin by half a turn about a zone axis, and their patterns agree
    NEAR = 2  # from RIGHT_DEG to NEAR_DEG off
    HALF_TURN = 3  # half a turn off about a crystal direction near the beam, but the patterns differ
    TURNED = 4  # the truth turned by 180 degrees about the beam, within 3 degrees
    MIRRORED = 5  # the orientation of the mirrored pattern, within 3 degrees
    OTHER = 6
    LOST = 7  # not indexed


@dataclass(frozen=True, eq=False)
class Judgement:
    """Of n patterns.

    Attributes
    ----------
    verdict : (n,) int64
        `Verdict`.
    error_deg : (n,) float64
        Angle to the truth, up to the Laue class; NaN where not indexed.
    turn_deg : (n, 3) float64
        Where right: the small rotation from truth to what was found as a vector in the sample frame, degrees.
    twin_cosine : (n,) float64
        Agreement of the patterns of truth and twin where found is half a turn off; else NaN.
    """

    verdict: NDArray[np.int64]
    error_deg: Array
    turn_deg: Array
    twin_cosine: Array


def judge(phase: Phase, truth: Array, found: Array, settings: SimulationSettings) -> Judgement:
    """Compare orientations (n, 4); NaN where nothing was found. `settings`: how kinematical patterns are compared."""
    symmetry = phase.symmetry_quaternions
    lost = np.isnan(found).any(axis=1)
    error = np.rad2deg(disorientation_angle(truth, found, symmetry))
    verdict = np.full(len(truth), Verdict.OTHER, dtype=np.int64)
    for wrong, halves in ((Verdict.MIRRORED, ([0.0, 1, 0, 0], [0.0, 0, 1, 0])), (Verdict.TURNED, ([0.0, 0, 0, 1],))):
        for half in halves:
            off = disorientation_angle(multiply(truth, np.array(half)), found, symmetry)
            verdict[off < np.deg2rad(3.0)] = wrong
    cosine = np.full(len(truth), np.nan)
    turned = half_turned(truth, found, symmetry, tilt=np.deg2rad(_TILT_DEG)) & ~(error < NEAR_DEG)
    for i in np.flatnonzero(turned):
        cosine[i] = twin_cosine(phase, truth[i], found[i], settings)
        verdict[i] = Verdict.AMBIGUOUS if cosine[i] >= AMBIGUOUS else Verdict.HALF_TURN
    right = error < RIGHT_DEG
    verdict[error < NEAR_DEG] = Verdict.NEAR
    verdict[right] = Verdict.RIGHT
    verdict[lost] = Verdict.LOST
    turn = np.full((len(truth), 3), np.nan)
    turn[right] = _small_turn(truth[right], found[right], symmetry)
    return Judgement(verdict, error, turn, cosine)


def twin_cosine(phase: Phase, truth: Array, found: Array, settings: SimulationSettings) -> float:
    """Agreement of the patterns of `truth` and of its twin near `found`: half a turn about a zone axis.

    The twin is exact, so that the grid of templates plays no part. NaN where `found` is no such twin.
    """
    twins = _twins(phase, truth)
    twins = twins[np.rad2deg(disorientation_angle(twins, found, phase.symmetry_quaternions)) < RIGHT_DEG]
    if not len(twins):
        return float("nan")
    spots = simulate(phase, np.stack([truth, *twins]), settings, threads=1)
    patterns = [spots.pattern(i) for i in range(len(spots))]
    return max(cosine_of_patterns(patterns[0], other) for other in patterns[1:])


def _twins(phase: Phase, truth: Array, *, largest: int = 10) -> Array:
    """The truth after half a turn about every zone axis [uvw] near the beam, (n, 4)."""
    direct = np.linalg.inv(phase.reciprocal_basis).T
    indices = np.stack(np.meshgrid(*[np.arange(-largest, largest + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    axes = indices[np.gcd.reduce(indices, axis=1) == 1] @ direct.T
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    axes = axes[axes @ rotate(truth, np.array([0.0, 0.0, 1.0])) >= np.cos(np.deg2rad(_TILT_DEG))]
    return multiply(np.concatenate([np.zeros((len(axes), 1)), axes], axis=1), truth)


def cosine_of_patterns(
    first: dict[str, NDArray[Any]],
    second: dict[str, NDArray[Any]],
    *,
    exponent: float = 0.2,
    sigma: float = 0.01,
    weakest: float = 1e-3,
) -> float:
    """Cosine between two spot patterns with intensities to a power, each spot a Gaussian of `sigma` 1/angstrom.

    Spots below `weakest` of the strongest are left out: they drown in the noise.
    """

    def prepared(p: dict[str, NDArray[Any]]) -> tuple[Array, Array]:
        intensity = p["intensity"].astype(float)
        keep = intensity >= weakest * intensity.max()
        return np.stack([p["kx"], p["ky"]], axis=1)[keep].astype(float), intensity[keep] ** exponent

    def overlap(a: tuple[Array, Array], b: tuple[Array, Array]) -> float:
        distance = ((a[0][:, None] - b[0][None]) ** 2).sum(axis=-1)
        return float(a[1] @ np.exp(-distance / (4 * sigma**2)) @ b[1])

    if not (len(first["kx"]) and len(second["kx"])):
        return 0.0  # small cells off every zone axis may have no spot at all
    a, b = prepared(first), prepared(second)
    return overlap(a, b) / float(np.sqrt(overlap(a, a) * overlap(b, b)))


def _small_turn(truth: Array, found: Array, symmetry: Array) -> Array:
    """Rotation vectors (n, 3) in degrees, sample frame, of t^-1 f, f the equivalent of `found` closest to t."""
    out = np.empty((len(truth), 3))
    for i, (t, f) in enumerate(zip(truth, found, strict=True)):
        equivalents = multiply(symmetry, f)
        turn = canonical(multiply(conjugate(t), equivalents[np.abs(equivalents @ t).argmax()]))
        out[i] = np.rad2deg(2 * turn[1:])
    return out
