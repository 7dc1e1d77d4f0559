"""Fit the coefficients of nbedex.indexing.confidence to the tuning split, and say how well they hold elsewhere.

    python bench/accuracy/fit_confidence.py --n 50

needs the spots of generate.py for the conditions named. Each condition in turn is left out of the fit and judged.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from validation import exchange
from validation.conditions import CACHE, CONDITIONS, MAIN, Condition, Detector, condition
from validation.detector import detector_matrix, frames, smooth

from nbedex.calibration import Calibration, electron_wavelength
from nbedex.indexing.block import gather_evidence, prepared
from nbedex.indexing.candidates import match_phases, refined, searched
from nbedex.indexing.coincidence import coincidental
from nbedex.indexing.confidence import COEFFICIENTS, Evidence
from nbedex.indexing.engine import noise_levels
from nbedex.indexing.pattern_centers import pattern_centers
from nbedex.indexing.prepare import prepare
from nbedex.indexing.settings import CenterSettings, IndexingSettings
from nbedex.library import SimulationSettings, TemplateLibrary, cached_library
from nbedex.maps import disorientation_angle
from nbedex.phases import load_phase
from nbedex.scan import memory_scan

Array = NDArray[np.float64]
FITTED = (
    "standard", "beam as it is", "2e3 counts", "2e5 counts", "thin", "thick", "disks 0.5 mrad", "background x2",
    "amorphous", "beam 3 px off", "scale +1 %", "ellipse 1 %", "overlap",
)  # fmt: skip
FOREIGN = ("au", "na", "au2na")
WEIGHTS = {"noise": 0.3, "foreign": 0.5}


@dataclass(frozen=True, eq=False)
class Winners:
    """Of the patterns that are given an answer (n): what speaks for it, and where it is right."""

    evidence: Evidence
    right: NDArray[np.bool_]


def winners(
    images: NDArray[np.uint16],
    library: TemplateLibrary,
    calibration: Calibration,
    phase: str | None,
    truths: Sequence[Array],
) -> Winners:
    """As `index_scan` finds them. Right is any of the `truths` (each (n, 4)) of the phase, within 2 degrees."""
    settings = IndexingSettings(center=CenterSettings(method="per-pattern"))
    engine, centers = prepare(memory_scan(images[None]), library, calibration, settings=settings)
    own = pattern_centers(images, np.arange(len(images)), centers, engine)
    patterns, _ = prepared(images, own, engine)
    levels = [noise_levels(sums, engine) for sums in patterns.sums]
    first = searched(match_phases(patterns.peaks, engine, levels[1], patterns.sums[1]), engine, levels[1])
    final = refined(first, patterns.whole, engine, levels[0], patterns.sums[0])
    evidence = gather_evidence(first, final, engine)
    phases, orientations = final.phase_id[:, 0], final.orientation[:, 0]
    given = evidence.above_noise(settings.match.noise_factor)
    given &= ~coincidental(phases, orientations, patterns.peaks, engine)
    right = right_answers(phases, orientations, phase, truths, within_deg=2)
    return Winners(taken(evidence, given), right[given])


def right_answers(
    phases: NDArray[np.integer], orientations: Array, phase: str | None, truths: Sequence[Array], *, within_deg: float
) -> NDArray[np.bool_]:
    """Which of n answers are of the phase and near any of its `truths` (each (n, 4)); none without a phase."""
    right = np.zeros(len(phases), dtype=bool)
    if phase is not None:
        for truth in truths:
            error = np.rad2deg(disorientation_angle(truth, orientations, load_phase(phase).symmetry_quaternions))
            right |= (phases == MAIN.index(phase)) & (error < within_deg)
    return right


def shown(what: Condition, phase: str, cache: Path, n: int) -> tuple[NDArray[np.uint16], list[Array]]:
    """Frames (n, rows, columns) of the tuning split, and the orientations in each: two where crystals overlap."""
    spots = exchange.read(exchange.folder(cache, what.crystal, phase, "tuning"), n)
    seen = frames(spots, what.detector, wavelength=electron_wavelength(300.0), seed=("tuning", phase))
    there = [spots.orientation, *([spots.orientation[seen.second]] if what.detector.overlap[1] else [])]
    return seen.images, there


def taken(evidence: Evidence, which: NDArray[np.bool_]) -> Evidence:
    columns = {name: getattr(evidence, name)[which] for name in ("searched", "refined", "score", "rival", "spread")}
    return replace(evidence, **columns)


def features(evidence: Evidence) -> Array:
    """The terms of `Evidence.probability`, (n, 4)."""
    ratio = evidence.n_bins / 2 * np.log((1 - np.nan_to_num(evidence.rival) ** 2) / (1 - evidence.score**2))
    with np.errstate(divide="ignore"):
        terms = (
            np.ones_like(ratio),
            np.log(evidence.searched),
            np.log(evidence.refined),
            np.log1p(np.maximum(ratio, 0)),
        )
    return np.stack(terms, axis=1)


def collect(library: TemplateLibrary, arguments: argparse.Namespace) -> tuple[Array, Array, NDArray[np.str_]]:
    """Features, whether right, and the name of the group of every answer given."""
    rows, right, group = [], [], []
    calibration = Calibration(pixel_size=Detector().pixel, voltage=300.0)

    def add(name: str, images: NDArray[np.uint16], phase: str | None = None, truths: Sequence[Array] = ()) -> None:
        found = winners(images, library, calibration, phase, truths)
        rows.append(features(found.evidence))
        right.append(found.right.astype(float))
        group.extend([name] * len(found.right))

    for name in FITTED:
        what = condition(name, "tuning")
        for phase in MAIN:
            images, there = shown(what, phase, arguments.cache, arguments.n)
            add(name, images, phase, there)
    what = condition("standard", "tuning")
    for phase in FOREIGN:
        for changes in ({}, {"counts": 2e3}, {"beam": None}):
            camera = replace(what.detector, **changes)
            add("foreign", shown(replace(what, detector=camera), phase, arguments.cache, 40)[0])
    rng = np.random.default_rng(5)
    for counts in (300.0, 2e3, 2e4, 2e5):
        for halo in (0.0, 0.3):
            add("noise", noise_frames(rng, counts=counts, halo=halo))
    return np.concatenate(rows), np.concatenate(right), np.array(group)


def noise_frames(rng: np.random.Generator, *, counts: float, halo: float, n: int = 40) -> NDArray[np.uint16]:
    """Direct beam, diffuse background and an amorphous ring; no crystal."""
    camera = Detector(counts=counts, halo=halo)
    middle = np.full(2, (camera.size - 1) / 2)
    r = np.arange(camera.size) - middle[0]
    beam = np.exp(-(r[:, None] ** 2 + r[None] ** 2) / (2 * camera.blur_px**2))
    expected = smooth(middle, detector_matrix(camera, 0.0), camera) + 0.4 * beam / beam.sum()
    return rng.poisson(counts * expected, (n, camera.size, camera.size)).astype(np.uint16)


def fitted(x: Array, y: Array, weight: Array) -> Array:
    """Coefficients of the logistic regression, with a faint pull towards zero."""

    def loss(b: Array) -> float:
        return float(
            (weight * np.logaddexp(0, -(2 * y - 1) * (x @ b))).sum() / weight.sum() + 1e-3 * (b[1:] ** 2).sum()
        )

    return np.asarray(minimize(loss, np.zeros(x.shape[1]), method="BFGS").x)


def calibration_error(p: Array, y: Array) -> float:
    """Expected calibration error over ten bins."""
    bins = np.minimum((10 * p).astype(int), 9)
    return float(sum(abs(p[bins == i].mean() - y[bins == i].mean()) * (bins == i).mean() for i in np.unique(bins)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=50, help="patterns a phase and condition")
    parser.add_argument("--k-max", type=float, default=1.33)
    parser.add_argument("--cache", type=Path, default=CACHE)
    arguments = parser.parse_args()
    assert all(name in CONDITIONS for name in FITTED)
    simulation = SimulationSettings(voltage=300.0, k_max=arguments.k_max)
    library = cached_library([load_phase(name) for name in MAIN], simulation)
    x, y, group = collect(library, arguments)
    usable = np.isfinite(x).all(axis=1)
    x, y, group = x[usable], y[usable], group[usable]
    weight = np.array([WEIGHTS.get(name, 1.0) for name in group])
    left_out = np.empty(len(y))
    for name in np.unique(group):
        out = group == name
        left_out[out] = 1 / (1 + np.exp(-(x[out] @ fitted(x[~out], y[~out], weight[~out]))))
        line = f"{name}: stated {left_out[out].mean():.2f}, right {y[out].mean():.2f}"
        sys.stdout.write(f"{line}, calibration error {calibration_error(left_out[out], y[out]):.3f}\n")
    real = ~np.isin(group, list(WEIGHTS))
    sure = left_out >= 0.95
    sys.stdout.write(
        f"expected calibration error {calibration_error(left_out[real], y[real]):.3f}; of those stated >= 95 %"
        f" ({100 * sure[real].mean():.0f} % of all) {100 * y[sure].mean():.1f} % are right\n"
        f"coefficients {np.round(fitted(x, y, weight), 3).tolist()}, in use {list(COEFFICIENTS)}\n"
    )


if __name__ == "__main__":
    main()
