"""Figures of the current: what is in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nbedex.errors import ArgumentError
from nbedex.report.current import KINDS, draw_current, draw_sweep, plot_current
from nbedex.transport import (
    Electrode,
    TransportSettings,
    boundary_currents,
    edge_problem,
    sample_orientations,
    simple_structure,
    solve,
    sweep,
)
from oracles.current_oracle import edge_on


@pytest.fixture(scope="module")
def solution():
    labels = np.repeat([0, 1], 10)[None, :] * np.ones((12, 1), dtype=int)
    labels[3:5, 4:6] = -1
    structure = simple_structure(
        labels, step=(2.0, 2.0), normal=[edge_on(30), edge_on(-50)], in_plane=[1.0] * 2, out_of_plane=[0.01] * 2
    )
    return solve(edge_problem(structure, left=1.0, right=0.0), TransportSettings())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn(solution, kind: str, tmp_path: Path) -> None:
    table = boundary_currents(solution)
    (path,) = plot_current(solution, tmp_path / "f.png", boundaries=table, kind=kind, dpi=60)
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_current_is_on_a_log_scale_with_boundaries_and_lines(solution) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LogNorm

    axis = draw_current(solution, kind="current").axes[0]
    assert isinstance(axis.images[0].norm, LogNorm)
    assert axis.images[0].get_extent() == [-1.0, 39.0, 23.0, -1.0]
    edges = [c for c in axis.collections if type(c) is LineCollection]
    assert len(edges[0].get_segments()) == 12 + 8  # the boundary, and around the inclusion
    assert "15 lines" in axis.get_title(loc="left")
    assert "resistance" in axis.get_title(loc="left")


def test_without_a_stream_function_no_lines(solution) -> None:
    problem = edge_problem(solution.problem.structure, left=1.0)
    problem.of_cell[6:8, 12:14] = 1
    problem = replace(problem, electrodes=(*problem.electrodes, Electrode(where="in", potential=0.0)))
    axis = draw_current(solve(problem), kind="current").axes[0]
    assert axis.get_title(loc="left").startswith("current\n")


def test_arrows_point_along_the_field(solution) -> None:
    axis = draw_current(solution, kind="field").axes[0]
    arrows = next(c for c in axis.collections if type(c).__name__ == "Quiver")
    assert arrows.U.mean() > 0
    length = arrows.U**2 + arrows.V**2
    assert length == pytest.approx(np.ones(12 * 20 - 4))  # none in the inclusion


def test_bars_with_error(solution) -> None:
    table = boundary_currents(solution)
    spread = sample_orientations(solution.problem, np.array([3.0, 3.0]), draws=3)
    axis = draw_current(solution, kind="boundaries", boundaries=table, spread=spread).axes[0]
    assert axis.patches[0].get_width() == pytest.approx(table.accumulation[0])
    assert [label.get_text() for label in axis.get_yticklabels()] == [f"0/1  {table.labels[0]}"]
    assert len(axis.containers) == 2
    with pytest.raises(ArgumentError, match="bars need boundaries, got none"):
        draw_current(solution, kind="boundaries")


def test_sweep_is_drawn(solution) -> None:
    result = sweep(solution.problem, "texture", [0.0, 1.0], target=(0, 1, 0))
    first, second = draw_sweep(result).axes[:2]
    assert first.get_yscale() == "log"
    assert first.lines[0].get_ydata().tolist() == result.along_x.tolist()
    assert second.lines[0].get_ydata().tolist() == (100 * result.blocking_share).tolist()
