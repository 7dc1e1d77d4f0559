"""Figures: colours that follow symmetry, pixels where they belong, files that are written or not."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nbedex.errors import ArgumentError, DataFormatError, OutputError
from nbedex.maps import (
    IndexingResult,
    ResultReader,
    Status,
    bands,
    canonical,
    from_euler,
    multiply,
    rotate,
    to_matrix,
    write_result,
)
from nbedex.maps.thinned import DRAWN, thinned
from nbedex.phases import Phase, list_phases, load_phase
from nbedex.report import DEFAULT_MIN_PROBABILITY, KINDS, draw, figures, plot_maps
from nbedex.report.figures import MAPS
from nbedex.report.ipf import (
    SAMPLE_AXES,
    colour_key,
    direction_colours,
    ipf_colours,
    lattice_direction,
    orix_frame,
)
from nbedex.report.panels import (
    View,
    ipf_image,
    length_text,
    limits_of,
    miller_text,
    nice_length,
    phase_image,
    short,
)
from nbedex.report.style import WIDTH

_spec = importlib.util.spec_from_file_location("maps_sample", Path(__file__).parents[1] / "oracles" / "maps_sample.py")
assert _spec and _spec.loader
maps_sample = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(maps_sample)
sample_result = maps_sample.sample_result

LAUE = {
    "-1": "Ci",
    "2/m": "C2h",
    "mmm": "D2h",
    "4/m": "C4h",
    "4/mmm": "D4h",
    "-3": "S6",
    "-3m": "D3d",
    "6/m": "C6h",
    "6/mmm": "D6h",
    "m-3": "Th",
    "m-3m": "Oh",
}


def random_quaternions(n: int, seed: int = 5) -> np.ndarray:
    return canonical(np.random.default_rng(seed).normal(size=(n, 4)))


def phase_with(laue_class: str, turn: np.ndarray) -> Phase:
    """A phase of that Laue class whose axes are turned away from orix's setting by `turn` (3, 3)."""
    from orix.quaternion import symmetry

    group = getattr(symmetry, LAUE[laue_class])
    proper = np.asarray(group[~group.improper.astype(bool)].to_matrix())
    return replace(load_phase("cu"), laue_class=laue_class, symmetry_rotations=turn @ proper @ turn.T)


@pytest.mark.parametrize("axis", SAMPLE_AXES)
@pytest.mark.parametrize("phase", list_phases(), ids=lambda p: p.name)
def test_equivalent_orientations_have_one_colour(phase: Phase, axis: str) -> None:
    q = random_quaternions(150)
    colours = ipf_colours(q, phase, axis)
    assert colours.min() >= 0 and colours.max() <= 1 and np.ptp(colours, axis=0).min() > 0.5
    for operator in phase.symmetry_quaternions:
        np.testing.assert_allclose(ipf_colours(multiply(operator, q), phase, axis), colours, atol=1e-6)
    v = rotate(q, np.array(SAMPLE_AXES[axis]))
    np.testing.assert_allclose(direction_colours(-v, phase), colours, atol=1e-6)


@pytest.mark.parametrize("laue_class", LAUE)
def test_every_laue_class_in_any_setting(laue_class: str) -> None:
    """Axes anywhere: equivalents share a colour, and it is the one that orix gives in its own setting."""
    from orix.plot import DirectionColorKeyTSL
    from orix.quaternion import symmetry
    from orix.vector import Vector3d

    turn = to_matrix(random_quaternions(1, seed=8)[0])
    phase = phase_with(laue_class, turn)
    v = np.random.default_rng(1).normal(size=(200, 3))
    colours = direction_colours(v, phase)
    for rotation in phase.symmetry_rotations:
        np.testing.assert_allclose(direction_colours(v @ rotation.T, phase), colours, atol=1e-6)
    standard = phase_with(laue_class, np.eye(3))
    np.testing.assert_allclose(orix_frame(standard), np.eye(3), atol=1e-12)
    key = DirectionColorKeyTSL(getattr(symmetry, LAUE[laue_class]))
    np.testing.assert_allclose(direction_colours(v, standard), key.direction2color(Vector3d(v)), atol=1e-12)


def test_different_orientations_have_other_colours() -> None:
    """NZSP: a half turn about c*, which orix takes for its symmetry, changes the colour."""
    phase, q = load_phase("nzsp"), random_quaternions(100)
    about_c = ipf_colours(multiply(np.array([0.0, 0, 0, 1]), q), phase, "z")
    assert (np.abs(about_c - ipf_colours(q, phase, "z")).max(axis=1) > 0.05).mean() > 0.9


def test_colour_is_that_of_the_beam_direction() -> None:
    """Gold: [001] along Z red, [101] green, [111] blue; the axis asked for decides."""
    phase = load_phase("au")
    # Phi = 45 degrees turns Z to (0, sin, cos) in the crystal, a <110>; X stays a <100>
    q = from_euler(np.deg2rad([0.0, 45.0, 0.0]))
    np.testing.assert_allclose(ipf_colours(q, phase, "z"), [0, 1, 0], atol=0.05)
    np.testing.assert_allclose(ipf_colours(q, phase, "x"), [1, 0, 0], atol=0.05)
    tilt = np.arccos(1 / np.sqrt(3))
    q = from_euler(np.array([0.0, tilt, np.pi / 4]))
    np.testing.assert_allclose(ipf_colours(q, phase, "z"), [0, 0, 1], atol=0.05)


def test_operators_of_another_class_are_refused() -> None:
    wrong = replace(load_phase("cu"), laue_class="-3m")
    with pytest.raises(DataFormatError, match="operators of the phase are not those of the Laue class -3m"):
        orix_frame(wrong)


@pytest.mark.parametrize("phase", list_phases(), ids=lambda p: p.name)
def test_key_shows_the_colours_of_the_map(phase: Phase) -> None:
    key = colour_key(phase, pixels=64)
    assert key.image.shape == (64, 64, 4) and 0.1 < key.image[..., 3].mean() < 0.95
    left, right, bottom, top = key.extent
    for row, column in ((20, 30), (40, 25), (50, 45), (31, 20)):
        x = left + column / 63 * (right - left)
        y = top - row / 63 * (top - bottom)
        if key.image[row, column, 3]:
            standard = np.array([2 * x, 2 * y, 1 - x * x - y * y])
            colour = direction_colours(orix_frame(phase).T @ standard, phase)
            np.testing.assert_allclose(key.image[row, column, :3], colour, atol=1e-9)
    for (x, y), uvw in key.corners:
        corner = orix_frame(phase) @ np.linalg.inv(phase.reciprocal_basis).T @ np.array(uvw)
        corner /= np.linalg.norm(corner)
        assert corner[2] >= -1e-3
        np.testing.assert_allclose(corner[:2] / (1 + corner[2]), (x, y), atol=4e-3)
    labels = {tuple(np.abs(uvw)) for _, uvw in key.corners}
    assert {"m-3m": (1, 1, 1), "-3m": (0, 0, 1), "4/mmm": (1, 1, 0), "2/m": (0, 1, 0), "6/mmm": (2, 1, 0)}[
        phase.laue_class
    ] in labels


def test_lattice_direction() -> None:
    hexagonal = load_phase("beta2-alumina")
    assert lattice_direction(hexagonal, np.array([0.0, 0, 2])) == (0, 0, 1)
    assert lattice_direction(hexagonal, np.array([np.cos(np.pi / 6), 0.5, 0])) == (2, 1, 0)
    assert lattice_direction(hexagonal, np.array([1.0, 0.1, 0.17])) is None
    assert miller_text((1, -1, 0)) == r"$[1\,\bar{1}\,0]$"


def view_of(result: IndexingResult, min_index: float = -1, min_reliability: float = -100) -> View:
    keep = result.accepted(min_index=min_index, min_reliability=min_reliability)
    return View(result=result, keep=keep, limits="")


def test_pixels_are_where_they_belong() -> None:
    """Row down, column right, each in the colour of its own phase and orientation; black where cut off."""
    from matplotlib.colors import to_rgb

    result = sample_result((5, 8))
    view = view_of(result, min_index=0.5, min_reliability=10)
    picture, phases = ipf_image(view, "y"), phase_image(view)
    assert view.keep.any() and not view.keep.all()
    for at in np.ndindex(5, 8):
        if view.keep[at]:
            phase = result.phases[result.phase_id[at]]
            np.testing.assert_allclose(picture[at], ipf_colours(result.orientation[at], phase, "y"))
            np.testing.assert_allclose(phases[at], to_rgb(phase.colour))
        else:
            assert not picture[at].any() and not phases[at].any()
    assert view.extent == (0.0, 12.0, 10.0, 0.0) and view.unit == "nm"


def test_default_cut_offs() -> None:
    result = sample_result()
    figure = draw(result, kind="phase")
    image = figure.axes[0].images[0].get_array()
    shown = np.asarray(image).any(axis=2)
    keep = result.accepted(min_probability=DEFAULT_MIN_PROBABILITY)
    assert (shown == keep).all() and keep.sum() < result.indexed.sum()
    everything = draw(result, kind="phase", min_probability=0)
    assert (np.asarray(everything.axes[0].images[0].get_array()).any(axis=2) == result.indexed).all()


def test_values_and_colour_bar() -> None:
    """Black where cut off, grey where there is no rival, a labelled bar with numbers."""
    result = sample_result()
    axes = draw(result, kind="reliability", min_probability=0, min_reliability=10).axes[0]
    backdrop, values = (image.get_array() for image in axes.images)
    keep = result.accepted(min_reliability=10)
    assert (np.ma.getmaskarray(values) == (~keep | np.isnan(result.reliability))).all()
    np.testing.assert_allclose(values.compressed(), result.reliability[keep & ~np.isnan(result.reliability)])
    grey = keep & np.isnan(result.reliability)
    assert grey.any() and (backdrop[grey] == 153).all() and (backdrop[~keep] == 0).all()
    bar = axes.child_axes[0]
    assert bar.get_ylabel() == "percent" and len(bar.get_yticklabels()) >= 3


def test_overview_has_every_map_and_key() -> None:
    figure = draw(sample_result((12, 18)), kind="overview")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    for letter, name in zip("abcdefgh", ("IPF-X", "IPF-Y", "IPF-Z", "Phase", "Index"), strict=False):
        assert any(title.startswith(f"({letter}) {name}") for title in titles)
    keys = {axes.get_title() for axes in figure.axes} - {""}
    assert keys == {"beta2-alumina, -3m", "nzsp, 2/m", "na2au, 4/mmm"}
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts.count("5 nm") == 8  # a scale bar under each map


def test_scale_bar_has_the_right_length() -> None:
    axes = draw(sample_result((20, 30), step=(1.0, 10.0)), kind="status").axes[0]
    (bar,) = axes.lines
    assert bar.get_xdata()[1] == 50.0 and axes.get_xlim() == (0.0, 300.0) and axes.get_ylim() == (20.0, 0.0)
    assert axes.texts[0].get_text() == "50 nm"
    assert [nice_length(x) for x in (0.24, 1.0, 4.9, 5.0, 99, 1.9999e4)] == [0.2, 1, 2, 5, 50, 1e4]
    assert length_text(500, "nm") == "500 nm" and length_text(2000, "nm") == "2 µm"
    assert length_text(2000, "px") == "2000 px"


def test_limits() -> None:
    assert limits_of(np.array([np.nan, 0.21, 0.33, 0.87]), low=0, high=1) == pytest.approx((0.2, 0.9))
    assert limits_of(np.array([np.nan]), low=0, high=100) == (0, 100)
    assert limits_of(np.full(9, 50.0), low=0, high=100) == (50, 55)
    assert short("a" * 30) == "a" * 17 + "…" and short("two\nlines") == "two lines"


def png_size(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def test_all_files(tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    written = plot_maps(sample_result((6, 9)), folder, kind="all", dpi=60)
    assert [path.name for path in written] == [f"{kind}.png" for kind in KINDS[:-1]]
    assert sorted(folder.iterdir()) == sorted(written)
    assert all(min(png_size(path)) > 60 for path in written)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1)])
@pytest.mark.parametrize("kind", ["overview", "ipf-z", "reliability"])
def test_narrow_maps(tmp_path: Path, shape: tuple[int, int], kind: str) -> None:
    (path,) = plot_maps(sample_result(shape, step=None), tmp_path / "map.png", kind=kind, dpi=50)
    assert max(png_size(path)) < 1200


@pytest.mark.parametrize("kind", [*MAPS, "overview"])
def test_nothing_indexed(kind: str) -> None:
    result = sample_result((3, 4))
    empty = IndexingResult.empty((3, 4), result.phases, result.calibration)
    draw(empty, kind=kind).savefig("/dev/null", format="png", dpi=50)


def test_names_are_not_mathematics() -> None:
    result = sample_result((4, 4))
    result.phases = (replace(result.phases[0], name=r"$\frac{$ _x^"), *result.phases[1:])
    draw(result, kind="overview").savefig("/dev/null", format="png", dpi=50)


def test_same_result_same_picture(tmp_path: Path) -> None:
    result = sample_result((6, 9))
    first = plot_maps(result, tmp_path / "a.png", kind="overview", dpi=60)[0].read_bytes()
    assert plot_maps(result, tmp_path / "b.png", kind="overview", dpi=60)[0].read_bytes() == first


def test_pyplot_knows_nothing_of_it(tmp_path: Path) -> None:
    import matplotlib.pyplot

    before = matplotlib.pyplot.get_fignums()
    settings = dict(matplotlib.rcParams)
    plot_maps(sample_result((4, 5)), tmp_path / "map.png", kind="ipf-z", dpi=60)
    assert matplotlib.pyplot.get_fignums() == before and dict(matplotlib.rcParams) == settings


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    """With "all", one file in the way stops it before anything is drawn."""
    result = sample_result((4, 5))
    (tmp_path / "overview.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"overview\.png exists already"):
        plot_maps(result, tmp_path, kind="all", dpi=60)
    assert [path.name for path in tmp_path.iterdir()] == ["overview.png"]
    plot_maps(result, tmp_path, kind="overview", dpi=60, overwrite=True)
    assert png_size(tmp_path / "overview.png")[0] > 100


def test_bad_arguments(tmp_path: Path) -> None:
    result = sample_result((2, 2))
    for options, message in (
        ({"kind": "ipf"}, r"expected one of ipf-z, .* got 'ipf'"),
        ({"kind": "all"}, "'all' writes 10 files: give a folder instead of"),
        ({"kind": "phase", "dpi": 10}, "dpi must lie between 50 and 1200, got 10"),
        ({"kind": "phase", "min_index": 600}, "min_index must lie between -1 and 1"),
    ):
        with pytest.raises(ArgumentError, match=message):
            plot_maps(result, tmp_path / "map.png", **options)
    with pytest.raises(ArgumentError, match=r"give a name that ends in \.png, \.svg or \.pdf"):
        plot_maps(result, tmp_path / "map.jpg", kind="phase")
    with pytest.raises(OutputError, match="can't make the folder"):
        plot_maps(result, tmp_path / "no" / "folder", kind="phase")
    with pytest.raises(ArgumentError, match=r"expected one of .* got 'all'"):
        draw(result, kind="all")
    assert list(tmp_path.iterdir()) == []


def test_fewer_pixels_than_the_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the file by bands: pixels of the middle of each part; shares, scale bar and area of the whole map."""
    result = sample_result((30, 50), step=None)
    kept = result.accepted(min_probability=0.4)
    stored = write_result(tmp_path / "map.h5", result)
    monkeypatch.setattr(bands, "_BAND_BYTES", 20_000)
    with ResultReader(stored) as reader:
        few = thinned(reader, (10, 20), cutoffs={"min_probability": 0.4})
    rows, columns = np.arange(10) * 3 + 1, ((np.arange(20) + 0.5) * 2.5).astype(int)
    for name in DRAWN:
        expected = getattr(result, name)[np.ix_(rows, columns)]
        np.testing.assert_array_equal(getattr(few.result, name), expected, err_msg=name)
    assert few.scale == (3.0, 2.5)
    assert few.counts.shown.tolist() == [int((kept & (result.phase_id == n)).sum()) for n in range(3)]
    assert few.counts.status.tolist() == [int((result.status == s).sum()) for s in Status]
    assert few.counts.cut == int((result.indexed & ~kept).sum()) and few.counts.pixels == 1500
    keep = few.result.accepted(min_probability=0.4)
    view = View(result=few.result, keep=keep, limits="", scale=few.scale, whole=few.counts)
    whole = View(result=result, keep=kept, limits="")
    assert view.extent == whole.extent == (0.0, 50.0, 30.0, 0.0)
    for kind, entries in (("status", 10), ("phase", 4)):
        legends = [figures._single(v, kind, WIDTH).axes[0].get_legend() for v in (view, whole)]
        texts = [[text.get_text() for text in legend.get_texts()] for legend in legends]
        assert texts[0] == texts[1] and len(texts[0]) == entries


def test_pictures_from_the_file_are_those_from_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = sample_result((9, 13))
    stored = write_result(tmp_path / "map.h5", result)
    monkeypatch.setattr(bands, "_BAND_BYTES", 5000)
    for kind in ("ipf-y", "status", "reliability"):
        (first,) = plot_maps(result, tmp_path / "first.png", kind=kind, dpi=50, overwrite=True)
        with ResultReader(stored) as reader:
            (second,) = plot_maps(reader, tmp_path / "second.png", kind=kind, dpi=50, overwrite=True)
        assert first.read_bytes() == second.read_bytes()
