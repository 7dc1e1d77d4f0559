"""Maps to find grains in: ours, orix's, and files of other programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nbedex.errors import ArgumentError
from nbedex.grains import Role, from_crystal_map, orientation_map, read_orientation_map, with_roles
from nbedex.grains.laue import laue_rotations
from nbedex.maps import (
    Status,
    conjugate,
    disorientation_angle,
    export,
    multiply,
    read_crystal_map,
    rotate,
    rotation_angle,
    to_crystal_map,
    write_result,
)
from nbedex.maps.channel_frame import channel_to_ours
from nbedex.phases import load_phase
from oracles import maps_sample

SHAPE = (6, 8)


def crystal_map(*, point_group: str | None = "-3m", cell=(5.6, 5.6, 33.8, 90, 90, 120), space_group: int | None = None,
                name: str = "Na beta", unit: str = "nm", confidence: str = "ci"):  # fmt: skip
    from diffpy.structure import Lattice, Structure
    from orix.crystal_map import CrystalMap, Phase, PhaseList
    from orix.quaternion import Rotation

    rng = np.random.default_rng(2)
    y, x = (a.ravel() for a in np.indices(SHAPE))
    phase = Phase(
        name=name, point_group=point_group, space_group=space_group, structure=Structure(lattice=Lattice(*cell))
    )
    ids = np.where((y == 2) & (x == 3), -1, 0)
    rotations = Rotation(rng.normal(size=(y.size, 4)))
    return CrystalMap(rotations=rotations, phase_id=ids, x=3.0 * x, y=2.0 * y, phase_list=PhaseList([phase]),
                      scan_unit=unit, prop={confidence: rng.uniform(0, 1, y.size)})  # fmt: skip


def test_a_result_of_ours() -> None:
    result = maps_sample.sample_result((7, 9))
    result.status[3, 4], result.phase_id[3, 4], result.orientation[3, 4] = Status.LOW_SIGNAL, -1, np.nan
    source = orientation_map(result)
    assert source.hole is not None
    assert source.hole[3, 4]
    assert source.step == (result.calibration.step or (1.0, 1.0))
    np.testing.assert_array_equal(source.phase_id, result.phase_id)
    np.testing.assert_array_equal(source.rival_orientation, result.rival_orientation)
    known = result.indexed
    np.testing.assert_allclose(source.confidence[known], result.probability[known])
    result.probability[tuple(np.argwhere(known)[0])] = np.nan
    np.testing.assert_allclose(orientation_map(result).confidence[known], np.clip(result.index[known], 0, 1))
    for mine, phase in zip(source.phases, result.phases, strict=True):
        np.testing.assert_array_equal(mine.symmetry, phase.symmetry_quaternions)
        np.testing.assert_allclose(mine.direct_basis, phase.direct_basis.T)
    with pytest.raises(ArgumentError, match=r"hole must be bool of shape \(7, 9\), got float64 of shape \(7, 9\)"):
        orientation_map(result, hole=np.zeros((7, 9)))


def test_a_crystal_map_pixel_by_pixel() -> None:
    xmap = crystal_map()
    source = from_crystal_map(xmap)
    assert source.shape == SHAPE
    assert source.step == (2.0, 3.0)
    assert source.phase_id[2, 3] == -1
    assert (source.phase_id == -1).sum() == 1
    given = xmap.rotations.data.reshape(*SHAPE, 4)
    dot = np.abs(np.einsum("yxi,yxi->yx", given / np.linalg.norm(given, axis=-1, keepdims=True), source.orientation))
    np.testing.assert_allclose(dot[source.phase_id == 0], 1, atol=1e-12)
    np.testing.assert_allclose(source.confidence, xmap.prop["ci"].reshape(SHAPE), rtol=1e-6)
    (phase,) = source.phases
    assert (phase.name, phase.laue_class, phase.role, phase.conduction_normal) == ("Na beta", "-3m", Role.GRAIN, None)
    np.testing.assert_allclose(phase.direct_basis[1], (-2.8, 5.6 * np.sqrt(3) / 2, 0), atol=1e-9)
    part = from_crystal_map(xmap[1:4, 2:7])
    np.testing.assert_array_equal(part.orientation, source.orientation[1:4, 2:7])


def test_lines_of_points() -> None:
    """Maps of one row or one column."""
    source = from_crystal_map(crystal_map())
    for rows, columns in ((slice(1, 2), slice(None)), (slice(None), slice(4, 5))):
        line = from_crystal_map(crystal_map()[rows, columns])
        np.testing.assert_array_equal(line.phase_id, source.phase_id[rows, columns])
        assert line.step_known


def test_a_phase_of_ours_by_name() -> None:
    source = from_crystal_map(crystal_map(), phases={"Na beta": load_phase("beta2-alumina")})
    (phase,) = source.phases
    assert phase.name == "Na beta"
    assert phase.conducts_sodium
    np.testing.assert_allclose(phase.conduction_normal, (0, 0, 1))
    assert phase.centring == "R"
    with pytest.raises(ArgumentError, match="the map has no phase 'beta'; it has 'Na beta'"):
        from_crystal_map(crystal_map(), phases={"beta": load_phase("beta2-alumina")})
    with pytest.raises(ArgumentError, match="'Na beta' of the map has the Laue class -3m, au has m-3m; they can't"):
        from_crystal_map(crystal_map(), phases={"Na beta": load_phase("au")})
    roles = with_roles(source, {"Na beta": "insulator"})
    assert roles.phases[0].role is Role.INSULATOR
    with pytest.raises(
        ArgumentError, match="expected grain, insulator, electrode as the role of 'Na beta', got 'wall'"
    ):
        with_roles(source, {"Na beta": "wall"})


@pytest.mark.parametrize(
    ("cell", "axis"),
    [((15.6, 9.0, 9.2, 90, 123.7, 90), "b"), ((15.6, 9.0, 9.2, 90, 90, 110), "c"), ((5, 6, 7, 90, 90, 90), "b")],
)
def test_monoclinic_axis_comes_from_the_cell_not_from_orix(cell: tuple[float, ...], axis: str) -> None:
    (phase,) = from_crystal_map(crystal_map(point_group="2/m", cell=cell)).phases
    np.testing.assert_allclose(phase.symmetry, laue_rotations("2/m", unique_axis=axis))


def test_nzsp_through_orix_keeps_its_symmetry() -> None:
    """Two symmetry-equal orientations of NZSP, which orix 0.15 takes for 180 degrees apart."""
    nzsp = load_phase("nzsp")
    (phase,) = from_crystal_map(crystal_map(point_group=None, space_group=15, cell=nzsp.cell)).phases
    q = np.array([0.5, 0.1, -0.7, 0.2]) / np.linalg.norm([0.5, 0.1, -0.7, 0.2])
    same = multiply(nzsp.symmetry_quaternions[1], q)
    assert disorientation_angle(q, same, phase.symmetry) < 1e-9
    assert np.rad2deg(rotation_angle(multiply(same, conjugate(q)))) == pytest.approx(180)


def test_trigonal_settings() -> None:
    (phase,) = from_crystal_map(crystal_map(point_group=None, space_group=162)).phases
    np.testing.assert_allclose(phase.symmetry, laue_rotations("-3m", space_group=162))
    with pytest.raises(ArgumentError, match=r"'Na beta' of the map is trigonal on rhombohedral axes; say which phase"):
        from_crystal_map(crystal_map(cell=(9, 9, 9, 71, 71, 71)))
    with pytest.raises(ArgumentError, match="'Na beta' of the map names no symmetry; say which phase it is"):
        from_crystal_map(crystal_map(point_group=None))


def test_step_and_confidence_options() -> None:
    assert from_crystal_map(crystal_map(unit="um")).step == (2000.0, 3000.0)
    unknown = from_crystal_map(crystal_map(unit="px"))
    assert (unknown.step, unknown.step_known) == ((1.0, 1.0), False)
    assert from_crystal_map(crystal_map(unit="px"), step=(4.0, 5.0)).step == (4.0, 5.0)
    assert from_crystal_map(crystal_map(confidence="MAD")).confidence is None
    assert from_crystal_map(crystal_map(confidence="MAD"), confidence="MAD").confidence is not None
    with pytest.raises(ArgumentError, match="the map has no property 'BC' to take as confidence; it has ci"):
        from_crystal_map(crystal_map(), confidence="BC")
    with pytest.raises(ArgumentError, match=r"step must be two positive lengths \(Y, X\) in nm, got \(0, 1\)"):
        from_crystal_map(crystal_map(), step=(0, 1))
    many = crystal_map(confidence="iq")
    many.prop["iq"] = 100 * many.prop["iq"]
    with pytest.raises(ArgumentError, match="a confidence lies between 0 and 1; property 'iq' goes up to"):
        from_crystal_map(many, confidence="iq")


@pytest.mark.parametrize(
    ("format", "name"), [("orix", "m.h5"), ("ang", "m.ang"), ("ang-tsl", "m.ang"), ("ctf", "m.ctf")]
)
def test_our_result_through_other_formats(tmp_path: Path, format: str, name: str) -> None:
    """What was exported comes back the same, with our phases named; angles to the rounding of the format."""
    result = maps_sample.sample_result((8, 9))
    write_result(tmp_path / "ours.h5", result)
    direct = read_orientation_map(tmp_path / "ours.h5")
    assert direct.origin["file"] == "ours.h5"
    assert len(direct.origin["sha256"]) == 64
    export(result, tmp_path / name, to=format)
    names = {p.name for p in from_crystal_map(to_crystal_map(result), phases={}).phases}
    ours = {phase.name: phase for phase in result.phases if phase.name in names}
    back = read_orientation_map(tmp_path / name, phases=ours)
    by_name = {phase.name: number for number, phase in enumerate(back.phases)}
    for number, phase in enumerate(direct.phases):
        mine = direct.phase_id == number
        if not mine.any():
            continue
        np.testing.assert_array_equal(mine, back.phase_id == by_name[phase.name])
        away = disorientation_angle(direct.orientation[mine], back.orientation[mine], phase.symmetry)
        assert np.rad2deg(away).max() < 0.02
        assert back.phases[by_name[phase.name]].role == phase.role
    if direct.step_known and format != "orix":
        np.testing.assert_allclose(back.step, direct.step, rtol=1e-3)
    with pytest.raises(ArgumentError, match=r"ours\.h5 is a result of nbedex: phases, confidence and step are in it"):
        read_orientation_map(tmp_path / "ours.h5", step=(1, 1))


@pytest.mark.parametrize(
    ("laue_class", "cell", "axis", "degrees"),
    [
        ("6/mmm", (3.2, 3.2, 5.2, 90, 90, 120), (0, 0, 1), 30),
        ("m-3m", (4, 4, 4, 90, 90, 90), (0, 0, 1), 0),
        ("2/m", (15.6, 9.0, 9.2, 90, 123.7, 90), (0, 1, 0), 33.7),
    ],
)
def test_frame_of_channel_files(
    laue_class: str, cell: tuple[float, ...], axis: tuple[int, ...], degrees: float
) -> None:
    """a* lies 30 degrees from a towards b in a hexagonal cell, and beta - 90 from it in a monoclinic one."""
    (phase,) = from_crystal_map(crystal_map(point_group=laue_class, cell=cell)).phases
    turn = channel_to_ours(phase.direct_basis, phase.laue_class)
    np.testing.assert_allclose(np.rad2deg(rotation_angle(turn)), degrees, atol=1e-6)
    if degrees:
        np.testing.assert_allclose(np.abs(turn[1:]) / np.linalg.norm(turn[1:]), axis, atol=1e-9)
    assert phase.direct_basis is not None
    # X of Channel's frame, in ours: a*, normal to b and c, not to a
    x = rotate(turn, np.array([1.0, 0, 0]))
    np.testing.assert_allclose(phase.direct_basis[1:] @ x, 0, atol=1e-9)
    assert phase.direct_basis[0] @ x > 0
    np.testing.assert_allclose(np.cross(rotate(turn, np.array([0, 1.0, 0])), phase.direct_basis[1]), 0, atol=1e-9)


def test_channel_files_are_written_and_read_in_their_frame(tmp_path: Path) -> None:
    """The rotation in the text is not ours but that of the file's frame; reading turns it back."""
    result = maps_sample.sample_result((5, 6))
    export(result, tmp_path / "map.ctf", to="ctf")
    raw = np.asarray(read_crystal_map(tmp_path / "map.ctf").rotations.data).reshape(5, 6, 4)
    back = read_orientation_map(tmp_path / "map.ctf")
    degrees = {"-3m": 30.0, "2/m": 33.7, "4/mmm": 0.0}
    for number, phase in enumerate(result.phases):
        mine = result.phase_id == number
        off = rotation_angle(multiply(result.orientation[mine], conjugate(raw[mine])))
        np.testing.assert_allclose(np.rad2deg(off), degrees[phase.laue_class], atol=0.1)
        away = rotation_angle(multiply(result.orientation[mine], conjugate(back.orientation[mine])))
        np.testing.assert_allclose(np.rad2deg(away), 0, atol=0.02)
