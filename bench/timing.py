"""Time per pattern, and how the answers are held against the exhaustive search."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex import _core

FIELDS = ("template_id", "mirrored", "azimuth", "score", "azimuth_offset", "mirror_score", "half_turn_score")
Match = dict[str, Any]


def stay_on_one_core(core: int | None = None) -> None:
    """Pin this process and what it starts to one core: the last it may use, unless told."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0)) if core is None else core})


def best_of(call: Callable[[], Any], repeats: int) -> float:
    """Least time of some calls, seconds."""
    least = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        least = min(least, time.perf_counter() - started)
    return least


def seconds_per_pattern(
    phases: Sequence[_core.TemplateSet],
    patterns: NDArray[np.float32],
    options: _core.MatchOptions,
    *,
    repeats: int = 3,
) -> NDArray[np.float64]:
    """Seconds that the pruned search of all phases takes for each pattern (n, rings, azimuths), (n,).

    A call with one pattern sets up the search's tables and arrays, which in a scan happens once for many patterns. So
    what a call with a blank pattern takes is taken off. Each pattern is called once in each of `repeats` rounds, so
    that caches and branch predictors have seen others in between, and its least time counts. Nothing is known from
    the pattern before, as it is in a scan.
    """
    some, blank = list(phases), np.zeros_like(patterns[:1])
    least, idle = np.full(len(patterns), np.inf), np.full(len(patterns), np.inf)
    _core.match_pruned(some, patterns[:1], options)  # page faults, first use
    for _ in range(repeats):
        for number in range(len(patterns)):
            started = time.perf_counter()
            _core.match_pruned(some, blank, options)
            between = time.perf_counter()
            _core.match_pruned(some, patterns[number : number + 1], options)
            ended = time.perf_counter()
            idle[number] = min(idle[number], between - started)
            least[number] = min(least[number], ended - between)
    return np.maximum(least - np.median(idle), 0)


def seconds_in_a_batch(
    phases: Sequence[_core.TemplateSet],
    patterns: NDArray[np.float32],
    options: _core.MatchOptions,
    *,
    repeats: int = 2,
) -> float:
    """Mean seconds per pattern when all are matched in one call."""
    return best_of(lambda: _core.match_pruned(list(phases), patterns, options), repeats) / len(patterns)


def difference(found: Sequence[Match], expected: Sequence[Match]) -> str:
    """First field of a phase that is not the same in every bit; empty if none."""
    for number, (mine, theirs) in enumerate(zip(found, expected, strict=True)):
        for name in FIELDS:
            if not np.array_equal(mine[name], theirs[name], equal_nan=mine[name].dtype.kind == "f"):
                return f"{name} of phase {number}"
    return ""


def summary(seconds: NDArray[np.float64]) -> dict[str, float]:
    """Median, 99th percentile, worst, in microseconds."""
    micro = 1e6 * seconds
    return {"median": float(np.median(micro)), "p99": float(np.quantile(micro, 0.99)), "worst": float(micro.max())}


def short(microseconds: float) -> str:
    """17.3 µs as 17 µs, 1834 µs as 1.83 ms."""
    if microseconds >= 1000:
        return f"{microseconds / 1000:.3g} ms"
    return f"{microseconds:.0f} µs"
