"""How far orientation errors move the current: everything solved again with orientations drawn within their spread."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.progress import Progress, silent
from nbedex.transport.boundaries import boundary_currents
from nbedex.transport.settings import TransportSettings
from nbedex.transport.solve import solve_once
from nbedex.transport.structure import Problem

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class OrientationSpread:
    """What draws of the orientations gave.

    Attributes
    ----------
    resistance
        (k,) ohm, of each draw, without extrapolation; NaN with more than two electrodes.
    electrode_current
        (k, n) A.
    magnitude_mean, magnitude_sigma
        (ny, nx) A/m^2, of the magnitude of the current density in each cell.
    low, high
        (b,) the boundaries, as in `BoundaryCurrents`.
    flux_mean, flux_sigma
        (b,) A/m^2 across each.
    accumulation_mean, accumulation_sigma
        (b,) with each draw's own local field.
    class_share
        (b, 13) share of the draws with each `BoundaryClass`.
    """

    resistance: Floats
    electrode_current: Floats
    magnitude_mean: Floats
    magnitude_sigma: Floats
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    flux_mean: Floats
    flux_sigma: Floats
    accumulation_mean: Floats
    accumulation_sigma: Floats
    class_share: Floats


def sample_orientations(
    problem: Problem,
    error_deg: Floats,
    settings: TransportSettings | None = None,
    *,
    draws: int = 16,
    seed: int = 0,
    progress: Progress = silent,
) -> OrientationSpread:
    """Solve with randomly turned grains.

    Parameters
    ----------
    problem
        What was solved.
    error_deg
        (n,) one sigma of each region's orientation about each axis, degrees; NaN counts as 0.
    settings
        Model and solver. No refinement pairs are solved.
    draws
        How many, 2 to 10,000. Draw k is the same however many there are.
    seed
        Of the random numbers; the same seed gives the same answer.
    progress
        Called after each draw.
    """
    if not 2 <= draws <= 10_000:
        raise ArgumentError(f"expected 2 to 10,000 draws of the orientations, got {draws}")
    settings = settings or TransportSettings()
    structure = problem.structure
    error = np.zeros(len(structure.in_plane))
    error[: len(error_deg)] = np.nan_to_num(np.asarray(error_deg, dtype=np.float64)[: len(error)])
    if (error < 0).any():
        raise ArgumentError(f"errors of orientations must not be negative, got {error.min():g} degrees")
    resistance, current = [], []
    magnitude, flux, pile = _Moments(), _Moments(), _Moments()
    shares: Floats | float = 0.0
    for draw in range(draws):
        random = np.random.default_rng([seed, draw])
        turned = replace(structure, normal=turn_normals(structure.normal, np.radians(error), random))
        solution = solve_once(replace(problem, structure=turned).refined(settings.refine), settings)
        of = boundary_currents(solution)
        resistance.append(np.nan if solution.resistance is None else solution.resistance)
        current.append(solution.electrode_current)
        magnitude.add(solution.magnitude)
        flux.add(of.flux_across)
        pile.add(of.accumulation)
        shares = shares + (of.code[:, None] == np.arange(13))
        progress("orientations", draw + 1, draws)
    return OrientationSpread(
        resistance=np.array(resistance),
        electrode_current=np.array(current),
        magnitude_mean=magnitude.mean,
        magnitude_sigma=magnitude.sigma,
        low=of.low,
        high=of.high,
        flux_mean=flux.mean,
        flux_sigma=flux.sigma,
        accumulation_mean=pile.mean,
        accumulation_sigma=pile.sigma,
        class_share=np.asarray(shares, dtype=np.float64) / draws,
    )


def turn_normals(normal: Floats, error: Floats, random: np.random.Generator) -> Floats:
    """Unit normals (n, 3) after small random rotations, one sigma of `error` (n,) radians about each axis."""
    turn = random.standard_normal(normal.shape) * error[:, None]
    angle = np.linalg.norm(turn, axis=1, keepdims=True)
    axis = turn / np.where(angle > 0, angle, 1.0)
    along = np.einsum("nk,nk->n", axis, normal)[:, None]
    turned = normal * np.cos(angle) + np.cross(axis, normal) * np.sin(angle) + axis * along * (1 - np.cos(angle))
    return np.asarray(turned / np.linalg.norm(turned, axis=1, keepdims=True))


class _Moments:
    """Mean and standard deviation as values come (Welford)."""

    def __init__(self) -> None:
        self._count = 0
        self.mean: Floats = np.zeros(())
        self._square: Floats = np.zeros(())

    def add(self, values: Floats) -> None:
        self._count += 1
        step = values - self.mean
        self.mean = self.mean + step / self._count
        self._square = self._square + step * (values - self.mean)

    @property
    def sigma(self) -> Floats:
        return np.asarray(np.sqrt(self._square / (self._count - 1)))
