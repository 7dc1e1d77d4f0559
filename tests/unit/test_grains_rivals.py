"""The 180-degree ambiguity: pixels that can't decide alone, pooled over a grain; twins that must stay apart."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from nbedex.blockade import alternatives_of
from nbedex.errors import ArgumentError
from nbedex.grains import RivalSettings, find_grains, grains_of, pool_rivals, resolve_rivals
from nbedex.grains.answer import GrainAnswer, stored_answers
from nbedex.maps import canonical, disorientation_angle, multiply
from oracles.grain_maps import BETA, noisy, orientation_map, turned
from oracles.laue_groups import random_quaternions

SHAPE = (30, 40)
TRUTH, OTHER, THIRD = random_quaternions(3, 14)
HALF_TURN = turned((0, 0, 1), 180.0)


def ambiguous_map(first: np.ndarray, second: np.ndarray, lead: float, scatter: float, seed: int = 1):
    """Every pixel holds two solutions (ny, nx, 4), the first ahead by lead +- scatter of a score of 0.5."""
    rng = np.random.default_rng(seed)
    scores = 0.5 + np.stack([np.full(SHAPE, lead), np.zeros(SHAPE)], axis=-1)
    scores[..., 0] += scatter * rng.normal(size=SHAPE)
    held = np.stack([noisy(q, 0.3, seed + i, BETA.symmetry) for i, q in enumerate((first, second))], axis=-2)
    order = np.argsort(-scores, axis=-1)
    held = np.take_along_axis(held, order[..., None], axis=-2)
    scores = np.take_along_axis(scores, order, axis=-1)
    return orientation_map(
        held[..., 0, :].copy(),
        rival_orientation=np.concatenate([held, np.full((*SHAPE, 1, 4), np.nan)], axis=-2),
        rival_phase_id=np.concatenate([np.zeros((*SHAPE, 2)), np.full((*SHAPE, 1), -1)], axis=-1).astype(np.int16),
        rival_score=np.concatenate([scores, np.full((*SHAPE, 1), np.nan)], axis=-1).astype(np.float32),
    )


def broadcast(q: np.ndarray) -> np.ndarray:
    return np.broadcast_to(q, (*SHAPE, 4))


def apart_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.rad2deg(disorientation_angle(a, b, BETA.symmetry))


@pytest.mark.parametrize("scatter", [0.005, 0.02, 0.05])
def test_a_mixture_of_two_solutions_becomes_one_grain(scatter: float) -> None:
    """Truth ahead by 2 %, with scatter that turns 0 to 42 % of the pixels over."""
    source = ambiguous_map(broadcast(TRUTH), broadcast(multiply(TRUTH, HALF_TURN)), 0.02 * 0.5, scatter * 0.5)
    wrong = apart_deg(source.orientation, TRUTH) > 5
    assert wrong.mean() == pytest.approx({0.005: 0.0, 0.02: 0.16, 0.05: 0.34}[scatter], abs=0.04)
    found = resolve_rivals(source)
    assert len(found.grain_map.grains) == 1
    assert apart_deg(found.grain_map.grains.orientation[0], TRUTH) < 0.1
    np.testing.assert_array_equal(found.changed, wrong)
    assert not found.grain_map.absorbed.any()
    assert found.rivals.agrees.all()
    assert apart_deg(found.rivals.rival_orientation[0], multiply(TRUTH, HALF_TURN)) < 0.3
    assert found.rivals.margin_percent[0] == pytest.approx(2, abs=0.4)
    assert not found.rivals.ambiguous[0]


def test_thin_evidence_is_said_to_be_thin() -> None:
    """No lead at all: one grain, with both solutions and the mark."""
    source = ambiguous_map(broadcast(TRUTH), broadcast(multiply(TRUTH, HALF_TURN)), 0.0, 0.02)
    found = resolve_rivals(source)
    assert len(found.grain_map.grains) == 1
    assert found.rivals.ambiguous[0]
    assert abs(found.rivals.margin_percent[0]) < 1
    pair = (found.rivals.orientation[0], found.rivals.rival_orientation[0])
    assert min(apart_deg(q, TRUTH) for q in pair) < 0.3
    assert min(apart_deg(q, multiply(TRUTH, HALF_TURN)) for q in pair) < 0.3


def test_bloch_waves_say_what_is_ambiguous() -> None:
    """Whatever the scores say: a clear lead that means nothing, and a tie that is settled."""
    twin = multiply(TRUTH, HALF_TURN)
    source = ambiguous_map(broadcast(TRUTH), broadcast(twin), 0.02, 0.004)
    assert not pool_rivals(find_grains(source)).ambiguous[0]
    open_ = GrainAnswer((3, 5), 900, 0, TRUTH, 0.6, ((0, canonical(twin), 0.4),))
    stored = {"pooling": {"grains": json.loads(json.dumps([open_.to_dict()]))}}
    found = pool_rivals(find_grains(replace(source, answers=stored_answers(stored))))
    assert found.ambiguous[0] and found.agrees[0]
    assert apart_deg(found.rival_orientation[0], twin) < 1e-6
    assert found.rival_probability[0] == 0.4 and np.isnan(found.margin_percent[0])
    # a smaller piece's answer does not count, nor one that the region does not have
    piece, other = GrainAnswer((20, 30), 40, 0, TRUTH, 0.99), GrainAnswer((1, 1), 990, 0, THIRD, 0.99)
    again = pool_rivals(find_grains(replace(source, answers=(open_, piece, other))))
    assert again.ambiguous[0] and again.rival_probability[0] == 0.4
    tie = ambiguous_map(broadcast(TRUTH), broadcast(twin), 0.0005, 0.0001)
    assert pool_rivals(find_grains(tie)).ambiguous[0]
    settled = pool_rivals(find_grains(replace(tie, answers=(GrainAnswer((3, 5), 900, 0, TRUTH, 0.99),))))
    assert not settled.ambiguous[0] and settled.rival_phase_id[0] == -1 and settled.rival_probability[0] == 0
    alternatives = alternatives_of(find_grains(source), found)
    np.testing.assert_allclose(alternatives.share, [0.4])


def test_twins_that_hold_each_other_stay_apart() -> None:
    """Each half prefers its own solution by 2 %, pixels along the boundary by chance either."""
    left = np.broadcast_to(np.arange(SHAPE[1]) < 20, SHAPE)[..., None]
    twin = multiply(TRUTH, HALF_TURN)
    first, second = np.where(left, TRUTH, twin), np.where(left, twin, TRUTH)
    found = resolve_rivals(ambiguous_map(first, second, 0.01, 0.008))
    assert len(found.grain_map.grains) == 2
    assert apart_deg(found.grain_map.grains.orientation[0], TRUTH) < 0.2
    assert apart_deg(found.grain_map.grains.orientation[1], twin) < 0.2
    wrong = found.grain_map.grain_id != (~left[..., 0]).astype(int)
    assert wrong.mean() < 0.02


def test_grains_with_other_rivals_don_t_mix() -> None:
    left = np.broadcast_to(np.arange(SHAPE[1]) < 20, SHAPE)[..., None]
    first = np.where(left, TRUTH, OTHER)
    found = resolve_rivals(ambiguous_map(first, multiply(first, HALF_TURN), 0.01, 0.01))
    assert len(found.grain_map.grains) == 2
    assert (found.grain_map.grain_id == (~left[..., 0])).all()
    assert apart_deg(found.grain_map.grains.orientation, np.stack([TRUTH, OTHER])).max() < 0.2


def test_a_pixel_only_takes_what_it_holds() -> None:
    """A patch that doesn't know its surroundings' solution keeps its own: this is no smoothing."""
    patch = np.zeros((*SHAPE, 1), dtype=bool)
    patch[10:13, 10:13] = True
    second = np.where(patch, THIRD, multiply(TRUTH, HALF_TURN))
    first = np.where(patch, OTHER, TRUTH)
    source = ambiguous_map(first, second, 0.01, 0.002)
    found = resolve_rivals(source)
    np.testing.assert_array_equal(found.grain_map.source.orientation[10:13, 10:13], source.orientation[10:13, 10:13])
    assert not found.changed[10:13, 10:13].any()
    assert found.grain_map.grains.n_absorbed.tolist() == [9]


def test_pooled_scores_by_hand() -> None:
    """Three pixels: two hold both solutions, one only the first and has room for more."""
    shape = (1, 3)
    rival = np.full((*shape, 2, 4), np.nan)
    rival[..., 0, :], rival[0, :2, 1] = TRUTH, OTHER
    score = np.array([[[0.5, 0.4], [0.6, 0.5], [0.3, np.nan]]], dtype=np.float32)
    source = orientation_map(
        np.broadcast_to(TRUTH, (*shape, 4)),
        rival_orientation=rival,
        rival_phase_id=np.array([[[0, 0], [0, 0], [0, -1]]], dtype=np.int16),
        rival_score=score,
    )
    found = pool_rivals(grains_of(source, np.zeros(shape, int)), RivalSettings(rival_share=0.5))
    assert found.score[0] == pytest.approx(1.4 / 3)
    assert found.rival_score[0] == pytest.approx((0.4 + 0.5 + 0.15) / 3)
    assert found.margin_percent[0] == pytest.approx(100 * (1 - 1.05 / 1.4))
    assert apart_deg(found.rival_orientation[0], OTHER) < 1e-6


def test_maps_without_rivals_are_refused() -> None:
    grain_map = find_grains(orientation_map(broadcast(TRUTH)))
    with pytest.raises(ArgumentError, match="the map holds no rival solutions; they are in a result of `nbedex index`"):
        pool_rivals(grain_map)
