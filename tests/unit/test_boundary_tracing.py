"""Chains of pixel edges: against a walker that takes one step at a time, and in maps drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nbedex.boundaries.tracing import Chains, trace_chains
from oracles.boundary_maps import voronoi

Walk = tuple[int, int, tuple[tuple[int, int], ...]]


def walked(regions: np.ndarray) -> set[Walk]:
    """(left, right, vertices) of all chains, one step at a time; loops begin anywhere, so they are turned."""
    ny, nx = regions.shape
    steps: dict[tuple[int, int], list[tuple[tuple[int, int], int, int]]] = {}
    size = np.bincount(regions.ravel())

    def pixel(row: int, column: int) -> int:
        return int(regions[row, column]) if 0 <= row < ny and 0 <= column < nx else -1

    for row in range(ny + 1):
        for column in range(nx + 1):
            # to the right: the pixel above is on the left; down: the one to the right is
            above, below = pixel(row - 1, column), pixel(row, column)
            for a, b, here, there in (
                (above, below, (row, column), (row, column + 1)),
                (below, pixel(row, column - 1), (row, column), (row + 1, column)),
            ):
                if min(a, b) >= 0 and a != b:
                    start, end = (here, there) if a < b else (there, here)
                    steps.setdefault(start, []).append((end, min(a, b), max(a, b)))
    into: dict[tuple[int, int], int] = {}
    for options in steps.values():
        for end, _, _ in options:
            into[end] = into.get(end, 0) + 1

    def corners(vertex: tuple[int, int]) -> list[int]:
        row, column = vertex
        return [pixel(row - 1, column - 1), pixel(row - 1, column), pixel(row, column), pixel(row, column - 1)]

    def onward(previous: tuple[int, int], vertex: tuple[int, int]) -> tuple[tuple[int, int], int, int] | None:
        options = steps.get(vertex, [])
        if len({c for c in corners(vertex) if c >= 0}) != 2 or not options:
            return None
        if len(options) == 1:
            return options[0]
        _, left, right = options[0]
        dy, dx = vertex[0] - previous[0], vertex[1] - previous[1]
        turn = (dx, -dy) if (size[left], left) < (size[right], right) else (-dx, dy)  # right, left on screen
        target = (vertex[0] + turn[0], vertex[1] + turn[1])
        return next(option for option in options if option[0] == target)

    chains: set[Walk] = set()
    used: set[tuple[tuple[int, int], tuple[int, int]]] = set()

    def follow(start: tuple[int, int], first: tuple[tuple[int, int], int, int]) -> None:
        path, step = [start], first
        while step is not None and (path[-1], step[0]) not in used:
            used.add((path[-1], step[0]))
            path.append(step[0])
            step = onward(path[-2], path[-1])
        chains.add((first[1], first[2], turned(path) if path[0] == path[-1] else tuple(path)))

    begins = [v for v in steps if len({c for c in corners(v) if c >= 0}) > 2 or into.get(v, 0) == 0]
    for vertex in begins:
        for option in steps[vertex]:
            follow(vertex, option)
    for vertex in steps:
        for option in steps[vertex]:
            if (vertex, option[0]) not in used:
                follow(vertex, option)
    return chains


def turned(path: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """A closed path from its smallest rotation on, so that paths can be compared."""
    ring = path[:-1]
    best = min(ring[k:] + ring[:k] for k in range(len(ring)) if ring[k] == min(ring))
    return (*best, best[0])


def as_walks(chains: Chains) -> set[Walk]:
    width = chains.shape[1] + 1
    found = set()
    for k in range(len(chains)):
        path = [divmod(int(v), width) for v in chains.vertices[chains.offset[k] : chains.offset[k + 1]]]
        found.add((int(chains.left[k]), int(chains.right[k]), turned(path) if path[0] == path[-1] else tuple(path)))
    assert len(found) == len(chains)
    return found


@pytest.mark.parametrize("seed", range(40))
def test_like_the_walker_in_random_maps(seed: int) -> None:
    """Few labels and much noise: chessboards, islands, loops in loops, all at the edges too."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2 + seed % 4, (3 + seed % 7, 4 + seed % 5))
    assert as_walks(trace_chains(labels)) == walked(labels)


def test_like_the_walker_in_grains() -> None:
    labels = voronoi(60, 25, 5, noise=1.5).labels
    chains = trace_chains(labels)
    assert as_walks(chains) == walked(labels)
    assert np.all(np.diff(chains.left * 1000 + chains.right) >= 0)


def test_one_chain_from_edge_to_edge() -> None:
    """Normals Z x d lead from the left to the right region: here from 0, left, to 1: the walk goes up."""
    labels = np.zeros((4, 5), dtype=np.int32)
    labels[:, 3:] = 1
    chains = trace_chains(labels)
    assert len(chains) == 1 and not chains.loop[0] and len(chains.triple_points) == 0
    path = chains.positions(chains.vertices)
    assert np.array_equal(path, [[2.5, 3.5], [2.5, 2.5], [2.5, 1.5], [2.5, 0.5], [2.5, -0.5]])


def test_an_enclosed_grain_is_one_loop() -> None:
    labels = np.zeros((5, 6), dtype=np.int32)
    labels[1:3, 2:5] = 1
    chains = trace_chains(labels)
    assert chains.loop.tolist() == [True] and len(chains.vertices) == 11
    assert chains.vertices[0] == chains.vertices[-1]


def test_triple_and_quadruple_points() -> None:
    labels = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]])
    chains = trace_chains(labels)
    assert list(zip(chains.left, chains.right, strict=True)) == [(0, 1), (0, 2), (1, 3), (2, 3)]
    assert chains.positions(chains.triple_points).tolist() == [[1.5, 1.5]]
    labels[:2, :2] = 3  # a region that touches itself across the corner of two others: they meet there
    chains = trace_chains(labels)
    assert list(zip(chains.left, chains.right, strict=True)) == [(1, 3), (1, 3), (2, 3), (2, 3)]
    assert len(chains.triple_points) == 1


def test_chessboard_corners_belong_to_the_smaller_region() -> None:
    """Whichever way the map is turned or numbered, the region with fewer pixels holds together."""
    small = np.zeros((6, 6), dtype=np.int64)
    small[1:3, 1:3] = small[3:5, 3:5] = 1
    for quarter in range(4):
        for swap in (False, True):
            labels = np.rot90(1 - small if swap else small, quarter)
            chains = trace_chains(labels)
            assert len(chains) == 1 and chains.loop[0], (quarter, swap)
            assert len(chains.triple_points) == 0
    large = 1 - small[1:5, 1:5]  # now equally many: the one with the smaller number holds together
    for labels in (large, 1 - large):
        chains = trace_chains(labels)
        assert len(chains) == 2
        centre = 2 * 5 + 2
        assert (chains.vertices == centre).sum() == 2


def test_a_map_of_one_grain_has_no_chains() -> None:
    chains = trace_chains(np.zeros((3, 4), dtype=np.int32))
    assert len(chains) == 0 and len(chains.triple_points) == 0
    assert len(trace_chains(np.zeros((1, 1), dtype=np.int32))) == 0
