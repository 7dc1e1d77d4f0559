"""What a report page is put together from."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from nbedex.blockade import (
    GROUP,
    BlockadeReport,
    BlockadeSettings,
    UniformField,
    analyse_blockade,
    blockade_group,
)
from nbedex.boundaries import write_network
from nbedex.errors import ArgumentError, DataFormatError, OutputError
from nbedex.grains import MapPhase
from nbedex.maps import IndexingResult, conjugate, rotate, write_result
from nbedex.phases import load_phase
from nbedex.report.page.content import Frame
from nbedex.report.page.crystals import MapCrystal, key_svg, zone_axis
from nbedex.report.page.current import read_current
from nbedex.report.page.lines import simplified
from nbedex.report.page.pixels import Numbers, current_numbers
from nbedex.reported import write_report
from oracles import planes_phantom
from oracles.command_line import here
from oracles.grain_maps import turned
from oracles.report_page import facts_in


def test_codes_give_numbers_back() -> None:
    values = np.array([[0.0, 0.25, np.nan], [1.0, 0.123456, 0.5]])
    keep = np.array([[True, True, True], [True, True, False]])
    n = Numbers.of(values, keep, span=(0.0, 1.0), shown=(0.2, 0.5), key="x", title="", label="", name="", caption="")
    assert n.codes.tolist()[0][2] == 65535
    assert n.codes[1, 2] == 0
    back = (n.codes.astype(float) - 1) / 65533
    np.testing.assert_allclose(back[:2, :2], values[:2, :2], atol=1e-5)
    colours = n.palette()
    assert colours[0] == colours[len(colours) // 10]  # beyond what is shown: the end's colour
    assert colours[len(colours) // 4] != colours[len(colours) * 2 // 5]
    assert len(set(colours[len(colours) * 6 // 10 :])) == 1


def test_currents_are_counted_in_powers_of_ten() -> None:
    values = np.array([[0.0, 1e3, np.nan], [1e-9, 10.0, 1e5]])
    n = current_numbers(values, key="j", title="", label="", name="", caption="")
    assert n.high == pytest.approx(5.0)
    assert n.low == pytest.approx(1.0)  # four decades, no more
    assert n.codes[0, 0] == n.codes[0, 2] == 0
    back = 10 ** (n.low + (n.codes[0, 1] - 1) / 65533 * (n.high - n.low))
    assert back == pytest.approx(1e3, rel=1e-4)


def test_simple_lines_stay_where_they_were() -> None:
    x = np.linspace(0, 10, 201)
    line = np.stack([x, np.sin(x)], axis=1)
    kept = simplified(line, 0.05)
    assert len(kept) < 30
    np.testing.assert_array_equal(kept[[0, -1]], line[[0, -1]])
    assert np.abs(np.interp(x, kept[:, 0], kept[:, 1]) - line[:, 1]).max() < 0.06
    ring = np.stack([np.cos(x), np.sin(x)], axis=1)
    ring[-1] = ring[0]
    assert len(simplified(ring, 0.01)) > 8  # a closed line does not collapse


def test_long_maps_get_room_and_large_ones_are_thinned() -> None:
    grain_map = planes_phantom.grain_map(np.zeros((1, 50), dtype=int), np.array([[0.0, 0.0, 1.0]]))
    frame = Frame.of(grain_map)
    assert frame.extent == (-1.0, 99.0, -1.0, 1.0)
    assert frame.aspect == pytest.approx(0.4)
    assert frame.view[2] + frame.view[3] == pytest.approx(0.0)  # the map in the middle
    large = Frame.of(planes_phantom.grain_map(np.zeros((530, 601), dtype=int), np.array([[0.0, 0.0, 1.0]])))
    assert large.every == 2
    assert large.shape == (265, 301)
    assert large.shown(np.arange(530 * 601).reshape(530, 601))[1, 2] == 2 * 601 + 4
    assert large.extent[1] == pytest.approx((301 * 2 - 0.5) * 2)


def test_zone_axis_is_the_direction_along_the_beam() -> None:
    phase = MapPhase.of(load_phase("beta2-alumina"))
    assert phase.direct_basis is not None
    wanted = np.array([1, 0, 2]) @ phase.direct_basis
    wanted = wanted / np.linalg.norm(wanted)
    axis = np.cross([0.0, 0.0, 1.0], wanted)  # turns Z of the sample onto it
    angle = float(np.rad2deg(np.arccos(wanted[2])))
    exact = turned(tuple(axis / np.linalg.norm(axis)), angle)
    np.testing.assert_allclose(rotate(exact, np.array([0.0, 0.0, 1.0])), wanted, atol=1e-9)
    assert zone_axis(phase, exact) == ((1, 0, 2), pytest.approx(0.0, abs=1e-5))
    assert zone_axis(phase, np.full(4, np.nan)) is None
    backwards = conjugate(exact)
    assert zone_axis(phase, backwards) != zone_axis(phase, exact)


def test_colour_keys_name_their_corners() -> None:
    key = key_svg(MapCrystal(MapPhase.of(load_phase("na2au"))))
    found = {
        "".join(("-" if i["bar"] else "") + str(i["digit"]) for i in corner["indices"]) for corner in key["corners"]
    }
    assert found == {"001", "100", "110"}
    unknown = MapPhase(name="x", laue_class="m-3m", symmetry=MapPhase.of(load_phase("au")).symmetry)
    assert key_svg(MapCrystal(unknown))["corners"] == []  # without a cell a direction has no indices


def test_files_that_hold_no_current(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="none at"):
        read_current(tmp_path / "no.h5", segments=3)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["format"] = "something"
    with pytest.raises(DataFormatError, match="nbedex transport"):
        read_current(tmp_path / "other.h5", segments=3)
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(DataFormatError):
        read_current(tmp_path / "text.h5", segments=3)


@pytest.fixture
def one_grain(tmp_path: Path) -> Path:
    result = planes_phantom.indexing_result(np.zeros((6, 9), dtype=int), np.array([[0.3, 0.2, 0.9]]))
    write_result(tmp_path / "one.h5", result)
    return tmp_path


def test_one_grain_has_a_page(one_grain: Path) -> None:
    code, out, err = here(one_grain, "report", "one.h5", "-o", "one.html", "--json")
    assert code == 0, err
    html = (one_grain / "one.html").read_text(encoding="utf-8")
    assert json.loads(out)["bytes"] == len(html.encode())
    assert "The map has no boundaries." in html
    assert "Which scan the map is of is not known" in html
    assert 'id="table"' not in html
    facts = facts_in(html)
    assert facts["n_boundaries"] == 0
    assert [grain["pixels"] for grain in facts["grains"]] == [54]


def test_a_map_of_nothing_has_a_page(one_grain: Path) -> None:
    phases = planes_phantom.indexing_result(np.zeros((2, 2), dtype=int), np.array([[0.3, 0.2, 0.9]]))
    nothing = IndexingResult.empty((5, 7), phases.phases, phases.calibration, n_rivals=1)
    write_result(one_grain / "nothing.h5", nothing)
    write_report(one_grain / "nothing.h5", one_grain / "nothing.html")
    assert "<b>0%</b><span>indexed</span>" in (one_grain / "nothing.html").read_text(encoding="utf-8")


def test_a_grain_file_brings_its_boundaries_field_and_limits(tmp_path: Path) -> None:
    network = planes_phantom.network(planes_phantom.halves(), np.array([[1.0, 0.2, 0.1], [0.1, 1.0, 0.3]]))
    settings = BlockadeSettings(blocks_at=0.3)
    report = BlockadeReport.of(analyse_blockade(network, UniformField(70.0), settings=settings))
    write_network(tmp_path / "grains.h5", network, more={GROUP: blockade_group(report)})
    write_report(tmp_path / "grains.h5", tmp_path / "grains.html")
    html = (tmp_path / "grains.html").read_text(encoding="utf-8")
    facts = facts_in(html)
    assert (facts["field"], facts["blocks_at"], facts["n_boundaries"]) == (70.0, 0.3, 1)
    assert facts["boundaries"]["psi"] == [pytest.approx(network.boundaries.psi_deg[0], abs=0.01)]
    assert "are in the result of indexing, not in this file" in html


def test_wrong_requests_are_one_line(one_grain: Path) -> None:
    for arguments, message in (
        (("one.h5", "-o", "one.pdf"), "written as .html"),
        (("no.h5", "-o", "one.html"), "no file at"),
        (("one.h5", "-o", "one.html", "--current", "no.h5"), "nbedex transport"),
        (("one.h5", "-o", "one.html", "--scan", "no.hspy"), "no such file"),
        (("one.h5", "-o", "one.html", "--field", "nan"), "finite angle"),
    ):
        code, _, err = here(one_grain, "report", *arguments, "-q")
        assert code in (2, 3), err
        assert message in err
        assert len(err.strip().splitlines()) == 1
        assert not (one_grain / "one.html").exists()
    (one_grain / "one.html").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_report(one_grain / "one.h5", one_grain / "one.html")
    assert (one_grain / "one.html").read_text() == "mine"


def test_a_scan_that_has_gone_is_a_sentence(one_grain: Path) -> None:
    result = planes_phantom.indexing_result(np.zeros((6, 9), dtype=int), np.array([[0.3, 0.2, 0.9]]))
    result.provenance["input"] = {"path": str(one_grain / "gone.hspy")}
    write_result(one_grain / "one.h5", result, overwrite=True)
    write_report(one_grain / "one.h5", one_grain / "one.html")
    html = (one_grain / "one.html").read_text(encoding="utf-8")
    assert "The scan gone.hspy could not be opened" in html
