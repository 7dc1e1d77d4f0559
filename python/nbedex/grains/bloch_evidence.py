"""Candidates of grains compared by Bloch waves: what is known of each, and how it is put together.

How patterns are asked: nbedex.grains.asking; why so: docs/decisions/pooling.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.indexing.rerank import Reranked, RerankEngine
from nbedex.indexing.rerank_records import log_likelihood
from nbedex.maps import canonical, conjugate, disorientation_angle, multiply

Array = NDArray[np.float64]

# Log odds are so much times the sum of the patterns' evidence over the root of their number, because they err alike in
# part, and so much times the logarithm of the likelihood ratio in matching the grain's mean pattern.
OF_SUM, OF_MATCHING = 0.25, 0.03
OF_PIXELS = 0.5  # log odds for what a grain's pixels say: they are all its patterns, but each by matching alone
UNDECIDED = 2.0  # log odds: candidates that differ by less can't be told apart


@dataclass(frozen=True, eq=False)
class BlochEngine:
    """What Bloch waves need beside a scan and its map.

    Attributes
    ----------
    engine
        From `make_rerank_engine` with `each_alone`.
    nearby
        The same, to look in a small reach and less thoroughly.
    mask : (det_y, det_x) uint8 or None
        Non-zero where a detector pixel must not be used.
    n_bins
        Bins of a polar pattern, for the likelihood of the scores of matching.
    symmetries
        Proper rotations of the Laue group, by phase.
    k_min, k_max
        Annulus that is compared, 1/angstrom.
    """

    engine: RerankEngine
    nearby: RerankEngine
    mask: NDArray[np.uint8] | None
    n_bins: int
    symmetries: tuple[Array, ...]
    k_min: float
    k_max: float


@dataclass(frozen=True, eq=False)
class GrainEvidence:
    """What Bloch waves say of the candidates (k) of one grain.

    Attributes
    ----------
    log_odds : (k,) float64
        Of each candidate, matching of the mean pattern included; only differences count. -inf where not tried.
    orientation : (k, 4) float64
        Refined, mean over the patterns asked; as it was where not tried.
    pixels : (m,) int64
        Flat numbers of the positions asked.
    patterns : Reranked
        What was found there (m, k).
    elsewhere
        Odds of the best candidate's surroundings, 3 to 5 degrees off, against where it is.
    """

    log_odds: Array
    orientation: Array
    pixels: NDArray[np.int64]
    patterns: Reranked
    elsewhere: float = 0.0

    @property
    def order(self) -> NDArray[np.intp]:
        """Candidates, best first."""
        return np.argsort(-self.log_odds, kind="stable")

    @property
    def undecided(self) -> NDArray[np.bool_]:
        """(k,) which can't be told from the best; the best, too."""
        return np.asarray(self.log_odds >= self.log_odds.max() - UNDECIDED)

    @property
    def probability(self) -> Array:
        """(k,) of each candidate, if one of them is right."""
        odds = np.exp(self.log_odds - self.log_odds.max())
        return np.asarray(odds / odds.sum())


def of_matching(record: NDArray[Any], bloch: BlochEngine) -> Array:
    """Log odds (k,) of a record's candidates by matching the mean pattern."""
    score = record["rival_score"].astype(np.float64)
    return np.asarray(OF_MATCHING * log_likelihood(score[None], bloch.n_bins)[0])


def with_merged(evidence: GrainEvidence, record: NDArray[Any], bloch: BlochEngine, distinct: float) -> GrainEvidence:
    """The evidence with candidates that refinement brought together counted as one.

    Where only one row of reflections is seen, turning the crystal about it changes next to nothing, and candidates
    come to rest anywhere along that turn. What can't be told apart there is best known by its mean.
    """
    log_odds, orientation = evidence.log_odds.copy(), evidence.orientation.copy()
    phase = record["rival_phase_id"]
    for first in evidence.order:
        if not np.isfinite(log_odds[first]):
            continue
        symmetry = bloch.symmetries[phase[first]]
        away = disorientation_angle(evidence.orientation, evidence.orientation[first], symmetry)
        near = np.isfinite(log_odds) & (phase == phase[first]) & (away <= distinct)
        near &= log_odds <= log_odds[first]
        alike = np.flatnonzero(near & (log_odds >= log_odds[first] - UNDECIDED))
        weight = np.exp(log_odds[alike] - log_odds[first])
        orientation[first] = mean_near(evidence.orientation[alike], evidence.orientation[first], symmetry, weight)
        near[first] = False
        log_odds[near] = -np.inf
    return replace(evidence, log_odds=log_odds, orientation=orientation)


def with_pixels(
    evidence: GrainEvidence, record: NDArray[Any], phase: int, orientation: Array, symmetry: Array, distinct: float
) -> GrainEvidence:
    """The evidence with what a grain's pixels say: their phase and mean orientation (4,).

    It decides where Bloch waves leave nothing but noise, and so keeps such grains from changing with every round.
    """
    away = disorientation_angle(evidence.orientation, orientation, symmetry)
    theirs = (record["rival_phase_id"] == phase) & (away <= distinct)
    return replace(evidence, log_odds=evidence.log_odds + OF_PIXELS * theirs)


def mean_near(orientations: Array, near: Array, symmetry: Array, weight: Array | None = None) -> Array:
    """Mean (4,) of orientations (n, 4), weighted (n,), each in that equivalent which is nearest to one (4,)."""
    turn = multiply(orientations, conjugate(near))  # crystal to crystal
    equivalent = multiply(symmetry[:, None], turn[None])
    best = np.abs(equivalent[..., 0]).argmax(axis=0)
    nearest = multiply(equivalent[best, np.arange(len(turn))], near)
    nearest *= np.sign(nearest @ near)[:, None]
    mean = np.average(nearest, axis=0, weights=weight)
    return np.asarray(canonical(mean / np.linalg.norm(mean)))
