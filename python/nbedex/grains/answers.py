"""From what Bloch waves say of grains to what is kept of it with the map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.grains.answer import GrainAnswer
from nbedex.grains.bloch_evidence import GrainEvidence
from nbedex.grains.model import GrainMap
from nbedex.maps import IndexingResult, disorientation_angle

Array = NDArray[np.float64]

OPEN = 0.05  # probability from which on a solution is kept beside the answer


def answers_of(
    result: IndexingResult,
    grain_map: GrainMap,
    candidates: NDArray[Any],
    records: NDArray[Any],
    evidence: Mapping[int, GrainEvidence],
    symmetries: tuple[Array, ...],
    *,
    distinct: float,
) -> list[GrainAnswer]:
    """The answers of grains that some of their pixels have.

    Parameters
    ----------
    result
        The map with the answers taken over.
    grain_map
        The grains that were asked.
    candidates, records : (n,) structured
        Of the grains' mean patterns, with rivals in the order of the evidence, and decided (`agreed`).
    evidence
        Of the grains that were asked.
    symmetries
        Proper rotations of the Laue group, by phase.
    distinct
        Orientations closer than this (radians) are one.
    """
    found = []
    pixels_of = grain_map.pixels()
    for grain, of_grain in evidence.items():
        phase, orientation = int(records["phase_id"][grain]), records["orientation"][grain]
        pixels = pixels_of[grain]
        pixels = pixels[result.phase_id.ravel()[pixels] == phase]
        away = disorientation_angle(result.orientation.reshape(-1, 4)[pixels], orientation, symmetries[phase])
        pixels = pixels[away <= distinct]
        if not len(pixels):
            continue
        row, column = divmod(int(pixels[len(pixels) // 2]), result.shape[1])
        of_candidates = candidates["rival_phase_id"][grain]
        same = (of_candidates == phase) & (
            disorientation_angle(of_grain.orientation, orientation, symmetries[phase]) <= distinct
        )
        share = of_grain.probability
        left = share[~same].sum()
        # a piece that joined a neighbour has that one's probability
        sure = float(records["probability"][grain])
        share = share * ((1 - sure) / left if left > 0 else 0.0)
        open_ = [int(k) for k in np.argsort(-share, kind="stable") if not same[k] and share[k] >= OPEN]
        others = tuple((int(of_candidates[k]), of_grain.orientation[k].copy(), float(share[k])) for k in open_)
        found.append(GrainAnswer((row, column), len(pixels), phase, orientation.copy(), sure, others))
    return found
