"""From raw frames to polar patterns: beam centre, unwrapping, background, exponent, on one thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nbedex import _core
from nbedex.indexing.block import Engine

N = 64


def test_unwrap_and_prepare(benchmark: Any, patterns: Callable[..., Any], engine: Callable[[str], Engine]) -> None:
    images, centers = patterns("na2au", N)
    run = engine("na2au")
    benchmark.group = "prepare"
    benchmark.extra_info.update(patterns=N)
    _, status = benchmark(_core.prepare_patterns, images, centers, run.sampler, run.preprocessing, None, 1)
    assert not status.any()


def test_find_beams(benchmark: Any, patterns: Callable[..., Any]) -> None:
    images, centers = patterns("na2au", N)
    search = _core.BeamSearch(row=127.5, column=127.5, search_radius=32.0, beam_radius=3.0)
    benchmark.group = "prepare"
    benchmark.extra_info.update(patterns=N)
    found = benchmark(_core.find_beams, images, search, None, 1)
    assert np.linalg.norm(found[:, :2] - centers, axis=1).max() < 0.5
