"""Matching against its definition: correlation coefficients, and the greedy choice of distinct orientations."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from nbedex import _core
from oracles.laue_groups import PROPER, random_quaternions
from oracles.match_problems import EXPONENT, GRID, Problem, problem, quaternions_of, sparse_patterns
from oracles.matcher_oracle import Found, Grid, all_scores, n_best, orientations, template_image

# whatever searches the core has must give the answers of the definition
ENGINES = [name for name in ("match_exhaustive", "match_pruned") if hasattr(_core, name)]


def match(
    engine: str, p: Problem, patterns: np.ndarray, *, n: int = 4, distinct_deg: float = 13.1, threads: int = 1
) -> dict[str, np.ndarray]:
    options = _core.MatchOptions(n_best=n, distinct_angle=float(np.deg2rad(distinct_deg)), threads=threads)
    return match_all(engine, [p], patterns, options)[0]


def match_all(engine: str, phases: list[Problem], patterns: np.ndarray, options: Any) -> list[dict[str, np.ndarray]]:
    found: list[dict[str, np.ndarray]] = getattr(_core, engine)([p.packed for p in phases], patterns, options)[0]
    return found


def as_list(found: dict[str, np.ndarray], i: int) -> list[tuple[int, int, int]]:
    return [
        (int(t), int(m), int(a))
        for t, m, a in zip(found["template_id"][i], found["mirrored"][i], found["azimuth"][i], strict=True)
        if t >= 0
    ]


def assert_same_bits(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert set(one) == set(other)
    for key in one:
        assert one[key].tobytes() == other[key].tobytes(), key


def check(
    engine: str, p: Problem, patterns: np.ndarray, *, n: int = 4, distinct_deg: float = 13.1
) -> list[list[Found]]:
    """Everything the engine says against the oracle; returns what the oracle found."""
    everything = orientations(p.orientation, p.grid.n_azimuths)
    mine = match(engine, p, patterns, n=n, distinct_deg=distinct_deg)
    lists = []
    for i, pattern in enumerate(patterns):
        scores = all_scores(pattern, p.images)
        found, mirror, half_turn = n_best(scores, everything, p.proper, n=n, distinct=float(np.deg2rad(distinct_deg)))
        assert as_list(mine, i) == [(f.template, f.mirrored, f.azimuth) for f in found]
        np.testing.assert_allclose(mine["score"][i, : len(found)], [f.score for f in found], atol=1e-5)
        np.testing.assert_allclose(mine["mirror_score"][i], mirror, atol=1e-5)
        np.testing.assert_allclose(mine["half_turn_score"][i], half_turn, atol=1e-5)
        assert (np.abs(mine["score"][i]) <= 1 + 1e-6).all()
        for rank, f in enumerate(found):
            row = scores[f.template, f.mirrored]
            before, here, after = row[f.azimuth - 1], row[f.azimuth], row[(f.azimuth + 1) % len(row)]
            bend = before - 2 * here + after
            vertex = np.clip(0.5 * (before - after) / bend, -0.5, 0.5) if bend < 0 else 0.0
            if abs(bend) > 1e-3:
                assert mine["azimuth_offset"][i, rank] == pytest.approx(vertex, abs=2e-3)
        lists.append(found)
    return lists


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("group", "step"),
    [
        ("mmm", 18.0),
        ("-1", 20.0),
        ("2/m, b unique", 18.0),
        ("-31m", 15.0),
        ("-3m, rhombohedral axes", 15.0),
        ("m-3m", 6.0),
    ],
)
def test_equal_to_the_definition(engine: str, group: str, step: float) -> None:
    p = problem(group, step=step, seed=len(group))
    lists = check(engine, p, sparse_patterns(p, 6, seed=1))
    assert {f.mirrored for found in lists for f in found} == {0, 1}
    assert any(f.azimuth for found in lists for f in found)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("distinct_deg", [1e-3, 5.0, 35.0, 91.0, 170.0])
def test_distinct_angles(engine: str, distinct_deg: float) -> None:
    p = problem("2/m, b unique", seed=4)
    lists = check(engine, p, sparse_patterns(p, 4, seed=2), n=6, distinct_deg=distinct_deg)
    assert all(len(found) < 6 for found in lists) == (distinct_deg > 100), "room for few orientations far apart"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n", [1, 2, 15])
def test_numbers_of_candidates(engine: str, n: int) -> None:
    p = problem("mmm", seed=5)
    check(engine, p, sparse_patterns(p, 3, seed=3), n=n, distinct_deg=25.0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n_azimuths", [36, 37, 64, 90, 128, 129, 150, 360])
def test_numbers_of_azimuths(engine: str, n_azimuths: int) -> None:
    """Odd ones, and ones that are no multiple of a vector register or of a block."""
    p = problem("mmm", step=20.0, seed=6, grid=Grid(n_rings=5, n_azimuths=n_azimuths, k_min=0.1, k_max=1.0))
    check(engine, p, sparse_patterns(p, 2, seed=4))


@pytest.mark.parametrize("engine", ENGINES)
def test_ties_go_to_the_first(engine: str) -> None:
    """Duplicate templates score the same bit for bit; a pattern of period A/2 twice the same at every rotation."""
    p = problem("2/m, b unique", seed=7, duplicate=True)
    a = p.grid.n_azimuths
    twin = p.images[3].astype(np.float32)
    half = sparse_patterns(p, 1, seed=9)[0]
    periodic = np.concatenate([half[:, : a // 2]] * 2, axis=1)
    rings = np.repeat(np.arange(1, 10, dtype=np.float32)[:, None] % 4, a, axis=1)  # no azimuth at all: all bins tie
    patterns = np.stack([twin, np.roll(twin, 11, axis=1), periodic, rings])
    lists = check(engine, p, patterns, n=8, distinct_deg=4.0)
    assert (lists[0][0].template, lists[0][0].azimuth) == (3, 0)
    assert {f.template for f in lists[0][:3]} == {3, 5, 6}
    assert lists[3][0].azimuth == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_two_rivals_near_the_winner_do_not_hide_the_next(engine: str) -> None:
    """Second and third score lie on both sides of the winner, nearer than the distinct angle, and are met before it.

    They are farther from one another than that angle, so a search that took them for two distinct answers would give
    up what scores less, and with it the true second.
    """
    identity = np.array([[1.0, 0, 0, 0]])
    proper = PROPER["2/m, b unique"]  # makes the mirror image the same orientation
    kx, ky = np.array([0.45], dtype=np.float32), np.zeros(1, dtype=np.float32)
    packed = _core.pack_templates(
        np.array([0, 1]), kx, ky, np.ones(1, dtype=np.float32),
        _core.PolarGrid(n_rings=9, n_azimuths=144, k_min=0.1, k_max=1.0), EXPONENT, identity, quaternions_of(proper),
    )  # fmt: skip
    image = template_image(kx, ky, np.ones(1), GRID, EXPONENT)
    p = Problem(packed, [image], identity, proper, GRID)
    ring = int(image.any(axis=1).argmax())
    pattern = np.zeros((1, 9, 144), dtype=np.float32)
    for azimuth, value in ((143, 1.0), (140, 0.95), (2, 0.9), (10, 0.5), (13, 0.4), (30, 0.3)):
        pattern[0, ring, azimuth] = value
    for n in (2, 3, 4):
        (found,) = check(engine, p, pattern, n=n, distinct_deg=4 * 2.5 + 1)  # four bins
        assert [f.azimuth for f in found] == [143, 10, 30, 4][:n]


@pytest.mark.parametrize("engine", ENGINES)
def test_mirror_symmetric_patterns(engine: str) -> None:
    p = problem("mmm", seed=8)
    a = p.grid.n_azimuths
    some = sparse_patterns(p, 3, seed=5)
    patterns = some + some[:, :, -np.arange(a) % a]
    check(engine, p, patterns)


@pytest.mark.parametrize("engine", ENGINES)
def test_dense_negative_and_large_patterns(engine: str) -> None:
    rng = np.random.default_rng(10)
    p = problem("mmm", seed=9)
    shape = (p.grid.n_rings, p.grid.n_azimuths)
    patterns = np.stack([
        rng.normal(size=shape), -sparse_patterns(p, 1, seed=6)[0], rng.normal(size=shape) - 50,
        1e6 * rng.random(size=shape), 1e-6 * rng.random(size=shape),
    ]).astype(np.float32)  # fmt: skip
    check(engine, p, patterns)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_template_matches_itself_with_one(engine: str) -> None:
    p = problem("mmm", seed=11)
    a = p.grid.n_azimuths
    rich = [t for t, image in enumerate(p.images) if np.count_nonzero(image) > 6]
    for t in rich[:3]:
        for mirrored in (0, 1):
            image = p.images[t][:, -np.arange(a) % a] if mirrored else p.images[t]
            found = match(engine, p, np.ascontiguousarray(np.roll(image, 17, axis=1), dtype=np.float32)[None])
            assert (found["template_id"][0, 0], found["mirrored"][0, 0], found["azimuth"][0, 0]) == (t, mirrored, 17)
            assert found["score"][0, 0] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("value", [0.0, 3.0, -2.0, np.nan, np.inf])
def test_patterns_without_contrast_have_no_candidates(engine: str, value: float) -> None:
    p = problem("mmm")
    patterns = sparse_patterns(p, 3, seed=1)
    patterns[1] = value
    found = match(engine, p, patterns)
    assert (found["template_id"][1] == -1).all() and np.isnan(found["mirror_score"][1])
    assert np.isnan(found["half_turn_score"][1]) and (found["score"][1] == 0).all()
    assert_same_bits({k: v[[0, 2]] for k, v in found.items()}, match(engine, p, np.ascontiguousarray(patterns[[0, 2]])))


@pytest.mark.parametrize("engine", ENGINES)
def test_one_nan_spoils_only_its_own_pattern(engine: str) -> None:
    p = problem("mmm")
    patterns = sparse_patterns(p, 2, seed=1)
    patterns[0, 3, 7] = np.nan
    assert match(engine, p, patterns)["template_id"][0].tolist() == [-1] * 4
    assert match(engine, p, patterns)["template_id"][1, 0] >= 0


@pytest.mark.parametrize("engine", ENGINES)
def test_library_without_spots(engine: str) -> None:
    packed = _core.pack_templates(
        np.zeros(3, dtype=np.int64), *(np.zeros(0, dtype=np.float32) for _ in range(3)),
        _core.PolarGrid(n_rings=9, n_azimuths=144, k_min=0.1, k_max=1.0), 0.5, random_quaternions(2, seed=1),
        np.array([[1.0, 0, 0, 0]]),
    )  # fmt: skip
    patterns = np.random.default_rng(1).random((2, 9, 144)).astype(np.float32)
    options = _core.MatchOptions(n_best=3, distinct_angle=0.1, threads=1)
    (found,), _ = getattr(_core, engine)([packed], patterns, options)
    assert (found["template_id"] == -1).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_and_batches_change_no_bit(engine: str) -> None:
    p = problem("-31m", step=10.0, seed=12)
    patterns = sparse_patterns(p, 23, seed=7)
    whole = match(engine, p, patterns)
    for threads in (2, 7, 0):
        assert_same_bits(whole, match(engine, p, patterns, threads=threads))
    parts = [match(engine, p, np.ascontiguousarray(x), threads=2) for x in np.split(patterns, [1, 9, 10])]
    assert_same_bits(whole, {key: np.concatenate([part[key] for part in parts]) for key in whole})
    backwards = match(engine, p, np.ascontiguousarray(patterns[::-1]), threads=2)
    assert_same_bits(whole, {key: value[::-1] for key, value in backwards.items()})


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_engines_agree_in_every_bit(engine: str) -> None:
    for group, seed in (("m-3m", 1), ("-1", 2), ("-31m", 3)):
        p = problem(
            group, step=8.0, seed=seed, duplicate=True, grid=Grid(n_rings=12, n_azimuths=360, k_min=0.1, k_max=1.0)
        )
        patterns = sparse_patterns(p, 12, seed=seed)
        patterns[::3] += np.random.default_rng(1).random(patterns[::3].shape, dtype=np.float32)
        for distinct_deg in (0.5, 5.0, 40.0):
            assert_same_bits(
                match(engine, p, patterns, distinct_deg=distinct_deg),
                match("match_exhaustive", p, patterns, distinct_deg=distinct_deg),
            )


@pytest.mark.parametrize("engine", ENGINES)
def test_two_python_threads_at_once(engine: str) -> None:
    p, q = problem("mmm", seed=13), problem("-31m", seed=14)
    a, b = sparse_patterns(p, 12, seed=8), sparse_patterns(q, 12, seed=9)
    expected = match(engine, p, a), match(engine, q, b)
    got: dict[int, list[dict[str, np.ndarray]]] = {0: [], 1: []}

    def repeat(which: int) -> None:
        for _ in range(5):
            got[which].append(match(engine, (p, q)[which], (a, b)[which], threads=2))

    workers = [threading.Thread(target=repeat, args=(i,)) for i in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive()
    for which in (0, 1):
        assert len(got[which]) == 5
        for result in got[which]:
            assert_same_bits(result, expected[which])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("patterns", "error", "message"),
    [
        (np.zeros((2, 9, 144)), TypeError, r"^patterns must have dtype float32, got float64$"),
        (
            np.zeros((2, 9, 143), np.float32),
            ValueError,
            r"^patterns must have shape \(any, 9, 144\), got \(2, 9, 143\)$",
        ),
        (np.zeros((9, 144), np.float32), ValueError, r"^patterns must have shape \(any, 9, 144\), got \(9, 144\)$"),
        (np.zeros((2, 9, 288), np.float32)[:, :, ::2], ValueError, r"^patterns must be C-contiguous and aligned"),
        (np.zeros((2, 9, 144), ">f4"), TypeError, r"^patterns must have dtype float32, got >f4$"),
    ],
)
def test_patterns_that_are_refused(engine: str, patterns: np.ndarray, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        match(engine, problem("mmm"), patterns)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n", [0, -3])
def test_n_best_must_be_positive(engine: str, n: int) -> None:
    with pytest.raises(ValueError, match=rf"^n_best must be at least 1, got {n}$"):
        match(engine, problem("mmm"), np.zeros((1, 9, 144), np.float32), n=n)


@pytest.mark.parametrize("engine", ENGINES)
def test_no_patterns(engine: str) -> None:
    found = match(engine, problem("mmm"), np.zeros((0, 9, 144), np.float32), n=3)
    assert found["template_id"].shape == (0, 3) and found["mirror_score"].shape == (0,)


@pytest.mark.skipif("match_pruned" not in ENGINES, reason="one engine only")
@pytest.mark.parametrize("n_azimuths", [144, 150, 360])
def test_pruning_is_what_the_tests_above_test(n_azimuths: int) -> None:
    """For azimuths that do not divide into blocks match_pruned is match_exhaustive, and has no statistics."""
    grid = Grid(n_rings=9, n_azimuths=n_azimuths, k_min=0.1, k_max=1.0)
    p = problem("mmm", grid=grid)
    options = _core.MatchOptions(n_best=3, distinct_angle=0.2, threads=1)
    counts = _core.match_pruned([p.packed], sparse_patterns(p, 2, seed=1), options)[1]
    assert counts["images"] == 2 * 2 * p.packed.size


# several phases


def phases() -> list[Problem]:
    return [problem("mmm", seed=1), problem("-3m1", seed=2, step=12.0), problem("6/mmm", seed=3)]


def mixed_patterns(many: list[Problem], n: int) -> np.ndarray:
    """Patterns of each phase in turn, and some of two phases."""
    rows = [sparse_patterns(p, n, seed=i) for i, p in enumerate(many)]
    return np.concatenate([*rows, rows[0] + rows[1], rows[1] + 0.5 * rows[2]]).astype(np.float32)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("share", [0.0, 0.4, 0.7, 0.95])
def test_rivals_are_what_scores_a_share_of_the_best_of_all_phases(engine: str, share: float) -> None:
    """With a share: the candidates that each phase has by itself, without those below share times the best of all."""
    many = phases()
    patterns = mixed_patterns(many, 3)
    options = _core.MatchOptions(n_best=4, distinct_angle=0.2, rival_share=share, threads=1)
    found = match_all(engine, many, patterns, options)
    alone = [match("match_exhaustive", p, patterns, n=4, distinct_deg=float(np.rad2deg(0.2))) for p in many]
    best = np.max([a["score"][:, 0] for a in alone], axis=0)
    dropped = 0
    for mine, theirs in zip(found, alone, strict=True):
        kept = theirs["score"] >= (np.float32(share) * best[:, None] if share else -np.inf)
        kept &= theirs["template_id"] >= 0
        dropped += int(((theirs["template_id"] >= 0) & ~kept).sum())
        for name, empty in (("template_id", -1), ("azimuth", 0), ("mirrored", 0), ("score", 0), ("azimuth_offset", 0)):
            np.testing.assert_array_equal(mine[name], np.where(kept, theirs[name], empty), err_msg=name)
        for name in ("mirror_score", "half_turn_score"):
            np.testing.assert_array_equal(mine[name], np.where(kept[:, 0], theirs[name], np.nan), err_msg=name)
    assert (dropped > 0) == (share > 0)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_several_phases_are_searched_as_exhaustively(share: float) -> None:
    """Both searches give the same bits, whatever came before in the scan and however it is cut into calls."""
    many = phases()
    patterns = mixed_patterns(many, 4)
    options = _core.MatchOptions(n_best=3, distinct_angle=0.15, rival_share=share, threads=1)
    reference = match_all("match_exhaustive", many, patterns, options)
    for order in (slice(None), slice(None, None, -1)):
        found = match_all("match_pruned", many, np.ascontiguousarray(patterns[order]), options)
        for mine, theirs in zip(found, reference, strict=True):
            assert_same_bits(mine, {name: np.ascontiguousarray(value[order]) for name, value in theirs.items()})
    for i in range(len(patterns)):
        for mine, theirs in zip(match_all("match_pruned", many, patterns[i : i + 1], options), reference, strict=True):
            assert_same_bits(mine, {name: value[i : i + 1] for name, value in theirs.items()})


@pytest.mark.parametrize("engine", ENGINES)
def test_phases_must_share_the_polar_grid(engine: str) -> None:
    options = _core.MatchOptions(n_best=2, distinct_angle=0.2, threads=1)
    other = problem("mmm", grid=Grid(n_rings=8, n_azimuths=144, k_min=0.1, k_max=1.0))
    with pytest.raises(ValueError, match="same polar grid"):
        match_all(engine, [problem("mmm"), other], np.zeros((1, 9, 144), np.float32), options)
    with pytest.raises(ValueError, match="at least one phase"):
        match_all(engine, [], np.zeros((1, 9, 144), np.float32), options)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_is_between_0_and_1(share: float) -> None:
    with pytest.raises(ValueError, match="rival_share"):
        _core.MatchOptions(n_best=2, distinct_angle=0.2, rival_share=share, threads=1)


# packing


def test_weights_make_the_score_a_correlation_coefficient() -> None:
    """weight = w / sqrt(sum w^2 - (sum w)^2 / N), spots of a bin added before the exponent, heaviest first."""
    p = problem("mmm", seed=2)
    for t, image in enumerate(p.images):
        part = slice(p.packed.offset[t], p.packed.offset[t + 1])
        rebuilt = np.zeros_like(image)
        rebuilt[p.packed.ring[part], p.packed.azimuth[part]] = p.packed.weight[part]
        norm = np.sqrt(((image - image.mean()) ** 2).sum())
        np.testing.assert_allclose(rebuilt, image / norm if norm else image, rtol=1e-6)
        assert (np.diff(p.packed.weight[part]) <= 0).all()
        assert len(p.packed.weight[part]) == np.count_nonzero(image)


def pack(**changes: Any) -> Any:
    values: dict[str, Any] = {
        "offset": np.array([0, 2], dtype=np.int64), "kx": np.array([0.2, 0.3], dtype=np.float32),
        "ky": np.array([0.1, 0.0], dtype=np.float32), "intensity": np.ones(2, dtype=np.float32),
        "grid": _core.PolarGrid(n_rings=9, n_azimuths=144, k_min=0.1, k_max=1.0), "exponent": 0.5,
        "orientations": np.array([[1.0, 0, 0, 0]]), "symmetry": np.array([[1.0, 0, 0, 0]]), **changes,
    }  # fmt: skip
    return _core.pack_templates(**values)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"offset": np.array([0, 3])}, ValueError, r"^offset must rise from 0 to the number of spots, 2$"),
        ({"offset": np.array([-1, 2])}, ValueError, r"^offset must rise from 0"),
        ({"offset": np.array([2, 1])}, ValueError, r"^offset must rise from 0"),
        ({"offset": np.array([0, 1, 2])}, ValueError, r"^offset must have shape \(2, ?\), got \(3,\)$"),
        ({"offset": np.array([0, 2], dtype=np.int32)}, TypeError, r"^offset must have dtype int64, got int32$"),
        ({"ky": np.zeros(3, np.float32)}, ValueError, r"^ky must have shape \(2, ?\), got \(3,\)$"),
        ({"kx": np.zeros(2)}, TypeError, r"^kx must have dtype float32, got float64$"),
        ({"orientations": np.zeros((1, 3))}, ValueError, r"^orientations must have shape \(any, 4\), got \(1, 3\)$"),
        ({"symmetry": np.zeros(4)}, ValueError, r"^symmetry must have shape \(any, 4\), got \(4,\)$"),
        (
            {"grid": _core.PolarGrid(n_rings=70000, n_azimuths=144, k_min=0.1, k_max=1.0)},
            ValueError,
            r"^polar grid must have 1 to 65535 rings and 4 to 65535 azimuths$",
        ),
    ],
)
def test_templates_that_are_refused(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    assert pack().size == 1
    with pytest.raises(error, match=message):
        pack(**changes)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_spots_that_are_no_numbers_make_no_nonsense(value: float) -> None:
    packed = pack(kx=np.array([value, 0.3], dtype=np.float32))
    assert packed.n_spots == 1 and np.isfinite(packed.weight).all()
