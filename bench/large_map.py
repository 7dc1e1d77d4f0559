"""A result of many pixels: memory and time of what is done with its file.

    python bench/large_map.py                      # 4096 x 4096 pixels, 3 GB; some 12 GB of disk
    python bench/large_map.py --size 1024 --only plot info

Each command runs in a process of its own, whose peak memory (resident) and time of the processors are the system's.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from readme import machine

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from nbedex.maps import Head, write_rows
from nbedex.maps.result import ARRAYS
from oracles.maps_sample import sample_result

_ROWS = 32  # made up, and repeated


def make(path: Path, size: int) -> None:
    """Write a result of random orientations in three phases, with every status."""
    sample = sample_result((_ROWS, size), n_rivals=5)
    head = Head(sample.phases, sample.calibration, sample.provenance, (size, size), sample.n_rivals)
    arrays = {name: getattr(sample, name) for name in ARRAYS}
    records = np.empty(sample.shape, [(name, a.dtype, a.shape[2:]) for name, a in arrays.items()])
    for name, array in arrays.items():
        records[name] = array

    def rows() -> Iterator[np.ndarray]:
        for first in range(0, size, _ROWS):
            yield records[: min(_ROWS, size - first)]

    write_rows(path, head, rows())


def measure(arguments: list[str]) -> tuple[float, float, float]:
    """Peak memory in GB, seconds of processors and of the clock, of one command."""
    started = time.monotonic()
    code = f"import sys; from nbedex.cli import main; sys.exit(main({arguments!r}))"
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
    _, status, used = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{arguments} failed")
    return used.ru_maxrss * 1024 / 1e9, used.ru_utime + used.ru_stime, time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--only", nargs="+", help="commands or formats whose name contains this")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        result = folder / "map.h5"
        make(result, options.size)
        print(f"{machine()}; {options.size} x {options.size} pixels, {result.stat().st_size / 1e9:.2f} GB", flush=True)
        commands: dict[str, Any] = {
            "status": ["status", str(result)],
            "info": ["info", str(result), "--json"],
            "plot, all": ["plot", str(result), "--to", str(folder / "figures"), "-q"],
            "plot, ipf-z at 1200 dpi": ["plot", str(result), "--kind", "ipf-z", "--dpi", "1200", "--to",
                                        str(folder / "ipf.png"), "-q"],
        }  # fmt: skip
        for to, suffix in (("orix", "h5"), ("ang", "ang"), ("ang-tsl", "ang"), ("ctf", "ctf"), ("csv", "csv")):
            commands[f"export {to}"] = ["export", str(result), "--to", to, str(folder / f"out.{suffix}"), "-q"]
        print(f"{'':26}{'most memory, GB':>16}{'processor, s':>14}{'clock, s':>10}{'file, GB':>10}", flush=True)
        for title, arguments in commands.items():
            if options.only and not any(part in title for part in options.only):
                continue
            out = os.dup(1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            try:
                memory, cpu, wall = measure(arguments)
            finally:
                os.dup2(out, 1)
            written = sum(p.stat().st_size for p in folder.glob("out.*")) / 1e9
            print(f"{title:26}{memory:16.2f}{cpu:14.0f}{wall:10.0f}{written:10.2f}", flush=True)
            for path in folder.glob("out.*"):
                path.unlink()


if __name__ == "__main__":
    main()
