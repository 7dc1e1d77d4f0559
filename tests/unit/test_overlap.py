"""Two crystals in one pattern, where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex.indexing import IndexingSettings, OverlapSettings, index_block, make_engine
from nbedex.indexing.engine import Engine
from nbedex.indexing.overlap import spot_mask
from nbedex.library import SimulationSettings, kinematical_intensities, simulate
from nbedex.maps.orientation import disorientation_angle, to_matrix
from nbedex.phases import load_phase
from oracles.small_scan import CALIBRATION, CENTER, DETECTOR, PHASES, orientations, small_library

FRAMES = 8


@pytest.fixture(scope="module")
def engine() -> Engine:
    settings = IndexingSettings(overlap=OverlapSettings(max_crystals=3))
    return make_engine(small_library(), CALIBRATION, settings, frame_shape=DETECTOR, center=CENTER)


def spots_image(phase: str, orientation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum 1; the direct beam is left out."""
    settings = SimulationSettings(voltage=300.0, k_max=1.2, max_excitation_error=0.018)
    pattern = simulate(load_phase(phase), orientation[None], settings, threads=1).pattern(0)
    x, y = CALIBRATION.detector_from_sample() @ np.stack([pattern["kx"], pattern["ky"]]).astype(float)
    rows, columns = np.ogrid[: DETECTOR[0], : DETECTOR[1]]
    places = zip(y + CENTER[0], x + CENTER[1], pattern["intensity"], strict=True)
    image = sum(i * np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / 1.2) for r, c, i in places)
    return np.asarray(image / image.sum())


def mixed(shares: tuple[float, ...], seed: int) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """Frames (n, y, x) of the crystals na2au, beta2-alumina, na2au with these shares of the spots; (n, crystals, 4)."""
    rng = np.random.default_rng(seed)
    truth = np.stack([orientations(FRAMES, seed + 10 * k) for k in range(len(shares))], axis=1)
    frames = []
    for p in range(FRAMES):
        crystals = zip(shares, (PHASES[0], PHASES[1], PHASES[0]), truth[p], strict=False)
        image = sum(share * spots_image(phase, q) for share, phase, q in crystals)
        frames.append(rng.poisson(4e4 * image + 0.5))
    return np.array(frames, dtype=np.uint16), truth


def error_deg(found: NDArray[np.float64], truth: NDArray[np.float64], phase: str) -> NDArray[np.float64]:
    return np.rad2deg(disorientation_angle(found, truth, load_phase(phase).symmetry_quaternions))


def test_the_second_crystal_and_its_share(engine: Engine) -> None:
    frames, truth = mixed((0.65, 0.35), 3)
    records = index_block(frames, np.tile(CENTER, (FRAMES, 1)), engine, threads=1)
    first = (records["phase_id"] == 0) & (error_deg(records["orientation"], truth[:, 0], PHASES[0]) < 2)
    second = records["overlap_phase_id"][:, 0] == 1
    off = error_deg(records["overlap_orientation"][second, 0], truth[second, 1], PHASES[1])
    assert first.sum() >= 6
    assert second.sum() >= 5
    assert (off < 3).mean() >= 0.8
    # on so coarse a detector spots of beta" stand in each other's surroundings, which the spot filter takes off
    np.testing.assert_allclose(np.median(records["overlap_share"][first & second, 0]), 0.35, atol=0.13)
    assert (records["overlap_probability"][second, 0] > 0.5).all()
    nothing = records["overlap_phase_id"] < 0
    assert np.isnan(records["overlap_orientation"][nothing]).all() and np.isnan(records["overlap_share"][nothing]).all()


def test_one_crystal_is_one(engine: Engine) -> None:
    frames, _ = mixed((1.0,), 5)
    records = index_block(frames, np.tile(CENTER, (FRAMES, 1)), engine, threads=1)
    assert (records["phase_id"] >= 0).all()
    assert (records["overlap_phase_id"][:, 0] >= 0).sum() <= 1


def test_noise_has_none(engine: Engine) -> None:
    frames = np.random.default_rng(8).poisson(3.0, (FRAMES, *DETECTOR)).astype(np.uint16)
    records = index_block(frames, np.tile(CENTER, (FRAMES, 1)), engine, threads=1)
    assert (records["phase_id"] < 0).all() and (records["overlap_phase_id"] < 0).all()


def test_block_and_threads_do_not_matter(engine: Engine) -> None:
    frames, _ = mixed((0.6, 0.4), 7)
    centers = np.tile(CENTER, (FRAMES, 1))
    whole = index_block(frames, centers, engine, threads=2)
    parts = [index_block(frames[i : i + 1], centers[i : i + 1], engine, threads=1) for i in range(FRAMES)]
    for name in whole.dtype.names or ():
        np.testing.assert_array_equal(whole[name], np.concatenate(parts)[name])


def test_mask_is_what_lies_near_spots(engine: Engine) -> None:
    """Against the definition: every bin, every reflection."""
    q = orientations(2, 12)
    mask = spot_mask(np.array([0, -1], dtype=np.int16), q, engine, threads=1)
    assert not mask[1].any()
    grid, phase = engine.grid, load_phase(PHASES[0])
    _, g, intensity = kinematical_intensities(phase, engine.simulation)
    sample = g[intensity > 0] @ to_matrix(q[0])
    wavelength = 0.0196875
    s = 1 / wavelength - np.sqrt(1 / wavelength**2 - sample[:, 0] ** 2 - sample[:, 1] ** 2) - sample[:, 2]
    limit = 0.007 * np.sqrt(2 * 2.3 / engine.settings.refine.template_exponent)
    spots = sample[np.abs(s) < limit, :2]
    width = (grid.k_max - grid.k_min) / grid.n_rings
    r = grid.k_min + (np.arange(grid.n_rings) + 0.5) * width
    a = 2 * np.pi * np.arange(grid.n_azimuths) / grid.n_azimuths
    expected = np.zeros(mask.shape[1:], dtype=bool)
    for x, y in spots:
        off = r - np.hypot(x, y)
        turn = np.abs((a - np.arctan2(y, x) + np.pi) % (2 * np.pi) - np.pi)
        inside = np.abs(off) <= engine.spot_radius
        half = np.sqrt(np.maximum(engine.spot_radius**2 - off**2, 0)) / r
        expected |= inside[:, None] & (turn[None] <= half[:, None])
    assert 0.05 < expected.mean() < 0.9
    assert (mask[0] != expected).mean() < 1e-3  # spots at the very edge of the excitation error
