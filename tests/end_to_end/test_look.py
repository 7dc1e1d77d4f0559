"""`nbedex look`: what is shown of a pattern is what indexing does with it."""

from __future__ import annotations

import numpy as np
import pytest

from nbedex.cli import main
from nbedex.demo import Camera, Raster, ScanSettings, make_scan, simulate_scan
from nbedex.errors import ArgumentError
from nbedex.indexing import IndexingSettings, index_scan, look_at
from nbedex.library import SimulationSettings, build_library
from nbedex.maps.result import Status
from nbedex.scan import memory_scan
from oracles.small_specimen import small_specimen

SETTINGS = ScanSettings(raster=Raster(shape=(9, 9)), camera=Camera(), seed=3)


@pytest.fixture(scope="module")
def truth():
    return make_scan(small_specimen(), SETTINGS)


@pytest.fixture(scope="module")
def library(truth):
    return build_library(truth.truth.phases, SimulationSettings(voltage=300, step_deg=5))


def test_record_is_that_of_the_whole_run(truth, library):
    scan = memory_scan(truth.frames)
    settings = IndexingSettings()
    result = index_scan(scan, library, truth.calibration, settings=settings)
    view = look_at(scan, library, truth.calibration, row=2, column=7, settings=settings)
    assert view.record["index"] == result.index[2, 7]
    np.testing.assert_array_equal(view.record["rival_orientation"], result.rival_orientation[2, 7])
    np.testing.assert_array_equal(view.frame, truth.frames[2, 7])
    assert np.hypot(*(view.center - result.center[2, 7])) < 1e-4


def test_spots_lie_on_bright_pixels(truth, library):
    """The overlay goes through calibration and orientation: the strongest spots are where the pattern is bright."""
    scan = memory_scan(truth.frames)
    row, column = np.argwhere((truth.truth.phase_id == 0) & ~truth.truth.mixed)[0]
    view = look_at(scan, library, truth.calibration, row=int(row), column=int(column))
    strongest = view.spots[np.argsort(view.spots[:, 2])[-6:]]
    x, y = view.to_detector @ strongest[:, :2].T
    at_spots = view.frame[np.round(view.center[0] + y).astype(int), np.round(view.center[1] + x).astype(int)]
    at_mirror = view.frame[np.round(view.center[0] - y).astype(int), np.round(view.center[1] + x).astype(int)]
    assert np.median(at_spots) > 5 * max(np.median(at_mirror), 1)


def test_a_pattern_without_spots_is_shown_all_the_same(truth, library):
    """With the best that a search would find, though a run does not search it."""
    frames = truth.frames.copy()
    frames[4, :] = np.random.default_rng(2).poisson(3.0, frames[4].shape)
    view = look_at(memory_scan(frames), library, truth.calibration, row=4, column=4)
    assert view.status == Status.NO_SPOTS and view.record["status"] == Status.NO_MATCH
    assert view.record["index"] > 0 and len(view.spots) > 0 and view.prepared.any()
    assert index_scan(memory_scan(frames), library, truth.calibration).status[4, 4] == Status.NO_SPOTS


def test_outside_the_scan(truth, library):
    with pytest.raises(ArgumentError, match=r"pattern \(9, 0\) lies outside the scan of 9 x 9"):
        look_at(memory_scan(truth.frames), library, truth.calibration, row=9, column=0)


def test_command_writes_a_picture(truth, tmp_path, capsys):
    simulate_scan(small_specimen(), tmp_path / "scan.hspy", SETTINGS)
    picture = tmp_path / "look.png"
    command = [
        "look",
        str(tmp_path / "scan.hspy"),
        "--at",
        "2,7",
        "--phase",
        "na2au",
        "--step",
        "5",
        "--to",
        str(picture),
    ]
    assert main([*command, "--quiet"]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    before = picture.read_bytes()
    assert main([*command, "--quiet"]) == 5
    assert "look.png" in capsys.readouterr().err
    assert picture.read_bytes() == before
