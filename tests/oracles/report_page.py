"""A small map with all that a report can show, and a browser to look at it with."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from nbedex.grains import find_grains, orientation_map
from nbedex.maps import write_result
from nbedex.transport import Electrode, TransportSettings, boundary_currents, build_problem, regions_of, solve
from nbedex.transport.export import write_current
from oracles.planes_phantom import indexing_result, voronoi

HOSTILE = "<script>alert(1)</script> & 'au\""  # a phase of such a name
SHAPE, STEP, SEED = (26, 36), 2.0, 4
PIXEL, DETECTOR = 0.04, 48


def make_files(folder: Path) -> dict[str, Path]:
    """A map of twelve grains, with its scan and a current: "map", "scan", "current"."""
    rng = np.random.default_rng(SEED)
    labels = voronoi(SHAPE, 12, SEED)
    phase = np.zeros(labels.max() + 1, dtype=np.int16)
    phase[3] = 3
    result = indexing_result(labels, rng.normal(size=(len(phase), 3)), phase=phase)
    names = [phase.name for phase in result.phases]
    names[2] = HOSTILE
    phases = tuple(dataclasses.replace(phase, name=name) for phase, name in zip(result.phases, names, strict=True))
    scan = rng.poisson(2.0, size=(*SHAPE, DETECTOR, DETECTOR)).astype(np.uint16)
    scan[..., DETECTOR // 2, DETECTOR // 2] += 400
    for label in range(len(phase)):  # a spot of its own for every grain
        scan[labels == label, 5 + 2 * label, 8 + label] += 90
    np.save(folder / "scan.npy", scan)
    result = dataclasses.replace(
        result,
        phases=phases,
        calibration=dataclasses.replace(result.calibration, pixel_size=PIXEL, step=(STEP, STEP)),
        provenance={
            "input": {"path": str(folder / "scan.npy")},
            "library": {"settings": {"voltage": 300.0, "k_max": 0.9}},
        },
    )
    result.center[:] = DETECTOR // 2
    result.probability[:] = rng.uniform(0.6, 1.0, SHAPE)
    result.index[:] = 0.2 + 0.02 * np.arange(SHAPE[0])[:, None] + 0.001 * np.arange(SHAPE[1])
    write_result(folder / "map <b>.h5", result)
    grain_map = find_grains(orientation_map(result))
    settings = TransportSettings()
    electrodes = [Electrode(where="left", potential=1.0), Electrode(where="right", potential=0.0)]
    problem = build_problem(regions_of(grain_map), electrodes, settings)
    solution = solve(problem, settings)
    write_current(folder / "current.h5", solution, boundary_currents(solution))
    return {"map": folder / "map <b>.h5", "scan": folder / "scan.npy", "current": folder / "current.h5"}


def chromium() -> tuple[str, str] | None:
    """Debian's Chromium and its driver, or Google's, or None."""
    for browser, driver in (("chromium", "chromedriver"), ("chromium-browser", "chromedriver"),
                            ("google-chrome", "chromedriver")):  # fmt: skip
        found = shutil.which(browser), shutil.which(driver)
        if found[0] and found[1]:
            return found[0], found[1]
    return None


class Page:
    """A page in a browser of 1300 x 900 pixels."""

    def __init__(self, path: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        programs = chromium()
        assert programs is not None
        options = webdriver.ChromeOptions()
        for flag in ("--headless=new", "--no-sandbox", "--window-size=1300,900", "--force-device-scale-factor=1",
                     "--disable-dev-shm-usage", "--hide-scrollbars"):  # fmt: skip
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.binary_location = programs[0]
        self.driver = webdriver.Chrome(options=options, service=Service(programs[1]))
        self.driver.get(path.resolve().as_uri())
        self.wait("document.documentElement.dataset.ready === 'true'")

    def close(self) -> None:
        self.driver.quit()

    def js(self, code: str, *arguments: Any) -> Any:
        """What an expression is; `page` is the page's own object."""
        return self.driver.execute_script(f"const page = window.nbedexReport; return {code}", *arguments)

    def wait(self, condition: str, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not self.js(condition):
            assert time.monotonic() < end, f"never became true: {condition}"
            time.sleep(0.05)

    def find(self, selector: str) -> Any:
        from selenium.webdriver.common.by import By

        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def map(self, name: str) -> Any:
        """The element of a map, scrolled to the middle of the window."""
        element = self.find(f'[data-map="{name}"] .drawing')
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        return element

    def move_to(self, name: str, x: float, y: float) -> Any:
        """Actions with the pointer over a place of a map, in its unit."""
        from selenium.webdriver.common.action_chains import ActionChains

        element = self.map(name)
        left, right, bottom, top = self.js(
            "[page.models.xRange.start, page.models.xRange.end, page.models.yRange.start, page.models.yRange.end]"
        )
        size = element.rect
        across = (x - left) / (right - left) * size["width"] - size["width"] / 2
        down = (y - top) / (bottom - top) * size["height"] - size["height"] / 2
        return ActionChains(self.driver).move_to_element_with_offset(element, round(across), round(down))

    def picture(self, name: str) -> np.ndarray:
        """A map as it is seen, (rows, columns, 3) uint8."""
        from PIL import Image

        element = self.map(name)
        time.sleep(0.3)
        return np.asarray(Image.open(io.BytesIO(element.screenshot_as_png)).convert("RGB"))

    def errors(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def facts_in(html: str) -> dict[str, Any]:
    """The plain facts in a page."""
    start = html.index('<script type="application/json" id="facts">')
    return dict(json.loads(html[html.index(">", start) + 1 : html.index("</script>", start)]))
