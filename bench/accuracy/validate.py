"""Index the validation kit's patterns with nbedex and print how often it is right.

    python bench/accuracy/validate.py --split tuning --conditions standard --n 50

needs the spots that generate.py wrote for the same arguments. The held-out split is for tables that are quoted, not for
choosing anything: every look at it is written down in held_out_looks.jsonl beside the output.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from validation import exchange
from validation.conditions import CACHE, CONDITIONS, MAIN, RIVALS, SPLITS, Condition, Split, condition, sha256
from validation.detector import Frames, frames, second_crystals
from validation.judge import (
    CALIBRATION_COLUMNS,
    SCORE_COLUMNS,
    Answers,
    Scores,
    calibration_rows,
    confidence_rows,
    score,
    score_row,
    table,
)

import nbedex
from nbedex.calibrating import fine_tuned
from nbedex.calibration import Calibration, electron_wavelength
from nbedex.indexing import index_scan
from nbedex.indexing.block import index_block
from nbedex.indexing.engine import make_engine
from nbedex.indexing.settings import CenterSettings, IndexingSettings, RerankSettings
from nbedex.library import SimulationSettings, TemplateLibrary, cached_library
from nbedex.library.library import library_hash
from nbedex.phases import load_phase
from nbedex.scan import memory_scan

FIELDS = ("phase_id", "orientation", "index", "reliability", "phase_reliability", "rival_phase_id",
          "rival_orientation", "rival_score", "center", "status")  # fmt: skip
OPTIONAL = ("probability",)  # judged as soon as indexing has them
NO_PHASE = ""


@dataclass(frozen=True, kw_only=True)
class Method:
    """How the patterns are indexed."""

    library: TemplateLibrary
    settings: IndexingSettings
    centers: str
    threads: int
    fine_tune: bool = False


def told(what: Condition) -> Calibration:
    """What the indexer knows of the geometry: not the scale's error, nor the ellipse."""
    detector = what.detector
    return Calibration(
        pixel_size=detector.pixel, voltage=what.crystal.voltage, rotation_deg=detector.rotation_deg,
        flipped=detector.flipped,
    )  # fmt: skip


def index(shown: Frames, what: Condition, method: Method) -> dict[str, Any]:
    """Fields of the records, as arrays (n, ...)."""
    detector = what.detector
    calibration = told(what)
    if method.centers == "found":
        scan = memory_scan(shown.images[None])
        if method.fine_tune:
            calibration = fine_tuned(
                scan, method.library, calibration, indexing=method.settings, threads=method.threads
            )
        result = index_scan(scan, method.library, calibration, settings=method.settings, threads=method.threads)
        return {name: getattr(result, name)[0] for name in (*FIELDS, *OPTIONAL) if hasattr(result, name)}
    engine = make_engine(
        method.library, calibration, method.settings, frame_shape=(detector.size, detector.size),
        center=((detector.size - 1) / 2,) * 2,
    )  # fmt: skip
    records = index_block(shown.images, shown.center, engine, threads=method.threads)
    return {name: records[name] for name in (*FIELDS, *OPTIONAL) if name in (records.dtype.names or ())}


def cached_index(where: Path, phase: str, split: Split, n: int, what: Condition, method: Method) -> dict[str, Any]:
    """Like `index`, but a result that the same code, options and patterns gave before is read."""
    key = sha256(
        json.dumps(
            [
                where.name, phase, split, n, what.detector.key(), code_hash(), method.settings.to_dict(),
                method.centers, method.fine_tune, library_hash(method.library.phases, method.library.settings),
            ]
        )
    )[:24]  # fmt: skip
    path = where.parents[1] / "found" / f"{key}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    wavelength = electron_wavelength(what.crystal.voltage)
    shown = frames(exchange.read(where, n), what.detector, wavelength=wavelength, seed=(split, phase))
    found = index(shown, what, method)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".tmp.npz")
    np.savez_compressed(part, **found)
    part.replace(path)
    return found


def code_hash() -> str:
    """Of nbedex's own code, compiled part included, and the kit's frames."""
    digest = hashlib.sha256()
    folder = Path(nbedex.__path__[0])
    files = [p for p in folder.rglob("*") if p.suffix in (".py", ".so") and p.is_file()]
    for path in sorted([*files, Path(__file__).parent / "validation" / "detector.py"]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def answers_of(found: dict[str, Any], phase: str, names: list[str]) -> Answers:
    own = names.index(phase)
    of_phase = found["rival_phase_id"] == own
    refused = (found["phase_id"] < 0) & of_phase[:, 0]
    return Answers(
        phase=np.array([names[i] if i >= 0 else NO_PHASE for i in found["phase_id"]]),
        orientation=found["orientation"],
        best=np.where(of_phase[..., None], found["rival_orientation"], np.nan),
        refused=np.where(refused[:, None], found["rival_orientation"][:, 0], np.nan),
        confidence=found.get("probability"),
    )


def judge_all(arguments: argparse.Namespace) -> tuple[list[list[str]], list[list[str]], list[tuple[str, Scores]]]:
    simulation = SimulationSettings(voltage=300.0, k_max=arguments.k_max, step_deg=arguments.step_deg)
    settings = IndexingSettings(
        center=CenterSettings(method="per-pattern"), rerank=RerankSettings(mode=arguments.rerank)
    )
    joint = cached_library([load_phase(name) for name in arguments.library], simulation, threads=arguments.threads)
    comparison = SimulationSettings(voltage=300.0, k_max=arguments.k_max, max_excitation_error=0.015)
    rows, confusion, everything = [], [], []
    for name in arguments.conditions:
        what = condition(name, arguments.split)
        for phase in arguments.phases:
            where = exchange.folder(arguments.cache, what.crystal, phase, arguments.split)
            library = joint
            if arguments.alone:
                library = cached_library([load_phase(phase)], simulation, threads=arguments.threads)
            method = Method(
                library=library, settings=settings, centers=arguments.centers, threads=arguments.threads,
                fine_tune=arguments.fine_tune,
            )  # fmt: skip
            found = cached_index(where, phase, arguments.split, arguments.n, what, method)
            names = [p.name for p in library.phases]
            truth = exchange.read(where, arguments.n).orientation
            second = truth[second_crystals(len(truth))] if what.detector.overlap[1] else None
            scores = score(load_phase(phase), truth, answers_of(found, phase, names), comparison, second)
            everything.append((name, scores))
            rows.append([name, phase, *score_row(scores)])
            sys.stderr.write(" | ".join(rows[-1]) + "\n")
            of = [str(int((found["phase_id"] == i).sum())) for i in range(len(names))]
            confusion.append([name, phase, *of, str(int((found["phase_id"] < 0).sum()))])
    return rows, confusion, everything


def look_taken(arguments: argparse.Namespace, output: Path) -> None:
    """Write down that the held-out patterns were looked at."""
    line = {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "conditions": arguments.conditions,
        "phases": arguments.phases,
        "n": arguments.n,
    }
    with (output.parent / "held_out_looks.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def commit() -> str:
    answer = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"], capture_output=True, text=True
    )
    return answer.stdout.strip() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--split", choices=SPLITS, default="tuning")
    parser.add_argument("--conditions", nargs="+", choices=list(CONDITIONS), default=["standard"], metavar="NAME")
    parser.add_argument("--phases", nargs="+", default=list(MAIN))
    parser.add_argument("--library", nargs="+", default=list(MAIN), help="phases that compete")
    parser.add_argument("--rivals", action="store_true", help="phases and library: all that are confused; see RIVALS")
    parser.add_argument("--alone", action="store_true", help="each phase against its own library only")
    parser.add_argument("--rerank", choices=("off", "ambiguous", "all"), default="off", help="by Bloch waves")
    parser.add_argument("--centers", choices=("found", "true"), default="found", help="of the direct beam")
    parser.add_argument(
        "--fine-tune", action="store_true", help="correct the calibration as a run does (from 256 patterns on)"
    )
    parser.add_argument("--n", type=int, default=50)
    parser.add_argument("--quick", action="store_true", help="10 patterns, library at 3 degrees")
    parser.add_argument("--k-max", type=float, default=1.2)
    parser.add_argument("--step-deg", type=float, default=2.5, help="of the library; nbedex's default")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--output", type=Path, default=None, help="write the tables to this file, too")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.n, arguments.step_deg = exchange.PER_FILE, 3.0
    if arguments.rivals:
        arguments.phases = arguments.library = list(RIVALS)
    if arguments.split == "held-out":
        look_taken(arguments, arguments.output or Path(__file__))
    rows, confusion, everything = judge_all(arguments)
    tuned = ", calibration fine-tuned" if arguments.fine_tune else ""
    text = (
        f"{arguments.split} split, {commit()}, abTEM's Bloch waves, library at {arguments.step_deg:g}°, k_max"
        f" {arguments.k_max:g}, centres {arguments.centers}{tuned}. Shares in percent ± one sigma;"
        " orientations of the wrong phase count as wrong. plane: median / mean / 90 % of the angle between"
        " true and found conduction planes.\n\n"
    )
    text += table(["condition", "true phase", *SCORE_COLUMNS], rows)
    if not arguments.alone:
        text += "\nFound as:\n\n" + table(["condition", "true phase", *arguments.library, "none"], confusion)
    if calibration := calibration_rows(everything):
        curve, _ = confidence_rows([scores for _, scores in everything])
        text += "\nWhether the stated probability is true (right: the phase, and within 2°):\n\n"
        text += table(CALIBRATION_COLUMNS, calibration) + "\n" + table(["stated, %", "n", "right, %"], curve)
    sys.stdout.write(text)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
