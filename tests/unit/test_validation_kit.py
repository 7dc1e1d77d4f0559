"""bench/accuracy: seeds that never mix, frames in nbedex's convention, judgements that can fail."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

ACCURACY = Path(__file__).parents[2] / "bench" / "accuracy"
if not ACCURACY.is_dir():
    pytest.skip("the benchmarks are not part of this copy", allow_module_level=True)
sys.path.insert(0, str(ACCURACY))

from validate_pyxem import orientations  # noqa: E402
from validation import exchange  # noqa: E402
from validation.conditions import CONDITIONS, Crystal, Detector, condition, orientation, thickness  # noqa: E402
from validation.detector import detector_matrix, frames  # noqa: E402
from validation.judge import Answers, Scores, calibration_rows, confidence_rows, score, wilson  # noqa: E402

from nbedex.calibration import Calibration  # noqa: E402
from nbedex.library import SimulationSettings, simulate  # noqa: E402
from nbedex.maps import multiply  # noqa: E402
from nbedex.phases import load_phase  # noqa: E402


def spots_of(k: list[list[float]], intensity: list[float], *, n: int = 1) -> exchange.Patterns:
    hkl = np.arange(3 * len(k)).reshape(-1, 3)  # the first is the direct beam
    hkl[0] = 0
    return exchange.Patterns(
        np.tile([1.0, 0, 0, 0], (n, 1)), np.full(n, 50.0), [hkl] * n, [np.array(k)] * n, [np.array(intensity)] * n
    )


def test_splits_and_phases_have_orientations_of_their_own() -> None:
    seen = np.array(
        [
            orientation(phase, split, i)
            for phase in ("nzsp", "na2au")
            for split in ("tuning", "held-out")
            for i in range(40)
        ]
    )
    closest = np.abs(seen @ seen.T)
    np.fill_diagonal(closest, 0)
    assert closest.max() < 0.9999
    assert np.array_equal(orientation("nzsp", "tuning", 3), orientation("nzsp", "tuning", 3))
    depths = [thickness("nzsp", "tuning", i, (30.0, 120.0)) for i in range(200)]
    assert 30 <= min(depths) < 40 and 110 < max(depths) <= 120


def test_tuning_never_sees_what_is_held_out() -> None:
    with pytest.raises(SystemExit, match="condition 'harsh' is kept from tuning; ask for it with --split held-out"):
        condition("harsh", "tuning")
    assert condition("harsh", "held-out").held_out_only
    assert sum(c.held_out_only for c in CONDITIONS.values()) >= 4


def test_the_key_changes_with_everything_that_changes_the_spots() -> None:
    keys = {
        Crystal().key("nzsp", "tuning", "cif"),
        Crystal().key("nzsp", "held-out", "cif"),
        Crystal().key("na2au", "tuning", "cif"),
        Crystal().key("nzsp", "tuning", "another cif"),
        Crystal(s_max=0.031).key("nzsp", "tuning", "cif"),
    }
    assert len(keys) == 5
    assert Detector().key() != Detector(counts=1e4).key()


def test_spots_of_absorbing_crystals_carry_their_own_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [Crystal(absorption=a).key("nzsp", "held-out", "cif") for a in (0.0, 0.1)]
    monkeypatch.setattr("validation.conditions.GENERATOR_ABSORBING", 3)
    after = [Crystal(absorption=a).key("nzsp", "held-out", "cif") for a in (0.0, 0.1)]
    assert before[0] == after[0] and before[1] != after[1]


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("rotation", [0.0, 37.0, -120.0])
def test_the_camera_is_turned_as_nbedex_is_told(rotation: float, flipped: bool) -> None:
    detector = Detector(rotation_deg=rotation, flipped=flipped, ellipse=1.05)
    calibration = Calibration(
        pixel_size=detector.pixel, voltage=300.0, rotation_deg=rotation, flipped=flipped, ellipse_ratio=1.05,
        ellipse_angle_deg=np.rad2deg(0.4),
    )  # fmt: skip
    np.testing.assert_allclose(detector_matrix(detector, 0.4), calibration.detector_from_sample(), rtol=1e-12)


@pytest.mark.parametrize("disk", [0.0, 0.5])
def test_spots_lie_where_they_should_with_their_share_of_the_electrons(disk: float) -> None:
    patterns = spots_of([[0, 0], [0.5, 0.1], [-0.2, 0.6]], [0.9, 0.06, 0.04])
    detector = Detector(counts=1e7, diffuse=0.0, shift_px=3.0, scale=1.01, disk_mrad=disk)
    detector = replace(detector, counts=5e5)
    shown = frames(patterns, detector, wavelength=0.0197, seed=("test",))
    assert np.hypot(*(shown.center[0] - 127.5)) == pytest.approx(3.0)
    image = shown.images[0].astype(float)
    for k, share in zip(patterns.k[0], (0.3, 0.7 * 0.6, 0.7 * 0.4), strict=True):
        at = shown.center[0] + 1.01 / detector.pixel * k[::-1]  # rows first
        r0, c0 = np.rint(at).astype(int)
        part = image[r0 - 10 : r0 + 11, c0 - 10 : c0 + 11]
        assert part.sum() / image.sum() == pytest.approx(share, rel=0.01)
        weights = np.stack(np.mgrid[r0 - 10 : r0 + 11, c0 - 10 : c0 + 11]).reshape(2, -1) @ part.ravel() / part.sum()
        np.testing.assert_allclose(weights, at, atol=0.05)


def test_frames_do_not_depend_on_how_many_there_are() -> None:
    few, many = (spots_of([[0, 0], [0.5, 0.1]], [0.9, 0.1], n=n) for n in (2, 3))
    options = {"wavelength": 0.0197, "seed": ("test",)}
    first = frames(few, Detector(), **options).images  # type: ignore[arg-type]
    assert np.array_equal(first, frames(many, Detector(), **options).images[:2])  # type: ignore[arg-type]
    assert not np.array_equal(first[0], first[1])


def test_overlap_adds_the_other_crystal() -> None:
    one, other = spots_of([[0, 0], [0.5, 0.1]], [0.9, 0.1]), spots_of([[0, 0], [-0.4, 0.4]], [0.8, 0.2])
    both = exchange.Patterns(
        np.tile([1.0, 0, 0, 0], (2, 1)), np.full(2, 50.0), one.hkl + other.hkl, one.k + other.k,
        one.intensity + other.intensity,
    )  # fmt: skip
    detector = Detector(counts=5e5, diffuse=0.0, shift_px=0.0, overlap=(0.25, 0.25))
    shown = frames(both, detector, wavelength=0.0197, seed=("test",))
    assert shown.second.tolist() == [1, 0] and shown.second_share.tolist() == [0.25, 0.25]
    spot = np.rint(127.5 + np.array([0.4, -0.4]) / detector.pixel).astype(int)
    part = shown.images[0][spot[0] - 8 : spot[0] + 9, spot[1] - 8 : spot[1] + 9]
    assert part.sum() / shown.images[0].sum() == pytest.approx(0.25 * 0.7, rel=0.02)


def test_files_come_back_and_missing_ones_are_told(tmp_path: Path) -> None:
    patterns = spots_of([[0, 0], [0.5, 0.1]], [0.9, 0.1], n=exchange.PER_FILE)
    exchange.write(tmp_path / "a", 0, patterns)
    again = exchange.read(tmp_path / "a", 7)
    assert len(again) == 7 and len(again.k) == 7
    np.testing.assert_array_equal(again.k[6], patterns.k[6])
    np.testing.assert_array_equal(again.hkl[0], patterns.hkl[0])
    assert exchange.missing(tmp_path / "a", 25) == [1, 2]
    with pytest.raises(SystemExit, match=r"lacks 2 of 3 files; run generate[.]py first"):
        exchange.read(tmp_path / "a", 25)


def turned_by(degrees: float, axis: list[float]) -> np.ndarray:
    half = np.deg2rad(degrees) / 2
    return np.array([np.cos(half), *(np.sin(half) * np.array(axis))])


def test_scores_of_known_errors() -> None:
    phase = load_phase("beta2-alumina")
    truth = np.tile(orientation("beta2-alumina", "tuning", 0), (6, 1))
    found = truth.copy()
    found[1] = multiply(turned_by(1.5, [1.0, 0, 0]), truth[1])  # in the crystal: c tilts by 1.5 degrees
    found[2] = multiply(turned_by(4.0, [0, 0, 1.0]), truth[2])  # about c: the planes stay
    found[3] = multiply(turned_by(120.0, [0, 0, 1.0]), truth[3])  # the threefold axis: the same crystal
    found[5] = np.nan
    names = np.array(["beta2-alumina"] * 4 + ["nzsp", ""])
    answers = Answers(phase=names, orientation=found, best=found[:, None])
    got = score(phase, truth, answers, SimulationSettings(voltage=300.0, k_max=1.2))
    np.testing.assert_allclose(got.error_deg, [0, 1.5, 4.0, 0, np.inf, np.inf], atol=1e-5)
    np.testing.assert_allclose(got.plane_deg[:4], [0, 1.5, 0, 0], atol=1e-5)
    assert np.isnan(got.plane_deg[4:]).all()
    assert got.right_phase.tolist() == [True] * 4 + [False] * 2


def test_pseudo_threefold_variants_are_told_apart_from_right_ones() -> None:
    phase = load_phase("nzsp")
    truth = np.tile(orientation("nzsp", "tuning", 1), (2, 1))
    found = truth.copy()
    found[1] = multiply(turned_by(120.0, [0, 0, 1.0]), truth[1])
    answers = Answers(phase=np.array(["nzsp"] * 2), orientation=found, best=found[:, None])
    got = score(phase, truth, answers, SimulationSettings(voltage=300.0, k_max=1.2))
    assert got.threefold.tolist() == [False, True]
    assert got.error_deg[1] > 20


def test_shares_carry_their_error() -> None:
    assert wilson(48, 50) == pytest.approx((96.0, 2.89), abs=0.01)
    share, error = wilson(50, 50)
    assert share == 100.0 and 0.5 < error < 2


def stated(confidence: float, right: int, n: int) -> Scores:
    """Scores of n patterns with the same stated probability, `right` of them right."""
    phase = load_phase("na2au")
    truth = np.array([orientation("na2au", "tuning", i) for i in range(n)])
    found = truth.copy()
    found[right:] = multiply(turned_by(20.0, [1.0, 0, 0]), truth[right:])
    answers = Answers(
        phase=np.array(["na2au"] * n), orientation=found, best=found[:, None], confidence=np.full(n, confidence)
    )
    return score(phase, truth, answers, SimulationSettings(voltage=300.0, k_max=1.2))


def test_calibration_is_told_by_condition_and_for_all() -> None:
    named = [("easy", stated(0.97, 20, 20)), ("hard", stated(0.97, 10, 20)), ("hard", stated(0.4, 8, 20))]
    rows = {row[0]: row[1:] for row in calibration_rows(named)}
    assert rows["easy"] == ["20", "97.0", "100.0", "0.030", "20", "100.0 ± 2.4"]
    # half of the sure ones are wrong, the doubtful ones are as stated
    assert rows["hard"][:5] == ["40", "68.5", "45.0", "0.235", "20"]
    assert rows["hard"][5].startswith("50.0")
    assert rows["all"][3] == "0.147" and rows["all"][5].startswith("75.0")


def test_answers_without_a_probability_are_left_out() -> None:
    judged = stated(0.9, 2, 4)
    lost = replace(judged, lost=np.array([False, False, True, True]))
    assert calibration_rows([("x", lost)])[0][:4] == ["x", "2", "90.0", "100.0"]
    assert calibration_rows([("x", replace(judged, confidence=None))]) == []


def test_overconfidence_shows() -> None:
    phase = load_phase("na2au")
    truth = np.array([orientation("na2au", "tuning", i) for i in range(40)])
    found = truth.copy()
    found[:20] = multiply(turned_by(20.0, [1.0, 0, 0]), truth[:20])
    answers = Answers(
        phase=np.array(["na2au"] * 40), orientation=found, best=found[:, None], confidence=np.full(40, 0.9)
    )
    rows, error = confidence_rows([score(phase, truth, answers, SimulationSettings(voltage=300.0, k_max=1.2))])
    assert rows == [["90", "40", "50 ± 8"]]
    assert error == pytest.approx(0.4)


def test_the_weaker_of_two_crystals_is_told_apart_from_the_stronger_and_from_none() -> None:
    truth = np.array([orientation("na2au", "tuning", i) for i in range(40)])
    second, found = np.roll(truth, 1, axis=0), truth.copy()
    found[:12] = second[:12]
    found[12:16] = multiply(turned_by(20.0, [1.0, 0, 0]), truth[12:16])
    answers = Answers(
        phase=np.array(["na2au"] * 40), orientation=found, best=found[:, None], confidence=np.full(40, 0.96)
    )
    judged = score(load_phase("na2au"), truth, answers, SimulationSettings(voltage=300.0, k_max=1.2), second)
    rows = {row[0]: row[1:] for row in calibration_rows([("overlap", judged)])}
    assert rows["overlap"][2] == "60.0" and rows["overlap"][5].startswith("60.0")
    assert rows["overlap, either crystal"][2] == "90.0" and rows["overlap, either crystal"][5].startswith("90.0")


@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_pyxems_answers_become_orientations_whose_patterns_are_what_it_matched(mirror: float) -> None:
    """Spots of the template, mirrored to (kx, -ky) if so, then turned by the shift from columns towards rows."""
    phase, shift = load_phase("nzsp"), 31
    settings = SimulationSettings(voltage=300.0, k_max=1.0)
    template = orientation("nzsp", "tuning", 5)[None]
    found = np.array([[[0.0, 0.9, shift, mirror]]])
    (got,) = orientations(found, template, 360)
    before, after = (simulate(phase, q, settings, threads=1).pattern(0) for q in (template, got))
    angle = np.deg2rad(shift)
    expected = (before["kx"] + 1j * mirror * before["ky"]) * np.exp(1j * angle)
    distance = np.abs(expected[:, None] - (after["kx"] + 1j * after["ky"])[None])
    assert len(expected) == len(after["kx"]) > 20
    assert distance.min(axis=1).max() < 1e-5
    closest = distance.argmin(axis=1)
    np.testing.assert_allclose(after["intensity"][closest], before["intensity"], rtol=1e-3)
