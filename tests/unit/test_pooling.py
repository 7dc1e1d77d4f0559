"""Grains whose single patterns are noise-bound, and their mean pattern, which is not."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex import _core
from nbedex.errors import ArgumentError
from nbedex.grains import find_grains, offered, orientation_map, pooling
from nbedex.grains.bloch_evidence import GrainEvidence
from nbedex.grains.offered import Solutions, solutions_around, with_offered
from nbedex.grains.pooling import PoolingSettings, index_means, mean_patterns, pool_patterns, pooled_members
from nbedex.grains.takeover import taken_over
from nbedex.indexing import IndexingSettings, MatchSettings, RerankSettings, index_scan, make_engine
from nbedex.indexing.engine import Engine
from nbedex.indexing.patterns import Patterns
from nbedex.indexing.records import empty_records
from nbedex.indexing.rerank import Reranked
from nbedex.maps import IndexingResult, Status, canonical, disorientation_angle
from nbedex.phases import load_phase
from nbedex.scan import Scan, memory_scan
from oracles.dynamical_frames import tilted
from oracles.small_scan import CALIBRATION, CENTER, DETECTOR, PHASES, orientations, polycrystal_frames, small_library

SHAPE = (6, 10)
TRUTH = orientations(2, 21)  # left half, right half
GRAIN = (np.arange(SHAPE[1]) >= 4)[None].repeat(SHAPE[0], axis=0).astype(int)
Case = tuple[Scan, IndexingResult, Engine]


@pytest.fixture(scope="module")
def case() -> Case:
    scan = memory_scan(polycrystal_frames(TRUTH, GRAIN, 3000.0))
    settings = IndexingSettings()
    library = small_library()
    result = index_scan(scan, library, CALIBRATION, settings=settings, threads=1)
    return scan, result, make_engine(library, CALIBRATION, settings, frame_shape=DETECTOR, center=CENTER)


def spoilt(result: IndexingResult) -> IndexingResult:
    """The same with every fifth pixel of another orientation, which holds the former one as a rival, and one lost."""
    rival, phase, score = (a.copy() for a in (result.rival_orientation, result.rival_phase_id, result.rival_score))
    orientation, probability = result.orientation.copy(), result.probability.copy()
    phase_id, status, template = result.phase_id.copy(), result.status.copy(), result.template_id.copy()
    for number in range(0, phase_id.size, 5):
        at = np.unravel_index(number, phase_id.shape)
        rival[at][1], phase[at][1], score[at][1] = rival[at][0], phase[at][0], 0.9 * score[at][0]
        orientation[at] = rival[at][0] = canonical(orientations(1, 1000 + number)[0])
        probability[at] = 0.6
    phase_id[2, 2], status[2, 2], template[2, 2], probability[2, 2] = -1, Status.NO_MATCH, -1, 0.0
    orientation[2, 2] = np.nan
    return replace(
        result, rival_orientation=rival, rival_phase_id=phase, rival_score=score, orientation=orientation,
        probability=probability, phase_id=phase_id, status=status, template_id=template,
    )  # fmt: skip


def errors_deg(result: IndexingResult) -> NDArray[np.float64]:
    symmetry = load_phase(PHASES[0]).symmetry_quaternions
    return np.rad2deg(disorientation_angle(TRUTH[GRAIN], result.orientation, symmetry))


def test_pixels_take_the_answer_of_their_grain(case: Case) -> None:
    scan, result, engine = case
    bad = spoilt(result)
    before = errors_deg(bad)
    found = pool_patterns(scan, bad, engine, threads=1)
    after = errors_deg(found.result)
    assert (before > 3).sum() >= 10 and np.isnan(before[2, 2])
    assert (after < 3).all()
    assert found.result.status[2, 2] == Status.OK
    np.testing.assert_array_equal(found.changed, ~(before < 3))
    kept = ~found.changed
    np.testing.assert_array_equal(found.result.orientation[kept], bad.orientation[kept])
    sure = found.records["status"] == Status.OK
    assert sure.sum() == 2 and (found.records["probability"][sure] > 0.9).all()
    assert (bad.orientation[2, 2] != bad.orientation[2, 2]).all()  # what came in is as it was


def test_a_sure_pixel_of_another_orientation_stays(case: Case) -> None:
    """An inclusion is no mistake of its grain."""
    scan, result, engine = case
    orientation, rival = result.orientation.copy(), result.rival_orientation.copy()
    phase = result.rival_phase_id.copy()
    orientation[3, 7] = rival[3, 7, 0] = canonical(orientations(1, 99)[0])
    phase[3, 7, 1:], rival[3, 7, 1:] = -1, np.nan
    probability = result.probability.copy()
    probability[3, 7] = 0.97
    other = replace(
        result, orientation=orientation, rival_orientation=rival, rival_phase_id=phase, probability=probability
    )
    found = pool_patterns(scan, other, engine, threads=1)
    np.testing.assert_array_equal(found.result.orientation[3, 7], orientation[3, 7])
    assert not found.changed[3, 7]


def test_a_sure_pixel_gives_up_what_bloch_waves_put_behind(case: Case) -> None:
    """Unlike an inclusion, its solution was compared with the grain's, in patterns of all the grain."""
    _, result, engine = case
    other = canonical(orientations(1, 99)[0])
    orientation, rival = result.orientation.copy(), result.rival_orientation.copy()
    phase = result.rival_phase_id.copy()
    orientation[3, 7] = rival[3, 7, 0] = other
    phase[3, 7, 1:], rival[3, 7, 1:] = -1, np.nan
    probability = result.probability.copy()
    probability[3, 7] = 0.97
    mixed = replace(
        result, orientation=orientation, rival_orientation=rival, rival_phase_id=phase, probability=probability
    )
    grain_map = find_grains(orientation_map(mixed))
    grain = grain_map.grain_id[3, 7]
    assert grain == grain_map.grain_id[3, 8]
    records = np.zeros(len(grain_map.grains), dtype=empty_records(1, engine.settings, 1, Status.OK).dtype)
    records["phase_id"], records["rival_phase_id"], records["orientation"] = 0, -1, grain_map.grains.orientation
    records["rival_orientation"], records["probability"] = np.nan, 0.9
    records["rival_phase_id"][grain, :2] = 0
    records["rival_orientation"][grain, :2] = TRUTH[1], other

    def after() -> IndexingResult:
        counts = np.ones(len(records), dtype=bool)
        return taken_over(
            mixed, grain_map, records, engine.symmetries, counts, distinct=np.deg2rad(5), min_probability=0.5
        )[0]

    np.testing.assert_array_equal(after().orientation[3, 7], other)  # matching alone: the pixel knows better
    records["reranked"] = True
    assert errors_deg(after())[3, 7] < 3 and after().probability[3, 7] == np.float32(0.9)
    records["rival_orientation"][grain, 1] = canonical(orientations(1, 98)[0])
    np.testing.assert_array_equal(after().orientation[3, 7], other)  # never compared


@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning", "ignore:Degrees of freedom:RuntimeWarning")
def test_one_of_many_that_cannot_be_told_apart_is_an_answer(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that pieces of a grain agree on one, be it as improbable as each of the others."""
    scan, result, _ = case
    settings = IndexingSettings(match=MatchSettings(rival_share=0.0))
    engine = make_engine(small_library(), CALIBRATION, settings, frame_shape=DETECTOR, center=CENTER)

    def ask_grain(*arguments: Any, **_: Any) -> GrainEvidence:
        record = arguments[2]
        nothing = np.full((1, len(record["rival_phase_id"])), np.nan)
        patterns = Reranked(np.full((*nothing.shape, 4), np.nan), *[nothing] * 6)
        odds = np.where(record["rival_phase_id"] >= 0, 0.0, -np.inf)
        odds[1] = -0.6
        return GrainEvidence(odds, record["rival_orientation"].copy(), np.zeros(1, dtype=np.int64), patterns)

    monkeypatch.setattr(pooling, "ask_grain", ask_grain)
    monkeypatch.setattr(pooling, "solutions_around", lambda grain_map: [[]] * len(grain_map.grains))
    grain_map = find_grains(orientation_map(result))
    means = mean_patterns(scan, result, grain_map, engine, PoolingSettings(), threads=1)
    second = index_means(means, engine, threads=1)[grain_map.grain_id[3, 8]]["rival_orientation"][1]
    orientation, rival = result.orientation.copy(), result.rival_orientation.copy()
    phase = result.rival_phase_id.copy()
    orientation[GRAIN == 1] = rival[GRAIN == 1, 0] = second
    rival[GRAIN == 1, 1:], phase[GRAIN == 1, 1:] = np.nan, -1
    probability = np.full(SHAPE, 0.9, np.float32)
    wrong = replace(
        result, orientation=orientation, rival_orientation=rival, rival_phase_id=phase, probability=probability
    )
    bloch: Any = SimpleNamespace(symmetries=engine.symmetries)
    found = pool_patterns(scan, wrong, engine, bloch=bloch, threads=1)
    assert (errors_deg(wrong)[GRAIN == 1] > 5).all()
    assert (errors_deg(found.result) < 3).all()
    assert (found.result.probability < 0.5).all()


def test_what_the_map_holds_around_a_grain_becomes_a_candidate(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    scan, result, engine = case
    grain_map = find_grains(orientation_map(result))
    around = solutions_around(grain_map)
    assert [len(of_grain) for of_grain in around] == [2, 2]
    np.testing.assert_array_equal(around[1][0][1], grain_map.grains.orientation[1])
    np.testing.assert_array_equal(around[1][1][1], grain_map.grains.orientation[0])
    means = mean_patterns(scan, result, grain_map, engine, PoolingSettings(), threads=1)
    plain = index_means(means, engine, [[], []], threads=1)
    # held already, or a neighbour's that does not fit
    again = index_means(means, engine, around, threads=1)
    np.testing.assert_array_equal(again["rival_orientation"], plain["rival_orientation"])
    nothing_searched = np.zeros((2, 0), dtype=np.int16), np.zeros((2, 0, 4))
    monkeypatch.setattr(offered, "_best_of_each_phase", lambda *_, **__: nothing_searched)
    polar, peaks, _, sums = _core.finish_patterns(means, engine.grid, engine.preprocessing, 1)
    without = index_means(means, engine, threads=1)
    without["rival_orientation"][:, 0] = canonical(orientations(2, 77))
    near, foreign = tilted(TRUTH[0], 0.6, -0.4), canonical(orientations(1, 78)[0])
    solutions: list[Solutions] = [[(0, foreign), (0, near)], []]
    found = with_offered(without, Patterns(polar, peaks, sums), solutions, engine, threads=1)
    held = (without["rival_phase_id"] >= 0).sum(axis=1)
    np.testing.assert_array_equal((found["rival_phase_id"] >= 0).sum(axis=1) - held, [1, 0])
    for number in (0, 1):
        kept = slice(held[number])
        np.testing.assert_array_equal(
            found["rival_orientation"][number, kept], without["rival_orientation"][number, kept]
        )
    place = int(held[0])
    symmetry = load_phase(PHASES[0]).symmetry_quaternions
    # refined on the mean pattern
    assert disorientation_angle(found["rival_orientation"][0, place], TRUTH[0], symmetry) < np.deg2rad(0.3)
    assert found["rival_phase_id"][0, place] == 0
    assert found["rival_score"][0, place] == pytest.approx(plain["rival_score"][0, 0], abs=1e-3)


def test_what_is_offered_is_compared_as_it_came_where_matching_turns_it_away(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a pattern shows one row of spots, matching turns solutions about it further than Bloch waves turn back."""
    scan, result, engine = case
    nothing_searched = np.zeros((2, 0), dtype=np.int16), np.zeros((2, 0, 4))
    monkeypatch.setattr(offered, "_best_of_each_phase", lambda *_, **__: nothing_searched)
    means = mean_patterns(scan, result, find_grains(orientation_map(result)), engine, PoolingSettings(), threads=1)
    polar, peaks, _, sums = _core.finish_patterns(means, engine.grid, engine.preprocessing, 1)
    patterns = Patterns(polar, peaks, sums)
    symmetry = load_phase(PHASES[0]).symmetry_quaternions
    plain = index_means(means, engine, threads=1)
    held = int((plain["rival_phase_id"][0] >= 0).sum())

    class Turning:
        def refine(self, patterns: Any, phase: Any, start: Any, *more: Any) -> Any:
            found = engine.model.refine(patterns, phase, start, *more)
            first = np.argmax(phase[0] >= 0)
            return found | {"orientation": np.where(
                np.arange(phase.shape[1])[None, :, None] == first, tilted(TRUTH[0], 4.0, 0.0), found["orientation"]
            )}  # fmt: skip

    turning: Any = replace(engine, model=Turning())  # type: ignore[arg-type]
    came = tilted(TRUTH[0], 0.0, 3.0)  # from what the record holds; less than what makes two solutions distinct
    found = with_offered(plain, patterns, [[(0, came)], []], turning, threads=1)
    assert (found["rival_phase_id"][0] >= 0).sum() == held + 1
    np.testing.assert_allclose(found["rival_orientation"][0, held], came)
    apart = np.rad2deg(disorientation_angle(came, plain["rival_orientation"][0, 0], symmetry))
    assert apart < engine.settings.match.distinct_deg
    # nothing new: a candidate is close, or becomes so
    close = tilted(TRUTH[0], 0.0, 0.5)
    assert (
        with_offered(plain, patterns, [[(0, close)], []], turning, threads=1)["rival_phase_id"][0] >= 0
    ).sum() == held
    # small neighbours are offered, too, however many larger ones there are
    foreign = [(0, canonical(q)) for q in orientations(8, 78)]
    found = with_offered(plain, patterns, [[*foreign, (0, came)], []], engine, threads=1)
    angle = disorientation_angle(found["rival_orientation"][0], came, symmetry)
    assert np.nanmin(angle) < 1e-6


def test_no_phase_is_crowded_out_by_another(case: Case) -> None:
    """A mean pattern whose best few are all of one phase is asked about the best of the other, too."""
    scan, result, _ = case
    settings = IndexingSettings(match=MatchSettings(n_best=3, rival_share=0.1))
    engine = make_engine(small_library(), CALIBRATION, settings, frame_shape=DETECTOR, center=CENTER)
    means = mean_patterns(scan, result, find_grains(orientation_map(result)), engine, PoolingSettings(), threads=1)
    polar, peaks, _, sums = _core.finish_patterns(means, engine.grid, engine.preprocessing, 1)
    crowded = index_means(means, engine, threads=1)
    crowded["rival_phase_id"] = 0
    crowded["rival_orientation"][:, 1:] = canonical(orientations(2, 77))
    crowded["rival_score"][:, 1:] = crowded["rival_score"][:, :1]
    low = replace(engine, settings=msgspec.structs.replace(settings, rerank=RerankSettings(candidate_share=0.01)))
    found = with_offered(crowded, Patterns(polar, peaks, sums), [[], []], low, threads=1)
    for before, after in zip(crowded, found, strict=True):
        np.testing.assert_array_equal(after["rival_orientation"][:3], before["rival_orientation"])
        of_other = after["rival_phase_id"] == 1
        assert of_other.sum() == 3
        assert (np.diff(after["rival_score"][of_other]) <= 0).all()
    # a phase that fits far worse than the best is no rival
    high = msgspec.structs.replace(low.settings, match=MatchSettings(n_best=3, rival_share=0.95))
    found = with_offered(crowded, Patterns(polar, peaks, sums), [[], []], replace(low, settings=high), threads=1)
    assert not (found["rival_phase_id"] == 1).any()


def test_mean_is_of_inner_pixels_and_bounded(case: Case) -> None:
    scan, result, engine = case
    grain_map = find_grains(orientation_map(result))
    options = PoolingSettings(max_patterns=5)
    members = pooled_members(grain_map, result, options.max_patterns)
    big = [m for m in members if len(m)]
    assert [len(m) for m in big] == [5, 5]
    for pixels in big:
        columns = pixels % SHAPE[1]
        assert not ((columns == 3) | (columns == 4)).any()  # next to the boundary
        assert (np.diff(pixels) > 0).all()
    means = mean_patterns(scan, result, grain_map, engine, options, threads=1)
    again = mean_patterns(scan, result, grain_map, engine, options, threads=2)
    np.testing.assert_array_equal(means, again)


def test_what_does_not_belong_together_is_refused(case: Case) -> None:
    scan, result, engine = case
    with pytest.raises(ArgumentError, match=r"the scan has \(5, 10\) positions, the result \(6, 10\)"):
        pool_patterns(memory_scan(polycrystal_frames(TRUTH, GRAIN, 100.0)[:5]), result, engine)
    with pytest.raises(ArgumentError, match="the result has 2 phases, the library 1"):
        pool_patterns(scan, result, replace(engine, templates=engine.templates[:1]))
