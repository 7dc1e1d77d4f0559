"""Which pixels become one grain: bends, bridges, noise, specks, gaps, holes; the order of pixels doesn't matter."""

from __future__ import annotations

import numpy as np
import pytest

from nbedex import _core
from nbedex.grains import GrainSettings, Role, find_grains
from nbedex.grains.arrays import MapArrays, flags
from nbedex.grains.segment import wide
from nbedex.maps import disorientation_angle
from oracles import grain_oracle
from oracles.grain_maps import BETA, GOLD, ZIRCONIA, noisy, orientation_map, turned
from oracles.laue_groups import random_quaternions

A_AXIS = (1.0, 0.0, 0.0)
START = tuple(random_quaternions(1, 4)[0])


def halves(shape: tuple[int, int], degrees: float, axis: tuple[float, float, float] = A_AXIS) -> np.ndarray:
    """Two grains side by side that differ by a rotation about a crystal axis."""
    angle = np.zeros(shape)
    angle[:, shape[1] // 2 :] = degrees
    return turned(axis, angle, START)


def patchwork(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Phases and orientations of a small map of two phases: noisy grains, outliers and pixels not indexed."""
    rng = np.random.default_rng(seed)
    shape = (17, 23)
    centres = rng.uniform(0, 20, (9, 2))
    y, x = np.indices(shape)
    cell = np.hypot(y[..., None] - centres[:, 0], x[..., None] - centres[:, 1]).argmin(axis=-1)
    base = random_quaternions(9, seed)
    base[1:3] = turned((0.2, 1, 0.3), [4.0, 9.0], base[0])  # some that nearly agree
    orientation = noisy(base[cell], 1.5, seed, BETA.symmetry)
    phase = (cell % 4 == 3).astype(np.int16)
    orientation[rng.random(shape) < 0.05] = random_quaternions(1, seed + 7)[0]
    phase[rng.random(shape) < 0.05] = -1
    return phase, orientation


@pytest.mark.parametrize("seed", range(4))
def test_the_core_joins_as_the_rules_say(seed: int) -> None:
    phase, orientation = patchwork(seed)
    symmetry, threshold = [BETA.symmetry, GOLD.symmetry], np.deg2rad(5.0)
    arrays = MapArrays.of(orientation_map(orientation, phase, phases=(BETA, GOLD)))
    label = arrays.call(_core.segment_pixels, threshold=threshold, threads=2)
    expected = grain_oracle.join_pixels(phase, orientation, symmetry, threshold)
    np.testing.assert_array_equal(label, expected)
    phase_of = np.full(label.max() + 1, -1, np.int16)
    phase_of[label[label >= 0]] = phase[label >= 0]
    merged = arrays.call(
        _core.merge_regions, own=flags(label >= 0), phase_of=phase_of, threshold=threshold, label=label
    )
    np.testing.assert_array_equal(merged, grain_oracle.join_regions(phase, orientation, symmetry, threshold, expected))
    assert merged.max() < label.max()
    few = np.where(np.random.default_rng(seed).random(label.shape) < 0.2, merged, -1).astype(np.int32)
    np.testing.assert_array_equal(_core.fill_regions(few), grain_oracle.fill(few))


def test_neighbouring_grains_differ_by_more_than_the_threshold() -> None:
    phase, orientation = patchwork(11)
    grains = find_grains(orientation_map(orientation, phase, phases=(BETA, GOLD)), GrainSettings(min_size=3))
    s = grains.grains
    for a, b in grains.neighbours:
        if s.phase_id[a] == s.phase_id[b] >= 0 and np.isfinite(s.orientation[[a, b]]).all():
            symmetry = grains.source.phases[s.phase_id[a]].symmetry
            assert np.rad2deg(disorientation_angle(s.orientation[a], s.orientation[b], symmetry)) > 5 - 0.02


@pytest.mark.parametrize(("degrees", "n"), [(4.0, 1), (6.0, 2), (63.0, 2), (119.5, 1), (120.0, 1)])
def test_two_halves(degrees: float, n: int) -> None:
    """About c, where 120 degrees is a symmetry of -3m; every pixel in a random equivalent, with noise."""
    orientation = noisy(halves((20, 30), degrees, (0.0, 0.0, 1.0)), 0.3, 1, BETA.symmetry)
    found = find_grains(orientation_map(orientation))
    assert len(found.grains) == n
    if n == 2:
        assert (found.grain_id[:, :15] == 0).all()
        assert (found.grain_id[:, 15:] == 1).all()


def test_low_angle_boundary_under_noise() -> None:
    """6 degrees apart with 1.5 degrees of noise per axis: neighbouring pixels often differ by less, means don't."""
    found = find_grains(orientation_map(noisy(halves((40, 60), 6.0), 1.5, 2)))
    assert len(found.grains) == 2
    right = np.broadcast_to(np.arange(60) >= 30, (40, 60))
    assert (found.grain_id == right).mean() > 0.98


def test_bridge_of_intermediate_pixels_joins_nothing() -> None:
    """A row of pixels turns by 4 degrees each from one grain to the other, in steps under the threshold."""
    angle = np.zeros((21, 40))
    angle[:, 25:] = 44.0
    angle[10, 14:26] = np.linspace(0, 44, 12)
    found = find_grains(orientation_map(turned(A_AXIS, angle, START)))
    assert len(found.grains) == 2
    assert found.grains.spread_deg.max() < 0.3
    assert found.grain_id[0, 0] != found.grain_id[0, 39]


@pytest.mark.parametrize("per_pixel", [0.05, 0.5, 2.0])
def test_slow_bend_is_cut_into_pieces_of_limited_spread(per_pixel: float) -> None:
    """No chain of small steps makes one grain of a bend of 50 degrees."""
    length = int(50 / per_pixel)
    angle = np.broadcast_to(per_pixel * np.arange(length), (12, length))
    found = find_grains(orientation_map(turned(A_AXIS, angle, START)))
    widths = np.array([np.ptp(angle[found.grain_id == g]) for g in range(len(found.grains))])
    assert 4 <= len(found.grains) <= 11
    assert widths.max() <= 15  # three thresholds
    assert found.grains.spread_deg.max() < 4
    bent = find_grains(orientation_map(turned(A_AXIS, angle[:, : int(4.5 / per_pixel)], START)))
    assert len(bent.grains) == 1


def test_the_way_of_reading_the_map_changes_nothing() -> None:
    """Grains are the same in the map mirrored, transposed and turned: there are no seeds and no scan direction."""
    base = random_quaternions(5, 3)
    y, x = np.indices((40, 50))
    cell = (np.hypot(y[..., None] - [5, 30, 20, 35, 8], x[..., None] - [6, 10, 30, 45, 40])).argmin(axis=-1)
    orientation = noisy(base[cell], 1.0, 9, BETA.symmetry)
    found = find_grains(orientation_map(orientation)).grain_id
    for change in (
        lambda a: a[::-1],
        lambda a: a[:, ::-1],
        lambda a: np.swapaxes(a, 0, 1),
        lambda a: np.rot90(a, axes=(0, 1)),
    ):
        again = find_grains(orientation_map(np.ascontiguousarray(change(orientation)))).grain_id
        pairs = np.unique(np.stack([change(found).ravel(), again.ravel()]), axis=1)
        assert pairs.shape[1] == found.max() + 1


def test_numbers_follow_the_first_pixel_and_threads_change_nothing() -> None:
    phase, orientation = patchwork(5)
    source = orientation_map(orientation, phase, phases=(BETA, GOLD))
    found = find_grains(source, threads=1)
    first = np.unique(found.grain_id, return_index=True)[1]
    assert (np.diff(first) > 0).all()
    again = find_grains(source, threads=2)
    assert found.grain_id.tobytes() == again.grain_id.tobytes()
    assert found.grains.orientation.tobytes() == again.grains.orientation.tobytes()


def test_ambiguous_pixels_are_absorbed_and_say_nothing_of_the_mean() -> None:
    """Every twelfth pixel has the solution turned by 180 degrees about the beam."""
    orientation = noisy(halves((30, 40), 30.0), 0.3, 5)
    wrong = np.zeros((30, 40), dtype=bool)
    wrong[2::4, 1::3] = True
    flipped = turned((0, 0, 1), 180.0)
    orientation[wrong] = grain_oracle.multiply(orientation[wrong], flipped)
    found = find_grains(orientation_map(orientation))
    assert len(found.grains) == 2
    np.testing.assert_array_equal(found.absorbed, wrong)
    assert found.grains.n_absorbed.sum() == wrong.sum()
    assert found.grains.spread_deg.max() < 0.7


def test_specks_and_gaps_and_wide_places() -> None:
    orientation = noisy(halves((40, 60), 40.0), 0.2, 6)
    phase = np.zeros((40, 60), dtype=np.int16)
    phase[:, 10:14] = -1  # a crack of four pixels: filled from both sides
    phase[5:15, 40:52] = -1  # wide: a region of its own
    phase[20:23, 45:48] = 1  # nine pixels of zirconia: a speck
    phase[30:35, 45:50] = 1  # an inclusion
    found = find_grains(orientation_map(orientation, phase, phases=(BETA, ZIRCONIA)))
    roles = found.grains.role[found.grain_id]
    assert found.grains.role.tolist() == [Role.GRAIN, Role.GRAIN, Role.NOT_INDEXED, Role.INSULATOR]
    np.testing.assert_array_equal(roles == Role.NOT_INDEXED, np.pad(np.ones((10, 12), bool), ((5, 25), (40, 8))))
    np.testing.assert_array_equal(roles == Role.INSULATOR, np.pad(np.ones((5, 5), bool), ((30, 5), (45, 10))))
    assert found.grains.n_absorbed.tolist() == [160, 9, 0, 0]
    assert found.grains.phase_id.tolist() == [0, 0, -1, 1]
    assert np.isnan(found.grains.orientation[2]).all()
    assert np.isfinite(found.grains.orientation[[0, 1, 3]]).all()
    np.testing.assert_array_equal(found.neighbours, [[0, 1], [1, 2], [1, 3]])


def test_two_parts_of_a_grain_meet_across_a_filled_crack() -> None:
    phase = np.zeros((20, 30), dtype=np.int16)
    phase[:, 14:16] = -1
    found = find_grains(orientation_map(noisy(halves((20, 30), 0.0), 0.3, 7), phase))
    assert len(found.grains) == 1
    assert found.grains.n_absorbed.tolist() == [40]


def test_holes_and_electrodes() -> None:
    orientation = halves((30, 30), 0.0)
    phase = np.zeros((30, 30), dtype=np.int16)
    phase[:, :8] = 1
    hole = np.zeros((30, 30), dtype=bool)
    hole[10:20, 15:25] = True
    hole[0, 29] = True  # one pixel is no hole
    found = find_grains(orientation_map(orientation, phase, phases=(BETA, GOLD), hole=hole))
    assert found.grains.role.tolist() == [Role.ELECTRODE, Role.GRAIN, Role.HOLE]
    np.testing.assert_array_equal(found.grain_id == 2, hole & (np.arange(30)[:, None] > 0))
    assert found.grains.n_absorbed.tolist() == [0, 1, 0]


def test_inclusions_whose_pixels_agree_on_nothing_but_the_phase() -> None:
    """Zirconia of random orientations is one insulator; beta''-alumina of random orientations isn't known."""
    rng = np.random.default_rng(1)
    orientation = halves((30, 60), 0.0)
    phase = np.zeros((30, 60), dtype=np.int16)
    for number, columns in ((1, slice(8, 20)), (0, slice(38, 50))):
        orientation[8:20, columns] = random_quaternions(144, 20 + number).reshape(12, 12, 4)
        phase[8:20, columns] = number
    phase[rng.random((30, 60)) < 0.01] = -1
    found = find_grains(orientation_map(orientation, phase, phases=(BETA, ZIRCONIA)))
    assert found.grains.role.tolist() == [Role.GRAIN, Role.INSULATOR, Role.NOT_INDEXED]
    assert found.grains.phase_id.tolist() == [0, 1, -1]
    assert abs(found.grains.n_pixels[1] - 144) <= 2
    assert np.isnan(found.grains.orientation[1]).all()
    assert np.isnan(found.grains.spread_deg[1])


def test_a_strip_that_only_ends_at_a_grain_of_its_phase_is_a_part_of_its_own() -> None:
    """A gold layer two pixels thick: one half is a grain, of the other only the phase is known. And the bad edge of a
    gold grain, which lies along it, is left to the grain.
    """
    orientation = halves((30, 40), 0.0)
    phase = np.full((30, 40), 0, dtype=np.int16)
    phase[:3] = -1
    phase[3:5, 4:14] = phase[3:5, 14:30] = 1
    orientation[3:5, 4:14] = [0.9, 0.1, 0.3, 0.3]
    orientation[3:5, 14:30] = random_quaternions(32, 7).reshape(2, 16, 4)
    phase[15:25, 5:30] = 1
    orientation[15:25, 5:30] = [0.5, 0.7, -0.1, 0.5]
    orientation[23:25, 5:30] = random_quaternions(50, 8).reshape(2, 25, 4)
    found = find_grains(orientation_map(orientation, phase, phases=(BETA, GOLD)))
    label, grains = found.grain_id, found.grains
    layer = [label[4, 8], label[4, 20]]
    assert layer[0] != layer[1] and grains.role[layer].tolist() == [Role.ELECTRODE] * 2
    assert np.isfinite(grains.orientation[layer[0]]).all() and np.isnan(grains.orientation[layer[1]]).all()
    assert (label[3:5, 16:29] == layer[1]).all()
    assert (grains.role == Role.ELECTRODE).sum() == 3  # the large grain's edge is none of its own


def test_confidence_decides_what_is_indexed() -> None:
    confidence = np.ones((20, 20), dtype=np.float32)
    confidence[5:15, 5:15] = 0.2
    confidence[0, 0] = np.nan
    source = orientation_map(halves((20, 20), 0.0), confidence=confidence)
    assert len(find_grains(source).grains) == 1
    found = find_grains(source, GrainSettings(min_confidence=0.5))
    assert found.grains.role.tolist() == [Role.GRAIN, Role.NOT_INDEXED]
    assert found.grains.n_pixels.tolist() == [300, 100]
    assert found.absorbed[0, 0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (3, 3)])
def test_small_maps_and_nothing_indexed(shape: tuple[int, int]) -> None:
    found = find_grains(orientation_map(halves(shape, 0.0), -1))
    assert found.grains.role.tolist() == [Role.NOT_INDEXED]
    assert not found.absorbed.any()
    found = find_grains(orientation_map(halves(shape, 0.0)), GrainSettings(min_size=1))
    assert found.grains.n_pixels.tolist() == [shape[0] * shape[1]]
    assert found.grains.role.tolist() == [Role.GRAIN]


def test_maps_smaller_than_the_smallest_grain_are_one_region_without_phase() -> None:
    found = find_grains(orientation_map(halves((2, 2), 0.0)), GrainSettings(min_size=10))
    assert found.grains.role.tolist() == [Role.NOT_INDEXED]


@pytest.mark.parametrize("gap", [1, 2, 3, 4])
def test_opening_keeps_what_is_wider(gap: int) -> None:
    mask = np.zeros((30, 30), dtype=bool)
    mask[3:20, 5 : 5 + gap] = True
    assert not wide(mask, gap).any()
    mask[8:18, 5 : 6 + gap] = True
    expected = np.zeros_like(mask)
    expected[8:18, 5 : 6 + gap] = True
    np.testing.assert_array_equal(wide(mask, gap), expected)
    edge = np.zeros((30, 30), dtype=bool)
    edge[:, :1] = True  # goes on beyond the map's edge
    np.testing.assert_array_equal(wide(edge, gap), edge)
