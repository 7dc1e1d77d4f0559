"""What `nbedex demo` says."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbedex.cli.output import show_json, show_pairs, show_table

if TYPE_CHECKING:
    from nbedex.demo import Chain


def facts_of(chain: Chain, folder: Path) -> dict[str, Any]:
    """Everything that is told, as JSON can hold it."""
    from nbedex.demo import accuracy_of, commands_of, make_tables, name_grains

    grain_map = chain.found.grain_map
    names = name_grains(grain_map, chain.truth)
    tables = make_tables(chain.specimen, chain.found.report.blockade, names)
    return {
        "accuracy": [asdict(row) for row in accuracy_of(chain.result, chain.truth)],
        "pairs": [_row(row) | {"error_deg": row.error_deg} for row in tables.pairs],
        "relations": [_row(row) for row in tables.relations],
        "classes": [_row(row) for row in tables.classes],
        "at_electrodes": [asdict(row) | {"pair": "/".join(row.pair)} for row in tables.electrodes],
        "filament_rank": tables.filament_rank,
        "resistance_ohm": chain.solution.resistance,
        "seconds": chain.seconds,
        "files": {name: str(path) for name, path in chain.files.items()},
        "commands": commands_of(chain.specimen, folder, grain_map.source.step),
    }


def _row(row: Any) -> dict[str, Any]:
    return asdict(row) | {"pair": "/".join(row.pair), "right": row.right}


def show_facts(args: argparse.Namespace, facts: dict[str, Any]) -> None:
    """As JSON or as tables."""
    if args.json:
        show_json(facts)
        return
    if args.quiet:
        return
    _show_accuracy(facts["accuracy"])
    _show_pairs(facts["pairs"])
    _show_classes(facts["classes"])
    _show_relations(facts["relations"])
    _show_electrodes(facts["at_electrodes"])
    rows: list[tuple[str, object]] = [(name, f"{seconds:.1f} s") for name, seconds in facts["seconds"].items()]
    rows.append(("together", f"{sum(facts['seconds'].values()):.1f} s"))
    show_pairs(rows)
    print()
    show_pairs(list(facts["files"].items()))
    print("\nThe same, command by command:", *facts["commands"], sep="\n  ")


def _show_accuracy(rows: list[dict[str, Any]]) -> None:
    show_table(
        ("", "pixels", "right phase", "within 2°", "turned 180°", "median error"),
        [
            (
                r["name"], r["pixels"], f"{r['right_phase']:.1%}", f"{r['within_2_deg']:.1%}", f"{r['half_turn']:.1%}",
                f"{r['median_deg']:.2f}°",
            )
            for r in rows
        ],
        title="Map against the truth",
    )  # fmt: skip


def _show_pairs(rows: list[dict[str, Any]]) -> None:
    def angle(value: float) -> str:
        return f"{value:.1f}" if value == value else "not found"

    table = [
        (
            r["pair"],
            *(f"{r['published_omega']:.0f}", angle(r["true"]["omega"]), angle(r["found"]["omega"])),
            *(f"{r['published_path']:.0f}", angle(r["true"]["delta_theta"]), angle(r["found"]["delta_theta"])),
            *(angle(r["true"]["psi"]), angle(r["found"]["psi"])),
            "" if r["right"] else "off",
        )
        for r in rows
    ]
    columns = ("boundary", "ω publ.", "twin", "found", "Δθ publ.", "twin", "found", "ψ twin", "found", "")
    show_table(columns, table, title="Angles in degrees: published, true of the twin, found in its patterns")
    n = sum(r["right"] for r in rows)
    print(f"{n} of {len(rows)} within 1° of the twin in all three angles\n")


def _show_classes(rows: list[dict[str, Any]]) -> None:
    table = [
        (
            r["pair"],
            r["published"],
            r["true"]["by_traces"] or "–",
            r["found"]["by_traces"] or "–",
            r["true"]["in_space"] or "–",
            r["found"]["in_space"] or "–",
            "" if r["right"] else "off",
        )
        for r in rows
    ]
    columns = ("boundary", "published", "by traces: twin", "found", "in space: twin", "found", "")
    show_table(columns, table, title="Classes in the field: from traces as published, and from planes in space")


def _show_relations(rows: list[dict[str, Any]]) -> None:
    def name(sigma: int) -> str:
        return {0: "general", 1: "low-angle"}.get(sigma, f"Σ{sigma}")

    table = [
        (r["pair"], name(r["published"]), name(r["true"]["sigma"]), name(r["found"]["sigma"]), r["found"]["csl"])
        for r in rows
    ]
    show_table(("boundary", "published", "twin", "found", "as"), table, title="Coincidence and low angles")


def _show_electrodes(rows: list[dict[str, Any]]) -> None:
    table = [(r["pair"], f"{r['accumulation']:+.2f}", r["by_traces"]) for r in rows]
    show_table(
        ("boundary", "accumulation", "class by traces"),
        table,
        title="At an electrode, most blocked first",
    )
