"""Distributions of boundary angles, beside those that a random microstructure would have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.boundaries.model import BoundaryNetwork
from nbedex.errors import ArgumentError
from nbedex.grains import GrainMap, disorientations
from nbedex.maps.orientation import multiply

Floats = NDArray[np.float64]

_DIRECTIONS = 100_000  # on the sphere, for the Mackenzie curve
_RANDOM_PAIRS = 20_000


@dataclass(frozen=True, kw_only=True, eq=False)
class MisorientationDistribution:
    """How the disorientation angles of one phase are distributed; all densities per degree.

    Attributes
    ----------
    phase
        Name.
    edges_deg
        (k + 1,) edges of the bins.
    boundaries
        (k,) of the boundaries, weighted by length ("correlated").
    grain_pairs
        (k,) of pairs of grains drawn at random by area, neighbours or not ("uncorrelated"): differs from `random` by
        texture, and from `boundaries` by which grains chose to be neighbours.
    random
        (k,) of random orientations: the Mackenzie curve of the phase's symmetry, mean over each bin.
    n_boundaries, n_grains, length
        What it is made from; length in nm.
    """

    phase: str
    edges_deg: Floats
    boundaries: Floats
    grain_pairs: Floats
    random: Floats
    n_boundaries: int
    n_grains: int
    length: float


@dataclass(frozen=True, kw_only=True, eq=False)
class PlaneDistribution:
    """How the angles between conduction planes are distributed; all densities per degree over 0 to 90.

    Attributes
    ----------
    edges_deg
        (k + 1,) edges of the bins.
    psi
        (k,) angle between the planes in space, weighted by length.
    random_psi
        (k,) that of random planes, sin(psi).
    delta_theta
        (k,) angle between their traces on the surface, weighted by length.
    random_delta_theta
        (k,) that of random planes: every angle equally often.
    n_boundaries, length
        What it is made from; length in nm.
    """

    edges_deg: Floats
    psi: Floats
    random_psi: Floats
    delta_theta: Floats
    random_delta_theta: Floats
    n_boundaries: int
    length: float


@dataclass(frozen=True, kw_only=True)
class CslShare:
    """One coincidence in the network: how many boundaries, and their share of the phase's boundary length."""

    phase: str
    label: str
    sigma: int
    count: int
    length: float
    share: float
    twin: bool


def misorientation_distribution(
    network: BoundaryNetwork, phase: int, *, bin_deg: float = 2.5, seed: int = 0
) -> MisorientationDistribution:
    """Misorientation distribution of one phase.

    Parameters
    ----------
    network
        The boundaries.
    phase
        Number of the phase in the map.
    bin_deg
        Width of the bins.
    seed
        Of the draw of grain pairs; the same seed gives the same numbers.
    """
    grain_map, b = network.grain_map, network.boundaries
    kind = grain_map.source.phases[_checked(grain_map, phase)]
    mine = ~b.phase_boundary & (grain_map.grains.phase_id[b.grain_a] == phase)
    largest = float(np.rad2deg(largest_disorientation(kind.symmetry)))
    edges = np.arange(0.0, largest + bin_deg, bin_deg)
    grains = np.flatnonzero((grain_map.grains.phase_id == phase) & np.isfinite(grain_map.grains.orientation[:, 0]))
    fine = np.linspace(0, edges[-1], 8 * (len(edges) - 1) + 1)
    curve = random_disorientation_density(np.deg2rad((fine[:-1] + fine[1:]) / 2), kind.symmetry)
    return MisorientationDistribution(
        phase=kind.name,
        edges_deg=edges,
        boundaries=_density(b.disorientation_deg[mine], edges, b.length[mine]),
        grain_pairs=_density(_random_pairs(grain_map, grains, kind.symmetry, seed), edges, None),
        random=np.deg2rad(curve).reshape(-1, 8).mean(axis=1),
        n_boundaries=int(mine.sum()),
        n_grains=len(grains),
        length=float(b.length[mine].sum()),
    )


def plane_distribution(network: BoundaryNetwork, *, bin_deg: float = 5.0) -> PlaneDistribution:
    """Distributions of psi and delta theta over all boundaries between grains with conduction planes."""
    b = network.boundaries
    count = max(1, round(90 / bin_deg))
    edges = np.linspace(0.0, 90.0, count + 1)
    mine = np.isfinite(b.psi_deg)
    drawn = np.isfinite(b.delta_theta_deg)
    width = 90 / count
    return PlaneDistribution(
        edges_deg=edges,
        psi=_density(b.psi_deg[mine], edges, b.length[mine]),
        random_psi=-np.diff(np.cos(np.deg2rad(edges))) / width,
        delta_theta=_density(b.delta_theta_deg[drawn], edges, b.length[drawn]),
        random_delta_theta=np.full(count, 1 / 90),
        n_boundaries=int(mine.sum()),
        length=float(b.length[mine].sum()),
    )


def csl_shares(network: BoundaryNetwork) -> list[CslShare]:
    """Share of each coincidence in the boundary length of its phase, the largest first; general boundaries too."""
    b, phases = network.boundaries, network.grain_map.source.phases
    of_phase = network.grain_map.grains.phase_id[b.grain_a]
    shares = []
    for number, kind in enumerate(phases):
        mine = ~b.phase_boundary & (of_phase == number)
        total = float(b.length[mine].sum())
        labels = np.array([label or "general" for label in b.csl_label], dtype=object)
        for label in sorted(set(labels[mine])):
            rows = np.flatnonzero(mine & (labels == label))
            length = float(b.length[rows].sum())
            shares.append(
                CslShare(
                    phase=kind.name,
                    label=label,
                    sigma=int(b.sigma[rows[0]]),
                    count=len(rows),
                    length=length,
                    share=length / total,
                    twin=bool(b.twin[rows[0]]),
                )
            )
    return sorted(shares, key=lambda s: (s.phase, -s.length, s.label))


def random_disorientation_density(angle: Floats, symmetry: Floats, other: Floats | None = None) -> Floats:
    """Probability density per radian of the disorientation angle of two random orientations (Mackenzie 1958).

    A random rotation has the angle w with density (2 / pi) sin^2(w / 2). One of the P operators S_j S_i makes each
    misorientation smallest, and all are equally likely, so the density is that times P times the share of axes at
    which a rotation by w is already the smallest (Morawiec 1995, J. Appl. Cryst. 28, 289). The share is counted over
    directions spread evenly on the sphere: no random numbers.

    Parameters
    ----------
    angle
        (k,) radians.
    symmetry, other
        (m, 4) proper rotations of the two crystals' Laue classes; `other` None for the same.
    """
    products = _products(symmetry, symmetry if other is None else other)
    farthest = np.sort(_farthest(products))
    half = np.asarray(angle, dtype=np.float64) / 2
    share = 1 - np.searchsorted(farthest, half, side="left") / len(farthest)
    return np.asarray(len(products) * (2 / np.pi) * np.sin(half) ** 2 * share)


def largest_disorientation(symmetry: Floats) -> float:
    """Largest angle in radians that two random orientations can differ by, to about 0.1 degrees."""
    return float(2 * _farthest(_products(symmetry, symmetry)).max())


def _farthest(products: Floats) -> Floats:
    """For directions spread evenly on the sphere, half the angle up to which a turn about them is the smallest.

    Turned by w about n, an operator with quaternion (s, v) makes it no smaller while |s cos(w/2) + v.n sin(w/2)| <=
    cos(w/2), that is, tan(w/2) <= (1 - s) / v.n, or (1 + s) / -v.n where v.n is negative; s is not negative.
    """
    golden = np.pi * (3 - np.sqrt(5))
    z = 1 - (2 * np.arange(_DIRECTIONS) + 1) / _DIRECTIONS
    turn = golden * np.arange(_DIRECTIONS)
    axes = np.column_stack([np.sqrt(1 - z * z) * np.cos(turn), np.sqrt(1 - z * z) * np.sin(turn), z])
    farthest = np.full(_DIRECTIONS, np.pi / 2)
    for operator in products[1:]:
        along = axes @ operator[1:]
        room = np.where(along >= 0, 1 - operator[0], 1 + operator[0])
        farthest = np.minimum(farthest, np.arctan2(room, np.abs(along)))
    return farthest


def _products(first: Floats, second: Floats) -> Floats:
    """All different products S_j S_i (p, 4), identity first."""
    every = multiply(second[:, None], first[None, :]).reshape(-1, 4)
    leading = np.take_along_axis(every, np.argmax(np.abs(every) > 1e-9, axis=1)[:, None], axis=1)
    every = np.where(leading < 0, -every, every)
    _, rows = np.unique(np.rint(every * 1e6), axis=0, return_index=True)
    unique = every[np.sort(rows)]
    return np.asarray(unique[np.argsort(-unique[:, 0], kind="stable")])


def _random_pairs(grain_map: GrainMap, grains: NDArray[np.int64], symmetry: Floats, seed: int) -> Floats:
    """Disorientations (n,), degrees, of pairs of different grains drawn by their area; empty if there is but one."""
    if len(grains) < 2:
        return np.zeros(0)
    rng = np.random.default_rng(seed)
    share = grain_map.grains.n_pixels[grains] / grain_map.grains.n_pixels[grains].sum()
    first, second = rng.choice(grains, (2, _RANDOM_PAIRS), p=share)
    different = first != second
    orientation = grain_map.grains.orientation
    angle = disorientations(orientation[first[different]], orientation[second[different]], symmetry).angle
    return np.asarray(np.rad2deg(angle))


def _density(values: Floats, edges: Floats, weights: Floats | None) -> Floats:
    """Histogram that integrates to 1; zeros where there is nothing."""
    counts, _ = np.histogram(values, edges, weights=weights)
    total = counts.sum()
    return np.asarray(counts / np.diff(edges) / total if total > 0 else np.zeros(len(edges) - 1))


def _checked(grain_map: GrainMap, phase: int) -> int:
    if not 0 <= phase < len(grain_map.source.phases):
        raise ArgumentError(f"expected a phase from 0 to {len(grain_map.source.phases) - 1}, got {phase}")
    return phase
