"""Has something become much slower? Compares this machine, now, with bench/baseline.json; part of .ci/run.

    python bench/regression.py            # exit code 1 and a list if something regressed
    python bench/regression.py --update   # after a change that is meant: write the baseline anew, and commit it

Two sorts of numbers, none of which depends on how fast the machine is:

counters  what the search counts as it works on fixed patterns (images looked at, blocks scored exactly, ...). They are
          exact, the same on every machine and instruction set, and may grow by a tenth.
ratios    times over the time of a fixed scalar loop, a cumulative sum of doubles (one addition after another, nothing
          to vectorise), taken in turns with it. They differ between processors by tens of percent, so only a
          growth by 1.6 counts, and only where the baseline was written with the same instruction set.

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
from nbedex.library import SimulationSettings, simulate_templates
from nbedex.phases import load_phase

BASELINE = Path(__file__).with_name("baseline.json")
MOST = {"counters": 1.1, "ratios": 1.6}
FEW = 100  # counts below this may grow by this much
STEP, PATTERNS, FRAMES = 4.0, 4, 16
ROUNDS = 9
Numbers = dict[str, dict[str, float]]


def counters() -> dict[str, float]:
    """Sums over patterns of all phases of what the search counts, by settings, kind of pattern and counter."""
    found: dict[str, float] = {}
    for settings in ("mild", "accuracy"):
        case = Case(settings, step=STEP)
        for kind in KINDS:
            for phase in PHASES:
                patterns = case.polar(kind, phase, PATTERNS)
                _, statistics = _core.match_pruned(list(case.engine().templates), patterns, case.options())
                for name, count in statistics.items():
                    key = f"{settings} {kind} {name}"
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
        "match exhaustively": match(_core.match_exhaustive, case, np.ascontiguousarray(noisy[::6])),
        "prepare": lambda: _core.prepare_patterns(frames, centers, engine.sampler, engine.preprocessing, None, 1),
        "find beams": lambda: _core.find_beams(frames, beams, None, 1),
        "simulate": lambda: simulate_templates(sodium_gold, simulation, threads=1),
    }


def ratios() -> dict[str, float]:
    """Median over rounds of each workload's time over that of the scalar loop just before and after it."""
    numbers, sums = np.random.default_rng(0).random(400_000), np.empty(400_000)

    def loop() -> float:
        return best_of(lambda: np.cumsum(numbers, out=sums), 3)

    work = workloads()
    found: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        before = loop()
        for name, call in work.items():
            seconds, after = best_of(call, 1), loop()
            found[name].append(seconds / min(before, after))
            before = after
    return {name: round(float(np.median(values)), 3) for name, values in found.items()}


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
    now: dict[str, Any] = {"isa": build["isa"], "counters": counters(), "ratios": ratios()}
    if arguments.update:
        BASELINE.write_text(json.dumps(now, indent=1) + "\n")
        return 0
    before = json.loads(BASELINE.read_text())
    if before["isa"] != now["isa"]:
        print(f"times are not compared: {now['isa']} here, the baseline was written with {before['isa']}")
        now["ratios"] = before["ratios"] = {}
    found = regressions(now, before)
    if found and any(name in line for name in now["ratios"] for line in found):
        # Once more: a machine that does other things at the same time is slow now and then, not always.
        now["ratios"] = {name: min(value, now["ratios"][name]) for name, value in ratios().items()}
        found = regressions(now, before)
    for line in found:
        print(line)
    for name, value in now["ratios"].items():
        print(f"  {name}: {value / before['ratios'].get(name, value):.2f} of the baseline")
    print(f"{len(found)} regressions in {len(now['counters'])} counters and {len(now['ratios'])} times")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
