"""The simulated scan: columns, bent crystals, what the camera sees, the file."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nbedex.demo import Camera, Raster, ScanSettings, make_scan, simulate_scan, write_truth
from nbedex.demo.columns import columns, local_orientation
from nbedex.demo.patterns import make_exposure
from nbedex.errors import ArgumentError, OutputError
from nbedex.library import DynamicalCrystal, DynamicalSettings
from nbedex.phases import load_phase
from nbedex.scan import open_scan
from oracles.small_specimen import FRAME, HOLE, A, B, C, small_specimen

SPECIMEN = small_specimen()
RASTER = Raster(shape=(12, 20), drift_nm=(6.0, -9.0))
CAMERA = Camera(size=64, k_edge=1.3)
SETTINGS = ScanSettings(raster=RASTER, camera=CAMERA, seed=3)


@pytest.fixture(scope="module")
def scan():
    return make_scan(SPECIMEN, SETTINGS, threads=2)


def test_columns_one_by_one() -> None:
    """Against a loop over positions and slices, drift included."""
    found = columns(SPECIMEN, RASTER, np.arange(240))
    for number in range(240):
        row, column = divmod(number, 20)
        y = (row + 0.5) * 20 + 6.0 * (number / 239 - 0.5)
        x = (column + 0.5) * 20 - 9.0 * (number / 239 - 0.5)
        y, x = min(max(y, 0), 240), min(max(x, 0), 400)
        thickness = float(SPECIMEN.thickness_at(y, x))
        met = [int(SPECIMEN.region_at(y, x, ((i + 0.5) / 24 - 0.5) * thickness)) for i in range(24)]
        share = {r: met.count(r) / 24 for r in set(met) if met.count(r) / 24 >= 0.08}
        mine = found.position == number
        assert dict(zip(found.region[mine], found.share[mine], strict=True)) == pytest.approx(
            {r: s / sum(share.values()) for r, s in share.items()}
        )
        assert found.depth_nm[mine].sum() == pytest.approx(thickness)
        assert (np.diff(found.share[mine]) <= 0).all()
    assert (found.region[found.first] == A).any() and (np.diff(found.first) > 1).any()  # some are mixed


def test_a_column_does_not_depend_on_others() -> None:
    whole = columns(SPECIMEN, RASTER, np.arange(240))
    some = columns(SPECIMEN, RASTER, np.array([47, 48, 133]))
    rows = np.isin(whole.position, [47, 48, 133])
    for name in ("position", "region", "share", "depth_nm", "orientation"):
        np.testing.assert_array_equal(getattr(some, name), getattr(whole, name)[rows])
    with pytest.raises(ArgumentError, match="positions 0 to 239"):
        columns(SPECIMEN, RASTER, np.array([240]))


def test_bent_crystal_is_turned_about_its_axis() -> None:
    """A vector of the crystal, seen in the sample, is turned by the angle about the axis: 3 degrees across region B."""
    y, x = np.array([20.0, 100.0, 110.0]), np.array([390.0, 390.0, 170.0])
    q = local_orientation(SPECIMEN, np.array([B, B, B]), y, x)
    axis = np.deg2rad(25.0)
    corners = SPECIMEN.corners[list(SPECIMEN.regions[B].corners)]
    across = np.cos(axis) * corners[:, 0] - np.sin(axis) * corners[:, 1]
    middle, reach = (across.max() + across.min()) / 2, np.ptp(across)
    fixed = Rotation.from_quat(np.roll(SPECIMEN.regions[B].orientation, -1))
    direction = np.array([0.3, -0.5, 0.8])
    for i in range(3):
        angle = np.deg2rad(3.0) * (np.cos(axis) * y[i] - np.sin(axis) * x[i] - middle) / reach
        expected = Rotation.from_rotvec(angle * np.array([np.cos(axis), np.sin(axis), 0.0])).apply(
            fixed.inv().apply(direction)
        )
        found = Rotation.from_quat(np.roll(q[i], -1)).inv().apply(direction)
        np.testing.assert_allclose(found, expected, atol=1e-12)
    ends = local_orientation(SPECIMEN, np.full(len(corners), B), corners[:, 0], corners[:, 1])
    turns = np.rad2deg([(fixed.inv() * Rotation.from_quat(np.roll(e, -1))).magnitude() for e in ends])
    assert turns.max() == pytest.approx(1.5)  # half of it to either side
    assert np.isnan(local_orientation(SPECIMEN, np.array([FRAME]), y[:1], x[:1])).all()


def test_image_of_a_mixed_column() -> None:
    """Against sums over all pixels and all beams of every crystal met, without any cut-off."""
    exposure = make_exposure(SPECIMEN, CAMERA, RASTER.shape, seed=3)
    found = columns(SPECIMEN, RASTER, np.arange(240))
    first = found.first
    mixed = [i for i, (a, b) in enumerate(zip(first, [*first[1:], len(found.position)], strict=True)) if b - a > 1]
    settings = DynamicalSettings(voltage=300, k_max=1.3)
    crystals = {name: DynamicalCrystal(load_phase(name), settings) for name in SPECIMEN.phases}
    assert len(mixed) > 5
    pixels = np.arange(64)
    for number in (*mixed[:2], 7, 19):
        part = columns(SPECIMEN, RASTER, np.array([number]))
        ((_, image),) = exposure.images(part)
        row, column = CAMERA.center(np.array([number]), RASTER.shape)[0]
        k_y, k_x = ((pixels - at) * 2.6 / 64 for at in (row, column))
        radius = np.hypot(k_y[:, None], k_x[None, :])
        disk = np.exp(-(radius**2) / (2 * 0.0126**2))
        diffuse = np.exp(-radius / 0.25)
        expected = 0.3 * disk / disk.sum() + 0.3 * diffuse / diffuse.sum()
        for region, share, depth, q in zip(part.region, part.share, part.depth_nm, part.orientation, strict=True):
            beams = crystals[SPECIMEN.regions[region].phase].patterns(q[None], [np.rint(depth * 2) / 2], threads=1)
            intensity = beams.intensity[1:, 0] / beams.intensity[1:, 0].sum()
            for kx, ky, value in zip(beams.kx[1:], beams.ky[1:], intensity, strict=True):
                spot = np.outer(
                    np.exp(-((k_y - ky) ** 2) / (2 * 0.0126**2)), np.exp(-((k_x - kx) ** 2) / (2 * 0.0126**2))
                )
                total = np.outer(
                    *(np.exp(-((np.arange(-99, 99) * 2.6 / 64 - at) ** 2) / (2 * 0.0126**2)) for at in (
                        ky - k_y[0] % (2.6 / 64), kx - k_x[0] % (2.6 / 64)
                    ))
                ).sum()  # fmt: skip
                expected += 0.4 * share * value * spot / total
        np.testing.assert_allclose(image, expected, atol=2e-5 * expected.max())


def test_frames_have_the_electrons_they_should(scan) -> None:
    region = scan.truth.region
    total = scan.frames.sum(axis=(2, 3))
    crystal = (region != HOLE) & (region != FRAME) & ~scan.truth.mixed
    # a few electrons fall beside the camera
    assert 0.97 * 2e4 < total[crystal].mean() < 1.01 * 2e4
    hole = np.argwhere((region == HOLE) & ~scan.truth.mixed)[3]
    frame = scan.frames[tuple(hole)]
    row, column = CAMERA.center(np.array([hole[0] * 20 + hole[1]]), RASTER.shape)[0]
    y, x = np.mgrid[:64, :64]
    assert frame[np.hypot(y - row, x - column) > 3].sum() == 0 and frame.sum() > 1.9e4
    ring = scan.frames[region == FRAME].mean(axis=0)
    k = np.hypot(y - 31.5, x - 31.5) * 2.6 / 64
    assert ring[np.abs(k - 0.4) < 0.03].mean() > 3 * ring[np.abs(k - 0.8) < 0.03].mean()


def test_the_scan_does_not_depend_on_threads(scan) -> None:
    other = make_scan(SPECIMEN, SETTINGS, threads=1)
    np.testing.assert_array_equal(scan.frames, other.frames)
    np.testing.assert_array_equal(scan.truth.orientation, other.truth.orientation)


def test_truth_says_what_is_where(scan) -> None:
    truth = scan.truth
    assert truth.names[truth.region[1, 2]] == "A" and truth.names[truth.region[2, 18]] == "B"
    assert truth.names[truth.region[10, 2]] == "C" and truth.phase_id[10, 2] == 1 and truth.phase_id[1, 2] == 0
    assert truth.phase_id[11, 19] == -1 and np.isnan(truth.orientation[11, 19]).all()
    np.testing.assert_allclose(truth.orientation[10, 2], SPECIMEN.regions[C].orientation)
    assert truth.step == (20.0, 20.0)


def test_file_is_as_a_microscope_would_write_it(scan, tmp_path) -> None:
    stages = []
    truth = simulate_scan(
        SPECIMEN, tmp_path / "scan.hspy", SETTINGS, progress=lambda *facts: stages.append(facts), threads=2
    )
    with open_scan(tmp_path / "scan.hspy") as opened:
        np.testing.assert_array_equal(opened.read_at([0, 47, 239]), scan.frames.reshape(-1, 64, 64)[[0, 47, 239]])
        assert opened.scan_shape == (12, 20)
    assert stages[-1] == ("scanning", 12, 12)
    with pytest.raises(OutputError, match="exists already"):
        simulate_scan(SPECIMEN, tmp_path / "scan.hspy", SETTINGS)
    write_truth(tmp_path / "truth.h5", truth)
    with h5py.File(tmp_path / "truth.h5") as file:
        np.testing.assert_array_equal(file["region"][:], scan.truth.region)
        assert [name.decode() for name in file["names"]] == ["A", "B", "C", "frame", "hole"]


def test_a_stopped_scan_leaves_nothing(tmp_path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_scan(SPECIMEN, tmp_path / "scan.hspy", SETTINGS, progress=stop)
    assert not list(tmp_path.iterdir())
