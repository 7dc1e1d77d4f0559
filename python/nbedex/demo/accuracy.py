"""How much of a map is right, where the truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.demo.scan_truth import Truth
from nbedex.maps import IndexingResult, disorientation_angle, half_turned

MIXED = "all but columns of several regions"


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Shares of pixels, 0 to 1, of one phase or of all crystals.

    Attributes
    ----------
    name
        Phase, "all", or "all but columns of several regions".
    pixels
        How many there are.
    right_phase
        Indexed as the true phase.
    within_2_deg
        Of the true phase and within two degrees of the true orientation.
    half_turn
        Of the true phase and half a turn about a zone axis near the beam away from the truth: kinematical patterns
        of one zone can't tell these two apart (`nbedex.maps.half_turned`).
    median_deg
        Median angle to the truth where the phase is right, degrees.
    """

    name: str
    pixels: int
    right_phase: float
    within_2_deg: float
    half_turn: float
    median_deg: float


def accuracy_of(result: IndexingResult, truth: Truth) -> list[Accuracy]:
    """Compare with the truth: a row per phase, then all crystals, then all but columns of several regions."""
    phase, angle, turned = compared(result, truth)
    crystal = truth.phase_id >= 0
    groups: list[tuple[str, NDArray[np.bool_]]] = [
        (p.name, truth.phase_id == number) for number, p in enumerate(truth.phases)
    ]
    groups += [("all", crystal), (MIXED, crystal & ~truth.mixed)]
    rows = []
    for name, where in groups:
        if not where.any():
            continue
        right = (phase == truth.phase_id)[where]
        off, half = angle[where], turned[where]
        rows.append(
            Accuracy(
                name=name,
                pixels=int(where.sum()),
                right_phase=float(right.mean()),
                within_2_deg=float((right & (off <= 2)).mean()),
                half_turn=float((right & (off > 2) & half).mean()),
                median_deg=float(np.median(off[right])) if right.any() else float("nan"),
            )
        )
    return rows


def compared(result: IndexingResult, truth: Truth) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Of every pixel (ny, nx) the truth's number of the phase found (-1: none, -2: not in the specimen); the angle to
    the truth in degrees, NaN where the phase is wrong; whether both differ by half a turn about a zone near the beam.
    """
    names = [phase.name for phase in truth.phases]
    number = np.array([names.index(p.name) if p.name in names else -2 for p in result.phases] + [-1])
    phase = number[result.phase_id]
    angle = np.full(truth.phase_id.shape, np.nan)
    turned = np.zeros(angle.shape, dtype=bool)
    for mine, kind in enumerate(truth.phases):
        where = (truth.phase_id == mine) & (phase == mine)
        pair = truth.orientation[where], result.orientation[where]
        angle[where] = np.rad2deg(disorientation_angle(*pair, kind.symmetry_quaternions))
        turned[where] = half_turned(*pair, kind.symmetry_quaternions)
    return phase, angle, turned
