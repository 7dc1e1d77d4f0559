"""Bounds and symmetries of the net accumulation that hold for every bicrystal, boundary and field."""

from __future__ import annotations

import numpy as np
import pytest

from nbedex.blockade import accumulation_vector, boundary_flux, classify, conductivity_tensor
from nbedex.errors import ArgumentError
from oracles.bicrystals import BLOCKED, RATIO, Floats, around_z

N = 4000


def units(rng: np.random.Generator, n: int = N) -> Floats:
    v = rng.normal(size=(n, 3))
    return np.asarray(v / np.linalg.norm(v, axis=1, keepdims=True))


def rotations(rng: np.random.Generator, largest: Floats) -> Floats:
    """Random rotation matrices by at most the given angles, radians (Rodrigues)."""
    axis, angle = units(rng, len(largest)), largest * rng.uniform(0, 1, len(largest))
    x, y, z = axis.T
    zero = np.zeros_like(x)
    k = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    s, c = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    return np.eye(3) + s * k + (1 - c) * (k @ k)


def accumulated(a: Floats, b: Floats, m: Floats, e: Floats) -> Floats:
    tensors = [conductivity_tensor(n, 1.0, RATIO) for n in (a, b)]
    return boundary_flux(*tensors, m, e).accumulation


def apply(rotation: Floats, v: Floats) -> Floats:
    return np.asarray(np.einsum("kij,kj->ki", rotation, v))


@pytest.mark.parametrize("tilt_deg", [0.01, 1.0, 5.0, 20.0])
def test_small_tilts_move_the_accumulation_by_no_more_than_their_sine(tilt_deg: float) -> None:
    """n n^T and n' n'^T differ by sin(tilt) in operator norm, m by the tilt: |da| <= (1 - r)(sin A + sin B) + M."""
    rng = np.random.default_rng(1)
    a, b, m, e = units(rng), units(rng), units(rng), units(rng)
    largest = np.full(N, np.deg2rad(tilt_deg))
    turned = [apply(rotations(rng, largest), v) for v in (a, b, m)]
    before = accumulated(a, b, m, e)
    moved = [np.linalg.norm(np.cross(new, old), axis=1) for new, old in zip(turned[:2], (a, b), strict=True)]
    after = accumulated(turned[0], turned[1], m, e)
    assert (np.abs(after - before) <= BLOCKED * (moved[0] + moved[1]) + 1e-12).all()
    with_m = accumulated(*turned, e)
    chord = np.linalg.norm(turned[2] - m, axis=1)
    assert (np.abs(with_m - after) <= BLOCKED * chord + 1e-12).all()
    # and the bound is not idle: some tilts reach most of it
    assert (np.abs(after - before) / np.maximum(moved[0] + moved[1], 1e-9)).max() > 0.6


def test_no_field_and_no_boundary_can_pile_up_more_than_the_sine_of_the_angle_between_the_planes() -> None:
    """|a| <= (1 - r) sin psi, reached by the symmetric chevron in the plane of both normals."""
    rng = np.random.default_rng(2)
    a, b, m, e = units(rng), units(rng), units(rng), units(rng)
    sine = np.linalg.norm(np.cross(a, b), axis=1)
    assert (np.abs(accumulated(a, b, m, e)) <= BLOCKED * sine + 1e-12).all()
    inside = (np.einsum("ki,ki->k", a, b) >= 0)[:, None]
    b = np.where(inside, b, -b)
    middle = a + b
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    other = np.cross(np.cross(a, b), middle)
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    # m along the mean of the normals, E along their difference, which points from A's to B's
    np.testing.assert_allclose(accumulated(a, b, middle, other), BLOCKED * sine, atol=1e-12)


def test_reversed_field_swapped_grains_turned_sample() -> None:
    rng = np.random.default_rng(3)
    a, b, m, e = units(rng), units(rng), units(rng), units(rng)
    value, code = accumulated(a, b, m, e), classify(a, b, m, e).code
    np.testing.assert_allclose(accumulated(a, b, m, -e), -value, atol=1e-14)
    np.testing.assert_allclose(accumulated(b, a, -m, e), value, atol=1e-14)
    np.testing.assert_array_equal(classify(b, a, -m, e).code, code)
    r = around_z(71.0)
    np.testing.assert_allclose(accumulated(a @ r.T, b @ r.T, m @ r.T, e @ r.T), value, atol=1e-14)
    np.testing.assert_array_equal(classify(a @ r.T, b @ r.T, m @ r.T, e @ r.T).code, code)
    # what no symmetry asks for does change something
    assert np.abs(accumulated(b, a, m, e) - value).max() > 0.5
    assert (classify(a @ r.T, b @ r.T, m @ r.T, e).code != code).any()


def test_reversing_the_field_exchanges_iii_a2_and_iii_b2_and_keeps_types_i_and_ii() -> None:
    rng = np.random.default_rng(4)
    a, b, m, e = units(rng), units(rng), units(rng), units(rng)
    code, back = classify(a, b, m, e).code.astype(int), classify(a, b, m, -e).code.astype(int)
    third = code >= 9
    np.testing.assert_array_equal(back[~third], code[~third])
    np.testing.assert_array_equal(back[third], np.array([11, 12, 9, 10])[code[third] - 9])
    assert third.sum() > N / 3


def test_the_sign_of_what_piles_up_along_a_boundary_is_that_of_iii_a2_and_b2() -> None:
    rng = np.random.default_rng(6)
    a, b, m = units(rng), units(rng), units(rng)
    e = np.cross(m, units(rng))  # exactly along the boundary
    code, value = classify(a, b, m, e).code, accumulated(a, b, m, e)
    assert (value[code == 10] > 0).all() and (value[code == 12] < 0).all()
    assert min((code == 10).sum(), (code == 12).sum()) > 500


def test_the_vector_is_the_accumulation_for_every_field() -> None:
    rng = np.random.default_rng(7)
    a, b, m, e = units(rng), units(rng), units(rng), units(rng)
    ip, op = rng.uniform(0.5, 2, (2, N)), rng.uniform(0, 0.1, (2, N))
    sigma = [conductivity_tensor(n, ip[i], op[i]) for i, n in enumerate((a, b))]
    v = accumulation_vector(*sigma, m, reference=ip.max(axis=0))
    flux = boundary_flux(*sigma, m, 3.7 * e, reference=ip.max(axis=0))
    np.testing.assert_allclose(np.einsum("ki,ki->k", v, e), flux.accumulation, atol=1e-14)
    # an independent way: each grain's flux taken apart along and across its planes
    for n, sign, name, i in ((a, 1, "towards_from_a", 0), (b, -1, "towards_from_b", 1)):
        across = np.einsum("ki,ki->k", n, e)[:, None] * n
        j = ip[i][:, None] * (e - across) + op[i][:, None] * across
        np.testing.assert_allclose(getattr(flux, name), sign * np.einsum("ki,ki->k", j, m) / ip.max(axis=0), atol=1e-14)


def test_normals_must_be_unit_vectors() -> None:
    with pytest.raises(ArgumentError, match="must be unit vectors"):
        conductivity_tensor([1.0, 1.0, 0.0], 1.0, RATIO)
    with pytest.raises(ArgumentError, match=r"expected normals of shape \(\.\.\., 3\), got \(2,\)"):
        conductivity_tensor([1.0, 0.0], 1.0, RATIO)
    np.testing.assert_array_equal(conductivity_tensor(np.zeros(3), 2.0, 1.0), 2.0 * np.eye(3))
    np.testing.assert_array_equal(conductivity_tensor([0, 1, 0], 2.0, 0.5), np.diag([2.0, 0.5, 2.0]))
