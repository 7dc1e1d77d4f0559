"""bench/accuracy, polycrystals: geometry that is what it says, judgements of maps and grains that can fail."""

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

from validation import exchange, scans  # noqa: E402
from validation.conditions import Detector, Slab  # noqa: E402
from validation.detector import frames  # noqa: E402
from validation.scan_judge import (  # noqa: E402
    Found,
    FoundGrains,
    angles,
    grain_rows,
    overlap_rows,
    pixel_rows,
    pooled,
    relation,
    same_pattern,
    segmentation_rows,
)
from validation.specimen import HALF_TURN, NEAR_ZONE, PSEUDO, TWIN, ZONES, Specimen, Truth, make, product  # noqa: E402

from nbedex.maps import disorientation_angle, multiply, rotate  # noqa: E402
from nbedex.phases import load_phase  # noqa: E402

SPECIMEN = Specimen(shape=(32, 40), grains=(("beta2-alumina", 8), ("nzsp", 6), ("na2au", 4)), near_zone=2)
NAMES = [name for name, _ in SPECIMEN.grains]
PHASES = [load_phase(name) for name in NAMES]
BASES = {phase.name: phase.direct_basis.T for phase in PHASES}
HALF_TURN_Z = np.array([0.0, 0.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def truth() -> Truth:
    return make(SPECIMEN, "tuning", "test", BASES)


def perfect(truth: Truth) -> Found:
    """The map of someone who knows the main grain of every column."""
    grain, _, orientation = truth.main()
    phase = truth.grain_phase[grain]
    return Found(
        phase=phase, orientation=orientation.copy(), rival_phase=phase[..., None],
        rival_orientation=orientation[:, :, None].copy(), rival_score=np.full((*phase.shape, 1), 0.8),
    )  # fmt: skip


def test_every_column_is_shared_out(truth: Truth) -> None:
    place = truth.row * 40 + truth.column
    assert np.array_equal(np.unique(place), np.arange(32 * 40))
    np.testing.assert_allclose(np.bincount(place, truth.share), 1.0)
    depth = np.bincount(place, truth.depth_nm).reshape(32, 40)
    assert np.all(np.diff(depth, axis=1) > 0) and np.all(np.diff(depth, axis=0) > 0)
    assert depth.min() == pytest.approx(0.95 * 40) and depth.max() == pytest.approx(1.05 * 110)
    grain, share, _ = truth.main()
    assert len(np.unique(grain)) == 18
    assert share.min() >= 1 / 3 and 0.1 < (share < 0.95).mean() < 0.45


def test_boundaries_are_inclined_as_far_as_points_differ_in_depth(truth: Truth) -> None:
    edge_on, steep = (make(replace(SPECIMEN, depths=depths), "tuning", "test", BASES) for depths in (0.0, 2.0))
    mixed = [float((one.main()[1] < 0.95).mean()) for one in (edge_on, steep, truth)]
    assert mixed[0] == 0.0 and 0.02 < mixed[1] < 0.7 * mixed[2]
    # shares of every size, as a plane cut through the lamella gives them
    second = truth.share[truth.share < 0.5]
    assert np.histogram(second, [0.08, 0.2, 0.3, 0.4, 0.5])[0].min() > 0.15 * len(second)


def test_grains_are_bent_as_much_as_is_said(truth: Truth) -> None:
    for g in range(18):
        own = truth.orientation[truth.grain == g]
        apart = 2 * np.rad2deg(np.arccos(np.clip(np.abs(own @ own.T), 0, 1)))
        assert 0.3 - 1e-6 <= apart.max() <= 0.5 + 1e-6


def test_special_pairs_are_neighbours_and_really_special(truth: Truth) -> None:
    seen = {}
    for g in np.flatnonzero(truth.grain_partner >= 0):
        partner, kind = truth.grain_partner[g], truth.grain_kind[g]
        assert truth.grain_partner[partner] == g and truth.grain_kind[partner] == kind
        seen[int(kind)] = (truth.grain_orientation[g], truth.grain_orientation[partner], truth.grain_phase[g])
    assert sorted(seen) == [TWIN, HALF_TURN, PSEUDO]
    a, b, phase = seen[TWIN]
    assert NAMES[phase] == "beta2-alumina"
    assert np.rad2deg(disorientation_angle(a, b, PHASES[phase].symmetry_quaternions)) == pytest.approx(60.0)
    normals = [rotate(q * [1, -1, -1, -1], PHASES[phase].conduction_normal) for q in (a, b)]
    assert abs(normals[0] @ normals[1]) == pytest.approx(1.0)
    a, b, _ = seen[HALF_TURN]
    z = [rotate(q, np.array([0.0, 0, 1])) for q in (a, b)]
    assert z[0] @ z[1] == pytest.approx(1.0) and abs(a @ b) == pytest.approx(0.0, abs=1e-12)
    a, b, phase = seen[PSEUDO]
    assert NAMES[phase] == "nzsp" and relation(PHASES[phase], a, b) == "120° about c*"


def test_grains_near_a_zone_are_1_to_3_degrees_off_one(truth: Truth) -> None:
    near = np.flatnonzero(truth.grain_kind == NEAR_ZONE)
    assert np.bincount(truth.grain_phase[near]).tolist() == [2, 2, 2]
    for g in near:
        name = NAMES[truth.grain_phase[g]]
        beam = rotate(truth.grain_orientation[g], np.array([0.0, 0.0, 1.0]))
        axes = np.array(ZONES[name]) @ BASES[name]
        axes /= np.linalg.norm(axes, axis=1, keepdims=True)
        off = np.rad2deg(np.arccos(np.clip(axes @ beam, -1, 1))).min()
        assert 1.0 - 1e-6 <= off <= 3.0 + 1e-6


def test_splits_have_specimens_of_their_own(truth: Truth) -> None:
    other = make(SPECIMEN, "held-out", "test", BASES)
    assert not np.allclose(other.grain_orientation, truth.grain_orientation)
    again = make(SPECIMEN, "tuning", "test", BASES)
    np.testing.assert_array_equal(again.orientation, truth.orientation)
    assert SPECIMEN.key("tuning", ["a"]) != SPECIMEN.key("held-out", ["a"])
    assert SPECIMEN.key("tuning", ["a"]) != replace(SPECIMEN, depths=7.0).key("tuning", ["a"])


def test_ordinary_specimens_have_no_traps_and_keys_of_their_own(truth: Truth) -> None:
    plain = make(replace(SPECIMEN, near_zone=0, related=False), "tuning", "test", BASES)
    assert not plain.grain_kind.any() and (plain.grain_partner == -1).all()
    assert truth.grain_kind.any()
    assert np.array_equal(np.bincount(plain.grain_phase), np.bincount(truth.grain_phase))
    named = [scans.SCANS[name] for name in ("polycrystal", "ordinary 1", "ordinary 2")]
    assert len({one.key("tuning", []) for one in named}) == 3


def test_product_is_nbedex_s() -> None:
    a, b = np.random.default_rng(1).normal(size=(2, 4))
    np.testing.assert_allclose(product(a, b), np.array(multiply(a, b)))


def test_a_perfect_map_is_all_right(truth: Truth) -> None:
    found = perfect(truth)
    rows = {row[0]: row for row in pixel_rows(truth, found, PHASES)}
    assert rows["all"][2].startswith("100.0") and rows["all"][5] == "100.0"
    for candidates in (False, True):
        # a single candidate stands above nothing, so votes are given instead
        scored = replace_scores(found) if candidates else found
        (row,) = grain_rows(truth, {"x": pooled(truth, scored, PHASES, candidates=candidates)}, PHASES, smallest=5)
        assert row[2].startswith("100.0") and row[4] == "0" and row[-1] == "–"


def replace_scores(found: Found) -> Found:
    """With a second candidate, turned about the beam, that scores less."""
    turned = multiply(found.orientation, HALF_TURN_Z)
    return Found(
        phase=found.phase, orientation=found.orientation, rival_phase=np.repeat(found.rival_phase, 2, axis=-1),
        rival_orientation=np.stack([found.orientation, turned], axis=2),
        rival_score=np.stack([found.rival_score[..., 0], found.rival_score[..., 0] - 0.1], axis=-1),
    )  # fmt: skip


def test_candidates_with_scores_outvote_a_wrong_majority(truth: Truth) -> None:
    """Six in ten columns put the half turn first by a hair, four put the truth first by far."""
    found = replace_scores(perfect(truth))
    wrong = np.random.default_rng(2).random(found.phase.shape) < 0.6
    score = np.where(wrong[..., None], [0.70, 0.71], [0.80, 0.70])
    # a third, worst one, so that both stand above it
    away = multiply(found.orientation, np.array([np.cos(0.4), np.sin(0.4), 0, 0]))
    worst = np.full((*score.shape[:2], 1), 0.5)
    confused = Found(
        phase=found.phase, orientation=np.where(wrong[..., None], found.rival_orientation[:, :, 1], found.orientation),
        rival_phase=np.repeat(found.phase[..., None], 3, axis=-1),
        rival_orientation=np.concatenate([found.rival_orientation, away[:, :, None]], axis=2),
        rival_score=np.concatenate([score, worst], axis=2),
    )  # fmt: skip
    share = {}
    for candidates in (False, True):
        pool = pooled(truth, confused, PHASES, candidates=candidates)
        (row,) = grain_rows(truth, {"x": pool}, PHASES, smallest=5)
        share[candidates] = float(row[2].split()[0])
        if not candidates:
            assert int(row[4]) > 5 and "turned" in row[-1]
    assert share[False] < 40 and share[True] == 100.0


def test_found_grains_that_are_split_or_turned_are_counted(truth: Truth) -> None:
    grain, _, _ = truth.main()
    good = FoundGrains(grain, truth.grain_phase, truth.grain_orientation)
    table = dict(segmentation_rows(truth, good, PHASES, smallest=5))
    assert table["right, %"].startswith("100.0") and table["false twins"] == table["pieces too many"] == "0"
    assert table["true twins and pseudo-variants kept apart"] == "3 of 3"
    biggest = int(np.bincount(grain.ravel()).argmax())
    rows = np.nonzero(grain == biggest)[0]
    number = grain.copy()
    number[(grain == biggest) & (np.arange(32)[:, None] > np.median(rows))] = 18
    for orientation, twins, pieces in (
        (truth.grain_orientation[biggest], "0", "1"),
        (multiply(truth.grain_orientation[biggest], HALF_TURN_Z), "1", "0"),
    ):
        split = FoundGrains(
            number, np.append(truth.grain_phase, truth.grain_phase[biggest]),
            np.concatenate([truth.grain_orientation, orientation[None]]),
        )  # fmt: skip
        table = dict(segmentation_rows(truth, split, PHASES, smallest=5))
        assert (table["false twins"], table["pieces too many"]) == (twins, pieces)


def test_a_second_crystal_is_judged_by_its_share(truth: Truth) -> None:
    found = perfect(truth)
    first = np.r_[True, (np.diff(truth.row) != 0) | (np.diff(truth.column) != 0)]
    two = np.flatnonzero(first[:-1] & ~first[1:]) + 1
    at = truth.row[two], truth.column[two]
    phase, share = np.full((*truth.shape, 2), -1), np.full((*truth.shape, 2), np.nan)
    orientation = np.full((*truth.shape, 2, 4), np.nan)
    phase[(*at, 0)], orientation[(*at, 0)] = truth.grain_phase[truth.grain[two]], truth.orientation[two]
    share[(*at, 0)] = truth.share[two] + 0.1
    with_second = replace(found, further_phase=phase, further_orientation=orientation, further_share=share)
    rows = overlap_rows(truth, with_second, PHASES)
    assert all(row[3:] == ["100", "100", "100", "+0.10 ± 0.00"] for row in rows[:3])
    assert rows[-1][0] == "one grain only" and rows[-1][3] == "0"
    # the second grain taken for the first: found, but where is the main one?
    swapped = found.orientation.copy(), found.phase.copy()
    swapped[0][at], swapped[1][at] = truth.orientation[two], truth.grain_phase[truth.grain[two]]
    nothing = {"further_phase": phase[..., :0], "further_orientation": orientation[..., :0, :]}
    alone = replace(found, orientation=swapped[0], phase=swapped[1], further_share=share[..., :0], **nothing)
    assert all(row[3:6] == ["0", "100", "0"] for row in overlap_rows(truth, alone, PHASES)[:3])
    assert overlap_rows(truth, found, PHASES)[0][3:] == ["–", "–", "–", "–"]


@pytest.mark.parametrize(
    ("axis", "degrees", "expected"),
    [
        ([1.0, 0, 0], 3.0, "near"),
        ([0, 0, 1.0], 123.0, "near"),
        ([0, 0, 1.0], 60.0, "other"),
        ([0.6, 0.8, 0], 40.0, "other"),
    ],
)
def test_wrong_orientations_have_a_name(axis: list[float], degrees: float, expected: str) -> None:
    """In the crystal of β″-alumina, whose c is a threefold axis."""
    phase, true = PHASES[0], np.array([0.5, 0.1, -0.7, 0.5])
    true /= np.linalg.norm(true)
    half = np.deg2rad(degrees) / 2
    assert relation(phase, true, multiply(np.array([np.cos(half), *(np.sin(half) * np.array(axis))]), true)) == expected
    assert relation(phase, true, multiply(true, HALF_TURN_Z)) == "turned"


def test_angles_across_phases_are_infinite(truth: Truth) -> None:
    q = truth.grain_orientation[:2]
    off = angles(PHASES, np.array([0, 1]), q, q, np.array([0, 2]))
    assert off[0] == pytest.approx(0.0, abs=1e-6) and off[1] == np.inf


def test_frames_of_a_scan_are_drawn_from_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two columns, the second shared 3 : 1 by two grains with one spot each."""
    specimen = replace(SPECIMEN, shape=(1, 2))
    monkeypatch.setitem(scans.SCANS, "tiny", specimen)
    q = np.tile([1.0, 0, 0, 0], (3, 1))
    truth = Truth(
        phases=np.array(NAMES), grain_phase=np.array([0, 1]), grain_orientation=q[:2], grain_kind=np.zeros(2, int),
        grain_partner=np.full(2, -1), row=np.zeros(3, int), column=np.array([0, 1, 1]), grain=np.array([0, 0, 1]),
        share=np.array([1.0, 0.75, 0.25]), depth_nm=np.full(3, 50.0), orientation=q,
    )  # fmt: skip
    where = scans.folder(tmp_path, "tiny", "tuning")
    scans.write_truth(where, truth, "tiny", "tuning", {})
    with pytest.raises(SystemExit, match="lacks 1 of 1 rows"):
        scans.read_scan(tmp_path, "tiny", "tuning", "2e5 counts", wavelength=0.0197)
    hkl = np.array([[0, 0, 0], [1, 0, 0]])
    k = [np.array([[0.0, 0.0], place]) for place in ([0.5, 0.1], [0.5, 0.1], [-0.4, 0.4])]
    exchange.write(where, 0, exchange.Patterns(q, np.full(3, 50.0), [hkl] * 3, k, [np.array([0.9, 0.1])] * 3))
    scan = scans.read_scan(tmp_path, "tiny", "tuning", "2e5 counts", wavelength=0.0197)
    assert scan.frames.shape == (1, 2, 256, 256)

    def share(column: int, place: list[float]) -> float:
        at = np.rint(scan.center[0, column] + np.array(place)[::-1] / 0.0105).astype(int)
        part = scan.frames[0, column, at[0] - 6 : at[0] + 7, at[1] - 6 : at[1] + 7].astype(float)
        return float(part.sum() / scan.frames[0, column].sum())

    # 40 % of the electrons are in spots; a few of the diffuse ones lie under them
    assert share(0, [0.5, 0.1]) == pytest.approx(0.4, abs=0.01)
    assert share(1, [0.5, 0.1]) == pytest.approx(0.3, abs=0.01)
    assert share(1, [-0.4, 0.4]) == pytest.approx(0.1, abs=0.01)


def test_patterns_by_multislice_are_put_on_the_camera() -> None:
    image = np.zeros((1, 256, 256), dtype=np.float32)
    image[0, 128, 128], image[0, 128 + 30, 128 - 50] = 0.9, 0.1  # rows along Y
    patterns = exchange.Images(np.array([[1.0, 0, 0, 0]]), np.array([20.0]), image)
    detector = Detector(counts=5e5, shift_px=3.0, diffuse=0.0)
    shown = frames(patterns, detector, wavelength=0.0197, seed=("test",))
    assert np.hypot(*(shown.center[0] - 127.5)) == pytest.approx(3.0)
    picture = shown.images[0].astype(float)
    for away, share in (((0, 0), 0.3), ((30, -50), 0.7)):
        at = shown.center[0] + away
        r, c = np.rint(at).astype(int)
        part = picture[r - 8 : r + 9, c - 8 : c + 9]
        assert part.sum() / picture.sum() == pytest.approx(share, rel=0.01)
        weights = np.stack(np.mgrid[r - 8 : r + 9, c - 8 : c + 9]).reshape(2, -1) @ part.ravel() / part.sum()
        np.testing.assert_allclose(weights, at, atol=0.05)
    with pytest.raises(SystemExit, match="no scale, ellipse or rotation"):
        frames(patterns, replace(detector, scale=1.01), wavelength=0.0197, seed=("test",))
    assert Slab().width * Slab().pixel == pytest.approx(1.0)


def test_half_turns_that_no_pattern_tells() -> None:
    """About Na2Au's [111], 1.5 degrees off the beam: nothing differs. 120 degrees about NZSP's c*: much does."""
    na2au, nzsp = PHASES[2], PHASES[1]
    axis = BASES["na2au"].sum(axis=0)
    axis /= np.linalg.norm(axis)
    upright = np.array([1 + axis[2], -axis[1], axis[0], 0.0])
    upright /= np.linalg.norm(upright)
    truth = product(upright, np.array([np.cos(0.013), np.sin(0.013), 0.0, 0.0]))
    twin = product(np.r_[0.0, axis], truth)
    assert same_pattern(na2au, truth, twin) and relation(na2au, truth, twin) == "of the same pattern"
    variant = product(np.array([0.5, 0.0, 0.0, np.sqrt(0.75)]), truth)
    assert not same_pattern(nzsp, truth, variant) and relation(nzsp, truth, variant) == "120° about c*"
