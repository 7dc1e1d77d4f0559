"""What an indexer's answers are worth, given the truth."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[3] / "tests"))

from nbedex.library import SimulationSettings
from nbedex.maps import conjugate, disorientation_angle, multiply, rotate
from nbedex.phases import Phase
from oracles.accuracy import Verdict, judge

Array = NDArray[np.float64]
WITHIN_DEG = (0.5, 1.0, 2.0, 3.0, 5.0)
FAR = np.inf


@dataclass(frozen=True, eq=False)
class Answers:
    """Of n patterns, by any program.

    Attributes
    ----------
    phase : (n,) str
        Name of the phase found, empty where none.
    orientation : (n, 4) float64
        NaN where none.
    best : (n, b, 4) float64
        Best distinct orientations of the true phase, padded with NaN.
    refused : (n, 4) float64 or None
        Where the program said that no phase fits: the orientation it would have given, of the true phase; else NaN.
    confidence : (n,) float64 or None
        Probability that phase and orientation (within 2 degrees) are right, where the program gives one.
    """

    phase: NDArray[np.str_]
    orientation: Array
    best: Array
    refused: Array | None = None
    confidence: Array | None = None


@dataclass(frozen=True, eq=False)
class Scores:
    """Answers of one phase under one condition, judged.

    Attributes
    ----------
    error_deg : (n,) float64
        To the truth, up to the Laue class; infinite where phase or pattern are lost.
    best_error_deg : (n,) float64
        Of the closest among the best few.
    second_error_deg : (n,) float64
        To the crystal that lies over it; infinite where there is none.
    plane_deg : (n,) float64
        Between true and found conduction planes; NaN where the phase has none or another was found.
    right_phase : (n,) bool
    verdict : (n,) int64
        `oracles.accuracy.Verdict`; meaningful where the phase is right.
    lost, lost_right : (n,) bool
        Without an answer; and of those the ones whose refused answer was within 3 degrees of the truth.
    threefold : (n,) bool
        Within 3 degrees of the truth after 120 degrees about c*, and not right: NZSP's pseudo-symmetry.
    confidence
        See `Answers`.
    """

    error_deg: Array
    best_error_deg: Array
    second_error_deg: Array
    plane_deg: Array
    right_phase: NDArray[np.bool_]
    verdict: NDArray[np.int64]
    threefold: NDArray[np.bool_]
    lost: NDArray[np.bool_]
    lost_right: NDArray[np.bool_]
    confidence: Array | None


def score(
    phase: Phase, truth: Array, answers: Answers, settings: SimulationSettings, second: Array | None = None
) -> Scores:
    """Judge answers (n). `second` (n, 4): orientations of the weaker crystals that lie over the `truth`, if any do."""
    symmetry = phase.symmetry_quaternions
    right_phase = answers.phase == phase.name
    found = np.where(right_phase[:, None], answers.orientation, np.nan)
    error = np.rad2deg(disorientation_angle(truth, found, symmetry))
    others = np.full_like(truth, np.nan) if second is None else second
    second_error = np.rad2deg(disorientation_angle(others, found, symmetry))
    best = np.rad2deg(disorientation_angle(truth[:, None], answers.best, symmetry))
    threefold = np.zeros(len(truth), dtype=bool)
    for turn in (120.0, 240.0):
        half = np.deg2rad(turn) / 2
        variant = multiply(np.array([np.cos(half), 0.0, 0.0, np.sin(half)]), truth)
        threefold |= np.rad2deg(disorientation_angle(variant, found, symmetry)) < 3.0
    lost_right = np.zeros(len(truth), dtype=bool)
    if answers.refused is not None:
        lost_right = np.rad2deg(disorientation_angle(truth, answers.refused, symmetry)) < 3.0
    plane = np.full(len(truth), np.nan)
    if phase.conduction_normal is not None:
        normals = [rotate(conjugate(q), phase.conduction_normal) for q in (truth, found)]
        cosine = np.abs((normals[0] * normals[1]).sum(axis=-1))
        sine = np.linalg.norm(np.cross(*normals), axis=-1)
        plane = np.rad2deg(np.arctan2(sine, cosine))
    return Scores(
        error_deg=np.where(np.isnan(error), FAR, error),
        best_error_deg=np.where(np.isnan(best), FAR, best).min(axis=1, initial=FAR),
        second_error_deg=np.where(np.isnan(second_error), FAR, second_error),
        plane_deg=plane,
        right_phase=right_phase,
        verdict=judge(phase, truth, found, settings).verdict,
        threefold=threefold & ~(error < 5.0),
        lost=answers.phase == "",
        lost_right=lost_right,
        confidence=answers.confidence,
    )


def wilson(right: int, n: int) -> tuple[float, float]:
    """Percent and its one-sigma half width (Wilson 1927), which stays honest near 0 and 100 %."""
    if n == 0:
        return float("nan"), float("nan")
    p = right / n
    return 100 * p, 100 * float(np.sqrt(p * (1 - p) / n + 1 / (4 * n * n)) / (1 + 1 / n))


def score_row(scores: Scores) -> list[str]:
    """Cells under `SCORE_COLUMNS`."""
    n = len(scores.error_deg)
    shares = {limit: wilson(int((scores.error_deg <= limit).sum()), n) for limit in WITHIN_DEG}
    count = np.bincount(scores.verdict[scores.right_phase], minlength=len(Verdict))
    near = scores.error_deg[scores.error_deg <= 3.0]
    planes = scores.plane_deg[~np.isnan(scores.plane_deg)]
    return [
        str(n),
        *(f"**{p:.0f} ± {e:.0f}**" if limit == 3.0 else f"{p:.0f}" for limit, (p, e) in shares.items()),
        f"{100 * (scores.best_error_deg <= 3.0).mean():.0f}",
        f"{np.median(near):.2f}" if len(near) else "–",
        f"{np.median(planes):.2f} / {planes.mean():.2f} / {np.percentile(planes, 90):.1f}" if len(planes) else "–",
        *(str(count[v]) for v in (Verdict.AMBIGUOUS, Verdict.HALF_TURN, Verdict.TURNED, Verdict.MIRRORED)),
        str(int(scores.threefold.sum())),
        f"{scores.lost.sum()} ({scores.lost_right.sum()})",
        "{:.0f} ± {:.0f}".format(*wilson(int(scores.right_phase.sum()), n)),
    ]  # fmt: skip


SCORE_COLUMNS = [
    "n", *(f"≤ {limit:g}°" for limit in WITHIN_DEG), "in best 5", "median, °", "plane, °", "twin", "half turn",
    "turned", "mirrored", "120° about c*", "lost (right)", "right phase, %",
]  # fmt: skip


EDGES = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0])  # of the reliability curve
SURE = 0.95


def given(scores: list[Scores], *, either: bool = False) -> tuple[Array, NDArray[np.bool_]]:
    """Stated probability, and whether phase and orientation (within 2 degrees) are right, of all answers with one.

    Right is the stronger of two crystals that overlap; with `either` the weaker one, too: it is there.
    """
    stated, right = [np.empty(0)], [np.empty(0, dtype=bool)]
    for one in scores:
        if one.confidence is not None:
            there = ~one.lost & ~np.isnan(one.confidence)
            stated.append(one.confidence[there])
            error = np.minimum(one.error_deg, one.second_error_deg) if either else one.error_deg
            right.append(error[there] <= 2.0)
    return np.concatenate(stated), np.concatenate(right)


def confidence_rows(scores: list[Scores], *, either: bool = False) -> tuple[list[list[str]], float]:
    """Reliability curve (stated, n, really right) and the expected calibration error: mean |stated - right|."""
    stated, right = given(scores, either=either)
    which = np.searchsorted(EDGES[1:-1], stated, side="right")
    rows, error = [], 0.0
    for b in range(len(EDGES) - 1):
        inside = which == b
        if not inside.any():
            continue
        share, sigma = wilson(int(right[inside].sum()), int(inside.sum()))
        error += inside.mean() * abs(stated[inside].mean() - right[inside].mean())
        rows.append([f"{100 * stated[inside].mean():.0f}", str(int(inside.sum())), f"{share:.0f} ± {sigma:.0f}"])
    return rows, float(error)


def calibration_rows(named: list[tuple[str, Scores]]) -> list[list[str]]:
    """Under `CALIBRATION_COLUMNS`: each condition with all its phases, then all together.

    Where crystals overlap there is a second row that takes an answer for right if it is of either.
    """
    rows = []
    for name in [*dict.fromkeys(name for name, _ in named), "all"]:
        scores = [one for of, one in named if name in (of, "all")]
        if not len(given(scores)[0]):
            continue
        rows.append([name, *calibration_cells(scores, either=False)])
        if any(np.isfinite(one.second_error_deg).any() for one in scores):
            rows.append([f"{name}, either crystal", *calibration_cells(scores, either=True)])
    return rows


def calibration_cells(scores: list[Scores], *, either: bool) -> list[str]:
    stated, right = given(scores, either=either)
    sure = stated >= SURE
    of_sure = "{:.1f} ± {:.1f}".format(*wilson(int(right[sure].sum()), int(sure.sum()))) if sure.any() else "–"
    _, error = confidence_rows(scores, either=either)
    means = (f"{100 * values.mean():.1f}" for values in (stated, right))
    return [str(len(stated)), *means, f"{error:.3f}", str(int(sure.sum())), of_sure]


CALIBRATION_COLUMNS = [
    "condition", "answers", "stated, %", "right, %", "calibration error", "stated ≥ 95 %", "of those right, %",
]  # fmt: skip


def table(columns: list[str], rows: list[list[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(columns) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in [columns, rule, *rows]) + "\n"
