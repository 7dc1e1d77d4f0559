"""Candidates asked of several patterns together: one pattern is as alone, and what many know that one does not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.indexing import RerankSettings
from nbedex.indexing.rerank import (
    Reranked,
    RerankEngine,
    make_rerank_engine,
    rerank_patterns,
    rerank_together,
    within,
)
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


def test_no_shared_tilt_around_the_truth_is_better(engine: RerankEngine) -> None:
    """The slow twin: every pattern alone at each of 91 orientations, and the mean of its scores there."""
    truth = random_quaternions(1, seed=14)[0]
    frames = wedge(engine, np.stack([truth] * 3), counts=1e4)
    found = together(engine, frames, tilted(truth, 0.7, 0.3)[None], np.zeros(1, int))
    as_it_is = within(engine, reach_deg=0.0, step_deg=1e-4, starts=1)
    there = alone(as_it_is, frames, found.orientation[0], np.zeros(1, int))
    np.testing.assert_allclose(there.score, found.score, atol=2e-3)
    net = [
        tilted(truth, 0.1 * (i + 0.5 * j), 0.1 * j * np.sqrt(0.75))
        for i in range(-7, 8)
        for j in range(-6, 7)
        if np.hypot(i + 0.5 * j, j * np.sqrt(0.75)) <= 5.01
    ]
    assert len(net) == 91
    scores = alone(as_it_is, frames, np.stack(net), np.zeros(len(net), int)).score.mean(axis=0)
    assert np.partition(scores, -10)[-10] < scores.max() - 0.02  # it matters which
    # where spots are read is fitted for the candidate as it came, 0.76 degrees off
    assert scores.max() < found.score.mean() + 5e-3


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


def test_same_bits_with_any_threads(engine: RerankEngine) -> None:
    """With any instruction set: tests/unit/test_rerank.py."""
    truth = random_quaternions(3, seed=2)
    arguments = engine, wedge(engine, truth[[0, 0, 0]], counts=1e4), truth, np.zeros(3, int)
    expected = together(*arguments, threads=1)
    for threads in (2, 3):
        for name in Reranked.__annotations__:
            found = together(*arguments, threads=threads)
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


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
