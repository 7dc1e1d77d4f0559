"""Where the information ends: in how many of the wrong answers would the truth have won?

    python bench/accuracy/information_limit.py --conditions standard --phases nzsp na2au --n 300

needs the spots that generate.py wrote for the same arguments. Truth and wrong answer are compared with the frame by
Bloch waves, twice: by the evidence that re-ranking goes by (at the true orientation and thickness; the answer with all
its freedom of tilt, turn and thickness), and by the likelihood of all pixels for somebody who knows the camera exactly
(validation/likelihood.py), both with all their freedom. What the latter cannot tell, no program can.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from validate import Method, cached_index, look_taken, told
from validation import exchange
from validation.conditions import CACHE, CONDITIONS, MAIN, SPLITS, Condition, Crystal, condition
from validation.detector import Frames, frames
from validation.judge import table, wilson
from validation.likelihood import Camera, Specimen

from nbedex.calibration import electron_wavelength
from nbedex.indexing.block import prepared
from nbedex.indexing.engine import Engine, make_engine, noise_levels
from nbedex.indexing.rerank import RerankEngine, make_rerank_engine, rerank_options, rerank_patterns
from nbedex.indexing.rerank_records import log_likelihood
from nbedex.indexing.settings import CenterSettings, IndexingSettings, RerankSettings
from nbedex.library import SimulationSettings, TemplateLibrary, cached_library
from nbedex.maps import disorientation_angle
from nbedex.phases import load_phase

Array = NDArray[np.float64]
RIGHT_DEG = 3.0
SURE = 3.0  # difference of log likelihoods from which they tell two orientations apart
STANDARD = RerankSettings(mode="all")
THOROUGH = replace(STANDARD, starts=20, points=20, halvings=5)
# where a candidate is, and nowhere else
EXACT = replace(STANDARD, starts=1, points=1, halvings=1, reach_deg=0.0, step_deg=0.05)


@dataclass(frozen=True, eq=False)
class Wrong:
    """A wrong answer beside the truth.

    `refused`: none was given, this is the one that was refused. `listed`: the truth was among the candidates. The rest
    is truth minus answer: of re-ranking's score and evidence, and of the log likelihood of all pixels.
    """

    number: int
    refused: bool
    listed: bool
    score: float
    evidence: float
    likelihood: float


@dataclass(eq=False)
class Case:
    """The patterns of one phase under one condition, what matching made of them, and what re-ranking did."""

    name: str
    phase: str
    what: Condition
    library: TemplateLibrary
    truth: exchange.Patterns
    shown: Frames
    matched: dict[str, Any]
    found: dict[str, Any]

    @property
    def own(self) -> int:
        return [phase.name for phase in self.library.phases].index(self.phase)

    def error_deg(self, number: int, orientation: Array, phase_id: NDArray[np.integer]) -> Array:
        """Of orientations (…, 4) found for a pattern; infinite where the phase is wrong."""
        symmetry = self.library.phases[self.own].symmetry_quaternions
        error = np.rad2deg(disorientation_angle(self.truth.orientation[number], orientation, symmetry))
        return np.asarray(np.where((phase_id == self.own) & np.isfinite(error), error, np.inf))

    @cached_property
    def engine(self) -> Engine:
        size = self.what.detector.size
        return make_engine(
            self.library, told(self.what), IndexingSettings(), frame_shape=(size, size), center=((size - 1) / 2,) * 2
        )

    @cached_property
    def bloch_waves(self) -> RerankEngine:
        """As `--rerank all` has them."""
        grid = self.engine.grid
        return make_rerank_engine(self.library.phases, told(self.what), STANDARD, k_min=grid.k_min, k_max=grid.k_max)

    def with_settings(self, settings: RerankSettings) -> RerankEngine:
        """The same with other options and the same effort for each candidate."""
        grid = self.engine.grid
        options = rerank_options(told(self.what), settings, k_min=grid.k_min, k_max=grid.k_max, each_alone=True)
        return dataclasses.replace(self.bloch_waves, options=options, settings=settings)

    @cached_property
    def specimens(self) -> list[Specimen]:
        """By phase."""
        assert isinstance(self.what.crystal, Crystal)
        return [Specimen(phase, self.what.crystal) for phase in self.library.phases]


def indexed(arguments: argparse.Namespace, name: str, phase: str) -> Case:
    """The patterns, and what is found; read if validate.py has found it before."""
    what = condition(name, arguments.split)
    if not isinstance(what.crystal, Crystal):
        raise SystemExit(f"condition {name!r} has no true Bloch waves to compare with")
    simulation = SimulationSettings(voltage=300.0, k_max=arguments.k_max)
    library = cached_library([load_phase(name) for name in MAIN], simulation, threads=arguments.threads)
    where = exchange.folder(arguments.cache, what.crystal, phase, arguments.split)
    found = []
    for mode in ("off", "all"):
        settings = IndexingSettings(
            center=CenterSettings(method="per-pattern"), rerank=RerankSettings(mode=mode)  # type: ignore[arg-type]
        )  # fmt: skip
        method = Method(library=library, settings=settings, centers="found", threads=arguments.threads)
        found.append(cached_index(where, phase, arguments.split, arguments.n, what, method))
    truth = exchange.read(where, arguments.n)
    assert isinstance(truth, exchange.Patterns)
    shown = frames(
        truth, what.detector, wavelength=electron_wavelength(what.crystal.voltage), seed=(arguments.split, phase)
    )
    return Case(name, phase, what, library, truth, shown, found[0], found[1])


def compared(case: Case, number: int, answer: Array, answer_phase: int) -> tuple[float, float, float]:
    """Truth minus answer: re-ranking's score and evidence, and the likelihood of all pixels."""
    truth = case.truth.orientation[number]
    thickness = float(case.truth.thickness_nm[number])
    image, center = case.shown.images[number : number + 1], case.found["center"][number : number + 1].astype(np.float64)
    patterns, _ = prepared(image, center, case.engine, threads=1)
    levels = noise_levels(patterns.sums[0], case.engine)
    there = replace(EXACT, min_thickness_nm=thickness, max_thickness_nm=thickness)
    judged = []
    for orientation, phase, settings in ((truth, case.own, there), (answer, answer_phase, THOROUGH)):
        of = np.array([[phase]], dtype=np.int16)
        one = np.ascontiguousarray(orientation)[None, None]  # may be a field of records
        matched = case.engine.model.refine(patterns.whole, of, one, levels, 1)
        likely = log_likelihood(matched["score"].astype(np.float64), patterns.whole[0].size)
        judged.append(
            rerank_patterns(
                image, center, one, of, likely,
                case.with_settings(settings), threads=1,
            )
        )  # fmt: skip
    camera = Camera(case.what.detector, case.shown.center[number])
    likelihood = [
        case.specimens[phase].likeliest(image[0], camera, orientation, depth).log_likelihood
        for phase, orientation, depth in (
            (case.own, truth, thickness),
            (answer_phase, judged[1].orientation[0, 0], float(judged[1].thickness_nm[0, 0])),
        )
    ]
    return (
        float(judged[0].score[0, 0] - judged[1].score[0, 0]),
        float(judged[0].evidence[0, 0] - judged[1].evidence[0, 0]),
        likelihood[0] - likelihood[1],
    )


def diagnosed(case: Case, arguments: argparse.Namespace) -> tuple[int, int, list[Wrong]]:
    """How many are right by matching and after re-ranking, and what is wrong with the others of the latter."""
    found, wrong = case.found, []
    right = np.zeros(len(case.truth), dtype=bool)
    for number in range(len(case.truth)):
        refused = bool(found["phase_id"][number] < 0)
        ids, rivals = found["rival_phase_id"][number], found["rival_orientation"][number]
        error = case.error_deg(number, rivals, ids)
        right[number] = not refused and error[0] <= RIGHT_DEG
        if right[number] or ids[0] < 0:
            continue
        # a refused answer may be the right one
        rest = (np.inf,) * 3 if error[0] <= RIGHT_DEG else compared(case, number, rivals[0], int(ids[0]))
        wrong.append(Wrong(number, refused, bool((error <= RIGHT_DEG).any()), *rest))
        if arguments.each:
            sys.stderr.write(f"{case.name} {case.phase} {wrong[-1]} errors {np.round(error, 1).tolist()}\n")
    before = [
        case.error_deg(i, case.matched["orientation"][i], case.matched["phase_id"][i]) <= RIGHT_DEG
        for i in range(len(right))
    ]  # fmt: skip
    return sum(before), int(right.sum()), wrong


# of the wrong ones: refused though right; the truth was not among the candidates; it was, and wins by evidence, but the
# search did not find its tilt; the answer wins by evidence
COLUMNS = [
    "condition", "phase", "n", "right, matching, %", "right, re-ranked, %", "wrong", "right but refused",
    "no candidate", "not found", "score errs", "likelier: truth", "neither", "answer", "limit, %",
]  # fmt: skip


def row(case: Case, before: int, after: int, wrong: list[Wrong]) -> list[str]:
    """Cells under `COLUMNS`."""
    n = len(case.truth)
    likelihood, evidence = np.array([(one.likelihood, one.evidence) for one in wrong]).reshape(-1, 2).T
    listed, right = np.array([one.listed for one in wrong], dtype=bool), np.isinf(likelihood)
    told_apart = int((likelihood > SURE).sum())
    return [
        case.name, case.phase, str(n), *("{:.0f} ± {:.0f}".format(*wilson(right, n)) for right in (before, after)),
        str(len(wrong)), str(int(right.sum())), str(int((~listed).sum())),
        str(int((listed & ~right & (evidence > 0)).sum())), str(int((listed & (evidence <= 0)).sum())),
        str(told_apart - int(right.sum())), str(int((abs(likelihood) <= SURE).sum())),
        str(int((likelihood < -SURE).sum())), f"{wilson(after + told_apart, n)[0]:.1f}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--split", choices=SPLITS, default="tuning")
    parser.add_argument("--conditions", nargs="+", choices=list(CONDITIONS), default=["standard"], metavar="NAME")
    parser.add_argument("--phases", nargs="+", choices=MAIN, default=list(MAIN), metavar="PHASE")
    parser.add_argument("--n", type=int, default=150)
    parser.add_argument("--k-max", type=float, default=1.33)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--each", action="store_true", help="say what is wrong with every pattern")
    parser.add_argument("--cache", type=Path, default=CACHE)
    arguments = parser.parse_args()
    if arguments.split == "held-out":
        look_taken(arguments, Path(__file__))
    rows = []
    for name in arguments.conditions:
        for phase in arguments.phases:
            case = indexed(arguments, name, phase)
            rows.append(row(case, *diagnosed(case, arguments)))
            sys.stderr.write(" | ".join(rows[-1]) + "\n")
    sys.stdout.write(table(COLUMNS, rows))


if __name__ == "__main__":
    main()
