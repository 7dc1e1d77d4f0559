"""The pruned search against the exhaustive one with whole libraries, bit for bit; writes the count to README.

    python bench/identity.py                 # another 100 patterns per kind, phase and settings; can be stopped
    python bench/identity.py --minutes 4     # stop after that time; the next run goes on where this one stopped
    python bench/identity.py --restart       # forget earlier runs: after the engine was changed

A ranked comparison is one candidate of one pattern and phase; k is 9, so that the first 1, 2 and 5 of it are compared,
too. tests/property/test_search_identity.py does 10^5 with small libraries on every run of the tests.
"""

from __future__ import annotations

import argparse
import json
import logging
import time

import numpy as np
from cases import KINDS, PHASES, SETTINGS, Case
from readme import RESULTS, machine, markdown, replace_between
from timing import difference

from nbedex import _core

log = logging.getLogger("identity")
STATE = RESULTS / "identity.json"
K = 9
BATCH = 4


def run(*, step: float, batches: int, minutes: float, threads: int) -> None:
    state = json.loads(STATE.read_text()) if STATE.exists() else {}
    started = time.monotonic()
    # Round after round over everything, so that a run that is stopped has seen something of all.
    for number in range(batches):
        for settings in SETTINGS:
            case = Case(settings, step=step)
            for kind in KINDS:
                for phase in PHASES:
                    key = f"{settings} {step:g} {kind} {phase}"
                    done = state.setdefault(key, {"batches": 0, "compared": 0})
                    if done["batches"] > number:
                        continue
                    if time.monotonic() - started > 60 * minutes:
                        log.info("stopped after %g minutes; run again to go on", minutes)
                        return
                    done["compared"] += compare(case, kind, phase, seed=100 + number, threads=threads)
                    done["batches"] += 1
                    STATE.parent.mkdir(exist_ok=True)
                    STATE.write_text(json.dumps(state, indent=1))


def compare(case: Case, kind: str, phase: str, *, seed: int, threads: int) -> int:
    """Patterns of a phase against all phases' templates; returns the number of candidates compared."""
    patterns = case.polar(kind, phase, BATCH, seed=seed)
    options = case.options(n_best=K, threads=threads)
    phases = list(case.engine().templates)
    pruned, _ = _core.match_pruned(phases, patterns, options)
    differs = difference(pruned, _core.match_exhaustive(phases, patterns, options)[0])
    if differs:
        where = RESULTS / "identity-failed.npz"
        np.savez(where, patterns=patterns)
        raise SystemExit(
            f"{case.describe()}: {differs} differs for {kind} patterns of {phase}, seed {seed}; see {where}"
        )
    return sum(int((of_phase["template_id"] >= 0).sum()) for of_phase in pruned)


def write_table() -> None:
    state = json.loads(STATE.read_text())
    steps = sorted({key.split()[1] for key in state})
    rows = []
    for kind in KINDS:
        counts = [
            sum(value["compared"] for key, value in state.items() if key.split()[:3] == [settings, step, kind])
            for settings in SETTINGS
            for step in steps
        ]
        rows.append([kind, *(f"{count:,}" for count in counts)])
    header = ["kind", *(f"{settings}, {step} deg" for settings in SETTINGS for step in steps)]
    total = sum(value["compared"] for value in state.values())
    replace_between(
        "identity.py",
        f"{total:,} ranked comparisons with whole libraries of the three phases, no difference. {machine()}\n\n"
        + markdown(header, rows),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--step", type=float, default=1.0)
    parser.add_argument("--batches", type=int, default=25, help=f"of {BATCH} patterns")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--restart", action="store_true")
    parser.add_argument("--quick", action="store_true", help="templates at 3 degrees, one batch")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.restart:
        STATE.unlink(missing_ok=True)
    step, batches = (3.0, 1) if arguments.quick else (arguments.step, arguments.batches)
    run(step=step, batches=batches, minutes=arguments.minutes, threads=arguments.threads)
    write_table()


if __name__ == "__main__":
    main()
