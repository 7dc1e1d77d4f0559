"""nbedex phases: the structures that ship, or one CIF."""

from __future__ import annotations

import argparse
from typing import Any

from nbedex.cli.output import show_json, show_table
from nbedex.cli.parser import add_command


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "phases",
        run,
        help="list the phases that nbedex knows, or look at a CIF",
        examples=["nbedex phases", "nbedex phases my_structure.cif", "nbedex phases nzsp --json"],
    )
    parser.add_argument("names", nargs="*", metavar="NAME_OR_CIF", help="phases to show; all shipped ones by default")


def run(args: argparse.Namespace) -> int:
    from nbedex.phases import list_phases, load_phase

    phases = [load_phase(name) for name in args.names] if args.names else list_phases()
    facts = [_facts(phase) for phase in phases]
    if args.json:
        show_json(facts)
    else:
        columns = ("name", "title", "cell", "space group", "Laue", "Na+ plane", "carries Na+", "source")
        rows = [
            (
                f["name"], f["title"], " ".join(f"{v:g}" for v in f["cell"]), f["space_group_name"], f["laue_class"],
                "({}{}{})".format(*f["conduction_plane"]) if f["conduction_plane"] else "–",
                "yes" if f["conducts_sodium"] else "no", f["source"],
            )
            for f in facts
        ]  # fmt: skip
        show_table(columns, rows)
    return 0


def _facts(phase: Any) -> dict[str, Any]:
    names = (
        "name", "title", "cell", "space_group", "space_group_name", "laue_class", "conduction_plane",
        "conducts_sodium", "colour", "source", "notes", "sha256",
    )  # fmt: skip
    return {name: getattr(phase, name) for name in names} | {"atoms": len(phase.elements)}
