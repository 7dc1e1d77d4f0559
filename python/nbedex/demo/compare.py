"""How much of a map is right, where the truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.demo.scene import DemoScan
from nbedex.maps import IndexingResult, disorientation_angle, half_turned


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Shares of pixels, 0 to 1, of one phase or of all.

    Attributes
    ----------
    name
        Phase, or "all".
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


def compare(result: IndexingResult, truth: DemoScan) -> list[Comparison]:
    """Compare with the truth: a row per phase, then all pixels, then all but those where grains overlap."""
    angle, turned = angles_to_truth(result, truth)
    groups: list[tuple[str, NDArray[np.bool_]]] = [
        (phase.name, truth.phase_id == number) for number, phase in enumerate(truth.phases)
    ]
    groups += [("all", np.ones(angle.shape, dtype=bool)), ("all but mixed boundary pixels", ~truth.mixed)]
    rows = []
    for name, where in groups:
        right = (result.phase_id == truth.phase_id)[where]
        off, half = angle[where], turned[where]
        rows.append(
            Comparison(
                name=name,
                pixels=int(where.sum()),
                right_phase=float(right.mean()),
                within_2_deg=float((right & (off <= 2)).mean()),
                half_turn=float((right & (off > 2) & half).mean()),
                median_deg=float(np.median(off[right])) if right.any() else float("nan"),
            )
        )
    return rows


def angles_to_truth(result: IndexingResult, truth: DemoScan) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Disorientation (ny, nx) from the truth in degrees, NaN where the pixel is not indexed as the true phase; and
    whether the two differ by half a turn about a zone axis near the beam.
    """
    angle = np.full(truth.phase_id.shape, np.nan)
    turned = np.zeros(angle.shape, dtype=bool)
    for number, phase in enumerate(truth.phases):
        where = (truth.phase_id == number) & (result.phase_id == number)
        pair = truth.orientation[where], result.orientation[where]
        angle[where] = np.rad2deg(disorientation_angle(*pair, phase.symmetry_quaternions))
        turned[where] = half_turned(*pair, phase.symmetry_quaternions)
    return angle, turned
