"""Classes, accumulation and their confidence for the boundaries of a large map."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbedex.blockade import BlockadeSettings, UniformField, analyse_blockade
from nbedex.blockade.expected import compare_with_random
from nbedex.blockade.sweep import sweep_field
from nbedex.boundaries import BoundaryNetwork
from oracles.planes_phantom import network, voronoi

N_GRAINS = 5_000


def large_network() -> BoundaryNetwork:
    """About 15,000 segments: 5,000 Voronoi cells."""
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(N_GRAINS, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return network(voronoi((1024, 1024), N_GRAINS, 0), normals)


def test_analyse_15000_segments(benchmark: Any) -> None:
    net = large_network()
    benchmark.group = "blockade"
    result = benchmark.pedantic(analyse_blockade, args=(net, UniformField(30.0)), rounds=3, warmup_rounds=1)
    benchmark.extra_info.update(segments=len(result.segments), stretches=len(result.stretches))
    assert len(result.segments) > 14_000
    certain = analyse_blockade(
        net, UniformField(30.0), settings=BlockadeSettings(n_draws=4, max_turn_deg=result.settings.max_turn_deg)
    )
    np.testing.assert_array_equal(certain.segments.code, result.segments.code)


def test_sweep_and_comparison(benchmark: Any) -> None:
    result = analyse_blockade(large_network(), UniformField(30.0))
    benchmark.group = "blockade"

    def run() -> None:
        sweep_field(result)
        compare_with_random(result)

    benchmark.pedantic(run, rounds=2, warmup_rounds=1)
