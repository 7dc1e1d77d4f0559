"""What the benchmarks of matching share: settings, geometry, libraries and polar patterns.

mild      image intensities to the power 1, template intensities to the power 0.5, the best of each phase
accuracy  0.25 and 0.2, the five best distinct (5 degrees) of each phase
Both on frames as they are (no spot filter), less mean and one standard deviation of each ring, with all spots of the
templates, as the aims have it; the package's own defaults search sparser patterns with fewer spots (`end_to_end.py`).

engine    rings from 0.07 to 1.2 1/angstrom, 96 x 360 bins
package   the package's defaults: from 0.07 to 1.5 1/angstrom, rings of 0.0125, 360 bins
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
if str(ROOT / "tests") not in sys.path:
    sys.path.insert(0, str(ROOT / "tests"))

from nbedex import _core  # noqa: E402
from nbedex.calibration import Calibration  # noqa: E402
from nbedex.indexing.engine import Engine, make_engine  # noqa: E402
from nbedex.indexing.settings import IndexingSettings, MatchSettings, PreprocessSettings  # noqa: E402
from nbedex.library import SimulationSettings, TemplateLibrary, build_library  # noqa: E402
from nbedex.phases import load_phase  # noqa: E402
from oracles.pattern_kinds import KINDS, PHASES, WITH_SIGNAL, Detector, make_frames  # noqa: E402

__all__ = [
    "DISTINCT",
    "GEOMETRIES",
    "KINDS",
    "PHASES",
    "SETTINGS",
    "WITH_SIGNAL",
    "Case",
    "Detector",
    "add_case_flags",
    "make_frames",
]

VOLTAGE = 300.0
DISTINCT = float(np.deg2rad(5.0))
DETECTOR = Detector()
K_MIN, ENGINE_K_MAX, ENGINE_RINGS = 0.07, 1.2, 96
SIGMA = 1.0  # standard deviations of a ring taken off with its mean, as the aims have it


@dataclass(frozen=True)
class Exponents:
    """How intensities are treated, and how many answers are wanted."""

    image: float
    template: float
    n_best: int


SETTINGS = {"mild": Exponents(1.0, 0.5, 1), "accuracy": Exponents(0.25, 0.2, 5)}
GEOMETRIES = ("engine", "package")


def add_case_flags(parser: argparse.ArgumentParser) -> None:
    """The options that choose a `Case`, the same in every script."""
    parser.add_argument("--settings", choices=SETTINGS, default="accuracy")
    parser.add_argument("--geometry", choices=("engine", "package"), default="engine")
    parser.add_argument("--step", type=float, default=1.0, help="degrees between templates")
    parser.add_argument(
        "--rival-share", type=float, default=0.0, help="look for nothing below this share of the best score"
    )


@cache
def library(phases: tuple[str, ...], step: float, k_max: float) -> TemplateLibrary:
    settings = SimulationSettings(voltage=VOLTAGE, step_deg=step, k_max=k_max)
    return build_library([load_phase(name) for name in phases], settings, threads=1)


@dataclass(frozen=True)
class Case:
    """Settings, geometry and step of the template grid; gives templates and patterns that belong together."""

    settings: str = "accuracy"
    geometry: str = "engine"
    step: float = 1.0
    rival_share: float = 0.0

    @property
    def key(self) -> str:
        """Of files with what was measured."""
        share = f"-{self.rival_share:g}" if self.rival_share else ""
        return f"{self.settings}-{self.geometry}-{self.step:g}{share}"

    @property
    def exponents(self) -> Exponents:
        return SETTINGS[self.settings]

    @property
    def indexing(self) -> IndexingSettings:
        """n_best of IndexingSettings may not be 1; where it matters, see `options`."""
        e = self.exponents
        if self.geometry == "engine":
            width = (ENGINE_K_MAX - K_MIN) / ENGINE_RINGS
            preprocess = PreprocessSettings(
                k_min=K_MIN,
                k_max=ENGINE_K_MAX,
                ring_width=width,
                background_sigma=SIGMA,
                exponent=e.image,
                disk_radius=0.0,
            )
        else:
            preprocess = PreprocessSettings(k_min=K_MIN, background_sigma=SIGMA, exponent=e.image, disk_radius=0.0)
        match = MatchSettings(template_exponent=e.template, n_best=max(2, e.n_best), max_spots=0)
        return IndexingSettings(preprocess=preprocess, match=match)

    @property
    def k_max(self) -> float:
        return ENGINE_K_MAX if self.geometry == "engine" else 1.5

    def engine(self, phases: tuple[str, ...] = PHASES) -> Engine:
        return _engine(self, phases)

    def options(self, *, n_best: int | None = None, threads: int = 1) -> _core.MatchOptions:
        """Options of matching. All candidates are kept, however far below the best, unless `rival_share` is given."""
        return _core.MatchOptions(
            n_best=n_best or self.exponents.n_best,
            distinct_angle=DISTINCT,
            rival_share=self.rival_share,
            threads=threads,
        )

    def polar(self, kind: str, phase: str, n: int, *, seed: int = 0) -> NDArray[np.float32]:
        """Polar patterns (n, rings, azimuths) of a kind; blank ones are all zero."""
        return _polar(self, kind, phase, n, seed)

    def describe(self, phases: tuple[str, ...] = PHASES) -> str:
        parts = [
            f"{name} {t.size} templates of {t.n_spots / t.size:.0f} spots"
            for name, t in zip(phases, self.engine(phases).templates, strict=True)
        ]
        grid = self.engine(phases).grid
        share = f", nothing below {self.rival_share:g} of the best" if self.rival_share else ""
        bins = f"{grid.n_rings} x {grid.n_azimuths} bins to {grid.k_max:.3g} 1/Å"
        return f"{self.settings}{share}, {self.step:g} deg, {bins}: {', '.join(parts)}"


@cache
def _engine(case: Case, phases: tuple[str, ...]) -> Engine:
    middle = (DETECTOR.size - 1) / 2
    return make_engine(
        library(phases, case.step, case.k_max),
        Calibration(pixel_size=DETECTOR.pixel, voltage=VOLTAGE),
        case.indexing,
        frame_shape=(DETECTOR.size, DETECTOR.size),
        center=(middle, middle),
    )


@cache
def _frames(kind: str, phase: str, n: int, seed: int) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    return make_frames(kind, phase, n, seed=seed, detector=DETECTOR)


@cache
def _polar(case: Case, kind: str, phase: str, n: int, seed: int) -> NDArray[np.float32]:
    frames, centers = _frames(kind, phase, n, seed)
    run = case.engine(("na2au",))  # any phase: the sampler and the preprocessing are the same for all
    polar, _, _, _ = _core.prepare_patterns(frames, centers, run.sampler, run.preprocessing, None, 1)
    return polar
