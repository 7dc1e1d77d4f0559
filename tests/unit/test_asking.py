"""Patterns of a grain asked one by one and then together; of a grain that is bent, one by one only."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex.grains import asking
from nbedex.grains.asking import ask_grain, each_pattern_asked
from nbedex.grains.bloch_evidence import OF_SUM, BlochEngine, GrainEvidence, of_matching
from nbedex.indexing import IndexingSettings, RerankSettings
from nbedex.indexing.records import empty_records
from nbedex.indexing.rerank import Reranked, make_rerank_engine, rerank_patterns, rerank_together, within
from nbedex.maps import Status, disorientation_angle
from nbedex.phases import load_phase
from nbedex.scan import Scan, memory_scan
from oracles.dynamical_frames import CALIBRATION, CENTER, frame, tilted
from oracles.laue_groups import random_quaternions

SHAPE = (1, 8)
TRUTH, OTHER, THIRD = random_quaternions(3, seed=14)


@pytest.fixture(scope="module")
def bloch() -> BlochEngine:
    na2au = load_phase("na2au")
    engine = make_rerank_engine([na2au], CALIBRATION, RerankSettings(), k_min=0.07, k_max=1.1, each_alone=True)
    return BlochEngine(
        engine=engine, mask=None, n_bins=30_000, symmetries=(na2au.symmetry_quaternions,), k_min=0.07, k_max=1.1
    )


@pytest.fixture(autouse=True)
def pattern_by_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_AROUND", 0)


def grain(bloch: BlochEngine, bend_deg: float) -> Scan:
    """A row of noisy patterns, tilted by so much from the first to the last."""
    tilts = bend_deg * (np.arange(SHAPE[1]) / (SHAPE[1] - 1) - 0.5)
    frames = [
        frame(bloch.engine.crystals[0], tilted(TRUTH, t, 0.0), 60.0 + 2 * i, counts=1e4, seed=i)
        for i, t in enumerate(tilts)
    ]
    return memory_scan(np.stack(frames)[None])


def asked(
    scan: Scan, bloch: BlochEngine, candidates: list[NDArray[np.float64]], *, alone: bool = False
) -> tuple[GrainEvidence, NDArray[np.void]]:
    record = empty_records(1, IndexingSettings(), 1, Status.OK)[0]
    k = len(candidates)
    record["rival_orientation"][:k], record["rival_phase_id"][:k], record["rival_score"][:k] = candidates, 0, 0.5
    ask = each_pattern_asked if alone else ask_grain
    centers = np.broadcast_to(np.array(CENTER), (*SHAPE, 2))
    return ask(scan, centers, np.zeros(SHAPE, np.int32), np.arange(8), record, bloch, threads=1), record


def test_close_candidates_share_a_tilt(bloch: BlochEngine) -> None:
    """Two that end at the same orientation, and one that is far behind."""
    scan = grain(bloch, 0.1)
    candidates = [tilted(TRUTH, 0.9, 0.2), tilted(TRUTH, -0.6, 0.5), OTHER]
    found, record = asked(scan, bloch, candidates)
    one_by_one, _ = asked(scan, bloch, candidates, alone=True)
    frames = scan.read_at(list(range(8))).astype(np.float32)
    centers, phase = np.array([CENTER] * 8), np.zeros((8, 2), int)
    together = rerank_together(frames, centers, np.stack(candidates[:2]), phase[0], bloch.engine, threads=1)
    near = within(bloch.engine, reach_deg=0.2, step_deg=0.1, starts=4)
    shared = rerank_patterns(frames, centers, together.orientation, phase, np.zeros((8, 2)), near, threads=1)
    sums = OF_SUM * shared.evidence.sum(axis=0) / np.sqrt(8)
    np.testing.assert_allclose(found.log_odds[:2], of_matching(record, bloch)[:2] + sums)
    for name in Reranked.__annotations__:
        np.testing.assert_array_equal(getattr(found.patterns, name)[:, :2], getattr(shared, name), name)
        np.testing.assert_array_equal(getattr(found.patterns, name)[:, 2:], getattr(one_by_one.patterns, name)[:, 2:])
    behind = found.log_odds.max() - found.log_odds[2]
    assert behind == pytest.approx(one_by_one.log_odds.max() - one_by_one.log_odds[2]) and behind > 6
    symmetry = bloch.symmetries[0]
    error = np.rad2deg(disorientation_angle(found.orientation[:2], TRUTH, symmetry))
    assert error.max() < 0.05
    assert np.isneginf(found.log_odds[3:]).all()


def test_a_grain_that_is_bent_a_little(bloch: BlochEngine) -> None:
    """By 0.3 degrees: the middle is found, and no pattern is far off."""
    symmetry = bloch.symmetries[0]
    truths = np.stack([tilted(TRUTH, t, 0.0) for t in 0.3 * (np.arange(8) / 7 - 0.5)])
    candidates = [tilted(TRUTH, 0.9, 0.2), tilted(TRUTH, -0.6, 0.5)]
    scan = grain(bloch, 0.3)
    found, _ = asked(scan, bloch, candidates)
    one_by_one, _ = asked(scan, bloch, candidates, alone=True)
    assert (found.log_odds[:2] != one_by_one.log_odds[:2]).all()
    assert np.rad2deg(disorientation_angle(found.orientation[:2], TRUTH, symmetry)).max() < 0.08
    error = np.rad2deg(disorientation_angle(found.patterns.orientation[:, :2], truths[:, None], symmetry))
    assert error.max() < 0.35 and error.mean() < 0.12


def test_a_clear_case_is_not_asked_again(bloch: BlochEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "rerank_together", lambda *_, **__: pytest.fail("was asked"))
    found, _ = asked(grain(bloch, 0.1), bloch, [tilted(TRUTH, 0.9, 0.2), OTHER, THIRD])
    assert found.order[0] == 0 and found.probability[0] > 0.99


def test_a_bent_grain_is_asked_one_by_one(bloch: BlochEngine) -> None:
    scan = grain(bloch, 4.0)
    candidates = [tilted(TRUTH, 0.3, 0.2), tilted(TRUTH, -0.3, 0.5)]
    found, _ = asked(scan, bloch, candidates)
    one_by_one, _ = asked(scan, bloch, candidates, alone=True)
    np.testing.assert_array_equal(found.log_odds, one_by_one.log_odds)
    np.testing.assert_array_equal(found.orientation, one_by_one.orientation)
