"""Matching by definition: correlation coefficients of whole images, and disorientations of explicit matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oracles.laue_groups import matrix, turn

MIRROR = turn((0, 1, 0), 180.0)


@dataclass(frozen=True)
class Grid:
    n_rings: int
    n_azimuths: int
    k_min: float
    k_max: float


@dataclass(frozen=True)
class Found:
    """One candidate; mirror and half turn scores are those of the first."""

    template: int
    mirrored: int
    azimuth: int
    score: float


def template_image(kx: np.ndarray, ky: np.ndarray, intensity: np.ndarray, grid: Grid, exponent: float) -> np.ndarray:
    """Spots added up by bin, then raised to the exponent: (n_rings, n_azimuths)."""
    image = np.zeros((grid.n_rings, grid.n_azimuths))
    for x, y, i in zip(kx.astype(float), ky.astype(float), intensity.astype(float), strict=True):
        ring = int(np.floor((np.hypot(x, y) - grid.k_min) / ((grid.k_max - grid.k_min) / grid.n_rings)))
        azimuth = round(np.arctan2(y, x) / (2 * np.pi) * grid.n_azimuths) % grid.n_azimuths
        if 0 <= ring < grid.n_rings and i > 0:
            image[ring, azimuth] += i
    return image**exponent


def all_scores(pattern: np.ndarray, images: list[np.ndarray]) -> np.ndarray:
    """Correlation with every image, mirror image and in-plane bin: (templates, 2, azimuths); NaN where no spots."""
    n_azimuths = pattern.shape[1]
    p = pattern.astype(float) - pattern.astype(float).mean()
    # sum over j of p[r, j] q[r, j - phi]: the pattern turned back instead of the image turned
    p_turned = p[:, (np.arange(n_azimuths)[:, None] + np.arange(n_azimuths)) % n_azimuths]
    scores = np.full((len(images), 2, n_azimuths), np.nan)
    for t, image in enumerate(images):
        if not image.any():
            continue
        for mirrored in (0, 1):
            seen = image[:, -np.arange(n_azimuths) % n_azimuths] if mirrored else image
            q = seen - seen.mean()
            norm = np.sqrt((q**2).sum() * (p**2).sum())
            scores[t, mirrored] = np.einsum("rpj,rj->p", p_turned, q) / norm
    return scores


def orientations(templates: np.ndarray, n_azimuths: int) -> np.ndarray:
    """O_t [R_y(180)] R_z(-phi) of everything: (templates, 2, azimuths, 3, 3)."""
    turns = np.array([turn((0, 0, 1), -360.0 * phi / n_azimuths) for phi in range(n_azimuths)])
    bases = np.array([[matrix(q), matrix(q) @ MIRROR] for q in templates])
    return np.einsum("tmij,pjk->tmpik", bases, turns)


def near(all_orientations: np.ndarray, chosen: np.ndarray, proper: np.ndarray, distinct: float) -> np.ndarray:
    """Which orientations lie within `distinct` radians of a chosen one, symmetry considered."""
    traces = np.einsum("sij,jk,tmpik->stmp", proper, chosen, all_orientations).max(axis=0)
    return np.arccos(np.clip((traces - 1) / 2, -1, 1)) <= distinct + 1e-12


def n_best(
    scores: np.ndarray, all_orientations: np.ndarray, proper: np.ndarray, *, n: int, distinct: float
) -> tuple[list[Found], float, float]:
    """Greedy choice, ties to 1e-6 going to the first by template, mirror, bin; then mirror and half turn score."""
    left = np.where(np.isnan(scores), -np.inf, scores)
    found: list[Found] = []
    mirror_score = half_turn_score = float("nan")
    for _ in range(n):
        if not np.isfinite(left.max()):
            break
        first = np.flatnonzero(left.ravel() >= left.max() - 1e-6)[0]
        t, m, phi = (int(i) for i in np.unravel_index(first, left.shape))
        found.append(Found(t, m, phi, float(scores[t, m, phi])))
        left[near(all_orientations, all_orientations[t, m, phi], proper, distinct)] = -np.inf
        if len(found) == 1:
            other = left[t, 1 - m].max()
            mirror_score = float(other) if np.isfinite(other) else float("nan")
            around = [left[t, m, (phi + scores.shape[2] // 2 + d) % scores.shape[2]] for d in (-2, -1, 0, 1, 2)]
            half_turn_score = float(max(around)) if np.isfinite(max(around)) else float("nan")
    return found, mirror_score, half_turn_score
