"""Fit the weights of re-ranking's evidence and the coefficients of its probability to the tuning split, and judge both.

    python bench/accuracy/fit_rerank.py --n 600 --threads 1

needs the spots of generate.py for the standard condition, which all conditions named share. Weights: which of a
pattern's candidates is the truth (conditional logit); probability: whether the first is right (logistic regression).
Every fit is judged on fifths of the patterns that it has not seen.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fit_confidence import calibration_error, fitted
from numpy.typing import NDArray
from scipy.optimize import minimize
from validate import told
from validation import exchange
from validation.conditions import CACHE, MAIN, condition
from validation.detector import frames

from nbedex import _core
from nbedex.calibration import electron_wavelength
from nbedex.indexing.block import index_patterns, prepared
from nbedex.indexing.engine import make_engine
from nbedex.indexing.prepare import locate
from nbedex.indexing.records import empty_records
from nbedex.indexing.rerank_records import log_likelihood, probability
from nbedex.indexing.settings import CenterSettings, IndexingSettings, RerankSettings
from nbedex.library import SimulationSettings, TemplateLibrary, cached_library
from nbedex.maps import disorientation_angle
from nbedex.maps.result import Status
from nbedex.phases import load_phase

Array = NDArray[np.float64]
CONDITIONS = (
    "standard", "2e3 counts", "2e5 counts", "beam as it is", "background x2", "overlap", "scale +1 %", "ellipse 1 %",
)  # fmt: skip
SETTINGS = IndexingSettings(center=CenterSettings(method="per-pattern"), rerank=RerankSettings(mode="all"))
IN_USE = (0.45, 62.0, 0.15)  # cpp/src/nearby_crystal.hpp
LEAST_MISFIT, FITTED_FREELY = 1e-4, 4  # as there
RIGHT_DEG, CALIBRATED_DEG = 3.0, 2.0
FOLDS = 5


@dataclass(frozen=True, eq=False)
class Candidates:
    """Those of n patterns, k each.

    `terms` (n, k, 3) of the evidence: log likelihood of the misfit, score, log likelihood of matching. `tried` and
    `error_deg` (n, k): from the truth, infinite for another phase. `refused` (n,): by matching. `fold` (n,): the same
    for a pattern under all conditions.
    """

    terms: Array
    tried: NDArray[np.bool_]
    error_deg: Array
    refused: NDArray[np.bool_]
    fold: NDArray[np.int64]

    @property
    def right(self) -> NDArray[np.bool_]:
        return self.tried & (self.error_deg <= RIGHT_DEG)


def collected(name: str, phase: str, library: TemplateLibrary, arguments: argparse.Namespace) -> Candidates:
    """What re-ranking says of the patterns of a phase under a condition."""
    what = condition(name, "tuning")
    spots = exchange.read(exchange.folder(arguments.cache, what.crystal, phase, "tuning"), arguments.n)
    wavelength = electron_wavelength(what.crystal.voltage)
    shown = frames(spots, what.detector, wavelength=wavelength, seed=("tuning", phase))
    size = what.detector.size
    middle = ((size - 1) / 2,) * 2
    engine = make_engine(library, told(what), SETTINGS, frame_shape=(size, size), center=middle)
    centers = locate(shown.images, SETTINGS.center, np.array(middle), None, finder="beam", threads=arguments.threads)
    centers = np.ascontiguousarray(centers)
    patterns, status = prepared(shown.images, centers, engine, threads=arguments.threads)
    records = empty_records(len(spots), SETTINGS, len(MAIN), Status.OK)
    records["status"] = status
    records, refused = index_patterns(patterns, records, engine, arguments.threads)
    asked = np.flatnonzero((records["phase_id"] >= 0) | refused)
    score, orientation = records["rival_score"][asked].astype(float), records["rival_orientation"][asked]
    tried = (score >= SETTINGS.rerank.candidate_share * score[:, :1]) & (records["rival_phase_id"][asked] >= 0)
    likely = np.where(tried, log_likelihood(score, engine.grid.n_rings * engine.grid.n_azimuths), 0.0)
    assert engine.rerank is not None
    found = _core.rerank(
        np.ascontiguousarray(shown.images[asked]), np.ascontiguousarray(centers[asked]), None,
        [crystal.core for crystal in engine.rerank.crystals],
        np.ascontiguousarray(np.where(tried[..., None], orientation, (1.0, 0.0, 0.0, 0.0))),
        np.where(tried, records["rival_phase_id"][asked], -1).astype(np.int32), likely, engine.rerank.options,
        arguments.threads,
    )  # fmt: skip
    tried &= np.isfinite(found["evidence"])
    misfit = np.log(np.maximum(1 - found["score"], LEAST_MISFIT))
    terms = np.stack([-0.5 * np.maximum(found["spots"] - FITTED_FREELY, 1) * misfit, found["score"], likely], axis=2)
    if not np.allclose((terms @ IN_USE)[tried], found["evidence"][tried]):
        raise SystemExit("the evidence is not what IN_USE says: compare this file with nearby_crystal.hpp")
    truth = np.repeat(spots.orientation[asked][:, None], tried.shape[1], axis=1)
    error = disorientation_angle(truth, found["orientation"], load_phase(phase).symmetry_quaternions)
    own = tried & (records["rival_phase_id"][asked] == MAIN.index(phase))
    return Candidates(
        np.where(tried[..., None], terms, 0.0), tried, np.where(own, np.rad2deg(error), np.inf), refused[asked],
        asked % FOLDS,
    )  # fmt: skip


def joined(parts: list[Candidates]) -> Candidates:
    return Candidates(
        **{name: np.concatenate([getattr(p, name) for p in parts]) for name in Candidates.__annotations__}
    )


def weights(of: Candidates, where: NDArray[np.bool_]) -> Array:
    """Of the terms, by maximum likelihood: the truth is candidate i with a probability of exp(evidence i) / sum."""
    where = where & of.right.any(axis=1)
    tried, right = of.tried[where], of.right[where]
    unit = np.array([(of.terms[where] - of.terms[where, :1])[tried, j].std() for j in range(3)])
    x = of.terms[where] / unit

    def loss(b: Array) -> tuple[float, Array]:
        share = np.exp(evidence := evidences(x, tried, b))
        share /= share.sum(axis=1, keepdims=True)
        of_right = np.where(right, np.exp(evidence), 0.0)
        true = of_right.sum(axis=1, keepdims=True)
        slope = ((share - of_right / true)[..., None] * x).sum(axis=(0, 1))
        return float(-np.log((share * right).sum(axis=1)).mean()), slope / len(x)

    return np.asarray(minimize(loss, np.zeros(3), jac=True, method="L-BFGS-B").x) / unit


def evidences(terms: Array, tried: NDArray[np.bool_], weight: Array) -> Array:
    """(n, k), less that of the best; at least -600, also where nothing was tried."""
    evidence = np.where(tried, terms @ weight, -np.inf)
    return np.maximum(evidence - evidence.max(axis=1, keepdims=True), -600.0)


def first_and_lead(of: Candidates, evidence: Array) -> tuple[NDArray[np.intp], Array]:
    """Number of the best candidate (n,), and the logarithm of its odds against all others together, at most 50."""
    others = np.maximum(np.where(of.tried, np.exp(evidence), 0.0).sum(axis=1) - 1, 1e-300)
    return evidence.argmax(axis=1), np.minimum(-np.log(others), 50.0)


def judged_probability(of: Candidates, evidence: Array) -> list[str]:
    """Lines about the coefficients in use, and fitted anew."""
    first, lead = first_and_lead(of, evidence)
    score, error = (np.take_along_axis(a, first[:, None], axis=1)[:, 0] for a in (of.terms[..., 1], of.error_deg))
    answered = ~of.refused | (score >= SETTINGS.rerank.convincing_score)
    right = (error <= CALIBRATED_DEG).astype(float)
    x = np.stack([np.ones_like(lead), np.arcsinh(lead), score], axis=1)
    refitted = np.empty(len(right))
    for fold in range(FOLDS):
        out, rest = of.fold == fold, answered & (of.fold != fold)
        refitted[out] = 1 / (1 + np.exp(-x[out] @ fitted(x[rest], right[rest], np.ones(rest.sum()))))
    lines = []
    for name, stated in (("in use", probability(lead, score)), ("fitted anew", refitted)):
        sure = answered & (stated >= 0.95)
        lines.append(
            f"probability {name}: calibration error {calibration_error(stated[answered], right[answered]):.3f},"
            f" {100 * sure.sum() / answered.sum():.0f} % given at least 95 %, of those {100 * right[sure].mean():.1f} %"
            " right"
        )
    every = fitted(x[answered], right[answered], np.ones(answered.sum()))
    return [*lines, f"coefficients fitted to all: {np.round(every, 2).tolist()}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=200, help="patterns a phase and condition")
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=list(CONDITIONS), metavar="NAME")
    parser.add_argument("--k-max", type=float, default=1.33)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=CACHE)
    arguments = parser.parse_args()
    simulation = SimulationSettings(voltage=300.0, k_max=arguments.k_max)
    library = cached_library([load_phase(name) for name in MAIN], simulation, threads=arguments.threads)
    group, parts = [], []
    for name in arguments.conditions:
        for phase in MAIN:
            parts.append(collected(name, phase, library, arguments))
            group += [f"{name}, {phase}"] * len(parts[-1].fold)
            sys.stderr.write(f"{name}, {phase}\n")
    of, names = joined(parts), np.array(group)
    in_use = evidences(of.terms, of.tried, np.array(IN_USE))
    anew = np.empty_like(in_use)
    for fold in range(FOLDS):
        out = of.fold == fold
        anew[out] = evidences(of.terms[out], of.tried[out], weights(of, ~out))
    right = [np.take_along_axis(of.right, e.argmax(axis=1)[:, None], axis=1)[:, 0] for e in (in_use, anew)]
    for name in dict.fromkeys(group):
        own = names == name
        sys.stdout.write(
            f"{name}: {own.sum()} patterns, truth among the candidates {of.right[own].any(axis=1).sum()}, first"
            f" {right[0][own].sum()}, with weights fitted to other patterns {right[1][own].sum()}\n"
        )
    gained, lost = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
    sys.stdout.write(
        f"all: {len(names)} patterns, first {right[0].sum()}; weights fitted anew win {gained} and lose {lost}\n"
        f"weights fitted to all: {np.round(weights(of, np.ones(len(names), dtype=bool)), 3).tolist()}, in use"
        f" {list(IN_USE)}\n"
    )
    sys.stdout.write("\n".join(judged_probability(of, in_use)) + "\n")


if __name__ == "__main__":
    main()
