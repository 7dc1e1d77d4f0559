"""pyxem and py4DSTEM on the same core, the same templates and the same polar patterns; writes README's tables.

    python -m venv PEERS/pyxem && PEERS/pyxem/bin/pip install -r bench/peers/requirements-pyxem.txt
    python -m venv PEERS/py4dstem && PEERS/py4dstem/bin/pip install -r bench/peers/requirements-py4dstem.txt
    python bench/compare_peers.py --settings accuracy --peers PEERS    # some minutes
    python bench/compare_peers.py --settings mild --peers PEERS
    python bench/compare_peers.py --table

What is compared: finding the best (mild) or the five best (accuracy) of one phase in a polar pattern that lies in
memory. Ours are five *distinct* ones with mirror and half-turn rivals, pyxem's are any five, py4DSTEM's is the
best one only. pyxem's and py4DSTEM's times do not depend on the pattern, so few patterns suffice for those and the
ratios are a peer's least time over each of our many. Our score is zero-mean, theirs is not; that the sums
are otherwise the same is asserted: pyxem's exhaustive search, given zero-mean patterns, must find our best score, and
py4DSTEM must find pyxem's. See bench/peers/ for how their faults are kept out of it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from cases import KINDS, PHASES, WITH_SIGNAL, Case, add_case_flags
from numpy.typing import NDArray
from readme import RESULTS, machine, markdown, replace_between
from timing import seconds_per_pattern, short, stay_on_one_core

from nbedex import _core

log = logging.getLogger("compare_peers")
HERE = Path(__file__).parent
COMPARED = tuple(kind for kind in KINDS if kind != "blank")
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
TOLERANCE = 2e-5  # of scores summed in float32


def run_peer(peer: str, python: Path, exchange: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """A script of bench/peers in its own environment, on this core."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(source, **exchange)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | ONE_THREAD
        command = [str(python), str(HERE / "peers" / f"run_{peer}.py"), str(source), str(target)]
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}:\n{done.stderr}")
        return dict(np.load(target))


def compare(case: Case, phase: str, *, n: int, n_peer: int, peers: Path, with_py4dstem: bool) -> dict[str, Any]:
    """Times of one phase's templates on patterns of that phase, by kind."""
    (templates,) = case.engine((phase,)).templates
    ours = {kind: case.polar(kind, phase, n) for kind in COMPARED}
    theirs = np.ascontiguousarray(np.concatenate([ours[kind][:n_peer] for kind in COMPARED]))
    first = np.arange(len(COMPARED)) * n_peer
    exchange = {
        "patterns": theirs, "offset": templates.offset, "ring": templates.ring, "azimuth": templates.azimuth,
        "weight": templates.weight, "n_best": case.exponents.n_best, "checked": first, "few": first,
    }  # fmt: skip
    options = case.options()
    before = {k: seconds_per_pattern([templates], p, options, repeats=2) for k, p in ours.items()}
    pyxem = run_peer("pyxem", peers / "pyxem" / "bin" / "python", exchange)
    after = {k: seconds_per_pattern([templates], p, options, repeats=2) for k, p in ours.items()}
    py4dstem = run_peer("py4dstem", peers / "py4dstem" / "bin" / "python", exchange) if with_py4dstem else {}
    (answers,), _ = _core.match_pruned([templates], theirs, options)
    score, template = answers["score"][:, 0], answers["template_id"][:, 0]
    if not np.allclose(pyxem["zero_mean"][first], score[first], atol=TOLERANCE):
        raise SystemExit(f"{phase}: pyxem's best scores {pyxem['zero_mean'][first]}, ours {score[first]}")
    if py4dstem and not np.allclose(py4dstem["best"], pyxem["best"][first], rtol=TOLERANCE):
        raise SystemExit(f"{phase}: py4DSTEM's best scores {py4dstem['best']}, pyxem's {pyxem['best'][first]}")
    found = {}
    for number, kind in enumerate(COMPARED):
        part = slice(number * n_peer, (number + 1) * n_peer)
        found[kind] = {
            "ours": np.minimum(before[kind], after[kind]).tolist(),
            "pyxem": pyxem["exhaustive"][part].tolist(),
            "pyxem default": pyxem["default"][part].tolist(),
            "py4DSTEM": py4dstem["seconds"][number : number + 1].tolist() if py4dstem else [],
            "lost": int((pyxem["best_default"][part] < pyxem["best"][part] * (1 - 1e-6)).sum()),
            "other": int((pyxem["template"][part] != template[part]).sum()),
            "of": n_peer,
        }
    for kind in COMPARED:
        log.info("%s", row(f"{kind} {phase}", found[kind], peer_times(found)))
    return found


def peer_times(kinds: dict[str, Any]) -> dict[str, float]:
    """A peer's time for a pattern of a phase: the least of all calls, for it does not depend on the pattern.

    That favours the peer where the machine is busy.
    """
    found = {}
    for peer in ("pyxem", "pyxem default", "py4DSTEM"):
        seconds = [value for times in kinds.values() for value in times[peer]]
        found[peer] = min(seconds) if seconds else np.nan
    return found


def spread(peer: float, ours: list[float] | NDArray[np.float64]) -> str:
    """The peer's time over our median, 99th percentile and worst."""
    if np.isnan(peer):
        return ""
    mine = np.maximum(np.array(ours), 1e-7)
    return " / ".join(f"{peer / at:,.0f}" for at in (np.median(mine), np.quantile(mine, 0.99), mine.max()))


def row(name: str, times: dict[str, Any], peers: dict[str, float]) -> list[str]:
    ours = times["ours"]
    return [
        name,
        short(1e6 * float(np.median(ours))),
        *(spread(seconds, ours) for seconds in peers.values()),
        f"{times['lost']} of {times['of']}",
        f"{times['other']} of {times['of']}",
    ]


def overall(phases: dict[str, Any]) -> str:
    """Ratios over the patterns of all phases: those with signal, and noise."""
    lines = []
    for name, kinds in (("patterns with signal", WITH_SIGNAL), ("noise only", ("noise",))):
        for peer in ("pyxem", "pyxem default"):
            times = {phase: peer_times(of_kind)[peer] for phase, of_kind in phases.items()}
            # of ours in units of the peer's time, so that `spread` of 1 gives ratios
            shares = [np.array(phases[phase][kind]["ours"]) / times[phase] for phase in phases for kind in kinds]
            what = "exhaustive" if peer == "pyxem" else "default"
            lines.append(f"- {name}, pyxem {what}: {spread(1.0, np.concatenate(shares))} times as long")
    return "\n".join(lines)


def write_tables() -> None:
    """README's tables from everything in bench/results."""
    header = [
        "patterns", "ours", "pyxem, exhaustive: times as long", "pyxem, default: times as long",
        "py4DSTEM: times as long", "pyxem's default loses its own best", "another template best without zero mean",
    ]  # fmt: skip
    parts = []
    for path in sorted(RESULTS.glob("peers-*.json")):
        data = json.loads(path.read_text())
        rows, theirs = [], []
        for phase, kinds in data["phases"].items():
            peers = peer_times(kinds)
            rows += [row(f"{kind}, {phase}", times, peers) for kind, times in kinds.items()]
            theirs.append(f"{phase} " + ", ".join(f"{n} {short(1e6 * s)}" for n, s in peers.items() if not np.isnan(s)))
        parts.append(f"**{data['about']}**; k = {data['n_best']}; {data['patterns']} patterns of ours in every row\n")
        parts += [overall(data["phases"]) + "\n", f"Peers' times for a pattern: {'; '.join(theirs)}.\n"]
        parts += [markdown(header, rows) + "\n", data["machine"] + "\n"]
    replace_between("compare_peers.py", "\n".join(parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_case_flags(parser)
    parser.add_argument("--peers", type=Path, help="folder of the environments pyxem/ and py4dstem/")
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=list(PHASES))
    parser.add_argument("-n", type=int, default=100, help="patterns of ours of each kind and phase")
    parser.add_argument("--n-peer", type=int, default=8, help="of them, given to pyxem, too")
    parser.add_argument("--without-py4dstem", action="store_true")
    parser.add_argument(
        "--quick", action="store_true", help="templates at 4 degrees, few patterns: to see that it works"
    )
    parser.add_argument("--table", action="store_true", help="measure nothing, write README's tables")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.table:
        write_tables()
        return
    if not arguments.peers:
        raise SystemExit("say with --peers where the environments are")
    stay_on_one_core()
    step, n, n_peer = (4.0, 8, 4) if arguments.quick else (arguments.step, arguments.n, arguments.n_peer)
    case = Case(arguments.settings, arguments.geometry, step, arguments.rival_share)
    # Phase by phase, kept after each: a run that is stopped goes on with --phases.
    target = RESULTS / f"peers-{case.key}.json"
    kept = json.loads(target.read_text())["phases"] if target.exists() else {}
    for phase in arguments.phases:
        peers = arguments.peers.absolute()
        with_py4dstem = not arguments.without_py4dstem
        kept[phase] = compare(case, phase, n=n, n_peer=n_peer, peers=peers, with_py4dstem=with_py4dstem)
        about = {
            "about": case.describe(tuple(kept)), "n_best": case.exponents.n_best, "patterns": n, "machine": machine(),
            "phases": kept,
        }  # fmt: skip
        RESULTS.mkdir(exist_ok=True)
        target.write_text(json.dumps(about, indent=1))
    write_tables()


if __name__ == "__main__":
    main()
