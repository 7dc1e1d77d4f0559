"""Has something become much slower? Compares this machine, now, with bench/baseline.json; part of .ci/run.

    python bench/regression.py            # exit code 1 and a list if something regressed
    python bench/regression.py --update   # after a change that is meant: write the baseline anew, and commit it

Three sorts of numbers, none of which depends on how fast the machine is:

counters   what the search counts as it works on fixed patterns (images looked at, blocks scored exactly, ...). They are
           exact, the same on every machine and nearly so on every instruction set, and may grow by a tenth.
ratios     times over that of the exhaustive search on two fixed patterns, in turns with it. It is a fixed amount of
           work, and suffers as they do when something else runs beside (a chain of scalar additions does not, and was
           a bad measure: it stayed the same while everything else took 1.6 times as long).
reference  the exhaustive search's time over that of products of matrices by NumPy.

Times differ between processors, so they are compared only where the baseline was written with the same instruction set,
and only a growth by 1.6, of the reference by 2, counts.

Fewer is never an error; when the search has become better, update the baseline, or later losses go unnoticed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cases import KINDS, PHASES, VOLTAGE, Case, make_frames
from timing import best_of, stay_on_one_core

from nbedex import _core
from nbedex.indexing.settings import MatchSettings
from nbedex.library import SimulationSettings, simulate_templates
from nbedex.phases import load_phase

BASELINE = Path(__file__).with_name("baseline.json")
MOST = {"counters": 1.1, "ratios": 1.6, "reference": 2.0}
FEW = 100  # counts below this may grow by this much
STEP, PATTERNS, FRAMES = 4.0, 4, 16
FINE_STEP, FINE_PHASES = 1.0, ("na2au",)  # where neighbouring templates form groups
ROUNDS = 9
Numbers = dict[str, dict[str, float]]


def counters() -> dict[str, float]:
    """Sums over patterns of all phases of what the search counts, by settings, kind of pattern and counter."""
    found: dict[str, float] = {}
    default = MatchSettings().rival_share
    for name_of_case, (case, phases) in {
        "mild": (Case("mild", step=STEP), PHASES),
        "accuracy": (Case("accuracy", step=STEP), PHASES),
        "default": (Case("accuracy", step=STEP, rival_share=default), PHASES),
        "mild 1 deg": (Case("mild", step=FINE_STEP), FINE_PHASES),
        "default 1 deg": (Case("accuracy", step=FINE_STEP, rival_share=default), FINE_PHASES),
    }.items():
        for kind in KINDS:
            for phase in phases:
                patterns = case.polar(kind, phase, PATTERNS)
                _, statistics = _core.match_pruned(list(case.engine(phases).templates), patterns, case.options())
                for name, count in statistics.items():
                    key = f"{name_of_case} {kind} {name}"
                    found[key] = found.get(key, 0) + int(count)
    return found


def workloads() -> dict[str, Callable[[], Any]]:
    """What is timed."""
    case = Case("accuracy", step=STEP)
    engine = case.engine()
    frames, centers = make_frames("easy", "na2au", FRAMES)
    noisy = np.concatenate([case.polar("noisy", phase, PATTERNS) for phase in PHASES])
    mild = Case("mild", step=STEP)
    easy = np.concatenate([mild.polar("easy", phase, PATTERNS) for phase in PHASES])
    noise = case.polar("noise", "na2au", PATTERNS)
    beams = _core.BeamSearch(row=127.5, column=127.5, search_radius=32.0, beam_radius=3.0)
    sodium_gold, simulation = load_phase("na2au"), SimulationSettings(voltage=VOLTAGE, step_deg=STEP)

    def match(search: Callable[..., Any], of: Case, patterns: np.ndarray) -> Callable[[], Any]:
        return lambda: search(list(of.engine().templates), patterns, of.options())

    return {
        "match accuracy, noisy": match(_core.match_pruned, case, noisy),
        "match mild, easy": match(_core.match_pruned, mild, easy),
        "match accuracy, noise": match(_core.match_pruned, case, noise),
        "prepare": lambda: _core.prepare_patterns(frames, centers, engine.sampler, engine.preprocessing, None, 1),
        "find beams": lambda: _core.find_beams(frames, beams, None, 1),
        "simulate": lambda: simulate_templates(sodium_gold, simulation, threads=1),
    }


def times() -> Numbers:
    """Ratios and reference: medians over rounds of a time over that of its measure just before and after."""
    case = Case("accuracy", step=STEP)
    templates = case.engine(("beta2-alumina",)).templates
    patterns = case.polar("noisy", "beta2-alumina", 2)
    matrix = np.random.default_rng(0).random((256, 256), dtype=np.float32)

    def exhaustive() -> float:
        return best_of(lambda: _core.match_exhaustive(list(templates), patterns, case.options()), 1)

    def product() -> float:
        return best_of(lambda: matrix @ matrix, 10)

    work = workloads()
    ratios: dict[str, list[float]] = {name: [] for name in work}
    reference = []
    for _ in range(ROUNDS):
        first, before = product(), exhaustive()
        reference.append(before / min(first, product()))
        for name, call in work.items():
            seconds, after = best_of(call, 1), exhaustive()
            ratios[name].append(2 * seconds / (before + after))
            before = after
    found = {name: round(float(np.median(values)), 4) for name, values in ratios.items()}
    return {"ratios": found, "reference": {"exhaustive search": round(float(np.median(reference)), 2)}}


def regressions(now: Numbers, before: Numbers) -> list[str]:
    """What grew too much, in words."""
    found = []
    for sort, most in MOST.items():
        for name, value in now[sort].items():
            if name not in before[sort]:
                found.append(f"{name}: not in the baseline; run bench/regression.py --update and commit")
                continue
            limit = before[sort][name] * most
            if sort == "counters":
                limit = max(limit, before[sort][name] + FEW)
            if value > limit:
                found.append(f"{name}: {before[sort][name]:g} -> {value:g}, more than {most:g} times")
        found += [
            f"{name}: in the baseline, but not measured any more; run bench/regression.py --update and commit"
            for name in sorted(before[sort].keys() - now[sort].keys())
        ]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--update", action="store_true", help="write the baseline")
    arguments = parser.parse_args()
    stay_on_one_core()
    build = _core.build_info()
    now: dict[str, Any] = {"isa": build["isa"], "counters": counters(), **times()}
    if arguments.update:
        BASELINE.write_text(json.dumps(now, indent=1) + "\n")
        return 0
    before = json.loads(BASELINE.read_text())
    if before["isa"] != now["isa"]:
        print(f"times are not compared: {now['isa']} here, the baseline was written with {before['isa']}")
        for sort in ("ratios", "reference"):
            now[sort] = before[sort] = {}
    found = regressions(now, before)
    if any(name in line for sort in ("ratios", "reference") for name in now[sort] for line in found):
        # Once more: a machine that does other things at the same time is slow now and then, not always.
        again = times()
        for sort in again:
            now[sort] = {name: min(value, now[sort][name]) for name, value in again[sort].items()}
        found = regressions(now, before)
    for sort in ("ratios", "reference"):
        for name, value in now[sort].items():
            print(f"{name}: {value / before[sort].get(name, value):.2f} of the baseline")
    for line in found:
        print(f"regression: {line}")
    n_times = len(now["ratios"]) + len(now["reference"])
    print(f"{len(found)} regressions in {len(now['counters'])} counters and {n_times} times")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
