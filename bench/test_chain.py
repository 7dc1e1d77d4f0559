"""From a map of 2048 x 2048 pixels and 5,000 grains to what blocks sodium: grains, boundaries, blockade."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np

from nbedex.blockade import UniformField
from nbedex.grains import OrientationMap
from nbedex.maps import canonical, multiply
from nbedex.microstructure import analyse_map, write_microstructure
from oracles.planes_phantom import orientation_of, phases, voronoi

SIZE, N_GRAINS = 2048, 5_000


def large_map() -> OrientationMap:
    """Voronoi cells with random orientations and 0.3 degrees of noise in every pixel, each in a random equivalent."""
    rng = np.random.default_rng(1)
    labels = voronoi((SIZE, SIZE), N_GRAINS, 1)
    normals = rng.normal(size=(N_GRAINS, 3))
    each = np.array([orientation_of(n, spin) for n, spin in zip(normals, rng.uniform(0, 6, N_GRAINS), strict=True)])
    tilt = np.deg2rad(0.3) / 2 * rng.normal(size=(SIZE, SIZE, 3))
    noise = np.concatenate([np.ones((SIZE, SIZE, 1)), tilt], axis=-1)
    kind = phases(("beta2-alumina",))
    orientation = multiply(noise, each[labels])
    orientation = multiply(kind[0].symmetry[rng.integers(len(kind[0].symmetry), size=labels.shape)], orientation)
    return OrientationMap(
        phases=kind,
        phase_id=np.zeros(labels.shape, dtype=np.int16),
        orientation=canonical(orientation),
        step=(2.0, 2.0),
        step_known=True,
    )


def test_map_of_5000_grains(benchmark: Any, tmp_path: Path) -> None:
    source = large_map()
    benchmark.group = "chain"
    marks: list[tuple[str, float]] = []

    def progress(stage: str, done: int, total: int) -> None:
        marks.append((f"{stage} {done}", time.perf_counter()))

    found = benchmark.pedantic(
        analyse_map, args=(source, UniformField(30.0)), kwargs={"threads": 2, "progress": progress}, rounds=1
    )
    steps = {name: round(after - before, 2) for (name, before), (_, after) in itertools.pairwise(marks)}
    names = dict(zip(("grains", "boundaries", "blockade"), steps.values(), strict=True))
    start = time.perf_counter()
    write_microstructure(tmp_path / "out", found, figures=False)
    names["writing"] = round(time.perf_counter() - start, 2)
    start = time.perf_counter()
    write_microstructure(tmp_path / "pictures", found, figures=True)
    names["writing with figures"] = round(time.perf_counter() - start, 2)
    benchmark.extra_info.update(
        seconds=names, grains=len(found.grain_map.grains), segments=len(found.network.boundaries)
    )
    assert abs(len(found.grain_map.grains) - N_GRAINS) < 0.01 * N_GRAINS  # some cells have less than ten pixels
    assert len(found.network.boundaries) > 14_000
