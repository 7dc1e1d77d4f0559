"""The command line as a user runs it: another process, its exit code, what it says."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from nbedex.cli import main

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "nbedex")


def environment() -> dict[str, str]:
    """This process's, so that the package tested there is the one imported here."""
    return {**os.environ, "PYTHONIOENCODING": "utf-8"}


def nbedex(*arguments: object, folder: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run `nbedex ARGUMENTS` in a folder."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        check=False,
    )


def here(folder: Path, *arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command line called in this process, which is quicker."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()


def tree(folder: Path) -> dict[str, bytes]:
    """All files under a folder with their content, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in sorted(folder.rglob("*"))}


def without(values: Any, *keys: str) -> Any:
    """A dictionary without some of its keys."""
    return {key: value for key, value in values.items() if key not in keys}
