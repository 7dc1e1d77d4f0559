"""Answers that chance would do as well as are refused: the counting, the bound, and what it does to patterns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from nbedex import _core
from nbedex.indexing import IndexingSettings, MatchSettings, index_block, make_engine
from nbedex.indexing.coincidence import coincidental, explained_light
from nbedex.indexing.engine import EXCITATION_WIDTH, Engine
from nbedex.library import kinematical_intensities
from nbedex.maps import Status, multiply
from nbedex.phases import load_phase
from oracles.small_scan import (
    CALIBRATION,
    CENTER,
    DETECTOR,
    PHASES,
    SIMULATION,
    orientations,
    small_library,
    small_scan,
)
from oracles.spots_oracle import chance_bound, spots_met


@pytest.fixture(scope="module")
def engine() -> Engine:
    return make_engine(small_library(), CALIBRATION, IndexingSettings(), frame_shape=DETECTOR, center=CENTER)


def prepared(engine: Engine, frames: np.ndarray) -> np.ndarray:
    centers = np.tile(CENTER, (len(frames), 1))
    _, peaks, _, _ = _core.prepare_patterns(
        np.ascontiguousarray(frames), centers, engine.sampler, engine.preprocessing, None, 1, True, engine.spot_filter
    )
    assert peaks is not None
    return peaks


def test_counting_against_the_slow_twin(engine: Engine) -> None:
    """Right and wrong orientations of both phases, one pattern without any."""
    peaks = prepared(engine, small_scan().reshape(-1, *DETECTOR)[:6])
    truth = orientations(20)[:6]
    of = np.array([0, 0, 0, 1, 0, -1], dtype=np.int16)
    truth[2] = truth[0]
    found = engine.model.spots_met(peaks, of, truth, engine.spot_radius, 1)
    assert found[5].tolist() == [0, 0, 1]
    for i in (0, 2, 3):
        _, g, intensity = kinematical_intensities(load_phase(PHASES[of[i]]), SIMULATION)
        expected = spots_met(
            g, intensity, truth[i], peaks[i], engine.grid, radius=engine.spot_radius,
            width=EXCITATION_WIDTH * SIMULATION.max_excitation_error, exponent=0.25,
        )  # fmt: skip
        np.testing.assert_allclose(found[i, :2], expected[:2], atol=1e-6)
        # bins on the very rim of the radius
        assert np.log(found[i, 2]) == pytest.approx(np.log(expected[2]), rel=0.03, abs=0.05)
    assert found[0, 1] > 0.4 * found[0, 0] and found[0, 2] < 1e-3  # right: far more than by chance
    assert found[2, 1] < found[0, 1] and found[2, 2] > 0.02
    several = engine.model.spots_met(peaks, of, truth, engine.spot_radius, 3)
    assert several.tobytes() == found.tobytes()
    for enough in (0.02, 1e-3, found[0, 2]):  # counting ends early, where the answer to the question is known
        early = engine.model.spots_met(peaks, of, truth, engine.spot_radius, 1, enough)
        low = found[:, 2] <= enough
        np.testing.assert_array_equal(early[:, 2] <= enough, low)
        np.testing.assert_array_equal(early[~low], found[~low])
        assert (early[low, 0] <= found[low, 0]).all()
    assert engine.model.spots_met(peaks, of, truth, engine.spot_radius, 1, 0.02)[0, 0] < found[0, 0]


@pytest.mark.parametrize("n_azimuths", [40, 64, 100, 128, 360])
def test_a_crystal_turned_with_its_peaks_meets_as_many(n_azimuths: int) -> None:
    """What is counted does not depend on where rows of bins begin, nor on where words of 64 bins end."""
    _, g, intensity = kinematical_intensities(load_phase(PHASES[0]), SIMULATION)
    crystal = _core.KinematicCrystal(g=g, intensity=intensity, template_exponent=0.25, symmetry=np.eye(4)[:1])
    grid = _core.PolarGrid(n_rings=40, n_azimuths=n_azimuths, k_min=0.1, k_max=1.1)
    options = _core.RefineOptions(
        wavelength=0.0197, excitation_width=0.01, precession_angle=0.0, reach=0.03, distinct_angle=0.1
    )
    model = _core.KinematicModel([crystal], grid, options)
    rng = np.random.default_rng(n_azimuths)
    lit = rng.random((40, n_azimuths)) < 0.08
    for axis, by in ((1, 1), (0, 1)):
        lit = lit | np.roll(lit, by, axis=axis)
    turns = np.arange(0, n_azimuths, 7)
    peaks = np.stack([np.roll(lit, turn, axis=1) for turn in turns]).astype(np.float32)
    half = np.pi * turns / n_azimuths
    about_beam = np.stack([np.cos(half), 0 * half, 0 * half, -np.sin(half)], axis=1)
    turned = np.ascontiguousarray(multiply(orientations(1), about_beam))
    found = model.spots_met(peaks, np.zeros(len(turns), np.int16), turned, 0.04, 1)
    assert 0 < found[0, 1] < found[0, 0]
    np.testing.assert_allclose(found, np.broadcast_to(found[0], found.shape), rtol=1e-9)


def test_the_bound_is_one() -> None:
    """Never below the binomial tail, within a factor of ten."""
    for n, k, q in ((10, 5, 0.1), (40, 12, 0.1), (3, 3, 0.2), (25, 25, 0.5)):
        tail = binom.sf(k - 1, n, q)
        assert tail * (1 - 1e-9) <= chance_bound(n, k, q) < 10 * tail
    assert chance_bound(10, 1, 0.1) == chance_bound(10, 0, 0.0) == 1


def test_light_under_a_mask(engine: Engine) -> None:
    """Two squares of three bins, one of them marked, and a lone bright bin that does not count."""
    grid = engine.grid
    peaks = np.zeros((1, grid.n_rings, grid.n_azimuths), dtype=np.float32)
    peaks[0, 10:13, 40:43] = peaks[0, 10:13, -1:] = peaks[0, 10:13, :2] = 2.0
    peaks[0, 30, 200] = 50.0
    mask = np.zeros(peaks.shape, dtype=bool)
    mask[0, :, 40:43] = True
    assert explained_light(peaks, mask, engine) == pytest.approx([0.5])
    assert explained_light(0 * peaks, mask, engine).tolist() == [0.0]


def test_what_happens_to_patterns(engine: Engine) -> None:
    """Right answers stay; peaks moved to other places are refused; the option switches it off."""
    frames = small_scan().reshape(-1, *DETECTOR)
    centers = np.tile(CENTER, (len(frames), 1))
    records = index_block(frames, centers, engine, threads=1)
    assert (records["status"] == Status.OK).all()
    peaks = prepared(engine, frames)
    moved = np.ascontiguousarray(np.roll(peaks, 17, axis=2))
    refused = coincidental(records["phase_id"], records["orientation"], moved, engine)
    assert refused.mean() > 0.8
    options = IndexingSettings(match=MatchSettings(max_chance=1.0))
    lenient = replace(engine, settings=options)
    assert not coincidental(records["phase_id"], records["orientation"], moved, lenient).any()
    none = coincidental(np.full(len(frames), -1, dtype=np.int16), records["orientation"], peaks, engine)
    assert none.all()
