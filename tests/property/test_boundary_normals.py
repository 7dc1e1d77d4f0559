"""Normals and lengths of Voronoi boundaries whose pixels are up to one pixel off (criterion 4 of the issue)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import Voronoi as Cells

from nbedex.boundaries import local_normals, piece_lengths, trace_boundaries
from nbedex.boundaries.model import Boundaries
from nbedex.grains import MapPhase
from nbedex.phases.rotations import quaternions
from oracles.boundary_maps import Voronoi, grain_map, voronoi
from oracles.laue_groups import PROPER, random_quaternions

CUBIC = MapPhase(name="c", laue_class="m-3m", symmetry=quaternions(PROPER["m-3m"]))


def traced(phantom: Voronoi) -> Boundaries:
    n = int(phantom.labels.max()) + 1
    made = grain_map(phantom.labels, [CUBIC], random_quaternions(n, 2), step=phantom.step)
    assert np.array_equal(made.grain_id, phantom.labels)
    return trace_boundaries(made).boundaries


def in_pixels(b: Boundaries, step: tuple[float, float]) -> np.ndarray:
    return np.array([np.linalg.norm(np.diff(p / [step[1], step[0]], axis=0), axis=1).sum() for p in b.points])


@pytest.mark.parametrize("step", [(1.0, 1.0), (2.0, 1.0), (0.6, 1.0)])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_mean_and_local_normals(noise: float, step: tuple[float, float]) -> None:
    """All mean normals within 3 degrees, square pixels; with oblong ones an angle is stretched with the pixels."""
    mean, local, weight = [], [], []
    for seed in range(3):
        phantom = voronoi(500, 150, seed, noise=noise, step=step)
        b = traced(phantom)
        for k in np.flatnonzero(in_pixels(b, step) > 20):
            truth = phantom.normal(b.grain_a[k], b.grain_b[k])
            mean.append(_angle(b.normal[k, :2], truth))
            local.append(_angle(local_normals(b.points[k])[:, :2], truth))
            weight.append(piece_lengths(b.points[k]))
    assert len(mean) > 500
    limit = 3.0 * max(step) / min(step)
    assert np.max(mean) < limit
    assert np.mean(mean) < 0.75 * max(step) / min(step)
    everywhere = np.sqrt(np.average(np.concatenate(local) ** 2, weights=np.concatenate(weight)))
    assert everywhere < limit


def _angle(normals: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.rad2deg(np.arccos(np.clip(normals @ truth, -1, 1)))


@pytest.mark.parametrize("step", [(1.0, 1.0), (2.0, 1.0)])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_lengths(noise: float, step: tuple[float, float]) -> None:
    """Against the cells' own ridges: all together, and each apart from where its ends were put."""
    phantom = voronoi(500, 150, 7, noise=noise, step=step)
    b = traced(phantom)
    cells = Cells(phantom.sites)
    size = np.array([500 * step[1], 500 * step[0]])
    true_total, mine_total, excess = 0.0, 0.0, []
    ridges = {tuple(sorted(pair)): edge for pair, edge in zip(cells.ridge_points, cells.ridge_vertices, strict=True)}
    for k in np.flatnonzero(in_pixels(b, step) > 20):
        edge = ridges.get((int(b.grain_a[k]), int(b.grain_b[k])))
        chord = np.linalg.norm(b.points[k][-1] - b.points[k][0])
        excess.append(b.length[k] / chord - 1)
        if edge is None or min(edge) < 0:
            continue
        ends = cells.vertices[edge]
        if np.any(ends < step[::-1]) or np.any(ends > size - 2 * np.array(step[::-1])):
            continue  # cut by the map's edge
        true_total += float(np.linalg.norm(ends[1] - ends[0]))
        mine_total += float(b.length[k])
    assert true_total > 3000
    assert mine_total == pytest.approx(true_total, rel=0.005)
    assert np.max(excess) < 0.02 and np.mean(excess) < 0.004
