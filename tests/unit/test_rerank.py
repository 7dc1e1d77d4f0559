"""Dynamical re-ranking: against a slow twin, on patterns whose truth is known, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from cif_builder import cif
from nbedex.errors import ArgumentError
from nbedex.indexing import IndexingSettings, RerankSettings
from nbedex.indexing.records import empty_records
from nbedex.indexing.rerank import RerankEngine, make_rerank_engine, rerank_patterns
from nbedex.indexing.rerank_records import in_question, rerank_records
from nbedex.library.dynamical import on_lattice
from nbedex.maps import Status, conjugate, disorientation_angle, rotate
from nbedex.phases import Phase, load_phase, reflections
from oracles import rerank_oracle
from oracles.dynamical_frames import CALIBRATION, CENTER, SIZE, frame, tilted
from oracles.laue_groups import random_quaternions

K = {"k_min": 0.07, "k_max": 1.1}


@pytest.fixture(scope="module")
def na2au() -> Phase:
    return load_phase("na2au")


@pytest.fixture(scope="module")
def engine(na2au: Phase) -> RerankEngine:
    return make_rerank_engine([na2au], CALIBRATION, RerankSettings(mode="all"), **K)


def tried(engine: RerankEngine, shown: np.ndarray, candidates: np.ndarray, **more: int):
    n = len(candidates)
    return rerank_patterns(
        shown[None], np.array([CENTER]), candidates[None], np.zeros((1, n), int), np.zeros((1, n)), engine, **more
    )


@pytest.mark.parametrize("name", ["na2au", "beta2-alumina", "no centre of symmetry"])
def test_score_is_that_of_the_slow_twin(name: str, tmp_path: Path) -> None:
    if name == "no centre of symmetry":
        sites = (("Au", 0.1, 0.2, 0.05), ("O", 0.37, 0.61, 0.31), ("Na", 0.72, 0.15, 0.7))
        (tmp_path / "x.cif").write_text(cif(cell=(4.1, 5.3, 6.2, 81, 95, 103), sites=sites, u_iso=0.02))
        phase = load_phase(tmp_path / "x.cif")
    else:
        phase = load_phase(name)
    settings = RerankSettings(mode="all", reach_deg=0.0, step_deg=0.05, starts=1, points=1, halvings=1)
    made = make_rerank_engine([phase], CALIBRATION, settings, **K)
    crystal = made.crystals[0]
    assert crystal.is_real == (name != "no centre of symmetry")
    truth = random_quaternions(1, seed=8)[0]
    start = tilted(truth, 0.02, -0.03, 0.4)
    shown = frame(crystal, truth, 57.0, stretch=1.004)
    found = tried(made, shown, start[None])
    hkl = reflections(phase, k_max=1.155)
    hkl = hkl[on_lattice(phase, hkl)]
    g = rotate(conjugate(start), hkl @ phase.reciprocal_basis.T)
    near = np.abs(g[:, 2] - 0.0098 * (g[:, :2] ** 2).sum(axis=1)) < 0.0306
    setup = rerank_oracle.Setup(CALIBRATION.detector_from_sample(), spot_width=0.0126, faintest=2.0, **K)
    slow = rerank_oracle.score(
        shown, CENTER, setup, found.orientation[0, 0], np.arange(20.0, 201.0, 4.0), crystal, hkl[near], g[near]
    )
    assert found.score[0, 0] == pytest.approx(slow.max(), abs=2e-3)
    assert found.score[0, 0] > 0.8
    assert abs(found.thickness_nm[0, 0] - (20 + 4 * slow.argmax())) <= 2.0
    turn = disorientation_angle(truth, found.orientation[0, 0], phase.symmetry_quaternions)
    assert np.rad2deg(turn) < 0.1  # 0.4 degrees of turn were found from the peaks


def test_finds_tilt_turn_thickness_and_the_right_candidate(engine: RerankEngine, na2au: Phase) -> None:
    truth, other = random_quaternions(2, seed=14)
    start = tilted(truth, 1.1, -0.6, 0.5)
    candidates = np.array([other, start, [np.nan] * 4])
    found = rerank_patterns(
        frame(engine.crystals[0], truth, 74.0)[None],
        np.array([CENTER]),
        candidates[None],
        np.array([[0, 0, -1]]),
        np.array([[2.0, 0.0, np.nan]]),
        engine,
    )
    assert found.order.tolist() == [[1, 0, 2]]
    assert found.tried.tolist() == [[True, True, False]]
    error = np.rad2deg(disorientation_angle(truth, found.orientation[0, 1], na2au.symmetry_quaternions))
    assert error < 0.15
    assert abs(found.thickness_nm[0, 1] - 74.0) < 3 * found.thickness_error_nm[0, 1] + 1
    assert 0 < found.orientation_error_deg[0, 1] < 0.3
    assert found.lead[0] > 5 and found.score[0, 1] > found.score[0, 0] + 0.1
    assert np.isnan(found.score[0, 2]) and np.isnan(found.orientation[0, 2]).all()


def test_spots_under_a_mask_are_left_out(engine: RerankEngine) -> None:
    truth = random_quaternions(1, seed=14)[0]
    shown = frame(engine.crystals[0], truth, 60.0)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[:, 130:150] = 1
    spoilt = np.where(mask, 60000, shown).astype(np.uint16)
    whole, masked = (tried(engine, shown, truth[None]), tried(engine, spoilt, truth[None], mask=mask))
    assert masked.score[0, 0] == pytest.approx(whole.score[0, 0], abs=0.03)
    assert tried(engine, spoilt, truth[None]).score[0, 0] < 0.8


def test_spots_are_read_as_wide_as_they_are(na2au: Phase) -> None:
    truth = random_quaternions(1, seed=14)[0]

    def score(radius: float | None, width: float | None = None) -> float:
        settings = RerankSettings(mode="all", spot_width=width)
        made = make_rerank_engine([na2au], CALIBRATION, settings, disk_radius=radius, **K)
        return float(tried(made, disks, truth[None]).score[0, 0])

    crystal = make_rerank_engine([na2au], CALIBRATION, RerankSettings(mode="all"), **K).crystals[0]
    spread = ndimage.gaussian_filter(frame(crystal, truth, 60.0).astype(float), 3.3)
    disks = np.random.default_rng(3).poisson(spread * 4).astype(np.uint16)
    assert score(5.0) > score(None) + 0.005
    narrow = min(1.2 * CALIBRATION.pixel_size, 0.0126)
    for radius, width in ((None, narrow), (0.0, narrow), (1.5, narrow), (5.0, 3.3 * CALIBRATION.pixel_size)):
        assert score(radius) == pytest.approx(score(None, width), abs=1e-4)


SAME_BITS = """
import numpy as np, sys
sys.path.insert(0, {tests!r})
from unit.test_rerank import *
made = make_rerank_engine([load_phase("na2au")], CALIBRATION, RerankSettings(mode="all"), **K)
truth = random_quaternions(3, seed=2)
shown = np.stack([frame(made.crystals[0], q, 50.0) for q in truth])
found = rerank_patterns(shown, np.array([CENTER] * 3), np.stack([truth, truth[::-1]], axis=1), np.zeros((3, 2), int),
                        np.zeros((3, 2)), made, threads={threads})
sys.stdout.write("".join(a.tobytes().hex() for a in (found.orientation, found.evidence, found.thickness_nm)))
"""


def test_same_bits_with_any_threads_and_instruction_set() -> None:
    tests = str(Path(__file__).parents[1])

    def bits(threads: int, **environment: str) -> str:
        code = SAME_BITS.format(tests=tests, threads=threads)
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, env={**os.environ, **environment})
        assert answer.returncode == 0, answer.stderr.decode()
        return answer.stdout.decode()

    expected = bits(1)
    assert len(expected) > 100
    assert bits(2) == expected
    assert bits(1, NBEDEX_ISA="baseline") == expected


def test_records(engine: RerankEngine) -> None:
    truth, other = random_quaternions(2, seed=30)
    shown = frame(engine.crystals[0], truth, 80.0)
    records = empty_records(3, IndexingSettings(), 1, Status.OK)
    records["center"] = CENTER
    records["phase_id"] = [0, 0, -1]
    records["rival_phase_id"][:, :2] = 0
    records["rival_orientation"][:, :2] = [other, truth]
    records["orientation"] = other
    records["rival_score"][:, :2] = [[0.2, 0.195], [0.2, 0.1], [0.2, 0.195]]
    records["index"], records["reliability"], records["template_id"] = 0.2, 2.5, 7
    assert in_question(records, RerankSettings(mode="ambiguous", gate=0.9)).tolist() == [True, False, False]
    assert in_question(records, RerankSettings(mode="all")).tolist() == [True, True, False]
    before = records.copy()
    ambiguous = RerankEngine(engine.crystals, engine.options, RerankSettings(mode="ambiguous", gate=0.9))
    nothing = np.zeros(3, dtype=bool)
    frames = np.stack([shown] * 3)
    rerank_records(records, frames, ambiguous, doubtful=nothing, mask=None, n_bins=32000, threads=1)
    assert records["reranked"].tolist() == [True, False, False]
    assert records[1:].tobytes() == before[1:].tobytes()
    now = records[0]
    assert (
        np.rad2deg(disorientation_angle(truth, now["orientation"], engine.crystals[0].phase.symmetry_quaternions)) < 0.2
    )
    np.testing.assert_array_equal(now["orientation"], now["rival_orientation"][0])
    np.testing.assert_allclose([now["index"], *now["rival_score"][:2]], [0.195, 0.195, 0.2], rtol=1e-6)
    assert now["reliability"] == 0 and now["template_id"] == -1
    assert now["thickness_nm"] == pytest.approx(80, abs=5) and now["probability"] > 0.5


def test_refused_answers_that_convince(engine: RerankEngine) -> None:
    """The right one of two that were refused as coincidental is given, the one that fits badly stays refused."""
    truth, other = random_quaternions(2, seed=30)
    frames = np.stack([frame(engine.crystals[0], truth, 80.0)] * 2)
    records = empty_records(2, IndexingSettings(), 1, Status.NO_MATCH)
    records["center"] = CENTER
    records["rival_phase_id"][:, 0] = 0
    records["rival_orientation"][:, 0] = [truth, other]
    records["rival_score"][:, 0] = 0.1
    before = records.copy()
    ambiguous = RerankEngine(engine.crystals, engine.options, RerankSettings(mode="ambiguous"))
    rerank_records(records, frames, ambiguous, doubtful=np.ones(2, bool), mask=None, n_bins=32000, threads=1)
    assert records["status"].tolist() == [Status.OK, Status.NO_MATCH]
    assert records["phase_id"].tolist() == [0, -1] and records["dynamical_score"][0] > 0.97
    assert records[1:].tobytes() == before[1:].tobytes()


def test_refused(engine: RerankEngine) -> None:
    with pytest.raises(ArgumentError, match="max_thickness_nm must not be below min_thickness_nm, got 10 and 20"):
        RerankSettings(max_thickness_nm=10.0)
    with pytest.raises(
        ArgumentError, match=r"score must have shapes .* got \(1, 4, 4\), \(1, 2\), \(1, 2, 4\), \(1, 3\)"
    ):
        rerank_patterns(
            np.zeros((1, 4, 4)), np.zeros((1, 2)), np.zeros((1, 2, 4)), np.zeros((1, 3), int), np.zeros((1, 3)), engine
        )
