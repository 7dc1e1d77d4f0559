"""What is said of every boundary in uniform fields of all directions, as `analyse_blockade` says it of one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade.analysis import confidence_along, pairs_of, planes_of
from nbedex.blockade.classes import classify, edge_on
from nbedex.blockade.field import UniformField
from nbedex.blockade.flux import unit
from nbedex.blockade.model import Alternatives, Blockade
from nbedex.blockade.segments import (
    longest_class,
    mean_of_segments,
    probability_of_segments,
    share_of_segments,
    verdict_of,
)
from nbedex.errors import ArgumentError
from nbedex.progress import Progress, silent

Codes = NDArray[np.int8]
Floats = NDArray[np.float64]
_STEPS = (1, 2, 5, 10, 15, 30)  # of the directions at which orientations are tried within their errors
_MOST = 400_000  # stretches times such directions


@dataclass(frozen=True, kw_only=True, eq=False)
class Directions:
    """Boundaries in uniform fields of 0, 1, ... 359 degrees from X towards Y; k stretches, n segments.

    Attributes
    ----------
    code, code_traces
        (k, 360) int8, `BoundaryClass` of each stretch from planes in space, and from traces.
    segment_code, segment_code_traces
        (n, 360) int8, the class that holds along most of each segment.
    undecided
        (k, 360) bool: no class of the stretch reaches `decided_at`.
    probability
        (n, 360) of the segment's class from planes in space.
    blocks_probability
        (n, 360) that the accumulation reaches `blocks_at`.
    accumulation_sigma
        (n, 360) one sigma of the accumulation.
    every_deg
        Classes are those of each degree; the last four are those of the nearest multiple of this.
    """

    code: Codes
    code_traces: Codes
    segment_code: Codes
    segment_code_traces: Codes
    undecided: NDArray[np.bool_]
    probability: Floats
    blocks_probability: Floats
    accumulation_sigma: Floats
    every_deg: int


def in_all_directions(
    blockade: Blockade,
    *,
    alternatives: Alternatives | None = None,
    every_deg: int | None = None,
    progress: Progress = silent,
) -> Directions:
    """Turn a uniform field once round, degree by degree.

    Parameters
    ----------
    blockade
        An analysis in a uniform field: its boundaries, stretches and settings hold.
    alternatives
        As for `analyse_blockade`.
    every_deg
        At which multiples of a degree orientations are tried within their errors, a divisor of 360. None: every
        degree, or fewer where the map has so many boundaries that it would take minutes.
    progress
        Called for each direction.

    Raises
    ------
    ArgumentError
        If the field of the analysis was not uniform (its stretches are then cut by the field, too), or `every_deg`
        doesn't divide 360.
    """
    if blockade.field.get("kind") != "uniform":
        raise ArgumentError("expected an analysis in a uniform field, got one in a field map")
    every = _step(len(blockade.stretches)) if every_deg is None else every_deg
    if every < 1 or 360 % every:
        raise ArgumentError(f"every_deg must divide 360, got {every}")
    code, code_traces = _classes(blockade)
    n, stretches = len(blockade.segments), blockade.stretches
    segment_code = np.stack([longest_class(column, stretches, n)[0] for column in code.T], axis=1)
    traces = np.stack([longest_class(column, stretches, n)[0] for column in code_traces.T], axis=1)
    undecided = np.zeros(code.shape, dtype=bool)
    probability, blocks, sigma = (np.zeros((n, 360)) for _ in range(3))
    sides = (
        blockade.network.boundaries.grain_a[stretches.segment],
        blockade.network.boundaries.grain_b[stretches.segment],
    )
    _, share = share_of_segments(stretches, n)
    for count, tried in enumerate(range(0, 360, every) if n else ()):
        progress("turning the field", count, 360 // every)
        field = np.broadcast_to(UniformField(float(tried)).vector, stretches.field.shape)
        pairs = pairs_of(blockade.media, *sides, replace(stretches, field=field))
        sure = confidence_along(pairs, sides, blockade.settings, alternatives)
        near = np.mod(np.arange(every) - every // 2 + tried, 360)
        undecided[:, near] = (verdict_of(sure.probability, blockade.settings) < 0)[:, None]
        of_segments = probability_of_segments(sure.probability, stretches, n)
        probability[:, near] = np.take_along_axis(of_segments, segment_code[:, near].astype(np.int64), 1)
        blocks[:, near] = mean_of_segments(sure.blocks, stretches.segment, share, n)[:, None]
        sigma[:, near] = mean_of_segments(sure.sigma, stretches.segment, share, n)[:, None]
    progress("turning the field", 360 // every, 360 // every)
    return Directions(
        code=code,
        code_traces=code_traces,
        segment_code=segment_code,
        segment_code_traces=traces,
        undecided=undecided,
        probability=probability,
        blocks_probability=blocks,
        accumulation_sigma=sigma,
        every_deg=every,
    )


def _step(stretches: int) -> int:
    return next((step for step in _STEPS if stretches * (360 // step) <= _MOST), _STEPS[-1])


def _classes(blockade: Blockade) -> tuple[Codes, Codes]:
    """(k, 360) classes from planes in space and from traces."""
    a, b = planes_of(blockade)
    m, limits = blockade.stretches.normal, blockade.settings.tolerances
    edge_a, edge_b = (edge_on(normal, least_inclination_deg=limits.least_inclination_deg) for normal in (a, b))
    flat = unit(m * np.array([1.0, 1.0, 0.0]))
    code, traces = np.zeros((2, len(m), 360), dtype=np.int8)
    for degree in range(360):
        field = UniformField(float(degree)).vector
        code[:, degree] = classify(a, b, m, field, limits).code
        traces[:, degree] = classify(edge_a, edge_b, flat, field, limits).code
    return code, traces
