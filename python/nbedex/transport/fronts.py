"""The upper end of `nbedex.transport.dissection`: tiles so large that each is merged on its own.

Faces carry their number here, so that a tile holds only those it shares with tiles not yet merged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Front:
    """Two tiles merged: positions of their shared and kept faces, and the factors of the elimination."""

    a: int
    b: int
    shared_a: Ints
    kept_a: Ints
    shared_b: Ints
    kept_b: Ints
    inverse: Floats
    carry: Floats


class Fronts:
    """Elimination of the faces between the tiles (rows, columns, n, n) of height x width cells each."""

    def __init__(self, tiles: Floats, height: int, width: int) -> None:
        from nbedex.transport.dissection import _inverse

        self._grid = int(tiles.shape[0]), int(tiles.shape[1])
        numbers = _numbers(self._grid[0], self._grid[1], height, width)
        self._inner: list[list[Ints]] = [[np.flatnonzero(faces >= 0) for faces in row] for row in numbers]
        held: dict[int, tuple[Floats, Ints]] = {}
        order = np.arange(self._grid[0] * self._grid[1]).reshape(self._grid)
        for name in order.ravel().tolist():
            row, column = divmod(name, self._grid[1])
            inner = self._inner[row][column]
            held[name] = tiles[row, column][np.ix_(inner, inner)], numbers[row][column][inner]
        self._fronts: list[_Front] = []
        while order.size > 1:
            beside = order.shape[0] == 1 or (order.shape[1] > 1 and order.shape[1] >= order.shape[0])
            first, second = (order[:, 0::2], order[:, 1::2]) if beside else (order[0::2], order[1::2])
            for a, b in zip(first.ravel().tolist(), second.ravel().tolist(), strict=True):
                (matrix_a, faces_a), (matrix_b, faces_b) = held.pop(a), held.pop(b)
                _, shared_a, shared_b = np.intersect1d(faces_a, faces_b, assume_unique=True, return_indices=True)
                kept_a = np.setdiff1d(np.arange(len(faces_a)), shared_a)
                kept_b = np.setdiff1d(np.arange(len(faces_b)), shared_b)
                block = matrix_a[np.ix_(shared_a, shared_a)] + matrix_b[np.ix_(shared_b, shared_b)]
                coupling = np.hstack([matrix_a[np.ix_(shared_a, kept_a)], matrix_b[np.ix_(shared_b, kept_b)]])
                inverse = _inverse(block[None])[0]
                carry = inverse @ coupling
                out = coupling.T @ carry
                np.negative(out, out=out)
                n = len(kept_a)
                out[:n, :n] += matrix_a[np.ix_(kept_a, kept_a)]
                out[n:, n:] += matrix_b[np.ix_(kept_b, kept_b)]
                held[a] = out, np.concatenate([faces_a[kept_a], faces_b[kept_b]])
                self._fronts.append(_Front(a, b, shared_a, kept_a, shared_b, kept_b, inverse, carry))
            order = first

    def solve(self, rhs: Floats) -> Floats:
        """Right-hand sides (rows, columns, n, m) of the tiles' faces -> their potentials."""
        columns = self._grid[1]
        held = {
            row * columns + column: rhs[row, column][inner]
            for row, of_row in enumerate(self._inner)
            for column, inner in enumerate(of_row)
        }
        partly = []
        for front in self._fronts:
            a, b = held.pop(front.a), held.pop(front.b)
            shared = a[front.shared_a] + b[front.shared_b]
            held[front.a] = np.concatenate([a[front.kept_a], b[front.kept_b]]) - front.carry.T @ shared
            partly.append(front.inverse @ shared)
        for front, shared in zip(reversed(self._fronts), reversed(partly), strict=True):
            kept = held.pop(front.a)
            inner = shared - front.carry @ kept
            n = len(front.kept_a)
            a = np.empty((n + len(inner), rhs.shape[3]))
            b = np.empty((len(kept) - n + len(inner), rhs.shape[3]))
            a[front.shared_a], b[front.shared_b] = inner, inner
            a[front.kept_a], b[front.kept_b] = kept[:n], kept[n:]
            held[front.a], held[front.b] = a, b
        out = np.zeros_like(rhs)
        for row, of_row in enumerate(self._inner):
            for column, inner in enumerate(of_row):
                out[row, column][inner] = held[row * columns + column]
        return out

    @property
    def n_bytes(self) -> int:
        return sum(front.inverse.nbytes + front.carry.nbytes for front in self._fronts)


def _numbers(rows: int, columns: int, height: int, width: int) -> list[list[Ints]]:
    """A number for every face between tiles, in the order west, east, north, south of each tile; -1 on the edge."""
    ny, nx = rows * height, columns * width
    across = np.full((ny, columns + 1), -1)
    across[:, 1:-1] = np.arange(ny * (columns - 1)).reshape(ny, columns - 1)
    along = np.full((rows + 1, nx), -1)
    along[1:-1] = across.max(initial=-1) + 1 + np.arange((rows - 1) * nx).reshape(rows - 1, nx)
    return [
        [
            np.concatenate(
                [
                    across[row * height : (row + 1) * height, column],
                    across[row * height : (row + 1) * height, column + 1],
                    along[row, column * width : (column + 1) * width],
                    along[row + 1, column * width : (column + 1) * width],
                ]
            )
            for column in range(columns)
        ]
        for row in range(rows)
    ]
