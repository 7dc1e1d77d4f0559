"""Pixels take their grain's answer: their own version of it where they hold one, the grain's where they are unsure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.grains.bloch_evidence import mean_near
from nbedex.grains.model import GrainMap
from nbedex.maps import USABLE, IndexingResult, Status, canonical, conjugate, disorientation_angle, multiply
from nbedex.maps.orientation import rotation_angle

Array = NDArray[np.float64]

_WORTH_TURNING = np.deg2rad(0.3)


def taken_over(
    result: IndexingResult,
    grain_map: GrainMap,
    records: NDArray[Any],
    symmetries: tuple[Array, ...],
    counts: NDArray[np.bool_],
    *,
    distinct: float,
    min_probability: float,
) -> tuple[IndexingResult, NDArray[np.bool_]]:
    """The map with the answers of grains, and where they are new.

    A pixel keeps its solution if it is the grain's within `distinct`; else it takes the one of its rivals that is; or
    the grain's, if it is unsure or not indexed for want of a match, or if Bloch waves compared the pixel's solution
    with the grain's and preferred that, however sure matching was. Where the answer comes from Bloch waves, these
    pixels have its probability then, and are turned together so that their mean is the grain's orientation: near zone
    axes kinematical refinement errs by a degree or two.

    Parameters
    ----------
    result, grain_map
        The map and its grains.
    records : (n,) structured
        Answers of the grains; `reranked` where they come from Bloch waves.
    symmetries
        Proper rotations of the Laue group, by phase.
    counts : (n,) bool
        Which answers count.
    distinct
        Orientations closer than this (radians) are one.
    min_probability
        Pixels below this are unsure.
    """
    flat = {name: getattr(result, name).reshape(grain_map.grain_id.size, *getattr(result, name).shape[2:]).copy()
            for name in ("phase_id", "orientation", "index", "probability", "status")}  # fmt: skip
    rival_phase = result.rival_phase_id.reshape(-1, result.n_rivals)
    rival = result.rival_orientation.reshape(-1, result.n_rivals, 4)
    rival_score = result.rival_score.reshape(-1, result.n_rivals)
    label = grain_map.grain_id.ravel()
    answer: NDArray[Any] = records[label]
    given = counts[label] & np.isin(flat["status"], USABLE)
    changed = np.zeros(label.size, dtype=bool)
    for number, symmetry in enumerate(symmetries):
        mine = np.flatnonzero(given & (answer["phase_id"] == number))
        wanted = answer["orientation"][mine]
        has = (flat["phase_id"][mine] == number) & (
            disorientation_angle(flat["orientation"][mine], wanted, symmetry) <= distinct
        )
        already = mine[has]
        mine, wanted = mine[~has], wanted[~has]
        near = (rival_phase[mine] == number) & (
            disorientation_angle(rival[mine], wanted[:, None], symmetry) <= distinct
        )
        holds, which = near.any(axis=1), near.argmax(axis=1)
        unsure = np.nan_to_num(flat["probability"][mine]) < min_probability
        refuted = _refuted(flat["phase_id"][mine], flat["orientation"][mine], answer[mine], symmetries, distinct)
        given_up = ~holds & (unsure | refuted)
        for pixels, orientation in (
            (mine[holds], rival[mine[holds], which[holds]]),
            (mine[given_up], wanted[given_up]),
        ):
            flat["phase_id"][pixels] = number
            flat["orientation"][pixels] = orientation
            flat["status"][pixels] = Status.OK
            flat["probability"][pixels] = answer["probability"][pixels]
            changed[pixels] = True
        flat["index"][mine[holds]] = rival_score[mine[holds], which[holds]]
        by_waves = already[answer["reranked"][already]]
        flat["probability"][by_waves] = answer["probability"][by_waves]
    for grain in np.flatnonzero(records["reranked"] & counts):
        of_grain = np.flatnonzero((label == grain) & given & (flat["phase_id"] == records["phase_id"][grain]))
        symmetry = symmetries[records["phase_id"][grain]]
        wanted = records["orientation"][grain]
        own = of_grain[disorientation_angle(flat["orientation"][of_grain], wanted, symmetry) <= distinct]
        if len(own):
            turn = multiply(conjugate(mean_near(flat["orientation"][own], wanted, symmetry)), wanted)
            if rotation_angle(turn) > _WORTH_TURNING:
                flat["orientation"][own] = canonical(multiply(flat["orientation"][own], turn))
    shaped = {name: values.reshape(getattr(result, name).shape) for name, values in flat.items()}
    return replace(result, **shaped), changed.reshape(result.shape)


def changed_pixels(
    before: IndexingResult, after: IndexingResult, symmetries: tuple[Array, ...], *, distinct: float
) -> NDArray[np.bool_]:
    """Where (ny, nx) phase or orientation, by more than `distinct` (radians), are another."""
    out: NDArray[np.bool_] = np.asarray(before.phase_id != after.phase_id)
    for number, symmetry in enumerate(symmetries):
        same = (before.phase_id == number) & (after.phase_id == number)
        out[same] = disorientation_angle(before.orientation[same], after.orientation[same], symmetry) > distinct
    return out


def _refuted(
    phase_id: NDArray[np.integer],
    orientation: Array,
    answer: NDArray[Any],
    symmetries: tuple[Array, ...],
    distinct: float,
) -> NDArray[np.bool_]:
    """Which solutions (n,), (n, 4) are candidates that Bloch waves put behind the answer (n,) of their grain."""
    out = np.zeros(len(answer), dtype=bool)
    behind = answer["rival_orientation"][:, 1:]
    for number, symmetry in enumerate(symmetries):
        same = answer["reranked"][:, None] & (answer["rival_phase_id"][:, 1:] == number) & (phase_id == number)[:, None]
        angle = disorientation_angle(behind, orientation[:, None], symmetry)
        out |= (same & (angle <= distinct)).any(axis=1)
    return out
