"""What Bloch waves say of a grain's candidates, in several of its patterns.

Every candidate gets the tilt and the thickness that suit it, pattern by pattern, and what speaks for it is added up.
Candidates that have fallen behind are given up after every few patterns, so that clear cases cost little and doubtful
ones get all patterns.

Patterns with few spots say little of the turn about a row of them, matching may err by more than candidates are tilted,
and then no other candidate is left to say so. So the best is looked for around where it came to rest, too.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nbedex.grains.bloch_evidence import OF_SUM, UNDECIDED, BlochEngine, GrainEvidence, mean_near, of_matching
from nbedex.grains.local_means import LocalMeans
from nbedex.indexing.rerank import Reranked, RerankEngine, rerank_patterns
from nbedex.indexing.settings import RerankSettings
from nbedex.maps import canonical, multiply

Array = NDArray[np.float64]

_BATCH = 3  # patterns after which candidates may be given up
_BEHIND, _FAR_BEHIND = 6.0, 8.0  # log odds at which they are, and at which they are after a single pattern
# Where else the best candidate is looked for: around so many directions across the beam, and so far off; in one pattern
# first, where nearly all have so much less evidence there that there is no question.
_DIRECTIONS, _OFF_DEG = 6, 4.0
_FAR_LESS = 20.0
_MOVES = 3  # so often at most it goes where more speaks for it


def ask_grain(
    means: LocalMeans,
    pixels: NDArray[np.integer],
    record: NDArray[Any],
    bloch: BlochEngine,
    *,
    threads: int = 0,
) -> GrainEvidence:
    """Compare the candidates of one grain.

    Parameters
    ----------
    means
        Patterns.
    pixels : (m,) int
        Flat numbers of positions of the grain that may be asked, in the order in which they are.
    record
        Of its mean pattern (`nbedex.indexing.records`), whose rivals are the candidates.
    bloch
        Crystals and options.
    threads
        0: all available. The result doesn't depend on it.
    """
    found = each_pattern_asked(means, pixels, record, bloch, threads=threads)
    return looked_around(found, means, record, bloch, threads=threads)


def each_pattern_asked(
    means: LocalMeans,
    pixels: NDArray[np.integer],
    record: NDArray[Any],
    bloch: BlochEngine,
    *,
    threads: int = 0,
) -> GrainEvidence:
    """What the patterns say one by one; parameters as of `ask_grain`."""
    orientation, phase = record["rival_orientation"].copy(), record["rival_phase_id"].copy()
    score = record["rival_score"].astype(np.float64)
    alive = (phase >= 0) & (score >= bloch.engine.settings.candidate_share * score[0])
    matching = of_matching(record, bloch)
    found: list[Reranked] = []
    log_odds = np.where(alive, matching, -np.inf)
    ends = sorted({0, min(1, len(pixels)), *range(_BATCH, len(pixels), _BATCH), len(pixels)})
    for first, end in pairwise(ends):
        if first >= _BATCH and alive.sum() < 2:
            break
        frames, of_frames = means.at(pixels[first:end])
        shape = (len(frames), len(phase))
        found.append(
            rerank_patterns(
                frames,
                of_frames,
                np.broadcast_to(orientation, (*shape, 4)),
                np.broadcast_to(np.where(alive, phase, -1), shape),
                np.zeros(shape),
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


def looked_around(
    evidence: GrainEvidence,
    means: LocalMeans,
    record: NDArray[Any],
    bloch: BlochEngine,
    *,
    threads: int = 0,
) -> GrainEvidence:
    """The evidence with the best candidate where most speaks for it, 3 to 5 degrees off where it came to rest included.

    Parameters
    ----------
    evidence
        Of `each_pattern_asked`.
    means, record, bloch, threads
        As of `ask_grain`.
    """
    best = int(evidence.order[0])
    phase = int(record["rival_phase_id"][best])
    first, patterns = means.at(evidence.pixels[:1]), None

    def asked(around: Array, shown: tuple[NDArray[np.float32], Array], engine: RerankEngine = bloch.nearby) -> Reranked:
        shape = (len(shown[0]), len(around))
        return rerank_patterns(
            *shown, np.broadcast_to(around, (*shape, 4)), np.full(shape, phase), np.zeros(shape),
            engine, mask=bloch.mask, threads=threads,
        )  # fmt: skip

    def odds(found: Reranked) -> Array:
        sums = found.evidence.sum(axis=0)
        return np.asarray(of_matching(record, bloch)[best] + OF_SUM * sums / np.sqrt(len(found.evidence)))

    for _ in range(_MOVES):
        around = tilted_around(evidence.orientation[best])
        if evidence.patterns.evidence[0, best] - asked(around, first).evidence.max() > _FAR_LESS:
            return evidence
        patterns = patterns or means.at(evidence.pixels)  # few grains need the others
        there = asked(around, patterns)
        around_it = odds(there)
        one = int(around_it.argmax())
        middle = mean_near(there.orientation[:, one], there.orientation[0, one], bloch.symmetries[phase])
        better = around_it[one] > evidence.log_odds[best] + UNDECIDED
        again = asked(middle[None], patterns, bloch.engine) if better else None
        if again is None or odds(again)[0] <= evidence.log_odds[best]:
            return replace(evidence, elsewhere=float(np.exp(around_it - evidence.log_odds[best]).sum()))
        evidence = _moved(evidence, best, again, float(odds(again)[0]), bloch.symmetries[phase])
    return evidence


def nearby_search(settings: RerankSettings) -> RerankSettings:
    """How it is looked for there: not far, and less thoroughly than candidates are."""
    return msgspec.structs.replace(settings, reach_deg=min(settings.reach_deg, 1.0), starts=3, points=4)


def tilted_around(orientation: Array) -> Array:
    """Orientations (6, 4): one (4,), tilted about axes across the beam."""
    half, turn = np.deg2rad(_OFF_DEG) / 2, np.arange(_DIRECTIONS) * 2 * np.pi / _DIRECTIONS
    across = np.stack([np.cos(turn), np.sin(turn), np.zeros(_DIRECTIONS)], axis=1)
    tilts = np.concatenate([np.full((_DIRECTIONS, 1), np.cos(half)), np.sin(half) * across], axis=1)
    return np.asarray(canonical(multiply(orientation, tilts)))


def _moved(evidence: GrainEvidence, k: int, there: Reranked, log_odds: float, symmetry: Array) -> GrainEvidence:
    """With a candidate where it came to rest now (m, 1)."""
    odds, orientation = evidence.log_odds.copy(), evidence.orientation.copy()
    odds[k] = log_odds
    orientation[k] = mean_near(there.orientation[:, 0], there.orientation[0, 0], symmetry)
    patterns = {name: getattr(evidence.patterns, name).copy() for name in Reranked.__annotations__}
    for name, values in patterns.items():
        values[:, k] = getattr(there, name)[:, 0]
    return replace(evidence, log_odds=odds, orientation=orientation, patterns=Reranked(**patterns))


def joined(parts: list[Reranked]) -> Reranked:
    """The patterns of several one after the other."""
    return Reranked(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in Reranked.__annotations__})
