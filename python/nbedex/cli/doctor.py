"""nbedex doctor: whether the installation works."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from nbedex.cli.output import show_json
from nbedex.cli.parser import add_command


def add(commands: Any) -> None:
    add_command(
        commands,
        "doctor",
        run,
        help="try each part of the installation: extension, dependencies, cache, a small indexing run, extras",
        examples=["nbedex doctor", "nbedex doctor --json > doctor.json    # to attach to a report"],
        description="One line for each part: ok, note (works, with something to know) or WRONG (and what to do)."
        " Exit code 1 if anything is wrong.",
    )


def run(args: argparse.Namespace) -> int:
    from nbedex.installation import check_installation

    checks = []
    for check in check_installation():
        checks.append(check)
        if not args.json:
            mark = "WRONG" if check.status == "wrong" else check.status
            print(f"{mark:<6}{check.name:<14}{check.detail}", flush=True)
    wrong = [check.name for check in checks if check.status == "wrong"]
    if args.json:
        from nbedex.provenance import software

        try:
            versions = software()
        except ImportError:  # the extension does not load; the checks say so
            versions = {}
        show_json({"ok": not wrong, "checks": [asdict(check) for check in checks], "software": versions})
    elif wrong:
        print(f"nbedex does not work here: {', '.join(wrong)}")
    else:
        print("nbedex works here")
    return 1 if wrong else 0
