"""Where boundaries meet, to a fraction of a pixel.

A chain of pixel edges ends on a corner of pixels, which noise on the boundary pixels moves by a pixel or more, and the
mean normal of a short segment follows its ends. So the meeting point is put where the straight lines through the
beginnings of its segments come closest, each line weighted by how well its samples say where it passes, and the corner
itself counts as one measurement more. A boundary that leaves the map stays on the map's edge.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbedex.boundaries.smoothing import Floats, Ints, owners
from nbedex.boundaries.tracing import Chains

_SAMPLE_ERROR = 0.6  # pixels, of one edge's midpoint about the true boundary
_CORNER_ERROR = 1.0  # pixels, of the corner where the chain ends
_FARTHEST = 1.5  # pixels a meeting point may be moved
_SHARE = 0.4  # of the shortest segment that ends there, in edges: two ends can't pass one another


class _Lines(NamedTuple):
    """Straight lines through one end of every chain, and the variance of each at its corner."""

    middle: Floats
    normal: Floats
    variance: Floats


def end_points(chains: Chains, offset: Ints, samples: Floats, *, reach: float) -> Floats:
    """First and last point (n, 2, 2) in pixels of chains that aren't loops, shared by all that meet there.

    Parameters
    ----------
    chains
        Open chains only.
    offset, samples
        Midpoints of their edges, pixels.
    reach
        Length of boundary, in pixels, that a straight line is put through.
    """
    vertices = np.stack([chains.vertices[chains.offset[:-1]], chains.vertices[chains.offset[1:] - 1]], axis=1)
    corners = chains.positions(vertices)
    meeting, index = np.unique(vertices, return_inverse=True)
    index = index.reshape(vertices.shape)
    prior = chains.positions(meeting)
    moments = np.zeros((len(meeting), 2, 2))
    sides = np.zeros((len(meeting), 2))
    for end in (0, 1):
        lines = _end_lines(offset, samples, corners[:, end], last=bool(end), reach=reach)
        each = lines.normal[:, :, None] * lines.normal[:, None, :] / lines.variance[:, None, None]
        np.add.at(moments, index[:, end], each)
        along = np.einsum("ijk,ik->ij", each, lines.middle - corners[:, end])
        np.add.at(sides, index[:, end], along)
    moments += np.eye(2) / _CORNER_ERROR**2
    on_edge = _outer(meeting, chains.shape)
    for axis in (0, 1):
        moments[on_edge[axis], axis, axis] += 1e12  # it moves along the edge only
    shift = np.linalg.solve(moments, sides[..., None])[..., 0]
    shortest = np.full(len(meeting), np.inf)
    edges = np.diff(offset).astype(np.float64)
    for end in (0, 1):
        np.minimum.at(shortest, index[:, end], edges)
    limit = np.minimum(_FARTHEST, _SHARE * shortest)
    size = np.linalg.norm(shift, axis=1)
    shift *= np.minimum(1.0, limit / np.maximum(size, 1e-12))[:, None]
    moved = prior + shift
    for axis in (0, 1):
        moved[on_edge[axis], axis] = prior[on_edge[axis], axis]
    return np.asarray(moved[index])


def _outer(vertices: Ints, shape: tuple[int, int]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether vertices lie on the left or right (x) and on the upper or lower (y) edge of the map."""
    row, column = np.divmod(vertices, shape[1] + 1)
    return (column == 0) | (column == shape[1]), (row == 0) | (row == shape[0])


def _end_lines(offset: Ints, samples: Floats, corners: Floats, *, last: bool, reach: float) -> _Lines:
    """Least-squares lines through the samples within `reach` of one end of each chain."""
    owner = owners(offset)
    n = len(offset) - 1
    near = np.linalg.norm(samples - corners[owner], axis=1) <= reach
    # the chain may come back: only the run of samples that begins at the end
    order = np.arange(len(samples)) if not last else np.arange(len(samples))[::-1]
    broken = np.cumsum(~near[order])
    begin = offset[1:] - 1 if last else offset[:-1]
    at_begin = broken[len(samples) - 1 - begin] if last else broken[begin]
    run = np.empty(len(samples), dtype=bool)
    run[order] = broken == at_begin[owner[order]]
    count = np.maximum(np.bincount(owner[run], minlength=n), 1).astype(np.float64)
    x, y = (samples[run] - corners[owner[run]]).T
    who = owner[run]
    mean_x, mean_y = np.bincount(who, x, n) / count, np.bincount(who, y, n) / count
    xx = np.bincount(who, x * x, n) - count * mean_x**2
    yy = np.bincount(who, y * y, n) - count * mean_y**2
    xy = np.bincount(who, x * y, n) - count * mean_x * mean_y
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)  # of the direction in which the samples spread most
    spread = xx * np.cos(angle) ** 2 + yy * np.sin(angle) ** 2 + 2 * xy * np.sin(angle) * np.cos(angle)
    beyond = mean_x * np.cos(angle) + mean_y * np.sin(angle)
    # + 0.5: an edge more or less at the end; + 0.1: through a curved boundary a line is a little off however long it is
    variance = _SAMPLE_ERROR**2 * (1 / count + beyond**2 / (spread + 0.5)) + 0.1**2
    variance[np.hypot(xx - yy, 2 * xy) < 1e-9] = np.inf  # one sample, or as much spread in all directions: no line
    middle = corners + np.stack([mean_x, mean_y], axis=1)
    return _Lines(middle, np.stack([-np.sin(angle), np.cos(angle)], axis=1), variance)
