"""Frames and signs, end to end: patterns of diffsims at known orientations, on detectors turned and mirrored."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from nbedex.calibration import Calibration
from nbedex.indexing.block import index_block
from nbedex.indexing.contrast import NOISE
from nbedex.indexing.engine import Engine, make_engine
from nbedex.indexing.settings import IndexingSettings, MatchSettings, PreprocessSettings
from nbedex.library import SimulationSettings, TemplateLibrary, build_library
from nbedex.maps.result import Status
from nbedex.phases import load_phase
from oracles.laue_groups import PROPER, disorientation_deg, matrix, random_quaternions

# name: group, pixel in 1/angstrom (crystals of small cells need a larger view to have spots enough)
CASES = {
    "beta2-alumina": ("-3m1", 0.0195),
    "nzsp": ("2/m, b unique", 0.0195),
    "na2au": ("4/mmm", 0.024),
    "zro2-m": ("2/m, b unique", 0.024),
    "au": ("m-3m", 0.034),
}
SIZE = 128
CENTER = (62.3, 64.8)
VOLTAGE = 200.0
DETECTORS = [(0.0, False), (37.0, False), (0.0, True), (37.0, True)]


@cache
def library(name: str) -> TemplateLibrary:
    pixel = CASES[name][1]
    settings = SimulationSettings(voltage=VOLTAGE, k_max=61 * pixel, step_deg=3.0, max_excitation_error=0.03)
    return build_library([load_phase(name)], settings)


@cache
def spots(name: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (n, 2), kx and ky in the sample frame, and intensities, from diffsims; Ewald sphere and all."""
    from diffsims.generators.simulation_generator import SimulationGenerator
    from orix.quaternion import Rotation

    phase = load_phase(name)
    pattern = (
        SimulationGenerator(accelerating_voltage=VOLTAGE, minimum_intensity=1e-4)
        .calculate_diffraction2d(
            replace(phase, u_iso=np.zeros_like(phase.u_iso)).to_orix(),
            rotation=Rotation(truth(name)[number][None]),
            reciprocal_radius=64 * CASES[name][1],
            with_direct_beam=False,
            max_excitation_error=0.02,
        )
        .coordinates
    )
    return np.asarray(pattern.data)[:, :2], np.asarray(pattern.intensity)


@cache
def truth(name: str) -> np.ndarray:
    """Two general orientations; of gold, ones with eleven spots or more that no half turn repeats (one in 16 is)."""
    return random_quaternions(2, seed=29 if name == "au" else len(name) + 20)


def render(name: str, number: int, rotation_deg: float, flipped: bool) -> np.ndarray:
    """One frame, uint16. From sample frame to detector by hand: turn back, then mirror the rows."""
    k, intensity = spots(name, number)
    angle = np.deg2rad(rotation_deg)
    along_columns = k @ [np.cos(angle), np.sin(angle)]
    along_rows = k @ [-np.sin(angle), np.cos(angle)]
    column = CENTER[1] + along_columns / CASES[name][1]
    row = CENTER[0] + (-along_rows if flipped else along_rows) / CASES[name][1]
    y, x = np.mgrid[:SIZE, :SIZE]
    image = 4000 * np.exp(-((y - CENTER[0]) ** 2 + (x - CENTER[1]) ** 2) / 2) + 8
    for r, c, i in zip(row, column, intensity / intensity.max(), strict=True):
        image += 600 * i * np.exp(-((y - r) ** 2 + (x - c) ** 2) / (2 * 0.9**2))
    return np.random.default_rng(number).poisson(image).astype(np.uint16)


def engine(
    name: str, rotation_deg: float, flipped: bool, settings: IndexingSettings | None = None, **changes: Any
) -> Engine:
    calibration = Calibration(pixel_size=CASES[name][1], voltage=VOLTAGE, rotation_deg=rotation_deg, flipped=flipped)
    return make_engine(
        library(name), calibration, settings or IndexingSettings(), frame_shape=(SIZE, SIZE), center=CENTER, **changes
    )


def errors_deg(name: str, actual: tuple[float, bool], said: tuple[float, bool]) -> list[float]:
    """Angles between truth and what is found, where the detector is `actual` and the calibration says `said`."""
    frames = np.stack([render(name, n, *actual) for n in range(len(truth(name)))])
    records = index_block(frames, np.array([CENTER] * len(frames)), engine(name, *said))
    assert (records["status"] == Status.OK).all() and (records["phase_id"] == 0).all()
    proper = PROPER[CASES[name][0]]
    return [
        disorientation_deg(matrix(q), matrix(o), proper)
        for q, o in zip(truth(name), records["orientation"], strict=True)
    ]


@pytest.mark.parametrize("detector", DETECTORS, ids=["plain", "turned", "flipped", "turned and flipped"])
@pytest.mark.parametrize("name", CASES)
def test_the_true_orientation_is_found(name: str, detector: tuple[float, bool]) -> None:
    assert max(errors_deg(name, detector, detector)) < 3.0


@pytest.mark.parametrize(
    ("actual", "said"),
    [
        ((37.0, False), (0.0, False)),
        ((37.0, False), (-37.0, False)),
        ((0.0, True), (0.0, False)),
        ((37.0, True), (37.0, False)),
        ((37.0, True), (-37.0, True)),
    ],
)
@pytest.mark.parametrize("name", ["beta2-alumina", "zro2-m"])
def test_a_wrong_calibration_finds_another_orientation(
    name: str, actual: tuple[float, bool], said: tuple[float, bool]
) -> None:
    assert min(errors_deg(name, actual, said)) > 5.0


def test_phases_are_told_apart() -> None:
    """One library of two phases, frames of both; all candidates, and only those that are rivals."""
    both = TemplateLibrary(
        settings=library("zro2-m").settings,
        phases=library("zro2-m").phases + library("na2au").phases,
        spots=library("zro2-m").spots + library("na2au").spots,
    )
    calibration = Calibration(pixel_size=0.024, voltage=VOLTAGE)
    frames = np.stack([render(name, n, 0.0, False) for name in ("zro2-m", "na2au") for n in (0, 1)])

    def index(rival_share: float) -> np.ndarray:
        settings = IndexingSettings(match=MatchSettings(rival_share=rival_share))
        run = make_engine(both, calibration, settings, frame_shape=(SIZE, SIZE), center=CENTER)
        return index_block(frames, np.array([CENTER] * 4), run)

    records = index(0.0)
    assert records["phase_id"].tolist() == [0, 0, 1, 1]
    assert (records["phase_reliability"] > 5).all()
    scores = records["phase_score"]
    assert (scores[[0, 1], 0] > scores[[0, 1], 1]).all() and (scores[[2, 3], 1] > scores[[2, 3], 0]).all()
    assert (records["index"] == scores.max(axis=1)).all()
    for scores_of, phases_of in zip(records["rival_score"], records["rival_phase_id"], strict=True):
        for phase in (
            0,
            1,
        ):  # rivals stand in the order of merit (score over level), which is that of scores in a phase
            assert (np.diff(scores_of[phases_of == phase]) <= 0).all()
    np.testing.assert_array_equal(records["rival_orientation"][:, 0], records["orientation"])

    share = 0.9
    fewer = index(share)
    for name in ("phase_id", "orientation", "index", "mirror_margin", "status", "template_id"):
        np.testing.assert_array_equal(fewer[name], records[name], err_msg=name)
    rival = records["rival_score"] >= np.float32(share) * records["index"][:, None]
    assert rival[:, 0].all() and not rival.all()
    np.testing.assert_array_equal(fewer["rival_score"], np.where(rival, records["rival_score"], np.nan))
    np.testing.assert_array_equal(fewer["rival_phase_id"], np.where(rival, records["rival_phase_id"], -1))
    np.testing.assert_array_equal(fewer["phase_score"] >= 0, scores >= np.float32(share) * records["index"][:, None])
    for name in ("reliability", "phase_reliability"):  # beyond 10 percent: at least 10 percent
        np.testing.assert_allclose(fewer[name], np.minimum(records[name], 10.0), rtol=1e-5, err_msg=name)


def test_records_do_not_depend_on_the_block() -> None:
    frames = np.stack([render("zro2-m", n, 0.0, False) for n in (0, 1, 0)])
    frames[1] = 3  # blank
    run = engine("zro2-m", 0.0, False)
    centers = np.array([CENTER] * 3)
    whole = index_block(frames, centers, run, threads=2)
    single = np.concatenate([index_block(frames[i : i + 1], centers[i : i + 1], run, threads=1) for i in range(3)])
    assert whole.tobytes() == single.tobytes()
    assert whole["status"].tolist() == [Status.OK, Status.BLANK, Status.OK]
    assert whole["phase_id"][1] == -1 and np.isnan(whole["orientation"][1]).all()


def test_noise_has_no_match() -> None:
    frames = np.random.default_rng(1).poisson(30, (3, SIZE, SIZE)).astype(np.uint16)
    records = index_block(frames, np.array([CENTER] * 3), engine("zro2-m", 0.0, False))
    assert (records["status"] == Status.NO_MATCH).all()
    assert (records["phase_id"] == -1).all() and np.isnan(records["orientation"]).all()
    assert not records["mirrored"].any()
    sparing = IndexingSettings(preprocess=PreprocessSettings(min_contrast=NOISE))
    records = index_block(frames, np.array([CENTER] * 3), engine("zro2-m", 0.0, False, sparing))
    assert (records["status"] == Status.NO_SPOTS).all()
    assert (records["phase_id"] == -1).all() and np.isnan(records["index"]).all()
