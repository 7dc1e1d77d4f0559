"""What if: other field directions, conductivities, boundaries, textures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade import boundary_flux
from nbedex.errors import ArgumentError
from nbedex.progress import Progress, silent
from nbedex.transport.boundaries import BoundaryCurrents, boundary_currents
from nbedex.transport.conductivity import planar_rows, plane_tensor
from nbedex.transport.effective import EffectiveConductivity, effective_conductivity
from nbedex.transport.settings import TransportSettings
from nbedex.transport.solve import grain_boundaries, solve_once
from nbedex.transport.structure import Problem, Structure

Floats = NDArray[np.float64]

BLOCKS_AT = 0.5  # accumulation from which a boundary counts as blocking


@dataclass(frozen=True, kw_only=True, eq=False)
class Sweep:
    """One row per value.

    Attributes
    ----------
    what
        "anisotropy", "boundary-ratio", "boundary-path", "texture" or "direction".
    value
        (k,) what was set: a ratio, a share of the way to perfect texture, degrees.
    resistance
        (k,) ohm between two electrodes, without extrapolation; NaN with more, and for directions.
    along_x, along_y
        (k,) effective conductivities, S/m; for directions, `along_x` is that along the direction.
    blocking_share
        (k,) share of boundary length whose accumulation in the local field exceeds 0.5.
    accumulation
        (k,) mean magnitude of the accumulation, weighted by length.
    """

    what: str
    value: Floats
    resistance: Floats
    along_x: Floats
    along_y: Floats
    blocking_share: Floats
    accumulation: Floats


def sweep(
    problem: Problem,
    what: str,
    values: Sequence[float],
    settings: TransportSettings | None = None,
    *,
    target: Sequence[float] = (0.0, 0.0, 1.0),
    progress: Progress = silent,
) -> Sweep:
    """Solve again for each value of one property.

    Parameters
    ----------
    problem
        What is varied. The rest stays.
    what
        "anisotropy": conductivity along over across the planes. "boundary-ratio": conductivity along planes over that
        of boundaries. "boundary-path": conductivity along boundaries over that along planes. "texture": all grains
        turned towards one plane, 0 for as they are, 1 for all alike. "direction": the mean field's direction, degrees
        from X to Y, with a linear potential on the whole outer edge.
    values
        Of it.
    settings
        Model and solver; no refinement pairs are solved.
    target
        Normal of the plane that "texture" turns to, sample frame.
    progress
        Called after each value.
    """
    settings = settings or TransportSettings()
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not len(numbers) or not np.isfinite(numbers).all():
        raise ArgumentError(f"expected finite values to go through, got {values!r}")
    if what == "direction":
        return _directions(problem.structure, numbers, settings)
    change = _change(what, settings, target)
    rows = []
    for number in numbers.tolist():
        changed = replace(problem, structure=change(problem.structure, number))
        changed.structure.check()
        solution = solve_once(changed.refined(settings.refine), settings)
        effective = effective_conductivity(changed.structure, settings)
        share, mean = _blocking(boundary_currents(solution))
        resistance = np.nan if solution.resistance is None else solution.resistance
        rows.append((resistance, effective.tensor[0, 0], effective.tensor[1, 1], share, mean))
        progress(what, len(rows), len(numbers))
    columns = np.array(rows).T
    return Sweep(
        what=what,
        value=numbers,
        resistance=columns[0],
        along_x=columns[1],
        along_y=columns[2],
        blocking_share=columns[3],
        accumulation=columns[4],
    )


def _change(what: str, settings: TransportSettings, target: Sequence[float]) -> Callable[[Structure, float], Structure]:
    width = settings.boundary_width
    if what == "anisotropy":
        return with_anisotropy
    if what == "boundary-ratio":
        return lambda structure, ratio: replace(
            structure, boundary_resistance=width * 1e-9 * ratio / settings.in_plane, pair_resistance={}
        )
    if what == "boundary-path":
        return lambda structure, ratio: replace(structure, boundary_path=ratio * settings.in_plane * width)
    if what == "texture":
        return lambda structure, share: with_texture(structure, share, target)
    raise ArgumentError(
        f"expected anisotropy, boundary-ratio, boundary-path, texture or direction to vary, got {what!r}"
    )


def with_anisotropy(structure: Structure, ratio: float) -> Structure:
    """The same with another ratio of conductivities along and across planes; those along stay."""
    if ratio <= 0:
        raise ArgumentError(f"the anisotropy must be positive, got {ratio:g}")
    planar = planar_rows(structure.normal)
    return replace(structure, out_of_plane=np.where(planar, structure.in_plane / ratio, structure.out_of_plane))


def with_texture(structure: Structure, share: float, target: Sequence[float]) -> Structure:
    """All conduction planes turned towards one, each by `share` of its own angle to it, the short way."""
    if not 0 <= share <= 1:
        raise ArgumentError(f"texture is a share of the way from 0 to 1, got {share:g}")
    end = np.asarray(target, dtype=np.float64)
    if end.shape != (3,) or not np.isfinite(end).all() or np.linalg.norm(end) == 0:
        raise ArgumentError(f"expected three numbers as the normal that grains turn to, got {tuple(target)!r}")
    end = end / np.linalg.norm(end)
    cosine = structure.normal @ end
    start = np.where(cosine[:, None] < 0, -structure.normal, structure.normal)  # a plane's normal has no sign
    angle = np.arccos(np.clip(np.abs(cosine), 0.0, 1.0))[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        turned = (np.sin((1 - share) * angle) * start + np.sin(share * angle) * end) / np.sin(angle)
    turned = np.where(angle < 1e-9, start, turned)
    return replace(structure, normal=turned / np.linalg.norm(turned, axis=1, keepdims=True))


def _blocking(of: BoundaryCurrents) -> tuple[float, float]:
    known = np.isfinite(of.accumulation)
    length = of.length[known]
    if not len(length):
        return 0.0, 0.0
    size = of.accumulation[known]
    share = float((length * (size > BLOCKS_AT)).sum() / length.sum())
    return share, float((length * np.abs(size)).sum() / length.sum())


def _directions(structure: Structure, degrees: Floats, settings: TransportSettings) -> Sweep:
    """All directions from two solutions, since the field is linear in the mean field."""
    effective = effective_conductivity(structure, settings)
    structure = structure.refined(settings.refine)
    fluxes = [_in_direction(structure, effective, degree) for degree in degrees.tolist()]
    blank = np.full(len(degrees), np.nan)
    return Sweep(
        what="direction",
        value=degrees,
        resistance=blank,
        along_x=np.array([effective.along(degree) for degree in degrees.tolist()]),
        along_y=blank,
        blocking_share=np.array([flux[0] for flux in fluxes]),
        accumulation=np.array([flux[1] for flux in fluxes]),
    )


def _in_direction(structure: Structure, effective: EffectiveConductivity, degree: float) -> tuple[float, float]:
    angle = np.radians(degree)
    field = np.cos(angle) * effective.field[0] + np.sin(angle) * effective.field[1]
    known = np.isfinite(field[..., 0])
    faces = grain_boundaries(structure, known, straight=True)
    if not len(faces):
        return 0.0, 0.0
    row, column = faces.row + ~faces.vertical, faces.column + faces.vertical
    beside = 0.5 * (field[faces.row, faces.column] + field[row, column])
    pairs, group = np.unique(np.stack([faces.low, faces.high], axis=1), axis=0, return_inverse=True)
    length = np.bincount(group.ravel(), faces.length)

    def mean(values: Floats) -> Floats:
        parts = [np.bincount(group.ravel(), faces.length * column) / length for column in values.T]
        return np.stack([*parts, np.zeros(len(length))], axis=1)

    normal = mean(faces.normal)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
    tensor = plane_tensor(structure.normal, structure.in_plane, structure.out_of_plane)
    low, high = pairs.T
    reference = np.fmax(structure.in_plane[low], structure.in_plane[high])
    flux = boundary_flux(tensor[low], tensor[high], normal, mean(beside), reference=reference).accumulation
    share = length / length.sum()
    return float(share[np.nan_to_num(flux) > BLOCKS_AT].sum()), float((share * np.abs(np.nan_to_num(flux))).sum())
