"""From an uncompressed HDF5 scan to the result: patterns per second and memory, by settings and threads.

    python bench/end_to_end.py               # 2,048 patterns: mild, accuracy, and the package's defaults
    python bench/end_to_end.py --rows 512 --columns 512        # 34 GB are written to --folder first
    python bench/end_to_end.py --grain 16    # grains of 16 x 16 patterns that differ by their noise
    python bench/end_to_end.py --vacuum 0.33 --settings defaults   # a third of every row is noise
    python bench/end_to_end.py --quick

Without --grain every pattern is of another orientation than its neighbours, so nothing is gained from those. Each
combination runs in a process of its own; "indexing" leaves out what happens once for a scan (hot pixels, beam centres,
packing of templates), "all" does not. Building the library is in neither. The file was just written, so small ones come
from memory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from cases import DETECTOR, KINDS, PHASES, SETTINGS, VOLTAGE, Case, library, make_frames
from readme import RESULTS, machine, markdown, replace_between

log = logging.getLogger("end_to_end")
POOL = 128  # different frames of each phase
DEFAULTS = "defaults"  # everything as the package has it
LEAST_RIGHT = {
    "mild": 0.5,
    "accuracy": 0.95,
    DEFAULTS: 0.95,
}  # share of patterns of the kind "easy" whose phase must come out


def layout(rows: int, columns: int, grain: int) -> np.ndarray:
    """Number in the pool of every pattern (rows, columns), alike in squares; modulo the phases it is the phase."""
    some = np.random.default_rng(5).integers(0, POOL * len(PHASES), size=(-(-rows // grain), -(-columns // grain)))
    return some.repeat(grain, axis=0).repeat(grain, axis=1)[:rows, :columns]


def write_scan(path: Path, *, rows: int, columns: int, kind: str, grain: int, vacuum: float) -> None:
    """Contiguous HDF5 (rows, columns, 256, 256) of 16-bit integers, and the phase of every pattern, -1 in vacuum.

    In grains every pattern is counted once more, so that no two have the same noise (and all have more of it).
    """
    import h5py

    shape = (rows, columns, DETECTOR.size, DETECTOR.size)
    needed, free = 2 * int(np.prod(shape)), shutil.disk_usage(path.parent).free
    if needed > 0.9 * free:
        raise SystemExit(f"{path.parent} has {free / 1e9:.1f} GB left, the scan needs {needed / 1e9:.1f}; say --folder")
    by_phase = [make_frames(kind, phase, POOL, seed=2)[0] for phase in PHASES]
    pool = np.stack(by_phase, axis=1).reshape(-1, DETECTOR.size, DETECTOR.size)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", shape, dtype="u2")
        numbers = layout(rows, columns, grain)
        rng = np.random.default_rng(6)
        empty = round(vacuum * columns)
        noise = make_frames("noise", PHASES[0], POOL, seed=2)[0] if empty else pool
        for row in range(rows):
            data[row] = pool[numbers[row]] if grain == 1 else rng.poisson(pool[numbers[row]])
            if empty:
                data[row, :empty] = noise[rng.integers(0, POOL, empty)]
        file["phase"] = np.where(np.arange(columns) < empty, -1, numbers % len(PHASES))


def index_once(path: Path, *, settings: str, geometry: str, threads: int) -> dict[str, Any]:
    """Index the scan in this process."""
    import h5py

    from nbedex.calibration import Calibration
    from nbedex.indexing import IndexingSettings, index_scan
    from nbedex.library import SimulationSettings
    from nbedex.scan import open_scan

    if settings == DEFAULTS:
        of_package = SimulationSettings(voltage=VOLTAGE)
        indexing, templates = IndexingSettings(), library(PHASES, of_package.step_deg, of_package.k_max)
    else:
        case = Case(settings, geometry)
        indexing, templates = case.indexing, library(PHASES, case.step, case.k_max)
    stages: list[tuple[str, float]] = []
    with h5py.File(path) as file:
        phase = file["phase"][...]
    with open_scan(path, dataset="/data") as scan:
        started = time.perf_counter()
        result = index_scan(
            scan,
            templates,
            Calibration(pixel_size=DETECTOR.pixel, voltage=VOLTAGE),
            settings=indexing,
            threads=threads,
            progress=lambda stage, done, total: stages.append((stage, time.perf_counter())),
        )
        ended = time.perf_counter()
        first = next(at for stage, at in stages if stage == "indexing")
        digest = hashlib.sha256()
        for values in (result.phase_id, result.orientation, result.index, result.rival_score, result.status):
            digest.update(np.ascontiguousarray(values).tobytes())
        right = result.phase_id == phase
        return {
            "settings": settings,
            "n_best": indexing.match.n_best,
            "threads": threads,
            "indexing": scan.size / (ended - first),
            "all": scan.size / (ended - started),
            "seconds": ended - started,
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "right": float(right.mean()),
            "digest": digest.hexdigest(),
        }


def in_a_process(path: Path, *, settings: str, geometry: str, threads: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", str(path), "--settings", settings, "--geometry", geometry]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [*command, "--threads", str(threads)], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def write_table() -> None:
    """README's table from everything in bench/results."""
    rows, last = [], ""
    for path in sorted(RESULTS.glob("end_to_end-*.json")):
        data = json.loads(path.read_text())
        one = {run["settings"]: run["indexing"] for run in data["runs"] if run["threads"] == 1}
        for run in data["runs"]:
            times = f"{run['indexing'] / one[run['settings']]:.2f}" if run["settings"] in one else ""
            grains = f", grains of {data['grain']} × {data['grain']}" if data["grain"] > 1 else ""
            vacuum = f", {data['vacuum']:.0%} vacuum" if data.get("vacuum") else ""
            scan = f"{data['rows']} × {data['columns']}, {data['kind']}{grains}{vacuum}"
            rates = (f"{run['indexing']:,.0f}", f"{run['all']:,.0f}", times)
            rest = (f"{run['memory'] / 2**20:.0f} MiB", f"{run['right']:.0%}")
            rows.append([f"{run['settings']} (k = {run['n_best']})", scan, run["threads"], *rates, *rest])
        last = data["machine"]
    header = [
        "settings", "scan", "threads", "patterns/s, indexing", "patterns/s, all", "times one thread", "peak memory",
        "phase right",
    ]  # fmt: skip
    replace_between("end_to_end.py", markdown(header, rows, left=2) + f"\n\n{last}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--columns", type=int, default=64)
    parser.add_argument("--kind", choices=KINDS, default="easy")
    parser.add_argument("--grain", type=int, default=1, help="side of square grains, in patterns")
    parser.add_argument("--vacuum", type=float, default=0.0, help="share of every row that is noise")
    parser.add_argument("--settings", nargs="+", choices=(*SETTINGS, DEFAULTS), default=[*SETTINGS, DEFAULTS])
    parser.add_argument("--geometry", choices=("engine", "package"), default="engine")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--folder", type=Path, help="where the scan is written; by default where temporary files are")
    parser.add_argument("--quick", action="store_true", help="128 patterns")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--table", action="store_true", help="measure nothing, write README's table")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.one:
        one = index_once(
            arguments.one, settings=arguments.settings[0], geometry=arguments.geometry, threads=arguments.threads[0]
        )
        print(json.dumps(one))
        return
    if not arguments.table:
        rows, columns = (8, 16) if arguments.quick else (arguments.rows, arguments.columns)
        runs = []
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            path = Path(folder) / "scan.h5"
            write_scan(
                path, rows=rows, columns=columns, kind=arguments.kind, grain=arguments.grain, vacuum=arguments.vacuum
            )
            for settings in arguments.settings:
                for threads in arguments.threads:
                    run = in_a_process(path, settings=settings, geometry=arguments.geometry, threads=threads)
                    log.info("%s", {k: v for k, v in run.items() if k != "digest"})
                    runs.append(run)
        for settings in arguments.settings:
            if len({run["digest"] for run in runs if run["settings"] == settings}) != 1:
                raise SystemExit(f"{settings}: results depend on the number of threads")
        if arguments.kind == "easy" and any(run["right"] < LEAST_RIGHT[run["settings"]] for run in runs):
            raise SystemExit(f"phases came out wrong: {[run['right'] for run in runs]}")
        RESULTS.mkdir(exist_ok=True)
        about = {"rows": rows, "columns": columns, "kind": arguments.kind, "grain": arguments.grain}
        about |= {"vacuum": arguments.vacuum, "machine": machine(), "runs": runs}
        grains = f"-grain{arguments.grain}" if arguments.grain > 1 else ""
        vacuum = f"-vacuum{arguments.vacuum:g}" if arguments.vacuum else ""
        name = f"end_to_end-{arguments.geometry}-{arguments.kind}-{rows}x{columns}{grains}{vacuum}.json"
        (RESULTS / name).write_text(json.dumps(about, indent=1))
    write_table()


if __name__ == "__main__":
    main()
