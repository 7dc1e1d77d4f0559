"""Small grains whose pixels differ in what they have first, and hold one solution in common."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex.grains import find_grains, orientation_map, pooling
from nbedex.grains.bloch_evidence import GrainEvidence
from nbedex.grains.pooling import PoolingSettings, pool_patterns
from nbedex.grains.scattered import restored, with_gathered
from nbedex.indexing import IndexingSettings, MatchSettings, index_scan, make_engine
from nbedex.indexing.engine import Engine
from nbedex.indexing.rerank import Reranked
from nbedex.maps import IndexingResult, Status, canonical, disorientation_angle
from nbedex.phases import load_phase
from nbedex.scan import Scan, memory_scan
from oracles.dynamical_frames import tilted
from oracles.small_scan import CALIBRATION, CENTER, DETECTOR, PHASES, orientations, polycrystal_frames, small_library

SHAPE = (8, 13)
TRUTH = orientations(3, 21)  # left, right, a small one between them
ISLAND = np.zeros(SHAPE, dtype=bool)
ISLAND[2:5, 4:8] = True  # twelve, not in the middle
GRAIN = np.where(ISLAND, 2, (np.arange(SHAPE[1]) >= 6)[None].repeat(SHAPE[0], axis=0))
LEAST, DISTINCT = 10, np.deg2rad(5.0)
SYMMETRY = load_phase(PHASES[0]).symmetry_quaternions
Case = tuple[Scan, IndexingResult, Engine]


@pytest.fixture(scope="module")
def case() -> Case:
    scan = memory_scan(polycrystal_frames(TRUTH, GRAIN, 3000.0))
    settings = IndexingSettings()
    library = small_library()
    result = index_scan(scan, library, CALIBRATION, settings=settings, threads=1)
    return scan, result, make_engine(library, CALIBRATION, settings, frame_shape=DETECTOR, center=CENTER)


def lost(
    result: IndexingResult, common: NDArray[np.float64] | None, where: NDArray[np.bool_] = ISLAND
) -> IndexingResult:
    """Pixels that have each something else first, and hold `common` (4,), turned a little, as one of the next."""
    orientation, probability = result.orientation.copy(), result.probability.copy()
    phase, rival, score = (a.copy() for a in (result.rival_phase_id, result.rival_orientation, result.rival_score))
    for number, (row, column) in enumerate(np.argwhere(where)):
        q = canonical(orientations(3, 1000 + number))
        if common is not None:
            q[1 + number % 2] = tilted(common, 0.1 * (number % 4), -0.2)
        orientation[row, column], probability[row, column] = q[0], 0.8
        phase[row, column], rival[row, column], score[row, column] = -1, np.nan, np.nan
        phase[row, column, :3], rival[row, column, :3], score[row, column, :3] = 0, q, [0.3, 0.2, 0.1]
    return replace(
        result, orientation=orientation, rival_orientation=rival, rival_phase_id=phase, rival_score=score,
        probability=probability,
    )  # fmt: skip


def gathered(result: IndexingResult) -> tuple[IndexingResult, NDArray[np.bool_]]:
    return with_gathered(result, find_grains(orientation_map(result)), least=LEAST, distinct=DISTINCT)


def off_deg(result: IndexingResult, truth: NDArray[np.float64] = TRUTH[GRAIN]) -> NDArray[np.float64]:
    return np.rad2deg(disorientation_angle(truth, result.orientation, SYMMETRY))


def test_specks_that_hold_one_solution_are_a_region(case: Case) -> None:
    before = lost(case[1], TRUTH[2])
    assert (off_deg(before)[ISLAND] > 5).all()
    assert not find_grains(orientation_map(before)).grains.n_pixels.min() < 20  # absorbed by the two others
    after, where = gathered(before)
    np.testing.assert_array_equal(where, ISLAND)
    # each at its own version
    own = np.where(np.arange(12) % 2 == 0, 1, 2)
    np.testing.assert_array_equal(after.orientation[ISLAND], before.rival_orientation[ISLAND][np.arange(12), own])
    np.testing.assert_array_equal(after.index[ISLAND], before.rival_score[ISLAND][np.arange(12), own])
    assert (after.probability[ISLAND] == 0).all() and (after.status[ISLAND] == Status.OK).all()
    np.testing.assert_array_equal(after.orientation[~ISLAND], before.orientation[~ISLAND])
    found = find_grains(orientation_map(after))
    assert (found.grain_id[ISLAND] == found.grain_id[2, 4]).all()
    assert found.grains.n_pixels[found.grain_id[2, 4]] == 12
    back = restored(after, before, ISLAND)
    for name in ("phase_id", "orientation", "index", "probability", "status"):
        np.testing.assert_array_equal(getattr(back, name), getattr(before, name))


def test_specks_that_have_nothing_new_in_common_are_left(case: Case) -> None:
    nothing = lost(case[1], None)
    assert not gathered(nothing)[1].any()
    assert not gathered(lost(case[1], TRUTH[0]))[1].any()  # of the grain beside them
    few = ISLAND.copy()
    few[2, 4:7] = False  # nine
    assert not gathered(lost(nothing, TRUTH[2], few))[1].any()
    corners = np.zeros(SHAPE, dtype=bool)  # six and six that meet at a corner
    corners[1:3, 3:6] = corners[3:5, 6:9] = True
    assert not gathered(lost(nothing, TRUTH[2], corners))[1].any()


def test_the_solution_that_more_hold_comes_first(case: Case) -> None:
    """Pixels that hold two go with the larger region, and what is left of the other is too small."""
    large = ISLAND.copy()
    large[5, 4:8] = True
    before = lost(case[1], TRUTH[2], large)
    other = canonical(orientations(1, 77)[0])
    rival, phase, score = (a.copy() for a in (before.rival_orientation, before.rival_phase_id, before.rival_score))
    rival[ISLAND, 3], phase[ISLAND, 3], score[ISLAND, 3] = other, 0, 0.29  # twelve of sixteen, and better scored
    both = replace(before, rival_orientation=rival, rival_phase_id=phase, rival_score=score)
    after, where = gathered(both)
    np.testing.assert_array_equal(where, large)
    assert (off_deg(after, TRUTH[2])[large] < 1).all()


def by_matching(*arguments: Any, **_: Any) -> GrainEvidence:
    """For Bloch waves that find what matching found."""
    record = arguments[2]
    nothing = np.full((1, len(record["rival_phase_id"])), np.nan)
    patterns = Reranked(np.full((*nothing.shape, 4), np.nan), *[nothing] * 6)
    odds = np.where(record["rival_phase_id"] >= 0, 50 * record["rival_score"], -np.inf)
    return GrainEvidence(odds, record["rival_orientation"].copy(), np.zeros(1, dtype=np.int64), patterns)


@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning", "ignore:Degrees of freedom:RuntimeWarning")
def test_a_small_grain_is_asked_what_it_is(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    scan, result, engine = case
    monkeypatch.setattr(pooling, "ask_grain", by_matching)
    bloch: Any = SimpleNamespace(symmetries=engine.symmetries)
    before = lost(result, TRUTH[2])
    found = pool_patterns(scan, before, engine, bloch=bloch, threads=1)
    assert (off_deg(found.result) < 3).all()
    np.testing.assert_array_equal(found.changed, ISLAND)
    assert (found.result.probability[ISLAND] > 0.5).all()
    # what they have in common is wrong, but they are one grain: its mean pattern says which
    wrong = lost(result, canonical(orientations(1, 78)[0]))
    found = pool_patterns(scan, wrong, engine, bloch=bloch, threads=1)
    assert (off_deg(found.result) < 3).all()


@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning", "ignore:Degrees of freedom:RuntimeWarning")
def test_what_its_patterns_do_not_confirm_is_undone(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    scan, result, _ = case
    settings = IndexingSettings(match=MatchSettings(rival_share=0.0))
    engine = make_engine(small_library(), CALIBRATION, settings, frame_shape=DETECTOR, center=CENTER)

    def open_question(*arguments: Any, **more: Any) -> GrainEvidence:
        """In the small region, all other solutions are a little behind the first."""
        found = by_matching(*arguments, **more)
        label = arguments[0].label.ravel()
        if (label == label[arguments[1][0]]).sum() < 20:
            behind = np.where(np.arange(len(found.log_odds)) < 1, 0.0, -2.1)
            return replace(found, log_odds=np.where(np.isfinite(found.log_odds), behind, -np.inf))
        return found

    monkeypatch.setattr(pooling, "ask_grain", open_question)
    bloch: Any = SimpleNamespace(symmetries=engine.symmetries)
    before = lost(result, TRUTH[2])
    options = PoolingSettings(min_probability=0.95)
    found = pool_patterns(scan, before, engine, settings=options, bloch=bloch, threads=1)
    for name in ("orientation", "probability", "index"):
        np.testing.assert_array_equal(getattr(found.result, name)[ISLAND], getattr(before, name)[ISLAND])
    assert not found.changed.any()
