"""Which patterns are said to have no spots: of crystals, where each would cost an answer, and of noise.

    python bench/accuracy/no_spots.py --n 300

needs the spots of generate.py for the conditions named (tuning split). Of the crystals' patterns that are not searched
it says how many would be given an answer if they were, and how many of these are right within 3 degrees.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from fit_confidence import noise_frames, right_answers, shown
from numpy.typing import NDArray
from validation.conditions import CACHE, MAIN, Condition, Detector, condition

from nbedex.calibration import Calibration
from nbedex.indexing.block import index_block, prepared
from nbedex.indexing.contrast import NOISE
from nbedex.indexing.engine import with_min_contrast
from nbedex.indexing.pattern_centers import pattern_centers
from nbedex.indexing.prepare import prepare
from nbedex.indexing.settings import CenterSettings, IndexingSettings, PreprocessSettings
from nbedex.library import SimulationSettings, TemplateLibrary, cached_library
from nbedex.maps import Status
from nbedex.phases import load_phase
from nbedex.scan import memory_scan

Array = NDArray[np.float64]
NAMED = ("standard", "2e3 counts", "beam as it is", "background x2", "amorphous", "disks 0.5 mrad", "overlap", "thick",
         "disks 1 mrad")  # fmt: skip
# harder than any condition of the kit
CAMERAS = {
    "1e3 counts": Detector(counts=1e3),
    "5e2 counts": Detector(counts=5e2),
    "beam as it is, 2e3 counts": Detector(counts=2e3, beam=None),
    "beam as it is, 1e3 counts": Detector(counts=1e3, beam=None),
    "background x2, 2e3 counts": Detector(counts=2e3, diffuse=0.6),
    "background 68 %": Detector(diffuse=0.68),
    "amorphous 38 %": Detector(halo=0.38),
}
SETTINGS = IndexingSettings(
    center=CenterSettings(method="per-pattern"), preprocess=PreprocessSettings(min_contrast=0.0)
)


def not_searched(
    images: NDArray[np.uint16], library: TemplateLibrary, phase: str | None = None, truths: Sequence[Array] = ()
) -> tuple[int, int, int]:
    """How many have no spots, how many of them would be given an answer, and how many a right one."""
    calibration = Calibration(pixel_size=Detector().pixel, voltage=300.0)
    engine, path = prepare(memory_scan(images[None]), library, calibration, settings=SETTINGS)
    centers = pattern_centers(images, np.arange(len(images)), path, engine)
    _, status = prepared(images, centers, with_min_contrast(engine, NOISE))
    without = np.flatnonzero(status == Status.NO_SPOTS)
    records = index_block(images[without], centers[without], engine)
    there = [truth[without] for truth in truths]
    right = right_answers(records["phase_id"], records["orientation"], phase, there, within_deg=3)
    return len(without), int((records["status"] == Status.OK).sum()), int(right.sum())


def of_condition(what: Condition, library: TemplateLibrary, cache: Path, n: int) -> tuple[int, int, int, int]:
    """Of all main phases together: patterns, and what `not_searched` counts."""
    total = np.zeros(4, dtype=int)
    for phase in MAIN:
        images, there = shown(what, phase, cache, n)
        total += len(images), *not_searched(images, library, phase, there)
    return tuple(total.tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=300, help="patterns a phase and condition (thick 60, disks 1 mrad 30)")
    parser.add_argument("--cache", type=Path, default=CACHE)
    arguments = parser.parse_args()
    library = cached_library([load_phase(name) for name in MAIN], SimulationSettings(voltage=300.0, k_max=1.33))
    sys.stdout.write(
        "| patterns of | n | without spots | given an answer, if searched | right |\n|---|---|---|---|---|\n"
    )
    named = {name: condition(name, "tuning") for name in NAMED}
    standard = condition("standard", "tuning")
    few = {"thick": 60, "disks 1 mrad": 30}
    for name, what in (named | {name: replace(standard, detector=camera) for name, camera in CAMERAS.items()}).items():
        row = of_condition(what, library, arguments.cache, min(arguments.n, few.get(name, arguments.n)))
        sys.stdout.write(f"| {name} | {' | '.join(map(str, row))} |\n")
    rng = np.random.default_rng(5)
    for counts in (300.0, 1e3, 2e3, 2e4, 2e5, 2e6):
        for halo in (0.0, 0.3):
            images = noise_frames(rng, counts=counts, halo=halo)
            row = (len(images), *not_searched(images, library)[:2])
            sys.stdout.write(
                f"| noise, {counts:g} counts, {100 * halo:g} % in a halo | {' | '.join(map(str, row))} | |\n"
            )


if __name__ == "__main__":
    main()
