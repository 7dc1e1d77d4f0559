"""What is written down about every pixel, and how it follows from the candidates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.indexing.candidates import Candidates, best_where, margin
from nbedex.indexing.settings import IndexingSettings
from nbedex.maps.result import Status

Array = NDArray[np.float64]


def record_dtype(settings: IndexingSettings, n_phases: int) -> np.dtype[Any]:
    """Layout of one pixel's record; the fields are those of `IndexingResult`."""
    n_best, n_more = settings.n_candidates, settings.overlap.max_crystals - 1
    return np.dtype(
        [
            ("phase_id", "<i2"),
            ("orientation", "<f8", (4,)),
            ("index", "<f4"),
            ("reliability", "<f4"),
            ("phase_reliability", "<f4"),
            ("mirror_margin", "<f4"),
            ("half_turn_margin", "<f4"),
            ("probability", "<f4"),
            ("uncertainty_deg", "<f4"),
            ("center", "<f4", (2,)),
            ("status", "u1"),
            ("rival_phase_id", "<i2", (n_best,)),
            ("rival_orientation", "<f8", (n_best, 4)),
            ("rival_score", "<f4", (n_best,)),
            ("phase_score", "<f4", (n_phases,)),
            ("template_id", "<i4"),
            ("mirrored", "?"),
            ("reranked", "?"),
            ("dynamical_score", "<f4"),
            ("thickness_nm", "<f4"),
            ("thickness_error_nm", "<f4"),
            ("overlap_phase_id", "<i2", (n_more,)),
            ("overlap_orientation", "<f8", (n_more, 4)),
            ("overlap_share", "<f4", (n_more,)),
            ("overlap_probability", "<f4", (n_more,)),
        ]
    )


def empty_records(n: int, settings: IndexingSettings, n_phases: int, status: Status) -> NDArray[Any]:
    """Records (n,) of pixels about which nothing is known."""
    records = np.zeros(n, dtype=record_dtype(settings, n_phases))
    for name in records.dtype.names or ():
        if records.dtype[name].base.kind == "f":
            records[name] = np.nan
    for name in ("phase_id", "rival_phase_id", "template_id", "overlap_phase_id"):
        records[name] = -1
    records["status"] = status
    return records


def fill(records: NDArray[Any], found: Candidates, *, n_phases: int, rival_share: float) -> None:
    """Write the candidates (n, k), best first, and the margins that follow from them into records (n,)."""
    n_best = records["rival_phase_id"].shape[1]
    records["rival_phase_id"] = found.phase_id[:, :n_best]
    records["rival_orientation"] = found.orientation[:, :n_best]
    records["rival_score"] = found.score[:, :n_best]
    winner = found.phase_id[:, 0]
    first = found.score[:, 0]
    records["phase_id"] = winner
    records["index"] = first
    records["orientation"] = found.orientation[:, 0]
    records["template_id"] = found.template_id[:, 0]
    records["mirrored"] = found.mirrored[:, 0]

    of_phase = found.phase_id[:, None, :] == np.arange(n_phases)[None, :, None]  # (n, phases, k)
    records["phase_score"] = best_where(of_phase, found.score[:, None, :])
    farthest = 100.0 * (1.0 - rival_share) if rival_share > 0 else np.nan
    same = found.phase_id == winner[:, None]
    same[:, 0] = False
    records["reliability"] = margin(first, best_where(same, found.score), without_rival=farthest)
    if n_phases > 1:
        other = (found.phase_id >= 0) & (found.phase_id != winner[:, None])
        records["phase_reliability"] = margin(found.merit[:, 0], best_where(other, found.merit), without_rival=farthest)
    records["mirror_margin"] = found.mirror_margin
    records["half_turn_margin"] = margin(first, found.half_turn_score)


def refuse(records: NDArray[Any], where: NDArray[np.bool_]) -> None:
    """Take phase and orientation away where no phase fits; the rivals stay for those who want to look."""
    records["status"][where] = Status.NO_MATCH
    for name in ("phase_id", "template_id"):
        records[name][where] = -1
    records["probability"][where] = 0.0
    records["uncertainty_deg"][where] = np.nan
    records["mirrored"][where] = False
    records["orientation"][where] = np.nan
