"""Bounds of groups of neighbouring templates: at least each template's best exact score, and no answer changed by them.

Libraries of clusters: templates whose beams are close and whose spots are nearly the same, turned in the plane as their
orientations say, so that groups form; and beside them templates without spots, with one, with few.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex import _core
from nbedex.maps import multiply
from property.test_search_identity import compare, in_isa, known_isas, match

Patterns = NDArray[np.float32]
N_RINGS, K_MIN, K_MAX = 24, 0.1, 1.0


def grid(n_azimuths: int = 360) -> Any:
    return _core.PolarGrid(n_rings=N_RINGS, n_azimuths=n_azimuths, k_min=K_MIN, k_max=K_MAX)


def spots_of(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Radius, azimuth and intensity; three of four have another half a turn further, not quite as strong."""
    half = np.stack([rng.uniform(0.12, 0.98, n), rng.uniform(0, 2 * np.pi, n), rng.uniform(0.2, 1, n)], axis=1)
    opposite = half[: 3 * n // 4] * [1, 1, 0.9] + [0, np.pi, 0]
    return np.concatenate([half, opposite])


def clusters(
    seed: int, *, n_azimuths: int = 360, equal: bool = False, one_cluster: bool = False, at_the_seam: bool = False
) -> tuple[Any, list[Any]]:
    """A library, and its templates each in a library of its own.

    Equal: all spots as strong, none missing. One cluster: and nothing else. At the seam: few spots, in bins next to
    each other, on both sides of 0 and of 180 degrees, where half a turn ends.
    """
    rng = np.random.default_rng(seed)
    lists, turns = [], []
    for _ in range(1 if one_cluster else 9):
        first = spots_of(rng, int(rng.integers(2, 5) if at_the_seam else rng.integers(8, 40)))
        if at_the_seam:
            first[:, 0] = 0.11 + 0.9 / N_RINGS * rng.integers(2, 5, len(first))
            first[:, 1] = np.pi * rng.integers(0, 2, len(first)) + rng.integers(-2, 3, len(first)) * np.pi / 180
            across = np.array([[0.4, np.pi - np.pi / 180, 1], [0.4, np.pi, 1]])  # in one row of the table
            first = np.concatenate([first[: len(first) // 2], across])
        beam = rng.normal(size=4)
        beam /= np.linalg.norm(beam)
        for _ in range(12):
            angle = 0.0 if at_the_seam else rng.uniform(0, 2 * np.pi)
            spots = np.add(first, [0, angle, 0])
            if equal:
                spots[:, 2] = 1
            elif not at_the_seam:
                spots[:, 1] += rng.normal(0, 0.4 * 2 * np.pi / n_azimuths, len(spots))
                spots[:, 2] *= rng.uniform(0.7, 1.0, len(spots))
                spots = spots[rng.random(len(spots)) > 0.05]
            tilt = np.array([1, *rng.normal(0, 0.0 if at_the_seam else 0.004, 2), 0])
            turned = np.array([np.cos(angle / 2), 0, 0, -np.sin(angle / 2)])
            turns.append(multiply(multiply(beam, tilt / np.linalg.norm(tilt)), turned))
            lists.append(spots)
    if not one_cluster:
        lists += [np.zeros((0, 3)), spots_of(rng, 1), lists[0], spots_of(rng, 5), lists[30] * [1, -1, 1]]
        turns += [turns[0], turns[1], turns[0], turns[40], turns[30]]
    n = len(lists)
    return packed(lists, turns, n_azimuths), [packed([lists[t]], [turns[t]], n_azimuths) for t in range(n)]


def packed(lists: list[NDArray[np.float64]], turns: list[NDArray[np.float64]], n_azimuths: int) -> Any:
    offset = np.concatenate([[0], np.cumsum([len(s) for s in lists])]).astype(np.int64)
    radius, azimuth, intensity = np.concatenate([*lists, np.zeros((0, 3))]).T
    kx, ky, weight = (
        np.ascontiguousarray(values, dtype=np.float32)
        for values in (radius * np.cos(azimuth), radius * np.sin(azimuth), intensity)
    )
    identity = np.array([[1.0, 0, 0, 0]])
    return _core.pack_templates(offset, kx, ky, weight, grid(n_azimuths), 0.5, np.array(turns), identity)


def like_templates(templates: Any, n: int, shape: tuple[int, int], seed: int, noise: float = 0.5) -> Patterns:
    """The spots of a template in dark patterns with some noise, turned, every second one mirrored."""
    rng = np.random.default_rng(seed)
    patterns = (rng.random((n, *shape)) < 0.02) * rng.random((n, *shape), dtype=np.float32) * np.float32(noise)
    for number, pattern in enumerate(patterns):
        t = int(rng.choice(np.flatnonzero(np.diff(templates.offset))))
        part = slice(templates.offset[t], templates.offset[t + 1])
        azimuth = templates.azimuth[part].astype(int) * (1 - 2 * (number % 2)) + int(rng.integers(shape[1]))
        pattern[templates.ring[part], azimuth % shape[1]] += templates.weight[part]
    return patterns


def patterns_of(templates: Any, n_azimuths: int, seed: int) -> dict[str, Patterns]:
    rng = np.random.default_rng(seed)
    shape = (8, N_RINGS, n_azimuths)
    alike = like_templates(templates, 12, shape[1:], seed)
    blocks = np.repeat(rng.random((8, N_RINGS, n_azimuths // 12), dtype=np.float32), 12, axis=2)
    return {
        "alike": alike,
        "nothing else": like_templates(templates, 40, shape[1:], seed, noise=0.0),
        "below": alike - np.float32(0.7),  # the mean is negative
        "few": (rng.random(shape) < 0.03).astype(np.float32),
        "levels": rng.integers(0, 3, shape).astype(np.float32),
        "dense": rng.random(shape, dtype=np.float32),
        "negative": rng.normal(size=shape).astype(np.float32),
        "constant in sectors": blocks,
        "large": (1e18 * alike).astype(np.float32),
    }


LIBRARIES: dict[str, Callable[[], tuple[Any, list[Any]]]] = {
    "varied": lambda: clusters(1),
    "equal": lambda: clusters(2, equal=True),
    "180 azimuths": lambda: clusters(3, n_azimuths=180),
    "132 azimuths": lambda: clusters(4, n_azimuths=132),
    "720 azimuths": lambda: clusters(5, n_azimuths=720),
    "one group": lambda: clusters(6, one_cluster=True),
    "seam": lambda: clusters(7, at_the_seam=True, equal=True),
    "seam, one group": lambda: clusters(8, at_the_seam=True, one_cluster=True),
}


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_groups_bound_is_at_least_the_best_score_of_each_of_its_templates(name: str) -> None:
    templates, alone = LIBRARIES[name]()
    group = templates.group
    has_spots = np.diff(templates.offset) > 0
    assert ((group >= 0) == has_spots).all()
    assert np.bincount(group[has_spots]).max() >= 5, "groups form"
    n_azimuths = patterns_azimuths(name)
    reached, above = 0, []
    for patterns in patterns_of(templates, n_azimuths, 7).values():
        best = np.stack([match("match_exhaustive", [one], patterns, 1)[0]["score"][:, 0] for one in alone])
        for pattern, score in zip(patterns, best.T, strict=True):
            reach = _core.groups_reach(templates, pattern, np.ascontiguousarray(score))
            assert reach[has_spots].all(), np.flatnonzero(~reach & has_spots)
            reached += int(reach.sum())
            above.append(_core.groups_reach(templates, pattern, np.abs(score) * 2 + np.float32(0.3))[has_spots].mean())
    assert reached > 500
    assert min(above) < 0.1, "bounds are of some use"


def patterns_azimuths(name: str) -> int:
    return int(name.split()[0]) if name.endswith("azimuths") else 360


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_search_with_groups_gives_the_same_answer(name: str) -> None:
    templates, alone = LIBRARIES[name]()
    some = patterns_of(templates, patterns_azimuths(name), 8)
    compared = 0
    for patterns in some.values():
        compared += compare([templates], patterns, ks=(1, 3, 9), distinct=0.02)
        compared += compare([templates, alone[0], templates], patterns, ks=(2,), distinct=0.1, rival_share=0.7)
    assert compared > 500
    mixed = np.concatenate([patterns for patterns in some.values() if np.abs(patterns).max() < 1e6])
    mixed = mixed[np.random.default_rng(0).permutation(len(mixed))]
    assert compare([templates], mixed, ks=(1, 5), distinct=0.3, threads=2) > 0


def test_groups_settle_templates() -> None:
    """They are at work: most templates are never looked at one by one where a pattern is like one of them."""
    templates, _ = clusters(1)
    options = _core.MatchOptions(n_best=1, distinct_angle=0.02, rival_share=0.0, threads=1)
    patterns = like_templates(templates, 40, (N_RINGS, 360), 3)
    _, seen = _core.match_pruned([templates], patterns, options)
    assert seen["images"] == 40 * 2 * templates.size
    assert seen["past_sectors"] <= seen["past_groups"] < 0.7 * seen["images"], seen
    flat = np.random.default_rng(0).random((10, N_RINGS, 360), dtype=np.float32)
    _, seen = _core.match_pruned([templates], flat, options)
    has_spots = int((np.diff(templates.offset) > 0).sum())
    assert seen["past_groups"] >= 10 * 2 * has_spots, "of noise, all are looked at"


def test_templates_that_are_not_alike_form_no_groups() -> None:
    rng = np.random.default_rng(0)
    lists = [spots_of(rng, 20) for _ in range(30)]
    turns = rng.normal(size=(30, 4))
    templates = packed(lists, list(turns / np.linalg.norm(turns, axis=1, keepdims=True)), 360)
    assert (templates.group == -1).all()
    assert not _core.groups_reach(templates, np.eye(N_RINGS, 360, dtype=np.float32), np.zeros(30, np.float32)).any()


IN_ONE_ISA = """
import hashlib
from nbedex import _core
from property.test_group_bounds import clusters, patterns_of
from property.test_search_identity import compare, match

templates, _ = clusters(1)
digest = hashlib.sha256()
for patterns in patterns_of(templates, 360, 9).values():
    compare([templates], patterns, ks=(1, 5), distinct=0.02)
    for name, values in sorted(match("match_pruned", [templates], patterns, 5, distinct=0.02)[0].items()):
        digest.update(values.tobytes())
print(_core.build_info()["isa"], digest.hexdigest())
"""


def test_every_instruction_set_gives_the_same_answer() -> None:
    digests = set()
    for name in known_isas():
        ran = in_isa(name, script=IN_ONE_ISA)
        if ran.returncode and "does not have it" in ran.stderr:
            continue
        assert ran.returncode == 0, ran.stderr
        isa, digest = ran.stdout.split()
        assert isa == name
        digests.add(digest)
    assert len(digests) == 1
