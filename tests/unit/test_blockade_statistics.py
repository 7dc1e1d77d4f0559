"""Sweep over fields, random microstructures, texture, and the tables made of them."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from nbedex.blockade import (
    BlockadeSettings,
    BoundaryClass,
    Tolerances,
    UniformField,
    analyse_blockade,
    boundary_flux,
    class_label,
    classify,
    conductivity_tensor,
)
from nbedex.blockade.expected import compare_with_random, random_table
from nbedex.blockade.geojson import segments_geojson, stretches_geojson
from nbedex.blockade.summary import map_texture, summary_of
from nbedex.blockade.sweep import sweep_field
from nbedex.blockade.tables import class_columns, csv_of, segment_columns, stretch_columns, sweep_columns
from nbedex.blockade.texture import texture_of
from oracles.bicrystals import BLOCKED, RATIO, M, chevron, direction, plane
from oracles.planes_phantom import disc, halves, network, voronoi


def units(rng: np.random.Generator, n: int) -> np.ndarray:
    v = rng.normal(size=(n, 3))
    return np.asarray(v / np.linalg.norm(v, axis=1, keepdims=True))


def polycrystal(n: int = 60, seed: int = 8, shape: tuple[int, int] = (110, 120)) -> object:
    return network(voronoi(shape, n, seed), units(np.random.default_rng(seed), n))


def test_the_sweep_is_the_analysis_repeated() -> None:
    net = polycrystal(25, shape=(60, 70))
    sweep = sweep_field(analyse_blockade(net, UniformField(77.0)), step_deg=30.0)
    np.testing.assert_allclose(sweep.direction_deg, np.arange(0, 360, 30))
    for column, angle in enumerate(sweep.direction_deg):
        each = analyse_blockade(net, UniformField(angle), settings=BlockadeSettings(n_draws=4))
        np.testing.assert_allclose(sweep.accumulation[:, column], each.segments.accumulation, atol=1e-9)
        np.testing.assert_array_equal(sweep.code[:, column], each.segments.code)
        blocked = each.stretches.length[each.along.accumulation >= 0.5].sum() / each.stretches.length.sum()
        np.testing.assert_allclose(sweep.blocking_share[column], blocked, atol=1e-12)
    np.testing.assert_allclose(sweep.class_share.sum(axis=1), 1.0)
    np.testing.assert_allclose(sweep.accumulation[:, :6], -sweep.accumulation[:, 6:], atol=1e-12)


def test_intervals_of_blocking_directions() -> None:
    """A symmetric chevron of 45 degrees: a = cos of the angle to -Y or Y; half of it is 60 degrees away."""
    sweep = sweep_field(analyse_blockade(network(halves(), np.array(chevron(45.0))), UniformField(0.0)))
    np.testing.assert_allclose((sweep.worst_deg[0], sweep.worst[0]), (90.0, BLOCKED), atol=1e-6)
    half = np.rad2deg(np.arccos(0.5 / BLOCKED))
    np.testing.assert_allclose((sweep.blocks_from_deg[0], sweep.blocks_to_deg[0]), (90 - half, 90 + half), atol=1e-6)
    # through the jump at 360: planes along the boundary on the right, E along X is worst
    sweep = sweep_field(analyse_blockade(network(halves(), np.array([plane(0), plane(90)])), UniformField(0.0)))
    np.testing.assert_allclose(np.cos(np.deg2rad(sweep.worst_deg[0])), 1.0, atol=1e-9)
    np.testing.assert_allclose((sweep.blocks_from_deg[0], sweep.blocks_to_deg[0]), (360 - half, 360 + half), atol=1e-6)
    # never: |a| <= sin psi
    sweep = sweep_field(analyse_blockade(network(halves(), np.array(chevron(14.0))), UniformField(0.0)))
    np.testing.assert_allclose(sweep.worst, BLOCKED * np.sin(np.deg2rad(28.0)), atol=1e-9)
    assert np.isnan(sweep.blocks_from_deg[0]) and np.isnan(sweep.blocks_to_deg[0])
    assert not sweep.blocking_share.any()
    sweep = sweep_field(analyse_blockade(network(halves(), np.array([plane(0), plane(0)])), UniformField(0.0)))
    assert np.isnan(sweep.worst_deg[0]) and sweep.worst[0] < 1e-9


def test_at_the_ends_of_its_interval_a_boundary_just_blocks() -> None:
    result = analyse_blockade(polycrystal(), UniformField(0.0))
    sweep = sweep_field(result)
    ever = np.flatnonzero(np.isfinite(sweep.blocks_from_deg))
    assert 0 < len(ever) < len(result.segments)
    np.testing.assert_array_equal(np.isfinite(sweep.blocks_from_deg), sweep.worst >= 0.5)
    first, last = sweep.blocks_from_deg[ever], sweep.blocks_to_deg[ever]
    assert (first >= 0).all() and (first < 360).all() and (last > first).all() and (last - first < 180).all()
    for angle, threshold in ((first, 0.5), (last, 0.5), ((first + last) / 2, sweep.worst[ever])):
        e = np.stack([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle)), 0 * angle], axis=1)
        np.testing.assert_allclose((result.segments.vector[ever] * e).sum(axis=1), threshold, atol=1e-9)
    assert (last > 360).any() and (last < 360).any()


@pytest.mark.parametrize("angle", [0, 37, 90])
def test_random_table_against_plain_monte_carlo(angle: int) -> None:
    classes, blocks = random_table(Tolerances(), 1e3, 0.5)
    rng = np.random.default_rng(1)
    a, b = units(rng, 100_000), units(rng, 100_000)
    e = direction(angle)
    code = classify(a, b, M, e).code
    np.testing.assert_allclose(classes[angle], np.bincount(code, minlength=13) / len(a), atol=0.006)
    flux = boundary_flux(conductivity_tensor(a, 1.0, RATIO), conductivity_tensor(b, 1.0, RATIO), M, e)
    np.testing.assert_allclose(blocks[angle], (flux.accumulation >= 0.5).mean(), atol=0.006)
    np.testing.assert_allclose(classes.sum(axis=1), 1.0)


def test_share_of_parallel_planes_at_random_is_the_cap() -> None:
    """P(psi <= t) = 1 - cos t for random planes, whatever the boundary."""
    classes, _ = random_table(Tolerances(parallel_deg=25.0), 1e3, 0.5)
    np.testing.assert_allclose(classes[:, 1:5].sum(axis=1), 1 - np.cos(np.deg2rad(25.0)), atol=0.003)


def test_a_random_map_blocks_as_a_random_map_does() -> None:
    result = analyse_blockade(
        polycrystal(150, shape=(180, 180)), UniformField(20.0), settings=BlockadeSettings(n_draws=4)
    )
    found = compare_with_random(result)
    assert abs(found.blocking - found.blocking_expected) < 3.5 * found.blocking_scatter
    np.testing.assert_allclose(found.class_share.sum(), 1.0)
    np.testing.assert_allclose(found.class_expected.sum(), 1.0)
    assert 0.005 < found.as_much_blocking < 0.995
    np.testing.assert_allclose(found.length, result.stretches.length.sum())
    again = compare_with_random(result)
    assert (again.blocking_expected, again.blocking_scatter, again.as_much_blocking) == (
        found.blocking_expected, found.blocking_scatter, found.as_much_blocking
    )  # fmt: skip
    # the mean over turned grains is what the table says
    tried = compare_with_random(result, n_random=400)
    rows = [int(BoundaryClass.II_B1), int(BoundaryClass.III_A2)]
    np.testing.assert_allclose(tried.published_expected, found.class_expected[rows].sum())


def test_a_map_made_to_block_stands_out() -> None:
    """A striped map of chevrons, field along the stripes: half of its boundaries block, the others are depleted."""
    labels = np.repeat(np.arange(12), 10)[None] * np.ones((60, 1), dtype=int)
    normals = np.array([chevron(45.0)[i % 2] for i in range(12)])
    result = analyse_blockade(network(labels, normals), UniformField(90.0))
    found = compare_with_random(result)
    np.testing.assert_allclose(found.blocking, 6 / 11, atol=1e-9)
    np.testing.assert_allclose(found.class_share[[10, 12]], [6 / 11, 5 / 11], atol=1e-9)
    # a stripe's expected share, by hand: E along the boundary, from the table's last row
    np.testing.assert_allclose(found.blocking_expected, random_table(Tolerances(), 1e3, 0.5)[1][90], atol=1e-9)
    assert found.as_much_blocking < 0.01


def test_without_boundaries_in_the_scheme_there_is_nothing_to_compare() -> None:
    result = analyse_blockade(
        network(halves(), np.array([plane(0), plane(0)]), phase=np.array([1, 1])), UniformField(0.0)
    )
    found = compare_with_random(result)
    assert found.length == 0 and np.isnan(found.blocking) and np.isnan(found.class_expected).all()
    texture = map_texture(result)
    assert texture.n_grains == 0 and np.isnan(texture.strength)


def test_texture_without_and_with_a_preferred_direction() -> None:
    rng = np.random.default_rng(2)
    n, area = units(rng, 40_000), rng.uniform(1, 2, 40_000)
    found = texture_of(n, area, field=[2.0, 0.0, 0.0])
    np.testing.assert_allclose(found.tensor, np.eye(3) / 3, atol=0.005)
    np.testing.assert_allclose([*found.multiples.values()], 1.0, atol=0.1)
    np.testing.assert_allclose(found.along_field, 0.5, atol=0.005)
    np.testing.assert_allclose(found.conductivity, 1 - BLOCKED / 3, atol=0.005)
    np.testing.assert_allclose(found.strength, 0.0, atol=0.01)
    # two grains, three quarters of the area with planes across X
    found = texture_of([plane(90.0), plane(0.0), [np.nan] * 3, [0, 0, 0]], [3.0, 1.0, 5.0, 7.0], field=[1.0, 0, 0])
    assert (found.n_grains, found.area) == (2, 4.0)
    np.testing.assert_allclose(found.values, [0.75, 0.25, 0.0], atol=1e-12)
    np.testing.assert_allclose(np.abs(found.axes), [[1, 0, 0], [0, 1, 0], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(found.effective_grains, 16 / 10)
    np.testing.assert_allclose(found.along_field, 0.75)
    np.testing.assert_allclose(found.conductivity, 0.75 * RATIO + 0.25)
    cap = 1 - np.cos(np.deg2rad(15))
    assert found.multiples == pytest.approx({"X": 0.75 / cap, "Y": 0.25 / cap, "Z": 0.0, "E": 0.75 / cap})
    assert texture_of([[0, 0, 1.0]], [1.0]).strength == pytest.approx(1.0)
    assert np.isnan(texture_of([[0, 0, 1.0]], [1.0]).along_field)


def rows_of(columns: object) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(csv_of(columns)).decode(), newline="")))  # type: ignore[arg-type]


def test_tables() -> None:
    result = analyse_blockade(polycrystal(20, shape=(50, 60)), UniformField(90.0))
    sweep, comparison = sweep_field(result), compare_with_random(result)
    rows = rows_of(segment_columns(result, sweep))
    assert len(rows) == len(result.segments)
    s = result.segments
    for number in (0, 7, len(rows) - 1):
        row = rows[number]
        assert (row["segment"], row["class"]) == (str(number), class_label(s.code[number]))
        assert (row["verdict"], row["class_from_traces"]) == (
            class_label(s.verdict[number]), class_label(s.code_traces[number])
        )  # fmt: skip
        assert float(row["accumulation"]) == pytest.approx(s.accumulation[number], abs=1e-5)
        assert float(row["length_nm"]) == pytest.approx(result.network.boundaries.length[number], abs=1e-3)
        assert float(row["p_III_A2"]) == pytest.approx(s.probability[number, 10], abs=1e-4)
    traces = {row["flags"] for row in rows if row["class"] != row["class_from_traces"]}
    assert traces and all("traces differ" in flags for flags in traces)
    assert len(rows_of(stretch_columns(result))) == len(result.along)
    assert [row["field_deg"] for row in rows_of(sweep_columns(sweep))][:2] == ["0.000", "5.000"]
    classes = rows_of(class_columns(result, comparison))
    assert [row["class"] for row in classes][:3] == ["not in the scheme", "I a1", "I a2"]
    assert sum(float(row["length_nm"]) for row in classes) == pytest.approx(result.stretches.length.sum(), abs=0.1)
    electrode = network(halves(), np.array([plane(0), plane(0)]), phase=np.array([0, 2]))
    row = rows_of(segment_columns(analyse_blockade(electrode, UniformField(0.0))))[0]
    assert (row["class"], row["transmission"], row["accumulation"], row["flags"]) == (
        "not in the scheme", "", "1.00000", "electrode"
    )  # fmt: skip


def test_geojson() -> None:
    result = analyse_blockade(network(disc(41, 12.0), np.array([plane(90), plane(20)])), UniformField(0.0))
    data = json.loads(b"".join(segments_geojson(result, sweep_field(result))))
    assert data["type"] == "FeatureCollection" and data["coordinates"].startswith("nm; X right and Y down")
    (feature,) = data["features"]
    line = np.array(feature["geometry"]["coordinates"])
    np.testing.assert_allclose(line, result.network.boundaries.points[0], atol=1e-4)
    assert feature["properties"]["verdict"] == "mixed"
    assert feature["properties"]["delta_theta_deg"] == pytest.approx(70.0, abs=0.01)
    pieces = json.loads(b"".join(stretches_geojson(result)))["features"]
    assert len(pieces) == len(result.stretches)
    assert pieces[0]["geometry"]["coordinates"][-1] == pieces[1]["geometry"]["coordinates"][0]
    empty = analyse_blockade(network(np.zeros((4, 4), dtype=int), np.array([plane(0)])), UniformField(0.0))
    assert json.loads(b"".join(segments_geojson(empty)))["features"] == []


def test_summary() -> None:
    result = analyse_blockade(network(halves(), np.array(chevron(45.0))), UniformField(90.0))
    sweep = sweep_field(result)
    found = summary_of(result, sweep, compare_with_random(result), map_texture(result))
    assert found["blocking_share"] == found["classes"]["III a2"]["share"] == pytest.approx(1.0)
    assert found["classes"]["III a2"]["length"] == pytest.approx(48.0)
    (worst,) = found["worst"]
    assert (worst["grains"], worst["class"], worst["verdict"]) == ([0, 1], "III a2", "III a2")
    assert worst["worst_field_deg"] == pytest.approx(90.0)
    assert found["worst_field_deg"] in sweep.direction_deg
    assert json.dumps(found["settings"])
    net = network(voronoi((90, 90), 30, 2), units(np.random.default_rng(1), 30), phase=np.arange(30) % 4 - 1)
    many = analyse_blockade(net, UniformField(10.0))
    found = summary_of(many, sweep_field(many), compare_with_random(many), map_texture(many), n_worst=4)
    s = many.segments
    weight = s.blocking_length * np.nan_to_num(s.highest)
    best = np.sort(weight[s.blocking_length > 0])[::-1][:4]
    np.testing.assert_allclose([weight[row["segment"]] for row in found["worst"]], best)
    assert len(best) == 4 and np.isnan(s.accumulation).any()
    empty = analyse_blockade(network(np.zeros((4, 4), dtype=int), np.array([plane(0)])), UniformField(0.0))
    found = summary_of(empty, sweep_field(empty), compare_with_random(empty), map_texture(empty))
    assert found["worst_field_deg"] is None and found["length"] == 0
