"""Exports read back by orix, and their text compared with what the formats demand."""

from __future__ import annotations

import csv
import importlib.util
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nbedex.errors import ArgumentError, DataFormatError, OutputError
from nbedex.maps import (
    FORMATS,
    SUFFIXES,
    IndexingResult,
    ResultReader,
    Status,
    bands,
    disorientation_angle,
    export,
    to_crystal_map,
    write_result,
)
from nbedex.maps.channel_frame import channel_to_ours
from nbedex.maps.csv_table import csv_cell
from nbedex.maps.orientation import from_euler, misorientation, multiply, rotation_angle
from nbedex.maps.table import channel_code, edax_code, plain_name
from nbedex.maps.text import join_rows, number_column, text_column

_spec = importlib.util.spec_from_file_location("maps_sample", Path(__file__).parents[1] / "oracles" / "maps_sample.py")
assert _spec and _spec.loader
maps_sample = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(maps_sample)
sample_result = maps_sample.sample_result

# format -> first phase number, nm per unit, worst rounding of an orientation in degrees
ORIX_READS = {
    "orix": (0, 1.0, 1e-9),
    "ang": (1, 1.0, 1e-3),
    "ang-tsl": (1, 1e3, 1e-3),
    "ctf": (1, 1e3, 2e-4),
}


def load(path: Path, to: str) -> Any:
    from orix import io

    name = path.with_suffix(SUFFIXES[to][0])
    path.rename(name)
    return io.load(str(name))


def written(tmp_path: Path, result: IndexingResult | ResultReader, to: str, **options: Any) -> Path:
    return export(result, tmp_path / f"map{SUFFIXES[to][0]}", to=to, **options)


@pytest.mark.parametrize("to", ORIX_READS)
@pytest.mark.parametrize(("shape", "step"), [((11, 17), (2.0, 1.5)), ((7, 9), (0.3337, 12.3)), ((6, 5), None)])
def test_orix_reads_the_same_map(tmp_path: Path, to: str, shape: Any, step: Any) -> None:
    first, unit, rounding = ORIX_READS[to]
    result = sample_result(shape, step=step)
    xmap = load(written(tmp_path, result, to), to)
    assert xmap.shape == shape
    dy, dx = step or (1.0, 1.0)
    unit = unit if step else 1.0
    assert xmap.dy * unit == pytest.approx(dy, abs=2e-4) and xmap.dx * unit == pytest.approx(dx, abs=2e-4)
    x = np.asarray(xmap.x).reshape(shape) * unit
    y = np.asarray(xmap.y).reshape(shape) * unit
    np.testing.assert_allclose(x, np.arange(shape[1]) * dx * np.ones(shape), atol=1e-4)
    np.testing.assert_allclose(y, np.arange(shape[0])[:, None] * dy * np.ones(shape), atol=1e-4)
    indexed = result.indexed.ravel()
    expected = np.where(indexed, result.phase_id.ravel() + first, -1)
    assert (xmap.phase_id == expected).all() and not indexed.all()
    read = np.asarray(xmap.rotations.data)[indexed]
    if to == "ctf":  # orix takes the file's crystal frame, X || a*, as it stands
        frames = [channel_to_ours(phase.direct_basis.T, phase.laue_class) for phase in result.phases]
        read = multiply(np.array(frames)[result.phase_id[result.indexed]], read)
    turned = misorientation(read, result.orientation[result.indexed])
    assert np.rad2deg(rotation_angle(turned)).max() < rounding


@pytest.mark.parametrize("to", ORIX_READS)
def test_orix_reads_the_same_phases(tmp_path: Path, to: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = sample_result((12, 12))
    xmap = load(written(tmp_path, result, to), to)
    assert capsys.readouterr().out == ""  # orix renames phases with a formula, and says so
    first = ORIX_READS[to][0]
    for number, phase in enumerate(result.phases):
        read = xmap.phases[number + first]
        assert read.name == phase.name
        lattice = read.structure.lattice
        np.testing.assert_allclose(lattice.abcABG(), phase.cell, atol=6e-4)
        if to in ("orix", "ctf") and phase.laue_class != "2/m":
            assert read.space_group.number == phase.space_group
    groups = [xmap.phases[n + first].point_group.laue.name for n in range(3)]
    assert groups == ["-3m", "2/m", "4/mmm"]


@pytest.mark.parametrize("to", ["ang", "ang-tsl"])
def test_orix_reads_the_axis_along_b(tmp_path: Path, to: str) -> None:
    """Code 20: orix has the two-fold axis of NZSP along b then, as it is."""
    xmap = load(written(tmp_path, sample_result((12, 12)), to), to)
    group = xmap.phases[2].point_group
    assert group.name == "121"
    np.testing.assert_allclose(np.abs(group[1].axis.data), [[0, 1, 0]], atol=1e-12)


def test_orix_reads_the_same_scores(tmp_path: Path) -> None:
    result = sample_result((11, 17))
    ok = result.indexed.ravel()
    index, rel = result.index.ravel(), np.nan_to_num(result.reliability.ravel(), nan=100.0)
    ang = load(written(tmp_path, result, "ang"), "ang")
    np.testing.assert_allclose(ang.prop["ind"][ok], 100 * index[ok], atol=6e-4)
    np.testing.assert_allclose(ang.prop["rel"][ok], rel[ok] / 100, atol=6e-6)
    np.testing.assert_allclose(ang.prop["relx100"][ok], rel[ok], atol=0.06)
    assert (ang.prop["rel"][~ok] == -1).all() and (ang.prop["ind"][~ok] == 0).all()
    tsl = load(written(tmp_path, result, "ang-tsl", overwrite=True), "ang-tsl")
    np.testing.assert_allclose(tsl.prop["iq"][ok], 100 * index[ok], atol=6e-4)
    np.testing.assert_allclose(tsl.prop["ci"][ok], rel[ok] / 100, atol=6e-6)
    ctf = load(written(tmp_path, result, "ctf"), "ctf")
    np.testing.assert_allclose(ctf.prop["BC"][ok], 100 * index[ok], atol=0.51)
    np.testing.assert_allclose(ctf.prop["MAD"][ok], rel[ok] / 100, atol=6e-5)
    assert (ctf.prop["error"] == np.where(ok, 0, 3)).all()
    assert (ctf.prop["bands"] == np.where(ok, 6, 0)).all()


def test_orix_file_has_every_property(tmp_path: Path) -> None:
    result = sample_result((5, 4))
    xmap = load(written(tmp_path, result, "orix"), "orix")
    assert xmap.scan_unit == "nm"
    expected = {
        "index": result.index,
        "correlation": result.index,
        "reliability": result.reliability,
        "phase_reliability": result.phase_reliability,
        "mirror_margin": result.mirror_margin,
        "half_turn_margin": result.half_turn_margin,
        "probability": result.probability,
        "uncertainty_deg": result.uncertainty_deg,
        "status": result.status,
        "template_index": result.template_id,
        "mirrored": result.mirrored,
        "center_row": result.center[..., 0],
        "center_col": result.center[..., 1],
        "phase_score_beta2-alumina": result.phase_score[..., 0],
        "phase_score_nzsp": result.phase_score[..., 1],
        "phase_score_na2au": result.phase_score[..., 2],
    }
    assert set(xmap.prop) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(xmap.prop[name], values.ravel(), err_msg=name)


def test_crystal_map_in_memory() -> None:
    result = sample_result((9, 7), step=None)
    xmap = to_crystal_map(result)
    assert xmap.scan_unit == "px" and xmap.dx == xmap.dy == 1
    assert len({phase.color for _, phase in xmap.phases}) == 4  # three and not_indexed
    nzsp = xmap["nzsp"].orientations
    ours = result.orientation[result.phase_id == 1]
    angles = disorientation_angle(ours[0], ours, result.phases[1].symmetry_quaternions)
    np.testing.assert_allclose(nzsp[0].angle_with(nzsp).squeeze(), angles, atol=1e-6)


def test_crystal_map_with_rivals() -> None:
    result = sample_result((9, 7))
    xmap = to_crystal_map(result, rotations_per_point=3)
    assert xmap.rotations_per_point == 3
    ids = result.rival_phase_id.reshape(-1, 3)
    assert (xmap.prop["rival_phase_id"] == ids).all() and (ids[:, 2] == -1).any()
    data = np.asarray(xmap.rotations.data)
    there = ids >= 0
    np.testing.assert_allclose(data[there], result.rival_orientation.reshape(-1, 3, 4)[there], atol=1e-15)
    assert (data[~there] == (1, 0, 0, 0)).all()
    for bad in (0, 4):
        with pytest.raises(ArgumentError, match=f"rotations_per_point must lie between 1 and 3 .* got {bad}"):
            to_crystal_map(result, rotations_per_point=bad)


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1)])
def test_narrow_maps(tmp_path: Path, to: str, shape: tuple[int, int]) -> None:
    path = written(tmp_path, sample_result(shape), to)
    if to in ("ang", "ctf", "csv"):
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        assert len(lines) == shape[0] * shape[1] + {"ang": 0, "ctf": 17, "csv": 1}[to]


@pytest.mark.parametrize("to", ORIX_READS)
def test_nothing_indexed(tmp_path: Path, to: str) -> None:
    result = sample_result((3, 4))
    empty = IndexingResult.empty((3, 4), result.phases, result.calibration)
    xmap = load(written(tmp_path, empty, to), to)
    assert (xmap.phase_id == -1).all()


@pytest.mark.parametrize("to", ORIX_READS)
def test_one_phase_does_not_occur(tmp_path: Path, to: str) -> None:
    """The last phase keeps its name and number where the middle one is nowhere."""
    result = sample_result((6, 7))
    gone = result.phase_id == 1
    result.phase_id[gone], result.status[gone] = -1, Status.NO_MATCH
    result.orientation[gone] = np.nan
    xmap = load(written(tmp_path, result, to), to)
    first = ORIX_READS[to][0]
    assert xmap.phases[2 + first].name == "na2au"
    assert (xmap.phase_id == np.where(result.indexed, result.phase_id + first, -1).ravel()).all()


@pytest.mark.parametrize("to", FORMATS)
def test_cut_offs_make_pixels_not_indexed(tmp_path: Path, to: str) -> None:
    result = sample_result((8, 9))
    keep = result.accepted(min_index=0.5, min_reliability=20)
    path = written(tmp_path, result, to, min_index=0.5, min_reliability=20)
    if to == "csv":
        with open(path, newline="") as stream:
            numbers = [int(row["phase_number"]) for row in csv.DictReader(stream)]
        assert (np.array(numbers) > 0).tolist() == keep.ravel().tolist()
    else:
        assert (load(path, to).is_indexed == keep.ravel()).all()


def test_csv_holds_everything(tmp_path: Path) -> None:
    result = sample_result((5, 8))
    with open(written(tmp_path, result, "csv"), newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 40
    for row in rows:
        at = int(row["row"]), int(row["column"])
        assert float(row["y_nm"]) == pytest.approx(2.0 * at[0]) and float(row["x_nm"]) == pytest.approx(1.5 * at[1])
        assert row["status"] == Status(result.status[at]).name
        assert int(row["phase_number"]) == result.phase_id[at] + 1
        assert int(row["template"]) == result.template_id[at] and int(row["mirrored"]) == result.mirrored[at]
        assert float(row["center_column_px"]) == pytest.approx(result.center[at][1], abs=6e-5)
        for name, array in (
            ("index", result.index),
            ("reliability_percent", result.reliability),
            ("mirror_margin_percent", result.mirror_margin),
            ("score_na2au", result.phase_score[..., 2]),
        ):
            text = row[name]
            assert (text == "") == bool(np.isnan(array[at]))
            assert text == "" or float(text) == pytest.approx(array[at], abs=6e-5)
        if result.indexed[at]:
            assert row["phase"] == result.phases[result.phase_id[at]].name
            q = np.array([float(row[f"q{n}"]) for n in "wxyz"])
            np.testing.assert_allclose(q, result.orientation[at], atol=1e-9)
            euler = np.deg2rad([float(row[f"{n}_deg"]) for n in ("phi1", "Phi", "phi2")])
            assert rotation_angle(misorientation(q, from_euler(euler))) < 1e-6
        else:
            assert row["phase"] == row["qw"] == row["phi1_deg"] == ""


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("nzsp", "nzsp"),
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("@SUM(1)", "'@SUM(1)"),
        (" -2", "' -2"),
        ("a,b", '"a,b"'),
        ('say "x"', '"say ""x"""'),
        ("two\nlines\t", '"two lines "'),
        ("β″", "β″"),
    ],
)
def test_csv_cells_are_harmless(tmp_path: Path, name: str, cell: str) -> None:
    assert csv_cell(name) == cell
    result = sample_result((4, 4))
    result.phases = (replace(result.phases[0], name=name), *result.phases[1:])
    with open(written(tmp_path, result, "csv"), newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert {len(row) for row in rows} == {len(rows[0])} and len(rows) == 17
    assert not any(text.lstrip()[:1] in ("=", "+", "@") for row in rows for text in row)


@pytest.mark.parametrize("to", ["ang", "ang-tsl", "ctf", "orix"])
def test_strange_names(tmp_path: Path, to: str) -> None:
    result = sample_result((6, 6))
    names = ("# Phase 9\n# Symmetry 43", "a\tb; β″/x", "a\tb; β″/x")
    result.phases = tuple(replace(p, name=n) for p, n in zip(result.phases, names, strict=True))
    xmap = load(written(tmp_path, result, to), to)
    first = ORIX_READS[to][0]
    assert sorted(i for i in xmap.phases.ids if i >= 0) == [first, first + 1, first + 2]
    assert (xmap.is_indexed == result.indexed.ravel()).all()
    assert xmap.phases[first].point_group.laue.name == "-3m"


def test_formats_and_names_are_checked(tmp_path: Path) -> None:
    result = sample_result((2, 2))
    with pytest.raises(ArgumentError, match=r"expected one of orix, ang, ang-tsl, ctf, csv .* got 'xls'"):
        export(result, tmp_path / "map.xls", to="xls")
    with pytest.raises(ArgumentError, match=r"'orix' must end in .h5 or .hdf5, got .*map.ang"):
        export(result, tmp_path / "map.ang", to="orix")
    with pytest.raises(ArgumentError, match="min_index must lie between -1 and 1"):
        export(result, tmp_path / "map.csv", to="csv", min_index=600)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("to", FORMATS)
def test_nothing_is_overwritten_unasked(tmp_path: Path, to: str) -> None:
    path = tmp_path / f"map{SUFFIXES[to][0]}"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        export(sample_result((3, 3)), path, to=to)
    assert path.read_bytes() == b"mine"
    export(sample_result((3, 3)), path, to=to, overwrite=True)
    assert path.stat().st_size > 100 and list(tmp_path.iterdir()) == [path]


def test_unknown_step_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    result = sample_result((3, 3), step=None)
    with caplog.at_level(logging.WARNING):
        text = written(tmp_path, result, "ang").read_text()
    assert "scan step is not known" in caplog.text
    assert "# FRAME: scan step not known, x and y count pixels" in text
    assert "pixels (scan step not known)" in written(tmp_path, result, "ctf").read_text()
    assert "y_px,x_px" in written(tmp_path, result, "csv").read_text()


def test_symmetry_codes(caplog: pytest.LogCaptureFixture) -> None:
    def half_turn(*axis: float) -> np.ndarray:
        return np.stack([np.eye(3), 2 * np.outer(axis, axis) - np.eye(3)])

    assert edax_code("2/m", half_turn(0, 1, 0), "p") == "20"
    assert edax_code("2/m", half_turn(0, 0, 1), "p") == "2"
    with caplog.at_level(logging.WARNING):
        assert edax_code("2/m", half_turn(1, 0, 0), "p") == "1"
        assert edax_code("-3m", half_turn(0, 1, 0), "P-31m") == "32"
    assert "neither b nor c" in caplog.text and "phase P-31m: its 2-fold axes are not along a" in caplog.text
    laue = ("-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm", "m-3", "m-3m")
    assert [channel_code(name, "p") for name in laue] == list(range(1, 12))
    with pytest.raises(ArgumentError, match="phase p: expected one of the 11 Laue classes, got '32'"):
        channel_code("32", "p")
    assert plain_name("#; \t\n", 4) == "__ __" and plain_name("  ", 4) == "phase 4"


@pytest.mark.parametrize("decimals", [0, 1, 5])
def test_numbers_as_text(decimals: int) -> None:
    """Digit for digit what Python's own formatting gives."""
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=500) * 10.0 ** rng.integers(-6, 7, 500), [0, -1, 1, 9.99996, -0.04]])
    column = number_column(values, decimals)
    lines = b"".join(join_rows([column], separator="|", newline="\n", align=False)).decode().splitlines()
    for line, value in zip(lines, values, strict=True):
        assert line == f"{float(line):.{decimals}f}"
        assert abs(float(line) - value) <= 0.5000001 * 10.0**-decimals


def test_missing_numbers_and_alignment() -> None:
    numbers = number_column(np.array([1.5, np.nan, -12.25]), 2)
    texts = text_column(["", "ab", "ß"], np.array([1, 0, 2]))
    plain = b"".join(join_rows([numbers, texts], separator=",", newline="\n", align=False)).decode()
    assert plain == "1.50,ab\n,\n-12.25,ß\n"
    aligned = b"".join(join_rows([numbers], separator="  ", newline="\n", align=True)).decode()
    assert aligned == "  1.50\n      \n-12.25\n"
    with pytest.raises(ArgumentError, match="expected numbers below"):
        number_column(np.array([1e300]), 3)


@pytest.mark.parametrize("to", FORMATS)
def test_by_bands_as_whole(tmp_path: Path, to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the file, a row or two at a time: the same bytes, widths of columns included."""
    result, cutoffs = sample_result((13, 7), step=(2.0, 1500.5)), {"min_probability": 0.1}
    result.index[-1] *= 0.001  # narrow numbers at the end, wide ones at the start, and the other way round
    result.reliability[0] *= 0.001
    whole = written(tmp_path, result, to, **cutoffs).read_bytes()
    stored = write_result(tmp_path / "stored.h5", result)
    monkeypatch.setattr(bands, "_BAND_BYTES", 3500)
    told: list[tuple[str, int, int]] = []
    with ResultReader(stored) as reader:
        assert len(list(reader.bands())) == 7
        path = written(tmp_path, reader, to, overwrite=True, progress=lambda *a: told.append(a), **cutoffs)
    assert path.read_bytes() == whole
    assert told[-1][0] == "exporting" and told[-1][1] == told[-1][2] and len(told) > 7


@pytest.mark.parametrize(
    ("what", "shape"),
    [("all", (13, 7)), ("cut", (7, 13)), ("two phases", (1, 5)), ("none", (5, 1)), ("all", (1, 1))],
)
def test_orix_file_is_what_orix_writes(tmp_path: Path, what: str, shape: tuple[int, int]) -> None:
    """Every group and dataset, its type and its bytes."""
    from orix.io.plugins.orix_hdf5 import file_writer

    result = sample_result(shape)
    if what == "two phases":
        result.phase_id[result.phase_id == 1] = 2
    if what == "none":
        result = IndexingResult.empty(shape, result.phases, result.calibration)
    cutoffs: Any = {"min_index": 0.5, "min_reliability": 5.0} if what == "cut" else {}
    file_writer(str(tmp_path / "orix.h5"), to_crystal_map(result, **cutoffs))
    path = written(tmp_path, result, "orix", **cutoffs)
    with h5py.File(tmp_path / "orix.h5") as theirs, h5py.File(path) as ours:
        assert contents(ours) == contents(theirs)


def contents(file: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    file.visititems(
        lambda name, node: found.update(
            {name: (node.dtype, node.shape, node[()].tobytes()) if hasattr(node, "dtype") else "group"}
        )
    )
    return found


def test_a_damaged_result_is_not_exported(tmp_path: Path) -> None:
    stored = write_result(tmp_path / "stored.h5", sample_result((5, 4)))
    with h5py.File(stored, "r+") as file:
        file["index"][2, 2] = 0.123
    with ResultReader(stored) as reader, pytest.raises(DataFormatError, match="'index' does not agree"):
        export(reader, tmp_path / "a.csv", to="csv")
    assert [p.name for p in tmp_path.iterdir()] == ["stored.h5"]
