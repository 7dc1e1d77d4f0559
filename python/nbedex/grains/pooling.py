"""Grains indexed by what all their patterns show together.

A single pattern may fit two orientations nearly as well: a half turn about a zone axis, NZSP's pseudo-threefold. The
patterns of a grain share what is true of the crystal and differ in noise, thickness and a little in tilt; their mean
decides far more often (docs/decisions/pooling.md). So the mean pattern of every grain is indexed like any other, and
its pixels take the answer: their own version of it where they hold one, the grain's where they are unsure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray
from scipy import ndimage

from nbedex import _core
from nbedex.errors import ArgumentError
from nbedex.grains.answer import GrainAnswer
from nbedex.grains.answers import answers_of
from nbedex.grains.asking import ask_grain
from nbedex.grains.bloch_answers import agreed
from nbedex.grains.bloch_evidence import BlochEngine, GrainEvidence, with_merged, with_pixels
from nbedex.grains.find import find_grains
from nbedex.grains.local_means import LocalMeans
from nbedex.grains.model import GrainMap
from nbedex.grains.offered import Solutions, solutions_around, with_offered, with_room
from nbedex.grains.same_pattern import with_same_patterns
from nbedex.grains.scattered import restored, with_gathered
from nbedex.grains.settings import GrainSettings
from nbedex.grains.source import orientation_map
from nbedex.grains.takeover import changed_pixels, taken_over
from nbedex.grains.unclear import settle_unclear
from nbedex.indexing.block import index_patterns
from nbedex.indexing.engine import Engine
from nbedex.indexing.patterns import Patterns
from nbedex.indexing.records import empty_records
from nbedex.indexing.spot_filter import NARROW
from nbedex.maps import USABLE, IndexingResult, Status
from nbedex.progress import Progress, silent
from nbedex.scan import Scan
from nbedex.settings import Settings

Array = NDArray[np.float64]


class PoolingSettings(Settings, frozen=True, kw_only=True):
    """How patterns of a grain are pooled.

    Attributes
    ----------
    max_patterns
        So many patterns of a grain at most, spread evenly over it; those away from its edge first.
    min_probability
        Answers of the mean pattern count from this probability on; other grains stay as they are.
    rounds
        Grains are found anew with the answers, and pooled again, so often: pieces of a grain that had different
        answers become one.
    """

    max_patterns: Annotated[int, Meta(ge=2, le=100000)] = 100
    min_probability: Annotated[float, Meta(ge=0, le=1)] = 0.5
    rounds: Annotated[int, Meta(ge=1, le=10)] = 2
    rerank: Literal["auto", "on", "off"] = "auto"
    rerank_patterns: Annotated[int, Meta(ge=3, le=1000)] = 12


@dataclass(frozen=True, eq=False)
class Pooled:
    """What the mean patterns of grains say.

    Attributes
    ----------
    result
        The map with the grains' answers.
    grain_map
        The grains of the last round, before its answers were taken over.
    records : (n,) structured
        Of the mean pattern of every grain, see `nbedex.indexing.records`; status NOT_DONE where there is none.
    settings
        How they were pooled.
    changed : (ny, nx) bool
        Pixels whose phase or orientation (beyond `distinct_deg`) is another now.
    answers
        What Bloch waves said of the grains that were asked; in the provenance of the result, too.
    """

    result: IndexingResult
    grain_map: GrainMap
    records: NDArray[Any]
    settings: PoolingSettings
    changed: NDArray[np.bool_]
    answers: tuple[GrainAnswer, ...] = ()


def pool_patterns(
    scan: Scan,
    result: IndexingResult,
    engine: Engine,
    *,
    settings: PoolingSettings | None = None,
    grain_settings: GrainSettings | None = None,
    bloch: BlochEngine | None = None,
    threads: int = 0,
    progress: Progress = silent,
) -> Pooled:
    """Index the mean pattern of every grain and give its pixels the answer.

    Parameters
    ----------
    scan
        The scan that `result` is of.
    result
        The map; its centres are used.
    engine
        From `make_engine`, with the library and options of the run.
    settings, grain_settings
        Options; None for the defaults.
    bloch
        To compare the candidates of each mean pattern by Bloch waves; None: the mean pattern has the last word.
    threads
        0: all available. The result doesn't depend on it.
    progress
        Called with the stage, grains done and grains in all.

    Raises
    ------
    ArgumentError
        Scan, result and engine don't belong together.
    """
    if scan.scan_shape != result.shape:
        raise ArgumentError(f"the scan has {scan.scan_shape} positions, the result {result.shape}: not the same scan")
    if len(engine.templates) != len(result.phases):
        raise ArgumentError(f"the result has {len(result.phases)} phases, the library {len(engine.templates)}")
    options = settings or PoolingSettings()
    changed = np.zeros(result.shape, dtype=bool)
    distinct = float(np.deg2rad(engine.settings.match.distinct_deg))
    asked: dict[bytes, GrainEvidence] = {}
    answers: list[GrainAnswer] = []
    for number in range(options.rounds):
        grain_map = find_grains(orientation_map(result), grain_settings, threads=threads)
        before, gathered = result, np.zeros(result.shape, dtype=bool)
        if bloch is not None:
            least = (grain_settings or GrainSettings()).min_size
            result, gathered = with_gathered(result, grain_map, least=least, distinct=distinct)
        if gathered.any():
            grain_map = find_grains(orientation_map(result), grain_settings, threads=threads)
        stage = f"pooling grains, round {number + 1} of {options.rounds}"
        means = mean_patterns(scan, result, grain_map, engine, options, threads=threads, progress=progress, stage=stage)
        offered = solutions_around(grain_map) if bloch is not None else None
        records = index_means(means, engine, offered, threads=threads)
        likely = records["probability"].astype(np.float64)
        if bloch is not None:
            stage = f"Bloch waves, round {number + 1} of {options.rounds}"
            evidence = _ask(
                scan, result, grain_map, records, bloch, options, asked, distinct=distinct,
                threads=threads, progress=progress, stage=stage,
            )  # fmt: skip
            candidates = records
            records = agreed(grain_map, candidates, evidence, bloch.symmetries, distinct=distinct)
            for grain, found in evidence.items():
                one_of_them = found.probability[found.undecided].sum()
                likely[grain] = max(one_of_them, records["probability"][grain])  # more if it joined a neighbour
            result, _ = settle_unclear(scan, result, grain_map, bloch, distinct=distinct, threads=threads)
        counts = likely >= options.min_probability
        result, _ = taken_over(
            result, grain_map, records, engine.symmetries, counts,
            distinct=distinct, min_probability=options.min_probability,
        )  # fmt: skip
        result = restored(result, before, gathered & ~counts[grain_map.grain_id])
        if bloch is not None:
            answers = answers_of(result, grain_map, candidates, records, evidence, bloch.symmetries, distinct=distinct)
        new = changed_pixels(before, result, engine.symmetries, distinct=distinct)
        changed |= new
        if not new.any():
            break
    pooling = {**result.provenance.get("pooling", {}), "grains": [answer.to_dict() for answer in answers]}
    result = replace(result, provenance={**result.provenance, "pooling": pooling})
    return Pooled(result, grain_map, records, options, changed, tuple(answers))


def _ask(
    scan: Scan,
    result: IndexingResult,
    grain_map: GrainMap,
    records: NDArray[Any],
    bloch: BlochEngine,
    options: PoolingSettings,
    asked: dict[bytes, GrainEvidence],
    *,
    distinct: float,
    threads: int,
    progress: Progress,
    stage: str,
) -> dict[int, GrainEvidence]:
    """What Bloch waves say of every grain whose mean pattern was indexed; those of `asked` are the same as before.

    Solutions that give the same pattern as the best are added to the `records`.
    """
    evidence: dict[int, GrainEvidence] = {}
    n = len(grain_map.grains)
    few = pooled_members(grain_map, result, options.rerank_patterns)
    means = LocalMeans(scan, result.center, grain_map.grain_id)
    for number in range(n):
        progress(stage, number, n)
        if records["phase_id"][number] < 0:
            continue
        own = np.flatnonzero(grain_map.grain_id.ravel() == number)
        key = own.tobytes() + records["rival_orientation"][number].tobytes()
        if key not in asked:
            spread = np.concatenate([few[number][first::4] for first in (2, 0, 3, 1)])
            asked[key] = ask_grain(means, spread, records[number], bloch, threads=threads)
        found = with_merged(asked[key], records[number], bloch, distinct)
        found, records[number] = with_same_patterns(found, records[number], bloch, distinct=distinct, threads=threads)
        phase, orientation = int(grain_map.grains.phase_id[number]), grain_map.grains.orientation[number]
        evidence[number] = with_pixels(found, records[number], phase, orientation, bloch.symmetries[phase], distinct)
    progress(stage, n, n)
    return evidence


def mean_patterns(
    scan: Scan,
    result: IndexingResult,
    grain_map: GrainMap,
    engine: Engine,
    options: PoolingSettings,
    *,
    threads: int = 0,
    progress: Progress = silent,
    stage: str = "pooling grains",
) -> NDArray[np.float32]:
    """Mean unwrapped pattern (n, rings, azimuths) of every grain; NaN for regions that are not grains of a phase."""
    grains = grain_map.grains
    n = len(grains)
    means = np.full((n, engine.grid.n_rings, engine.grid.n_azimuths), np.nan, dtype=np.float32)
    members = pooled_members(grain_map, result, options.max_patterns)
    # Averaging takes the noise of narrow spots; cutting single patterns at zero first would take faint spots, too.
    radius = engine.settings.preprocess.disk_radius
    of_disks = engine.spot_filter if radius and radius > NARROW else None
    for number in range(n):
        progress(stage, number, n)
        if len(members[number]):
            frames = scan.read_at(members[number].tolist())
            centers = np.ascontiguousarray(result.center.reshape(-1, 2)[members[number]], dtype=np.float64)
            polar = _core.unwrap(np.ascontiguousarray(frames), centers, engine.sampler, engine.mask, threads, of_disks)
            with np.errstate(invalid="ignore"):
                means[number] = polar.mean(axis=0, dtype=np.float64)
    progress(stage, n, n)
    return means


def pooled_members(grain_map: GrainMap, result: IndexingResult, most: int) -> list[NDArray[np.intp]]:
    """Flat numbers of `most` pixels of every grain at most: inner ones, if there are enough, spread evenly."""
    label = grain_map.grain_id
    readable = np.isin(result.status, USABLE) & np.isfinite(result.center).all(axis=-1)
    within = np.ones(label.shape, dtype=bool)
    for axis in (0, 1):
        for step in (1, -1):
            within &= label == ndimage.shift(label, [step * (axis == 0), step * (axis == 1)], order=0, mode="nearest")
    usable, inner = readable.ravel(), within.ravel()
    members = []
    for number, own in enumerate(grain_map.pixels()):
        own = own[usable[own]] if grain_map.grains.phase_id[number] >= 0 else own[:0]
        away = own[inner[own]]
        chosen = away if len(away) >= 4 else own
        count = min(len(chosen), most)
        members.append(chosen[((np.arange(count) + 0.5) * len(chosen) / max(count, 1)).astype(np.intp)])
    return members


def index_means(
    means: NDArray[np.float32], engine: Engine, offered: list[Solutions] | None = None, *, threads: int = 0
) -> NDArray[Any]:
    """Records (n,) of mean unwrapped patterns; status NOT_DONE where there is none. `offered`: see `with_offered`."""
    records = empty_records(len(means), engine.settings, len(engine.templates), Status.NOT_DONE)
    there = np.flatnonzero(~np.isnan(means).all(axis=(1, 2)))
    if not len(there):
        return records
    polar, peaks, status, sums = _core.finish_patterns(
        np.ascontiguousarray(means[there]), engine.grid, engine.preprocessing, threads
    )
    records["status"][there] = status
    good = np.flatnonzero(status == Status.OK)
    if len(good):
        part = there[good]
        patterns = Patterns(polar, peaks, sums).taken(good)
        records[part], _ = index_patterns(patterns, records[part], engine, threads)
        if offered is not None:
            found = with_offered(records[part], patterns, [offered[i] for i in part], engine, threads=threads)
            records = with_room(records, engine)
            records[part] = found
    return records
