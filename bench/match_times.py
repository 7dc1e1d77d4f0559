"""Matching alone: time per pattern of every kind, median and 99th percentile, on one core; writes README's table.

    python bench/match_times.py --settings accuracy            # 1 degree; a few minutes
    python bench/match_times.py --settings accuracy --step 0.5
    python bench/match_times.py --settings mild
    python bench/match_times.py --table                        # only the table, from what was measured before

Each run measures one combination and keeps it in bench/results/, so that the table can be made of several runs. The
first patterns of every kind are matched exhaustively, too: the answers must be equal in every bit.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from typing import Any

import numpy as np
from cases import KINDS, PHASES, Case, add_case_flags
from readme import RESULTS, machine, markdown, replace_between
from timing import difference, seconds_in_a_batch, seconds_per_pattern, short, stay_on_one_core, summary

from nbedex import _core

log = logging.getLogger("match_times")


def measure(case: Case, *, n: int, checked: int, n_best: int | None) -> dict[str, Any]:
    """Times of all kinds, by phase and for all phases together."""
    engine = case.engine()
    options = case.options(n_best=n_best)
    found: dict[str, Any] = {
        "about": case.describe(),
        "settings": case.settings,
        "geometry": case.geometry,
        "step": case.step,
        "n_best": n_best or case.exponents.n_best,
        "patterns": n,
        "machine": machine(),
        "kinds": {},
    }
    for kind in KINDS:
        of_kind: dict[str, Any] = {}
        for phase, templates in zip(PHASES, engine.templates, strict=True):
            patterns = case.polar(kind, phase, n)
            of_kind[phase] = summary(seconds_per_pattern([templates], patterns, options))
            of_kind[phase]["batch"] = 1e6 * seconds_in_a_batch([templates], patterns, options)
        mixed = np.concatenate([case.polar(kind, phase, n)[: max(1, n // 3)] for phase in PHASES])
        of_kind["all"] = summary(seconds_per_pattern(engine.templates, mixed, options))
        of_kind["all"]["batch"] = 1e6 * seconds_in_a_batch(engine.templates, mixed, options)
        few = np.concatenate([case.polar(kind, phase, n)[:checked] for phase in PHASES])
        started = time.perf_counter()
        reference, _ = _core.match_exhaustive(list(engine.templates), few, options)
        exhaustive = (time.perf_counter() - started) / len(few)
        pruned = seconds_in_a_batch(engine.templates, few, options)
        differs = difference(_core.match_pruned(list(engine.templates), few, options)[0], reference)
        if differs:
            raise SystemExit(f"{kind}: {differs} is not that of the exhaustive search")
        of_kind["exhaustive / pruned"] = exhaustive / pruned
        found["kinds"][kind] = of_kind
        log.info("%s: %s", kind, {name: short(v["median"]) for name, v in of_kind.items() if isinstance(v, dict)})
    return found


def write_table() -> None:
    """README's table from everything in bench/results."""
    parts = []
    for path in sorted(RESULTS.glob("match_times-*.json")):
        data = json.loads(path.read_text())
        rows = []
        for kind, times in data["kinds"].items():
            cells = [f"{short(times[p]['median'])} / {short(times[p]['p99'])}" for p in (*PHASES, "all")]
            batch = short(times["all"]["batch"])
            ratio = "" if kind == "blank" else f"{times['exhaustive / pruned']:.0f}"
            rows.append([kind, *cells, batch, ratio])
        parts.append(f"**{data['about']}**; k = {data['n_best']}; {data['patterns']} patterns of each kind and phase\n")
        header = [
            "kind",
            *PHASES,
            "all three phases",
            "all three, in a batch",
            "our exhaustive search, times as long",
        ]
        parts.append(markdown(header, rows) + "\n")
        parts.append(data["machine"] + "\n")
    replace_between("match_times.py", "\n".join(parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_case_flags(parser)
    parser.add_argument("--n-best", type=int, help="by default that of the settings")
    parser.add_argument("-n", type=int, default=150, help="patterns of each kind and phase")
    parser.add_argument("--checked", type=int, default=2, help="of them, how many are matched exhaustively, too")
    parser.add_argument("--quick", action="store_true", help="12 patterns: to see that it works")
    parser.add_argument("--table", action="store_true", help="measure nothing, write README's table")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if not arguments.table:
        stay_on_one_core()
        case = Case(arguments.settings, arguments.geometry, arguments.step, arguments.rival_share)
        log.info("%s", case.describe())
        n = 12 if arguments.quick else arguments.n
        found = measure(case, n=n, checked=arguments.checked, n_best=arguments.n_best)
        RESULTS.mkdir(exist_ok=True)
        name = f"match_times-{case.key}-{found['n_best']}.json"
        (RESULTS / name).write_text(json.dumps(found, indent=1))
    write_table()


if __name__ == "__main__":
    main()
