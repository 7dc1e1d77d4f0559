"""Figures show what the numbers say: colours, styles, lengths of arrows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.quiver import Quiver

from nbedex.blockade import BlockadeReport, BoundaryClass, UniformField, analyse_blockade
from nbedex.errors import ArgumentError, OutputError
from nbedex.report.blockade import DRAWN, draw_blockade, plot_blockade
from nbedex.report.blockade_maps import ARROW, CLASS_COLOURS, stretch_lines
from nbedex.report.grains import inner_points
from oracles.planes_phantom import network, voronoi


@pytest.fixture(scope="module")
def figures() -> BlockadeReport:
    rng = np.random.default_rng(3)
    normals = rng.normal(size=(40, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    normals[7] = [0.0, 0.0, 1.0]
    phase = np.zeros(40, dtype=int)
    phase[[5, 20, 30]] = (3, 2, 1)
    net = network(voronoi((120, 160), 40, 3), normals, phase=phase)
    return BlockadeReport.of(analyse_blockade(net, UniformField(60.0)))


def test_classes_have_their_colours_and_styles(figures: BlockadeReport) -> None:
    """Every class differs from every other in colour or in dashes; blocking ones are thickest."""
    axes = draw_blockade(figures, "classes").axes[0]
    code = figures.blockade.along.code
    collections = [c for c in axes.collections if type(c) is LineCollection]
    seen = {}
    for kind in BoundaryClass:
        n = int((code == kind).sum())
        found = [
            c
            for c in collections
            if to_hex(c.get_colors()[0]) == CLASS_COLOURS[kind].lower()
            and len(c.get_segments()) == n
            and (c.get_linestyle()[0][1] is not None) == (kind != 0 and kind % 2 == 0)
        ]
        assert bool(found) == bool(n)
        if n:
            seen[kind] = found[0].get_linewidth()[0]
    assert min(seen[BoundaryClass.III_A2], seen.get(BoundaryClass.II_B1, 9.0)) > max(
        width for kind, width in seen.items() if kind not in (BoundaryClass.III_A2, BoundaryClass.II_B1)
    )
    assert len({(colour, code % 2) for code, colour in CLASS_COLOURS.items()}) == 13
    drawn = sum(len(c.get_segments()) for c in collections if to_hex(c.get_colors()[0]) != "#000000")
    assert drawn == len(code)


def test_arrows_are_as_long_as_planes_are_steep(figures: BlockadeReport) -> None:
    axes = draw_blockade(figures, "classes").axes[0]
    grains = figures.blockade.network.grain_map.grains
    planes = np.flatnonzero(np.isfinite(grains.trace_deg) | (grains.inclination_deg < 3))
    there, back = (c for c in axes.collections if isinstance(c, Quiver))
    u, v = np.array(there.U), np.array(there.V)
    np.testing.assert_allclose(u, -np.array(back.U))
    assert len(u) == len(planes) == 37
    deep = inner_points(figures.blockade.network.grain_map)[1][planes]
    expected = ARROW * deep * np.sin(np.deg2rad(grains.inclination_deg[planes]))
    np.testing.assert_allclose(np.hypot(u, v), expected, rtol=1e-9)
    steep = grains.inclination_deg[planes] > 5
    turn = np.rad2deg(np.arctan2(v, u)) - grains.trace_deg[planes]
    np.testing.assert_allclose(np.abs(np.sin(np.deg2rad(turn[steep]))), 0, atol=1e-9)


def test_accumulation_is_drawn_for_every_stretch(figures: BlockadeReport) -> None:
    axes = draw_blockade(figures, "accumulation").axes[0]
    (coloured,) = [c for c in axes.collections if isinstance(c, LineCollection) and c.get_array() is not None]
    shown = np.ma.filled(coloured.get_array().astype(float), np.nan)
    np.testing.assert_allclose(np.sort(shown), np.sort(figures.blockade.along.accumulation))
    biggest = np.nanargmax(np.abs(figures.blockade.along.accumulation))
    np.testing.assert_allclose(coloured.get_segments()[-1], stretch_lines(figures.blockade)[biggest])
    # Y runs down, as in the map
    bottom, top = axes.get_ylim()
    assert bottom > top


def test_files(figures: BlockadeReport, tmp_path: Path) -> None:
    paths = plot_blockade(figures, tmp_path, dpi=50)
    assert [path.name for path in paths] == [f"blockade-{kind}.png" for kind in DRAWN]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    with pytest.raises(OutputError, match=r"blockade-classes\.png exists already"):
        plot_blockade(figures, tmp_path, dpi=50)
    with pytest.raises(ArgumentError, match="expected one of classes, accumulation"):
        draw_blockade(figures, "map")
    with pytest.raises(ArgumentError, match="dpi must lie between 50 and 1200, got 3"):
        plot_blockade(figures, tmp_path, dpi=3, overwrite=True)


@pytest.mark.parametrize("kind", DRAWN)
def test_maps_without_anything_to_show(kind: str) -> None:
    empty = analyse_blockade(network(np.zeros((6, 5), dtype=int), np.eye(3)[:1]), UniformField(0.0))
    assert draw_blockade(BlockadeReport.of(empty), kind).axes
