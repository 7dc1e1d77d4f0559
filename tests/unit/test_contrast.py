"""Patterns without spots are left out of the search, but only where they are found to be noise."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex.indexing import CenterSettings, IndexingSettings, MatchSettings, PreprocessSettings, index_scan
from nbedex.indexing.contrast import NOISE
from nbedex.indexing.prepare import prepare
from nbedex.library import TemplateLibrary
from nbedex.maps.result import Status
from nbedex.scan import memory_scan
from oracles.small_scan import CALIBRATION, CENTER, DETECTOR, small_library, small_scan

FIXED = CenterSettings(method="fixed", position=CENTER)
SETTINGS = IndexingSettings(center=FIXED, preprocess=PreprocessSettings(disk_radius=1.5))


@pytest.fixture(scope="module")
def library() -> TemplateLibrary:
    return small_library()


def with_noise(rows: int) -> NDArray[np.uint16]:
    frames = small_scan((6, 5))
    frames[:rows] = np.random.default_rng(4).poisson(40.0, (rows, 5, *DETECTOR))
    return frames


def chosen(frames: NDArray[np.uint16], library: TemplateLibrary, settings: IndexingSettings = SETTINGS) -> float | None:
    engine, _ = prepare(memory_scan(frames), library, CALIBRATION, settings=settings, threads=1)
    return engine.settings.preprocess.min_contrast


@pytest.mark.parametrize("rows", [0, 3, 6])
def test_noise_is_left_out(library: TemplateLibrary, rows: int, caplog: pytest.LogCaptureFixture) -> None:
    frames = with_noise(rows)
    with caplog.at_level(logging.INFO):
        result = index_scan(memory_scan(frames), library, CALIBRATION, settings=SETTINGS, threads=1)
    assert (result.status[:rows] == Status.NO_SPOTS).all() and (result.status[rows:] == Status.OK).all()
    assert result.provenance["settings"]["preprocess"]["min_contrast"] == NOISE
    told = f"{5 * rows} of 30 patterns looked at have no spots: such are not searched"
    assert (told in caplog.text) == (rows > 0)
    everything = IndexingSettings(center=FIXED, preprocess=PreprocessSettings(disk_radius=1.5, min_contrast=0.0))
    searched = index_scan(memory_scan(frames), library, CALIBRATION, settings=everything, threads=1)
    assert (searched.status[:rows] == Status.NO_MATCH).all()
    for name in ("orientation", "index", "rival_score", "probability"):
        assert getattr(searched, name)[rows:].tobytes() == getattr(result, name)[rows:].tobytes(), name


def test_crystals_that_look_like_noise_are_searched(
    library: TemplateLibrary, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As patterns of equal spots and no background may: no contrast tells them from single counts of noise."""
    monkeypatch.setattr("nbedex.indexing.contrast.NOISE", 90.0)  # all are below
    frames = small_scan((6, 5))
    with caplog.at_level(logging.INFO):
        assert chosen(frames, library) == 0.0
    assert "30 of 30 patterns have few spots, but 30 of these are of crystals: all are searched" in caplog.text
    assert (index_scan(memory_scan(frames), library, CALIBRATION, settings=SETTINGS).status == Status.OK).all()
    given = IndexingSettings(center=FIXED, preprocess=PreprocessSettings(disk_radius=1.5, min_contrast=90.0))
    assert chosen(frames, library, given) == 90.0, "who says so has it"
    assert (index_scan(memory_scan(frames), library, CALIBRATION, settings=given).status == Status.NO_SPOTS).all()


def test_one_crystal_in_twenty_is_enough(library: TemplateLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbedex.indexing.contrast.NOISE", 90.0)
    frames = with_noise(6)
    frames[2, 2] = small_scan((1, 1))[0, 0]
    assert chosen(frames, library) == 90.0  # one of thirty
    frames[5, 1] = small_scan((1, 1))[0, 0]
    assert chosen(frames, library) == 0.0


def test_own_centres_and_a_blank_scan(library: TemplateLibrary) -> None:
    """Per-pattern centres are used here, too; a scan of blank patterns has nothing to look at."""
    frames = with_noise(3)
    own = IndexingSettings(center=CenterSettings(method="per-pattern"), match=MatchSettings(n_best=2))
    assert chosen(frames, library, own) == NOISE
    blank = np.zeros_like(frames)
    off = IndexingSettings(center=FIXED, preprocess=PreprocessSettings(disk_radius=1.5, hot_pixels=False))
    assert chosen(blank, library, off) == NOISE
