"""Boundaries in grain files, tables and geometry for other programs; the command line; figures."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from nbedex.boundaries import (
    BoundaryNetwork,
    boundary_columns,
    boundary_group,
    inclination_of,
    inclined,
    network_of,
    read_inclinations,
    read_network,
    trace_boundaries,
    write_boundary_table,
    write_geometry,
    write_network,
)
from nbedex.cli import main
from nbedex.errors import ArgumentError, DataFormatError, OutputError
from nbedex.grains import Group, MapPhase, PooledRivals, put_groups, read_groups, write_grain_map
from nbedex.maps import multiply
from nbedex.phases import load_phase
from nbedex.report import BOUNDARY_FIGURES, draw_boundaries, plot_boundaries
from oracles.boundary_maps import grain_map, voronoi
from oracles.laue_groups import random_quaternions


@pytest.fixture(scope="module")
def network() -> BoundaryNetwork:
    phantom = voronoi(60, 12, 3, noise=1.0)
    labels = phantom.labels.copy()
    labels[30:34, 20:25] = labels.max() + 1  # an enclosed one: a closed boundary, if it lies within one grain
    n = int(labels.max()) + 1
    kind = np.where(np.arange(n) % 5 == 4, 1, 0)
    phases = [MapPhase.of(load_phase(name)) for name in ("beta2-alumina", "au")]
    return trace_boundaries(grain_map(labels, phases, random_quaternions(n, 7), phase_of=kind, step=(1.5, 2.0)))


def same(one: BoundaryNetwork, other: BoundaryNetwork) -> bool:
    a, b = boundary_group(one), boundary_group(other)
    arrays = a.arrays.keys() == b.arrays.keys() and all(
        np.array_equal(a.arrays[k], b.arrays[k], equal_nan=a.arrays[k].dtype.kind == "f")
        and a.arrays[k].dtype == b.arrays[k].dtype
        for k in a.arrays
    )
    return arrays and a.texts == b.texts


def test_round_trip_through_a_file(network: BoundaryNetwork, tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.h5", network)
    back = read_network(path)
    assert same(network, back)
    assert np.array_equal(back.grain_map.grain_id, network.grain_map.grain_id)
    assert all(np.array_equal(p, q) for p, q in zip(network.boundaries.points, back.boundaries.points, strict=True))
    assert write_network(tmp_path / "again.h5", network).read_bytes() == path.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_network(path, network)


def test_an_empty_network_round_trips(tmp_path: Path) -> None:
    kind = MapPhase.of(load_phase("au"))
    empty = trace_boundaries(grain_map(np.zeros((3, 4), dtype=int), [kind], random_quaternions(1, 1)))
    assert same(empty, read_network(write_network(tmp_path / "n.h5", empty)))
    assert "POINTS 0 double" in write_geometry(tmp_path / "n.vtk", empty).read_text()
    assert len(write_boundary_table(tmp_path / "n.csv", empty).read_text().splitlines()) == 1


def test_boundaries_that_may_be_none_are_marked() -> None:
    """Three strips: what the first might be instead is the second, not the other way round; the third is sure."""
    a, b, c = random_quaternions(3, 7)
    phases = [MapPhase.of(load_phase(name)) for name in ("beta2-alumina", "na2au")]
    labels = np.repeat([0, 1, 2], 5)[None].repeat(9, axis=0)
    net = trace_boundaries(grain_map(labels, phases, np.stack([a, b, c]), phase_of=np.array([0, 0, 0])))

    def marked(ambiguous: list[bool], rival: np.ndarray, phase: int = 0) -> list[int]:
        values = {f.name: np.full(3, np.nan) for f in fields(PooledRivals)}
        rivals = PooledRivals(
            **values
            | {"ambiguous": np.array(ambiguous), "rival_phase_id": np.full(3, phase, np.int16)}
            | {"rival_orientation": rival}
        )
        assert [*zip(net.boundaries.grain_a, net.boundaries.grain_b, strict=True)] == [(0, 1), (1, 2)]
        return boundary_columns(net, rivals)["may be none"]

    turned = multiply(load_phase("beta2-alumina").symmetry_quaternions[2], b)
    assert marked([True, False, False], np.stack([turned, c, a])) == [1, 0]
    assert marked([False, False, False], np.stack([turned, c, a])) == [0, 0]
    assert marked([True, False, False], np.stack([turned, c, a]), phase=1) == [0, 0]
    assert marked([False, True, False], np.stack([turned, a, a])) == [1, 0]
    assert marked([False, False, True], np.stack([turned, a, b])) == [0, 1]
    assert "may be none" not in boundary_columns(net)


def test_files_without_boundaries_or_with_damaged_ones(network: BoundaryNetwork, tmp_path: Path) -> None:
    path = write_grain_map(tmp_path / "g.h5", network.grain_map)
    with pytest.raises(ArgumentError, match=r"has no boundaries yet; trace them with `nbedex boundaries`"):
        read_network(path)
    group = boundary_group(network)
    damages = {
        "lack 'sigma'": {k: v for k, v in group.arrays.items() if k != "sigma"},
        "psi_deg must be float64": {**group.arrays, "psi_deg": group.arrays["psi_deg"].astype(np.float32)},
        "cut wrong": {**group.arrays, "offset": np.append(group.arrays["offset"][:-1], 10**6)},
        "between grains that the map doesn't have": {**group.arrays, "grain_b": group.arrays["grain_b"] + 99},
        "length must be float64 of shape": {**group.arrays, "length": group.arrays["length"][:-1]},
    }
    for message, arrays in damages.items():
        put_groups(path, {"boundaries": Group(arrays=arrays, texts=group.texts)})
        with pytest.raises(DataFormatError, match=message):
            read_network(path)
    with pytest.raises(ArgumentError, match="csl_label must hold"):
        network_of(network.grain_map, Group(arrays=group.arrays, texts={**group.texts, "csl_label": ["x"]}))


def test_table(network: BoundaryNetwork, tmp_path: Path) -> None:
    path = write_boundary_table(tmp_path / "b.csv", network)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    b = network.boundaries
    assert len(rows) == len(b)
    for k, row in enumerate(rows):
        assert (int(row["segment"]), int(row["grain a"]), int(row["grain b"])) == (k, b.grain_a[k], b.grain_b[k])
        assert float(row["length (nm)"]) == pytest.approx(b.length[k], rel=1e-5)
        for name, values in {
            "psi between planes in space (deg)": b.psi_deg,
            "disorientation (deg)": b.disorientation_deg,
            "delta theta between traces (deg)": b.delta_theta_deg,
        }.items():
            assert row[name] == ("" if np.isnan(values[k]) else f"{values[k]:.6g}")
        assert (row["kind"] == "phase") == b.phase_boundary[k]
        assert row["CSL"] == b.csl_label[k]
        # the middle lies on the line
        middle = np.array([float(row["middle x (nm)"]), float(row["middle y (nm)"])])
        assert np.linalg.norm(b.points[k] - middle, axis=1).min() < 2.5


def test_geojson_and_vtk(network: BoundaryNetwork, tmp_path: Path) -> None:
    b = network.boundaries
    whole = json.loads(write_geometry(tmp_path / "n.geojson", network).read_text(encoding="utf-8"))
    lines = [f for f in whole["features"] if f["geometry"]["type"] == "LineString"]
    assert whole["type"] == "FeatureCollection" and len(lines) == len(b)
    for k, feature in enumerate(lines):
        assert np.allclose(feature["geometry"]["coordinates"], b.points[k], atol=6e-5)
        assert feature["properties"]["grain a"] == b.grain_a[k]
    assert np.allclose(whole["features"][-1]["geometry"]["coordinates"], network.triple_points, atol=6e-5)
    text = write_geometry(tmp_path / "n.vtk", network).read_text().split("\n")
    assert text[:4] == ["# vtk DataFile Version 3.0", "nbedex boundaries", "ASCII", "DATASET POLYDATA"]
    n_points = sum(len(p) for p in b.points)
    assert text[4] == f"POINTS {n_points} double"
    at = 5 + n_points
    assert text[at] == f"LINES {len(b)} {n_points + len(b)}"
    cells = [list(map(int, row.split())) for row in text[at + 1 : at + 1 + len(b)]]
    assert [cell[0] for cell in cells] == [len(p) for p in b.points]
    assert [i for cell in cells for i in cell[1:]] == list(range(n_points))
    psi = text[text.index("SCALARS psi_deg double 1") + 2 :][: len(b)]
    assert np.allclose([float(v) for v in psi], b.psi_deg, rtol=1e-5, equal_nan=True)
    with pytest.raises(ArgumentError, match=r"written as \.geojson or \.vtk"):
        write_geometry(tmp_path / "n.shp", network)


def test_inclinations_from_a_table(network: BoundaryNetwork, tmp_path: Path) -> None:
    """The table itself is a file of inclinations."""
    n = len(network.boundaries)
    k = int(np.flatnonzero(~network.boundaries.closed)[2])
    angle = np.zeros(n)
    angle[k] = -12.5
    path = write_boundary_table(tmp_path / "b.csv", inclined(network, angle))
    assert np.allclose(np.nan_to_num(read_inclinations(path, n)), angle, atol=1e-4)
    for text, message in {
        "segment,angle\n": "lacks the column 'inclination",
        "segment,inclination (deg)\n0,steep\n": "line 2: expected two numbers",
        f"segment,inclination (deg)\n{n},3\n": f"there is no segment {n}",
    }.items():
        path.write_text(text)
        with pytest.raises(ArgumentError, match=message):
            read_inclinations(path, n)
    with pytest.raises(ArgumentError, match="can't read inclinations"):
        read_inclinations(tmp_path / "none.csv", n)


def test_command_line(network: BoundaryNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grains = write_grain_map(tmp_path / "g.h5", network.grain_map)
    out = [str(tmp_path / name) for name in ("b.h5", "b.csv", "b.geojson", "b.vtk")]
    given = ["boundaries", str(grains), "-o", out[0], "--csv", out[1], "--geometry", out[2], "--geometry", out[3]]
    assert main([*given, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["written"] == out and answer["segments"] == len(network.boundaries)
    assert same(read_network(out[0]), network)
    assert main(given) == 5
    assert "exists already" in capsys.readouterr().err
    assert main([*given, "--overwrite", "--quiet", "--csl-limit", "0", "--smoothing", "8"]) == 0
    settings = read_network(out[0]).settings
    assert settings["csl_limit"] == 0 and settings["smoothing_px"] == 8.0
    assert main(["boundaries", str(grains), "--geometry", "x.svg"]) == 2
    assert "--geometry is written as .geojson or .vtk, got x.svg" in capsys.readouterr().err


def test_boundaries_are_added_to_the_grain_file(
    network: BoundaryNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what was made from older ones goes, but only when asked."""
    grains = write_grain_map(tmp_path / "g.h5", network.grain_map)
    assert main(["boundaries", str(grains), "--quiet"]) == 0
    assert same(read_network(grains), network)
    put_groups(grains, {"blockade": Group(texts={"note": "old"}), "rivals": Group(texts={"note": "kept"})})
    before = grains.read_bytes()
    assert main(["boundaries", str(grains)]) == 5
    assert "has blockade, boundaries already; write to another file (-o) or --overwrite" in capsys.readouterr().err
    assert grains.read_bytes() == before
    table = tmp_path / "tilt.csv"
    k = int(np.flatnonzero(~network.boundaries.closed)[0])
    table.write_text(f"segment,inclination (deg)\n{k},20\n")
    assert main(["boundaries", str(grains), "--overwrite", "--inclinations", str(table)]) == 0
    assert set(read_groups(grains)) == {"map", "grains", "boundaries", "rivals"}
    assert inclination_of(read_network(grains))[k] == pytest.approx(20)
    assert "given for 1 of" in capsys.readouterr().out


def test_wrong_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.h5"
    bad.write_bytes(b"no HDF5")
    assert main(["boundaries", str(bad)]) == 3
    assert main(["boundaries", str(tmp_path / "none.h5")]) == 2
    assert main(["boundaries", str(bad), "--low-angle", "100"]) == 2
    said = capsys.readouterr().err.strip().split("\n")
    assert len(said) == 3 and all(line.startswith("nbedex: ") for line in said)
    assert "low_angle_deg" in said[2]
    assert bad.read_bytes() == b"no HDF5"


def test_figures(network: BoundaryNetwork, tmp_path: Path) -> None:
    written = plot_boundaries(network, tmp_path / "figures", dpi=60)
    assert [p.name for p in written] == [f"boundaries-{kind}.png" for kind in BOUNDARY_FIGURES]
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in written)
    with pytest.raises(OutputError, match="exists already"):
        plot_boundaries(network, tmp_path / "figures", dpi=60)
    for background in ("phases", "white"):
        draw_boundaries(network, kind="csl", background=background)
    with pytest.raises(ArgumentError, match="no confidence to draw"):
        draw_boundaries(network, background="confidence")
    with pytest.raises(ArgumentError, match="expected a background out of"):
        draw_boundaries(network, background="pink")
    with pytest.raises(ArgumentError, match="expected one of disorientation, psi"):
        draw_boundaries(network, kind="theta")


def test_figures_of_metals_leave_planes_out(tmp_path: Path) -> None:
    labels = np.repeat([0, 1], 9)[None].repeat(8, axis=0)
    net = trace_boundaries(grain_map(labels, [MapPhase.of(load_phase("au"))], random_quaternions(2, 4)))
    names = [p.stem for p in plot_boundaries(net, tmp_path, dpi=60)]
    assert names == ["boundaries-disorientation", "boundaries-csl", "boundaries-misorientation-distribution"]
    assert boundary_columns(net)["psi between planes in space (deg)"] == [None]


def test_network_colours_are_the_angles(network: BoundaryNetwork) -> None:
    """Lines of the figure are the segments, coloured by their own angle."""
    import matplotlib
    from matplotlib.collections import LineCollection

    figure = draw_boundaries(network, kind="psi", background="white")
    collections = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    known = np.isfinite(network.boundaries.psi_deg)
    coloured = next(c for c in collections if len(c.get_colors()) == known.sum() and known.sum() > 1)
    expected = matplotlib.colormaps["viridis"](network.boundaries.psi_deg[known] / 90)
    assert np.allclose(coloured.get_colors(), expected, atol=1e-6)
    assert np.allclose(coloured.get_segments()[0], network.boundaries.points[int(np.flatnonzero(known)[0])])


def test_the_grain_file_itself_is_left_alone(network: BoundaryNetwork, tmp_path: Path) -> None:
    grains = write_grain_map(tmp_path / "g.h5", network.grain_map)
    copy = tmp_path / "copy.h5"
    shutil.copy(grains, copy)
    assert main(["boundaries", str(grains), "-o", str(tmp_path / "b.h5"), "--quiet"]) == 0
    assert grains.read_bytes() == copy.read_bytes()
