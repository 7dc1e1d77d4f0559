"""Candidates of grains compared by Bloch waves, in several patterns of each grain (docs/decisions/pooling.md).

A pattern that is asked is the mean of those around it in the grain, three by three: tilt and thickness hardly differ
there, and noise is a third. Every candidate gets the tilt and the thickness that suit it, pattern by pattern, and what
speaks for it is added up. Candidates that have fallen behind are given up after every few patterns, so that clear cases
cost little and doubtful ones get all patterns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.indexing.rerank import Reranked, RerankEngine, rerank_patterns
from nbedex.indexing.rerank_records import log_likelihood
from nbedex.maps import canonical, conjugate, disorientation_angle, multiply
from nbedex.scan import Scan

Array = NDArray[np.float64]

# Log odds are so much times the sum of the patterns' evidence over the root of their number, because they err alike in
# part, and so much times the logarithm of the likelihood ratio in matching the grain's mean pattern.
OF_SUM, OF_MATCHING = 0.25, 0.03
OF_PIXELS = 0.5  # log odds for what a grain's pixels say: they are all its patterns, but each by matching alone
UNDECIDED = 2.0  # log odds: candidates that differ by less can't be told apart
_BATCH = 3  # patterns after which candidates may be given up
_BEHIND, _FAR_BEHIND = 6.0, 8.0  # log odds at which they are, and at which they are after a single pattern
_AROUND = 1  # scan positions around a pattern that is asked


@dataclass(frozen=True, eq=False)
class BlochEngine:
    """What Bloch waves need beside a scan and its map.

    Attributes
    ----------
    engine
        From `make_rerank_engine` with `each_alone`.
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
    """

    log_odds: Array
    orientation: Array
    pixels: NDArray[np.int64]
    patterns: Reranked

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


def ask_grain(
    scan: Scan,
    centers: NDArray[np.floating[Any]],
    label: NDArray[np.integer],
    pixels: NDArray[np.integer],
    record: NDArray[Any],
    bloch: BlochEngine,
    *,
    threads: int = 0,
) -> GrainEvidence:
    """Compare the candidates of one grain.

    Parameters
    ----------
    scan
        The scan.
    centers : (ny, nx, 2)
        Direct beam of every pattern (row, column), pixels.
    label : (ny, nx) int
        Grain of every pixel.
    pixels : (m,) int
        Flat numbers of positions of the grain that may be asked, in the order in which they are.
    record
        Of its mean pattern (`nbedex.indexing.records`), whose rivals are the candidates.
    bloch
        Crystals and options.
    threads
        0: all available. The result doesn't depend on it.
    """
    orientation, phase = record["rival_orientation"].copy(), record["rival_phase_id"].copy()
    score = record["rival_score"].astype(np.float64)
    alive = (phase >= 0) & (score >= bloch.engine.settings.candidate_share * score[0])
    matching = OF_MATCHING * log_likelihood(score[None], bloch.n_bins)[0]
    found: list[Reranked] = []
    log_odds = np.where(alive, matching, -np.inf)
    ends = sorted({0, min(1, len(pixels)), *range(_BATCH, len(pixels), _BATCH), len(pixels)})
    for first, end in pairwise(ends):
        if first >= _BATCH and alive.sum() < 2:
            break
        asked = pixels[first:end]
        frames = np.stack([local_mean(scan, label, int(p)) for p in asked])
        found.append(
            rerank_patterns(
                frames,
                np.ascontiguousarray(centers.reshape(-1, 2)[asked], dtype=np.float64),
                np.broadcast_to(orientation, (len(asked), *orientation.shape)),
                np.broadcast_to(np.where(alive, phase, -1), (len(asked), len(phase))),
                np.zeros((len(asked), len(phase))),
                bloch.engine,
                mask=bloch.mask,
                threads=threads,
            )
        )
        evidence = np.concatenate([f.evidence for f in found])[:, alive]
        log_odds[alive] = matching[alive] + OF_SUM * evidence.sum(axis=0) / np.sqrt(len(evidence))
        alive &= log_odds >= log_odds.max() - (_FAR_BEHIND if end == 1 else _BEHIND)
    patterns = joined(found)
    for k in np.flatnonzero(patterns.tried.any(axis=0)):
        of_k = patterns.orientation[patterns.tried[:, k], k]
        orientation[k] = mean_near(of_k, orientation[k], bloch.symmetries[phase[k]])
    return GrainEvidence(log_odds, orientation, pixels[: len(patterns.evidence)].astype(np.int64), patterns)


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


def local_mean(scan: Scan, label: NDArray[np.integer], pixel: int) -> NDArray[np.float32]:
    """Mean of the patterns of a grain around one of them."""
    ny, nx = label.shape
    row, column = divmod(pixel, nx)
    rows = np.arange(max(row - _AROUND, 0), min(row + _AROUND + 1, ny))
    columns = np.arange(max(column - _AROUND, 0), min(column + _AROUND + 1, nx))
    near = (rows[:, None] * nx + columns).ravel()
    near = near[label.ravel()[near] == label[row, column]]
    frames = np.nan_to_num(scan.read_at(near).astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    return np.asarray(frames.mean(axis=0, dtype=np.float64), dtype=np.float32)


def mean_near(orientations: Array, near: Array, symmetry: Array, weight: Array | None = None) -> Array:
    """Mean (4,) of orientations (n, 4), weighted (n,), each in that equivalent which is nearest to one (4,)."""
    turn = multiply(orientations, conjugate(near))  # crystal to crystal
    equivalent = multiply(symmetry[:, None], turn[None])
    best = np.abs(equivalent[..., 0]).argmax(axis=0)
    nearest = multiply(equivalent[best, np.arange(len(turn))], near)
    nearest *= np.sign(nearest @ near)[:, None]
    mean = np.average(nearest, axis=0, weights=weight)
    return np.asarray(canonical(mean / np.linalg.norm(mean)))


def joined(parts: list[Reranked]) -> Reranked:
    """The patterns of several one after the other."""
    return Reranked(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in Reranked.__annotations__})
