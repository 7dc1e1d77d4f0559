"""Candidates asked of several patterns together: one pattern is as alone, and what many know that one does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.indexing import RerankSettings
from nbedex.indexing.rerank import Reranked, RerankEngine, make_rerank_engine, rerank_patterns, rerank_together
from nbedex.maps import disorientation_angle
from nbedex.phases import load_phase
from oracles.dynamical_frames import CALIBRATION, CENTER, SIZE, frame, tilted
from oracles.laue_groups import random_quaternions

Array = NDArray[np.float64]


def make_engine(name: str = "na2au") -> RerankEngine:
    return make_rerank_engine(
        [load_phase(name)], CALIBRATION, RerankSettings(mode="all"), k_min=0.07, k_max=1.1, each_alone=True
    )


@pytest.fixture(scope="module")
def engine() -> RerankEngine:
    return make_engine()


def alone(engine: RerankEngine, frames: NDArray[np.uint16], candidates: Array, phase: NDArray[np.int64]) -> Reranked:
    n = len(frames)
    return rerank_patterns(
        frames, np.array([CENTER] * n), np.stack([candidates] * n), np.stack([phase] * n), np.zeros((n, len(phase))),
        engine,
    )  # fmt: skip


def together(
    engine: RerankEngine, frames: NDArray[np.uint16], candidates: Array, phase: NDArray[np.int64], **more: object
) -> Reranked:
    return rerank_together(frames, np.array([CENTER] * len(frames)), candidates, phase, engine, **more)  # type: ignore[arg-type]


def wedge(engine: RerankEngine, truths: Array, *, counts: float) -> NDArray[np.uint16]:
    """Noisy patterns of a crystal that gets thicker."""
    return np.stack([frame(engine.crystals[0], q, 48.0 + 2 * i, counts=counts, seed=i) for i, q in enumerate(truths)])


def test_one_pattern_is_as_alone(engine: RerankEngine) -> None:
    truth, other = random_quaternions(2, seed=14)
    shown = frame(engine.crystals[0], truth, 74.0)[None]
    for candidate, phase in ((tilted(truth, 1.1, -0.6, 0.5), 0), (other, 0), (np.full(4, np.nan), 0), (truth, -1)):
        arguments = engine, shown, candidate[None], np.array([phase])
        expected, found = alone(*arguments), together(*arguments)
        for name in Reranked.__annotations__:
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


def test_candidates_do_not_influence_one_another(engine: RerankEngine) -> None:
    truth, other = random_quaternions(2, seed=14)
    frames = wedge(engine, np.stack([truth] * 3), counts=2e4)
    both = np.stack([tilted(truth, 1.1, -0.6, 0.5), other])
    found = together(engine, frames, both, np.zeros(2, int))
    assert found.evidence.shape == (3, 2) and (found.evidence[:, 0] > found.evidence[:, 1] + 5).all()
    for k in range(2):
        single = together(engine, frames, both[[k]], np.zeros(1, int))
        for name in Reranked.__annotations__:
            np.testing.assert_array_equal(getattr(found, name)[:, k], getattr(single, name)[:, 0], name)


def test_noise_is_not_fitted(engine: RerankEngine) -> None:
    """A tilt that suits all patterns is nearer to the truth than those that suit each."""
    symmetry = engine.crystals[0].phase.symmetry_quaternions
    errors: dict[str, list[Array]] = {"alone": [], "together": []}
    for truth in random_quaternions(6, seed=3):
        frames = wedge(engine, np.stack([truth] * 8), counts=2e3)
        for name, ask in (("alone", alone), ("together", together)):
            found = ask(engine, frames, tilted(truth, 1.2, -0.9)[None], np.zeros(1, int))
            errors[name].append(np.rad2deg(disorientation_angle(found.orientation[:, 0], truth, symmetry)))
    each, shared = np.array(errors["alone"]), np.array(errors["together"])
    assert shared.mean() < 0.8 * each.mean()
    assert (shared.max(axis=1) <= each.max(axis=1) + 0.03).all()
    assert np.median(shared) < 0.12


SAME_BITS = """
import sys
sys.path.insert(0, {tests!r})
from unit.test_rerank_together import *
made = make_engine()
truth = random_quaternions(3, seed=2)
found = together(made, wedge(made, truth[[0, 0, 0]], counts=1e4), truth, np.zeros(3, int), threads={threads})
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
    assert bits(3) == expected
    assert bits(1, NBEDEX_ISA="baseline") == expected


def test_a_mask_is_heeded(engine: RerankEngine) -> None:
    truth = random_quaternions(1, seed=14)[0]
    frames = wedge(engine, np.stack([truth] * 2), counts=2e4)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[:, 130:150] = 1
    spoilt = np.where(mask, 60000, frames).astype(np.uint16)
    arguments = truth[None], np.zeros(1, int)
    whole, masked = together(engine, frames, *arguments), together(engine, spoilt, *arguments, mask=mask)
    np.testing.assert_allclose(masked.score, whole.score, atol=0.03)
    assert (together(engine, spoilt, *arguments).score < 0.8).all()


def test_refused(engine: RerankEngine) -> None:
    frames, centers = np.zeros((2, 4, 4)), np.zeros((2, 2))
    for arguments, got in (
        ((frames[:0], centers[:0], np.zeros((1, 4)), np.zeros(1, int)), r"\(0, 4, 4\), \(0, 2\), \(1, 4\), \(1,\)"),
        ((frames, centers[:1], np.zeros((1, 4)), np.zeros(1, int)), r"\(2, 4, 4\), \(1, 2\), \(1, 4\), \(1,\)"),
        ((frames, centers, np.zeros((2, 4)), np.zeros(1, int)), r"\(2, 4, 4\), \(2, 2\), \(2, 4\), \(1,\)"),
        ((frames, centers, np.zeros((1, 1, 4)), np.zeros((1, 1), int)), r"\(2, 2\), \(1, 1, 4\), \(1, 1\)"),
    ):
        with pytest.raises(ArgumentError, match=f"n > 0, got .*{got}"):
            rerank_together(*arguments, engine)
    with pytest.raises(ValueError, match="phases must be below the number of crystals, 1"):
        rerank_together(frames, centers, np.eye(4)[:1], np.ones(1, int), engine)
