"""Hold the generator against nbedex's simulation: thin crystals, same orientations, every spot.

    KIT/bin/python bench/accuracy/generate.py --check
    python bench/accuracy/check_physics.py

Checked: spots of the same indices lie at the same place; abTEM's intensities at 1 nm are proportional to
|F|^2 sinc^2(s t); and the same comparison fails for the inverse rotation, for orientations turned by 180 degrees about
the beam, and for those of the mirrored pattern. So the truth of the kit is in nbedex's convention, with the right hand.
Structure factors come from two readers of the CIF and two programs. Ends with status 1 if anything is off.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from validation import exchange
from validation.conditions import CACHE, CHECK, MAIN, Detector

from nbedex.calibration import electron_wavelength
from nbedex.library import SimulationSettings, Spots, simulate
from nbedex.maps import conjugate, multiply, rotate
from nbedex.phases import Phase, load_phase

Array = NDArray[np.float64]
HALF_PIXEL = Detector().pixel / 2
WRONG = {
    "inverse rotation": lambda q: conjugate(q),
    "turned 180° about the beam": lambda q: multiply(q, np.array([0.0, 0.0, 0.0, 1.0])),
    "mirrored": lambda q: multiply(q, np.array([0.0, 1.0, 0.0, 0.0])),
}


def settings() -> SimulationSettings:
    return SimulationSettings(
        voltage=CHECK.voltage,
        k_max=CHECK.g_max,
        max_excitation_error=CHECK.s_max,
        shape="binary",
        minimum_intensity=0.0,
    )


def pattern(phase: Phase, spots: Spots, i: int) -> dict[str, Array]:
    """nbedex's spots of pattern i, |F|^2 sinc^2(s t) (diffsims' shape factors are others)."""
    ours = spots.pattern(i)
    g = rotate(conjugate(spots.orientation[i]), ours["hkl"] @ phase.reciprocal_basis.T)
    s = electron_wavelength(CHECK.voltage) * (g**2).sum(axis=1) / 2 - g[:, 2]
    return ours | {"intensity": ours["intensity"] * np.sinc(10 * CHECK.thickness_nm[0] * s) ** 2}


def compared(truth: exchange.Patterns, i: int, ours: dict[str, Array]) -> tuple[float, float, float]:
    """Largest distance of spots with the same indices, cosine of amplitudes, share of intensity without partner."""
    theirs = {tuple(hkl): n for n, hkl in enumerate(truth.hkl[i].tolist()) if any(hkl)}
    partner = np.array([theirs.get(tuple(hkl), -1) for hkl in ours["hkl"].tolist()])
    both = partner >= 0
    strong = np.array(list(theirs.values()))
    total = truth.intensity[i][strong].sum()
    lonely = 1 - truth.intensity[i][partner[both]].sum() / total
    k = np.stack([ours["kx"], ours["ky"]], axis=1)[both]
    distance = np.linalg.norm(k - truth.k[i][partner[both]], axis=1)
    amplitudes = np.sqrt(ours["intensity"][both]), np.sqrt(truth.intensity[i][partner[both]])
    cosine = float(amplitudes[0] @ amplitudes[1] / np.sqrt((amplitudes[0] ** 2).sum() * (amplitudes[1] ** 2).sum()))
    return float(distance.max()), cosine, float(lonely)


def image_cosine(truth: exchange.Patterns, i: int, ours: dict[str, Array], *, sigma: float = 0.01) -> float:
    """Cosine of the two patterns, amplitudes as Gaussians. Knows no indices, so any orientation can be tried."""
    lit = np.any(truth.hkl[i] != 0, axis=1)
    a = truth.k[i][lit], np.sqrt(truth.intensity[i][lit])
    b = np.stack([ours["kx"], ours["ky"]], axis=1).astype(float), np.sqrt(ours["intensity"].astype(float))

    def overlap(first: tuple[Array, Array], second: tuple[Array, Array]) -> float:
        squared = ((first[0][:, None] - second[0][None]) ** 2).sum(axis=-1)
        return float(first[1] @ np.exp(-squared / (4 * sigma**2)) @ second[1])

    return overlap(a, b) / float(np.sqrt(overlap(a, a) * overlap(b, b)))


def check(phase_name: str, cache: Path) -> bool:
    phase = load_phase(phase_name)
    truth = exchange.read(exchange.folder(cache, CHECK, phase_name, "tuning"), exchange.PER_FILE)
    spots = simulate(phase, truth.orientation, settings(), threads=1)
    rows = np.array([compared(truth, i, pattern(phase, spots, i)) for i in range(len(truth))])
    right = np.array([image_cosine(truth, i, pattern(phase, spots, i)) for i in range(len(truth))])
    good = rows[:, 0].max() < HALF_PIXEL and rows[:, 1].min() > 0.99 and rows[:, 2].max() < 0.01
    sys.stdout.write(
        f"{phase_name}: spots {np.diff(spots.offset).min()}-{np.diff(spots.offset).max()}, farthest apart"
        f" {rows[:, 0].max():.1e} 1/angstrom, cosine of amplitudes {rows[:, 1].min():.4f}-{rows[:, 1].max():.4f},"
        f" intensity without partner {rows[:, 2].max():.1e}; as images {right.min():.4f}-{right.max():.4f}\n"
    )
    for name, change in WRONG.items():
        wrong = simulate(phase, change(truth.orientation), settings(), threads=1)
        value = np.array([image_cosine(truth, i, pattern(phase, wrong, i)) for i in range(len(truth))])
        # a symmetric crystal, or a pattern near a zone axis, may look alike; but never better, and most do not
        worse = bool((value < right).all() and np.median(right - value) > 0.02)
        good &= worse
        sys.stdout.write(f"  {name}: {value.min():.3f}-{value.max():.3f}{'' if worse else '  NOT WORSE'}\n")
    return bool(good)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--phases", nargs="+", default=list(MAIN))
    parser.add_argument("--cache", type=Path, default=CACHE)
    arguments = parser.parse_args()
    good = [check(name, arguments.cache) for name in arguments.phases]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
