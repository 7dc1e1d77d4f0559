"""Probability of each class, and mean and spread of the accumulation, from errors of orientation and boundary."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade.classes import N_CODES, Cosines, chevron_of, code_of, cosines, tangent
from nbedex.blockade.draws import Draws, make_draws
from nbedex.blockade.flux import unit
from nbedex.blockade.settings import BlockadeSettings

Floats = NDArray[np.float64]
_CHUNK = 1 << 15  # numbers per array at a time, so that some dozens of them stay in the cache


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Pairs of crystals along stretches of boundary, k rows.

    Attributes
    ----------
    normal_a, normal_b
        (k, 3) normals of the conduction planes, sample frame; 0 for isotropic conductors and all that does not conduct.
    in_plane_a, in_plane_b, out_of_plane_a, out_of_plane_b
        (k,) conductivities.
    error_a, error_b
        (k,) one sigma of the orientations, per axis, radians.
    boundary
        (k, 3) unit normals from A to B.
    field
        (k, 3) unit vectors.
    """

    normal_a: Floats
    normal_b: Floats
    in_plane_a: Floats
    in_plane_b: Floats
    out_of_plane_a: Floats
    out_of_plane_b: Floats
    error_a: Floats
    error_b: Floats
    boundary: Floats
    field: Floats

    def rows(self, index: Any) -> Pairs:
        """Some of the rows."""
        return Pairs(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @property
    def reference(self) -> Floats:
        """(k,) the largest principal conductivity of the two sides; NaN where nothing conducts."""
        all_four = [self.in_plane_a, self.in_plane_b, self.out_of_plane_a, self.out_of_plane_b]
        largest = np.max(all_four, axis=0)
        return np.where(largest > 0, largest, np.nan)


@dataclass(frozen=True, kw_only=True, eq=False)
class Confidence:
    """What is left of the statement when its inputs err.

    Attributes
    ----------
    probability
        (k, 13) of each `BoundaryClass`; all in the first column for rows out of the scheme.
    mean, sigma
        (k,) of the accumulation.
    blocks
        (k,) probability that the accumulation reaches `blocks_at`.
    """

    probability: Floats
    mean: Floats
    sigma: Floats
    blocks: Floats


def confidence_of(pairs: Pairs, settings: BlockadeSettings) -> Confidence:
    """Try orientations and boundaries within their errors, the same for every row."""
    n = len(pairs.boundary)
    draws = make_draws(settings.n_draws)
    limits = cosines(settings.tolerances)
    probability = np.zeros((n, N_CODES))
    mean, sigma, blocks = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    step = max(1, _CHUNK // settings.n_draws)
    for start in range(0, n, step):
        here = slice(start, start + step)
        code, a = _tried(pairs.rows(here), draws, settings, limits)
        flat = np.arange(len(code))[:, None] * N_CODES + code
        counts = np.bincount(flat.ravel(), minlength=len(code) * N_CODES)
        probability[here] = counts.reshape(-1, N_CODES) / settings.n_draws
        mean[here] = a.mean(axis=1)
        sigma[here] = a.std(axis=1)
        blocks[here] = np.where(np.isnan(mean[here]), np.nan, (a >= settings.blocks_at).mean(axis=1))
    return Confidence(probability=probability, mean=mean, sigma=sigma, blocks=blocks)


def _tried(pairs: Pairs, draws: Draws, settings: BlockadeSettings, limits: Cosines) -> tuple[NDArray[np.int8], Floats]:
    """Class and accumulation (k, draws), computed in the axes m, t, Z' of each boundary."""
    axes = _boundary_axes(pairs.boundary)
    m, t = _erring_boundary(draws, settings)
    n_a = _turned(_components(axes, pairs.normal_a), draws.turn_a, pairs.error_a)
    n_b = _turned(_components(axes, pairs.normal_b), draws.turn_b, pairs.error_b)
    e = [component[:, None] for component in _components(axes, unit(pairs.field))]
    a_m, b_m, a_e, b_e, e_m = _dot(n_a, m), _dot(n_b, m), _dot(n_a, e), _dot(n_b, e), _dot(e, m)
    chevron = chevron_of(a_m, b_m, a_e, b_e, _dot(n_a, t), _dot(n_b, t), e_m)
    code = code_of(_dot(n_a, n_b), a_m, b_m, e_m, chevron, limits)
    layered = (np.abs(pairs.normal_a) > 0).any(axis=1) & (np.abs(pairs.normal_b) > 0).any(axis=1)
    known = layered & ~np.isnan(pairs.field.sum(axis=1))
    ip_a, ip_b, op_a, op_b = (
        (value / pairs.reference)[:, None]
        for value in (pairs.in_plane_a, pairs.in_plane_b, pairs.out_of_plane_a, pairs.out_of_plane_b)
    )
    a = (ip_a - ip_b) * e_m - (ip_a - op_a) * a_m * a_e + (ip_b - op_b) * b_m * b_e
    return np.where(known[:, None], code, np.int8(0)), a


def _boundary_axes(boundary: Floats) -> Floats:
    """(k, 3, 3), rows m, t = Z x m / |Z x m| and m x t."""
    t = tangent(boundary)
    return np.stack([boundary, t, np.cross(boundary, t)], axis=1)


def _components(axes: Floats, vectors: Floats) -> list[Floats]:
    turned = np.einsum("kij,kj->ki", axes, vectors)
    return [turned[:, 0], turned[:, 1], turned[:, 2]]


def _erring_boundary(draws: Draws, settings: BlockadeSettings) -> tuple[list[Floats], list[Floats]]:
    """The boundary's normal and tangent in its own axes, each component (draws,)."""
    direction = np.deg2rad(settings.normal_error_deg) * draws.direction
    tilt = np.deg2rad(settings.boundary_tilt_error_deg) * draws.tilt
    cos, sin, level = np.cos(direction), np.sin(direction), np.cos(tilt)
    return [cos * level, sin * level, np.sin(tilt)], [-sin, cos, np.zeros_like(cos)]


def _turned(normal: list[Floats], turn: Floats, error: Floats) -> list[Floats]:
    """Normals (k,) after rotations (3, draws) times the error (k,): n + r x n, made a unit vector again.

    To first order a rotation by r; the tilt is arctan |r| in place of |r|, 1 % at 10 degrees.
    """
    x, y, z = (component[:, None] for component in normal)
    rx, ry, rz = (error[:, None] * component for component in turn)
    nx, ny, nz = x + ry * z - rz * y, y + rz * x - rx * z, z + rx * y - ry * x
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    length[length == 0] = 1.0  # no planes, no normal
    return [nx / length, ny / length, nz / length]


def _dot(u: list[Floats], v: list[Floats]) -> Floats:
    return np.asarray(u[0] * v[0] + u[1] * v[1] + u[2] * v[2])
