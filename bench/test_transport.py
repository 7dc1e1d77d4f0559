"""Current maps: 200 grains, anisotropy 10^3, resistive boundaries; own direct solver against SciPy's SuperLU.

`python -m pytest bench/test_transport.py --benchmark-only`; NBEDEX_BENCH_LARGE=1 adds ten million cells.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from typing import Any

import numpy as np
import pytest

from nbedex.transport import TransportSettings, edge_problem, simple_structure, solve
from nbedex.transport.structure import Structure

GRAINS = 200
LARGE = os.environ.get("NBEDEX_BENCH_LARGE") == "1"
SIZES = (250, 500, 1000, *((3163,) if LARGE else ()))
SUPERLU_SIZES = (250, 500, *((1000,) if LARGE else ()))  # SuperLU needs minutes and gigabytes beyond


def polycrystal(n: int, grains: int = GRAINS, anisotropy: float = 1e3) -> Structure:
    """Voronoi grains with random planes, n x n cells."""
    from scipy.spatial import cKDTree

    rng = np.random.default_rng(6)
    seeds, normal = rng.random((grains, 2)) * n, rng.standard_normal((grains, 3))
    columns = np.arange(n) + 0.5
    tree = cKDTree(seeds)
    labels = np.stack([tree.query(np.stack([np.full(n, row), columns], axis=1))[1] for row in columns])
    return simple_structure(
        labels,
        step=(2.0, 2.0),
        normal=normal / np.linalg.norm(normal, axis=1, keepdims=True),
        in_plane=np.ones(grains),
        out_of_plane=np.full(grains, 1 / anisotropy),
        boundary_resistance=2e-8,
    )


def peak_memory() -> float:
    """GB that this process has held at most."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1e9 if sys.platform == "darwin" else 1e6)


def measure(n: int, solver: str, model: str = "tensor") -> dict[str, Any]:
    """One solution: times, memory, iterations, quality."""
    problem = edge_problem(polycrystal(n), left=1.0, right=0.0)
    settings = TransportSettings(solver=solver, model=model, refinement_pair=False)  # type: ignore[arg-type]
    wall, cpu = time.perf_counter(), time.process_time()
    solution = solve(problem, settings)
    return {
        "cells": n * n,
        "solver": solution.checked.solver,
        "model": model,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "peak_gb": peak_memory(),
        "factor_gb": solution.checked.factor_bytes / 1e9,
        "refinements": solution.checked.refinements,
        "residual": solution.checked.residual,
        "charge_balance": solution.charge_balance,
        "resistance_ohm": solution.resistance,
    }


@pytest.mark.parametrize(
    ("n", "solver"), [*((n, "dissection") for n in SIZES), *((n, "superlu") for n in SUPERLU_SIZES)]
)
def test_solve(benchmark: Any, n: int, solver: str) -> None:
    benchmark.group = f"current, {n} x {n} cells"
    found = benchmark.pedantic(measure, (n, solver), rounds=1)
    benchmark.extra_info.update(found)
    assert found["residual"] < 1e-9
    assert found["charge_balance"] < 1e-8


def test_both_solvers_find_the_same() -> None:
    assert measure(150, "dissection")["resistance_ohm"] == pytest.approx(
        measure(150, "superlu")["resistance_ohm"], rel=1e-8
    )


if __name__ == "__main__":  # one measurement in its own process, so that the peak of memory is its own
    import json

    sys.stdout.write(json.dumps(measure(int(sys.argv[1]), sys.argv[2], *sys.argv[3:])) + "\n")
