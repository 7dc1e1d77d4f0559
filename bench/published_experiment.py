"""All tables and figures of the published experiment, made anew by one command.

    python bench/published_experiment.py                                      # figures into published/
    python bench/published_experiment.py --folder here --format pdf,svg --width double

`nbedex demo` and what it prints into docs/demo.md; the figures of its maps, grains, boundaries, blockade and current at
a journal's width; the spacings of docs/published-spacings.md (`published_tables.py`); the tables of docs/lamella.md
(`lamella/tables.py`) into FOLDER/lamella.md. Some two minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
DEMO_PAGE = HERE.parent / "docs" / "demo.md"
DEMO = "nbedex-demo"
START, END = "```text\n", "```"


def nbedex(*arguments: str, folder: Path) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "nbedex", *arguments]
    environment = os.environ | {"COLUMNS": "100"}
    done = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def put_into_page(printed: str) -> None:
    """Replace the output that docs/demo.md shows."""
    page = DEMO_PAGE.read_text()
    before, rest = page.split(START, 1)
    _, after = rest.split(END, 1)
    body = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    DEMO_PAGE.write_text(f"{before}{START}{body}\n{END}{after}")


def repeated_with(option: list[str], printed: str) -> list[list[str]]:
    """The demo's own command for the current, which knows the electrodes, with a figure to draw."""
    line = next(line.split() for line in printed.splitlines() if line.strip().startswith("nbedex transport"))
    without_output = [word for place, word in enumerate(line[1:]) if "-o" not in line[place : place + 2]]
    return [[*without_output, "--to", "figures/current.png", *option]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("published"))
    parser.add_argument("--format", default="png,svg,pdf")
    parser.add_argument("--width", default="double")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    printed = nbedex("demo", DEMO, "--overwrite", folder=folder)
    put_into_page(printed)
    style = ["--format", arguments.format, "--width", arguments.width, "--overwrite"]
    commands = [
        ["plot", f"{DEMO}/pooled.h5", "--to", "figures", *style],
        ["analyse", f"{DEMO}/pooled.h5", "--field", "45", "-o", "figures", *style],
        *repeated_with(style, printed),
    ]
    for command in commands:
        nbedex(*command, folder=folder)
    subprocess.run([sys.executable, str(HERE / "published_tables.py")], check=True)
    tables = [sys.executable, str(HERE / "lamella" / "tables.py")]
    found = subprocess.run(tables, check=True, stdout=subprocess.PIPE, text=True).stdout
    (folder / "lamella.md").write_text(found)


if __name__ == "__main__":
    main()
