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
from nbedex.indexing.disks import sharpened
from nbedex.indexing.engine import Engine, noise_levels
from nbedex.indexing.overlap import further_crystals
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
    polar, peaks, status = prepared(frames, centers, engine, threads=threads)
    records = empty_records(len(frames), engine.settings, len(engine.templates), Status.OK)
    records["center"] = centers
    records["status"] = status
    usable = np.flatnonzero(status == Status.OK)
    if len(usable):
        records[usable] = index_patterns(taken(polar, usable), taken(peaks, usable), records[usable], engine, threads)
    if engine.rerank is not None:
        rerank_records(
            records, np.asarray(frames), engine.rerank, mask=engine.mask, n_bins=polar[0].size, threads=threads
        )
    return records


def prepared(
    frames: NDArray[Any] | _core.FrameFile, centers: Array, engine: Engine, *, threads: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    """Polar patterns (n, rings, azimuths) whole and to be searched, and what is wrong with each (n,)."""

    def unwrapped(
        shown: NDArray[Any] | _core.FrameFile,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
        polar, peaks, status = _core.prepare_patterns(
            shown, np.ascontiguousarray(centers), engine.sampler, engine.preprocessing, engine.mask, threads, True
        )
        assert peaks is not None
        return polar, peaks, status

    radius = engine.settings.preprocess.disk_radius
    if not radius:
        return unwrapped(frames)
    of_frames = unwrapped(frames)[2]  # saturated and dead pixels show in frames as they were read only
    polar, peaks, status = unwrapped(sharpened(np.asarray(frames), radius, mask=engine.mask, threads=threads))
    return polar, peaks, np.where(of_frames == Status.OK, status, of_frames).astype(np.uint8)


def index_patterns(
    polar: NDArray[np.float32], peaks: NDArray[np.float32], records: NDArray[Any], engine: Engine, threads: int
) -> NDArray[Any]:
    """The records (n,) with what is found in polar patterns (n, rings, azimuths): `peaks` searched, `polar` refined."""

    def solve(whole: NDArray[np.float32], sparse: NDArray[np.float32]) -> tuple[Candidates, Evidence]:
        levels = noise_levels(_core.skewness(sparse, threads), engine)
        found = first = searched(match_phases(sparse, engine, levels, threads=threads), engine, levels)
        if engine.settings.refine.enabled:
            levels = noise_levels(_core.skewness(whole, threads), engine)
            found = refined(first, whole, engine, levels, threads=threads)
        found = with_turned_rivals(found, engine)
        return found, gather_evidence(first, found, engine)

    found, evidence = solve(polar, peaks)
    filled = records.copy()
    fill(filled, found, n_phases=len(engine.templates), rival_share=engine.settings.match.rival_share)
    filled["probability"] = evidence.probability()
    filled["uncertainty_deg"] = evidence.uncertainty_deg()
    wrong = ~evidence.above_noise(engine.settings.match.noise_factor)
    wrong |= coincidental(found.phase_id[:, 0], found.orientation[:, 0], peaks, engine, threads=threads)
    refuse(filled, wrong)
    if engine.settings.overlap.max_crystals > 1:
        overlap = further_crystals(
            filled["phase_id"], filled["orientation"], polar, peaks, engine, solve, threads=threads
        )
        for name in ("phase_id", "orientation", "share", "probability"):
            filled[f"overlap_{name}"] = getattr(overlap, name)
    return filled


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


def taken(patterns: NDArray[np.float32], usable: NDArray[np.intp]) -> NDArray[np.float32]:
    """Some of the patterns, without a copy if they are all."""
    return patterns if len(usable) == len(patterns) else np.ascontiguousarray(patterns[usable])
