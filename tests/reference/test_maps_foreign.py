"""Real maps of ASTAR, Oxford, EDAX and EMsoft, and our own exports, read into orix's CrystalMap."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.maps import SUFFIXES, export, read_crystal_map, write_result

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
_spec = importlib.util.spec_from_file_location("maps_sample", ROOT / "tests" / "oracles" / "maps_sample.py")
assert _spec and _spec.loader
maps_sample = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(maps_sample)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real maps in ../shared/data")
@pytest.mark.parametrize(
    ("name", "shape", "step", "unit", "phases"),
    [
        ("astar_ang_mtex/ACOM.ang", (15, 15), 2.0, "nm", ["Phase 22474944"]),
        # the header says XStep 0.001, the column steps by 0.005, and that is what the other file says
        ("steel_nbed_subset/astar_g.ctf", (200, 260), 0.005, "um", ["g-phase"]),
        ("steel_nbed_subset/200625ResultsAusteniteNoLin.ctf", (200, 260), 0.005, "um", ["Phase_1"]),
        ("steel_nbed_subset/TVIPS_without_mask.ctf", (59, 111), 0.0027, "um", ["Phase_1"]),
        ("orientation_maps/twins.ctf", (137, 167), 0.3, "um", ["Magnesium"]),
        (
            "orientation_maps/sdss_ferrite_austenite.ang",
            (100, 117),
            1.5,
            "um",
            ["austenite/austenite", "ferrite/ferrite"],
        ),
    ],
)
def test_real_maps(
    name: str, shape: tuple[int, int], step: float, unit: str, phases: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    xmap = read_crystal_map(DATA / name)
    assert xmap.shape == shape and xmap.scan_unit == unit
    assert xmap.dx == pytest.approx(step, rel=1e-6) and xmap.dy == pytest.approx(step, rel=1e-6)
    assert [phase.name for i, phase in xmap.phases if i >= 0] == phases
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("to", ["orix", "ang", "ang-tsl", "ctf"])
def test_own_exports(tmp_path: Path, to: str) -> None:
    result = maps_sample.sample_result((6, 9))
    xmap = read_crystal_map(export(result, tmp_path / f"map{SUFFIXES[to][0]}", to=to))
    assert xmap.shape == (6, 9)
    assert (xmap.is_indexed == result.indexed.ravel()).all()


def test_own_result(tmp_path: Path) -> None:
    result = maps_sample.sample_result((6, 9))
    xmap = read_crystal_map(write_result(tmp_path / "map.h5", result))
    np.testing.assert_array_equal(xmap.prop["reliability"], result.reliability.ravel())


def test_what_is_not_a_map(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="found no file at"):
        read_crystal_map(tmp_path / "none.ang")
    (tmp_path / "map.txt").write_text("x")
    with pytest.raises(ArgumentError, match=r"must end in \.h5, \.hdf5, \.ang, \.ctf"):
        read_crystal_map(tmp_path / "map.txt")
    for name, text in (("a.ang", "garbage\n"), ("a.ctf", "garbage\n"), ("a.h5", "garbage"), ("b.ang", "")):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataFormatError, match=f"{name} can't be read as an orientation map"):
            read_crystal_map(tmp_path / name)


def test_cut_short(tmp_path: Path) -> None:
    """A .ctf of which lines are missing is refused, not read as a smaller map."""
    path = export(maps_sample.sample_result((6, 9)), tmp_path / "map.ctf", to="ctf")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-9]))
    with pytest.raises(DataFormatError, match="the header promises 6 x 9 points, the file has 45"):
        read_crystal_map(path)
