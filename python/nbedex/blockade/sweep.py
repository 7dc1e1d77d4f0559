"""Which boundary blocks when: the accumulation for every direction of a uniform field, in closed form.

Accumulation is linear in the field, a = v . E, so for fields in the map it is |v| cos of the angle to v: a boundary
blocks in one interval of directions about that of v, or never.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade.analysis import planes_of
from nbedex.blockade.classes import N_CODES, Codes, code_of, cosines, tangent
from nbedex.blockade.model import Blockade
from nbedex.blockade.segments import longest_class
from nbedex.blockade.sums import sums

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sweep:
    """Boundary segments in uniform fields of all directions.

    Attributes
    ----------
    direction_deg
        (d,) of the field, from X towards Y.
    accumulation
        (n, d) mean over each segment.
    code
        (n, d) int8, class that holds along most of it.
    worst_deg, worst
        (n,) direction in which most piles up, and how much; NaN where nothing ever does.
    blocks_from_deg, blocks_to_deg
        (n,) the interval of directions, going from X towards Y, in which the segment blocks (its mean reaches
        `blocks_at`); NaN if none. `blocks_to_deg` may exceed 360.
    blocking_share
        (d,) share of the length of boundaries with an accumulation that blocks, stretch by stretch.
    class_share
        (d, 13) share of the length in each class.
    """

    direction_deg: Floats
    accumulation: Floats
    code: NDArray[np.int8]
    worst_deg: Floats
    worst: Floats
    blocks_from_deg: Floats
    blocks_to_deg: Floats
    blocking_share: Floats
    class_share: Floats


def sweep_field(blockade: Blockade, *, step_deg: float = 5.0) -> Sweep:
    """Turn a uniform field once round, whatever field the analysis was made with.

    Parameters
    ----------
    blockade
        The analysis; its threshold `blocks_at` and tolerances hold.
    step_deg
        Between directions at which values are given. Intervals and worst directions are exact.
    """
    count = max(1, round(360 / step_deg))
    direction = np.asarray(np.arange(count) * (360.0 / count), dtype=np.float64)
    angle = np.deg2rad(direction)
    fields = np.stack([np.cos(angle), np.sin(angle), np.zeros(count)], axis=1)
    along, stretches, threshold = blockade.along, blockade.stretches, blockade.settings.blocks_at
    n, length = len(blockade.segments), stretches.length
    classes = _Classes(blockade)
    total = max(float(length.sum()), 1e-300)
    code = np.zeros((n, count), dtype=np.int8)
    share, class_share = np.zeros(count), np.zeros((count, N_CODES))
    for number, field in enumerate(fields):
        found = classes.at(field)
        code[:, number] = longest_class(found, stretches, n)[0]
        class_share[number] = sums(found, length, N_CODES) / total
        share[number] = length[along.vector @ field >= threshold].sum() / total
    vector = blockade.segments.vector[:, :2]
    worst = np.hypot(vector[:, 0], vector[:, 1])
    towards = np.mod(np.rad2deg(np.arctan2(vector[:, 1], vector[:, 0])), 360.0)
    worst_deg = np.where(worst > 1e-9, towards, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        half = np.rad2deg(np.arccos(np.where(worst >= threshold, threshold / worst, np.nan)))
    first = np.mod(worst_deg - half, 360.0)
    return Sweep(
        direction_deg=direction,
        accumulation=vector @ fields[:, :2].T,
        code=code,
        worst_deg=worst_deg,
        worst=worst,
        blocks_from_deg=first,
        blocks_to_deg=first + 2 * half,
        blocking_share=share,
        class_share=class_share,
    )


class _Classes:
    """`classify` for many fields on the same boundaries; the chevron, too, is linear in the field along a boundary."""

    def __init__(self, blockade: Blockade) -> None:
        a, b = planes_of(blockade)
        self._m = blockade.stretches.normal
        self._limits = cosines(blockade.settings.tolerances)
        self._a_b, self._a_m, self._b_m = (_dot(u, v) for u, v in ((a, b), (a, self._m), (b, self._m)))
        drive = self._b_m[:, None] * b - self._a_m[:, None] * a
        self._turned = _dot(drive, tangent(self._m))
        self._along = drive - _dot(drive, self._m)[:, None] * self._m
        self._known = (_dot(a, a) > 0.5) & (_dot(b, b) > 0.5)

    def at(self, field: Floats) -> Codes:
        """(k,) class of every stretch in one uniform field, a unit vector."""
        e_m = self._m @ field
        nearer_along = np.abs(e_m) < np.cos(np.pi / 4)
        chevron = np.where(nearer_along, self._along @ field, np.sign(e_m) * self._turned)
        code = code_of(self._a_b, self._a_m, self._b_m, e_m, chevron, self._limits)
        return np.asarray(np.where(self._known, code, np.int8(0)))


def _dot(u: Floats, v: Floats) -> Floats:
    return np.asarray((u * v).sum(axis=1))
