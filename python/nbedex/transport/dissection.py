"""A direct solver for grids of cells that share one unknown per face: nested dissection with dense blocks.

Two neighbouring tiles of cells know of one another only through the faces between them, so eliminating those faces
turns two symmetric tile matrices (a Neumann-to-Dirichlet picture of each tile) into one; from cells to the whole map
this is a multifrontal Cholesky factorisation (George 1973; Duff & Reid 1983) whose fronts are all dense and, as long
as tiles are small, all alike: LAPACK works on thousands at once. Nothing is dropped and nothing iterates, so contrast
and anisotropy only cost digits. `nbedex.transport.sparse` solves the same systems with SciPy, as a check and for
those that are no such grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import NbedexError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Tiles with fewer cells along a side are merged many at once; larger ones, whose matrices fill the caches, one by one,
# which spares the unknowns on the map's outer edge (there are none).
_ALONE = 96
_LEAF = (8, 15)
_CHUNK = 2048  # leaves at a time: bounds the memory for temporary copies


class NotPositiveDefinite(NbedexError):
    """A system that should have one solution has none or many: a bug, since floating regions are taken out before."""


class _Pair(NamedTuple):
    """How the faces of two tiles become those of their union: indices of shared and kept faces, and where kept go."""

    shared_a: Ints
    kept_a: Ints
    to_a: Ints
    shared_b: Ints
    kept_b: Ints
    to_b: Ints


def _sides(height: int, width: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Where the west, east, north and south faces of a tile stand."""
    ends = np.cumsum([0, height, height, width, width])
    west, east, north, south = (np.arange(ends[i], ends[i + 1]) for i in range(4))
    return west, east, north, south


@lru_cache(maxsize=512)
def _beside(height: int, width_a: int, width_b: int) -> _Pair:
    west_a, east_a, north_a, south_a = _sides(height, width_a)
    west_b, east_b, north_b, south_b = _sides(height, width_b)
    west, east, north, south = _sides(height, width_a + width_b)
    return _Pair(
        east_a, np.r_[west_a, north_a, south_a], np.r_[west, north[:width_a], south[:width_a]],
        west_b, np.r_[east_b, north_b, south_b], np.r_[east, north[width_a:], south[width_a:]],
    )  # fmt: skip


@lru_cache(maxsize=512)
def _below(height_a: int, height_b: int, width: int) -> _Pair:
    west_a, east_a, north_a, south_a = _sides(height_a, width)
    west_b, east_b, north_b, south_b = _sides(height_b, width)
    west, east, north, south = _sides(height_a + height_b, width)
    return _Pair(
        south_a, np.r_[west_a, east_a, north_a], np.r_[west[:height_a], east[:height_a], north],
        north_b, np.r_[west_b, east_b, south_b], np.r_[west[height_a:], east[height_a:], south],
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Step:
    """One elimination of shared faces, for a batch of pairs: what solving needs of it."""

    pair: _Pair
    inverse: Floats  # (t, k, k) of the shared faces' block
    carry: Floats  # (t, k, n) inverse times the coupling to the faces kept

    def forward(self, a: Floats, b: Floats) -> tuple[Floats, Floats]:
        """Right-hand sides (t, n, m) of two tiles -> that of their union, and the potentials of shared faces so far."""
        pair = self.pair
        shared = a[:, pair.shared_a] + b[:, pair.shared_b]
        out = np.empty((len(a), len(pair.to_a) + len(pair.to_b), a.shape[2]))
        out[:, pair.to_a] = a[:, pair.kept_a]
        out[:, pair.to_b] = b[:, pair.kept_b]
        out -= np.swapaxes(self.carry, 1, 2) @ shared
        return out, self.inverse @ shared

    def backward(self, kept: Floats, shared: Floats) -> tuple[Floats, Floats]:
        """Potentials of the union's faces -> those of the two tiles' faces."""
        pair = self.pair
        inner = shared - self.carry @ kept
        a = np.empty((len(kept), len(pair.shared_a) + len(pair.kept_a), kept.shape[2]))
        b = np.empty((len(kept), len(pair.shared_b) + len(pair.kept_b), kept.shape[2]))
        a[:, pair.shared_a] = inner
        b[:, pair.shared_b] = inner
        a[:, pair.kept_a] = kept[:, pair.to_a]
        b[:, pair.kept_b] = kept[:, pair.to_b]
        return a, b


def _eliminate(a: Floats, b: Floats, pair: _Pair) -> tuple[Floats, _Step]:
    """Matrices (t, n, n) of two tiles -> that of their union."""
    block = a[:, pair.shared_a[:, None], pair.shared_a] + b[:, pair.shared_b[:, None], pair.shared_b]
    n = len(pair.to_a) + len(pair.to_b)
    coupling = np.empty((len(a), len(pair.shared_a), n))
    coupling[:, :, pair.to_a] = a[:, pair.shared_a[:, None], pair.kept_a]
    coupling[:, :, pair.to_b] = b[:, pair.shared_b[:, None], pair.kept_b]
    inverse = _inverse(block)
    carry = inverse @ coupling
    out = np.swapaxes(coupling, 1, 2) @ carry
    np.negative(out, out=out)
    out[:, pair.to_a[:, None], pair.to_a] += a[:, pair.kept_a[:, None], pair.kept_a]
    out[:, pair.to_b[:, None], pair.to_b] += b[:, pair.kept_b[:, None], pair.kept_b]
    return out, _Step(pair, inverse, carry)


def _inverse(block: Floats) -> Floats:
    """Inverses of symmetric positive definite matrices (t, k, k)."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        inverse: Floats
        if block.shape[1] == 1:
            inverse = np.divide(1.0, block, dtype=np.float64)
        elif len(block) == 1:
            from scipy.linalg import LinAlgError, cho_factor, cho_solve

            try:
                factor = cho_factor(block[0], lower=True, check_finite=False)
                inverse = cho_solve(factor, np.eye(block.shape[1]), check_finite=False)[None]
            except LinAlgError:
                inverse = np.full_like(block, np.nan)
        else:
            try:
                inverse = np.asarray(np.linalg.inv(block), dtype=np.float64)
            except np.linalg.LinAlgError:
                inverse = np.full_like(block, np.nan)
    if not np.isfinite(inverse).all() or (np.einsum("tkk->tk", inverse) <= 0).any():
        raise NotPositiveDefinite("the equations of the current have no unique solution; please report this")
    return inverse


class _Leaves:
    """All leaves, h x w cells each: merged from single cells along one and the same tree."""

    def __init__(self, cells: Floats) -> None:
        self.steps: list[_Step] = []
        self.height, self.width = cells.shape[1:3]
        self.matrix = self._merge(cells)

    def _merge(self, cells: Floats) -> Floats:
        height, width = cells.shape[1:3]
        if height == width == 1:
            return cells[:, 0, 0]
        cut = _cut(height, width)
        a, b = self._merge(cells[:, : cut[0], : cut[1]]), self._merge(cells[:, *_rest(cut, height, width)])
        out, step = _eliminate(a, b, _pair(cut, height, width))
        self.steps.append(step)
        return out

    def forward(self, rhs: Floats) -> tuple[Floats, list[Floats]]:
        """(t, h, w, 4, m) -> (t, 2h + 2w, m) and what `backward` needs."""
        steps, kept = iter(self.steps), []

        def walk(part: Floats) -> Floats:
            height, width = part.shape[1:3]
            if height == width == 1:
                return part[:, 0, 0]
            cut = _cut(height, width)
            a, b = walk(part[:, : cut[0], : cut[1]]), walk(part[:, *_rest(cut, height, width)])
            out, shared = next(steps).forward(a, b)
            kept.append(shared)
            return out

        return walk(rhs), kept

    def backward(self, outer: Floats, kept: list[Floats], out: Floats) -> None:
        """Potentials of the leaves' faces -> of all cells' faces, into `out` (t, h, w, 4, m)."""
        steps, shared = reversed(self.steps), reversed(kept)

        def walk(part: Floats, faces: Floats) -> None:
            height, width = part.shape[1:3]
            if height == width == 1:
                part[:, 0, 0] = faces
                return
            cut = _cut(height, width)
            a, b = next(steps).backward(faces, next(shared))
            walk(part[:, *_rest(cut, height, width)], b)  # the reverse of the order in which they were merged
            walk(part[:, : cut[0], : cut[1]], a)

        walk(out, outer)


def _cut(height: int, width: int) -> tuple[int, int]:
    """Shape of the first part of a tile that is halved across its longer side."""
    return (height // 2, width) if height > width else (height, width // 2)


def _rest(cut: tuple[int, int], height: int, width: int) -> tuple[slice, slice]:
    return (slice(cut[0], height), slice(None)) if cut[0] < height else (slice(None), slice(cut[1], width))


def _pair(cut: tuple[int, int], height: int, width: int) -> _Pair:
    return _below(cut[0], height - cut[0], width) if cut[0] < height else _beside(height, cut[1], width - cut[1])


def _leaf_size(n: int) -> tuple[int, int]:
    """Cells along a leaf and number of leaves, a power of two, with the least padding."""
    if n <= _LEAF[1]:
        return n, 1
    count = 1
    while -(-n // count) > _LEAF[1]:
        count *= 2
    return -(-n // count), count


def _chunks(n: int) -> Iterator[slice]:
    for start in range(0, n, _CHUNK):
        yield slice(start, min(start + _CHUNK, n))


@dataclass(frozen=True, eq=False)
class _Level:
    """Merging all tiles of a level in pairs, side by side or one below the other."""

    beside: bool
    step: _Step
    tiles: tuple[int, int]  # after merging

    @staticmethod
    def halves(tiles: Floats, beside: bool) -> tuple[Floats, Floats]:
        a, b = (tiles[:, 0::2], tiles[:, 1::2]) if beside else (tiles[0::2], tiles[1::2])
        return a.reshape(-1, *a.shape[2:]), b.reshape(-1, *b.shape[2:])


class GridFactor:
    """Factorisation of the symmetric positive definite system whose cell matrices are `cells`.

    Parameters
    ----------
    cells
        (ny, nx, 4, 4) symmetric matrices between the west, east, north and south faces of each cell. Faces on the
        outer edge must have been eliminated (zero rows and columns); every other face must have a positive diagonal
        from at least one of its cells.

    Raises
    ------
    NotPositiveDefinite
        If the system is singular.
    """

    def __init__(self, cells: Floats) -> None:
        from nbedex.transport.fronts import Fronts

        ny, nx = cells.shape[:2]
        self.shape = ny, nx
        (self._height, rows), (self._width, columns) = _leaf_size(ny), _leaf_size(nx)
        self._leaf_tiles = rows, columns
        tiled = self._tiled(cells, dead=1.0)
        parts = [_Leaves(tiled[chunk]) for chunk in _chunks(len(tiled))]
        del tiled
        self._leaves = parts
        n = 2 * (self._height + self._width)
        tiles = np.concatenate([part.matrix for part in parts]).reshape(rows, columns, n, n)
        for part in parts:
            part.matrix = np.empty(0)
        self._levels: list[_Level] = []
        height, width = self._height, self._width
        while tiles.shape[0] * tiles.shape[1] > 1 and max(height, width) < _ALONE:
            beside = tiles.shape[0] == 1 or (tiles.shape[1] > 1 and width <= height)
            pair = _beside(height, width, width) if beside else _below(height, height, width)
            matrix, step = _eliminate(*_Level.halves(tiles, beside), pair)
            height, width = (height, 2 * width) if beside else (2 * height, width)
            shape = (tiles.shape[0], tiles.shape[1] // 2) if beside else (tiles.shape[0] // 2, tiles.shape[1])
            tiles = matrix.reshape(*shape, *matrix.shape[1:])
            self._levels.append(_Level(beside, step, shape))
        self._fronts = Fronts(tiles, height, width)

    def _tiled(self, cells: Floats, *, dead: float) -> Floats:
        """(ny, nx, 4, ...) -> (leaves, height, width, 4, ...), padded by cells whose faces are alone."""
        ny, nx = self.shape
        (height, width), (rows, columns) = (self._height, self._width), self._leaf_tiles
        out = np.zeros((rows * height, columns * width, *cells.shape[2:]))
        out[:ny, :nx] = cells
        if dead:
            diagonal = np.einsum("yxkk->yxk", out)
            diagonal[ny:] += dead
            diagonal[:ny, nx:] += dead
        rest = cells.shape[2:]
        tiled = out.reshape(rows, height, columns, width, *rest).swapaxes(1, 2)
        return np.ascontiguousarray(tiled).reshape(rows * columns, height, width, *rest)

    def solve(self, rhs: Floats) -> Floats:
        """Potentials of the faces of every cell.

        Parameters
        ----------
        rhs
            (ny, nx, 4, m): right-hand sides of the faces, each given at one of its cells, or shared out between them.

        Returns
        -------
        potentials
            (ny, nx, 4, m); the two cells of a face hold the same number. Zero on the outer edge.
        """
        tiled = self._tiled(rhs, dead=0.0)
        kept, outer = [], []
        for leaves, chunk in zip(self._leaves, _chunks(len(tiled)), strict=True):
            top, inner = leaves.forward(tiled[chunk])
            outer.append(top)
            kept.append(inner)
        tiles = np.concatenate(outer).reshape(*self._leaf_tiles, -1, rhs.shape[3])
        shared = []
        for level in self._levels:
            out, inner_shared = level.step.forward(*_Level.halves(tiles, level.beside))
            shared.append(inner_shared)
            tiles = out.reshape(*level.tiles, *out.shape[1:])
        tiles = self._fronts.solve(tiles)
        for level, inner_shared in zip(reversed(self._levels), reversed(shared), strict=True):
            a, b = level.step.backward(tiles.reshape(-1, *tiles.shape[2:]), inner_shared)
            stacked = np.stack([a.reshape(*level.tiles, *a.shape[1:]), b.reshape(*level.tiles, *b.shape[1:])])
            rows, columns = level.tiles
            if level.beside:
                tiles = np.moveaxis(stacked, 0, 2).reshape(rows, 2 * columns, *a.shape[1:])
            else:
                tiles = np.moveaxis(stacked, 0, 1).reshape(2 * rows, columns, *a.shape[1:])
        flat = tiles.reshape(-1, *tiles.shape[2:])
        for leaves, chunk, inner in zip(self._leaves, _chunks(len(tiled)), kept, strict=True):
            leaves.backward(flat[chunk], inner, tiled[chunk])
        (height, width), (rows, columns) = (self._height, self._width), self._leaf_tiles
        whole = tiled.reshape(rows, columns, height, width, 4, -1).swapaxes(1, 2)
        ny, nx = self.shape
        return np.ascontiguousarray(whole.reshape(rows * height, columns * width, 4, -1)[:ny, :nx])

    @property
    def n_bytes(self) -> int:
        """Memory that the factorisation holds."""
        steps = [step for leaves in self._leaves for step in leaves.steps] + [level.step for level in self._levels]
        return sum(step.inverse.nbytes + step.carry.nbytes for step in steps) + self._fronts.n_bytes
