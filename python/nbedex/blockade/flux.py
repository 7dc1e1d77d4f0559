"""What a field drives towards a boundary from both sides, and what can cross it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class BoundaryFlux:
    """Fluxes in units of the reference conductivity times |E|.

    Attributes
    ----------
    towards_from_a, towards_from_b
        (...) q_A = j_A . m and q_B = -j_B . m: what each side drives towards the boundary.
    accumulation
        (...) a = q_A + q_B. Positive: sodium piles up; negative: the boundary is depleted.
    transmission
        (...) what both sides can carry across: the lesser of the two fluxes through it, 0 if they have opposite signs.
    """

    towards_from_a: Floats
    towards_from_b: Floats
    accumulation: Floats
    transmission: Floats


def boundary_flux(
    sigma_a: ArrayLike, sigma_b: ArrayLike, normal: ArrayLike, field: ArrayLike, *, reference: ArrayLike = 1.0
) -> BoundaryFlux:
    """Net accumulation and transmission of a boundary, for conductivity tensors of any kind (science.md section 5).

    Parameters
    ----------
    sigma_a, sigma_b
        (..., 3, 3) conductivity tensors of the two sides, sample frame.
    normal
        (..., 3) unit normal m of the boundary, from A to B.
    field
        (..., 3) electric field; its magnitude does not matter. Without a field all is NaN.
    reference
        (...) conductivity that fluxes are counted in: sigma_ip, the largest principal conductivity of the two sides.

    Returns
    -------
    flux
        All of shape (...).
    """
    m, e = np.asarray(normal, dtype=np.float64), unit(field)
    scale = np.asarray(reference, dtype=np.float64)
    through_a = np.einsum("...i,...ij,...j->...", m, np.asarray(sigma_a, dtype=np.float64), e) / scale
    through_b = np.einsum("...i,...ij,...j->...", m, np.asarray(sigma_b, dtype=np.float64), e) / scale
    return BoundaryFlux(
        towards_from_a=through_a,
        towards_from_b=-through_b,
        accumulation=through_a - through_b,
        transmission=transmission(through_a, through_b),
    )


def transmission(through_a: Floats, through_b: Floats) -> Floats:
    """The lesser of two fluxes along m, 0 where they run against one another."""
    return np.where(through_a * through_b > 0, np.minimum(np.abs(through_a), np.abs(through_b)), 0.0 * through_a)


def accumulation_vector(sigma_a: ArrayLike, sigma_b: ArrayLike, normal: ArrayLike, *, reference: ArrayLike) -> Floats:
    """v = (sigma_A - sigma_B) m / reference, of shape (..., 3): a = v . E / |E| for every field.

    The accumulation is linear in the field's direction, so v says all about a boundary: where it points is the field
    that piles up most, its length is how much.
    """
    difference = np.asarray(sigma_a, dtype=np.float64) - np.asarray(sigma_b, dtype=np.float64)
    v = np.einsum("...ij,...j->...i", difference, np.asarray(normal, dtype=np.float64))
    return np.asarray(v / np.asarray(reference, dtype=np.float64)[..., None])


def unit(vectors: ArrayLike) -> Floats:
    """(..., 3) vectors made unit ones; NaN where there is no direction."""
    v = np.asarray(vectors, dtype=np.float64)
    length = np.linalg.norm(v, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(length > 0, v / length, np.nan))
