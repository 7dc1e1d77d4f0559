"""How often random orientations come back: patterns simulated by diffsims, indexed the way a scan is.

Writes diffsims_table.md beside this file. From the repository's root:

    python bench/accuracy/diffsims_table.py --n 200
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from nbedex.calibration import Calibration  # noqa: E402
from nbedex.files import write_atomically  # noqa: E402
from nbedex.indexing import index_scan  # noqa: E402
from nbedex.indexing.settings import CenterSettings, IndexingSettings  # noqa: E402
from nbedex.library import SimulationSettings, TemplateLibrary, build_library  # noqa: E402
from nbedex.maps import IndexingResult, disorientation_angle  # noqa: E402
from nbedex.phases import Phase, load_phase, phase_names  # noqa: E402
from nbedex.scan import memory_scan  # noqa: E402
from oracles.accuracy import AMBIGUOUS, NEAR_DEG, RIGHT_DEG, Judgement, Verdict, judge  # noqa: E402
from oracles.diffsims_patterns import Microscope, diffsims_spots, frames, random_orientations  # noqa: E402

MAIN = ("beta2-alumina", "nzsp", "na2au")
SMALL = ("au", "na", "pt", "cu", "zro2-t")  # cells with few reflections: once more with a shorter camera length
SMALL_PIXEL, SMALL_K_MAX = 0.025, 3.0

HEADING = """# Random orientations, simulated by diffsims and indexed

Made by `{command}`; the numbers do not depend on the machine or its number of threads.

{n} random orientations per row. diffsims (lobato, lorentzian, excitation error as in the table, atoms vibrating),
{size} x {size} detector at {pixel:g} 1/angstrom per pixel, {voltage:g} kV, spots of {spot_sigma:g} px (sigma),
{counts:g} counts in the frame of which {spots:.0%} are spots, {beam:.0%} direct beam and the rest diffuse background,
Poisson noise. The direct beam lies {shift:g} px off the middle in a random direction, distances are {scale:g} times
what the indexer is told. Indexed by `index_scan` with all defaults, except that the centre is looked for in every
pattern (`CenterSettings(method="per-pattern")`): library at {step:g} deg, excitation error {library_error:g}, k_max
{k_max:g}.

- right: within {right:g} deg of the truth, up to the Laue class.
- twin: the 180-degree ambiguity. Within {right:g} deg of the truth turned by 180 deg about a zone axis at most 20 deg
  off the beam, and the patterns of truth and twin agree: cosine at least {limit:g} between intensities^0.2 (spots
  above 1/1000, as Gaussians of 0.01 1/angstrom). Orientations 0.25 deg apart agree no better, and templates lie up to
  0.5 deg from a pattern. Counted apart.
- near: {right:g} to {near:g} deg off. half turn: such a turn, but the two patterns differ. turned: by 180 deg about
  the beam. mirrored: the orientation of the mirrored pattern. other; lost: not indexed.
- share: right / (n - twin). Its standard error is 1.2 points at 97 % of 200.
- in best: the truth is within {right:g} deg of one of the {n_best} best distinct orientations.
"""


@dataclass(frozen=True, eq=False)
class Case:
    """Patterns of one phase and what the truth about them is."""

    phase: Phase
    microscope: Microscope
    truth: NDArray[np.float64]
    frames: NDArray[np.uint16]
    centers: NDArray[np.float64]
    spots: float
    k_max: float


def make_case(name: str, microscope: Microscope, *, k_max: float, n: int, seed: int) -> Case:
    """The orientations are the same for every excitation error."""
    phase = load_phase(name)
    truth = random_orientations(n, seed)
    patterns = diffsims_spots(phase, truth, microscope)
    images, centers = frames(patterns, microscope, seed=seed + 1)
    seen = [int((np.hypot(*k.T) < k_max).sum()) for k, _ in patterns]
    return Case(phase, microscope, truth, images, centers, float(np.median(seen)), k_max)


def index(case: Case, library: TemplateLibrary, settings: IndexingSettings, *, threads: int) -> IndexingResult:
    """The patterns as one row of a scan."""
    calibration = Calibration(pixel_size=case.microscope.pixel, voltage=case.microscope.voltage)
    return index_scan(memory_scan(case.frames[None]), library, calibration, settings=settings, threads=threads)


def judged(case: Case, found: NDArray[np.float64]) -> Judgement:
    """Verdicts on orientations (n, 4)."""
    options = SimulationSettings(
        voltage=case.microscope.voltage,
        k_max=case.k_max,
        max_excitation_error=case.microscope.excitation_error,
    )
    return judge(case.phase, case.truth, found, options)


def accuracy_row(case: Case, result: IndexingResult) -> list[str]:
    verdicts = judged(case, result.orientation[0])
    count = np.bincount(verdicts.verdict, minlength=len(Verdict))
    n = len(case.truth)
    rivals = disorientation_angle(case.truth[:, None], result.rival_orientation[0], case.phase.symmetry_quaternions)
    in_best = (np.rad2deg(np.where(np.isnan(rivals), np.pi, rivals)) < RIGHT_DEG).any(axis=1)
    share = count[Verdict.RIGHT] / max(n - count[Verdict.AMBIGUOUS], 1)
    return [
        case.phase.name, f"{case.microscope.excitation_error:.3f}", f"{case.spots:.0f}", str(n),
        *(str(count[v]) for v in Verdict),
        f"{np.nanmedian(verdicts.error_deg):.2f}", f"{100 * in_best.mean():.1f}", f"**{100 * share:.1f}**",
    ]  # fmt: skip


def systematic_row(case: Case, result: IndexingResult) -> list[str]:
    """Mean rotation from truth to result, and how far the beam was missed."""
    turn = judged(case, result.orientation[0]).turn_deg
    turn = turn[~np.isnan(turn).any(axis=1)]
    mean, error = turn.mean(axis=0), turn.std(axis=0) / np.sqrt(len(turn))
    missed = np.linalg.norm(result.center[0] - case.centers, axis=1)
    return [
        case.phase.name, f"{case.microscope.excitation_error:.3f}",
        *(f"{m:+.3f} ± {e:.3f}" for m, e in zip(mean, error, strict=True)),
        f"{np.median(missed):.2f}", f"{missed.max():.2f}",
    ]  # fmt: skip


def confusion_row(case: Case, result: IndexingResult, names: list[str]) -> list[str]:
    own = names.index(case.phase.name)
    found = result.phase_id[0]
    # Orientations of another phase say nothing about this one.
    alone = judged(case, np.where((found == own)[:, None], result.orientation[0], np.nan))
    count = np.bincount(alone.verdict, minlength=len(Verdict))
    return [
        case.phase.name, f"{case.microscope.excitation_error:.3f}",
        *(str(int((found == number).sum())) for number in range(len(names))), str(int((found < 0).sum())),
        f"{100 * (found == own).mean():.1f}",
        f"{100 * count[Verdict.RIGHT] / max(len(found) - count[Verdict.AMBIGUOUS], 1):.1f}",
    ]  # fmt: skip


def table(columns: list[str], rows: list[list[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(columns) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in [columns, rule, *rows]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=200, help="orientations per phase and excitation error")
    parser.add_argument("--phases", nargs="+", default=list(phase_names()), help="phases, all shipped ones by default")
    parser.add_argument("--excitation-errors", nargs="+", type=float, default=[0.015, 0.010, 0.030], help="of diffsims")
    parser.add_argument("--seed", type=int, default=1, help="of orientations and noise")
    parser.add_argument("--threads", type=int, default=0, help="0: all")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()

    settings = IndexingSettings(center=CenterSettings(method="per-pattern"))
    cases: dict[tuple[str, float], Case] = {}
    accuracy, systematic, confusion = [], [], []
    simulation = SimulationSettings(voltage=Microscope().voltage)
    small: list[list[str]] = []

    def run(name: str, microscope: Microscope, k_max: float) -> tuple[Case, IndexingResult]:
        options = SimulationSettings(voltage=microscope.voltage, k_max=k_max)
        library = build_library([load_phase(name)], options, threads=arguments.threads)
        case = make_case(name, microscope, k_max=k_max, n=arguments.n, seed=arguments.seed)
        return case, index(case, library, settings, threads=arguments.threads)

    for name in arguments.phases:
        for error in arguments.excitation_errors:
            case, result = run(name, Microscope(excitation_error=error), simulation.k_max)
            if name in MAIN:
                cases[name, error] = case
            accuracy.append(accuracy_row(case, result))
            systematic.append(systematic_row(case, result))
            sys.stderr.write(" ".join(accuracy[-1]) + "\n")
    for name in (name for name in SMALL if name in arguments.phases):
        small.append(accuracy_row(*run(name, Microscope(pixel=SMALL_PIXEL), SMALL_K_MAX)))
        sys.stderr.write(" ".join(small[-1]) + "\n")
    names = [name for name in MAIN if name in arguments.phases]
    if len(names) > 1:
        library = build_library([load_phase(name) for name in names], simulation, threads=arguments.threads)
        for case in cases.values():
            result = index(case, library, settings, threads=arguments.threads)
            confusion.append(confusion_row(case, result, names))

    m = Microscope()
    defaults = ["--n", str(arguments.n), "--seed", str(arguments.seed)]
    if arguments.phases != list(phase_names()):
        defaults += ["--phases", *arguments.phases]
    if arguments.excitation_errors != parser.get_default("excitation_errors"):
        defaults += ["--excitation-errors", *map(str, arguments.excitation_errors)]
    text = HEADING.format(
        command=" ".join(["python bench/accuracy/diffsims_table.py", *defaults]), n=arguments.n, size=m.size,
        pixel=m.pixel, voltage=m.voltage, spot_sigma=m.spot_sigma, counts=m.counts, spots=m.spots, beam=m.beam,
        shift=m.shift, scale=m.scale, step=simulation.step_deg, library_error=simulation.max_excitation_error,
        k_max=simulation.k_max, right=RIGHT_DEG, near=NEAR_DEG, limit=AMBIGUOUS, n_best=settings.match.n_best,
    )  # fmt: skip
    verdicts = ["right", "twin", "near", "half turn", "turned", "mirrored", "other", "lost"]
    columns = [
        "phase", "excitation error", "spots (median)", "n", *verdicts, "median error, deg", "in best, %", "share, %"
    ]  # fmt: skip
    text += "\n## Each phase against its own library\n\n" + table(columns, accuracy)
    if small:
        text += (
            f"\n## Small cells with a shorter camera length\n\nThe same with {SMALL_PIXEL:g} 1/angstrom per pixel and"
            f" k_max {SMALL_K_MAX:g}: what is missing above is spots.\n\n"
        ) + table(columns, small)
    text += (
        "\n## Systematic turns\n\nMean rotation from the truth to what was found, over the patterns that are right,"
        " about the sample's axes (degrees, ± standard error), and the distance between true and used direct beam"
        " (pixels).\n\n"
    ) + table(["phase", "excitation error", "X", "Y", "Z (beam)", "beam missed, median", "largest"], systematic)
    if confusion:
        text += (
            "\n## The three main phases against one another\n\nOne library of all three. Rows: true phase; columns: how"
            " many were indexed as what. share: right phase and right orientation / (n - twin).\n\n"
        ) + table(["true", "excitation error", *names, "lost", "right phase, %", "share, %"], confusion)
    write_atomically(arguments.output, [text.encode()], overwrite=True, n_bytes=len(text.encode()))


if __name__ == "__main__":
    main()
