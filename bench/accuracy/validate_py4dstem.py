"""py4DSTEM's answers to the kit's patterns in the same table as nbedex's.

    python bench/accuracy/validate_py4dstem.py --python PEERS/py4dstem/bin/python --conditions standard --n 30

Structure factors, orientation plan and search are py4DSTEM's own, with its default steps. It matches peaks, and gets
them in two ways: `detected` by its own disk detection in the same noisy frames as everyone, and `true`, the exact
positions and intensities of all spots that stand out of the noise, which no detection can surpass. The true phase is
told: its correlations are no measure between phases.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from validate import told
from validate_pyxem import ONE_THREAD
from validation import exchange
from validation.conditions import CACHE, CONDITIONS, MAIN, Condition, condition
from validation.detector import frames, spot_counts
from validation.judge import SCORE_COLUMNS, Answers, score, score_row, table

from nbedex.library import SimulationSettings
from nbedex.phases import load_phase

X, Y, Z = np.eye(3)
_S = np.sqrt(0.5)
# Zone axes up to the Laue class, crystal frame e1 || a, e3 || c*; opposite ones and mirrored patterns are equal.
TRIANGLES = {
    "beta2-alumina": [[Z, [np.sqrt(0.75), 0.5, 0.0], Y]],  # -3m, mirrors at 30 and 90 degrees from a
    "nzsp": [[Z, X, Y], [Z, Y, -X]],  # 2/m about b
    "na2au": [[Z, X, [_S, _S, 0.0]]],  # 4/mmm
}
STANDS_OUT = 3.0  # sigma


def describe(phase: str) -> dict[str, Any]:
    """The structure as py4DSTEM takes it."""
    small = gemmi.read_small_structure(str(exchange.cif_of(phase)))
    sites = small.get_all_unit_cell_sites()
    return {
        "cell": load_phase(phase).direct_basis.T,  # a, b, c as rows
        "positions": np.array([site.fract.tolist() for site in sites]) % 1.0,
        "numbers": np.array([site.element.atomic_number for site in sites]),
        "occupancy": np.array([site.occ for site in sites]),
        "triangles": np.array(TRIANGLES[phase], dtype=float),
    }


def quaternions(matrix: Any) -> Any:
    """(..., 4) of rotation matrices (..., 3, 3); NaN where those are."""
    m = np.asarray(matrix, dtype=float)
    # the four products of a quaternion's component with all of it, of which the largest is the safest
    trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    diagonal = np.stack([trace, m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]], axis=-1)
    largest = np.where(np.isnan(diagonal), -9.0, diagonal).argmax(axis=-1)
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    one = 1 - trace
    rows = np.stack(
        [
            np.stack([1 + trace, a, b, c], axis=-1),
            np.stack([a, one + 2 * m[..., 0, 0], xy, xz], axis=-1),
            np.stack([b, xy, one + 2 * m[..., 1, 1], yz], axis=-1),
            np.stack([c, xz, yz, one + 2 * m[..., 2, 2]], axis=-1),
        ],
        axis=-2,
    )
    q = np.take_along_axis(rows, largest[..., None, None], axis=-2)[..., 0, :]
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def given_peaks(patterns: exchange.Patterns, what: Condition) -> dict[str, Any]:
    """Exact positions and intensities of the spots that stand out of the noise."""
    k, intensity = [], []
    for i in range(len(patterns)):
        counts, background = spot_counts(patterns, i, what.detector)
        seen = (counts > STANDS_OUT * np.sqrt(counts + background)) & patterns.hkl[i].any(axis=1)
        k.append(patterns.k[i][seen])
        intensity.append(patterns.intensity[i][seen])
    kx, ky = np.concatenate(k).T
    offset = np.concatenate([[0], np.cumsum([len(part) for part in k])])
    return {"offset": offset, "kx": kx, "ky": ky, "intensity": np.concatenate(intensity)}


def ask(python: Path, content: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(source, **content)
        environment = {key: v for key, v in os.environ.items() if key != "PYTHONPATH"} | ONE_THREAD
        command = [str(python), str(Path(__file__).parent / "peers" / "run_py4dstem.py"), str(source), str(target)]
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}:\n{done.stderr}")
        return dict(np.load(target))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", type=Path, required=True, help="of py4DSTEM's environment")
    parser.add_argument("--conditions", nargs="+", choices=list(CONDITIONS), default=["standard"], metavar="NAME")
    parser.add_argument("--phases", nargs="+", choices=list(TRIANGLES), default=list(MAIN))
    parser.add_argument("--peaks", nargs="+", choices=("detected", "true"), default=["detected", "true"])
    parser.add_argument("--n", type=int, default=30)
    parser.add_argument("--step-deg", type=float, default=2.0)
    parser.add_argument("--kernel", type=float, default=0.03, help="1/angstrom over which a peak is spread")
    parser.add_argument("--power", type=float, default=0.25, help="exponent on intensities")
    parser.add_argument("--cache", type=Path, default=CACHE)
    arguments = parser.parse_args()
    comparison = SimulationSettings(voltage=300.0, k_max=1.2, max_excitation_error=0.015)
    rows = []
    for name in arguments.conditions:
        what = condition(name, "tuning")
        for phase in arguments.phases:
            patterns = exchange.read(exchange.folder(arguments.cache, what.crystal, phase, "tuning"), arguments.n)
            if not isinstance(patterns, exchange.Patterns):
                raise SystemExit(f"condition {name!r} has images, not spots")
            options = describe(phase) | {
                "k_max": 1.2, "step": arguments.step_deg, "voltage": 1e3 * what.crystal.voltage, "excitation": 0.02,
                "kernel": arguments.kernel, "power": arguments.power, "power_experiment": arguments.power,
            }  # fmt: skip
            for source in arguments.peaks:
                if source == "true":
                    content = given_peaks(patterns, what)
                else:
                    shown = frames(patterns, what.detector, wavelength=told(what).wavelength, seed=("tuning", phase))
                    content = {
                        "frames": shown.images, "center": shown.center, "pixel": what.detector.pixel,
                        "blur": what.detector.blur_px,
                    }  # fmt: skip
                found = ask(arguments.python, options | content)
                turned = quaternions(found["matrix"])
                nothing = np.isnan(turned[:, 0]).any(axis=1)
                answers = Answers(phase=np.where(nothing, "", phase), orientation=turned[:, 0], best=turned)
                judged = score(load_phase(phase), patterns.orientation, answers, comparison)
                rows.append([name, source, phase, *score_row(judged)])
                sys.stderr.write(f"{np.median(found['peaks']):.0f} peaks: {' | '.join(rows[-1])}\n")
    sys.stdout.write(table(["condition", "peaks", "true phase", *SCORE_COLUMNS], rows))


if __name__ == "__main__":
    main()
