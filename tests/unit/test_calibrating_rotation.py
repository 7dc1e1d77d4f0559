"""Rotation and handedness of the detector: gradients turned, mirrored, drowned in noise; the edge of a lath."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from nbedex.calibrating.edge_rotation import longest_edge, rotation_from_edge
from nbedex.calibrating.rotation import curl_share, rotation_from_deflections
from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError, DataFormatError
from nbedex.report.rotation import draw_deflections, draw_edge
from oracles.command_line import here

Array = NDArray[np.float64]
SHARED = Path(__file__).parents[3] / "shared" / "data" / "xgrating_moo3"


def deflections(
    rotation: float, flipped: bool, *, noise: float = 0.02, n: int = 48, amplitude: float = 0.3, seed: int = 1
) -> Array:
    """Row and column of the beam over a bumpy specimen, with descan; rms deflection `amplitude` pixels."""
    rng = np.random.default_rng(seed)
    potential = ndimage.gaussian_filter(rng.normal(size=(n, n)), 2.5)
    gradient = np.stack(np.gradient(potential)[::-1], axis=-1)  # along X, along Y
    gradient *= amplitude / gradient.std()
    camera = Calibration(pixel_size=0.5, voltage=300.0, rotation_deg=rotation, flipped=flipped)
    offset = gradient @ (0.5 * camera.detector_from_sample()).T  # column, row
    rows, columns = np.indices((n, n)) / n
    place = np.stack([64.0 + offset[..., 1] + 2 * rows - columns, 63.0 + offset[..., 0] + 3 * columns], axis=-1)
    return place + rng.normal(0, noise, place.shape)


def apart(a: float, b: float) -> float:
    """Of two angles up to half turns, degrees."""
    return abs((a - b + 90) % 180 - 90)


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("rotation", [37.0, -80.0, 0.0, 170.0])
def test_a_gradient_shows_rotation_and_handedness(rotation: float, flipped: bool) -> None:
    found = rotation_from_deflections(deflections(rotation, flipped))
    assert found.flipped is flipped
    assert apart(found.rotation_deg, rotation) < max(3 * found.uncertainty_deg, 0.5)
    assert found.uncertainty_deg < 3
    assert found.curl_share[int(flipped)] < 0.1 < 0.3 < found.curl_share[int(not flipped)]


def test_uncertainties_are_honest() -> None:
    off = []
    for seed in range(12):
        found = rotation_from_deflections(deflections(37.0, True, noise=0.06, n=32, seed=seed))
        assert found.flipped is True
        off.append(apart(found.rotation_deg, 37.0) / found.uncertainty_deg)
    assert 0.4 < np.sqrt(np.mean(np.square(off))) < 1.8


@pytest.mark.parametrize("seed", range(6))
def test_noise_is_not_taken_for_a_gradient(seed: int) -> None:
    found = rotation_from_deflections(deflections(37.0, False, noise=0.3, amplitude=1e-6, seed=seed))
    assert found.flipped is None and np.isnan(found.rotation_deg)


def test_positions_without_a_beam_are_left_out() -> None:
    beam = deflections(37.0, False)
    beam[np.random.default_rng(2).random(beam.shape[:2]) < 0.1] = np.nan
    found = rotation_from_deflections(beam)
    assert found.flipped is False and apart(found.rotation_deg, 37.0) < 3
    with pytest.raises(DataFormatError, match="too few patterns"):
        rotation_from_deflections(np.full((20, 20, 2), np.nan))
    with pytest.raises(ArgumentError, match="at least 12 x 12"):
        rotation_from_deflections(beam[:8])


def lath(direction_deg: float) -> Array:
    """A crystal with two long edges, cut off obliquely, that runs out of the image on one side."""
    rows, columns = np.indices((200, 220)) - np.array([105.0, 100.0])[:, None, None]
    c, s = np.cos(np.deg2rad(direction_deg)), np.sin(np.deg2rad(direction_deg))
    along, across = columns * c + rows * s, rows * c - columns * s
    inside = (abs(across) < 45) & (along < 60 - 0.6 * across)
    image = ndimage.gaussian_filter(np.where(inside, 100.0, 10.0), 1.0)
    return np.asarray(np.random.default_rng(3).normal(image, 4.0))


def pattern(camera: Calibration, direction_deg: float) -> Array:
    """Spots of a lath along `direction_deg` in the sample: h + l even, as in MoO3."""
    h, l = (n.ravel() for n in np.mgrid[-5:6, -5:6])  # noqa: E741
    keep = (h + l) % 2 == 0
    along, across = l[keep] / 3.697, h[keep] / 3.963
    c, s = np.cos(np.deg2rad(direction_deg)), np.sin(np.deg2rad(direction_deg))
    k = np.stack([along * c - across * s, along * s + across * c])
    x, y = camera.detector_from_sample() @ k + np.array([[129.3], [127.6]])
    bright = 400 * np.exp(-1.5 * np.hypot(along, across)) + 2000 * (np.hypot(along, across) == 0)
    rows, columns = np.indices((256, 256))
    image = np.full((256, 256), 1.0)
    for one, a, b in zip(bright, x, y, strict=True):
        image += one * np.exp(-((columns - a) ** 2 + (rows - b) ** 2) / 5)
    return np.random.default_rng(4).poisson(image).astype(float)


@pytest.mark.parametrize(("rotation", "flipped"), [(37.0, False), (-64.0, False), (37.0, True)])
def test_edge_and_spots_of_a_lath(rotation: float, flipped: bool) -> None:
    camera = Calibration(pixel_size=0.0102, voltage=300.0, rotation_deg=rotation, flipped=flipped)
    found = rotation_from_edge(lath(-11.0), pattern(camera, -11.0), pixel_size=0.0105)
    assert found.edges == 2 and abs(found.edge_deg + 11.0) < 0.3
    assert apart(found.flipped_rotation_deg if flipped else found.rotation_deg, rotation) < 0.6
    assert found.uncertainty_deg < 1.0


def test_the_ellipse_of_the_camera_is_taken_out() -> None:
    camera = Calibration(
        pixel_size=0.0102, voltage=300.0, rotation_deg=37.0, ellipse_ratio=1.04, ellipse_angle_deg=-20.0
    )
    ellipse = Calibration(pixel_size=0.5, voltage=300.0, ellipse_ratio=1.04, ellipse_angle_deg=-20.0)
    undistort = np.linalg.inv(0.5 * ellipse.detector_from_sample())
    shown = lath(-11.0), pattern(camera, -11.0)
    with_it = rotation_from_edge(*shown, pixel_size=0.0102, undistort=undistort)
    without = rotation_from_edge(*shown, pixel_size=0.0102)
    assert apart(with_it.rotation_deg, 37.0) < 0.6 and abs(with_it.angle_deg - 90) < 0.4
    assert without.uncertainty_deg > 2 * with_it.uncertainty_deg


def test_images_without_edge_or_net_are_refused() -> None:
    noise = np.random.default_rng(5).normal(size=(100, 100))
    with pytest.raises(DataFormatError, match="no straight edge"):
        longest_edge(noise)
    with pytest.raises(DataFormatError, match="spots"):
        rotation_from_edge(lath(0.0), noise, pixel_size=0.01)


def test_command(tmp_path: Path) -> None:
    n, size = 24, 32
    beam = deflections(37.0, True, n=n, noise=0.0, amplitude=0.5) - np.array([48.0, 47.0])
    rows, columns = np.indices((size, size))
    image = 300 * np.exp(
        -((rows - beam[..., 0, None, None]) ** 2 + (columns - beam[..., 1, None, None]) ** 2) / 8
    )  # fmt: skip
    np.save(tmp_path / "scan.npy", np.random.default_rng(6).poisson(image + 1).astype(np.uint16))
    code, out, err = here(tmp_path, "rotation", "scan.npy", "--json", "--beam-radius", "3", "--to", "turned.png")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["written"] == [str(tmp_path / "turned.png")]
    assert (tmp_path / "turned.png").read_bytes().startswith(b"\x89PNG")
    code, _, err = here(tmp_path, "rotation", "scan.npy", "--to", "turned.png")
    assert code == 5 and "turned.png" in err
    assert facts["flipped"] is True and apart(facts["rotation_deg"], 37.0) < 3 * facts["uncertainty_deg"] + 1
    assert "half a turn" in facts["not_determined"][0]
    flat = np.random.default_rng(7).poisson(np.full((n, n, size, size), image[0, 0] + 1))
    np.save(tmp_path / "flat.npy", flat.astype(np.uint16))
    code, out, err = here(tmp_path, "rotation", "flat.npy", "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["rotation_deg"] is None and "noise" in facts["not_determined"][0]
    np.save(tmp_path / "image.npy", lath(-11.0))
    code, out, err = here(
        tmp_path, "rotation", "--image", "image.npy", "--pattern", "image.npy", "--pixel-size", "0.01"
    )
    assert code == 3 and "Traceback" not in err
    for wrong in (("rotation",), ("rotation", "scan.npy", "--image", "x"), ("rotation", "--image", "image.npy")):
        code, _, err = here(tmp_path, *wrong)
        assert code == 2 and "give a scan, or both" in err


@pytest.mark.parametrize("flipped", [False, True])
def test_the_share_of_curl_is_least_at_the_rotation_found(flipped: bool) -> None:
    beam = deflections(-64.0, flipped)
    found = rotation_from_deflections(beam)
    angles = np.arange(-90.0, 90.0, 0.05)
    shares = curl_share(beam, angles)
    np.testing.assert_allclose(shares.min(axis=1), found.curl_share, atol=1e-5)
    assert apart(angles[shares[int(flipped)].argmin()], found.rotation_deg) < 0.05


@pytest.mark.parametrize("flipped", [False, True])
def test_arrows_are_the_gradient_in_the_frame_of_the_scan(flipped: bool) -> None:
    """In the picture they point along the specimen's own gradient, or all against it."""
    n = 24  # an arrow at every position
    found = rotation_from_deflections(beam := deflections(37.0, flipped, n=n, noise=0.0))
    (arrows,) = [c for c in draw_deflections(beam, found).axes[0].collections if hasattr(c, "U")]
    gradient = np.stack(
        np.gradient(ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(n, n)), 2.5))[::-1], axis=-1
    )
    gradient -= gradient.mean(axis=(0, 1))
    drawn = np.stack([arrows.U, arrows.V], axis=-1).reshape(n, n, 2)
    cosine = (drawn * gradient).sum() / np.sqrt((drawn**2).sum() * (gradient**2).sum())
    assert abs(cosine) > 0.9


def test_pictures_where_nothing_is_determined_and_of_an_edge() -> None:
    beam = np.random.default_rng(5).normal(size=(20, 20, 2))
    found = rotation_from_deflections(beam)
    assert found.flipped is None
    assert "don't show" in draw_deflections(beam, found, width=3.3).get_suptitle().replace("\n", " ")
    image, spots = lath(-11.0), pattern(Calibration(pixel_size=0.0102, voltage=300.0, rotation_deg=37.0), -11.0)
    edge = rotation_from_edge(image, spots, pixel_size=0.0105)
    np.testing.assert_allclose(edge.beam, np.array(np.unravel_index(spots.argmax(), spots.shape))[::-1], atol=1.0)
    row, column = np.round(edge.edge_middle[::-1]).astype(int)
    around = image[row - 4 : row + 5, column - 4 : column + 5]
    assert around.max() - around.min() > 0.5 * (image.max() - image.min())  # it lies on the rim
    assert len(draw_edge(image, spots, edge).axes) == 2


@pytest.mark.skipif(not SHARED.is_dir(), reason="real images are not part of the project")
def test_real_moo3() -> None:
    """pyxem's notebook 03 draws both lines by hand: -5.0 degrees in the image, 75.25 in the pattern."""
    from nbedex.scan import open_patterns

    images = []
    for name in ("moo3_100kX.tif", "moo3_20cm.tif"):
        with open_patterns(SHARED / name) as scan:
            images.append(scan.read(0, 1)[0].astype(float))
    found = rotation_from_edge(images[0], images[1], pixel_size=0.0102)
    assert found.edges == 2 and abs(found.edge_deg + 5.0) < 0.5
    assert abs(found.rotation_deg + 80.25) < found.uncertainty_deg < 3
