"""Places, roles and conductivities: from a map to a problem; and every bad input with its message."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.grains import Role
from nbedex.transport import (
    Electrode,
    RegionMap,
    TransportSettings,
    build_problem,
    check_problem,
    edge_problem,
    regions_from_table,
    simple_structure,
    solve,
)

KINDS = "left, right, top, bottom, rect, disc, polygon, region, phase, mask"
LEFT, RIGHT = Electrode(where="left", potential=1.0), Electrode(where="right", potential=0.0)


def region_map(region: Any = None, **more: Any) -> RegionMap:
    """Two beta grains, gold, zirconia in an 8 x 12 map of 2 nm (rows) by 3 nm (columns)."""
    if region is None:
        region = np.zeros((8, 12), dtype=int)
        region[:, 6:] = 1
        region[:2, 10:] = 2
        region[5:7, 2:4] = 3
    values: dict[str, Any] = {
        "region": region,
        "step": (2.0, 3.0),
        "role": np.array([Role.GRAIN, Role.GRAIN, Role.ELECTRODE, Role.INSULATOR], dtype=np.int8),
        "phase": ("beta", "beta", "gold", "zirconia"),
        "normal": np.array([[0, 1, 0], [1, 0, 0], [np.nan] * 3, [np.nan] * 3], dtype=float),
        "conducts_sodium": np.array([True, True, False, False]),
    }
    return RegionMap(**(values | more))


def refused(message: str, *electrodes: Electrode, regions: RegionMap | None = None, **more: Any) -> None:
    with pytest.raises(ArgumentError, match=f"^{re.escape(message)}$"):
        check_problem(build_problem(regions or region_map(), electrodes, **more))


def test_no_electrode() -> None:
    refused("no electrode: give at least two, for example --electrode top:10-40 --ground right")
    refused("only one electrode (left): current needs a second one to leave by, for example --ground right", LEFT)


def test_electrodes_on_one_isolated_region() -> None:
    """Both stand on an island of 4 x 3 cells; most of the map is beyond its insulating rim."""
    region = np.zeros((8, 12), dtype=int)
    region[:5, :4] = 3
    region[:4, :3] = 1
    electrodes = (Electrode(where="top:0-3", potential=1.0), Electrode(where="left:6-8", potential=0.0))
    message = (
        "electrodes top:0-3 and left:6-8 are on an isolated region of 12 cells; the largest conductor, 76 cells, is cut"
        " off from them. Move an electrode, or accept it with --allow-isolated"
    )
    refused(message, *electrodes, regions=region_map(region))
    solution = solve(build_problem(region_map(region), electrodes), TransportSettings(allow_isolated=True))
    assert solution.connected.floating_cells == 76
    assert solution.connected.floating_regions == 1
    assert np.isnan(solution.potential[6:]).all()
    assert np.isfinite(solution.potential[:4, :3]).all()
    assert (solution.current_density[6:] == 0).all()


def test_electrodes_without_a_path_between() -> None:
    region = np.zeros((8, 12), dtype=int)
    region[:, 5] = 3
    refused(
        "no conducting path between electrodes left and right: they are on regions isolated from one another",
        LEFT, RIGHT, regions=region_map(region),
    )  # fmt: skip


def test_electrode_on_nothing() -> None:
    region = np.zeros((8, 12), dtype=int)
    region[:, :2] = 3
    message = "electrode left touches no conductor; move it to grains, or give its phase a conductivity"
    refused(message, LEFT, RIGHT, regions=region_map(region))


@pytest.mark.parametrize("value", [0.0, -2.0])
def test_zero_or_negative_conductivity(value: float) -> None:
    structure = simple_structure(np.zeros((3, 3), dtype=int), in_plane=[value])
    with pytest.raises(ArgumentError) as caught:
        solve(edge_problem(structure, left=1.0, right=0.0))
    assert str(caught.value) == (
        f"conductivities must be positive, got {value:g} S/m along the planes of region 0; what doesn't conduct is an"
        " insulator"
    )
    with pytest.raises(ArgumentError) as caught:
        TransportSettings(phases={"beta": value})
    assert str(caught.value) == (
        f"phases: conductivities of beta must be positive, got {value:g} S/m; list it as an insulator if it doesn't"
        " conduct"
    )
    with pytest.raises(ArgumentError, match="in_plane"):
        TransportSettings(in_plane=value)
    across = simple_structure(np.zeros((3, 3), dtype=int), normal=[[0, 1, 0]], in_plane=[1.0], out_of_plane=[value])
    with pytest.raises(ArgumentError, match=f"got {value:g} S/m across the planes of region 0"):
        solve(edge_problem(across, left=1.0, right=0.0))


def test_overlapping_roles() -> None:
    disc = Electrode(where="disc:0,0,5", potential=1.0)
    refused(
        "roles overlap: 4 cells are of both electrodes disc:0,0,5 and rect:0,0,3,2",
        disc, Electrode(where="rect:0,0,3,2", potential=0.0),
    )  # fmt: skip
    refused(
        "roles overlap: 3 cells are of both electrodes top and top:9-18", Electrode(where="top", potential=1.0),
        Electrode(where="top:9-18", potential=0.0),
    )  # fmt: skip
    refused(
        "roles overlap: 4 cells are both insulator rect:0,0,3,2 and electrode disc:0,0,5", disc, RIGHT,
        insulators=["rect:0,0,3,2"],
    )  # fmt: skip


def test_touching_electrodes() -> None:
    message = "electrodes {} and {} touch each other, which is a short circuit; leave a gap"
    first, second = "rect:0,0,3,2", "rect:6,0,9,2"
    refused(
        message.format(first, second), Electrode(where=first, potential=1.0), Electrode(where=second, potential=0.0)
    )
    refused(message.format("left", "top"), LEFT, Electrode(where="top", potential=0.0))
    refused(message.format(first, "left"), Electrode(where=first, potential=0.0), LEFT)


def test_phases_without_conductivity() -> None:
    regions = region_map(role=np.array([Role.GRAIN] * 4, dtype=np.int8))
    refused(
        "phases without conductivity: gold (1 regions), zirconia (1 regions); give each, for example --conductivity"
        " gold=0.1, or make it an insulator with --insulator phase:gold",
        LEFT, RIGHT, regions=regions,
    )  # fmt: skip
    problem = build_problem(
        regions, [LEFT, RIGHT], TransportSettings(phases={"gold": 5.0}), insulators=["phase:zirconia"]
    )
    check_problem(problem)
    assert problem.structure.in_plane[2] == 5.0
    assert not problem.conducts[5, 2]


def test_conductivities_that_do_not_fit_the_map() -> None:
    with pytest.raises(
        ArgumentError, match=r"^conductivity given for nzsp, but the map's phases are beta, gold, zirconia$"
    ):
        build_problem(region_map(), [LEFT, RIGHT], TransportSettings(phases={"nzsp": 1.0}))
    regions = region_map(role=np.array([Role.GRAIN] * 4, dtype=np.int8))
    with pytest.raises(
        ArgumentError, match=r"^phase gold has no conduction planes, so expected one conductivity, got two"
    ):
        build_problem(regions, [LEFT, RIGHT], TransportSettings(phases={"gold": (1.0, 0.1), "zirconia": 1.0}))


def test_all_at_one_potential_and_unbalanced_currents() -> None:
    both = "all electrodes have the same potential, so no current flows; set one apart with =VOLTS"
    refused(both, LEFT, Electrode(where="right", potential=1.0))
    refused(
        "currents of all electrodes are given but add up to 1 A, not 0; give one a potential",
        Electrode(where="left", current=3.0), Electrode(where="right", current=-2.0),
    )  # fmt: skip
    with pytest.raises(ArgumentError, match=r"^electrode 'left' needs either a potential or a current, and not both$"):
        Electrode(where="left", potential=1.0, current=1.0)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("nowhere", "expected a place that starts with one of " + KINDS + ", got 'nowhere'"),
        ("top:4", "expected FROM-TO such as top:10-40 or top:10%-40%, got 'top:4'"),
        ("top:a-b", "expected FROM-TO such as top:10-40 or top:10%-40%, got 'top:a-b'"),
        ("top:90-99", "'top:90-99' holds no cell of that edge, which runs from 0 to 36 nm"),
        ("rect:1,2,3", "expected rect:X0,Y0,X1,Y1 in nm, got 'rect:1,2,3'"),
        ("disc:1,2,-3", "expected disc:X,Y,RADIUS in nm, got 'disc:1,2,-3'"),
        ("disc:900,2,3", "'disc:900,2,3' holds no cell of the map"),
        ("disc:1,nan,3", "expected finite numbers, got 'disc:1,nan,3'"),
        ("region:x", "expected a whole number after the colon, got 'region:x'"),
        ("phase:iron", "'phase:iron': the map has no phase 'iron'; it has beta, gold, zirconia"),
        ("mask:1", "'mask:1' needs a mask image (--mask)"),
    ],
)  # fmt: skip
def test_places_that_are_none(where: str, message: str) -> None:
    refused(message, Electrode(where=where, potential=1.0), RIGHT)


def test_places() -> None:
    """Cells of every kind of place, on a map that is not square with pixels that are not."""
    mask = np.zeros((8, 12), dtype=int)
    mask[7, 11] = 4
    kinds = {
        "rect:3,2,6,4": [(1, 1), (1, 2), (2, 1), (2, 2)],
        "disc:9,4,2.5": [(1, 3), (2, 3), (3, 3)],
        "polygon:-1,5,5,5,-1,9": [(3, 0), (3, 1), (4, 0)],
        "region:2": [(0, 10), (0, 11), (1, 10), (1, 11)],
        "phase:zirconia": [(5, 2), (5, 3), (6, 2), (6, 3)],
        "mask:4": [(7, 11)],
    }
    for where, cells in kinds.items():
        problem = build_problem(region_map(), [Electrode(where=where, potential=1.0)], mask=mask)
        assert [tuple(cell) for cell in np.argwhere(problem.of_cell == 0).tolist()] == cells, where
    edges = {"top:3-9": ("top", [1, 2]), "left:25%-50%": ("left", [2, 3]), "bottom": ("bottom", list(range(12)))}
    for where, (edge, faces) in edges.items():
        problem = build_problem(region_map(), [Electrode(where=where, potential=1.0)])
        assert np.flatnonzero(problem.of_edge[edge] == 0).tolist() == faces, where


def test_backbone_and_its_coordinates() -> None:
    """Frame of two columns left, one right, three rows on top: places stay where they were on the map."""
    settings = TransportSettings(backbone=(6.0, 3.0, 6.0, 0.0))
    problem = build_problem(region_map(), [Electrode(where="region:2", potential=1.0), LEFT], settings)
    structure = problem.structure
    assert structure.shape == (11, 15)
    assert structure.origin == (-6.0, -6.0)
    assert np.argwhere(problem.of_cell == 0)[0].tolist() == [3, 12]
    assert structure.in_plane[4] == pytest.approx(1 / 250)
    assert not structure.grain[4]
    assert structure.name[4] == "backbone"
    top = build_problem(region_map(), [Electrode(where="top:0-6", potential=1.0)], settings)
    assert np.flatnonzero(top.of_edge["top"] == 0).tolist() == [2, 3]


def test_pixel_size_independent_of_the_map() -> None:
    problem = build_problem(region_map(), [LEFT, RIGHT], TransportSettings(pixel=1.0))
    assert problem.structure.shape == (16, 36)
    assert problem.structure.step == (1.0, 1.0)
    assert problem.structure.origin == (-1.0, -0.5)
    assert np.array_equal(problem.structure.labels, np.kron(region_map().region, np.ones((2, 3), dtype=int)))
    refined = build_problem(region_map(), [LEFT, RIGHT]).refined(3).structure
    assert refined.step == pytest.approx((2 / 3, 1.0))
    assert refined.origin == pytest.approx((-1.0, -2 / 3))


def test_given_currents() -> None:
    """One electrode with a current, one with none (a probe), one at a potential: the circuit of conductances."""
    probe = Electrode(where="top:9-15", current=0.0)
    problem = build_problem(region_map(), [Electrode(where="left", current=2e-9), probe, RIGHT])
    solution = solve(problem)
    assert solution.electrode_current == pytest.approx([2e-9, 0.0, -2e-9], abs=1e-18)
    assert solution.electrode_potential[2] == 0.0
    assert 0 < solution.electrode_potential[1] < solution.electrode_potential[0]
    again = [Electrode(where="left", potential=float(solution.electrode_potential[0])), probe, RIGHT]
    assert solve(build_problem(region_map(), again)).electrode_current == pytest.approx(solution.electrode_current)
    alone = solve(
        build_problem(region_map(), [Electrode(where="left", current=2e-9), Electrode(where="right", current=-2e-9)])
    )
    assert alone.electrode_potential[1] == 0.0


def test_metal_of_the_map_that_is_no_electrode_blocks() -> None:
    problem = build_problem(region_map(), [LEFT, Electrode(where="bottom:50%-100%", potential=0.0)])
    assert not problem.conducts[0, 10]
    assert solve(problem).current_density[0, 10].tolist() == [0.0, 0.0]


def test_not_indexed() -> None:
    regions = region_map(role=np.array([Role.GRAIN, Role.NOT_INDEXED, Role.ELECTRODE, Role.INSULATOR], dtype=np.int8))
    problem = build_problem(regions, [LEFT, RIGHT])
    assert problem.structure.notes == ("45.8 % of the map is not indexed and was taken as insulating",)
    problem = build_problem(regions, [LEFT, RIGHT], TransportSettings(not_indexed=0.02))
    assert problem.structure.in_plane[1] == 0.02
    assert problem.structure.notes == ("45.8 % of the map is not indexed and was given 0.02 S/m",)


def test_table_of_regions(tmp_path: Path) -> None:
    table = tmp_path / "regions.csv"
    table.write_text("label,phase,normal_x,normal_y,normal_z,role,error_deg\n7,beta,0,3,4,,0.5\n2,au,,,,electrode,\n")
    regions = regions_from_table(np.array([[7, 2], [-1, 7]]), table, step=(1.0, 1.0))
    assert regions.region.tolist() == [[1, 0], [-1, 1]]
    assert regions.phase == ("au", "beta")
    assert regions.normal[1] == pytest.approx([0, 0.6, 0.8])
    assert regions.role.tolist() == [Role.ELECTRODE, Role.GRAIN]
    with pytest.raises(ArgumentError, match=r"has no row for label 3, which the image holds$"):
        regions_from_table(np.array([[3]]), table, step=(1.0, 1.0))
    for text, message in {
        "label,phase\n1,a\n": "expected the columns label, phase, normal_x, normal_y, normal_z; normal_x, normal_y",
        "label,phase,normal_x,normal_y,normal_z\nx,a,0,0,1\n": "line 2: can't be understood",
        "label,phase,normal_x,normal_y,normal_z\n1,a,0,0,0\n": "line 2: expected a new label and three numbers",
        "label,phase,normal_x,normal_y,normal_z,role\n1,a,0,0,1,king\n": "line 2: can't be understood",
    }.items():
        table.write_text(text)
        with pytest.raises(DataFormatError, match=message):
            regions_from_table(np.array([[1]]), table, step=(1.0, 1.0))
    with pytest.raises(ArgumentError, match="found no file"):
        regions_from_table(np.array([[1]]), tmp_path / "none.csv", step=(1.0, 1.0))
