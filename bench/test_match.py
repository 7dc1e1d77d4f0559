"""Matching with branch and bound against exhaustive matching, on one thread; both must give the same answer.

Times of single patterns, their median and 99th percentile, are in match_times.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import KINDS, PHASES, WITH_SIGNAL, Case
from numpy.typing import NDArray
from timing import difference

from nbedex import _core

EACH = 2  # patterns of a kind
CHECKED = 2  # patterns matched exhaustively, too
Search = Callable[..., dict[str, Any]]


def mixed(case: Case, phase: str) -> NDArray[np.float32]:
    """Patterns of all kinds that have a signal, in turns."""
    kinds = [case.polar(kind, phase, EACH) for kind in WITH_SIGNAL]
    return np.ascontiguousarray(np.stack(kinds, axis=1).reshape(-1, *kinds[0].shape[1:]))


def match(benchmark: Any, case: Case, phases: tuple[str, ...], patterns: NDArray[np.float32], k: int) -> None:
    """Times the pruned search over the templates of some phases; its answers are the exhaustive search's."""
    options = case.options(n_best=k)
    templates = list(case.engine(phases).templates)
    benchmark.extra_info.update(patterns=len(patterns), templates=sum(int(t.size) for t in templates))
    answers, _ = benchmark.pedantic(_core.match_pruned, (templates, patterns, options), rounds=4, warmup_rounds=1)
    few = np.ascontiguousarray(patterns[:CHECKED])
    first = [{name: values[:CHECKED] for name, values in of_phase.items()} for of_phase in answers]
    assert not difference(first, _core.match_exhaustive(templates, few, options)[0])


@pytest.mark.parametrize("step", [1.0, 0.5])
@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("settings", ["mild", "accuracy"])
@pytest.mark.parametrize("phase", PHASES)
def test_one_phase(benchmark: Any, phase: str, settings: str, k: int, step: float) -> None:
    case = Case(settings, step=step)
    benchmark.group = f"match {phase}"
    match(benchmark, case, (phase,), mixed(case, phase), k)


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("settings", ["mild", "accuracy"])
def test_three_phases(benchmark: Any, settings: str, k: int) -> None:
    case = Case(settings)
    benchmark.group = "match three phases"
    match(benchmark, case, PHASES, np.concatenate([mixed(case, phase) for phase in PHASES])[::3].copy(), k)


@pytest.mark.parametrize("settings", ["mild", "accuracy"])
@pytest.mark.parametrize("kind", KINDS)
def test_kinds(benchmark: Any, kind: str, settings: str) -> None:
    case = Case(settings)
    benchmark.group = f"match kinds of patterns, beta2-alumina, {settings}"
    patterns = case.polar(kind, "beta2-alumina", 4 * EACH)
    match(benchmark, case, ("beta2-alumina",), patterns, case.exponents.n_best)


@pytest.mark.parametrize("phase", PHASES)
def test_exhaustive(benchmark: Any, phase: str) -> None:
    """The reference. What it finds must be what NumPy finds at its best place."""
    case = Case("accuracy")
    templates = case.engine((phase,)).templates[0]
    patterns = np.ascontiguousarray(mixed(case, phase)[:CHECKED])
    benchmark.group = f"match {phase}"
    benchmark.extra_info.update(patterns=len(patterns), templates=int(templates.size))
    (found,), _ = benchmark.pedantic(_core.match_exhaustive, ([templates], patterns, case.options()), rounds=2)
    offset, ring, azimuth, weight = templates.offset, templates.ring, templates.azimuth, templates.weight
    for number, pattern in enumerate(patterns.astype(np.float64)):
        template = found["template_id"][number, 0]
        spots = slice(offset[template], offset[template + 1])
        sign = -1 if found["mirrored"][number, 0] else 1
        turned = (sign * azimuth[spots].astype(int) + found["azimuth"][number, 0]) % pattern.shape[1]
        centred = pattern - pattern.mean()
        score = (weight[spots] * centred[ring[spots], turned]).sum() / np.linalg.norm(centred)
        assert found["score"][number, 0] == pytest.approx(score, abs=1e-5)
