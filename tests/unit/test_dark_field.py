"""Virtual dark field of a scan of two grains, with the detector turned, mirrored and stretched, and a drifting beam."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError
from nbedex.grains import GrainMap, find_grains, orientation_map, read_groups, write_grain_map
from nbedex.grains.dark_field import Apertures, ReflectionChoice, grain_apertures, virtual_dark_field
from nbedex.library import SimulationSettings, simulate
from nbedex.maps import IndexingResult, Status, write_result
from nbedex.phases import load_phase
from nbedex.report import draw_dark_field, overlay
from nbedex.scan import memory_scan
from oracles.command_line import here
from oracles.laue_groups import random_quaternions
from oracles.small_scan import write_h5

CALIBRATION = Calibration(
    pixel_size=0.026, voltage=300.0, step=(2.0, 2.0), rotation_deg=37.0, flipped=True, ellipse_ratio=1.04,
    ellipse_angle_deg=20.0
)  # fmt: skip
SHAPE, DETECTOR = (6, 10), (96, 98)
SIMULATION = SimulationSettings(voltage=300.0, k_max=1.2)
PHASE = load_phase("na2au")
TRUTH = random_quaternions(2, 6)
LEFT = np.broadcast_to(np.arange(SHAPE[1]) < 4, SHAPE)


def centers() -> np.ndarray:
    """The direct beam drifts by 3 pixels down and 2 to the left."""
    share = np.linspace(0, 1, SHAPE[0] * SHAPE[1])[:, None]
    return (np.array([45.2, 51.4]) + share * (3.0, -2.0)).reshape(*SHAPE, 2)


def scan_array() -> np.ndarray:
    spots = simulate(PHASE, TRUTH, SIMULATION)
    rows, columns = np.ogrid[: DETECTOR[0], : DETECTOR[1]]
    frames = np.empty((*SHAPE, *DETECTOR), dtype=np.float32)
    for place in np.ndindex(SHAPE):
        row, column = centers()[place]
        pattern = spots.pattern(0 if LEFT[place] else 1)
        x, y = CALIBRATION.detector_from_sample() @ np.stack([pattern["kx"], pattern["ky"]]).astype(float)
        disks = np.exp(-((rows[..., None] - row - y) ** 2 + (columns[..., None] - column - x) ** 2) / 1.2)
        frames[place] = 50 + 200 * disks @ (pattern["intensity"] / pattern["intensity"].max()).astype(float)
    return frames


def result() -> IndexingResult:
    """Truth as a result of indexing."""
    found = IndexingResult.empty(SHAPE, (PHASE,), CALIBRATION)
    found.orientation[:] = np.where(LEFT[..., None], TRUTH[0], TRUTH[1])
    found.phase_id[:], found.status[:], found.index[:] = 0, Status.OK, 0.9
    found.center[:] = centers()
    found.validate()
    return found


def grains() -> GrainMap:
    return find_grains(orientation_map(result()))


def test_each_grain_is_bright_in_its_own_reflections() -> None:
    apertures = grain_apertures(grains(), [0, 1], {"na2au": PHASE}, SIMULATION, radius=0.05)
    images = virtual_dark_field(memory_scan(scan_array()), apertures, CALIBRATION, centers())
    assert images.shape == (2, *SHAPE)
    assert images[0][LEFT].min() > 6 * np.abs(images[0][~LEFT]).max()
    assert images[1][~LEFT].min() > 6 * np.abs(images[1][LEFT]).max()
    # the drift doesn't show
    assert np.ptp(images[0][LEFT]) < 0.2 * images[0][LEFT].mean()


def test_wrong_geometry_shows_nothing() -> None:
    """What makes the test above able to fail: without the detector's rotation the apertures miss the spots."""
    apertures = grain_apertures(grains(), [0], {"na2au": PHASE}, SIMULATION, radius=0.05)
    right = virtual_dark_field(memory_scan(scan_array()), apertures, CALIBRATION, centers())
    wrong = virtual_dark_field(
        memory_scan(scan_array()), apertures, replace(CALIBRATION, rotation_deg=-37.0), centers()
    )
    assert wrong[0][LEFT].mean() < 0.3 * right[0][LEFT].mean()


@pytest.mark.parametrize("background", [False, True])
def test_one_aperture_against_a_loop_over_pixels(background: bool) -> None:
    rng = np.random.default_rng(1)
    frames = rng.poisson(100, (2, 3, *DETECTOR)).astype(np.uint16)
    mask = rng.random(DETECTOR) < 0.1
    center, position, radius = np.array([47.0, 46.5]), np.array([0.4, -0.55]), 0.09
    aperture = Apertures("one", position[None], radius)
    found = virtual_dark_field(memory_scan(frames), [aperture], CALIBRATION, center, background=background, mask=mask)[
        0
    ]
    to_sample = np.linalg.inv(CALIBRATION.detector_from_sample())
    disc, ring = [], []
    for row in range(DETECTOR[0]):
        for column in range(DETECTOR[1]):
            k = to_sample @ (column - center[1], row - center[0])
            distance = np.hypot(*(k - position))
            if not mask[row, column] and distance <= radius:
                disc.append((row, column))
            elif not mask[row, column] and 1.3 * radius < distance <= 2 * radius:
                ring.append((row, column))
    assert len(disc) > 20
    for place in np.ndindex(2, 3):
        expected = np.mean([frames[place][p] for p in disc])
        if background:
            expected -= np.mean([frames[place][p] for p in ring])
        assert found[place] == pytest.approx(expected, abs=1e-3)


def test_positions_off_the_detector_and_many_images() -> None:
    scan = memory_scan(scan_array())
    positions = [Apertures(str(i), np.array([[0.01 * i, 0.0]]), 0.03) for i in range(70)]
    positions.append(Apertures("outside", np.array([[9.0, 0.0]]), 0.03))
    images = virtual_dark_field(scan, positions, CALIBRATION, centers())
    assert np.isnan(images[-1]).all()
    assert np.isfinite(images[:-1]).all()
    one = virtual_dark_field(scan, positions[66:67], CALIBRATION, centers())
    np.testing.assert_allclose(images[66], one[0], rtol=1e-5, atol=1e-3)


def test_shared_reflections_are_left_out() -> None:
    """Grains turned against one another about a, which lies along X, share the reflections near the row along X."""
    phase = load_phase("beta2-alumina")
    twin = np.array([[1.0, 0, 0, 0], [np.cos(np.pi / 12), np.sin(np.pi / 12), 0, 0]])
    found = IndexingResult.empty(SHAPE, (phase,), CALIBRATION)
    found.orientation[:] = np.where(LEFT[..., None], twin[0], twin[1])
    found.phase_id[:], found.status[:], found.index[:] = 0, Status.OK, 0.9
    grain_map = find_grains(orientation_map(found))
    arguments = (grain_map, [0], {phase.name: phase}, SIMULATION)
    every = grain_apertures(*arguments, radius=0.03, choice=ReflectionChoice(own=False, most=1000))[0]
    own = grain_apertures(*arguments, radius=0.03, choice=ReflectionChoice(most=1000))[0]
    assert 3 <= len(own.position) < len(every.position)
    other = grain_apertures(grain_map, [1], *arguments[2:], radius=0.03, choice=ReflectionChoice(own=False, most=1000))
    apart = np.hypot(*(own.position[:, None] - other[0].position[None]).transpose(2, 0, 1))
    assert apart.min() >= 0.06


def test_chosen_reflections_with_their_equivalents() -> None:
    """(1 1 0) of tetragonal Na2Au seen along c: the four spots at 45 degrees, and no others of the same length."""
    found = result()
    found.orientation[:] = (1.0, 0.0, 0.0, 0.0)
    grain_map = find_grains(orientation_map(found))
    choice = ReflectionChoice(hkl=((1, 1, 0),), most=100)
    (one,) = grain_apertures(grain_map, [0], {"na2au": PHASE}, SIMULATION, radius=0.03, choice=choice)
    np.testing.assert_allclose(np.hypot(*one.position.T), np.sqrt(2) / 7.415, atol=1e-4)
    angles = np.sort(np.rad2deg(np.arctan2(one.position[:, 1], one.position[:, 0])))
    np.testing.assert_allclose(angles, (-135, -45, 45, 135), atol=1e-3)
    with pytest.raises(ArgumentError, match="hkl must be three Miller indices, not all 0"):
        ReflectionChoice(hkl=((0, 0, 0),))


def test_what_can_not_be_imaged() -> None:
    with pytest.raises(ArgumentError, match="there is no grain 7; the map has regions 0 to 1"):
        grain_apertures(grains(), [7], {"na2au": PHASE}, SIMULATION, radius=0.03)
    with pytest.raises(
        ArgumentError, match="grain 0 shows no reflection to choose; the structure of its phase 'na2au'"
    ):
        grain_apertures(grains(), [0], {}, SIMULATION, radius=0.03)
    with pytest.raises(ArgumentError, match="the radius must be positive"):
        Apertures("a", np.zeros((1, 2)), 0.0)
    scan = memory_scan(scan_array())
    one = [Apertures("a", np.zeros((1, 2)), 0.03)]
    with pytest.raises(ArgumentError, match=r"center must have shape \(2,\) or \(6, 10, 2\), got \(3,\)"):
        virtual_dark_field(scan, one, CALIBRATION, np.zeros(3))
    with pytest.raises(ArgumentError, match="direct beam is not known for any pattern"):
        virtual_dark_field(scan, one, CALIBRATION, np.full(2, np.nan))
    with pytest.raises(ArgumentError, match="no apertures are given"):
        virtual_dark_field(scan, [], CALIBRATION, np.zeros(2))


def test_overlay_gives_each_image_its_colour() -> None:
    images = np.stack([LEFT, ~LEFT]).astype(np.float32)
    colours = overlay(images)
    assert colours.shape == (*SHAPE, 3)
    assert len(np.unique(colours[LEFT], axis=0)) == len(np.unique(colours[~LEFT], axis=0)) == 1
    assert np.abs(colours[LEFT][0] - colours[~LEFT][0]).max() > 0.3
    assert len(draw_dark_field(images, ["a", "b"]).axes) == 3


def test_command_line(tmp_path: Path) -> None:
    write_h5(tmp_path / "scan.h5", scan_array().astype(np.uint16))
    write_result(tmp_path / "map.h5", result())
    write_grain_map(tmp_path / "grains.h5", grains())
    given = ("vdf", "scan.h5", "--map", "map.h5", "--grains", "grains.h5", "-o", "vdf.h5", "--radius", "0.05")
    code, _, err = here(tmp_path, *given, "--figure", "vdf.png")
    assert code == 0, err
    group = read_groups(tmp_path / "vdf.h5")["dark_field"]
    assert [a["name"] for a in group.texts["apertures"]] == ["grain 0", "grain 1"]
    images = group.arrays["images"]
    assert images[0][LEFT].min() > 5 * np.abs(images[0][~LEFT]).max()
    assert (tmp_path / "vdf.png").read_bytes().startswith(b"\x89PNG")
    spots = ("--pixel-size", "0.026", "--voltage", "300", "--at=0.3,-0.1", "--at", "0.2,0")
    code, _, err = here(tmp_path, "vdf", "scan.h5", *spots, "-o", "spots.npy")
    assert code == 0, err
    assert np.load(tmp_path / "spots.npy", allow_pickle=False).shape == (2, *SHAPE)
    code, _, err = here(tmp_path, *given)
    assert (code, err.count("\n")) == (5, 1)
    code, _, err = here(tmp_path, "vdf", "scan.h5", "-o", "x.h5")
    assert code == 2
    assert "say what to image: grains (--grains GRAINS.h5) or positions (--at KX,KY)" in err


def test_binned_as_the_map_was_or_as_asked(tmp_path: Path) -> None:
    """Bins hold the counts of four pixels: an image in counts a pixel is four times that of the stored detector."""
    write_h5(tmp_path / "scan.h5", scan_array().astype(np.uint16))
    mask = np.zeros(scan_array().shape[2:], bool)
    mask[:2, :3] = True
    np.save(tmp_path / "mask.npy", mask)
    spots = ("vdf", "scan.h5", "--pixel-size", "0.026", "--voltage", "300", "--at=0.3,-0.1", "--radius", "0.1",
             "--mask", "mask.npy", "--center", "31.5,30.5")  # fmt: skip
    for name, more in (("whole.npy", ()), ("binned.npy", ("--bin", "2"))):
        code, _, err = here(tmp_path, *spots, *more, "-o", name)
        assert code == 0, err
    whole, binned = (np.load(tmp_path / name, allow_pickle=False)[0] for name in ("whole.npy", "binned.npy"))
    assert np.corrcoef(whole.ravel(), binned.ravel())[0, 1] > 0.9
    assert 3 < np.median(binned[LEFT]) / np.median(whole[LEFT]) < 5
    of_bins = replace(result(), provenance={"run": {"scan": {"bin": 2}}})
    write_result(tmp_path / "map.h5", of_bins)
    given = ("vdf", "scan.h5", "--map", "map.h5", "--at=0.3,-0.1", "-o", "a.npy")
    code, _, err = here(tmp_path, *given, "--bin", "3")
    assert code == 2 and "the map's run binned the detector by 2" in err
    code, _, err = here(tmp_path, *given)
    assert code == 0, err
    with memory_scan(scan_array().astype(np.uint16)).binned(2) as scan:
        one = [Apertures("a", np.array([[0.3, -0.1]]), 0.03)]
        expected = virtual_dark_field(scan, one, of_bins.calibration, of_bins.center.astype(float))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), expected)
