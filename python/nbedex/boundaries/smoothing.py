"""Smooth sub-pixel curves through chains of pixel edges.

A chain is a staircase: too long by up to 41 %, with normals along rows and columns only. Its edges' midpoints scatter
about the boundary. The curve is the smoothing spline through them, minimising

    sum_j w_j |p(t_j) - q_j|^2  +  lambda * integral |p''(t)|^2 dt,    lambda = (wavelength / 2 pi)^4,

(Reinsch 1967) on nodes about one pixel apart with p linear in between. t is the length along the chain after a moving
average, w_j the share of it that midpoint q_j stands for, so that a stretch where the boundary pixels are noisy and the
chain runs to and fro weighs no more than any other. Waves shorter than `wavelength` are damped by more than half; a
straight line stays as it is, and a circle of radius R moves by lambda / R^3 only.

At the tip of a narrow grain that is too much. Where the mean of five midpoints lies farther than `_DRIFT` from the
curve, which noise of a pixel doesn't bring about, the wavelength is halved thereabouts, up to three times.

Everything happens in pixels: the noise is one of pixels whatever their shape. All curves of a map are one banded
system of equations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_WINDOW = 5  # midpoints in the moving average that gives t
_HELD = 1e9  # weight of an end that must not move
_DRIFT = 1.5  # pixels that the mean of a window of midpoints may lie off the curve
_HALVINGS = 3  # of the wavelength, where it lies farther off


@dataclass(frozen=True, kw_only=True, eq=False)
class Curves:
    """Polylines in one array: curve i is points[offset[i]:offset[i + 1]], a closed one repeats its first point."""

    offset: Ints
    points: Floats

    def __len__(self) -> int:
        return len(self.offset) - 1

    def split(self) -> tuple[Floats, ...]:
        """One array for each curve."""
        return tuple(self.points[a:b] for a, b in zip(self.offset[:-1], self.offset[1:], strict=True))


def starts_of(counts: Ints) -> Ints:
    """(n + 1,) where each of n groups of `counts` begins, and the end of the last."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def owners(offset: Ints) -> Ints:
    """For each member the number of its group."""
    return np.repeat(np.arange(len(offset) - 1), np.diff(offset))


def smooth_open(offset: Ints, samples: Floats, ends: Floats, *, wavelength: float) -> Curves:
    """Smooth curves between given ends.

    Parameters
    ----------
    offset
        (n + 1,) where each curve's samples begin; every curve has at least one.
    samples
        (k, 2) midpoints of the edges, in order, pixels.
    ends
        (n, 2, 2) first and last point of every curve; they are kept exactly.
    wavelength
        Waves shorter than this are damped, pixels; on a curve that is shorter itself, those shorter than the curve.
        Less where the curve would leave the boundary.
    """
    along, total = _parameter(offset, samples, ends)
    intervals = np.maximum(1, np.rint(total)).astype(np.int64)
    nodes = starts_of(intervals + 1)
    step = total / intervals
    owner = owners(offset)
    waves = np.repeat(np.minimum(wavelength, total), intervals + 1)
    first, last = nodes[:-1], nodes[1:] - 1
    held = (np.concatenate([first, last]), np.concatenate([ends[:, 0], ends[:, 1]]))
    data = _Samples(owner, along / step[owner], _shares(offset, along, total), samples)
    points = _follow(nodes, step, waves, data, held)
    points[first], points[last] = ends[:, 0], ends[:, 1]
    return Curves(offset=nodes, points=points)


def smooth_loop(samples: Floats, area: float, *, wavelength: float) -> Floats:
    """A smooth closed curve round an area.

    Smoothing draws a small loop together, so the wavelength is at most a third of its length, and the curve is then
    scaled about its centre until it encloses `area` as the staircase does.

    Parameters
    ----------
    samples
        (k, 2) midpoints of the edges, in order, the first not repeated.
    area
        Pixels that the chain encloses, with the sign that `enclosed_area` gives it.
    wavelength
        Waves shorter than this are damped, pixels.

    Returns
    -------
    points
        (m, 2), the first repeated at the end.
    """
    k = len(samples)
    window = np.arange(-(_WINDOW // 2), _WINDOW // 2 + 1)
    smooth = samples[(np.arange(k)[:, None] + window) % k].mean(axis=1)
    lengths = np.linalg.norm(np.roll(smooth, -1, axis=0) - smooth, axis=1)
    period = float(lengths.sum())
    wavelength = min(wavelength, period / 3)
    along = np.cumsum(lengths) - lengths
    intervals = max(6, round(period))
    step = period / intervals
    margin = int(np.ceil(2 * wavelength / step)) + 2  # beyond, an end no longer matters
    laps = int(np.ceil(margin / intervals))
    turn = np.repeat(np.arange(-laps, laps + 1), k)
    place = np.tile(along, 2 * laps + 1) / step + turn * intervals + margin
    shares = np.tile((lengths + np.roll(lengths, 1)) / 2, 2 * laps + 1)
    inside = (place >= 0) & (place <= intervals + 2 * margin)
    owner = np.zeros(int(inside.sum()), dtype=np.int64)
    points = _follow(
        np.array([0, intervals + 2 * margin + 1]),
        np.array([step]),
        np.full(intervals + 2 * margin + 1, wavelength),
        _Samples(owner, place[inside], shares[inside], np.tile(samples, (2 * laps + 1, 1))[inside]),
        (np.zeros(0, dtype=np.int64), np.zeros((0, 2))),
    )[margin : margin + intervals]
    now = enclosed_area(points)
    if now * area > 0:
        centre = points.mean(axis=0)
        points = centre + (points - centre) * np.sqrt(area / now)
    return np.concatenate([points, points[:1]])


def enclosed_area(points: Floats) -> float:
    """Signed area of a closed polyline, positive where it turns from X towards Y."""
    x, y = points.T
    return float(0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def _parameter(offset: Ints, samples: Floats, ends: Floats) -> tuple[Floats, Floats]:
    """Length along each curve at its samples, and each curve's whole length.

    The samples are averaged over a window first, fewer towards the ends so that it stays in the middle.
    """
    owner = owners(offset)
    index = np.arange(len(samples))
    room = np.minimum(index - offset[owner], offset[owner + 1] - 1 - index)
    reach = np.minimum(room, _WINDOW // 2)
    sums = np.concatenate([np.zeros((1, 2)), np.cumsum(samples, axis=0)])
    smooth = (sums[index + reach + 1] - sums[index - reach]) / (2 * reach + 1)[:, None]
    before = np.empty_like(smooth)
    before[1:] = smooth[:-1]
    before[offset[:-1]] = ends[:, 0]
    steps = np.linalg.norm(smooth - before, axis=1)
    last = np.linalg.norm(ends[:, 1] - smooth[offset[1:] - 1], axis=1)
    run = np.cumsum(steps)
    along = run - (run[offset[:-1]] - steps[offset[:-1]])[owner]
    total = np.maximum(along[offset[1:] - 1] + last, 1e-6)
    return along, total


def _shares(offset: Ints, along: Floats, total: Floats) -> Floats:
    """Length of curve that each sample stands for: half the way to its neighbours, at the ends the whole way."""
    gap = np.diff(along, prepend=0.0)
    first, last = offset[:-1], offset[1:] - 1
    gap[first] = 2 * along[first]
    after = np.empty_like(along)
    after[:-1] = gap[1:]
    after[last] = 2 * (total - along[last])
    return np.asarray((gap + after) / 2)


class _Samples(NamedTuple):
    """Midpoints of all curves: whose they are, where along it in nodes from its first, their weight and position."""

    owner: Ints
    place: Floats
    weight: Floats
    position: Floats

    def cells(self, nodes: Ints) -> tuple[Ints, Floats]:
        """The node before each midpoint, and how far between it and the next the midpoint lies."""
        cell = np.minimum(self.place.astype(np.int64), (np.diff(nodes) - 2)[self.owner])
        return cell + nodes[:-1][self.owner], self.place - cell


def _follow(nodes: Ints, step: Floats, waves: Floats, data: _Samples, held: tuple[Ints, Floats]) -> Floats:
    """Nodes (m, 2) of all curves, smoothed with the wavelengths `waves` (m,), or shorter ones where those go astray."""
    waves = waves.copy()
    points = _solve(nodes, step, waves, data, held)
    for _ in range(_HALVINGS):
        astray = np.flatnonzero(_drift(nodes, points, data) > _DRIFT)
        if not len(astray):
            break
        cell, _ = data.cells(nodes)
        reach = np.ceil(waves[cell[astray]] / 2 / step[data.owner[astray]]).astype(np.int64)
        first = np.maximum(cell[astray] - reach, nodes[:-1][data.owner[astray]])
        last = np.minimum(cell[astray] + reach, nodes[1:][data.owner[astray]] - 1)
        open_at = np.bincount(first, minlength=len(waves) + 1) - np.bincount(last + 1, minlength=len(waves) + 1)
        waves[np.cumsum(open_at)[:-1] > 0] /= 2
        points = _solve(nodes, step, waves, data, held)
    return points


def _drift(nodes: Ints, points: Floats, data: _Samples) -> Floats:
    """How far the mean of each window of midpoints lies off the curve, pixels; 0 within half a window of an end."""
    cell, right = data.cells(nodes)
    off = data.position - points[cell] * (1 - right)[:, None] - points[cell + 1] * right[:, None]
    sums = np.concatenate([np.zeros((1, 2)), np.cumsum(off, axis=0)])
    drift = np.zeros(len(off))
    if len(off) >= _WINDOW:
        half = _WINDOW // 2
        mean = np.linalg.norm(sums[_WINDOW:] - sums[:-_WINDOW], axis=1) / _WINDOW
        whole = data.owner[_WINDOW - 1 :] == data.owner[: 1 - _WINDOW]
        drift[half : len(off) - half] = np.where(whole, mean, 0.0)
    return drift


def _solve(nodes: Ints, step: Floats, waves: Floats, data: _Samples, held: tuple[Ints, Floats]) -> Floats:
    """Nodes (m, 2) of all curves: the normal equations of the smoothing spline, five diagonals, solved at once.

    The equations of different curves don't touch.
    """
    from scipy.linalg import solveh_banded

    m = int(nodes[-1])
    cell, right = data.cells(nodes)
    left = 1 - right
    weight = data.weight
    bands = np.zeros((3, m))  # upper diagonals: bands[2] the main one, bands[1][j] couples j - 1 and j
    bands[2] += np.bincount(cell, weight * left**2, minlength=m) + np.bincount(cell + 1, weight * right**2, minlength=m)
    bands[1] += np.bincount(cell + 1, weight * left * right, minlength=m)
    sides = np.stack(
        [
            np.bincount(cell, weight * left * values, minlength=m)
            + np.bincount(cell + 1, weight * right * values, minlength=m)
            for values in data.position.T
        ],
        axis=1,
    )
    curve = owners(nodes)
    inner = np.flatnonzero((curve[:-2] == curve[2:]) if m > 2 else np.zeros(0, dtype=bool)) + 1
    bend = (waves[inner] / (2 * np.pi)) ** 4 / step[curve[inner]] ** 3
    for shift, factor in ((-1, 1.0), (0, 4.0), (1, 1.0)):
        bands[2] += np.bincount(inner + shift, factor * bend, minlength=m)
    for shift in (0, 1):
        bands[1] += np.bincount(inner + shift, -2 * bend, minlength=m)
    bands[0] += np.bincount(inner + 1, bend, minlength=m)
    index, values = held
    bands[2, index] += _HELD
    sides[index] += _HELD * values
    return np.asarray(solveh_banded(bands, sides, overwrite_ab=True, check_finite=False))
