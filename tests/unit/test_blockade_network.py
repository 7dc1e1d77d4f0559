"""The analysis of boundary networks: whole chain from labelled maps, curved boundaries, phases out of the scheme."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from nbedex.blockade import (
    Blockade,
    BlockadeSettings,
    BoundaryClass,
    FieldMap,
    Flag,
    Level,
    Medium,
    UniformField,
    analyse_blockade,
    class_label,
)
from nbedex.boundaries import BoundaryNetwork
from nbedex.errors import ArgumentError
from nbedex.grains import Role
from oracles.bicrystals import BICRYSTALS, BLOCKED, RATIO, Bicrystal, M, around_z, chevron, direction, plane
from oracles.planes_phantom import disc, halves, network, voronoi

SURE = BlockadeSettings(normal_error_deg=0.0)


def angle_of(vector: np.ndarray) -> float:
    return float(np.rad2deg(np.arctan2(vector[1], vector[0])))


@pytest.mark.parametrize("case", BICRYSTALS, ids=lambda case: f"{case.label} {case.accumulation:+.2f}")
@pytest.mark.parametrize("mirrored", [False, True], ids=["A left", "A right"])
def test_every_class_through_the_whole_chain(case: Bicrystal, mirrored: bool) -> None:
    """From pixels with orientations: a map of two halves, and the same by 180 degrees, where A comes second."""
    normals = np.array([case.a, case.b])
    labels, field = halves(), case.field
    if mirrored:  # turned about Z: the grain that was on the left has the higher number now
        labels, field = labels[::-1, ::-1], -case.field
        normals = normals * [-1, -1, 1]
    result = analyse_blockade(network(labels, normals), UniformField(angle_of(field)), settings=SURE)
    segments = result.segments
    assert len(segments) == 1
    assert class_label(segments.code[0]) == case.label
    np.testing.assert_allclose(segments.accumulation, case.accumulation, atol=1e-9)
    np.testing.assert_allclose(segments.transmission, case.transmission, atol=1e-9)
    assert segments.level[0] == {1: Level.BLOCKS, -1: Level.DEPLETED, 0: Level.BALANCED}[round(case.accumulation)]
    assert segments.code_traces[0] == segments.code[0]
    np.testing.assert_allclose(segments.blocking_length, 48.0 if case.accumulation > 0.5 else 0.0, atol=1e-6)


def test_along_a_circle_every_place_has_its_own_class_and_nothing_piles_up_on_the_whole() -> None:
    """a = E . (sigma_A - sigma_B) m, and the normals of a closed curve sum to nothing."""
    a, b = plane(90.0), plane(90.0, 30.0)  # planes on edge running down, and planes inclined by 30 degrees around it
    result = analyse_blockade(network(disc(), np.array([a, b])), UniformField(0.0), settings=SURE)
    s = result.stretches
    assert len(s) >= 36 and set(s.segment) == {0}
    np.testing.assert_allclose(s.length.sum(), 2 * np.pi * 25 * 2.0, rtol=0.01)
    phi = np.arctan2(*(s.middle - 80.0).T[::-1])  # the middle of pixel (40, 40) is at (80, 80) nm
    inward = -np.stack([np.cos(phi), np.sin(phi)], axis=1)  # the disc is grain 1
    np.testing.assert_allclose(np.einsum("ki,ki->k", s.normal[:, :2], inward), 1.0, atol=0.02)
    # with E along X: j_A = RATIO X, j_B = (I - (1 - RATIO) n n^T) X, n = (sin 30, 0, cos 30) up to sign
    through = -np.cos(phi)
    expected = (RATIO - (1 - BLOCKED * 0.25)) * through
    np.testing.assert_allclose(result.along.accumulation, expected, atol=0.02)
    np.testing.assert_allclose(result.segments.accumulation, 0.0, atol=2e-3)
    np.testing.assert_allclose(result.segments.highest, BLOCKED * 0.75, atol=0.01)
    np.testing.assert_allclose(result.segments.lowest, -BLOCKED * 0.75, atol=0.01)
    # a >= 1/2 where |cos| >= 2/3: on one of the two sides
    share = np.arccos(0.5 / (BLOCKED * 0.75)) / np.pi
    np.testing.assert_allclose(result.segments.blocking_length / s.length.sum(), share, atol=0.03)
    assert result.segments.flags[0] & Flag.MIXED
    assert class_label(result.segments.verdict[0]) == "mixed"
    assert result.segments.code_share[0] < 0.7


def test_stretches_follow_the_curve_as_finely_as_asked() -> None:
    net = network(disc(), np.array([plane(90.0), plane(10.0)]))
    fine = analyse_blockade(net, UniformField(30.0), settings=BlockadeSettings(max_turn_deg=0.001, n_draws=4))
    coarse = analyse_blockade(net, UniformField(30.0), settings=BlockadeSettings(max_turn_deg=20, n_draws=4))
    assert len(fine.stretches) == len(net.boundaries.points[0]) - 1
    assert len(coarse.stretches) < 30
    np.testing.assert_allclose(coarse.segments.vector, fine.segments.vector, atol=3e-3)
    np.testing.assert_allclose(coarse.segments.blocking_length, fine.segments.blocking_length, rtol=0.15)
    for result in (fine, coarse):  # they cover the polyline without a gap
        s = result.stretches
        np.testing.assert_array_equal(s.first[1:], s.last[:-1])
        np.testing.assert_allclose(s.length.sum(), net.boundaries.length.sum(), rtol=1e-12)


def three_media(phase_left: int, phase_right: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([plane(0.0), plane(90.0)]), np.array([phase_left, phase_right])


@pytest.mark.parametrize(
    ("left", "right", "accumulation", "transmission", "media"),
    [
        # beta-alumina with its planes along the field on the left, the other on the right
        (0, 1, 0.0, 1.0, (Medium.PLANES, Medium.ISOTROPIC)),  # NZSP takes over what comes
        (0, 2, 1.0, np.nan, (Medium.PLANES, Medium.ELECTRODE)),  # all is deposited
        (0, 3, 1.0, 0.0, (Medium.PLANES, Medium.INSULATOR)),  # all piles up
        (2, 1, -1.0, np.nan, (Medium.ELECTRODE, Medium.ISOTROPIC)),  # all is stripped
        (1, 1, 0.0, 1.0, (Medium.ISOTROPIC, Medium.ISOTROPIC)),
        (2, 3, np.nan, np.nan, (Medium.ELECTRODE, Medium.INSULATOR)),  # nothing conducts
        (0, -1, np.nan, np.nan, (Medium.PLANES, Medium.UNKNOWN)),
    ],
    ids=["nzsp", "au", "zro2", "au|nzsp", "nzsp|nzsp", "au|zro2", "not indexed"],
)
def test_phases_without_planes_are_not_forced_into_the_scheme(
    left: int, right: int, accumulation: float, transmission: float, media: tuple[Medium, Medium]
) -> None:
    normals, phase = three_media(left, right)
    net = network(halves(), normals, phase=phase)
    result = analyse_blockade(net, UniformField(0.0))
    assert tuple(result.media.medium) == media
    s = result.segments
    assert class_label(s.code[0]) == class_label(s.code_traces[0]) == class_label(s.verdict[0]) == "not in the scheme"
    np.testing.assert_allclose(s.accumulation, accumulation, atol=1e-12)
    np.testing.assert_allclose(s.transmission, transmission, atol=1e-12)
    np.testing.assert_array_equal(s.probability[0], np.eye(13)[0])
    assert bool(s.flags[0] & Flag.ELECTRODE) is (Medium.ELECTRODE in media)
    assert bool(s.flags[0] & Flag.INSULATOR) is (Medium.INSULATOR in media)
    assert s.level[0] == (Level.UNDEFINED if np.isnan(accumulation) else 2 * int(accumulation))


def test_a_hole_is_an_insulator_but_a_place_not_indexed_is_unknown() -> None:
    normals, phase = three_media(0, -1)
    net = network(halves(), normals, phase=phase)
    grains = net.grain_map.grains
    assert list(grains.role) == [Role.GRAIN, Role.NOT_INDEXED]
    role = np.array([Role.GRAIN, Role.HOLE], dtype=np.int8)
    holed = replace(net, grain_map=replace(net.grain_map, grains=replace(grains, role=role)))
    result = analyse_blockade(holed, UniformField(0.0))
    assert list(result.media.medium) == [Medium.PLANES, Medium.INSULATOR]
    np.testing.assert_allclose((result.segments.accumulation[0], result.segments.transmission[0]), (1.0, 0.0))
    assert result.segments.flags[0] & Flag.INSULATOR


def test_conductivities_of_single_phases() -> None:
    normals, phase = three_media(0, 1)
    settings = BlockadeSettings(phase_conductivity={"nzsp": (0.25, 0.25), "beta2-alumina": (0.5, 0.0005)})
    result = analyse_blockade(network(halves(), normals, phase=phase), UniformField(0.0), settings=settings)
    # 0.5 comes, 0.25 goes on; in units of the larger conductivity
    np.testing.assert_allclose(result.segments.accumulation, 0.5, atol=1e-12)
    np.testing.assert_allclose(result.segments.transmission, 0.5, atol=1e-12)
    with pytest.raises(
        ArgumentError, match=r"phase_conductivity names nasicon; the map's phases are beta2-alumina, nz"
    ):
        analyse_blockade(
            network(halves(), normals),
            UniformField(0.0),
            settings=BlockadeSettings(phase_conductivity={"nasicon": (1.0, 1.0)}),
        )
    with pytest.raises(ArgumentError, match="nzsp has no conduction planes, so its two conductivities must be equal"):
        analyse_blockade(
            network(halves(), normals),
            UniformField(0.0),
            settings=BlockadeSettings(phase_conductivity={"nzsp": (1.0, 0.1)}),
        )


def random_network(n: int = 25, seed: int = 3) -> BoundaryNetwork:
    rng = np.random.default_rng(seed)
    normals = rng.normal(size=(n, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return network(voronoi((70, 90), n, seed), normals)


def numbers(result: Blockade) -> list[np.ndarray]:
    """All that must not depend on how the map lies or how grains are numbered."""
    s, names = result.segments, ("vector", "code_traces", "code")
    each = [getattr(s, f.name) for f in fields(s) if f.name not in names]
    return [*each, np.hypot(*s.vector[:, :2].T), result.along.accumulation_sigma]


def test_turning_the_whole_map_changes_nothing_but_directions() -> None:
    net = random_network()
    before = analyse_blockade(net, UniformField(25.0))
    r = around_z(37.0)
    grains = replace(net.grain_map.grains, conduction_normal=net.grain_map.grains.conduction_normal @ r.T)
    boundaries = replace(
        net.boundaries,
        points=tuple(points @ r[:2, :2].T for points in net.boundaries.points),
        normal=net.boundaries.normal @ r.T,
    )
    turned = replace(net, grain_map=replace(net.grain_map, grains=grains), boundaries=boundaries)
    after = analyse_blockade(turned, UniformField(62.0))
    np.testing.assert_array_equal(after.segments.code, before.segments.code)
    np.testing.assert_array_equal(after.segments.code_traces, before.segments.code_traces)
    for now, then in zip(numbers(after), numbers(before), strict=True):
        np.testing.assert_allclose(now, then, atol=1e-9)
    np.testing.assert_allclose(after.segments.vector, before.segments.vector @ r.T, atol=1e-9)
    assert len(np.unique(before.segments.code)) > 5


def test_swapping_all_grains_changes_nothing() -> None:
    net = random_network()
    b = net.boundaries
    swapped = replace(
        b, grain_a=b.grain_b, grain_b=b.grain_a, normal=-b.normal, points=tuple(points[::-1] for points in b.points)
    )
    before = analyse_blockade(net, UniformField(25.0), settings=BlockadeSettings(boundary_tilt_error_deg=7.0))
    after = analyse_blockade(
        replace(net, boundaries=swapped), UniformField(25.0), settings=BlockadeSettings(boundary_tilt_error_deg=7.0)
    )
    np.testing.assert_array_equal(after.segments.code, before.segments.code)
    names = ("accumulation", "transmission", "vector", "probability", "accumulation_mean", "accumulation_sigma",
             "blocks_probability", "blocking_length")  # fmt: skip
    for name in names:
        np.testing.assert_allclose(getattr(after.segments, name), getattr(before.segments, name), atol=1e-9)
    assert np.bincount(before.stretches.segment).max() > 3


def test_the_order_of_the_work_does_not_matter() -> None:
    """Segments in another order, and so in other chunks, get the same numbers."""
    net = random_network()
    b, n = net.boundaries, len(net.boundaries)
    order = np.random.default_rng(0).permutation(n)
    shuffled = replace(
        b, **{f.name: getattr(b, f.name)[order] for f in fields(b) if f.name not in ("points", "csl_label")},
        points=tuple(b.points[i] for i in order), csl_label=tuple(b.csl_label[i] for i in order),
    )  # fmt: skip
    before = analyse_blockade(net, UniformField(25.0)).segments
    after = analyse_blockade(replace(net, boundaries=shuffled), UniformField(25.0)).segments
    for f in fields(before):
        np.testing.assert_array_equal(getattr(after, f.name), getattr(before, f.name)[order])


def test_a_field_map_is_looked_up_on_both_sides() -> None:
    """Along X on the left half and along Y on the right: at the boundary the mean counts."""
    labels = halves((20, 20))
    normals = np.array(chevron(45.0))
    values = np.zeros((20, 20, 2))
    values[:, :10, 0] = 1.0
    values[:, 10:, 1] = 1.0
    field = FieldMap(values=values, step=(2.0, 2.0))
    result = analyse_blockade(network(labels, normals), field, settings=SURE)
    np.testing.assert_allclose(result.stretches.field[:, :2], 0.5, atol=1e-6)
    np.testing.assert_allclose(result.segments.accumulation, BLOCKED * np.sqrt(0.5), atol=1e-6)
    assert result.segments.flags[0] & Flag.OBLIQUE_FIELD
    values[:, 10:] = np.nan  # where one side has none, the other's counts
    result = analyse_blockade(network(labels, normals), field, settings=SURE)
    assert class_label(result.segments.code[0]) == "III a1"
    values[:] = np.nan
    values[0, 0] = 1.0
    result = analyse_blockade(network(labels, normals), field, settings=SURE)
    assert class_label(result.segments.code[0]) == "not in the scheme" and np.isnan(result.segments.accumulation[0])


def test_a_field_map_counts_one_pixel_away_from_the_boundary() -> None:
    """The boundary lies between columns 9 and 10, so the middles between 8 and 9, and between 10 and 11, count."""
    values = np.zeros((20, 20, 2))
    values[:, :, 0] = 10.0 ** np.arange(20)
    values[:, :, 1] = 1.0
    result = analyse_blockade(network(halves((20, 20)), np.array(chevron(45.0))), FieldMap(values=values, step=(2, 2)))
    expected = (1e8 + 1e9 + 1e10 + 1e11) / 4
    np.testing.assert_allclose(result.stretches.field[:, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(result.stretches.field[:, 1], 1.0, rtol=1e-12)


def test_a_field_that_turns_cuts_a_straight_boundary() -> None:
    labels = halves((60, 20))
    angle = np.deg2rad(np.linspace(0, 90, 60))[:, None] * np.ones(20)
    values = np.stack([np.cos(angle), np.sin(angle)], axis=2) * np.linspace(1, 3, 60)[:, None, None]
    net = network(labels, np.array(chevron(45.0)))
    result = analyse_blockade(net, FieldMap(values=values, step=(2.0, 2.0)), settings=SURE)
    assert 8 <= len(result.stretches) <= 14
    middle = np.deg2rad(90.0 * result.stretches.middle[:, 1] / (2 * 59))
    np.testing.assert_allclose(result.along.accumulation, BLOCKED * np.sin(middle), atol=0.01)
    assert {class_label(code) for code in result.along.code} == {"III a1", "III a2"}
    uniform = analyse_blockade(net, UniformField(0.0), settings=SURE)
    assert len(uniform.stretches) == 1


def test_inclined_boundaries() -> None:
    """Planes in the surface on the left, on edge along the boundary on the right; the boundary leans by 30 degrees."""
    net = network(halves(), np.array([[0.0, 0.0, 1.0], plane(90.0)]))
    lean = np.deg2rad(30.0)
    tilted = replace(net.boundaries, normal=np.array([[np.cos(lean), 0.0, np.sin(lean)]]))
    result = analyse_blockade(replace(net, boundaries=tilted), UniformField(0.0), settings=SURE)
    np.testing.assert_allclose(result.stretches.normal, tilted.normal, atol=1e-9)
    # j_A = X gives cos 30 across the boundary, j_B = RATIO X
    np.testing.assert_allclose(result.segments.accumulation, BLOCKED * np.cos(lean), atol=1e-9)
    back = replace(net.boundaries, normal=-net.boundaries.normal)  # the mean normal is believed
    result = analyse_blockade(replace(net, boundaries=back), UniformField(0.0), settings=SURE)
    np.testing.assert_allclose(result.stretches.normal, -M[None], atol=1e-9)


def test_a_map_without_boundaries() -> None:
    result = analyse_blockade(network(np.zeros((5, 6), dtype=int), np.array([plane(0.0)])), UniformField(0.0))
    assert len(result.segments) == len(result.along) == len(result.stretches) == 0


def test_flags_and_texts() -> None:
    assert class_label(int(BoundaryClass.III_A2)) == "III a2"
    assert [Level(v).label for v in (-9, -2, -1, 0, 1, 2)] == [
        "undefined", "depleted", "partly depleted", "balanced", "partly blocks", "blocks"
    ]  # fmt: skip
    with pytest.raises(ArgumentError, match=r"partly_at must not exceed blocks_at, got 0\.6 > 0\.5"):
        BlockadeSettings(partly_at=0.6)
    with pytest.raises(ArgumentError, match="the direction of the field must be a finite angle, got nan"):
        UniformField(float("nan"))
    with pytest.raises(ArgumentError, match=r"shape \(rows, columns, 2 or 3\), got \(3, 4\)"):
        FieldMap(values=np.zeros((3, 4)), step=(1.0, 1.0))
    assert UniformField(90.0).vector == pytest.approx(direction(90.0))
