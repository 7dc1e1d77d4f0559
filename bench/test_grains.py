"""Grains of a map of 2048 x 2048 pixels: the segmentation, and what each of 5,000 grains is like.

The answer is asserted: the known grains of a Voronoi phantom of beta''-alumina with noise of 0.5 degrees per axis.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from nbedex.grains import MapPhase, OrientationMap, find_grains
from nbedex.maps import canonical, disorientation_angle, multiply
from nbedex.phases import load_phase

SIZE, GRAINS, NOISE_DEG = 2048, 5000, 0.5


def phantom(
    size: int = SIZE, n_grains: int = GRAINS, *, seed: int = 5
) -> tuple[OrientationMap, np.ndarray, np.ndarray]:
    """A Voronoi map with noise and 1 % lost pixels; the grain of every pixel, and the grains' orientations."""
    rng = np.random.default_rng(seed)
    seeds = rng.uniform(0, size, (n_grains, 2))
    rows, columns = np.indices((size, size))
    owner = cKDTree(seeds).query(np.stack([rows.ravel(), columns.ravel()], axis=-1), workers=1)[1].reshape(size, size)
    truth = canonical(rng.normal(size=(n_grains, 4)))
    tilt = np.deg2rad(NOISE_DEG) * rng.normal(size=(size, size, 3)) / 2
    noise = np.concatenate([np.ones((size, size, 1)), tilt], axis=-1)
    orientation = canonical(multiply(truth[owner], noise))
    lost = rng.random((size, size)) < 0.01
    phase_id = np.where(lost, -1, 0).astype(np.int16)
    orientation[lost] = np.nan
    source = OrientationMap(
        phases=(MapPhase.of(load_phase("beta2-alumina")),),
        phase_id=phase_id,
        orientation=orientation,
        step=(2.0, 2.0),
        step_known=True,
    )
    return source, owner, truth


@pytest.mark.parametrize("threads", [1, 2])
def test_grains_of_4_million_pixels(benchmark, threads: int) -> None:
    source, owner, truth = phantom()
    found = benchmark.pedantic(find_grains, args=(source,), kwargs={"threads": threads}, rounds=1, iterations=1)
    benchmark.extra_info["pixels"] = SIZE * SIZE
    benchmark.extra_info["grains"] = len(found.grains)
    # neighbours of nearly the same orientation are one grain, tiny cells are absorbed: a few of 5,000
    assert abs(len(found.grains) - GRAINS) < 0.02 * GRAINS
    first = np.unique(found.grain_id, return_index=True)[1]
    centre = np.rint(found.grains.centroid / 2.0).astype(int)
    inside = found.grain_id[centre[:, 1], centre[:, 0]] == np.arange(len(found.grains))
    expected = truth[owner[centre[:, 1], centre[:, 0]]]
    away = disorientation_angle(found.grains.orientation, expected, source.phases[0].symmetry)
    assert np.quantile(np.rad2deg(away[inside]), 0.99) < 0.2
    assert (np.diff(first) > 0).all()
