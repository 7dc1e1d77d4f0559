"""What Bloch waves say of a grain's candidates: in its patterns one by one, and then in all of them together.

A pattern that is asked is the mean of those around it in the grain, three by three: tilt and thickness hardly differ
there, and noise is a third. Every candidate gets the tilt and the thickness that suit it, pattern by pattern, and what
speaks for it is added up. Candidates that have fallen behind are given up after every few patterns, so that clear cases
cost little and doubtful ones get all patterns.

A candidate with a tilt of its own for every pattern fits each one's noise, by which a wrong one gains as much as the
right one. But a grain is one crystal. So of candidates that are close at the end a tilt is looked for that suits all
patterns, from which each may deviate by two tenths of a degree.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.grains.bloch_evidence import OF_SUM, BlochEngine, GrainEvidence, mean_near, of_matching
from nbedex.indexing.rerank import Reranked, rerank_patterns, rerank_together, within
from nbedex.scan import Scan

_BATCH = 3  # patterns after which candidates may be given up
_BEHIND, _FAR_BEHIND = 6.0, 8.0  # log odds at which they are, and at which they are after a single pattern
_AROUND = 1  # scan positions around a pattern that is asked
# What the best candidate's evidence may lose by a shared tilt, in the mean over patterns: more, and the grain is bent.
# In the validation kit, where grains bend by 0.2 degrees, 99 of 100 lose less; NZSP bent by 0.6 degrees loses 4 to 8.
_BENT = 4.0
_BEND_DEG = 0.2  # around the shared tilt the search for each pattern's own begins


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
    one_by_one = each_pattern_asked(scan, centers, label, pixels, record, bloch, threads=threads)
    return with_shared_tilt(one_by_one, scan, centers, label, record, bloch, threads=threads)


def each_pattern_asked(
    scan: Scan,
    centers: NDArray[np.floating[Any]],
    label: NDArray[np.integer],
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
        frames, of_frames = _asked(scan, centers, label, pixels[first:end])
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


def with_shared_tilt(
    evidence: GrainEvidence,
    scan: Scan,
    centers: NDArray[np.floating[Any]],
    label: NDArray[np.integer],
    record: NDArray[Any],
    bloch: BlochEngine,
    *,
    threads: int = 0,
) -> GrainEvidence:
    """The evidence with what the patterns say together of candidates that are close; as it was where the grain is bent.

    Parameters
    ----------
    evidence
        Of `each_pattern_asked`.
    scan, centers, label, record, bloch, threads
        As of `ask_grain`.
    """
    close = np.flatnonzero(evidence.log_odds >= evidence.log_odds.max() - _BEHIND)
    if len(close) < 2:
        return evidence
    phase = record["rival_phase_id"]
    frames, middles = _asked(scan, centers, label, evidence.pixels)
    shared = rerank_together(
        frames,
        middles,
        record["rival_orientation"][close].astype(np.float64),
        phase[close],
        bloch.engine,
        mask=bloch.mask,
        threads=threads,
    )
    shape = shared.score.shape
    together = rerank_patterns(
        frames,
        middles,
        shared.orientation,
        np.broadcast_to(phase[close], shape),
        np.zeros(shape),
        within(bloch.engine, reach_deg=_BEND_DEG, step_deg=_BEND_DEG / 2, starts=4),
        mask=bloch.mask,
        threads=threads,
    )
    alone = np.nanmean(evidence.patterns.evidence[:, close], axis=0)
    if alone.max() - together.evidence.mean(axis=0).max() > _BENT:
        return evidence
    log_odds, orientation = evidence.log_odds.copy(), evidence.orientation.copy()
    sums = together.evidence.sum(axis=0)
    log_odds[close] = of_matching(record, bloch)[close] + OF_SUM * sums / np.sqrt(len(evidence.pixels))
    others = np.setdiff1d(np.arange(len(log_odds)), close)  # stay as far behind
    log_odds[others] += log_odds[close].max() - evidence.log_odds.max()
    patterns = {name: getattr(evidence.patterns, name).copy() for name in Reranked.__annotations__}
    for name, values in patterns.items():
        values[:, close] = getattr(together, name)
    for number, k in enumerate(close):
        of_k = together.orientation[:, number]
        orientation[k] = mean_near(of_k, of_k[0], bloch.symmetries[phase[k]])
    return replace(evidence, log_odds=log_odds, orientation=orientation, patterns=Reranked(**patterns))


def _asked(
    scan: Scan, centers: NDArray[np.floating[Any]], label: NDArray[np.integer], pixels: NDArray[np.integer]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Patterns (m, det_y, det_x) as they are asked, and where their direct beams are (m, 2)."""
    frames = np.stack([local_mean(scan, label, int(p)) for p in pixels])
    return frames, np.ascontiguousarray(centers.reshape(-1, 2)[pixels], dtype=np.float64)


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


def joined(parts: list[Reranked]) -> Reranked:
    """The patterns of several one after the other."""
    return Reranked(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in Reranked.__annotations__})
