"""`nbedex report` in a real browser: what it shows is what the Python API says."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbedex.blockade import BoundaryClass, UniformField, analyse_blockade
from nbedex.grains import find_grains, read_orientation_map
from nbedex.maps import read_result, to_euler
from nbedex.microstructure import Microstructure, analyse_map
from nbedex.report.blockade_maps import CLASS_COLOURS
from nbedex.report.ipf import ipf_colours
from oracles.command_line import here
from oracles.report_page import HOSTILE, SHAPE, STEP, Page, chromium, make_files

pytest.importorskip("selenium", reason="the report page is tested in a browser: pip install selenium")
if chromium() is None:
    pytest.skip("the report page is tested in Chromium: apt-get install chromium chromium-driver",
                allow_module_level=True)  # fmt: skip

FIELD = 20


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("report")
    made = make_files(folder)
    code, out, err = here(
        folder, "report", made["map"].name, "-o", "report.html", "--field", FIELD, "--current", "current.h5"
    )
    assert code == 0, err
    assert "report.html" in out
    return {**made, "page": folder / "report.html"}


@pytest.fixture(scope="module")
def page(files: dict[str, Path]) -> Iterator[Page]:
    opened = Page(files["page"])
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def found(files: dict[str, Path]) -> Microstructure:
    return analyse_map(read_orientation_map(files["map"]), UniformField(float(FIELD)))


def at_angle(found: Microstructure, degree: int) -> Any:
    return analyse_blockade(found.network, UniformField(float(degree)))


def test_it_loads_without_complaints_and_without_a_network(page: Page, files: dict[str, Path]) -> None:
    assert page.errors() == []
    assert page.js("performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length") == 0
    assert page.driver.title == "map <b>.h5 – nbedex report"
    assert files["page"].stat().st_size < 4_000_000


def test_names_are_text(page: Page) -> None:
    assert HOSTILE in page.find("#methods-text").text
    assert page.find("h1").text == "map <b>.h5"
    assert page.js("document.querySelectorAll('h1 b').length") == 0


def test_maps_show_pixels_where_they_are(page: Page, files: dict[str, Path]) -> None:
    """Colours of the IPF map at asymmetric places; rows run down."""
    result = read_result(files["map"])
    picture = page.picture("ipf")
    height, width = picture.shape[:2]
    for row, column in ((2, 3), (2, 30), (20, 5), (23, 33)):
        seen = picture[int((row + 0.5) / SHAPE[0] * height), int((column + 0.5) / SHAPE[1] * width)]
        phase = result.phases[result.phase_id[row, column]]
        wanted = 255 * ipf_colours(result.orientation[row, column], phase, "z")
        assert np.abs(seen - wanted).max() < 5


@pytest.mark.parametrize("degree", [FIELD, 0, 77, 181, 359])
def test_the_slider_says_what_the_api_says(page: Page, found: Microstructure, degree: int) -> None:
    page.js("(document.getElementById('field').value = arguments[0],"
            " document.getElementById('field').dispatchEvent(new Event('input')))", degree)  # fmt: skip
    wanted = at_angle(found, degree)
    n = len(wanted.segments)
    assert n > 10
    shown = page.js("Array.from({length: page.facts.n_boundaries}, (_, row) => page.inField(row))")
    assert [row["code"] for row in shown] == wanted.segments.code.tolist()
    assert [row["traces"] for row in shown] == wanted.segments.code_traces.tolist()
    nominal = wanted.segments.probability[np.arange(n), wanted.segments.code]
    np.testing.assert_allclose([row["probability"] for row in shown], nominal, atol=0.0051)
    np.testing.assert_allclose([row["blocks"] for row in shown], wanted.segments.blocks_probability, atol=0.0051)
    np.testing.assert_allclose([row["accumulation"] for row in shown], wanted.segments.accumulation, atol=1e-6)
    np.testing.assert_allclose([row["sigma"] for row in shown], wanted.segments.accumulation_sigma, atol=0.0026)
    lines = page.js("({colour: page.models.lines.data.colour, dash: page.models.lines.data.dash})")
    assert lines["colour"] == [CLASS_COLOURS[code] for code in wanted.along.code.tolist()]
    assert [bool(dash) for dash in lines["dash"]] == [
        bool(code) and code % 2 == 0 for code in wanted.along.code.tolist()
    ]
    assert page.find("#field-value").text == f"{degree}°"
    blocks = wanted.stretches.length[wanted.along.accumulation >= 0.5].sum() / wanted.stretches.length.sum()
    assert page.find("#blocked").text.startswith(f"{100 * blocks:.1f} %")


def test_traces_and_accumulation_as_colours(page: Page, found: Microstructure) -> None:
    page.js("page.setField(45)")
    wanted = at_angle(found, 45)
    by = "document.getElementById('colour-by')"
    choose = f"({by}.value = arguments[0], {by}.dispatchEvent(new Event('change')))"
    page.js(choose, "traces")
    assert page.js("page.models.lines.data.colour") == [
        CLASS_COLOURS[code] for code in wanted.along.code_traces.tolist()
    ]
    page.js(choose, "accumulation")
    widths = np.array(page.js("page.models.lines.data.width"))
    whole = 1.2 + 4 * np.minimum(1, np.abs(wanted.along.accumulation))
    np.testing.assert_allclose(widths / widths.max(), whole / whole.max(), atol=1e-5)
    page.js(choose, "class")


def table(page: Page, key: str) -> list[str]:
    """The cells of a column as they are shown."""
    place = page.js("[...document.querySelectorAll('#table th')].findIndex(th => th.dataset.key === arguments[0])", key)
    rows = "[...document.querySelectorAll('#table tbody tr')]"
    return list(page.js(f"{rows}.map(row => row.cells[arguments[0]].textContent)", place))


def test_the_table_sorts_and_filters(page: Page, found: Microstructure) -> None:
    b = found.network.boundaries
    page.find('#table th[data-key="omega"] button').click()
    shown = table(page, "omega")
    known = np.sort(b.disorientation_deg[np.isfinite(b.disorientation_deg)])[::-1]
    assert shown[: len(known)] == [f"{angle:.1f}" for angle in np.round(known, 2)]
    assert set(shown[len(known) :]) == {"–"}
    page.find('#table th[data-key="omega"] button').click()
    assert table(page, "omega")[: len(known)] == [f"{angle:.1f}" for angle in np.round(known[::-1], 2)]
    assert set(table(page, "omega")[len(known) :]) == {"–"}
    page.find("#filter").send_keys("5")
    with_5 = np.flatnonzero((b.grain_a == 5) | (b.grain_b == 5))
    assert sorted(map(int, table(page, "row"))) == with_5.tolist()
    page.find("#filter").send_keys("\b")
    assert len(table(page, "row")) == len(b)


def test_the_download_holds_the_table(page: Page, found: Microstructure) -> None:
    page.js("page.setField(200)")
    rows = list(csv.DictReader(io.StringIO(page.js("page.csv()"))))
    wanted = at_angle(found, 200)
    assert len(rows) == len(wanted.segments)
    for row in rows:
        number = int(row["boundary"])
        code = int(wanted.segments.code[number])
        assert row["class from planes in space"] == (BoundaryClass(code).label if code else "")
        assert float(row["net accumulation"]) == pytest.approx(wanted.segments.accumulation[number], abs=6e-4)
        assert row["field (deg)"] == "200"


def middle_of(found: Microstructure, row: int) -> tuple[float, float]:
    line = found.network.boundaries.points[row]
    run = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    return float(np.interp(run[-1] / 2, run, line[:, 0])), float(np.interp(run[-1] / 2, run, line[:, 1]))


def test_a_click_shows_grains_and_patterns(page: Page, found: Microstructure, files: dict[str, Path]) -> None:
    b = found.network.boundaries
    row = int(np.argmax(np.where(b.phase_boundary, 0, b.length)))
    page.move_to("network", *middle_of(found, row)).click().perform()
    assert page.js("page.chosen") == row
    a, other = int(b.grain_a[row]), int(b.grain_b[row])
    detail = page.find("#detail").text
    assert f"grains {a} and {other}" in detail
    assert f"{b.psi_deg[row]:.1f}°" in detail
    assert f"{b.delta_theta_deg[row]:.1f}°" in detail
    euler = np.rad2deg(to_euler(found.grain_map.grains.orientation[a]))
    assert " ".join(f"{angle:.1f}" for angle in euler) in detail
    scan = np.load(files["scan"])
    for number, grain in enumerate((a, other)):
        name = f"Measured pattern of grain {grain}"
        canvas = f"document.querySelectorAll('.patterns canvas')[{2 * number}]"
        assert page.js(f"{canvas}.getAttribute('aria-label')") == name
        size = page.js(f"{canvas}.width")
        seen = np.array(page.js(f"[...{canvas}.getContext('2d').getImageData(0, 0, {size}, {size}).data]"))
        seen = seen.reshape(size, size, 4)[..., 0]
        mine = scan[found.grain_map.grain_id == grain].astype(np.float64).mean(axis=0)
        mine[size // 2 - 2 : size // 2 + 3, size // 2 - 2 : size // 2 + 3] = 0
        spot = np.unravel_index(int(np.argmax(mine)), mine.shape)
        # the beam goes to (size - 1) / 2, half a pixel from where it is; the grain's own spot moves along
        near = seen[max(spot[0] - 1, 0) : spot[0] + 2, max(spot[1] - 1, 0) : spot[1] + 2]
        assert near.min() < 80, f"grain {grain} has no spot at {spot}"
        assert np.median(seen) > 200
        dark = page.js(
            f"[...document.querySelectorAll('.patterns canvas')[{2 * number + 1}].getContext('2d')"
            ".getImageData(0, 0, 384, 384).data].filter((v, i) => i % 4 === 0 && v < 128).length"
        )
        assert dark > 200


def test_keys_choose_a_boundary(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    page.driver.execute_script("document.querySelector('#table tbody tr').focus()")
    active = page.driver.switch_to.active_element
    active.send_keys(Keys.ARROW_DOWN)
    second = page.js("Number(document.querySelectorAll('#table tbody tr')[1].dataset.row)")
    assert page.js("Number(document.activeElement.dataset.row)") == second
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.js("page.chosen") == second
    assert page.js("document.querySelector('tr[aria-selected=true]').dataset.row") == str(second)


def test_hovering_reads_a_pixel(page: Page, files: dict[str, Path], found: Microstructure) -> None:
    result = read_result(files["map"])
    row, column = 21, 4
    page.move_to("index", column * STEP, row * STEP).perform()
    tip = page.find("#tip").text
    assert f"row, column\n{row}, {column}" in tip
    assert f"grain\n{found.grain_map.grain_id[row, column]}" in tip
    assert f"index\n{result.index[row, column]:.3f}" in tip
    assert f"confidence\n{result.probability[row, column]:.3f}" in tip


def test_maps_move_together_by_mouse_and_keys(page: Page) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    start = page.js("page.models.xRange.start")
    ActionChains(page.driver).drag_and_drop_by_offset(page.map("phase"), 60, 0).perform()
    page.wait(f"page.models.xRange.start < {start} - 1")
    page.find('[data-map="ipf"]').send_keys("0")
    assert page.js("page.models.xRange.start") == start
    page.find('[data-map="ipf"]').send_keys(Keys.ARROW_RIGHT, "+")
    assert page.js("page.models.xRange.start") > start
    page.find('[data-zoom="all"]').click()
    assert page.js("page.models.xRange.start") == start


def test_light_and_dark(page: Page) -> None:
    before = page.js("document.documentElement.dataset.theme")
    paper = page.js("getComputedStyle(document.body).backgroundColor")
    page.find("#theme").click()
    assert page.js("document.documentElement.dataset.theme") != before
    assert page.js("getComputedStyle(document.body).backgroundColor") != paper
    page.find("#theme").click()
    assert page.errors() == []


def test_the_current_is_that_of_the_file(page: Page, files: dict[str, Path]) -> None:
    import h5py

    with h5py.File(files["current"]) as file:
        density = np.hypot(*np.moveaxis(file["maps/current_density"][()], -1, 0))
    row, column = np.unravel_index(int(np.argsort(density.ravel())[density.size * 3 // 4]), density.shape)
    shown = page.js("page.decoded('density', arguments[0], arguments[1])", column * STEP, row * STEP)
    assert shown == pytest.approx(density[row, column], rel=1e-3)


def test_grains_of_the_page_are_those_of_the_api(page: Page, files: dict[str, Path]) -> None:
    grain_map = find_grains(read_orientation_map(files["map"]))
    rows = page.js("page.facts.grains.map(g => [g.pixels, g.alpha, g.theta])")
    assert [row[0] for row in rows] == grain_map.grains.n_pixels.tolist()
    alpha = np.array([np.nan if row[1] is None else row[1] for row in rows])
    np.testing.assert_allclose(alpha, grain_map.grains.inclination_deg, atol=0.051)
