"""Data that several benchmarks share: patterns of random orientations, and libraries at the default step."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.indexing.engine import Engine, make_engine
from nbedex.indexing.settings import IndexingSettings, PreprocessSettings
from nbedex.library import SimulationSettings, build_library
from nbedex.phases import load_phase
from oracles.diffsims_patterns import Microscope, diffsims_spots, frames, random_orientations

sys.path.insert(0, str(Path(__file__).parent))  # for what the benchmarks share: cases, timing, readme

MICROSCOPE = Microscope()


@cache
def _frames(name: str, n: int) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    return frames(diffsims_spots(load_phase(name), random_orientations(n, 3), MICROSCOPE), MICROSCOPE, seed=4)


@cache
def _engine(name: str) -> Engine:
    library = build_library([load_phase(name)], SimulationSettings(voltage=MICROSCOPE.voltage))
    middle = (MICROSCOPE.size - 1) / 2
    return make_engine(
        library,
        Calibration(pixel_size=MICROSCOPE.pixel, voltage=MICROSCOPE.voltage),
        IndexingSettings(preprocess=PreprocessSettings(disk_radius=0.0)),
        frame_shape=(MICROSCOPE.size, MICROSCOPE.size),
        center=(middle, middle),
    )


@pytest.fixture(scope="session")
def patterns() -> Callable[[str, int], tuple[NDArray[np.uint16], NDArray[np.float64]]]:
    """Frames of a phase and their centres."""
    return _frames


@pytest.fixture(scope="session")
def engine() -> Callable[[str], Engine]:
    """Templates of a phase at 1 degree, ready to match."""
    return _engine
