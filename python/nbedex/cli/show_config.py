"""nbedex show-config: versions, build, and the options with their defaults."""

from __future__ import annotations

import argparse
from typing import Any

from nbedex.cli.output import show_json
from nbedex.cli.parser import add_command


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "show-config",
        run,
        help="versions, instruction set, threads, folders; or a run's options as TOML",
        examples=["nbedex show-config", "nbedex show-config --defaults > run.toml"],
    )
    parser.add_argument(
        "--defaults", action="store_true", help="all options of `nbedex index` with their defaults, as TOML"
    )


def run(args: argparse.Namespace) -> int:
    if args.defaults:
        from nbedex.settings import settings_to_toml
        from nbedex.workflow import RunSettings

        print(settings_to_toml(RunSettings()), end="")
        return 0
    from nbedex.library.library import cache_dir
    from nbedex.phases import templates_dir
    from nbedex.provenance import software

    facts = software() | {"cache": str(cache_dir()), "templates": str(templates_dir())}
    if args.json:
        show_json(facts)
        return 0
    from nbedex.cli.info import _flat
    from nbedex.cli.output import show_pairs

    show_pairs(_flat(facts))
    return 0
