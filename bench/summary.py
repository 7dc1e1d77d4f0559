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

MARKS = ("<!-- table: written by bench/summary.py -->", "<!-- end of table -->")


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
    lines = [
        "| what | case | patterns | best, ms per pattern | patterns/s | times the fastest |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for group, members in groups.items():
        least = min(member["stats"]["min"] for member in members)
        comparable = len(members) > 1 and group != "prepare"
        for member in sorted(members, key=lambda m: m["stats"]["min"]):
            count = member["extra_info"].get("patterns", 1)
            best = member["stats"]["min"]
            found = re.search(r"\[(.*)\]", member["name"])
            case = found.group(1) if found else member["name"].removeprefix("test_")
            ratio = f"{best / least:.1f}" if comparable else ""
            lines.append(f"| {group} | {case} | {count} | {1e3 * best / count:.3g} | {count / best:.3g} | {ratio} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("json", type=Path, help="from --benchmark-json")
    parser.add_argument("--readme", type=Path, default=Path(__file__).with_name("README.md"))
    arguments = parser.parse_args()
    data = json.loads(arguments.json.read_text())
    text = arguments.readme.read_text()
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    if not after:
        raise SystemExit(f"{arguments.readme} lacks the marks {MARKS[0]} and {MARKS[1]}")
    heading = f"{machine(data['machine_info'])}; {data['datetime'][:10]}"
    body = f"{MARKS[0]}\n{heading}\n\n{table(data['benchmarks'])}\n{MARKS[1]}"
    arguments.readme.write_text(before + body + after)


if __name__ == "__main__":
    main()
