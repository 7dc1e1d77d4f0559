"""Tables in bench/README.md stand between two marks; scripts replace what is between them."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path

README = Path(__file__).with_name("README.md")
RESULTS = Path(__file__).with_name("results")  # what was measured, JSON; not in the repository
END = "<!-- end of table -->"


def begin(script: str) -> str:
    return f"<!-- table: written by bench/{script} -->"


def replace_between(script: str, body: str, *, readme: Path = README) -> None:
    """Put `body` between the marks of a script."""
    text = readme.read_text()
    before, mark, rest = text.partition(begin(script))
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise SystemExit(f"{readme} lacks the marks {begin(script)} and {END}")
    readme.write_text(f"{before}{mark}\n{body.rstrip()}\n{end}{after}")


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]], *, left: int = 1) -> str:
    """A table whose first `left` columns are text and the others numbers."""
    lines = [header, ["---"] * left + ["---:"] * (len(header) - left), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def machine() -> str:
    """Processor, cores, instruction set in use, day."""
    from nbedex import _core

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or "unknown processor"
    build = _core.build_info()
    return f"{processor}, {os.cpu_count()} cores, {build['isa']}, {build['compiler']}; {date.today()}"
