"""Chains of pixel edges between regions of a map, from one triple point to the next.

A vertex is a corner of pixels, number `row * (nx + 1) + column`, the corner above and left of pixel (row, column).
An edge joins two neighbouring vertices and separates two pixels of different regions. Edges run so that the region
with the smaller number lies on the left as one sees the map (Y down), the other on the right: with direction d
the normal from the first to the second is Z x d.

At most vertices two edges meet and the chain goes on. Where three or more regions meet it ends. Where two regions
meet like squares of a chessboard no third is there, so two chains pass: the region with fewer pixels (then the one
with the smaller number) holds together across the vertex, the other is cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Chains:
    """Chains of edges, sorted by their regions and then by their first vertex.

    Attributes
    ----------
    shape
        (ny, nx) of the map.
    left, right
        (n,) regions on both sides, left < right.
    offset
        (n + 1,) where each chain's vertices begin in `vertices`.
    vertices
        Vertex numbers; a closed chain repeats its first.
    loop
        (n,) bool: closed without any point where three regions meet.
    triple_points
        Vertices, sorted, where three or more regions meet.
    """

    shape: tuple[int, int]
    left: Ints
    right: Ints
    offset: Ints
    vertices: Ints
    loop: NDArray[np.bool_]
    triple_points: Ints

    def __len__(self) -> int:
        return len(self.left)

    def positions(self, vertices: Ints) -> NDArray[np.float64]:
        """(..., 2) (x, y) of vertices in pixels, the middle of the first pixel at (0, 0)."""
        row, column = np.divmod(vertices, self.shape[1] + 1)
        return np.stack([column - 0.5, row - 0.5], axis=-1)

    def where(self, chosen: NDArray[np.bool_]) -> Chains:
        """Some of the chains, in their order."""
        counts = np.diff(self.offset)
        return Chains(
            shape=self.shape,
            left=self.left[chosen],
            right=self.right[chosen],
            offset=np.concatenate([[0], np.cumsum(counts[chosen])]),
            vertices=self.vertices[np.repeat(chosen, counts)],
            loop=self.loop[chosen],
            triple_points=self.triple_points,
        )


@dataclass(frozen=True, eq=False)
class _Edges:
    """All edges with their direction."""

    start: Ints
    end: Ints
    left: Ints
    right: Ints


def trace_chains(regions: NDArray[np.integer]) -> Chains:
    """Follow the edges between the regions of a map.

    Parameters
    ----------
    regions
        (ny, nx) number of the region of every pixel.
    """
    ny, nx = regions.shape
    edges = _find_edges(regions)
    n_vertices = (ny + 1) * (nx + 1)
    degree = np.bincount(edges.start, minlength=n_vertices) + np.bincount(edges.end, minlength=n_vertices)
    previous, triple = _link(edges, degree, regions)
    first, rank, loop = _rank(previous)
    order = np.lexsort((rank, first))
    begins = np.flatnonzero(rank[order] == 0)
    heads = order[begins]
    counts = np.diff(np.append(begins, len(order)))
    # sort the chains, each with its edges
    chain_order = np.lexsort((edges.start[heads], edges.right[heads], edges.left[heads]))
    heads, counts, begins = heads[chain_order], counts[chain_order], begins[chain_order]
    offset = np.concatenate([[0], np.cumsum(counts + 1)])
    vertices = np.empty(offset[-1], dtype=np.int64)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    members = order[np.repeat(begins, counts) + within]
    places = np.repeat(offset[:-1], counts) + within
    vertices[places] = edges.start[members]
    tails = members[np.cumsum(counts) - 1] if len(counts) else members
    vertices[offset[1:] - 1] = edges.end[tails]
    return Chains(
        shape=(ny, nx),
        left=edges.left[heads],
        right=edges.right[heads],
        offset=offset,
        vertices=vertices,
        loop=loop[heads],
        triple_points=triple,
    )


def _find_edges(regions: NDArray[np.integer]) -> _Edges:
    """Edges of a map, first those along rows, in reading order."""
    _, nx = regions.shape
    width = nx + 1
    row, column = np.nonzero(regions[:-1] != regions[1:])
    upper, lower = regions[row, column].astype(np.int64), regions[row + 1, column].astype(np.int64)
    corner = (row + 1) * width + column
    to_right = upper < lower  # the smaller number above, so on the left of a walk to the right
    along = (np.where(to_right, corner, corner + 1), np.where(to_right, corner + 1, corner))
    row, column = np.nonzero(regions[:, :-1] != regions[:, 1:])
    before, after = regions[row, column].astype(np.int64), regions[row, column + 1].astype(np.int64)
    corner = row * width + column + 1
    downward = after < before  # walking down, the left hand points to larger columns
    across = (np.where(downward, corner, corner + width), np.where(downward, corner + width, corner))
    return _Edges(
        start=np.concatenate([along[0], across[0]]),
        end=np.concatenate([along[1], across[1]]),
        left=np.concatenate([np.minimum(upper, lower), np.minimum(before, after)]),
        right=np.concatenate([np.maximum(upper, lower), np.maximum(before, after)]),
    )


def _link(edges: _Edges, degree: Ints, regions: NDArray[np.integer]) -> tuple[Ints, Ints]:
    """The edge before each edge (itself where a chain begins), and the vertices where three or more regions meet."""
    n = len(edges.start)
    previous = np.arange(n)
    leaving = np.full(len(degree), -1, dtype=np.int64)
    leaving[edges.start] = np.arange(n)  # right where one edge leaves; chessboards are put right below
    passes = degree[edges.end] == 2
    previous[leaving[edges.end[passes]]] = np.flatnonzero(passes)
    four = np.flatnonzero(degree == 4)
    row, column = np.divmod(four, regions.shape[1] + 1)
    corners = [regions[row - 1, column - 1], regions[row - 1, column], regions[row, column], regions[row, column - 1]]
    chessboard = (corners[0] == corners[2]) & (corners[1] == corners[3])
    _link_chessboards(edges, four[chessboard], regions, previous)
    triple = np.sort(np.concatenate([np.flatnonzero(degree == 3), four[~chessboard]]))
    return previous, triple


def _link_chessboards(edges: _Edges, vertices: Ints, regions: NDArray[np.integer], previous: Ints) -> None:
    """Lead two chains through each vertex where two regions meet crosswise.

    A chain that turns left goes round a pixel of the region on its left and so cuts that region.
    """
    if not len(vertices):
        return
    size = np.bincount(regions.reshape(-1))
    width = regions.shape[1] + 1
    into = np.flatnonzero(np.isin(edges.end, vertices))
    out = np.flatnonzero(np.isin(edges.start, vertices))
    by_place = {(int(s), int(e)): int(k) for s, e, k in zip(edges.start[out], edges.end[out], out, strict=True)}
    for edge in into:
        start, vertex = int(edges.start[edge]), int(edges.end[edge])
        left, right = int(edges.left[edge]), int(edges.right[edge])
        keep_left = (size[left], left) < (size[right], right)
        step = vertex - start
        # on screen, Y down: right of "to the right" is down
        turned_right = {1: width, width: -1, -1: -width, -width: 1}[step]
        previous[by_place[vertex, vertex + (turned_right if keep_left else -turned_right)]] = edge


def _rank(previous: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """First edge of each edge's chain, how far from it the edge is, and whether the chain is a loop.

    Pointer doubling: after k rounds every edge knows what is 2^k edges before it. A loop begins at its smallest edge.
    """
    n = len(previous)
    rounds = max(1, int(n).bit_length())
    jump, smallest = previous.copy(), np.arange(n)
    for _ in range(rounds):
        smallest = np.minimum(smallest, smallest[jump])
        if np.array_equal(jump[jump], jump):
            break
        jump = jump[jump]
    loop = previous[jump] != jump
    cut = np.where(loop & (smallest == np.arange(n)), np.arange(n), previous)
    jump, distance = cut, (cut != np.arange(n)).astype(np.int64)
    for _ in range(rounds):
        if not distance[jump].any():
            break
        distance = distance + distance[jump]
        jump = jump[jump]
    return jump, distance, loop
