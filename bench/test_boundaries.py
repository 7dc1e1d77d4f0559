"""Boundaries of a map of 2048 x 2048 pixels with 5,000 grains: tracing, smoothing, misorientations, coincidences.

The answer is asserted: normals and lengths of the Voronoi cells' ridges, disorientations and psi of known orientations.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from nbedex.boundaries import csl_table, trace_boundaries
from nbedex.boundaries.csl import _table
from nbedex.boundaries.csl_labels import label_csl
from nbedex.boundaries.disorientation import reduced
from nbedex.boundaries.settings import BoundarySettings
from nbedex.grains import GrainMap, MapPhase
from nbedex.maps import disorientation_angle
from nbedex.phases import load_phase
from oracles.boundary_maps import Voronoi, grain_map, voronoi
from oracles.laue_groups import random_quaternions

SIZE, GRAINS = 2048, 5000


@cache
def phantom(phase: str) -> tuple[Voronoi, np.ndarray, GrainMap]:
    cells = voronoi(SIZE, GRAINS, 5, noise=1.0)
    orientations = random_quaternions(int(cells.labels.max()) + 1, 6)
    return cells, orientations, grain_map(cells.labels, [MapPhase.of(load_phase(phase))], orientations)


@pytest.mark.parametrize("phase", ["beta2-alumina", "au"])
def test_boundaries_of_5000_grains(benchmark: Any, phase: str) -> None:
    cells, orientations, made = phantom(phase)
    net = benchmark.pedantic(trace_boundaries, args=(made,), rounds=3, iterations=1)
    b = net.boundaries
    benchmark.extra_info.update(pixels=SIZE * SIZE, grains=GRAINS, segments=len(b))
    assert len(b) > 14_000
    truth = np.array([cells.normal(i, j) for i, j in zip(b.grain_a, b.grain_b, strict=True)])
    long = b.length > 20
    away = np.rad2deg(np.arccos(np.clip(np.sum(b.normal[long, :2] * truth[long], axis=1), -1, 1)))
    assert np.quantile(away, 0.99) < 3.0
    symmetry = made.source.phases[0].symmetry
    expected = disorientation_angle(orientations[b.grain_a], orientations[b.grain_b], symmetry)
    assert np.abs(b.disorientation_deg - np.rad2deg(expected)).max() < 1e-6
    if phase == "beta2-alumina":
        assert np.all(b.psi_deg <= b.disorientation_deg + 1e-9)


@pytest.mark.parametrize("phase", ["beta2-alumina", "au", "nzsp"])
def test_table_of_coincidences(benchmark: Any, phase: str) -> None:
    kind = MapPhase.of(load_phase(phase))

    def afresh() -> int:
        _table.cache_clear()
        return len(csl_table(kind))

    assert benchmark.pedantic(afresh, rounds=3, iterations=1) == {"beta2-alumina": 23, "au": 47, "nzsp": 7}[phase]


@pytest.mark.parametrize("phase", ["beta2-alumina", "au"])
def test_labels_of_15000_boundaries(benchmark: Any, phase: str) -> None:
    kind = MapPhase.of(load_phase(phase))
    csl_table(kind)
    rotations = reduced(random_quaternions(15_000, 8), kind.symmetry)
    labels = benchmark(label_csl, rotations, kind, BoundarySettings())
    # random misorientations: 1.8 % are within Brandon's tolerance of Σ3 in a cubic crystal (Morawiec 1998)
    share = float(np.mean(labels.sigma == 3))
    assert share == pytest.approx({"au": 0.0176, "beta2-alumina": 0.0012}[phase], abs=0.003)
