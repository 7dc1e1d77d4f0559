"""Figures of grains show what they say, and KAM, GROD, GOS and densities are the numbers they claim to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from nbedex.errors import ArgumentError, OutputError
from nbedex.grains import (
    find_grains,
    grain_orientation_spread,
    grain_reference_deviation,
    grains_of,
    kernel_average_misorientation,
)
from nbedex.maps import disorientation_angle
from nbedex.report.grains import GRAIN_FIGURES, draw_grains, fills, inner_points, plot_grains
from nbedex.report.poles import equal_area, from_equal_area, pole_density
from oracles.grain_maps import BETA, GOLD, ZIRCONIA, noisy, orientation_map, turned
from oracles.laue_groups import random_quaternions


def patchwork():
    """Eight grains in two rows, an inclusion and a place that isn't indexed."""
    cell = np.arange(8).reshape(2, 4).repeat(15, axis=0).repeat(15, axis=1)
    phase = np.zeros(cell.shape, dtype=np.int16)
    phase[cell == 5] = 1
    phase[3:9, 48:54] = -1
    orientation = noisy(random_quaternions(8, 5)[cell], 0.5, 4, BETA.symmetry)
    orientation[cell == 5] = noisy(random_quaternions(8, 5)[cell[cell == 5]][:, None], 0.3, 4)[:, 0]
    return find_grains(orientation_map(orientation, phase, phases=(BETA, ZIRCONIA), step=(2.0, 2.0), step_known=True))


def test_kam_by_hand() -> None:
    """A map of 3 x 4 pixels in two regions, one pixel absorbed."""
    orientation = noisy(np.broadcast_to(random_quaternions(1, 2)[0], (3, 4, 4)), 1.5, 7, BETA.symmetry)
    phase = np.zeros((3, 4), dtype=np.int16)
    phase[1, 1] = -1
    region = np.zeros((3, 4), dtype=int)
    region[:, 3] = 1
    grain_map = grains_of(orientation_map(orientation, phase), region)
    for radius in (1, 2):
        kam = kernel_average_misorientation(grain_map, radius=radius)
        for y, x in np.ndindex(3, 4):
            near = [
                np.rad2deg(disorientation_angle(orientation[y, x], orientation[v, u], BETA.symmetry))
                for v, u in np.ndindex(3, 4)
                if 0 < abs(v - y) + abs(u - x) <= radius and region[v, u] == region[y, x] and phase[v, u] == 0
            ]
            expected = np.mean(near) if near and phase[y, x] == 0 else np.nan
            assert kam[y, x] == pytest.approx(expected, nan_ok=True, abs=1e-4)
    small = kernel_average_misorientation(grain_map, largest_deg=1e-3)
    assert np.isnan(small).all()
    with pytest.raises(ArgumentError, match="radius must lie between 1 and 100 pixels, got 0"):
        kernel_average_misorientation(grain_map, radius=0)


def test_grod_and_gos() -> None:
    grain_map = patchwork()
    grod = grain_reference_deviation(grain_map)
    source, grains = grain_map.source, grain_map.grains
    for g in range(len(grains)):
        mine = (grain_map.grain_id == g) & ~grain_map.absorbed
        if grains.phase_id[g] < 0:
            assert np.isnan(grod[mine]).all()
            continue
        symmetry = source.phases[grains.phase_id[g]].symmetry
        expected = np.rad2deg(disorientation_angle(grains.orientation[g], source.orientation[mine], symmetry))
        np.testing.assert_allclose(grod[mine], expected, atol=1e-4)
        assert grains.spread_deg[g] == pytest.approx(expected.mean(), abs=1e-6)
        assert grain_orientation_spread(grain_map)[mine][0] == pytest.approx(expected.mean(), abs=1e-4)


def test_neighbours_have_different_colours() -> None:
    grain_map = patchwork()
    colours = fills(grain_map)
    for a, b in grain_map.neighbours:
        assert np.abs(colours[a] - colours[b]).max() > 0.05


def test_numbers_stand_inside_their_grains() -> None:
    grain_map = patchwork()
    place, deep = inner_points(grain_map)
    column, row = np.rint(place / 2.0).astype(int).T
    np.testing.assert_array_equal(grain_map.grain_id[row, column], np.arange(len(grain_map.grains)))
    assert deep[0] == pytest.approx(15, abs=3)


def test_lines_of_traces_point_along_them() -> None:
    """A plane with normal along X: its trace runs along Y, drawn upright and long; one seen face on is a dot."""
    standing = turned((0, 1, 0), 90.0)  # c along X
    face_on = np.array([1.0, 0, 0, 0])
    cell = np.arange(2).repeat(20)[None].repeat(20, axis=0)
    grain_map = grains_of(orientation_map(np.stack([standing, face_on])[cell]), cell)
    assert grain_map.grains.trace_deg[0] == pytest.approx(90)
    axes = draw_grains(grain_map, kind="planes").axes[0]
    (upright,) = [c for c in axes.collections if isinstance(c, LineCollection)][-1].get_segments()
    assert abs(np.ptp(upright[:, 0])) < 1e-6
    assert np.ptp(upright[:, 1]) > 10
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [float(x) for x in dots[0].get_xdata()] == pytest.approx([29.5], abs=1.1)


def test_pole_density_integrates_to_one_and_peaks_at_the_poles() -> None:
    rng = np.random.default_rng(1)
    v = rng.normal(size=(20000, 3))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    normal = np.array([[0.0, 0.0, 1.0], [0.6, 0.0, 0.8]])
    density = pole_density(normal, np.array([1.0, 3.0]), v)
    assert density.mean() == pytest.approx(1, abs=0.03)
    at = pole_density(normal, np.array([1.0, 3.0]), np.array([normal[0], normal[1], -normal[1], [0, 1.0, 0]]))
    assert at[1] == pytest.approx(at[2])
    assert at[1] > 2.5 * at[0] > 10 * at[3]
    half = pole_density(normal[:1], np.ones(1), np.array([[np.sin(np.deg2rad(10)), 0, np.cos(np.deg2rad(10))]]))
    assert half[0] == pytest.approx(0.5 * pole_density(normal[:1], np.ones(1), normal[:1])[0], rel=0.01)


def test_equal_area_projection() -> None:
    v = np.array([[0, 0, 1.0], [1, 0, 0], [0, np.sqrt(0.5), np.sqrt(0.5)]])
    np.testing.assert_allclose(equal_area(v), [(0, 0), (1, 0), (0, np.sqrt(1 - np.sqrt(0.5)))], atol=1e-12)
    np.testing.assert_allclose(from_equal_area(equal_area(v)), v, atol=1e-7)
    assert np.isnan(from_equal_area(np.array([[0.8, 0.8]]))).all()


def test_all_figures_are_written(tmp_path: Path) -> None:
    written = plot_grains(patchwork(), tmp_path / "f", dpi=60)
    assert [path.stem for path in written] == list(GRAIN_FIGURES)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
    with pytest.raises(OutputError, match=r"grains\.png exists already"):
        plot_grains(patchwork(), tmp_path / "f", dpi=60)


def test_maps_without_conduction_planes() -> None:
    gold = find_grains(orientation_map(random_quaternions(1, 3)[0] * np.ones((12, 12, 1)), phases=(GOLD,)))
    with pytest.raises(ArgumentError, match="no phase of the map has conduction planes; say which phase is which"):
        draw_grains(gold, kind="planes")
    with pytest.raises(ArgumentError, match="expected one of grains, kam, grod, planes, poles, got 'ipf'"):
        draw_grains(gold, kind="ipf")
