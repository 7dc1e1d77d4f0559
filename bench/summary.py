"""Write the table of bench/README.md from pytest-benchmark's JSON.

    python -m pytest bench --benchmark-only --benchmark-json=bench/results/latest.json
    python bench/summary.py bench/results/latest.json

replaces what stands between the two marks in bench/README.md.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from readme import README, markdown, replace_between


def machine(info: dict[str, Any]) -> str:
    cpu = info.get("cpu", {})
    return (
        f"{cpu.get('brand_raw', info.get('processor') or 'unknown processor')}, {cpu.get('count', '?')} cores,"
        f" {info['system']} {info['machine']}, Python {info['python_version']}"
    )


def table(benchmarks: list[dict[str, Any]]) -> str:
    """Per group: best time for each pattern, and how many times the fastest of the group that is."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for benchmark in benchmarks:
        groups.setdefault(benchmark["group"] or "other", []).append(benchmark)
    header = ["what", "case", "patterns", "best, ms per pattern", "patterns/s", "times the fastest"]
    rows = []
    for group, members in groups.items():
        least = min(member["stats"]["min"] for member in members)
        comparable = len(members) > 1 and group != "prepare"
        for member in sorted(members, key=lambda m: m["stats"]["min"]):
            count = member["extra_info"].get("patterns", 1)
            best = member["stats"]["min"]
            found = re.search(r"\[(.*)\]", member["name"])
            case = found.group(1) if found else member["name"].removeprefix("test_")
            ratio = f"{best / least:.1f}" if comparable else ""
            rows.append([group, case, count, f"{1e3 * best / count:.3g}", f"{count / best:.3g}", ratio])
    return markdown(header, rows, left=2)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("json", type=Path, help="from --benchmark-json")
    parser.add_argument("--readme", type=Path, default=README)
    arguments = parser.parse_args()
    data = json.loads(arguments.json.read_text())
    heading = f"{machine(data['machine_info'])}; {data['datetime'][:10]}"
    replace_between("summary.py", f"{heading}\n\n{table(data['benchmarks'])}", readme=arguments.readme)


if __name__ == "__main__":
    main()
