"""Fifty runs each, killed, stopped and starved of disk at random instants, and resumed to the same bytes or not.

    python bench/faults.py                # a few minutes
    python bench/faults.py --count 10

Uses tests/oracles/trials.py; the full disk is a tmpfs in a user namespace, where the system lets us have one.
"""

from __future__ import annotations

import argparse
import collections
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

TESTS = Path(__file__).parents[1] / "tests"
KINDS = ("kill", "operation", "SIGINT", "SIGTERM", "disk")
CODES = {"kill": {-9, 0}, "operation": {-9, 0}, "SIGINT": {130, -2, 0}, "SIGTERM": {143, -15, 0}, "disk": {5, 0}}

log = logging.getLogger("faults")


def trials(kind: str, count: int, seed: int, scan: Path) -> list[dict[str, Any]]:
    """Facts of every trial of a kind."""
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, str(TESTS / "oracles" / "trials.py"), name, kind, str(count), str(seed)]
        if kind == "disk":
            script = f'mount -t tmpfs -o size=16m none "{name}" && cp "{scan}" "{name}/" && exec "$@"'
            command = ["unshare", "-rm", "sh", "-c", script, "sh", *command]
        else:
            shutil.copy(scan, name)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([p for p in sys.path if p] + [str(TESTS)])}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        log.error("%s", done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.path.insert(0, str(TESTS))
    from oracles.small_scan import small_scan

    bad = 0
    with tempfile.TemporaryDirectory() as name:
        scan = Path(name) / "scan.npy"
        np.save(scan, small_scan((8, 5), drift=1.0))
        for kind in options.kinds:
            found = trials(kind, options.count, options.seed, scan)
            good = [f for f in found if f["resumed"] == 0 and f["same"] and not f["leftovers"]]
            good = [f for f in good if f.get("whole or absent", True) and f["code"] in CODES[kind]]
            codes = collections.Counter(f["code"] for f in found)
            stages = collections.Counter(
                "result in place" if f["result was there"] else f"{f['parts']} of 10 parts" for f in found
            )
            log.info("%s: %d of %d resumed to the same bytes", kind, len(good), options.count)
            log.info("  exit codes %s; stages %s", dict(codes), dict(sorted(stages.items())))
            for facts in found:
                if facts not in good:
                    log.info("  %s", facts)
            bad += options.count - len(good)
    raise SystemExit(min(bad, 1))


if __name__ == "__main__":
    main()
