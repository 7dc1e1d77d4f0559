"""Libraries of random spots that the core has packed and the oracle has imaged, and patterns of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbedex import _core
from nbedex.library import zone_axis_grid, zone_axis_orientations
from oracles.laue_groups import PROPER, with_inversion
from oracles.matcher_oracle import Grid, template_image

GRID = Grid(n_rings=9, n_azimuths=144, k_min=0.1, k_max=1.0)
EXPONENT = 0.5


def quaternions_of(proper: np.ndarray) -> np.ndarray:
    """Quaternions of a few rotation matrices, by eigenvector."""
    out = []
    for m in proper:
        angle = np.arccos(np.clip((np.trace(m) - 1) / 2, -1, 1))
        values, vectors = np.linalg.eig(m)
        axis = np.real(vectors[:, np.argmin(abs(values - 1))])
        sense = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
        axis = axis if axis @ sense >= 0 else -axis
        out.append([np.cos(angle / 2), *(np.sin(angle / 2) * axis)])
    return np.array(out)


@dataclass(frozen=True)
class Problem:
    """A library of random spots at the zone axes of a group, packed by the core and imaged by the oracle."""

    packed: Any
    images: list[np.ndarray]
    orientation: np.ndarray
    proper: np.ndarray
    grid: Grid


def problem(
    group: str = "mmm",
    *,
    step: float = 18.0,
    seed: int = 0,
    grid: Grid = GRID,
    duplicate: bool = False,
    spots: int = 14,
) -> Problem:
    proper = PROPER[group]
    orientation = zone_axis_orientations(zone_axis_grid(with_inversion(proper), step_deg=step))
    rng = np.random.default_rng(seed)
    lists = []
    for t in range(len(orientation)):
        n = 0 if t == 2 else int(rng.integers(4, spots))
        radius, angle = rng.uniform(0.05, 1.1, n), rng.uniform(0, 2 * np.pi, n)  # some outside the annulus
        intensity = rng.uniform(0.1, 9, n)
        intensity[: n // 4] = 0  # no spot at all
        lists.append(np.stack([radius * np.cos(angle), radius * np.sin(angle), intensity], axis=1).astype(np.float32))
    if duplicate:
        lists[5], lists[6] = lists[3], lists[3]
    offset = np.concatenate([[0], np.cumsum([len(x) for x in lists])]).astype(np.int64)
    kx, ky, intensity = (np.ascontiguousarray(np.concatenate(lists)[:, i]) for i in range(3))
    packed = _core.pack_templates(
        offset, kx, ky, intensity,
        _core.PolarGrid(n_rings=grid.n_rings, n_azimuths=grid.n_azimuths, k_min=grid.k_min, k_max=grid.k_max),
        EXPONENT, orientation, quaternions_of(proper),
    )  # fmt: skip
    images = [template_image(*x.T, grid, EXPONENT) for x in lists]
    return Problem(packed, images, orientation, proper, grid)


def sparse_patterns(p: Problem, n: int, seed: int) -> np.ndarray:
    """Turned, mirrored and mixed templates with spots missing, and others added."""
    rng = np.random.default_rng(seed)
    out = np.zeros((n, p.grid.n_rings, p.grid.n_azimuths))
    for pattern in out:
        for share in (1.0, 0.6):
            image = p.images[rng.integers(len(p.images))]
            image = image[:, -np.arange(p.grid.n_azimuths) % p.grid.n_azimuths] if rng.random() < 0.5 else image
            pattern += share * np.roll(image, rng.integers(p.grid.n_azimuths), axis=1) * (rng.random(image.shape) < 0.8)
        pattern += rng.uniform(0, 2, pattern.shape) * (rng.random(pattern.shape) < 0.06)
    return out.astype(np.float32)
