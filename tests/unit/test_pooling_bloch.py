"""Grains whose candidates Bloch waves decide, and those that nothing can decide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.grains import GrainMap, OrientationMap, grains_of, same_pattern
from nbedex.grains.answers import answers_of
from nbedex.grains.asking import ask_grain
from nbedex.grains.bloch_answers import agreed, decided
from nbedex.grains.bloch_evidence import (
    UNDECIDED,
    BlochEngine,
    GrainEvidence,
    mean_near,
    with_merged,
    with_pixels,
)
from nbedex.grains.local_means import LocalMeans
from nbedex.grains.model import MapPhase
from nbedex.grains.pooling import PoolingSettings
from nbedex.grains.same_pattern import same_pattern_turns, with_same_patterns
from nbedex.grains.unclear import few_that_explain
from nbedex.indexing import IndexingSettings, RerankSettings
from nbedex.indexing.records import empty_records
from nbedex.indexing.rerank import Reranked
from nbedex.library import DynamicalCrystal, DynamicalSettings, SimulationSettings, build_library
from nbedex.maps import IndexingResult, Status, canonical, disorientation_angle, multiply
from nbedex.phases import Phase, load_phase
from nbedex.pooled import for_means, wants_bloch_waves
from nbedex.scan import Scan, memory_scan
from oracles.bloch_engines import bloch_engine
from oracles.dynamical_frames import CALIBRATION, CENTER, frame, tilted
from oracles.laue_groups import random_quaternions

SHAPE = (2, 6)


@pytest.fixture(scope="module")
def na2au() -> Phase:
    return load_phase("na2au")


@pytest.fixture(scope="module")
def bloch(na2au: Phase) -> BlochEngine:
    return bloch_engine(na2au)


def bent_grain(bloch: BlochEngine, truth: NDArray[np.float64]) -> Scan:
    """A row of positions, each 0.05 degrees further tilted and 2 nm thicker."""
    crystal = bloch.engine.crystals[0]
    columns = [
        frame(crystal, tilted(truth, 0.05 * (i - 2.5), 0.0), 60.0 + 2 * i, counts=2e4, seed=i) for i in range(SHAPE[1])
    ]
    return memory_scan(np.stack([columns] * SHAPE[0]))


def record_of(orientations: NDArray[np.float64], scores: list[float]) -> NDArray[np.void]:
    settings = IndexingSettings()
    record = empty_records(1, settings, 1, Status.OK)[0]
    k = len(orientations)
    record["rival_orientation"][:k], record["rival_phase_id"][:k], record["rival_score"][:k] = orientations, 0, scores
    record["phase_id"], record["orientation"], record["index"] = 0, orientations[0], scores[0]
    return record


def ask(scan: Scan, bloch: BlochEngine, record: NDArray[np.void], n: int = 6, **more: int) -> GrainEvidence:
    centers = np.broadcast_to(np.array(CENTER), (*SHAPE, 2))
    pixels = np.array([2, 8, 4, 10, 0, 6])[:n]
    return ask_grain(LocalMeans(scan, centers, np.zeros(SHAPE, dtype=np.int32)), pixels, record, bloch, **more)


def near_zone_axis(phase: Phase, uvw: tuple[int, int, int], tilt_deg: float) -> NDArray[np.float64]:
    """An orientation with a zone axis `tilt_deg` off the beam."""
    axis = phase.direct_basis @ np.array(uvw, dtype=float)
    axis /= np.linalg.norm(axis)
    turn = np.array([1 + axis[2], -axis[1], axis[0], 0.0])  # takes Z to the axis
    return tilted(canonical(turn / np.linalg.norm(turn)), tilt_deg, 0.3 * tilt_deg, 25.0)


def test_bloch_waves_overrule_matching_and_refine(bloch: BlochEngine, na2au: Phase) -> None:
    truth, other = random_quaternions(2, seed=14)
    scan = bent_grain(bloch, truth)
    record = record_of(np.stack([other, tilted(truth, 0.8, -0.5)]), [0.5, 0.49])
    found = ask(scan, bloch, record)
    assert found.order[0] == 1 and found.probability[1] > 0.95
    assert len(found.pixels) == 3  # clear after the first three
    answer = decided(record, found)
    assert answer["phase_id"] == 0 and answer["reranked"] and answer["rival_score"][0] == np.float32(0.49)
    # of the columns 2, 2 and 4 that were asked
    middle = tilted(truth, 0.05 * (8 / 3 - 2.5), 0.0)
    assert (
        np.rad2deg(disorientation_angle(answer["orientation"], middle, na2au.symmetry_quaternions)) < 0.2
    )  # from 0.94
    assert answer["thickness_nm"] == pytest.approx(found.patterns.thickness_nm[:, 1].mean())
    again = ask(scan, bloch, record, threads=2)
    np.testing.assert_array_equal(again.log_odds, found.log_odds)
    np.testing.assert_array_equal(again.orientation, found.orientation)


def test_candidates_far_behind_are_given_up_after_one_pattern(bloch: BlochEngine) -> None:
    truth, *others = random_quaternions(4, seed=14)
    scan = bent_grain(bloch, truth)
    found = ask(scan, bloch, record_of(np.stack([*others, truth]), [0.5, 0.5, 0.5, 0.5]))
    assert found.order[0] == 3
    np.testing.assert_array_equal(found.patterns.tried.sum(axis=0), [1, 1, 1, 3, 0])
    # the orientation is the mean over three patterns all the same
    assert len(found.pixels) == 3


def test_what_no_pattern_can_tell_is_left_undecided(bloch: BlochEngine, na2au: Phase) -> None:
    """Half a turn about [111], one degree off the beam: the same pattern, spot by spot."""
    truth = near_zone_axis(na2au, (1, 1, 1), 1.2)
    axis = na2au.direct_basis @ np.ones(3)
    twin = canonical(multiply(np.r_[0.0, axis / np.linalg.norm(axis)], truth))
    assert np.rad2deg(disorientation_angle(truth, twin, na2au.symmetry_quaternions)) > 20
    shown = []
    for q in (truth, twin):
        spots = bloch.engine.crystals[0].patterns(q[None], [60.0], threads=1).pattern(0)
        table = np.stack([spots["kx"], spots["ky"], spots["intensity"][:, 0]], axis=1)
        shown.append(table[np.lexsort(table[:, :2].round(4).T)])
    np.testing.assert_allclose(shown[0], shown[1], atol=1e-4)
    scan = bent_grain(bloch, truth)
    found = ask(scan, bloch, record_of(np.stack([twin, truth, random_quaternions(1, seed=3)[0]]), [0.6, 0.6, 0.45]))
    assert len(found.pixels) == 6  # all were needed
    assert abs(found.log_odds[0] - found.log_odds[1]) < UNDECIDED
    assert found.probability[:2].min() > 0.1 and found.probability[2] < 0.01


@pytest.mark.parametrize("held", [True, False])
def test_what_has_the_same_pattern_is_as_probable(bloch: BlochEngine, na2au: Phase, held: bool) -> None:
    """However far ahead noise has put one of the two, and whether or not the other was a candidate."""
    truth = near_zone_axis(na2au, (1, 1, 1), 1.2)
    axis = na2au.direct_basis @ np.ones(3)
    twin = canonical(multiply(np.r_[0.0, axis / np.linalg.norm(axis)], truth))
    other = random_quaternions(1, seed=3)[0]
    record = record_of(
        np.stack([other, truth, *([tilted(twin, 0.4, 0.0)] if held else [])]), [0.6, 0.6, 0.45][: 2 + held]
    )
    compared = np.full((3, 5), 60.0)
    compared[1:, 2] = np.nan  # given up after one pattern
    patterns = Reranked(np.full((3, 5, 4), np.nan), *[compared] * 6)
    odds = np.array([-5.0, 0.0, -7.0 if held else -np.inf, -np.inf, -np.inf])
    evidence = GrainEvidence(odds, record["rival_orientation"].copy(), np.arange(3), patterns)
    found, with_twin = with_same_patterns(evidence, record, bloch, distinct=np.deg2rad(5), threads=1)
    np.testing.assert_array_equal(found.log_odds, [-5.0, 0.0, -0.01, -np.inf, -np.inf])
    assert disorientation_angle(found.orientation[2], twin, na2au.symmetry_quaternions) < 1e-6
    np.testing.assert_array_equal(with_twin["rival_phase_id"], [0, 0, 0, -1, -1])
    assert disorientation_angle(decided(with_twin, found, 2)["orientation"], twin, na2au.symmetry_quaternions) < 1e-6
    # an orientation off all zone axes has no such twin
    general = record_of(np.stack([other, truth]), [0.6, 0.6])
    odds = np.array([0.0, -5.0, -np.inf, -np.inf, -np.inf])
    evidence = GrainEvidence(odds, general["rival_orientation"].copy(), np.arange(3), patterns)
    found, unchanged = with_same_patterns(evidence, general, bloch, distinct=np.deg2rad(5), threads=1)
    np.testing.assert_array_equal(found.log_odds, evidence.log_odds)
    np.testing.assert_array_equal(unchanged["rival_phase_id"], general["rival_phase_id"])


def test_what_was_told_apart_stays_so(bloch: BlochEngine, na2au: Phase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The best has a partner, but that came to rest, in as many patterns, where the two do not look the same."""
    truth, twin = random_quaternions(2, seed=14)
    record = record_of(np.stack([truth, tilted(twin, 1.5, 0.0)]), [0.6, 0.6])
    evidence = GrainEvidence(
        np.array([0.0, -1.5, -np.inf, -np.inf, -np.inf]), record["rival_orientation"].copy(), np.arange(3),
        Reranked(np.full((3, 5, 4), np.nan), *[np.full((3, 5), 60.0)] * 6),
    )  # fmt: skip
    looks_like = {tuple(truth): twin[None]}
    monkeypatch.setattr(
        same_pattern, "same_pattern_turns", lambda _, q, *__, **___: looks_like.get(tuple(q), np.zeros((0, 4)))
    )
    found, _ = with_same_patterns(evidence, record, bloch, distinct=np.deg2rad(5), threads=1)
    np.testing.assert_array_equal(found.log_odds, evidence.log_odds)
    looks_like[tuple(evidence.orientation[1])] = tilted(truth, 1.5, 0.0)[None]
    found, _ = with_same_patterns(evidence, record, bloch, distinct=np.deg2rad(5), threads=1)
    np.testing.assert_array_equal(found.log_odds[:2], [0.0, -0.01])
    np.testing.assert_allclose(found.orientation[1], twin)


def test_half_turns_about_other_directions_than_the_zone_axis() -> None:
    """Gold that shows hardly anything but (2 2 4) and (2 4 -2): a turn about [0 2 -1] takes these to reflections."""
    crystal = DynamicalCrystal(load_phase("au"), DynamicalSettings(voltage=300.0, k_max=1.4))
    symmetry = crystal.phase.symmetry_quaternions
    q = canonical(np.array([-0.023, -0.535, 0.358, 0.765]) / np.linalg.norm([-0.023, -0.535, 0.358, 0.765]))
    thickness = np.array([40.0, 70.0, 100.0])
    same = same_pattern_turns(crystal, q, thickness, k_min=0.07, k_max=1.33, distinct=np.deg2rad(5), threads=1)
    axes = np.array([[0.0, 2.0, -1.0], [5.0, -3.0, -1.0]]) / np.sqrt([[5.0], [35.0]])  # the second is the zone axis
    turned = canonical(multiply(np.concatenate([np.zeros((2, 1)), axes], axis=1), q))
    assert len(same) == 1
    assert disorientation_angle(same[0], turned[0], symmetry) < 1e-6
    assert disorientation_angle(same[0], turned[1], symmetry) > np.deg2rad(5)


def test_undecided_neighbours_agree(bloch: BlochEngine, na2au: Phase) -> None:
    a, b, c = random_quaternions(3, seed=14)
    symmetry = na2au.symmetry_quaternions
    phase = MapPhase.of(na2au)
    label = np.zeros((6, 9), dtype=np.int32)
    label[:, 4:], label[:, 8:] = 1, 2
    source = OrientationMap(
        phases=(phase,), phase_id=np.zeros(label.shape, np.int16), orientation=np.stack([a, b, c])[label]
    )
    grain_map: GrainMap = grains_of(source, label)
    records = np.stack([record_of(np.stack(q), [0.5, 0.5]) for q in ([a, b], [b, a], [c, b])])

    def says(odds: list[float], orientations: NDArray[np.float64]) -> GrainEvidence:
        pattern = ask(bent_grain(bloch, a), bloch, record_of(np.stack([a, b]), [0.5, 0.5]), 3).patterns
        five = np.concatenate([orientations, np.full((3, 4), np.nan)])
        return GrainEvidence(np.array([*odds, -np.inf, -np.inf, -np.inf]), five, np.arange(3), pattern)

    first = says([0.0, -1.0], np.stack([a, b]))
    # the first is for a by a little, the second for b by less; the third is sure of another
    found = agreed(
        grain_map, records, {0: first, 1: says([0.0, -0.5], np.stack([b, a])), 2: says([0.0, -9.0], np.stack([c, b]))},
        (symmetry,), distinct=np.deg2rad(5),
    )  # fmt: skip
    assert [bool(disorientation_angle(q, a, symmetry) < 0.01) for q in found["orientation"]] == [True, True, False]
    assert found["probability"][1] < 0.5 < found["probability"][0]
    # real twins: each is sure of its own
    sure = {0: says([0.0, -9.0], np.stack([a, b])), 1: says([0.0, -9.0], np.stack([b, a]))}
    found = agreed(grain_map, records, sure, (symmetry,), distinct=np.deg2rad(5))
    assert disorientation_angle(found["orientation"][1], b, symmetry) < 0.01


def strips(phase: Phase, solutions: NDArray[np.float64]) -> GrainMap:
    """Grains side by side, three columns each, with these orientations."""
    label = np.repeat(np.arange(len(solutions), dtype=np.int32), 3)[None].repeat(6, axis=0)
    source = OrientationMap(
        phases=(MapPhase.of(phase),), phase_id=np.zeros(label.shape, np.int16), orientation=solutions[label]
    )
    return grains_of(source, label)


def says(odds: list[float], orientations: NDArray[np.float64]) -> GrainEvidence:
    """Made up: nothing is known of single patterns."""
    missing = 5 - len(odds)
    nothing = np.full((3, 5), np.nan)
    patterns = Reranked(np.full((3, 5, 4), np.nan), *[nothing] * 6)
    five = np.concatenate([orientations, np.full((missing, 4), np.nan)])
    return GrainEvidence(np.array([*odds, *[-np.inf] * missing]), five, np.arange(3), patterns)


@pytest.mark.filterwarnings("ignore:.*of empty slice:RuntimeWarning", "ignore:Degrees of freedom:RuntimeWarning")
def test_a_piece_that_cannot_tell_joins_a_neighbour_that_can(na2au: Phase) -> None:
    a, b, c = random_quaternions(3, seed=14)
    symmetry = na2au.symmetry_quaternions

    def agree(candidates: list[list[NDArray[np.float64]]], odds: list[list[float]]) -> list[str]:
        held = [np.stack(q) for q in candidates]
        first = np.stack([q[int(np.argmax(o))] for q, o in zip(held, odds, strict=True)])
        records = np.stack([record_of(q, [0.5] * len(q)) for q in held])
        evidence = {i: says(o, q) for i, (o, q) in enumerate(zip(odds, held, strict=True))}
        found = agreed(strips(na2au, first), records, evidence, (symmetry,), distinct=np.deg2rad(5))
        angle = disorientation_angle(found["orientation"][:, None], np.stack([a, b, c]), symmetry)
        return ["abc"[i] for i in angle.argmin(axis=1)]

    # the first is for a by a little; the second is sure that it is b, and next to a third that is sure of a
    assert agree([[a, b], [b, a]], [[0.0, -0.6], [0.0, -3.8]]) == ["b", "b"]
    assert agree([[a, b], [b, a], [a, b]], [[0.0, -0.6], [0.0, -3.8], [0.0, -9.0]]) == ["b", "b", "a"]
    found = agreed(
        strips(na2au, np.stack([a, b])), np.stack([record_of(np.stack(q), [0.5, 0.5]) for q in ([a, b], [b, a])]),
        {0: says([0.0, -0.6], np.stack([a, b])), 1: says([0.0, -3.8], np.stack([b, a]))},
        (symmetry,), distinct=np.deg2rad(5),
    )  # fmt: skip
    assert found["probability"][0] == found["probability"][1] > 0.95
    # of two sure neighbours it joins the one whose answer suits it better
    assert agree([[c, b], [a, b, c], [b, a, c]], [[0.0, -9.0], [0.0, -1.5, -0.5], [0.0, -9.0, -9.0]]) == ["c", "c", "b"]
    # of two candidates that are the neighbour's answer the more probable one counts, not the closer one
    beside, closer = tilted(b, 3.0, 0.0), tilted(b, -2.5, 0.0)
    assert agree([[a, beside, closer], [b, a]], [[0.0, -0.5, -7.0], [0.0, -3.8]]) == ["b", "b"]
    # a real twin is not undecided, and one that never was asked about the answer next to it stays
    assert agree([[a, b], [b, a]], [[0.0, -2.3], [0.0, -3.8]]) == ["a", "b"]
    assert agree([[a, c], [b, a]], [[0.0, -0.5], [0.0, -3.8]]) == ["a", "b"]
    # two pieces that can't tell a from b agree first; one of them is sure that it isn't c, so neither joins the third
    assert agree([[a, b, c], [b, a, c], [c, a]], [[0.0, -0.1, -9.0], [0.0, -0.4, -0.2], [0.0, -9.0]]) == ["b", "b", "c"]


def test_candidates_that_came_together_are_one(bloch: BlochEngine, na2au: Phase) -> None:
    """Where two of them can't be told apart, what is between them."""
    a, b = random_quaternions(2, seed=14)
    beside, symmetry = tilted(a, 3.0, 0.0), na2au.symmetry_quaternions
    moved = multiply(symmetry[3], beside)
    record = record_of(np.stack([a, b, moved]), [0.5, 0.5, 0.5])

    def merged(odds: list[float]) -> GrainEvidence:
        return with_merged(says(odds, np.stack([a, b, moved])), record, bloch, np.deg2rad(5))

    found = merged([0.0, -1.0, 0.0])
    np.testing.assert_array_equal(found.log_odds[:3], [0.0, -1.0, -np.inf])
    angle = np.rad2deg(disorientation_angle(found.orientation[0], np.stack([a, beside]), symmetry))
    np.testing.assert_allclose(angle, [1.5, 1.5], atol=1e-3)
    found = merged([-3.0, -1.0, 0.0])  # told apart: the better one as it is
    np.testing.assert_array_equal(found.log_odds[:3], [-np.inf, -1.0, 0.0])
    assert disorientation_angle(found.orientation[2], beside, symmetry) < 1e-9


@pytest.mark.filterwarnings("ignore:.*of empty slice:RuntimeWarning", "ignore:Degrees of freedom:RuntimeWarning")
def test_what_is_left_open_is_kept_with_the_map(na2au: Phase) -> None:
    """The first can't tell a from b; the third can't tell a from c, but joins the second, which can."""
    a, b, c = random_quaternions(3, seed=14)
    symmetry, distinct = na2au.symmetry_quaternions, float(np.deg2rad(5))
    grain_map = strips(na2au, np.stack([a, c, c]))
    held = [np.stack(q) for q in ([a, b], [c, a], [a, c])]
    odds = [[0.0, -0.6], [0.0, -9.0], [0.0, -0.4]]
    candidates = np.stack([record_of(q, [0.5] * len(q)) for q in held])
    evidence = {i: says(o, q) for i, (o, q) in enumerate(zip(odds, held, strict=True))}
    records = agreed(grain_map, candidates, evidence, (symmetry,), distinct=distinct)
    result = IndexingResult.empty(grain_map.grain_id.shape, (na2au,), CALIBRATION)
    result.phase_id[:], result.status[:], result.index[:] = 0, Status.OK, 0.5
    result.orientation[:] = np.stack([a, c, c])[grain_map.grain_id]
    result.orientation[0, 0] = b  # a pixel that kept its own
    first, second, third = answers_of(result, grain_map, candidates, records, evidence, (symmetry,), distinct=distinct)
    assert (first.n_pixels, second.n_pixels) == (17, 18)
    assert grain_map.grain_id[first.pixel] == 0 and first.pixel != (0, 0)
    ((phase, orientation, probability),) = first.others
    assert phase == 0 and disorientation_angle(orientation, b, symmetry) < 1e-6
    assert probability == pytest.approx(1 - first.probability) == pytest.approx(np.exp(-0.6) / (1 + np.exp(-0.6)))
    assert second.others == third.others == () and second.probability == third.probability > 0.95


def test_pixels_decide_where_bloch_waves_show_noise(na2au: Phase) -> None:
    a, b, c = random_quaternions(3, seed=14)
    symmetry, distinct = na2au.symmetry_quaternions, float(np.deg2rad(5))
    record = record_of(np.stack([a, b, c]), [0.5, 0.5, 0.5])
    found = says([0.0, -0.3, -0.7], np.stack([a, b, c]))
    np.testing.assert_array_equal(
        with_pixels(found, record, 0, tilted(b, 0.8, 0.0), symmetry, distinct).order[:2], [1, 0]
    )
    np.testing.assert_array_equal(with_pixels(found, record, 0, c, symmetry, distinct).order[:2], [0, 2])
    nowhere = with_pixels(found, record, 0, np.full(4, np.nan), symmetry, distinct)  # an inclusion by its phase alone
    np.testing.assert_array_equal(nowhere.log_odds, found.log_odds)


def test_few_solutions_that_explain_many_patterns() -> None:
    evidence = np.full((20, 4), -50.0)
    evidence[:12, 0], evidence[12:, 1] = 0.0, 0.0
    evidence[:, 2] = np.where(np.arange(20) < 12, -1.0, -40.0)  # nearly as good as the first, where that is
    evidence[:, 3] = -np.inf
    assert few_that_explain(evidence) == [0, 1]
    assert few_that_explain(evidence[:12]) == [0]


def test_local_mean_stays_within_the_grain() -> None:
    frames = np.arange(12, dtype=np.uint16)[:, None, None] * np.ones((16, 16), dtype=np.uint16)
    scan = memory_scan(frames.reshape(2, 6, 16, 16))
    label = np.array([[0, 0, 0, 1, 1, 1]] * 2)
    centers = np.arange(24, dtype=np.float32).reshape(2, 6, 2)
    frames, of_frames = LocalMeans(scan, centers, label).at(np.array([2, 0]))
    assert frames[:, 0, 0].tolist() == [np.mean([1, 2, 7, 8]), np.mean([0, 1, 6, 7])]
    assert of_frames.tolist() == [[4, 5], [0, 1]]


def test_mean_near_takes_the_nearest_equivalents(na2au: Phase) -> None:
    symmetry = na2au.symmetry_quaternions
    middle = random_quaternions(1, seed=2)[0]
    spread = np.stack([tilted(middle, x, 0.0) for x in (-1.0, 0.0, 1.0)])
    mixed = multiply(symmetry[:3], spread)
    np.testing.assert_allclose(mean_near(mixed, middle, symmetry), canonical(middle), atol=1e-9)


def test_precessed_patterns_are_left_to_matching() -> None:
    library = build_library([load_phase("cu")], SimulationSettings(voltage=300.0, k_max=0.8, step_deg=12.0))
    assert wants_bloch_waves(PoolingSettings(), library)
    assert not wants_bloch_waves(PoolingSettings(rerank="off"), library)
    settings = SimulationSettings(voltage=300.0, k_max=0.8, step_deg=12.0, precession_deg=0.5)
    precessed = replace(library, settings=settings)
    assert not wants_bloch_waves(PoolingSettings(), precessed)
    with pytest.raises(ArgumentError, match=r"0\.5 degrees"):
        wants_bloch_waves(PoolingSettings(rerank="on"), precessed)
    asked = for_means(IndexingSettings(rerank=RerankSettings(max_candidates=12)), waves=True)
    assert (asked.n_candidates, asked.rival_share, asked.rerank.mode) == (12, 0.7, "off")
    assert for_means(IndexingSettings(), waves=False).n_candidates == 5
    assert for_means(IndexingSettings(), waves=False).preprocess.min_contrast == 0, "a grain's mean pattern is searched"
    assert for_means(IndexingSettings(rerank=RerankSettings(mode="all")), waves=False).rerank.mode == "off"
