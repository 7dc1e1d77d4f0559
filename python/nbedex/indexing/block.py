"""From a block of raw patterns to records of what was found: pure functions, no files, no state.

Records do not depend on the block a pattern is in, nor on the number of threads. Everything that indexes patterns,
on one machine or many, goes through `index_block`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.indexing.candidates import Candidates, best_where, match_phases, refined, searched, with_turned_rivals
from nbedex.indexing.coincidence import coincidental
from nbedex.indexing.confidence import Evidence
from nbedex.indexing.engine import Engine, noise_levels
from nbedex.indexing.overlap import further_crystals
from nbedex.indexing.patterns import Patterns
from nbedex.indexing.records import empty_records, fill, refuse
from nbedex.indexing.rerank_records import rerank_records
from nbedex.maps.result import Status

Array = NDArray[np.float64]


def index_block(
    frames: NDArray[Any] | _core.FrameFile, centers: Array, engine: Engine, *, threads: int = 0
) -> NDArray[Any]:
    """Index patterns.

    Parameters
    ----------
    frames : (n, det_y, det_x)
        8, 16 or 32 bit integers or float32; or where they lie in a file, if `prepare.needs_frames_once`.
    centers : (n, 2) float64
        Direct beam (row, column) of each, pixels.
    engine
        From `make_engine`.
    threads
        0: all this process may use.

    Returns
    -------
    (n,) structured
        See `record_dtype`.
    """
    patterns, status = prepared(frames, centers, engine, threads=threads)
    records = empty_records(len(frames), engine.settings, len(engine.templates), Status.OK)
    records["center"] = centers
    records["status"] = status
    usable = np.flatnonzero(status == Status.OK)
    doubtful = np.zeros(len(frames), dtype=bool)
    if len(usable):
        records[usable], doubtful[usable] = index_patterns(patterns.taken(usable), records[usable], engine, threads)
    if engine.rerank is not None:
        rerank_records(
            records,
            np.asarray(frames),
            engine.rerank,
            doubtful=doubtful,
            mask=engine.mask,
            n_bins=engine.grid.n_rings * engine.grid.n_azimuths,
            threads=threads,
        )
    return records


def prepared(
    frames: NDArray[Any] | _core.FrameFile, centers: Array, engine: Engine, *, threads: int = 0
) -> tuple[Patterns, NDArray[np.uint8]]:
    """Polar patterns, and what is wrong with each (n,)."""

    polar, peaks, status, sums = _core.prepare_patterns(
        frames, np.ascontiguousarray(centers), engine.sampler, engine.preprocessing, engine.mask, threads, True,
        engine.spot_filter,
    )  # fmt: skip
    assert peaks is not None
    return Patterns(polar, peaks, sums), status


def index_patterns(
    patterns: Patterns, records: NDArray[Any], engine: Engine, threads: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The records (n,) with what is found in the patterns: `peaks` searched, `whole` refined.

    And where (n,) an answer above noise is refused because chance would do as well.
    """

    def solve(some: Patterns) -> tuple[Candidates, Evidence]:
        of_whole, of_peaks = some.sums
        levels = noise_levels(of_peaks, engine)
        found = first = searched(match_phases(some.peaks, engine, levels, of_peaks, threads=threads), engine, levels)
        if engine.settings.refine.enabled:
            found = refined(first, some.whole, engine, noise_levels(of_whole, engine), of_whole, threads=threads)
        found = with_turned_rivals(found, engine)
        return found, gather_evidence(first, found, engine)

    found, evidence = solve(patterns)
    filled = records.copy()
    fill(filled, found, n_phases=len(engine.templates), rival_share=engine.settings.rival_share)
    filled["probability"] = evidence.probability()
    filled["uncertainty_deg"] = evidence.uncertainty_deg()
    noise = ~evidence.above_noise(engine.settings.match.noise_factor)
    chance = coincidental(found.phase_id[:, 0], found.orientation[:, 0], patterns.peaks, engine, threads=threads)
    refuse(filled, noise | chance)
    if engine.settings.overlap.max_crystals > 1:
        overlap = further_crystals(filled["phase_id"], filled["orientation"], patterns, engine, solve, threads=threads)
        for name in ("phase_id", "orientation", "share", "probability"):
            filled[f"overlap_{name}"] = getattr(overlap, name)
    return filled, chance & ~noise


def gather_evidence(first: Candidates, final: Candidates, engine: Engine) -> Evidence:
    """What speaks for the winners among the `final` candidates; `first` are those of the search."""
    winner = final.phase_id[:, :1]

    def times_noise(candidates: Candidates) -> Array:
        merit = best_where(candidates.phase_id == winner, candidates.merit)
        return np.asarray(np.where(winner[:, 0] < 0, 0.0, np.nan_to_num(merit)))

    searched_for = times_noise(first)
    score = final.score[:, 0].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        # a rival of another phase counts as one of the winner's that is as good
        rival = score * final.merit[:, 1] / final.merit[:, 0]
    return Evidence(
        searched=searched_for,
        refined=times_noise(final) if final is not first else searched_for,
        score=np.nan_to_num(score),
        rival=rival,
        spread=final.spread[:, 0].astype(np.float64),
        n_bins=engine.grid.n_rings * engine.grid.n_azimuths,
    )
