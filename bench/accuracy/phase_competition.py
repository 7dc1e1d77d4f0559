"""Whether phases compete fairly: right phase by score alone, and by score over what noise reaches with each phase.

    python bench/accuracy/phase_competition.py --phases beta2-alumina au --library beta2-alumina au na2au --n 60

needs the spots that generate.py wrote for these phases, tuning split, standard condition.
"""

from __future__ import annotations

import argparse
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from validate import Method, index
from validation import exchange
from validation.conditions import CACHE, RIVALS, condition
from validation.detector import frames

from nbedex.calibration import electron_wavelength
from nbedex.indexing import block
from nbedex.indexing.settings import CenterSettings, IndexingSettings
from nbedex.library import SimulationSettings, cached_library
from nbedex.maps import disorientation_angle
from nbedex.phases import load_phase


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phases", nargs="+", default=RIVALS)
    parser.add_argument("--library", nargs="+", default=RIVALS)
    parser.add_argument("--n", type=int, default=60)
    arguments = parser.parse_args()
    phases = [load_phase(name) for name in arguments.library]
    library = cached_library(phases, SimulationSettings(voltage=300.0, step_deg=2.0))
    settings = IndexingSettings(center=CenterSettings(method="per-pattern"))
    method = Method(library=library, settings=settings, centers="found", threads=0)
    what, noise_levels = condition("standard", "tuning"), block.noise_levels
    print("| phase | by | right phase, % | ≤ 3°, % | found as |\n| --- | --- | ---: | ---: | --- |")
    for name in arguments.phases:
        patterns = exchange.read(exchange.folder(CACHE, what.crystal, name, "tuning"), arguments.n)
        shown = frames(patterns, what.detector, wavelength=electron_wavelength(300.0), seed=("tuning", name))
        own = arguments.library.index(name)
        for by in ("score", "merit"):
            with mock.patch.object(block, "noise_levels", alike_with(noise_levels) if by == "score" else noise_levels):
                found = index(shown, what, method)
            right = found["phase_id"] == own
            angle = np.full(len(right), np.inf)
            pair = patterns.orientation[right], found["orientation"][right]
            angle[right] = np.rad2deg(disorientation_angle(*pair, phases[own].symmetry_quaternions))
            counts = [(p, int((found["phase_id"] == i).sum())) for i, p in enumerate(arguments.library)]
            seen = ", ".join(f"{p} {count}" for p, count in counts if count)
            print(
                f"| {name} | {by} | {100 * right.mean():.0f} | {100 * (angle <= 3).mean():.0f} | {seen} |", flush=True
            )


def alike_with(noise_levels):  # type: ignore[no-untyped-def]
    """Levels of all phases set to the lowest of them: then phases compete by scores."""

    def alike(sums: NDArray[np.float64], engine: block.Engine) -> NDArray[np.float64]:
        levels = noise_levels(sums, engine)
        return np.asarray(np.broadcast_to(levels.min(axis=1, keepdims=True), levels.shape))

    return alike


if __name__ == "__main__":
    main()
