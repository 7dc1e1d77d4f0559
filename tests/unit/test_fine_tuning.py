"""A run's calibration corrected by its own patterns: where they say so clearly, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from nbedex.calibrating import fine_tuned
from nbedex.calibrating.fine_tuning import corrected
from nbedex.calibrating.from_spots import engine_for, take_sample
from nbedex.calibrating.geometry import DetectorFit
from nbedex.calibration import Calibration
from nbedex.indexing import IndexingSettings
from nbedex.indexing.settings import OverlapSettings, RerankSettings
from nbedex.library import SimulationSettings, TemplateLibrary, build_library
from nbedex.maps import read_result
from nbedex.maps.result import ARRAYS
from nbedex.phases import load_phase
from nbedex.scan import memory_scan
from nbedex.settings import settings_from_toml
from nbedex.workflow import RunSettings, follow, run_to_file
from nbedex.workflow.options import CalibrationOptions, LibraryOptions, OutputOptions, ScanOptions
from oracles.calibration_patterns import Camera, spot_patterns

TRUE = Calibration(pixel_size=0.0125, voltage=300.0, ellipse_ratio=1.012, ellipse_angle_deg=35.0)
CAMERA = Camera(pixel_size=0.0125, ratio=1.012, angle_deg=35.0, center=(95.2, 97.4), shape=(190, 194))
SIMULATION = SimulationSettings(voltage=300, k_max=1.3, step_deg=3)
ROUND = {"ellipse_ratio": 1.0, "ellipse_angle_deg": 0.0}


@pytest.fixture(scope="module")
def library() -> TemplateLibrary:
    return build_library([load_phase("na2au")], SIMULATION, threads=1)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """(16, 16, 190, 194): 16 orientations, each in a row of the scan."""
    few = spot_patterns(CAMERA, "na2au", 16).reshape(16, 1, *CAMERA.shape)
    return np.repeat(few, 16, axis=1)


def test_wrong_scale_and_ellipse_become_right(library: TemplateLibrary, frames: np.ndarray) -> None:
    given = replace(TRUE, pixel_size=0.0125 * 1.01, **ROUND)
    found = fine_tuned(memory_scan(frames), library, given, threads=1)
    assert found.pixel_size == pytest.approx(0.0125, rel=5e-4)
    assert found.ellipse_ratio == pytest.approx(1.012, abs=1e-3)
    assert found.ellipse_angle_deg == pytest.approx(35.0, abs=3.0)
    assert replace(found, pixel_size=given.pixel_size, **ROUND) == given  # nothing else changes


def test_a_right_calibration_is_left_alone(library: TemplateLibrary, frames: np.ndarray) -> None:
    assert fine_tuned(memory_scan(frames), library, TRUE, threads=1) is TRUE


def test_the_number_of_threads_changes_nothing(library: TemplateLibrary, frames: np.ndarray) -> None:
    given = replace(TRUE, pixel_size=0.0125 * 0.992)
    one, three = (fine_tuned(memory_scan(frames), library, given, threads=n) for n in (1, 3))
    assert one == three and one != given


def test_spots_are_looked_at_by_matching_alone(library: TemplateLibrary, frames: np.ndarray) -> None:
    given = replace(TRUE, pixel_size=0.0125 * 1.01)
    costly = IndexingSettings(rerank=RerankSettings(mode="all"), overlap=OverlapSettings(max_crystals=2))
    engine = engine_for(take_sample(memory_scan(frames), costly), library, given, costly)
    assert engine.rerank is None and engine.settings.overlap.max_crystals == 1
    found = [fine_tuned(memory_scan(frames), library, given, indexing=some) for some in (None, costly)]
    assert found[0] == found[1] != given


@pytest.mark.parametrize("what", ["noise", "blank", "one orientation", "few patterns", "far off"])
def test_what_says_nothing_changes_nothing(what: str, library: TemplateLibrary, frames: np.ndarray) -> None:
    given = replace(TRUE, pixel_size=0.0125 * 1.01)
    if what == "noise":
        frames = np.random.default_rng(1).poisson(3.0, frames.shape).astype(np.uint16)
    elif what == "blank":
        frames = np.zeros_like(frames)
    elif what == "one orientation":
        frames = np.broadcast_to(frames[:1], frames.shape)
    elif what == "few patterns":
        frames = frames[:, :15]
    else:
        given = replace(TRUE, pixel_size=0.0125 * 1.08)
    assert fine_tuned(memory_scan(frames), library, given, threads=1) is given


def fit(scale: float, p: float = 0.0, error: float = 1e-4) -> DetectorFit:
    return DetectorFit(
        log_pixel_size=np.log(0.0125) + scale, p=p, q=0.0, covariance=np.diag([error**2, error**2, error**2])
    )


def test_only_what_is_clearly_off_is_corrected() -> None:
    given = replace(TRUE, **ROUND)
    scaled, stretched = corrected(given, fit(0.01, 0.0005)), corrected(given, fit(0.0005, 0.005))
    assert scaled.pixel_size == pytest.approx(0.0125 * np.exp(0.01)) and scaled.ellipse_ratio == 1.0
    assert stretched.ellipse_ratio == pytest.approx(np.exp(0.01)) and stretched.pixel_size == 0.0125
    for alone in (fit(0.001), fit(0.01, error=0.003), fit(0.0, 0.005, error=0.002), fit(0.04), fit(0.01, 0.04)):
        assert corrected(given, alone) is given


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, frames: np.ndarray) -> RunSettings:
    """Options of a run whose pixel size is 1 % off, of bins of two pixels."""
    folder = tmp_path_factory.mktemp("tuned")
    np.save(folder / "scan.npy", frames)
    return RunSettings(
        scan=ScanOptions(path=str(folder / "scan.npy"), bin=2),
        calibration=CalibrationOptions(pixel_size=0.0125 * 1.01, voltage=300.0),
        library=LibraryOptions(phases=("na2au",), k_max=1.3, step_deg=3.0),
        output=OutputOptions(path=str(folder / "map.h5")),
        threads=1,
    )


def test_a_run_says_what_it_used_and_its_options_repeat_it(written: RunSettings) -> None:
    path = Path(written.output.path or "")
    run_to_file(written)
    first = read_result(path)
    assert first.calibration.pixel_size == pytest.approx(2 * 0.0125, rel=1e-3)
    assert first.calibration.ellipse_ratio == pytest.approx(1.012, abs=2e-3)
    assert "the calibration given is off" in Path(f"{path}.log").read_text(encoding="utf-8")
    used = settings_from_toml(RunSettings, f"{path}.toml")
    assert not used.calibration.fine_tune
    assert used.calibration.pixel_size == pytest.approx(first.calibration.pixel_size / 2, rel=1e-15)
    again = msgspec.structs.replace(used.output, path=str(path.with_name("again.h5")))
    run_to_file(msgspec.structs.replace(used, output=again))
    second = read_result(path.with_name("again.h5"))
    assert second.calibration == first.calibration
    np.testing.assert_array_equal(second.orientation, first.orientation)
    np.testing.assert_array_equal(second.index, first.index)


def test_a_run_keeps_what_was_given_if_asked_to(written: RunSettings) -> None:
    kept = msgspec.structs.replace(written.calibration, fine_tune=False)
    path = Path(written.output.path or "").with_name("kept.h5")
    output = msgspec.structs.replace(written.output, path=str(path))
    run_to_file(msgspec.structs.replace(written, calibration=kept, output=output))
    assert read_result(path).calibration.pixel_size == 2 * 0.0125 * 1.01


def test_a_followed_run_is_corrected_when_all_is_there(written: RunSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found live went by the calibration given, so none of it is kept."""
    live: list[tuple[int, int]] = []
    confirmed = follow._Live.confirmed

    def watched(self: Any, task: Any) -> Any:
        kept = list(confirmed(self, task))
        live.append((self.done, len(kept)))
        yield from kept

    monkeypatch.setattr(follow._Live, "confirmed", watched)
    monkeypatch.setattr(follow, "_SETTLED", 0.5)
    center = msgspec.structs.replace(written.center, method="fixed", position=CAMERA.center)
    library = msgspec.structs.replace(written.library, k_max=1.1)  # within the detector, whatever its scale
    found = []
    for name, run in (("followed.h5", follow.follow), ("waited.h5", run_to_file)):
        path = Path(written.output.path or "").with_name(name)
        output = msgspec.structs.replace(written.output, path=str(path))
        run(msgspec.structs.replace(written, center=center, library=library, output=output))
        found.append(read_result(path))
    assert found[0].calibration == found[1].calibration
    assert found[0].calibration.pixel_size == pytest.approx(2 * 0.0125, rel=1e-3)
    for array in ARRAYS:
        assert getattr(found[0], array).tobytes() == getattr(found[1], array).tobytes(), array
    ((done, kept),) = live
    assert done > 0 and kept == 0
