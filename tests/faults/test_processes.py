"""Indexing in processes of every kind, after this one has indexed with threads: no hang, the same bits."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nbedex import memory_scan
from nbedex.adapters.recipe import Recipe, make_recipe
from nbedex.library import SimulationSettings, build_library
from nbedex.phases import load_phase
from oracles.small_scan import CALIBRATION, small_scan


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    data = small_scan((2, 4))
    return data.reshape(-1, *data.shape[2:])


@pytest.fixture(scope="module")
def recipe(frames: np.ndarray) -> Recipe:
    settings = SimulationSettings(voltage=300.0, k_max=1.1, step_deg=6.0)
    library = build_library([load_phase("na2au")], settings, threads=2)
    return make_recipe(memory_scan(frames), library, CALIBRATION, threads=2)


@pytest.fixture(scope="module")
def expected(recipe: Recipe, frames: np.ndarray) -> bytes:
    return recipe.index(frames, np.arange(len(frames)), threads=4).tobytes()


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that a process with threads forks: the point
def test_processes(method: str, recipe: Recipe, frames: np.ndarray, expected: bytes) -> None:
    parts = np.array_split(np.arange(len(frames)), 3)
    with multiprocessing.get_context(method).Pool(2) as pool:
        jobs = [pool.apply_async(recipe.index, (frames[part], part), {"threads": 3}) for part in parts]
        found = b"".join(job.get(timeout=100).tobytes() for job in jobs)
    assert found == expected


def test_threads(recipe: Recipe, frames: np.ndarray, expected: bytes) -> None:
    """As Dask's threaded scheduler does it: several callers, each with threads, one engine."""
    numbers = np.arange(len(frames))
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(recipe.index, frames, numbers, threads=n) for n in (1, 2, 3, 4)]
        assert all(job.result().tobytes() == expected for job in jobs)
