"""Re-ranking of what indexing has written down about patterns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError
from nbedex.indexing.rerank import Reranked, RerankEngine, make_rerank_engine, rerank_patterns
from nbedex.indexing.settings import IndexingSettings, RerankSettings
from nbedex.library import TemplateLibrary
from nbedex.maps.result import Status

Array = NDArray[np.float64]

# Of the probability: constant, lead, score.
_COEFFICIENTS = (-4.48, 1.63, 4.0)
# 68 % of the errors of right orientations lie within so many standard deviations of a tilt; and the least one knows.
_WITHIN_68, _LEAST_UNCERTAINTY_DEG = 2.0, 0.03


def rerank_engine_of(
    library: TemplateLibrary, calibration: Calibration, settings: IndexingSettings, grid: _core.PolarGrid
) -> RerankEngine | None:
    """For the phases of a library; None where re-ranking is off.

    Raises
    ------
    ArgumentError
        The library is for precessed patterns.
    """
    if settings.rerank.mode == "off":
        return None
    if library.settings.precession_deg > 0:
        raise ArgumentError(
            "re-ranking simulates patterns without precession, but the library is for"
            f" {library.settings.precession_deg:g} degrees of it; leave --rerank out"
        )
    return make_rerank_engine(
        library.phases, calibration, settings.rerank, k_min=grid.k_min, k_max=grid.k_max,
        disk_radius=settings.preprocess.disk_radius,
    )  # fmt: skip


def rerank_records(
    records: NDArray[Any],
    frames: NDArray[Any],
    engine: RerankEngine,
    *,
    doubtful: NDArray[np.bool_],
    mask: NDArray[np.uint8] | None,
    n_bins: int,
    threads: int,
) -> None:
    """Put the candidates of indexed patterns in the order that Bloch waves give them.

    Parameters
    ----------
    records : (n,) structured
        See `record_dtype`; changed in place where patterns are re-ranked. Margins and reliabilities stay kinematical:
        where Bloch waves overrule matching they are zero.
    frames : (n, det_y, det_x)
        As read.
    engine
        From `rerank_engine_of`.
    doubtful : (n,) bool
        Refused because chance would do as well; given an answer where Bloch waves are convinced.
    mask : (det_y, det_x) uint8 or None
        Non-zero where a pixel must not be used.
    n_bins
        Bins of a polar pattern, for the likelihood of kinematical scores.
    threads
        0: all this process may use.
    """
    where = np.flatnonzero(in_question(records, engine.settings) | doubtful)
    if not len(where):
        return
    old = records[where]
    score = old["rival_score"].astype(np.float64)
    tried = score >= engine.settings.candidate_share * score[:, :1]
    tried[:, engine.settings.max_candidates :] = False
    found = rerank_patterns(
        frames if len(where) == len(frames) else np.ascontiguousarray(frames[where]),
        old["center"].astype(np.float64),
        old["rival_orientation"],
        np.where(tried, old["rival_phase_id"], -1),
        log_likelihood(score, n_bins),
        engine,
        mask=mask,
        threads=threads,
    )
    new = reordered(old, found)
    stays_refused = doubtful[where] & ~(new["dynamical_score"] >= engine.settings.convincing_score)
    new["status"] = Status.OK
    records[where] = np.where(stays_refused, old, new)


def in_question(records: NDArray[Any], settings: RerankSettings) -> NDArray[np.bool_]:
    """Which of the records (n,) are re-ranked."""
    indexed = records["phase_id"] >= 0
    if settings.mode == "all":
        return np.asarray(indexed)
    score = records["rival_score"]
    return np.asarray(indexed & (score[:, 1] >= settings.gate * score[:, 0]))


def log_likelihood(score: Array, n_bins: int) -> Array:
    """Of correlations, if all bins erred independently and alike; see `nbedex.indexing.confidence`."""
    return np.asarray(-n_bins / 2 * np.log1p(-(np.clip(np.nan_to_num(score), 0.0, 0.999) ** 2)))


def reordered(old: NDArray[Any], found: Reranked) -> NDArray[Any]:
    """Records (n,) with what was found for their rivals."""
    records = old.copy()
    order = found.order
    first = order[:, 0]

    def chosen(values: NDArray[Any]) -> NDArray[Any]:
        return np.take_along_axis(values, order.reshape(*order.shape, *[1] * (values.ndim - 2)), axis=1)

    def of_first(values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(values[np.arange(len(first)), first])

    records["rival_phase_id"] = chosen(old["rival_phase_id"])
    records["rival_score"] = chosen(old["rival_score"])
    records["rival_orientation"] = chosen(found.orientation)
    records["phase_id"] = records["rival_phase_id"][:, 0]
    records["orientation"] = records["rival_orientation"][:, 0]
    records["index"] = records["rival_score"][:, 0]
    records["reranked"] = True
    records["dynamical_score"] = of_first(found.score)
    records["thickness_nm"] = of_first(found.thickness_nm)
    records["thickness_error_nm"] = of_first(found.thickness_error_nm)
    records["uncertainty_deg"] = tilt_uncertainty_deg(of_first(found.orientation_error_deg))
    records["probability"] = probability(found.lead, of_first(found.score))
    overruled = first != 0
    other_phase = records["phase_id"] != old["phase_id"]
    records["reliability"][overruled & ~other_phase] = 0.0
    records["reliability"][other_phase] = np.nan
    records["phase_reliability"][other_phase] = 0.0
    for name in ("mirror_margin", "half_turn_margin"):
        records[name][overruled] = np.nan
    records["template_id"][overruled] = -1
    records["mirrored"][overruled] = False
    return records


def tilt_uncertainty_deg(error_deg: Array | np.floating[Any]) -> Array:
    """Angle within which 68 % of right orientations lie, from the standard deviation of a tilt."""
    return np.asarray(np.hypot(_WITHIN_68 * error_deg, _LEAST_UNCERTAINTY_DEG))


def probability(lead: Array, score: Array) -> Array:
    """(n,) that phase and orientation (within 2 degrees) are right, from `Reranked.lead` and the winner's score.

    A logistic function of how far the winner leads and of how well it fits; coefficients from the tuning split of the
    validation kit.
    """
    constant, of_lead, of_score = _COEFFICIENTS
    logit = constant + of_lead * np.arcsinh(lead) + of_score * score
    return np.asarray(1 / (1 + np.exp(-logit)))
