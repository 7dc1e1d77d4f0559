"""Fit the coefficients of nbedex.indexing.confidence to the tuning split, and say how well they hold elsewhere.

    python bench/accuracy/fit_confidence.py --n 50

needs the spots of generate.py for the conditions named. Each condition in turn is left out of the fit and judged.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from validation import exchange
from validation.conditions import CACHE, CONDITIONS, MAIN, Detector, condition
from validation.detector import detector_matrix, frames, smooth

from nbedex import _core
from nbedex.calibration import Calibration, electron_wavelength
from nbedex.indexing.block import gather_evidence
from nbedex.indexing.candidates import match_phases, refined, searched
from nbedex.indexing.confidence import COEFFICIENTS, Evidence
from nbedex.indexing.engine import Engine, make_engine, noise_levels
from nbedex.indexing.prepare import locate
from nbedex.indexing.settings import CenterSettings, IndexingSettings
from nbedex.library import SimulationSettings, cached_library
from nbedex.maps import disorientation_angle
from nbedex.phases import load_phase

Array = NDArray[np.float64]
FITTED = (
    "standard", "beam as it is", "2e3 counts", "2e5 counts", "thin", "thick", "disks 0.5 mrad", "background x2",
    "amorphous", "beam 3 px off", "scale +1 %", "ellipse 1 %", "overlap",
)  # fmt: skip
FOREIGN = ("au", "na", "au2na")
WEIGHTS = {"noise": 0.3, "foreign": 0.5}


def evidence_of(images: NDArray[np.uint16], engine: Engine) -> tuple[Evidence, NDArray[np.int16], Array]:
    """Evidence, phases and orientations of the winners."""
    middle = (np.array(images.shape[1:]) - 1) / 2
    centers = locate(images, CenterSettings(search_radius=7.0), middle, None, finder="beam", threads=1)
    polar, peaks, _, sums = _core.prepare_patterns(
        np.ascontiguousarray(images),
        np.ascontiguousarray(centers),
        engine.sampler,
        engine.preprocessing,
        None,
        1,
        with_peaks=True,
        spot_filter=engine.spot_filter,
    )
    assert peaks is not None
    levels = noise_levels(sums[1], engine)
    first = searched(match_phases(peaks, engine, levels), engine, levels)
    final = refined(first, polar, engine, noise_levels(sums[0], engine))
    evidence = gather_evidence(first, final, engine)
    return evidence, final.phase_id[:, 0], final.orientation[:, 0]


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


def collect(engine: Engine, arguments: argparse.Namespace) -> tuple[Array, Array, NDArray[np.str_]]:
    """Features, whether right, and the name of the group of every pattern."""
    rows, right, group = [], [], []
    wavelength = electron_wavelength(300.0)

    def add(name: str, images: NDArray[np.uint16], phase: str | None, truth: Array | None) -> None:
        evidence, phase_id, orientation = evidence_of(images, engine)
        rows.append(features(evidence))
        group.extend([name] * len(images))
        if phase is None or truth is None:
            right.append(np.zeros(len(images)))
            return
        error = np.rad2deg(disorientation_angle(truth, orientation, load_phase(phase).symmetry_quaternions))
        right.append(((phase_id == MAIN.index(phase)) & (error < 2)).astype(float))

    for name in FITTED:
        what = condition(name, "tuning")
        for phase in MAIN:
            spots = exchange.read(exchange.folder(arguments.cache, what.crystal, phase, "tuning"), arguments.n)
            shown = frames(spots, what.detector, wavelength=wavelength, seed=("tuning", phase))
            add(name, shown.images, phase, spots.orientation)
    what = condition("standard", "tuning")
    for phase in FOREIGN:
        spots = exchange.read(exchange.folder(arguments.cache, what.crystal, phase, "tuning"), 40)
        for changes in ({}, {"counts": 2e3}, {"beam": None}):
            camera = replace(what.detector, **changes)
            add("foreign", frames(spots, camera, wavelength=wavelength, seed=("tuning", phase)).images, None, None)
    rng = np.random.default_rng(5)
    for counts in (300.0, 2e3, 2e4, 2e5):
        for halo in (0.0, 0.3):
            add("noise", noise_frames(rng, counts=counts, halo=halo), None, None)
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
    parser.add_argument("--k-max", type=float, default=1.2)
    parser.add_argument("--cache", type=Path, default=CACHE)
    arguments = parser.parse_args()
    assert all(name in CONDITIONS for name in FITTED)
    simulation = SimulationSettings(voltage=300.0, k_max=arguments.k_max)
    library = cached_library([load_phase(name) for name in MAIN], simulation)
    engine = make_engine(
        library, Calibration(pixel_size=Detector().pixel, voltage=300.0), IndexingSettings(),
        frame_shape=(Detector().size,) * 2, center=((Detector().size - 1) / 2,) * 2,
    )  # fmt: skip
    x, y, group = collect(engine, arguments)
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
