"""Specimens made of polygons: every point in exactly one region, at every depth, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nbedex.demo.lamella import load_lamella
from nbedex.demo.specimen import Region, Specimen
from nbedex.errors import ArgumentError, DataFormatError
from nbedex.phases import templates_dir

SHIPPED = templates_dir() / "lamella" / "lamella.toml"


def two_halves(lean: float = 0.5) -> Specimen:
    """100 nm high, 200 nm wide; the boundary at x = 100 in the middle moves by `lean` to the right per nm of depth."""
    corners = [(0, 0), (0, 200), (100, 200), (100, 0), (0, 100), (50, 100), (100, 100)]
    return Specimen(
        size_nm=(100.0, 200.0),
        thickness_nm=(40.0, 80.0, 60.0, 100.0),
        corners=np.array(corners, dtype=float),
        lean=np.array([(0, lean if i == 5 else 0) for i in range(7)], dtype=float),
        regions=(
            Region(name="left", role="grain", phase="au", orientation=(1.0, 0.0, 0.0, 0.0), corners=(0, 4, 5, 6, 3)),
            Region(name="right", role="frame", phase=None, orientation=None, corners=(4, 1, 2, 6, 5)),
        ),
        phases=("au",),
        field_deg=30.0,
    )


def inside(points: np.ndarray, x: float, y: float) -> bool:
    """Whether the angle that a ring (k, 2) of (y, x) turns by, seen from a point, is a full one."""
    direction = np.arctan2(points[:, 0] - y, points[:, 1] - x)
    turn = (np.diff(direction, append=direction[0]) + np.pi) % (2 * np.pi) - np.pi
    return abs(turn.sum()) > np.pi


@pytest.mark.parametrize("specimen", [two_halves(), load_lamella()], ids=["two halves", "lamella"])
def test_every_point_is_in_one_region(specimen: Specimen) -> None:
    assert specimen.areas_nm2.sum() == pytest.approx(specimen.size_nm[0] * specimen.size_nm[1], rel=1e-12)
    rng = np.random.default_rng(1)
    y, x = rng.uniform(0, 1, (2, 300)) * np.array(specimen.size_nm)[:, None]
    depth = rng.uniform(-0.5, 0.5, 300) * specimen.thickness_at(y, x)
    found = specimen.region_at(y, x, depth)
    for k in range(300):
        moved = specimen.corners + depth[k] * specimen.lean
        holds = [number for number, ring in enumerate(specimen.rings) if inside(moved[list(ring)], x[k], y[k])]
        assert holds == [found[k]]


def test_corners_and_edges_belong_to_one_region_too() -> None:
    specimen = load_lamella()
    first, last = specimen.corners[:, 0], specimen.corners[:, 1]
    assert (specimen.region_at(first, last) >= 0).all()
    for ring in specimen.rings:
        ends = specimen.corners[list(ring)]
        middle = 0.5 * (ends + np.roll(ends, -1, axis=0))
        assert (specimen.region_at(middle[:, 0], middle[:, 1]) >= 0).all()
    corner = specimen.region_at([0.0, 0.0, 3840.0, 3840.0], [0.0, 3840.0, 0.0, 3840.0])
    assert (corner >= 0).all()
    np.testing.assert_array_equal(specimen.region_at([-50.0, 9e9], [-1.0, 9e9]), corner[[0, 3]])


def test_frame_depth_and_thickness() -> None:
    """Rows are Y, columns X, and a lean shifts the boundary with depth; each differs from its mirror image."""
    specimen = two_halves()
    assert specimen.region_at(50.0, 109.0, 20.0) == 0 and specimen.region_at(50.0, 111.0, 20.0) == 1
    assert specimen.region_at(50.0, 89.0, -20.0) == 0 and specimen.region_at(50.0, 91.0, -20.0) == 1
    assert specimen.region_at(25.0, 104.0, 20.0) == 0 and specimen.region_at(25.0, 106.0, 20.0) == 1  # half as much
    np.testing.assert_array_equal(specimen.map((2, 5)), [[0, 0, 1, 1, 1]] * 2)
    assert specimen.region_at(np.zeros((3, 1)), np.zeros(4)).shape == (3, 4)
    np.testing.assert_allclose(specimen.thickness_at([0, 0, 100, 100, 50], [0, 200, 0, 200, 50]), [40, 80, 60, 100, 60])


def test_a_map_is_the_field_of_view_without_overlap() -> None:
    specimen = load_lamella()
    region = specimen.map((320, 320))
    share = np.bincount(region.ravel(), minlength=len(specimen.regions)) / region.size
    np.testing.assert_allclose(share, specimen.areas_nm2 / specimen.areas_nm2.sum(), atol=1.5e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {"corners": s.corners[:6]}, "corners and their lean of shape"),
        (lambda s: {"lean": s.lean + 0.1}, "must not lean"),
        (lambda s: {"thickness_nm": (1.0, 0.0, 1.0, 1.0)}, "must be positive"),
        (lambda s: {"field_deg": np.nan}, "must be finite"),
        (lambda s: {"regions": s.regions[:1]}, "nothing on the other side of its edge from corner 4 to 5"),
        (lambda s: {"regions": (s.regions[0], replace(s.regions[1], name="left"))}, "names of regions must differ"),
        (lambda s: {"regions": (s.regions[0], replace(s.regions[1], corners=(4, 1, 2, 6)))}, "must share the corners"),
        (lambda s: {"regions": (s.regions[0], replace(s.regions[1], corners=(5, 6, 2, 1, 4)))}, "same side of an edge"),
        (lambda s: {"regions": (s.regions[0], replace(s.regions[1], corners=(4, 1, 2, 9)))}, "names corner 9"),
        (lambda s: {"regions": (replace(s.regions[0], corners=(3, 6, 5, 4, 0)), s.regions[1])}, "run from X towards Y"),
        (lambda s: {"regions": (s.regions[0], replace(s.regions[1], role="wall"))}, "expected grain, electrode"),
        (lambda s: {"regions": (s.regions[0], replace(s.regions[1], phase="au"))}, "needs a phase and an orientation"),
        (lambda s: {"phases": ("pt",)}, "is of phase 'au'"),
        (lambda s: {"regions": (replace(s.regions[0], orientation=(1, 1, 0, 0)), s.regions[1])}, "unit quaternion"),
        (lambda s: {"lean": s.lean * 10}, "at a surface of the lamella"),
    ],
)  # fmt: skip
def test_what_is_no_specimen(change: object, message: str) -> None:
    specimen = two_halves()
    with pytest.raises(ArgumentError, match=message):
        replace(specimen, **change(specimen))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("size_nm", "size", "size"),
        ('role = "grain"', 'role = "wall"', "Invalid enum value 'wall'"),
        ('phase = "beta2-alumina"', 'phase = "beta3-alumina"', "unknown phase 'beta3-alumina'"),
        ("field_deg = ", "field_deg = !", "not valid TOML"),
        ('name = "G7"', 'name = "G8"', "names of regions must differ"),
    ],
)
def test_files_that_hold_no_specimen(old: str, new: str, message: str, tmp_path: Path) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(DataFormatError, match=message) as caught:
        load_lamella(path)
    assert "mine.toml" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ArgumentError, match="can't read the specimen"):
        load_lamella(tmp_path / "none.toml")


def test_a_specimen_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(SHIPPED.read_bytes())
    own, shipped = load_lamella(path), load_lamella()
    np.testing.assert_array_equal(own.corners, shipped.corners)
    assert own.regions == shipped.regions
    assert own.index("G11") == [r.name for r in own.regions].index("G11")
    with pytest.raises(ArgumentError, match="no region is called 'G99'"):
        own.index("G99")
