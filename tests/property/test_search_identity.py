"""Branch and bound against exhaustive matching, bit for bit, over every kind of pattern: 10^5 ranked comparisons.

A ranked comparison is one candidate of one pattern and phase at one k: template, mirror image, in-plane bin, score and
the vertex between bins, all equal in every bit. The exhaustive search is greedy, so its first k of nine are its answer
for k, which a test of its own holds. `bench/identity.py` does the same with whole libraries at 1 degree.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex import _core
from nbedex.calibration import Calibration
from nbedex.indexing.engine import Engine, make_engine
from nbedex.indexing.settings import IndexingSettings, MatchSettings, PreprocessSettings
from nbedex.library import SimulationSettings, build_library
from nbedex.phases import load_phase
from oracles.pattern_kinds import KINDS, PHASES, make_frames, small_detector

Match = dict[str, NDArray[Any]]

CANDIDATE = ("template_id", "mirrored", "azimuth", "score", "azimuth_offset")
OF_PATTERN = ("mirror_score", "half_turn_score")
KS = (1, 2, 5, 9)
PATTERNS = 42  # of each kind and phase and each of two settings
WANTED = 100_000
SETTINGS = {"mild": (1.0, 0.5, 180), "accuracy": (0.25, 0.2, 360)}  # image and template exponents, azimuths
ALL_KINDS = (*KINDS, "negative")
DISTINCT = float(np.deg2rad(5.0))
TALLY: Counter[str] = Counter()


@cache
def engine(settings: str, step: float = 8.0) -> Engine:
    image, template, n_azimuths = SETTINGS[settings]
    detector = small_detector()
    middle = (detector.size - 1) / 2
    return make_engine(
        build_library([load_phase(p) for p in PHASES], SimulationSettings(voltage=300.0, step_deg=step, k_max=1.2)),
        Calibration(pixel_size=detector.pixel, voltage=300.0),
        IndexingSettings(
            preprocess=PreprocessSettings(exponent=image, ring_width=0.025, n_azimuths=n_azimuths),
            match=MatchSettings(template_exponent=template),
        ),
        frame_shape=(detector.size, detector.size),
        center=(middle, middle),
    )


@cache
def polar(kind: str, phase: str, settings: str, n: int = PATTERNS) -> NDArray[np.float32]:
    """Polar patterns; negative ones are those of the kind "easy" with zero mean in every ring."""
    run = engine(settings)
    frames, centers = make_frames(
        "easy" if kind == "negative" else kind, phase, n, seed=11, detector=small_detector(), orientations=12
    )
    patterns, _, _, _ = _core.prepare_patterns(frames, centers, run.sampler, run.preprocessing, None, 1)
    return patterns - patterns.mean(axis=2, keepdims=True) if kind == "negative" else patterns


def match(
    search: str,
    phases: Sequence[Any],
    patterns: NDArray[np.float32],
    k: int,
    *,
    threads: int = 1,
    distinct: float = DISTINCT,
    rival_share: float = 0.0,
    levels: NDArray[np.float32] | None = None,
) -> list[Match]:
    """What a search of the core finds, by phase."""
    options = _core.MatchOptions(n_best=k, distinct_angle=distinct, rival_share=rival_share, threads=threads)
    found, _ = getattr(_core, search)(list(phases), np.ascontiguousarray(patterns), options, levels)
    return [{name: of_phase[name] for name in (*CANDIDATE, *OF_PATTERN)} for of_phase in found]


def difference(pruned: Sequence[Match], exhaustive: Sequence[Match]) -> str:
    """Where the first difference is, and what; empty if every bit is the same. Ranks beyond pruned's are ignored."""
    assert len(pruned) == len(exhaustive)
    for phase, (mine, theirs) in enumerate(zip(pruned, exhaustive, strict=True)):
        k = mine["template_id"].shape[1]
        for name in (*CANDIDATE, *OF_PATTERN):
            one, other = mine[name], theirs[name]
            other = np.ascontiguousarray(other[:, :k]) if other.ndim == 2 else other
            nan = np.isnan(one) & np.isnan(other) if one.dtype.kind == "f" else np.zeros(one.shape, dtype=bool)
            differs = (bits(one) != bits(other)) & ~nan
            if differs.any():
                at = tuple(np.argwhere(differs)[0].tolist())
                return f"{name} of phase {phase} at {at} for k = {k}: {one[at]!r}, exhaustive {other[at]!r}"
    return ""


def bits(values: NDArray[Any]) -> NDArray[Any]:
    return values.view(f"u{values.itemsize}")


def compare(phases: Sequence[Any], patterns: NDArray[np.float32], *, ks: tuple[int, ...] = KS, **options: float) -> int:
    """Number of ranked comparisons, all equal. Options are those of `match`."""
    exhaustive = match("match_exhaustive", phases, patterns, max(ks), **options)  # type: ignore[arg-type]
    compared = 0
    for k in ks:
        pruned = match("match_pruned", phases, patterns, k, **options)  # type: ignore[arg-type]
        found = difference(pruned, exhaustive)
        assert not found, found
        compared += sum(int((of_phase["template_id"] >= 0).sum()) for of_phase in pruned)
    return compared


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_kind_of_pattern(kind: str, settings: str) -> None:
    """Patterns of each phase against the templates of every phase."""
    for phase in PHASES:
        patterns = polar(kind, phase, settings)
        compared = compare(engine(settings).templates, patterns)
        TALLY["ranked"] += compared
        TALLY[kind] += compared
        least = 0 if kind == "blank" else sum(KS) * PATTERNS * len(PHASES)
        assert compared >= least, "a pattern that is not blank has k candidates"


def test_enough_comparisons() -> None:
    """Of the tests above, run in this process before this one."""
    if set(TALLY) < {*ALL_KINDS, "ranked"}:
        pytest.skip("not all tests of this file were run")
    assert TALLY["ranked"] >= WANTED, dict(TALLY)


@pytest.mark.parametrize("rival_share", [0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("settings", SETTINGS)
def test_candidates_far_below_the_best_of_all_phases(settings: str, rival_share: float) -> None:
    """They are left out, and only they: of one phase alone, and of three of which one beats the others."""
    left = Counter[int]()
    for kind in ALL_KINDS:
        patterns = np.concatenate([polar(kind, phase, settings)[:2] for phase in PHASES])
        phases = engine(settings).templates
        for some in (phases, phases[::-1], phases[1:2], (phases[2], phases[2])):
            compare(some, patterns, ks=(2, 9), rival_share=rival_share)
        full = match("match_exhaustive", phases, patterns, 9)
        found = match("match_pruned", phases, patterns, 9, rival_share=rival_share)
        best = np.max([of_phase["score"][:, 0] for of_phase in full], axis=0)
        for mine, every in zip(found, full, strict=True):
            there = every["template_id"] >= 0
            clearly = abs(every["score"] - rival_share * best[:, None]) > 1e-6
            above = every["score"] >= rival_share * best[:, None]
            assert ((mine["template_id"] >= 0) == (above & there))[clearly | ~there].all()
            left[0] += int((there & ~above).sum())
    assert left[0] > 0


@pytest.mark.parametrize("settings", SETTINGS)
def test_phases_that_compete_by_other_than_scores(settings: str) -> None:
    """Pruned and exhaustive agree, and both drop what is worth less than a share of what is worth most."""
    phases, share = engine(settings).templates, 0.7
    patterns = np.concatenate([polar(kind, phase, settings)[:2] for kind in ALL_KINDS for phase in PHASES])
    levels = np.random.default_rng(3).uniform(0.3, 3.0, (len(patterns), len(phases))).astype(np.float32)
    full = match("match_exhaustive", phases, patterns, 6)
    limited = match("match_exhaustive", phases, patterns, 6, rival_share=share, levels=levels)
    found = match("match_pruned", phases, patterns, 6, rival_share=share, levels=levels)
    assert not difference(found, limited)
    worth = np.stack([np.where(m["template_id"] < 0, np.nan, m["score"]) for m in full], axis=1) / levels[:, :, None]
    best = np.nanmax(worth.reshape(len(patterns), -1), axis=1, initial=-1.0)
    by_score = 0
    for number, mine in enumerate(found):
        clearly = ~(abs(worth[:, number] - share * best[:, None]) < 1e-5)
        above = worth[:, number] >= share * best[:, None]
        positive = best > 0
        assert ((mine["template_id"] >= 0) == above)[clearly & positive[:, None]].all()
        scores = np.stack([m["score"] for m in full], axis=1)
        by_score += int((above != (scores[:, number] >= share * np.nanmax(scores, axis=(1, 2))[:, None])).sum())
    assert by_score > 10  # levels matter


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_levels_must_be_above_zero(wrong: float) -> None:
    patterns = polar("easy", PHASES[0], "mild")[:1]
    with pytest.raises(ValueError, match="levels must be above zero"):
        match("match_pruned", engine("mild").templates, patterns, 2, levels=np.full((1, 3), wrong, dtype=np.float32))


def test_a_phase_finds_the_same_alone_and_among_others() -> None:
    phases = engine("accuracy").templates
    patterns = np.concatenate([polar(kind, "nzsp", "accuracy")[:2] for kind in ALL_KINDS])
    together = match("match_pruned", phases, patterns, 5)
    for number, templates in enumerate(phases):
        assert not difference(match("match_pruned", [templates], patterns, 5), together[number : number + 1])


@pytest.mark.parametrize("k", KS[:-1])
def test_exhaustive_candidates_for_less_are_the_first_of_those_for_more(k: int) -> None:
    patterns = polar("mismatched", "nzsp", "mild")[:6]
    phases = engine("mild").templates
    longest = match("match_exhaustive", phases, patterns, KS[-1])
    assert not difference(match("match_exhaustive", phases, patterns, k), longest)


@pytest.mark.parametrize("distinct_deg", [1e-3, 0.7, 12.0, 40.0, 100.0, 170.0])
def test_distinct_angles(distinct_deg: float) -> None:
    """From every bin its own candidate to hardly room for two."""
    distinct = float(np.deg2rad(distinct_deg))
    for kind in ("easy", "noisy", "overlapped", "noise"):
        patterns = np.concatenate([polar(kind, phase, "mild")[:1] for phase in PHASES])
        assert compare(engine("mild").templates, patterns, ks=(1, 5, 9), distinct=distinct) > 0


def packed(
    spots: list[NDArray[np.float64]],
    grid: _core.PolarGrid,
    *,
    seed: int = 0,
    symmetry: NDArray[np.float64] | None = None,
) -> Any:
    """A template set of spots (n, 3) in k_x, k_y, intensity, with random orientations."""
    orientation = np.random.default_rng(seed).normal(size=(len(spots), 4))
    orientation /= np.linalg.norm(orientation, axis=1, keepdims=True)
    offset = np.concatenate([[0], np.cumsum([len(s) for s in spots])]).astype(np.int64)
    kx, ky, intensity = (np.ascontiguousarray(np.concatenate(spots)[:, i], dtype=np.float32) for i in range(3))
    identity = np.array([[1.0, 0, 0, 0]])
    return _core.pack_templates(
        offset, kx, ky, intensity, grid, 0.5, orientation, identity if symmetry is None else symmetry
    )


def on_circle(radius: float, angles: NDArray[np.float64], intensity: float | NDArray[np.float64] = 1.0) -> Any:
    return np.stack(
        [radius * np.cos(angles), radius * np.sin(angles), np.broadcast_to(intensity, angles.shape)], axis=1
    )


# sectors of 2, 3, 4, 5, 6 and 12 bins
@pytest.mark.parametrize(("n_rings", "n_azimuths"), [(3, 128), (4, 144), (2, 136), (3, 290), (20, 360), (3, 720)])
def test_many_open_sectors(n_rings: int, n_azimuths: int) -> None:
    """Where many images survive sectors their rotations take several windows, the last of which begins anew."""
    grid = _core.PolarGrid(n_rings=n_rings, n_azimuths=n_azimuths, k_min=0.1, k_max=1.0)
    rng = np.random.default_rng(n_azimuths)
    spots = [
        np.concatenate(
            [on_circle(r, np.array([a]), w) for r, a, w in rng.uniform([0.12, 0, 0.3], [0.98, 6.2, 1], (12, 3))]
        )
        for _ in range(400)
    ]
    templates = packed(spots, grid)
    patterns = (rng.random((4, n_rings, n_azimuths)) ** 3).astype(np.float32)
    options = _core.MatchOptions(n_best=3, distinct_angle=DISTINCT, rival_share=0.0, threads=1)
    _, statistics = _core.match_pruned([templates], patterns, options)
    assert statistics["windows"] > (2 if n_azimuths > 128 else 1) * statistics["past_sectors"]
    assert compare([templates], patterns, ks=(1, 3)) > 0


# tiny ones, odd ones, ones of less than a vector, and ones that can't be cut into sectors
TINY = ((1, 4), (1, 36), (2, 64), (3, 97), (1, 128), (2, 129), (4, 144), (2, 136), (3, 360), (2, 720))


@pytest.mark.parametrize(("n_rings", "n_azimuths"), TINY)
def test_ties_symmetric_templates_single_spots_and_tiny_grids(n_rings: int, n_azimuths: int) -> None:
    """Few different values and many equal scores: which of them comes first must be the same."""
    grid = _core.PolarGrid(n_rings=n_rings, n_azimuths=n_azimuths, k_min=0.1, k_max=1.0)
    rng = np.random.default_rng(grid.n_azimuths)
    spots: list[Any] = [on_circle(r, np.array([a])) for r, a in rng.uniform([0.15, 0], [0.95, 6.2], (5, 2))]
    for fold in (2, 3, 4, 6):
        spots.append(on_circle(rng.uniform(0.15, 0.95), rng.uniform(0, 1) + 2 * np.pi * np.arange(fold) / fold))
    for _ in range(8):
        n = int(rng.integers(2, 12))
        spots.append(np.concatenate([on_circle(r, np.array([a]), w) for r, a, w in rng.uniform(0.12, 0.98, (n, 3))]))
    spots += [
        spots[9],
        spots[0],
        spots[0] * [1, -1, 1],
        np.zeros((0, 3)),
        spots[9][::-1],
    ]  # duplicates, one without spots
    shape = (40, grid.n_rings, grid.n_azimuths)
    patterns = {
        "few": (rng.random(shape) < 0.05).astype(np.float32),
        "one": np.eye(grid.n_rings * grid.n_azimuths, dtype=np.float32)[:40].reshape(-1, *shape[1:]),
        "levels": rng.integers(0, 3, shape).astype(np.float32),
        "periodic": np.tile(rng.integers(0, 2, (*shape[:2], 1)), (1, 1, grid.n_azimuths)).astype(np.float32),
        "dense": rng.random(shape, dtype=np.float32),
        "negative": rng.normal(size=shape).astype(np.float32),
        "below": -(rng.random(shape) < 0.1).astype(np.float32),
        "large": (1e18 * rng.random(shape)).astype(np.float32),
        "small": (1e-18 * rng.random(shape)).astype(np.float32),
    }
    symmetry = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]])
    compared = 0
    for templates in (packed(spots, grid), packed(spots, grid, symmetry=symmetry), packed(spots[:1], grid)):
        for distinct in (1e-3, 0.6):
            for some in patterns.values():
                compared += compare([templates], some, ks=(1, 9), distinct=distinct)
    assert compared > 4000


@pytest.mark.parametrize("constant", [1, 6, 8, 24, 360])
def test_bounds_that_are_tight(constant: int) -> None:
    """Patterns that do not vary over a sector, so that its maximum is the value at every rotation in it.

    The bound then is the score, added up in another order: only what is allowed for rounding keeps it from falling
    below. Many spots make the rounding large; copies of a template with weights a few last bits apart, in another
    order, score the same to within it.
    """
    rng = np.random.default_rng(constant)
    grid = _core.PolarGrid(n_rings=12, n_azimuths=360, k_min=0.1, k_max=1.0)
    spots: list[Any] = []
    for _ in range(12):
        n = int(rng.integers(60, 200))
        radius, angle = rng.uniform(0.11, 0.99, n), rng.uniform(0, 2 * np.pi, n)
        template = np.stack([radius * np.cos(angle), radius * np.sin(angle), rng.uniform(0.1, 9, n)], axis=1)
        paired = np.concatenate([template[: n // 2], template[: n // 2] * [-1, -1, 1]])  # bounds take two such together
        for few_bits in (0.0, 1e-7, -1e-7, 3e-7):
            spots.append(template[rng.permutation(n)] * [1, 1, 1 + few_bits])
            spots.append(paired[rng.permutation(len(paired))] * [1, 1, 1 + few_bits])
    blocks = rng.random((60, 12, 360 // constant)).astype(np.float32)
    blocks[::3] = blocks[::3] > 0.6
    blocks[1::3] *= rng.random((20, 12, 360 // constant)) > 0.8
    patterns = np.repeat(blocks, constant, axis=2)
    patterns[::5, :, 180:] = patterns[::5, :, :180]  # the same turned by half
    templates = packed(spots, grid)
    contrast = int((np.ptp(patterns, axis=(1, 2)) > 0).sum())
    assert contrast > 50
    assert compare([templates], patterns, ks=(1, 3, 9), distinct=1e-3) == 13 * contrast
    turned = np.ascontiguousarray(np.roll(patterns[:20], 7, axis=2) - np.float32(0.3))
    assert compare([templates], turned, ks=(1, 9), distinct=0.2) == 10 * len(turned)


@pytest.mark.parametrize("chunk", [1, 3, 17])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_and_chunks_change_no_bit(threads: int, chunk: int) -> None:
    patterns = np.concatenate([polar(kind, phase, "mild")[:3] for kind in ALL_KINDS for phase in PHASES])
    patterns = patterns[np.random.default_rng(chunk).permutation(len(patterns))]
    phases = engine("mild").templates
    whole = match("match_exhaustive", phases, patterns, 5)
    parts = [
        match("match_pruned", phases, patterns[i : i + chunk], 5, threads=threads)
        for i in range(0, len(patterns), chunk)
    ]
    joined = [
        {name: np.concatenate([part[number][name] for part in parts]) for name in of_phase}
        for number, of_phase in enumerate(whole)
    ]
    assert not difference(joined, whole)
    assert not difference(match("match_pruned", phases, patterns, 5, threads=threads), whole)


IN_ONE_ISA = """
import hashlib, sys
import numpy as np
from nbedex import _core

print(_core.build_info()["isa"])
if len(sys.argv) > 1:
    from property.test_search_identity import difference, engine, match

    patterns, digest = np.load(sys.argv[1]), hashlib.sha256()
    exhaustive, pruned = (
        match(search, engine("mild").templates, patterns, 9) for search in ("match_exhaustive", "match_pruned")
    )
    assert not (found := difference(pruned, exhaustive)), found
    for of_phase in pruned:
        for name in sorted(of_phase):
            digest.update(of_phase[name].tobytes())
    print(digest.hexdigest())
"""


def test_every_instruction_set_agrees_with_its_own_exhaustive_search_and_with_all_others(tmp_path: Path) -> None:
    """Those that this machine has; which ones the core knows, its message for an unknown one says."""
    names = known_isas()
    patterns = tmp_path / "patterns.npy"
    np.save(patterns, np.concatenate([polar(kind, phase, "mild")[:3] for kind in ALL_KINDS for phase in PHASES]))
    digests = {}
    for name in names:
        ran = in_isa(name, patterns)
        if ran.returncode and "does not have it" in ran.stderr:
            continue
        assert ran.returncode == 0, ran.stderr
        isa, digests[name] = ran.stdout.split()
        assert isa == name, "the forced one ran"
    assert _core.build_info()["isa"] in digests
    assert len(set(digests.values())) == 1, digests


def known_isas() -> list[str]:
    """Names of all instruction sets that the core is compiled for."""
    known = in_isa("none-of-this-name").stderr
    assert "expected" in known
    names = known.rsplit("expected", 1)[1].split("\n")[0].replace(" or ", ",").replace(" ", "").split(",")
    assert len(names) > 1
    return names


def in_isa(name: str, *arguments: Path, script: str = IN_ONE_ISA) -> subprocess.CompletedProcess[str]:
    """A script, the one above unless told, in a process of its own where NBEDEX_ISA is `name`."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=os.environ | {"NBEDEX_ISA": name, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
