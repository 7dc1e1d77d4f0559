"""What a solution says of boundaries, of orientation errors, of what if; and its files."""

from __future__ import annotations

import base64
import csv
import json
import re
import struct
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from nbedex.blockade import UniformField, analyse_blockade
from nbedex.boundaries import trace_boundaries
from nbedex.errors import ArgumentError, OutputError
from nbedex.grains import grains_of
from nbedex.transport import (
    TransportSettings,
    boundary_currents,
    build_problem,
    edge_problem,
    effective_conductivity,
    field_along_beam,
    local_field,
    plane_tensor,
    regions_of,
    sample_orientations,
    simple_structure,
    solve,
    stream_function,
    sweep,
    with_texture,
    write_boundary_csv,
    write_current,
    write_vtk,
)
from nbedex.transport.structure import Electrode
from nbedex.transport.uncertainty import turn_normals
from oracles.current_oracle import edge_on, grains, left_and_bottom
from oracles.grain_maps import orientation_map, turned

ONCE = TransportSettings(refinement_pair=False)


def chevron(bend: float, shape: tuple[int, int] = (24, 40)):
    """Two grains side by side whose traces make a chevron about the boundary."""
    labels = (np.arange(shape[1]) >= shape[1] // 2).astype(int) * np.ones((shape[0], 1), dtype=int)
    return simple_structure(
        labels, step=(2.0, 2.0), normal=[edge_on(bend), edge_on(-bend)], in_plane=[1.0, 1.0], out_of_plane=[1e-3] * 2,
        boundary_resistance=2e-8,
    )  # fmt: skip


def test_chevron_piles_up_with_the_field_along_it() -> None:
    """III a2, net accumulation sin(2 bend) in a field along the boundary; its sign turns with the field: III b2."""
    for top, bottom, name, sign in ((1.0, 0.0, "III a2", 1), (0.0, 1.0, "III b2", -1)):
        table = boundary_currents(solve(edge_problem(chevron(40.0), top=top, bottom=bottom), ONCE))
        assert table.labels == (name,)
        field = table.field[0] / np.linalg.norm(table.field[0])
        assert field == pytest.approx([0.0, float(sign), 0.0], abs=1e-6)
        assert table.accumulation[0] == pytest.approx(sign * np.sin(np.radians(80)) * 0.999, rel=1e-6)
        assert table.transmission[0] == 0.0
        assert table.flux_across[0] == pytest.approx(0.0, abs=1e-6 * np.abs(table.flux_along[0]))


def test_what_crosses_a_boundary() -> None:
    """In series: all current crosses, from 0 to 1; jump by Ohm's law; along is what the tensor says."""
    structure = simple_structure(
        np.repeat([1, 0], 10)[None, :] * np.ones((12, 1), dtype=int), step=(2.0, 2.0), normal=[edge_on(0), edge_on(0)],
        in_plane=[1.0, 2.0], out_of_plane=[1e-3, 1e-3], boundary_resistance=3e-8,
    )  # fmt: skip
    solution = solve(edge_problem(structure, left=1.0, right=0.0), ONCE)
    table = boundary_currents(solution)
    density = solution.current_density[0, 0, 0]
    assert table.flux_across == pytest.approx([-density])  # the grain with the lower number is on the right
    assert table.potential_jump == pytest.approx([-density * 3e-8])
    assert table.length == pytest.approx([24.0])
    assert table.flux_along == pytest.approx([0.0], abs=1e-9 * density)
    assert table.side_difference == pytest.approx([0.0], abs=1e-9 * density)
    assert table.crowding == pytest.approx([1.0])
    # unequal grains: E = J / sigma on each side, the mean counts
    assert table.field[0, 0] == pytest.approx(0.5 * (density / 1.0 + density / 2.0))


def test_difference_between_the_sides() -> None:
    """Along a boundary between unequal grains each side carries its own conductivity times the field."""
    structure = simple_structure(
        np.repeat([0, 1], 10)[None, :] * np.ones((12, 1), dtype=int), in_plane=[1.0, 5.0], step=(2.0, 2.0)
    )
    table = boundary_currents(solve(edge_problem(structure, top=1.0, bottom=0.0), ONCE))
    field = 1.0 / 24e-9
    assert table.magnitude_difference == pytest.approx([4.0 * field])
    assert table.side_difference == pytest.approx([4.0 * field])
    assert table.flux_along == pytest.approx([3.0 * field])  # Z x normal is +Y


def test_currents_through_all_boundaries_of_a_grain_cancel() -> None:
    labels = np.zeros((30, 30), dtype=int)
    labels[8:20, 9:24] = 1
    normal = [edge_on(20), edge_on(70)]
    structure = simple_structure(labels, normal=normal, in_plane=[1.0, 1.0], out_of_plane=[0.01] * 2)
    solution = solve(edge_problem(structure, left=1.0, right=0.0), ONCE)
    table = boundary_currents(solution)
    assert len(table) == 1
    assert table.flux_across[0] == pytest.approx(0.0, abs=1e-9 * solution.magnitude.max())


def test_field_along_the_beam_stops_the_current_there() -> None:
    rng = np.random.default_rng(0)
    normal = rng.standard_normal((5, 3))
    tensor = plane_tensor(normal / np.linalg.norm(normal, axis=1, keepdims=True), np.ones(5), np.full(5, 1e-3))
    field = rng.standard_normal((5, 2))
    whole = np.concatenate([field, field_along_beam(tensor, field)[:, None]], axis=1)
    assert np.einsum("nij,nj->ni", tensor, whole)[:, 2] == pytest.approx(np.zeros(5), abs=1e-12)


@pytest.fixture(scope="module")
def grain_map():
    """Three grains of beta'' with planes in three directions, from orientations, and their boundaries."""
    region = np.zeros((24, 30), dtype=int)
    region[:, 15:] = 1
    region[14:, :] = 2
    start = turned((1, 0, 0), 90.0)
    each = np.stack([turned((0, 0, 1), 30.0, turned((0, 1, 0), angle, start)) for angle in (10.0, 70.0, 130.0)])
    return grains_of(orientation_map(each[region], step=(2.0, 2.0), step_known=True), region)


def test_grain_map_with_its_network(grain_map) -> None:
    """Segments of the network get the faces of their pair, and the local field is fed back into the blockade."""
    network = trace_boundaries(grain_map)
    electrodes = [Electrode(where="top", potential=1.0), Electrode(where="bottom", potential=0.0)]
    solution = solve(build_problem(regions_of(grain_map), electrodes), ONCE)
    table = boundary_currents(solution, network=network)
    assert sorted(table.segment.tolist()) == list(range(len(network.boundaries)))
    order = np.argsort(table.segment)
    assert table.low[order].tolist() == network.boundaries.grain_a.tolist()
    assert table.high[order].tolist() == network.boundaries.grain_b.tolist()
    assert table.length[order] == pytest.approx(network.boundaries.length, rel=0.25)
    field = local_field(solution, grain_map.source.shape, grain_map.source.step)
    assert field.values == pytest.approx(solution.field)
    with_local = analyse_blockade(network, field)
    uniform = analyse_blockade(network, UniformField(direction_deg=90.0))
    assert np.isfinite(with_local.segments.accumulation).all()
    # one is the mean over the boundary, the other that of the mean field, where strong fields count for more
    clear = np.abs(with_local.segments.accumulation) > 0.15
    assert clear.sum() >= 2
    assert (np.sign(with_local.segments.accumulation) == np.sign(table.accumulation[order]))[clear].all()
    assert not np.allclose(with_local.segments.accumulation, uniform.segments.accumulation, atol=0.02)


def test_local_field_in_pixels_of_the_map(grain_map) -> None:
    """With a frame, finer and coarser cells: always that of the map's pixels."""
    electrodes = [Electrode(where="top", potential=1.0), Electrode(where="bottom", potential=0.0)]
    regions = regions_of(grain_map)
    shape, step = grain_map.source.shape, grain_map.source.step
    for settings, expected in (
        (TransportSettings(refinement_pair=False, refine=2), lambda f: f.reshape(24, 2, 30, 2, 3).mean(axis=(1, 3))),
        (TransportSettings(refinement_pair=False, backbone=(4.0, 0.0, 6.0, 0.0)), lambda f: f[3:, 2:]),
        (TransportSettings(refinement_pair=False, pixel=4.0), lambda f: f.repeat(2, axis=0).repeat(2, axis=1)),
    ):
        solution = solve(build_problem(regions, electrodes, settings), settings)
        assert local_field(solution, shape, step).values == pytest.approx(expected(solution.field), rel=1e-9)


def test_map_without_a_step_is_refused(grain_map) -> None:
    unknown = replace(grain_map, source=replace(grain_map.source, step_known=False))
    with pytest.raises(ArgumentError, match="does not say its step"):
        regions_of(unknown)


def test_refinement_pair_reports_its_change() -> None:
    structure = simple_structure(
        np.zeros((16, 16), dtype=int), normal=[edge_on(30)], in_plane=[1.0], out_of_plane=[1e-2]
    )
    pair = solve(edge_problem(structure, left=1.0, right=0.0))
    coarse = solve(edge_problem(structure, left=1.0, right=0.0), ONCE)
    fine = solve(edge_problem(structure.refined(2), left=1.0, right=0.0), ONCE)
    assert 1 / pair.resistance == pytest.approx(2 / fine.resistance - 1 / coarse.resistance)
    assert pair.resistance_uncertainty == pytest.approx(abs(pair.resistance - fine.resistance))
    assert np.array_equal(pair.potential, coarse.potential)
    blocks = fine.current_density.reshape(16, 2, 16, 2, 2).mean(axis=(1, 3))
    expected = np.linalg.norm(blocks - coarse.current_density) / np.linalg.norm(blocks)
    assert pair.map_change == pytest.approx(expected)


def test_stream_function_has_no_meaning_around_an_electrode() -> None:
    structure = simple_structure(np.zeros((12, 12), dtype=int), in_plane=[1.0])
    problem = edge_problem(structure, left=1.0, right=0.0)
    assert stream_function(solve(problem, ONCE)) is not None
    problem = edge_problem(structure, left=1.0)
    problem.of_cell[5:7, 5:7] = 1
    problem = replace(problem, electrodes=(*problem.electrodes, Electrode(where="inside", potential=0.0)))
    assert stream_function(solve(problem, ONCE)) is None


def _polycrystal():
    labels, normal = grains((20, 24), 6, 11)
    return simple_structure(
        labels, step=(3.0, 3.0), normal=normal, in_plane=np.ones(6), out_of_plane=np.full(6, 1e-2),
        boundary_resistance=2e-8,
    )  # fmt: skip


def test_draws_of_orientations() -> None:
    """The same seed gives the same draws; none of an error without errors; wider errors spread more."""
    problem = left_and_bottom(_polycrystal())
    few = sample_orientations(problem, np.full(6, 2.0), draws=3, seed=4)
    more = sample_orientations(problem, np.full(6, 2.0), draws=5, seed=4)
    assert np.array_equal(more.resistance[:3], few.resistance)
    assert np.std(few.resistance) > 0
    other = sample_orientations(problem, np.full(6, 2.0), draws=3, seed=5)
    assert not np.array_equal(other.resistance, few.resistance)
    none = sample_orientations(problem, np.zeros(6), draws=2)
    assert none.resistance == pytest.approx([solve(problem, ONCE).resistance] * 2)
    assert none.magnitude_sigma == pytest.approx(np.zeros((20, 24)))
    wide = sample_orientations(problem, np.full(6, 8.0), draws=5, seed=4)
    assert wide.flux_sigma.mean() > 1.5 * more.flux_sigma.mean()
    assert more.class_share.sum(axis=1) == pytest.approx(np.ones(len(more.low)))
    with pytest.raises(ArgumentError, match="expected 2 to 10,000 draws of the orientations, got 1"):
        sample_orientations(problem, np.zeros(6), draws=1)


def test_turned_normals_have_the_spread_asked_for() -> None:
    """Two of the three axes turn a normal: the mean square angle is twice the variance."""
    turned_by = turn_normals(np.tile([[0.6, 0.0, 0.8]], (20000, 1)), np.full(20000, 0.02), np.random.default_rng(1))
    angle = np.arccos(np.clip(turned_by @ [0.6, 0.0, 0.8], -1, 1))
    assert np.sqrt((angle**2).mean()) == pytest.approx(0.02 * np.sqrt(2), rel=0.03)
    assert np.linalg.norm(turned_by, axis=1) == pytest.approx(np.ones(20000))


def test_sweep_of_boundaries_and_anisotropy() -> None:
    """A laminate in series has its answer in closed form for every value."""
    labels = np.repeat([0, 1], 6)[None, :] * np.ones((4, 1), dtype=int)
    structure = simple_structure(labels, normal=[edge_on(0), edge_on(90)], in_plane=[1.0] * 2, out_of_plane=[1e-3] * 2)
    problem = edge_problem(structure, left=1.0, right=0.0)
    found = sweep(problem, "anisotropy", [10.0, 1000.0])
    assert found.resistance * 400e-9 == pytest.approx([6 + 6 * 10, 6 + 6 * 1000])
    found = sweep(problem, "boundary-ratio", [0.0, 20.0, 500.0])
    assert found.resistance * 400e-9 == pytest.approx([6006, 6006 + 20, 6006 + 500])
    both = edge_problem(structure, top=1.0, bottom=0.0)
    path = sweep(both, "boundary-path", [0.0, 100.0])
    assert 1 / path.resistance[1] - 1 / path.resistance[0] == pytest.approx(100 / 4 * 100e-9)
    with pytest.raises(ArgumentError, match="to vary, got 'colour'"):
        sweep(problem, "colour", [1.0])


def test_texture_ends_in_one_crystal() -> None:
    """All grains turned to one plane: no blocking, and the conductivity of the single crystal."""
    problem = left_and_bottom(_polycrystal())
    found = sweep(problem, "texture", [0.0, 0.5, 1.0], target=(0.0, 1.0, 0.0))
    assert found.accumulation[2] == pytest.approx(0.0, abs=1e-9)
    assert found.blocking_share[2] == 0.0
    assert found.accumulation[0] > 0.1
    assert found.along_x[2] > 2 * found.along_x[0]
    ends = with_texture(problem.structure, 1.0, (0.0, 2.0, 0.0)).normal
    assert np.abs(ends) == pytest.approx(np.tile([0.0, 1.0, 0.0], (6, 1)), abs=1e-12)
    half = with_texture(problem.structure, 0.5, (0.0, 1.0, 0.0)).normal
    before = np.arccos(np.abs(problem.structure.normal[:, 1]))
    assert np.arccos(np.abs(half[:, 1])) == pytest.approx(before / 2)


def test_sweep_of_directions_is_what_the_tensor_says() -> None:
    problem = left_and_bottom(_polycrystal())
    found = sweep(problem, "direction", [0.0, 35.0, 90.0, 215.0])
    effective = effective_conductivity(problem.structure, ONCE)
    assert found.along_x[[0, 2]] == pytest.approx(np.diag(effective.tensor))
    assert found.along_x[3] == pytest.approx(found.along_x[1])  # 180 degrees on
    assert (found.accumulation > 0).all()
    labels = np.arange(20)[None, :] // 10 * np.ones((10, 1), dtype=int)
    normal = [edge_on(40), edge_on(-40)]
    one = simple_structure(labels, normal=normal, in_plane=[1.0] * 2, out_of_plane=[1e-3] * 2)
    share = sweep(edge_problem(one, left=1.0, right=0.0), "direction", [90.0, 270.0]).blocking_share
    assert share.tolist() == [1.0, 0.0]  # III a2 turns into III b2


def test_hdf5_holds_what_was_solved(tmp_path: Path) -> None:
    solution = solve(left_and_bottom(_polycrystal()))
    table = boundary_currents(solution)
    path = write_current(tmp_path / "current.h5", solution, table, provenance={"map": "grains.h5"})
    with h5py.File(path, "r") as file:
        assert (file.attrs["format"], file.attrs["version"]) == ("nbedex-current", 1)
        summary = json.loads(file.attrs["summary"])
        assert summary["resistance_ohm"] == solution.resistance
        assert summary["solver"] == "nested dissection"
        assert json.loads(file.attrs["provenance"]) == {"map": "grains.h5"}
        assert json.loads(file.attrs["settings"])["model"] == "tensor"
        assert np.array_equal(file["maps/current_density"][()], solution.current_density)
        assert np.array_equal(file["maps/potential"][()], solution.potential)
        assert file["maps/field"].attrs["unit"] == "V/m"
        assert file["maps/stream_function"].shape == (21, 25)
        assert np.array_equal(file["boundaries/accumulation"][()], table.accumulation)
        assert file["boundaries/class"][0].decode() == table.labels[0]
    with pytest.raises(OutputError, match="exists already"):
        write_current(path, solution)


def test_vtk_holds_what_was_solved(tmp_path: Path) -> None:
    solution = solve(left_and_bottom(_polycrystal()), ONCE)
    text = write_vtk(tmp_path / "current.vti", solution).read_text(encoding="ascii")
    assert 'WholeExtent="0 24 0 20 0 1" Origin="-1.5 -1.5 0.0" Spacing="3.0 3.0 100.0"' in text
    arrays = re.findall(
        r'<DataArray type="(\w+)" Name="(\w+)" NumberOfComponents="(\d)" format="binary">([^<]*)<', text
    )
    assert [array[1] for array in arrays][:2] == ["potential", "current_density"]
    kind, _, parts, data = arrays[1]
    raw = base64.b64decode(data)
    assert struct.unpack("<Q", raw[:8])[0] == len(raw) - 8 == 20 * 24 * 3 * 8
    assert (kind, parts) == ("Float64", "3")
    assert np.array_equal(np.frombuffer(raw[8:]).reshape(20, 24, 3)[..., :2], solution.current_density)


def test_csv_of_boundaries(tmp_path: Path) -> None:
    table = boundary_currents(solve(left_and_bottom(_polycrystal()), ONCE))
    with write_boundary_csv(tmp_path / "b.csv", table).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(table)
    assert [float(row["flux_across_A_per_m2"]) for row in rows] == table.flux_across.tolist()
    assert [row["class"] for row in rows] == list(table.labels)
