"""pyxem's answers to the kit's patterns in the same table as nbedex's.

    python bench/accuracy/validate_pyxem.py --python PEERS/pyxem/bin/python --conditions standard --n 30

pyxem gets nbedex's polar patterns and templates (complete reflection list, whole fundamental sector) and its faults of
export do not enter: template, shift and mirror are turned into orientations here, exactly. What is compared is its
search and its score. The phase is that of the highest correlation, as pyxem's users choose it.
Exhaustive search takes seconds a pattern; --fraction 0.1 is pyxem's default.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from validate import told
from validation import exchange
from validation.conditions import CACHE, CONDITIONS, MAIN, condition
from validation.detector import frames
from validation.judge import SCORE_COLUMNS, Answers, score, score_row, table

from nbedex import _core
from nbedex.indexing.engine import Engine, make_engine
from nbedex.indexing.settings import IndexingSettings, MatchSettings, PreprocessSettings
from nbedex.library import SimulationSettings, cached_library
from nbedex.maps import multiply
from nbedex.phases import load_phase

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
# pyxem's mirrored template has its spots at (kx, -ky). Half a turn about Y takes g to (-gx, gy, -gz), whose opposite
# (gx, -gy, gz) is the one that is excited.
HALF_TURN_Y = np.array([0.0, 0.0, 1.0, 0.0])


def ask(python: Path, patterns: Any, engine: Engine, fraction: float) -> dict[str, Any]:
    """Run peers/run_pyxem.py in pyxem's environment."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
        packed = {
            f"{name}_{p}": getattr(templates, name)
            for p, templates in enumerate(engine.templates)
            for name in ("offset", "ring", "azimuth", "weight")
        }
        np.savez(source, patterns=patterns, n_phases=len(engine.templates), fraction=fraction, **packed)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | ONE_THREAD
        command = [str(python), str(Path(__file__).parent / "peers" / "run_pyxem.py"), str(source), str(target)]
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}:\n{done.stderr}")
        return dict(np.load(target))


def orientations(found: Any, templates: Any, n_azimuths: int) -> Any:
    """Quaternions (n, best, 4) of pyxem's (template, correlation, shift, mirror)."""
    base = templates[found[..., 0].astype(int)]
    base = np.where(found[..., 3:] < 0, multiply(base, HALF_TURN_Y), base)
    half = np.pi * found[..., 2] / n_azimuths
    zero = np.zeros_like(half)
    return multiply(base, np.stack([np.cos(half), zero, zero, -np.sin(half)], axis=-1))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", type=Path, required=True, help="of pyxem's environment")
    parser.add_argument("--conditions", nargs="+", choices=list(CONDITIONS), default=["standard"], metavar="NAME")
    parser.add_argument("--phases", nargs="+", default=list(MAIN))
    parser.add_argument("--n", type=int, default=30)
    parser.add_argument("--fraction", type=float, default=1.0, help="of the templates that pass pyxem's prefilter")
    parser.add_argument("--image-exponent", type=float, default=0.4)
    parser.add_argument("--template-exponent", type=float, default=0.3)
    parser.add_argument("--cache", type=Path, default=CACHE)
    arguments = parser.parse_args()
    simulation = SimulationSettings(voltage=300.0, k_max=1.2, step_deg=1.0)
    comparison = SimulationSettings(voltage=300.0, k_max=1.2, max_excitation_error=0.015)
    settings = IndexingSettings(
        preprocess=PreprocessSettings(exponent=arguments.image_exponent, background_sigma=1.0, disk_radius=0.0),
        match=MatchSettings(template_exponent=arguments.template_exponent),
    )
    library = cached_library([load_phase(name) for name in MAIN], simulation, threads=1)
    rows = []
    for name in arguments.conditions:
        what = condition(name, "tuning")
        size = what.detector.size
        engine = make_engine(library, told(what), settings, frame_shape=(size, size), center=((size - 1) / 2,) * 2)
        for phase in arguments.phases:
            where = exchange.folder(arguments.cache, what.crystal, phase, "tuning")
            truth = exchange.read(where, arguments.n)
            shown = frames(truth, what.detector, wavelength=told(what).wavelength, seed=("tuning", phase))
            polar, _, _, _ = _core.prepare_patterns(
                shown.images, shown.center, engine.sampler, engine.preprocessing, None, 1
            )
            found = ask(arguments.python, polar, engine, arguments.fraction)
            correlation = np.stack([found[f"found_{p}"][:, 0, 1] for p in range(len(MAIN))], axis=1)
            turned = [
                orientations(found[f"found_{p}"], engine.orientations[p], engine.grid.n_azimuths)
                for p in range(len(MAIN))
            ]
            winner = correlation.argmax(axis=1)
            answers = Answers(
                phase=np.array(MAIN)[winner],
                orientation=np.stack(turned, axis=1)[np.arange(arguments.n), winner, 0],
                best=turned[MAIN.index(phase)],
            )
            judged = score(load_phase(phase), truth.orientation, answers, comparison)
            rows.append([name, phase, *score_row(judged)])
            sys.stderr.write(" | ".join(rows[-1]) + "\n")
    sys.stdout.write(table(["condition", "true phase", *SCORE_COLUMNS], rows))


if __name__ == "__main__":
    main()
