"""Probability of classes, mean and spread of the accumulation, against brute force and theory."""

from __future__ import annotations

from dataclasses import replace
from math import erfc

import numpy as np
import pytest

from nbedex.blockade import (
    Alternatives,
    BlockadeSettings,
    Flag,
    Level,
    Tolerances,
    UniformField,
    alternatives_of,
    analyse_blockade,
    boundary_flux,
    class_label,
    classify,
    conductivity_tensor,
)
from nbedex.blockade.draws import make_draws, swapped
from nbedex.blockade.uncertainty import Pairs, confidence_of
from nbedex.errors import ArgumentError
from nbedex.grains import PooledRivals
from oracles.bicrystals import BLOCKED, RATIO, Floats, chevron, direction, plane
from oracles.planes_phantom import halves, network, orientation_of


def pairs(rows: list[tuple[Floats, Floats, Floats, Floats]], error_deg: float) -> Pairs:
    a, b, m, e = (np.array(column) for column in zip(*rows, strict=True))
    one = np.ones(len(a))
    return Pairs(
        normal_a=a, normal_b=b, in_plane_a=one, in_plane_b=one, out_of_plane_a=one * RATIO, out_of_plane_b=one * RATIO,
        error_a=one * np.deg2rad(error_deg), error_b=one * np.deg2rad(error_deg / 2), boundary=m, field=e,
    )  # fmt: skip


def brute_force(
    row: tuple[Floats, Floats, Floats, Floats], error_deg: float, settings: BlockadeSettings, n: int
) -> tuple:
    """Rotations drawn with a random generator, applied exactly (Rodrigues), one crystal after the other."""
    rng = np.random.default_rng(9)
    a, b, m, e = row

    def turned(vector: Floats, sigma_deg: float, axes: Floats) -> Floats:
        r = rng.normal(size=(n, axes.shape[0])) @ axes * np.deg2rad(sigma_deg)
        angle = np.linalg.norm(r, axis=1, keepdims=True)
        k = r / np.where(angle > 0, angle, 1)
        v = np.broadcast_to(vector, (n, 3))
        along = (k * v).sum(axis=1, keepdims=True)
        return v * np.cos(angle) + np.cross(k, v) * np.sin(angle) + k * along * (1 - np.cos(angle))

    z = np.array([[0.0, 0.0, 1.0]])
    t = np.cross(z, m)
    a, b = turned(a, error_deg, np.eye(3)), turned(b, error_deg / 2, np.eye(3))
    m = turned(m, settings.boundary_tilt_error_deg, t)
    angle = np.deg2rad(settings.normal_error_deg) * rng.normal(size=n)
    c, s = np.cos(angle), np.sin(angle)
    m = np.stack([c * m[:, 0] - s * m[:, 1], s * m[:, 0] + c * m[:, 1], m[:, 2]], axis=1)
    code = classify(a, b, m, e, settings.tolerances).code
    flux = boundary_flux(conductivity_tensor(a, 1.0, RATIO), conductivity_tensor(b, 1.0, RATIO), m, e).accumulation
    return np.bincount(code, minlength=13) / n, flux.mean(), flux.std(), (flux >= settings.blocks_at).mean()


CASES = {
    "chevron": (*chevron(40.0), direction(0.0), direction(80.0)),
    "near I": (plane(80.0), plane(99.0, 70.0), direction(0.0), direction(90.0)),
    "near II b": (plane(88.0), plane(22.0, 80.0), direction(10.0), direction(30.0)),
    "inclined": (plane(30.0, 40.0), plane(130.0, 60.0), direction(200.0), direction(160.0)),
    "oblique field": (*chevron(45.0), direction(0.0), direction(46.0)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("error", "tilt"), [(1.0, 0.0), (4.0, 6.0)])
def test_against_brute_force(name: str, error: float, tilt: float) -> None:
    settings = BlockadeSettings(boundary_tilt_error_deg=tilt, n_draws=4096)
    probability, mean, sigma, blocks = brute_force(CASES[name], error, settings, 40_000)
    found = confidence_of(pairs([CASES[name]], error), settings)
    np.testing.assert_allclose(found.probability[0], probability, atol=0.02)
    np.testing.assert_allclose(found.mean[0], mean, atol=0.003)
    np.testing.assert_allclose(found.sigma[0], sigma, rtol=0.04)
    np.testing.assert_allclose(found.blocks[0], blocks, atol=0.02)
    few = confidence_of(pairs([CASES[name]], error), BlockadeSettings(boundary_tilt_error_deg=tilt))
    np.testing.assert_allclose(few.probability[0], probability, atol=0.09)
    np.testing.assert_allclose(few.mean[0], mean, atol=0.005)
    np.testing.assert_allclose(few.sigma[0], sigma, rtol=0.08)


def test_without_errors_everything_is_certain() -> None:
    found = confidence_of(pairs(list(CASES.values()), 0.0), BlockadeSettings(normal_error_deg=0.0))
    np.testing.assert_allclose(found.probability.max(axis=1), 1.0)
    np.testing.assert_allclose(found.sigma, 0.0, atol=1e-12)


def test_sigma_of_a_chevron_is_what_its_slope_says() -> None:
    """a = sin(2 beta_A) / 2 + sin(2 beta_B) / 2 for E along the boundary: slope cos(2 beta) for each crystal's own turn
    about Z; with beta = 20 degrees cos 40. A boundary that turns by d changes both, in opposite senses: no slope."""
    sigma = 0.5
    row = (*chevron(20.0), direction(0.0), direction(90.0))
    found = confidence_of(pairs([row], sigma), BlockadeSettings(normal_error_deg=2.0, n_draws=1024))
    slope = np.cos(np.deg2rad(40.0))
    expected = BLOCKED * slope * np.deg2rad(np.hypot(sigma, sigma / 2))
    np.testing.assert_allclose(found.sigma[0], expected, rtol=0.02)


def test_draws_have_exact_moments_and_are_closed_under_swapping() -> None:
    for k in (128, 1024):
        draws = make_draws(k)
        table = np.concatenate([draws.turn_a, draws.turn_b, draws.direction[None], draws.tilt[None]]).T
        assert table.shape == (k, 8)
        np.testing.assert_allclose(table.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(table.T @ table / k, np.eye(8), atol=1e-9)

        def rows(values: Floats) -> Floats:
            rounded = np.round(values, 9) + 0.0
            return rounded[np.lexsort(rounded.T)]

        np.testing.assert_allclose(rows(swapped(table)), rows(table), atol=1e-8)
        np.testing.assert_allclose(rows(-table), rows(table), atol=1e-8)
    assert make_draws(4).turn_a.shape == (3, 4)
    assert np.isfinite(make_draws(4).turn_a).all()


def with_errors(net: object, error_deg: float) -> object:
    grains = net.grain_map.grains  # type: ignore[attr-defined]
    wide = replace(grains, orientation_error_deg=np.full(len(grains), error_deg))
    return replace(net, grain_map=replace(net.grain_map, grains=wide))  # type: ignore[attr-defined,type-var]


def test_undecided_when_no_class_is_probable_enough() -> None:
    net = network(halves(), np.array([plane(90.0), plane(70.5)]))  # parallel within 20 degrees, but hardly
    for error, verdict in ((0.1, "I a2"), (3.0, "undecided"), (15.0, "undecided")):
        result = analyse_blockade(
            with_errors(net, error), UniformField(90.0), settings=BlockadeSettings(normal_error_deg=0.2)
        )
        s = result.segments
        assert class_label(s.code[0]) == "I a2"
        assert class_label(s.verdict[0]) == verdict
        np.testing.assert_allclose(s.probability.sum(axis=1), 1.0)
        assert bool(s.flags[0] & Flag.NEAR_LIMIT) is (error > 1)
        assert not s.flags[0] & Flag.MIXED
    assert class_label(
        analyse_blockade(
            with_errors(net, 3.0), UniformField(90.0), settings=BlockadeSettings(normal_error_deg=0.2, decided_at=0.5)
        ).segments.verdict[0]
    ) in ("I a2", "III b2")


def test_a_grain_with_two_orientations_counts_with_both() -> None:
    """One orientation with 70 %, another with 30 %: a mixture of two certain cases."""
    a, b = plane(45.0), plane(135.0, 50.0)
    flipped = plane(20.0, 70.0)
    net = network(halves(), np.array([a, b]))
    settings = BlockadeSettings(normal_error_deg=0.0)
    single = analyse_blockade(with_errors(net, 0.0), UniformField(90.0), settings=settings)
    other = analyse_blockade(
        with_errors(network(halves(), np.array([a, flipped])), 0.0), UniformField(90.0), settings=settings
    )
    both = analyse_blockade(
        with_errors(net, 0.0), UniformField(90.0), settings=settings,
        alternatives=Alternatives(grain=np.array([1]), normal=flipped[None], share=np.array([0.3])),
    )  # fmt: skip
    one, two, s = single.segments, other.segments, both.segments
    assert s.code[0] == one.code[0]
    np.testing.assert_allclose(s.accumulation, one.accumulation)
    np.testing.assert_allclose(s.probability, 0.7 * one.probability + 0.3 * two.probability, atol=1e-12)
    mean = 0.7 * one.accumulation + 0.3 * two.accumulation
    np.testing.assert_allclose(s.accumulation_mean, mean, atol=1e-12)
    np.testing.assert_allclose(
        s.accumulation_sigma, np.sqrt(0.21) * np.abs(one.accumulation - two.accumulation), atol=1e-9
    )
    assert s.flags[0] & Flag.AMBIGUOUS_GRAIN and not one.flags[0] & Flag.AMBIGUOUS_GRAIN


def test_half_a_turn_about_the_beam_can_change_the_class_but_not_the_accumulation() -> None:
    """A zone-axis pattern leaves n and (-n_x, -n_y, n_z): a depends on (n.m)(n.E), psi on n_z too."""
    a, b = plane(30.0, 60.0), plane(40.0, 50.0)
    turned = b * [-1, -1, 1]
    one, two = (analyse_blockade(network(halves(), np.array([a, n])), UniformField(70.0)).segments for n in (b, turned))
    np.testing.assert_allclose(one.accumulation, two.accumulation, atol=1e-12)
    np.testing.assert_allclose(one.transmission, two.transmission, atol=1e-12)
    # by hand, E along Y: (n.X)(n.Y) = -sin(theta) cos(theta) sin(alpha)^2 is -0.325 for A and -0.289 for B
    assert (class_label(one.code[0]), class_label(two.code[0])) == ("I b2", "III a2")


def test_two_ambiguous_grains_make_four_pairs() -> None:
    a, b = plane(45.0, 60.0), plane(135.0, 50.0)
    net = with_errors(network(halves(), np.array([a, b])), 2.0)
    others = {0: [(plane(10.0), 0.2), (plane(80.0), 0.1)], 1: [(plane(0.0, 20.0), 0.4)]}
    flat = [(grain, n, share) for grain, rows in others.items() for n, share in rows]
    grain, normal, share = (np.array(column) for column in zip(*flat[::-1], strict=True))
    both = analyse_blockade(
        net, UniformField(70.0), alternatives=Alternatives(grain=grain, normal=normal, share=share)
    ).segments  # fmt: skip
    expected = np.zeros(13)
    for n_a, w_a in [(a, 0.7), *others[0]]:
        for n_b, w_b in [(b, 0.6), *others[1]]:
            pair = with_errors(network(halves(), np.array([n_a, n_b])), 2.0)
            expected += w_a * w_b * analyse_blockade(pair, UniformField(70.0)).segments.probability[0]
    np.testing.assert_allclose(both.probability[0], expected, atol=1e-9)
    with pytest.raises(ArgumentError, match="must be positive and sum to at most 1"):
        Alternatives(grain=np.array([0, 0]), normal=np.zeros((2, 3)), share=np.array([0.6, 0.6]))


def test_tolerances_and_levels_are_options() -> None:
    net = network(halves(), np.array(chevron(12.0)))
    assert class_label(analyse_blockade(net, UniformField(90.0)).segments.code[0]) == "III a2"
    wide = BlockadeSettings(tolerances=Tolerances(parallel_deg=25.0))
    assert class_label(analyse_blockade(net, UniformField(90.0), settings=wide).segments.code[0]) == "I a2"
    a = BLOCKED * np.sin(np.deg2rad(24.0))
    for blocks, partly, level in (
        (0.5, 0.2, Level.PARTLY_BLOCKS),
        (0.4, 0.2, Level.BLOCKS),
        (0.9, 0.5, Level.BALANCED),
    ):
        found = analyse_blockade(
            net, UniformField(90.0), settings=BlockadeSettings(blocks_at=blocks, partly_at=partly)
        ).segments
        np.testing.assert_allclose(found.accumulation, a, atol=1e-9)
        assert found.level[0] == level
    assert analyse_blockade(net, UniformField(270.0)).segments.level[0] == Level.PARTLY_DEPLETED


def rivals(**columns: object) -> PooledRivals:
    n = len(columns["margin_percent"])  # type: ignore[arg-type]
    nan = np.full(n, np.nan)
    values = {"score": np.full(n, 0.2), "rival_score": np.full(n, 0.19), "rival_probability": nan, **columns}
    return PooledRivals(**values)  # type: ignore[arg-type]


def test_rivals_of_grains_become_alternatives() -> None:
    """Region 0: ambiguous, its own solution ahead; 1: clear; 2: another solution won; 3: the rival has no planes."""
    labels = np.repeat(np.arange(4), 8)[None] * np.ones((20, 1), dtype=int)
    ours = np.array([plane(30.0, 50.0), plane(80.0), plane(120.0, 70.0), plane(10.0)])
    other = np.array([plane(30.0, 130.0), plane(0.0), plane(140.0, 40.0), plane(50.0)])
    net = network(labels, ours)
    quaternion, rival = (np.array([orientation_of(n) for n in normals]) for normals in (ours, other))
    agrees = np.array([True, True, False, True])
    found = alternatives_of(
        net.grain_map,
        rivals(
            phase_id=np.zeros(4, dtype=np.int16),
            orientation=np.where(agrees[:, None], quaternion, rival),
            rival_phase_id=np.array([0, 0, 0, 1], dtype=np.int16),
            rival_orientation=np.where(agrees[:, None], rival, quaternion),
            margin_percent=np.array([0.5, 20.0, 2.0, 0.1]),
            significance=np.array([1.0, 40.0, 2.0, 0.1]),
            ambiguous=np.array([True, False, True, True]),
            agrees=agrees,
        ),
    )
    np.testing.assert_array_equal(found.grain, [0, 2])
    np.testing.assert_allclose(np.abs(np.einsum("ki,ki->k", found.normal, other[[0, 2]])), 1.0)
    # 0.5 % ahead with an error of 0.5 % and 1 % systematic; 2 % with 1 % and 1 %
    z = np.array([0.5 / np.hypot(1.0, 0.5), 2.0 / np.hypot(1.0, 1.0)])
    below = np.array([0.5 * erfc(value / np.sqrt(2)) for value in z])
    np.testing.assert_allclose(found.share, [below[0], 1 - below[1]])
    result = analyse_blockade(net, UniformField(20.0), alternatives=found).segments
    flagged = (result.flags & Flag.AMBIGUOUS_GRAIN) != 0
    np.testing.assert_array_equal(flagged, [True, True, True])
    clear = analyse_blockade(net, UniformField(20.0)).segments
    assert (result.accumulation_sigma[1:] > 2 * clear.accumulation_sigma[1:]).all() and not (clear.flags & 16).any()
    # half a turn about the beam (region 0) changes the planes' inclination, but nothing that a depends on
    np.testing.assert_allclose(result.accumulation_sigma[0], clear.accumulation_sigma[0], rtol=0.01)
