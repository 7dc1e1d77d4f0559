"""A grain's best candidate looked for around where it came to rest."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex.grains import asking
from nbedex.grains.asking import ask_grain, each_pattern_asked, tilted_around
from nbedex.grains.bloch_answers import decided
from nbedex.grains.bloch_evidence import BlochEngine, GrainEvidence
from nbedex.grains.local_means import LocalMeans
from nbedex.indexing import IndexingSettings
from nbedex.indexing.records import empty_records
from nbedex.indexing.rerank import Reranked
from nbedex.maps import Status, disorientation_angle, rotate
from nbedex.phases import load_phase
from nbedex.scan import Scan, memory_scan
from oracles.bloch_engines import bloch_engine
from oracles.dynamical_frames import CENTER, frame, tilted
from oracles.laue_groups import random_quaternions

TRUTH, OTHER = random_quaternions(2, seed=14)
N = 4


@pytest.fixture(scope="module")
def bloch() -> BlochEngine:
    return bloch_engine(load_phase("na2au"))


@pytest.fixture(scope="module")
def scan(bloch: BlochEngine) -> Scan:
    return memory_scan(
        np.stack([frame(bloch.engine.crystals[0], TRUTH, 60.0 + 2 * i, counts=2e4, seed=i) for i in range(N)])[None]
    )


def record_of(*candidates: NDArray[np.float64]) -> NDArray[np.void]:
    record = empty_records(1, IndexingSettings(), 1, Status.OK)[0]
    k = len(candidates)
    record["rival_orientation"][:k], record["rival_phase_id"][:k], record["rival_score"][:k] = candidates, 0, 0.5
    record["phase_id"], record["orientation"], record["index"] = 0, candidates[0], 0.5
    return record


def asked(scan: Scan, bloch: BlochEngine, record: NDArray[np.void], *, around: bool = True) -> GrainEvidence:
    ask = ask_grain if around else each_pattern_asked
    centers = np.broadcast_to(np.array(CENTER), (1, N, 2))
    means = LocalMeans(scan, centers, np.zeros((1, N), np.int32))
    return ask(means, np.arange(N), record, bloch, threads=1)


def off_deg(bloch: BlochEngine, orientation: NDArray[np.float64]) -> float:
    return float(np.rad2deg(disorientation_angle(orientation, TRUTH, bloch.symmetries[0])))


def test_around_is_across_the_beam() -> None:
    around = tilted_around(TRUTH)
    turned = np.rad2deg(2 * np.arccos(np.clip(np.abs(around @ TRUTH), 0, 1)))
    np.testing.assert_allclose(turned, 4.0)
    beam = rotate(TRUTH, np.array([0.0, 0.0, 1.0]))
    apart = np.rad2deg(np.arccos(np.clip(rotate(around, np.array([0.0, 0.0, 1.0])) @ beam, -1, 1)))
    np.testing.assert_allclose(apart, 4.0)


def test_it_goes_where_most_speaks_for_it(scan: Scan, bloch: BlochEngine) -> None:
    """Farther off than candidates are tilted."""
    record = record_of(tilted(TRUTH, 6.5, 0.0), OTHER)
    before, found = asked(scan, bloch, record, around=False), asked(scan, bloch, record)
    assert before.order[0] == 0 and off_deg(bloch, before.orientation[0]) > 4
    assert found.order[0] == 0 and off_deg(bloch, found.orientation[0]) < 0.4
    assert found.log_odds[0] > before.log_odds[0] + 5
    np.testing.assert_array_equal(found.log_odds[1:], before.log_odds[1:])
    assert off_deg(bloch, found.patterns.orientation[2, 0]) < 0.5 and found.patterns.score[:, 0].min() > 0.9
    assert decided(record, found)["probability"] > 0.97


def test_what_is_right_stays(scan: Scan, bloch: BlochEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a look at one pattern."""
    record = record_of(tilted(TRUTH, 0.6, 0.3), OTHER)
    before = asked(scan, bloch, record, around=False)
    shapes = []
    ask = asking.rerank_patterns

    def watched(frames: NDArray[np.uint16], *arguments: object, **more: object) -> Reranked:
        shapes.append(len(frames))
        return ask(frames, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(asking, "rerank_patterns", watched)
    monkeypatch.setattr(asking, "_FAR_LESS", 10.0)
    found = asked(scan, bloch, record)
    assert shapes[-1] == 1 and sum(shapes) == len(before.pixels) + 1
    np.testing.assert_array_equal(found.log_odds, before.log_odds)
    np.testing.assert_array_equal(found.orientation, before.orientation)
    assert found.elsewhere == 0


def test_what_is_no_better_elsewhere_is_less_sure(
    scan: Scan, bloch: BlochEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of the six directions are as good but for 0.5 in the log odds."""
    record = record_of(tilted(TRUTH, 0.6, 0.3), OTHER)
    before = asked(scan, bloch, record, around=False)
    ask = asking.rerank_patterns

    def nearly(
        frames: NDArray[np.uint16], centers: object, orientation: NDArray[np.float64], *rest: object, **more: object
    ) -> Reranked:
        if rest[2] is not bloch.nearby:
            return ask(frames, centers, orientation, *rest, **more)  # type: ignore[arg-type]
        n = len(frames)
        behind = np.where(np.arange(6) < 3, 0.5, 90.0) * np.sqrt(n) / n / asking.OF_SUM
        evidence = before.patterns.evidence[:n, :1] - behind
        return Reranked(np.array(orientation), *[evidence] * 6)

    monkeypatch.setattr(asking, "rerank_patterns", nearly)
    found = asked(scan, bloch, record)
    assert found.elsewhere == pytest.approx(3 * np.exp(-0.5), rel=1e-3)
    np.testing.assert_array_equal(found.log_odds, before.log_odds)
    sure, less = decided(record, before)["probability"], decided(record, found)["probability"]
    assert less == pytest.approx(sure / (1 + 3 * np.exp(-0.5)), rel=1e-3)
