"""A made-up result of indexing, small and asymmetric, for the tests of maps and figures."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbedex.calibration import Calibration
from nbedex.maps import IndexingResult, Status
from nbedex.maps.orientation import canonical
from nbedex.phases import load_phase

NAMES = ("beta2-alumina", "nzsp", "na2au")  # R-3m, C2/c (2-fold along b), I4/mcm


def sample_result(
    shape: tuple[int, int] = (40, 60),
    *,
    step: tuple[float, float] | None = (2.0, 1.5),
    names: tuple[str, ...] = NAMES,
    n_rivals: int = 3,
    grains: bool = False,
    seed: int = 7,
) -> IndexingResult:
    """Random orientations (or grains of one orientation each), every status, every kind of NaN."""
    rng = np.random.default_rng(seed)
    phases = tuple(load_phase(name) for name in names)
    calibration = Calibration(pixel_size=0.0094, voltage=300.0, step=step, rotation_deg=12.5, flipped=True)
    config = {"k_max": 1.4, "phases": list(names)}
    provenance = {"nbedex": "0.0.test", "config": config, "input": "Prüfung.hspy"}
    result = IndexingResult.empty(shape, phases, calibration, n_rivals=n_rivals, provenance=provenance)
    label = _labels(rng, shape, grains=grains)
    count = int(label.max()) + 1
    phase = rng.integers(0, len(phases), count).astype(np.int16)[label]
    quaternion = canonical(rng.normal(size=(count, 4)))[label]
    indexed = rng.random(shape) > 0.1
    _fill(result, rng, phase, quaternion, indexed)
    return result


def _labels(rng: np.random.Generator, shape: tuple[int, int], *, grains: bool) -> np.ndarray:
    """Grain of each pixel: its own, or the nearest of a few seeds."""
    ny, nx = shape
    if not grains:
        return np.arange(ny * nx).reshape(shape)
    seeds = rng.random((9, 2)) * shape
    grid = np.stack(np.indices(shape), axis=-1)
    return np.argmin(np.linalg.norm(grid[:, :, None] - seeds, axis=-1), axis=-1)


def _fill(result: IndexingResult, rng: np.random.Generator, phase: Any, quaternion: Any, indexed: Any) -> None:
    shape, n = result.shape, result.n_rivals
    result.status[:] = rng.integers(1, len(Status), shape)
    result.status[indexed] = Status.OK
    result.phase_id[indexed] = phase[indexed]
    result.orientation[indexed] = quaternion[indexed]
    for name, low, high in (
        ("index", 0.2, 0.9),
        ("reliability", 0.0, 60.0),
        ("phase_reliability", 0.0, 40.0),
        ("mirror_margin", -5.0, 30.0),
        ("half_turn_margin", 0.0, 10.0),
        ("probability", 0.0, 1.0),
        ("uncertainty_deg", 0.05, 2.0),
    ):
        getattr(result, name)[indexed] = rng.uniform(low, high, shape)[indexed]
    result.reliability[0, :2] = np.nan  # no rival
    result.mirror_margin[::3] = np.nan
    result.center[:] = 128 + rng.normal(size=(*shape, 2))
    result.template_id[indexed] = rng.integers(0, 9000, shape)[indexed]
    result.mirrored[indexed] = (rng.random(shape) < 0.5)[indexed]
    result.phase_score[indexed] = rng.uniform(0, 0.9, (*shape, len(result.phases)))[indexed]
    for rank in range(n):
        there = indexed & (rng.random(shape) < (1.0, 0.8, 0.5)[min(rank, 2)])
        result.rival_phase_id[there, rank] = ((phase + rank) % len(result.phases))[there]
        other = quaternion if rank == 0 else canonical(rng.normal(size=(*shape, 4)))
        result.rival_orientation[there, rank] = other[there]
        result.rival_score[there, rank] = result.index[there] * 0.9**rank
    result.validate()
