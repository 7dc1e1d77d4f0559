"""Damaged files for every reader: how many, what came of them, and every input that broke a promise.

    python bench/fuzz --inputs 1000000
    python bench/fuzz --only CIF --inputs 2000 --seed 7
    python bench/fuzz --show CIF 1234        # writes input 1234 of a target into the folder "fuzz-input"

Exit code 1 if there are findings. See docs/decisions/fuzzing.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path[:0] = [str(Path(__file__).parent)]

from runner import Findings, fuzz, mutated, write  # noqa: E402
from targets import Target, targets  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the readers of nbedex.")
    parser.add_argument("--inputs", type=int, default=10_000, help="in all, dealt out so that fast readers get more")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each target")
    parser.add_argument("--only", action="append", metavar="NAME", help="targets whose name contains this")
    parser.add_argument("--report", metavar="FILE.json", help="write numbers and findings there, after each target")
    parser.add_argument("--show", nargs=2, metavar=("NAME", "NUMBER"), help="write one input and stop")
    args = parser.parse_args()
    known = targets()
    if args.show:
        return show(next(t for t in known if t.name == args.show[0]), int(args.show[1]), args.seed)
    chosen = [t for t in known if not args.only or any(part in t.name for part in args.only)]
    total = sum(t.share for t in chosen)
    print(f"{'reader':24}{'inputs':>9}{'read':>9}{'refused':>9}{'guard':>9}{'findings':>9}{'ms each':>9}", flush=True)
    done: list[Findings] = []
    for target in chosen:
        count = max(1, round(args.inputs * target.share / total))
        found = fuzz(target, count, first=args.first, seed=args.seed)
        done.append(found)
        print(
            f"{found.target:24}{found.inputs:9}{found.answers:9}{found.refusals:9}{found.guarded:9}{sum(found.kinds.values()):9}"
            f"{1e3 * found.seconds / count:9.2f}",
            flush=True,
        )
        for kind, times in found.kinds.most_common():
            example = found.examples[kind]
            print(f"    {times} x {kind}: input {example['number']}: {example['detail'][:160]}", flush=True)
        if args.report:
            Path(args.report).write_text(json.dumps([as_dict(f) for f in done], indent=1) + "\n", encoding="utf-8")
    print(f"{'all':24}{sum(f.inputs for f in done):9}{sum(f.answers for f in done):9}{sum(f.refusals for f in done):9}"
          f"{sum(f.guarded for f in done):9}{sum(sum(f.kinds.values()) for f in done):9}")  # fmt: skip
    return 1 if any(f.kinds for f in done) else 0


def as_dict(found: Findings) -> dict[str, object]:
    return {
        "target": found.target, "inputs": found.inputs, "answers": found.answers, "refusals": found.refusals,
        "guard": found.guarded, "cpu seconds": round(found.seconds, 1), "findings": dict(found.kinds),
        "examples": list(found.examples.values()),
    }  # fmt: skip


def show(target: Target, number: int, seed: int) -> int:
    example, name, content = mutated(target, number, seed)
    folder = Path("fuzz-input")
    write(folder, target.examples[example] | {name: content})
    print(f"{folder / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
