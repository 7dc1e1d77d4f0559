"""Smooth curves: what they keep, and how near the truth they come."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from nbedex.boundaries import (
    BoundarySettings,
    local_normals,
    midpoints,
    piece_lengths,
    polyline_length,
    smoothing,
    trace_boundaries,
)
from nbedex.boundaries.smoothing import _parameter, _shares, enclosed_area, smooth_open
from nbedex.errors import ArgumentError
from nbedex.grains import MapPhase
from nbedex.phases.rotations import quaternions
from oracles.boundary_maps import grain_map, voronoi
from oracles.laue_groups import PROPER, random_quaternions

CUBIC = MapPhase(name="c", laue_class="m-3m", symmetry=quaternions(PROPER["m-3m"]))


def network(labels: np.ndarray, *, step: tuple[float, float] = (1.0, 1.0), **options: float):
    made = grain_map(labels, [CUBIC], random_quaternions(int(labels.max()) + 1, 1), step=step)
    return trace_boundaries(made, BoundarySettings(**options))


def disc(radius: float, n: int, step: tuple[float, float]) -> np.ndarray:
    rows, columns = np.mgrid[:n, :n]
    dy, dx = step
    middle = (n - 1) / 2 + 0.13
    inside = ((rows - middle) * dy) ** 2 + ((columns - middle) * dx) ** 2 <= radius**2
    return inside.astype(int)


@pytest.mark.parametrize("step", [(1.0, 1.0), (2.0, 1.0), (0.7, 1.9)])
@pytest.mark.parametrize("radius", [4.0, 9.0, 30.0])
def test_loops_keep_their_area_and_have_the_right_length(radius: float, step: tuple[float, float]) -> None:
    labels = disc(radius, int(2.6 * radius / min(step)) + 8, step)
    b = network(labels, step=step).boundaries
    assert len(b) == 1 and b.closed[0] and np.array_equal(b.points[0][0], b.points[0][-1])
    area = labels.sum() * step[0] * step[1]
    # region 1, inside, lies on the right: on screen the loop runs with the clock, from X towards Y
    assert enclosed_area(b.points[0][:-1]) == pytest.approx(area, rel=1e-9)
    assert b.length[0] == pytest.approx(2 * np.sqrt(np.pi * area), rel=0.02 if radius >= 9 else 0.05)
    assert np.all(np.isnan(b.normal[0]))
    centre = np.array([np.mean(np.nonzero(labels)[1]) * step[1], np.mean(np.nonzero(labels)[0]) * step[0]])
    inward = centre - midpoints(b.points[0])
    inward /= np.linalg.norm(inward, axis=1, keepdims=True)
    cosine = np.sum(local_normals(b.points[0])[:, :2] * inward, axis=1)
    assert cosine.min() > np.cos(np.deg2rad(25 if radius < 9 else 12))


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 2), (1, 7)])
def test_the_smallest_loops_survive(size: tuple[int, int]) -> None:
    labels = np.zeros((9, 12), dtype=int)
    labels[3 : 3 + size[0], 2 : 2 + size[1]] = 1
    b = network(labels).boundaries
    assert abs(enclosed_area(b.points[0][:-1])) == pytest.approx(size[0] * size[1])
    assert np.isfinite(b.points[0]).all() and len(b.points[0]) >= 7


def test_a_straight_boundary_is_straight() -> None:
    labels = np.zeros((20, 31), dtype=int)
    labels[:, 11:] = 1
    b = network(labels, step=(3.0, 2.0)).boundaries
    assert np.allclose(b.points[0][:, 0], 10.5 * 2.0, atol=1e-6)
    assert b.points[0][0, 1] == pytest.approx(19.5 * 3.0) and b.points[0][-1, 1] == pytest.approx(-0.5 * 3.0)
    assert b.length[0] == pytest.approx(60.0)
    assert np.allclose(b.normal[0], [1, 0, 0], atol=1e-9)
    assert np.allclose(local_normals(b.points[0]), [1, 0, 0], atol=1e-6)


def test_segments_share_their_ends_and_stop_at_the_edge() -> None:
    labels = voronoi(90, 20, 4, noise=1.0).labels
    net = network(labels, step=(1.0, 2.5))
    ends = np.array([p[k] for p in net.boundaries.points for k in (0, -1)])
    ends = ends[np.repeat(~net.boundaries.closed, 2)]
    inner = (
        (ends[:, 0] > -1.25 + 1e-9)
        & (ends[:, 0] < 223.75 - 1e-9)
        & (ends[:, 1] > -0.5 + 1e-9)
        & (ends[:, 1] < 89.5 - 1e-9)
    )
    _, count = np.unique(ends[inner].round(9), axis=0, return_counts=True)
    assert np.all(count >= 3)
    outer = ends[~inner]
    assert len(outer) > 5
    on_edge = np.minimum.reduce([np.abs(outer[:, 0] + 1.25), np.abs(outer[:, 0] - 223.75), np.abs(outer[:, 1] + 0.5),
                                 np.abs(outer[:, 1] - 89.5)])  # fmt: skip
    assert np.all(on_edge < 1e-9)
    # triple points are where segments really end
    found = np.unique(ends[inner].round(6), axis=0)
    assert np.array_equal(found, np.unique(net.triple_points.round(6), axis=0))


def test_smoothing_is_affine_and_linear_curves_stay() -> None:
    """Stretching the pixels stretches the curve: the noise is one of pixels."""
    labels = voronoi(70, 12, 9, noise=1.0).labels
    plain, wide = network(labels).boundaries, network(labels, step=(1.5, 4.0)).boundaries
    for p, q in zip(plain.points, wide.points, strict=True):
        assert np.allclose(p * [4.0, 1.5], q, atol=1e-9)


def test_tips_of_narrow_grains_are_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """A twin that tapers to one pixel inside another grain: its boundary reaches nearly to the end."""
    labels = np.zeros((60, 60), dtype=int)
    labels[50:, :] = 2
    for row in range(12, 50):
        labels[row, 24 + row // 3 - (row - 12) // 8 : 25 + row // 3 + (row - 12) // 8] = 1
    b = network(labels).boundaries
    (twin,) = [k for k in range(len(b)) if (b.grain_a[k], b.grain_b[k]) == (0, 1)]
    tip = np.array([28.0, 11.5])
    assert np.linalg.norm(b.points[twin] - tip, axis=1).min() < 2.2
    # left to the wavelength alone it would end short of the tip
    monkeypatch.setattr(smoothing, "_DRIFT", np.inf)
    assert np.linalg.norm(network(labels).boundaries.points[twin] - tip, axis=1).min() > 3.0


def test_a_shorter_wavelength_follows_the_pixels() -> None:
    """A wave 14 pixels long and 1 high is kept at 4, damped at 40; of one 3 high, no noise, much is always kept."""
    rows, columns = np.mgrid[:60, :90]

    def left(height: float, wavelength: float) -> float:
        labels = (rows > 30 + height * np.sin(2 * np.pi * columns / 14)).astype(int)
        return float(np.ptp(network(labels, smoothing_px=wavelength).boundaries.points[0][20:-20, 1]) / 2)

    assert left(1.2, 4.0) > 0.7 and left(1.2, 40.0) < 0.2
    assert left(3.0, 4.0) > 2.4 and left(3.0, 40.0) > 0.8


def test_curves_dont_feel_one_another() -> None:
    """All curves at once give what each gives alone."""
    rng = np.random.default_rng(8)
    counts = [1, 9, 30]
    samples = np.concatenate([np.cumsum(rng.normal(0.5, 0.4, (n, 2)), axis=0) for n in counts])
    offset = np.concatenate([[0], np.cumsum(counts)])
    pairs = list(pairwise(offset))
    ends = np.stack([np.stack([samples[a] - 0.4, samples[b - 1] + 0.3]) for a, b in pairs])
    together = smooth_open(offset, samples, ends, wavelength=9.0)
    for k, (a, b) in enumerate(pairs):
        alone = smooth_open(np.array([0, b - a]), samples[a:b], ends[k : k + 1], wavelength=9.0)
        assert np.allclose(alone.points, together.split()[k], atol=1e-7)


def test_the_curve_minimises_what_it_should() -> None:
    """Against a dense least-squares solution of misfit plus bending."""
    rng = np.random.default_rng(5)
    samples = np.column_stack([np.arange(25.0), rng.normal(0, 0.5, 25)])
    ends = np.array([[[-0.5, 0.2], [24.5, -0.1]]])
    curve = smooth_open(np.array([0, 25]), samples, ends, wavelength=12.0).points
    along, total = _parameter(np.array([0, 25]), samples, ends)
    n = len(curve) - 1
    step, weight = total[0] / n, _shares(np.array([0, 25]), along, total)
    hats = np.array([np.interp(along, np.arange(n + 1) * step, row) for row in np.eye(n + 1)]).T
    bending = np.diff(np.eye(n + 1), 2, axis=0) * (12 / (2 * np.pi)) ** 2 / step**1.5
    rows = np.concatenate([np.sqrt(weight)[:, None] * hats, bending])
    inner = rows[:, 1:-1]
    for axis in (0, 1):
        wanted = np.concatenate([np.sqrt(weight) * samples[:, axis], np.zeros(n - 1)])
        fixed = rows[:, 0] * ends[0, 0, axis] + rows[:, -1] * ends[0, 1, axis]
        solution = np.linalg.lstsq(inner, wanted - fixed, rcond=None)[0]
        assert np.allclose(curve[1:-1, axis], solution, atol=1e-6)


def test_lengths_and_normals_along_a_polyline() -> None:
    points = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 6.0]])
    assert polyline_length(points) == 7.0
    assert piece_lengths(points).tolist() == [5.0, 2.0]
    assert np.allclose(local_normals(points), [[-0.8, 0.6, 0], [-1, 0, 0]])
    tilted = local_normals(points, inclination_deg=30.0)
    assert np.allclose(tilted, [[-0.8 * 0.75**0.5, 0.6 * 0.75**0.5, 0.5], [-(0.75**0.5), 0, 0.5]])
    with pytest.raises(ArgumentError, match="at least two points, all different"):
        local_normals(points[[0, 0]])
