"""From what is said of stretches to what is said of whole boundary segments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade.classes import N_CODES
from nbedex.blockade.model import MIXED, NEAR_LIMIT_BELOW, UNDECIDED, Flag, Level, SegmentStatements, Statements
from nbedex.blockade.settings import BlockadeSettings
from nbedex.blockade.stretches import Stretches
from nbedex.blockade.sums import sums

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def level_of(accumulation: Floats, settings: BlockadeSettings) -> NDArray[np.int8]:
    """`Level` of net accumulations."""
    size = np.abs(accumulation)
    step = np.where(size >= settings.blocks_at, 2, np.where(size >= settings.partly_at, 1, 0))
    return np.where(np.isnan(accumulation), Level.UNDEFINED, step * np.sign(np.nan_to_num(accumulation))).astype(
        np.int8
    )


def verdict_of(probability: Floats, settings: BlockadeSettings) -> NDArray[np.int8]:
    """The class whose probability reaches `decided_at`, or -1."""
    best = probability.argmax(axis=1)
    reached = probability.max(axis=1, initial=0.0) >= settings.decided_at
    return np.where(reached, best, UNDECIDED).astype(np.int8)


def over_segments(along: Statements, stretches: Stretches, n: int, settings: BlockadeSettings) -> SegmentStatements:
    """Means over the length of each of n segments; the class that holds along most of it."""
    segment, length = stretches.segment, stretches.length
    total, share = share_of_segments(stretches, n)
    code, code_share = longest_class(along.code, stretches, n)
    code_traces, _ = longest_class(along.code_traces, stretches, n)
    probability = probability_of_segments(along.probability, stretches, n)
    mixed = (code_share < settings.decided_at) & (total > 0)
    accumulation = mean_of_segments(along.accumulation, segment, share, n)
    nominal = np.take_along_axis(probability, code[:, None].astype(np.int64), axis=1)[:, 0]
    special = {Flag.TRACES_DIFFER: code != code_traces, Flag.MIXED: mixed, Flag.NEAR_LIMIT: nominal < NEAR_LIMIT_BELOW}
    return SegmentStatements(
        code=code,
        code_traces=code_traces,
        accumulation=accumulation,
        transmission=mean_of_segments(along.transmission, segment, share, n),
        vector=np.stack([mean_of_segments(component, segment, share, n) for component in along.vector.T], axis=1),
        level=level_of(accumulation, settings),
        probability=probability,
        accumulation_mean=mean_of_segments(along.accumulation_mean, segment, share, n),
        # the same crystals along the whole segment: errors don't average out
        accumulation_sigma=mean_of_segments(along.accumulation_sigma, segment, share, n),
        blocks_probability=mean_of_segments(along.blocks_probability, segment, share, n),
        verdict=np.where(mixed, MIXED, verdict_of(probability, settings)).astype(np.int8),
        flags=_flags(along.flags, segment, share, n, special),
        code_share=code_share,
        lowest=_extreme(along.accumulation, segment, n, least=True),
        highest=_extreme(along.accumulation, segment, n, least=False),
        blocking_length=sums(segment, length * (along.accumulation >= settings.blocks_at), n),
    )


def share_of_segments(stretches: Stretches, n: int) -> tuple[Floats, Floats]:
    """Length of each of n segments, and the share of it that each stretch is."""
    total = sums(stretches.segment, stretches.length, n)
    return total, stretches.length / np.where(total > 0, total, 1.0)[stretches.segment]


def probability_of_segments(probability: Floats, stretches: Stretches, n: int) -> Floats:
    """(n, 13) probabilities of a place on each segment taken at random."""
    total, share = share_of_segments(stretches, n)
    found = np.stack([sums(stretches.segment, share * column, n) for column in probability.T], axis=1)
    found[total == 0, 0] = 1.0  # no length, no class
    return found


def longest_class(code: NDArray[np.int8], stretches: Stretches, n: int) -> tuple[NDArray[np.int8], Floats]:
    """Class (n,) that holds along most of each segment, the first of equals, and its share of the length."""
    lengths = sums(stretches.segment * N_CODES + code, stretches.length, n * N_CODES).reshape(n, N_CODES)
    total = lengths.sum(axis=1)
    share = lengths.max(axis=1, initial=0.0) / np.where(total > 0, total, 1.0)
    return lengths.argmax(axis=1).astype(np.int8), share


def mean_of_segments(values: Floats, segment: Ints, share: Floats, n: int) -> Floats:
    """Mean over the length where there is a number; NaN for segments without any."""
    known = np.isfinite(values)
    weight = sums(segment, share * known, n)
    total = sums(segment, np.where(known, values, 0.0) * share, n)
    return np.asarray(np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan))


def _extreme(values: Floats, segment: Ints, n: int, *, least: bool) -> Floats:
    found = np.full(n, np.nan)
    (np.fmin if least else np.fmax).at(found, segment, values)
    return found


def _flags(
    flags: NDArray[np.int16], segment: Ints, share: Floats, n: int, special: dict[Flag, NDArray[np.bool_]]
) -> NDArray[np.int16]:
    """Flags that hold along more than half of a segment, and those that are the segment's own."""
    result = np.zeros(n, dtype=np.int16)
    for flag in Flag:
        own = special.get(flag)
        rows = sums(segment, share * ((flags & flag) != 0), n) > 0.5 if own is None else own
        result[rows] |= np.int16(flag)
    return result
