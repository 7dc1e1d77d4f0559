"""Phases whose templates have few spots don't win by chance, and no rival of theirs is lost for it."""

from __future__ import annotations

from dataclasses import fields, replace

import msgspec
import numpy as np
import pytest

from nbedex import _core
from nbedex.demo import Camera
from nbedex.demo.columns import Columns
from nbedex.demo.patterns import Exposure
from nbedex.indexing import IndexingSettings
from nbedex.indexing.block import index_block
from nbedex.indexing.candidates import match_phases, refined, searched
from nbedex.indexing.engine import make_engine, noise_levels
from nbedex.library import DynamicalCrystal, DynamicalSettings, SimulationSettings, build_library
from nbedex.phases import load_phase

CAMERA = Camera()
CALIBRATION = CAMERA.calibration((1.0, 1.0))
BETA, GOLD, PLATINUM = range(3)
PATTERNS = 60


@pytest.fixture(scope="module")
def engine():
    phases = [load_phase(name) for name in ("beta2-alumina", "au", "pt")]
    library = build_library(phases, SimulationSettings(voltage=300, step_deg=3.0))
    return make_engine(library, CALIBRATION, IndexingSettings(), frame_shape=(128, 128), center=(63.5, 63.5))


@pytest.fixture(scope="module")
def frames():
    """Thick crystals, hence patterns with one or two spots that outshine the rest: 60 of beta''-alumina, 60 of gold."""
    rng = np.random.default_rng(11)
    orientation = rng.normal(size=(2 * PATTERNS, 4))
    orientation /= np.linalg.norm(orientation, axis=1, keepdims=True)
    crystals = tuple(
        DynamicalCrystal(load_phase(name), DynamicalSettings(voltage=300, k_max=1.3))
        for name in ("beta2-alumina", "au")
    )
    number = np.arange(2 * PATTERNS)
    exposure = Exposure(camera=CAMERA, shape=(1, 2 * PATTERNS), crystals=crystals, empty=(False, False), seed=5)
    columns = Columns(
        position=number,
        region=number // PATTERNS,
        share=np.ones(2 * PATTERNS),
        depth_nm=rng.uniform(80, 120, 2 * PATTERNS),
        orientation=orientation,
    )
    return exposure.frames(columns), CAMERA.center(number, (1, 2 * PATTERNS))


def test_gold_does_not_win_patterns_of_other_crystals(engine, frames) -> None:
    """By scores alone 87 % of these patterns of beta''-alumina and all of the gold ones were found as what they are."""
    phase = index_block(*frames, engine)["phase_id"]
    assert (phase[:PATTERNS] == BETA).mean() > 0.9
    assert (phase[PATTERNS:] == GOLD).mean() > 0.95


def test_rivals_are_those_of_merit(engine, frames) -> None:
    """Against looking for all, and dropping those below the share of the best merit afterwards."""
    _, peaks, _, sums = _core.prepare_patterns(
        *frames, engine.sampler, engine.preprocessing, None, 0, True, engine.spot_filter
    )
    levels = noise_levels(sums[1], engine)
    found = searched(match_phases(peaks, engine, levels), engine, levels)
    match = msgspec.structs.replace(engine.settings.match, rival_share=0.0)
    everything = replace(engine, settings=msgspec.structs.replace(engine.settings, match=match))
    matches = match_phases(peaks, everything, levels)
    some_lower = 0
    for i in range(len(peaks)):
        every = [
            (float(m["score"][i, rank]) / levels[i, phase], -phase, -rank)
            for phase, m in enumerate(matches)
            for rank in range(m["score"].shape[1])
            if m["template_id"][i, rank] >= 0
        ]
        every.sort(reverse=True)
        best = every[0][0]
        kept = [e for place, e in enumerate(every) if place < 5 or e[2] == 0]
        expected = [(merit, -phase) for merit, phase, _ in kept if merit >= engine.settings.match.rival_share * best]
        mine = found.phase_id[i] >= 0
        np.testing.assert_allclose(found.merit[i, mine], [e[0] for e in expected], rtol=1e-6)
        assert found.phase_id[i, mine].tolist() == [e[1] for e in expected]
        score = found.score[i, mine]
        some_lower += bool((np.diff(score) > 0).any())
        np.testing.assert_allclose(score, found.merit[i, mine] * levels[i, found.phase_id[i, mine]], rtol=1e-6)
    assert some_lower > 10  # the order is not that of scores


def test_sums_known_from_preparation_change_no_bit(engine, frames) -> None:
    whole, peaks, _, sums = _core.prepare_patterns(
        *frames, engine.sampler, engine.preprocessing, None, 0, True, engine.spot_filter
    )
    levels = noise_levels(sums[1], engine)
    without, given = match_phases(peaks, engine, levels), match_phases(peaks, engine, levels, sums[1])
    for phase, same in zip(without, given, strict=True):
        for name, values in phase.items():
            np.testing.assert_array_equal(values, same[name])
    found = searched(without, engine, levels)
    first, second = refined(found, whole, engine, levels), refined(found, whole, engine, levels, sums[0])
    for field in fields(first):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name))
    with pytest.raises(ValueError, match="sums must have shape"):
        match_phases(peaks, engine, levels, sums[1][:-1].copy())
