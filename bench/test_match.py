"""Matching with branch and bound against exhaustive matching, on one thread; both must give the same answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nbedex import _core
from nbedex.indexing.block import Engine

N = 16
OPTIONS = {"n_best": 5, "distinct_angle": float(np.deg2rad(5.0)), "threads": 1}


def polar(name: str, patterns: Callable[..., Any], engine: Engine) -> np.ndarray:
    images, centers = patterns(name, N)
    prepared, status, _ = _core.prepare_patterns(images, centers, engine.sampler, engine.preprocessing, None, 1)
    assert not status.any()
    return prepared


@pytest.mark.parametrize("search", ["match_pruned", "match_exhaustive"])
@pytest.mark.parametrize("name", ["beta2-alumina", "nzsp", "na2au", "au"])
def test_match(
    benchmark: Any, patterns: Callable[..., Any], engine: Callable[[str], Engine], name: str, search: str
) -> None:
    run = engine(name)
    prepared = polar(name, patterns, run)
    options = _core.MatchOptions(**OPTIONS)
    benchmark.group = f"match {name}"
    benchmark.extra_info.update(patterns=N, templates=int(run.templates[0].size))
    rounds = 2 if search == "match_exhaustive" else 5
    answer = benchmark.pedantic(getattr(_core, search), (run.templates[0], prepared, options), rounds=rounds)
    if search == "match_pruned":
        reference = _core.match_exhaustive(run.templates[0], prepared, options)
        for field in (
            "score",
            "template_id",
            "azimuth",
            "azimuth_offset",
            "mirrored",
            "mirror_score",
            "half_turn_score",
        ):
            values = reference[field]
            assert np.array_equal(values, answer[field], equal_nan=values.dtype.kind == "f"), field
