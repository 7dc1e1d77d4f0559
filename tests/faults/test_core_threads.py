"""The core called by several threads at once, each of which starts more: the same bits; no race (bench/sanitize.sh)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from nbedex import _core

RNG = np.random.default_rng(3)
GRID = _core.PolarGrid(n_rings=12, n_azimuths=72, k_min=0.1, k_max=1.0)
FRAMES = RNG.poisson(3.0, (24, 48, 50)).astype(np.uint16)
CENTERS = np.array([23.5, 24.5]) + RNG.uniform(-1, 1, (24, 2))
MASK = (RNG.random((48, 50)) < 0.01).astype(np.uint8)
SAMPLER = _core.PolarSampler(GRID, np.array([[22.0, 0.5], [-0.5, 22.0]]))
OPTIONS = _core.Preprocessing(
    remove_background=True,
    background_sigma=1.0,
    peak_sigma=2.0,
    exponent=0.4,
    saturation=65535.0,
    max_saturated=0.1,
    max_non_finite=0.0,
)
SEARCH = _core.BeamSearch(row=23.5, column=24.5, search_radius=6.0, beam_radius=2.0)


def templates(n: int = 40, spots: int = 15) -> _core.TemplateSet:
    rng = np.random.default_rng(4)
    q = rng.normal(size=(n, 4))
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    radius, angle = rng.uniform(0.1, 1.0, n * spots), rng.uniform(0, 2 * np.pi, n * spots)
    return _core.pack_templates(
        np.arange(0, n * spots + 1, spots),
        (radius * np.cos(angle)).astype("f4"), (radius * np.sin(angle)).astype("f4"),
        rng.uniform(0.1, 9, n * spots).astype("f4"), GRID, 0.3, q, np.array([[1.0, 0, 0, 0], [0, 0, 1.0, 0]]),
    )  # fmt: skip


TEMPLATES = templates()


def prepare(threads: int) -> list[np.ndarray]:
    return [a for a in _core.prepare_patterns(FRAMES, CENTERS, SAMPLER, OPTIONS, MASK, threads, True) if a is not None]


def beams(threads: int) -> list[np.ndarray]:
    return [_core.find_beams(FRAMES, SEARCH, MASK, threads), _core.check_frames(FRAMES, OPTIONS, None, threads)]


def match(threads: int, search: Callable[..., Any] = _core.match_pruned) -> list[np.ndarray]:
    polar = _core.prepare_patterns(FRAMES, CENTERS, SAMPLER, OPTIONS, MASK, 1)[0]
    options = _core.MatchOptions(n_best=3, distinct_angle=0.1, rival_share=0.5, threads=threads)
    found, _ = search([TEMPLATES, TEMPLATES], polar, options)
    return [one[name] for one in found for name in sorted(one)]


def refine(threads: int) -> list[np.ndarray]:
    rng = np.random.default_rng(6)
    polar = _core.prepare_patterns(FRAMES, CENTERS, SAMPLER, OPTIONS, MASK, 1)[0]
    start = rng.normal(size=(len(polar), 4, 4))
    start /= np.linalg.norm(start, axis=2, keepdims=True)
    hkl = np.array([[h, k, m] for h in range(-3, 4) for k in range(-3, 4) for m in range(-3, 4) if h or k or m])
    crystal = _core.KinematicCrystal(
        g=hkl * 0.25, intensity=1.0 / (1 + (hkl**2).sum(1)), template_exponent=0.3, symmetry=np.eye(4)[:1]
    )
    options = _core.RefineOptions(
        wavelength=0.0197, excitation_width=0.02, precession_angle=0.0, reach=0.05, distinct_angle=0.1
    )
    which = rng.integers(-1, 2, (len(polar), 4)).astype(np.int16)
    model = _core.KinematicModel([crystal, crystal], GRID, options)
    found = model.refine(polar, which, start, np.ones((len(polar), 2)), threads)
    return [found[name] for name in sorted(found)]


def exhaustive(threads: int) -> list[np.ndarray]:
    return match(threads, _core.match_exhaustive)


def simulate(threads: int) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    q = rng.normal(size=(30, 4))
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    hkl = np.array([[h, k, m] for h in range(-3, 4) for k in range(-3, 4) for m in range(-3, 4) if h or k or m], "i4")
    options = _core.SimulationOptions(
        wavelength=0.0197, max_excitation_error=0.02, shape_width=0.01, shape="linear", precession_angle=0.0,
        minimum_intensity=0.0, double_diffraction=0.3,
    )  # fmt: skip
    spots = _core.simulate_patterns(hkl * 0.25, 1.0 / (1 + (hkl**2).sum(1)), hkl, q, options, threads)
    return [spots[name] for name in sorted(spots)]


@pytest.mark.parametrize("work", [prepare, beams, match, exhaustive, refine, simulate])
def test_many_callers_at_once(work: Callable[[int], list[np.ndarray]]) -> None:
    expected = [array.tobytes() for array in work(1)]
    assert sum(map(len, expected)) > 100
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(work, [3, 1, 4, 2, 3, 4, 1, 2]):
            assert [array.tobytes() for array in found] == expected
