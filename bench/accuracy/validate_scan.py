"""Index a polycrystal of the validation kit with nbedex and print how much of the map, and how many grains, are right.

    python bench/accuracy/validate_scan.py --split tuning --cameras standard "2e3 counts"

needs what `generate.py --scan polycrystal` wrote. Frames are drawn at the first run (half a gigabyte each).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from validate import code_hash, commit, look_taken
from validation import scans
from validation.conditions import CACHE, SPLITS, sha256
from validation.judge import table
from validation.scan_judge import (
    GRAIN_COLUMNS,
    OVERLAP_COLUMNS,
    PIXEL_COLUMNS,
    PURE,
    Found,
    FoundGrains,
    Pooled,
    grain_rows,
    overlap_rows,
    pixel_rows,
    pooled,
    segmentation_rows,
)

from nbedex.calibration import Calibration, electron_wavelength
from nbedex.grains import find_grains, orientation_map
from nbedex.grains.pooling import pool_patterns
from nbedex.indexing import index_scan
from nbedex.indexing.block import index_block
from nbedex.indexing.engine import make_engine
from nbedex.indexing.settings import IndexingSettings, OverlapSettings
from nbedex.library import SimulationSettings, TemplateLibrary, cached_library
from nbedex.library.library import library_hash
from nbedex.maps import IndexingResult
from nbedex.maps.result import ARRAYS
from nbedex.phases import load_phase
from nbedex.pooled import bloch_engine, for_means
from nbedex.scan import memory_scan


def told(scan: scans.Scan) -> Calibration:
    camera, step = scan.camera, scan.specimen.step_nm
    return Calibration(
        pixel_size=camera.pixel, voltage=scan.specimen.crystal.voltage, step=(step, step),
        rotation_deg=camera.rotation_deg, flipped=camera.flipped,
    )  # fmt: skip


def cached_result(
    scan: scans.Scan, library: TemplateLibrary, settings: IndexingSettings, *, threads: int
) -> IndexingResult:
    """As `nbedex.indexing.index_scan` has it; kept beside the frames for the same code and options."""
    identity = [code_hash(), settings.to_dict(), library_hash(library.phases, library.settings), scan.path.name]
    path = scan.path.parent / f"found-{sha256(json.dumps(identity))[:24]}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as stored:
            return IndexingResult(phases=library.phases, calibration=told(scan), **dict(stored))
    result = index_scan(memory_scan(scan.frames), library, told(scan), settings=settings, threads=threads)
    part = path.with_suffix(".tmp.npz")
    np.savez_compressed(part, **{name: getattr(result, name) for name in ARRAYS})
    part.replace(path)
    return result


def as_found(result: IndexingResult, names: list[str]) -> Found:
    """With phases numbered as in the truth."""
    number = np.array([*(names.index(p.name) if p.name in names else -1 for p in result.phases), -1])
    more: dict[str, Any] = {}
    if result.overlap_phase_id.shape[-1]:
        more = {
            "further_phase": number[result.overlap_phase_id],
            "further_orientation": result.overlap_orientation,
            "further_share": result.overlap_share.astype(float),
        }
    return Found(
        phase=number[result.phase_id], orientation=result.orientation, rival_phase=number[result.rival_phase_id],
        rival_orientation=result.rival_orientation, rival_score=result.rival_score.astype(float), **more,
    )  # fmt: skip


def pooled_frames(
    scan: scans.Scan, library: TemplateLibrary, settings: IndexingSettings, names: list[str], *, threads: int
) -> Pooled:
    """Every true grain's mean pattern indexed: of the columns that are its alone, or else of those it has most of."""
    size = scan.camera.size
    middle = ((size - 1) / 2,) * 2
    engine = make_engine(library, told(scan), settings, frame_shape=(size, size), center=middle)
    grain, share, _ = scan.truth.main()
    n = len(scan.truth.grain_phase)
    mean, center = np.zeros((n, size, size), dtype=np.float32), np.full((n, 2), middle)
    for g in np.unique(grain):
        own = np.argwhere((grain == g) & (share >= min(PURE, share[grain == g].max())))
        mean[g] = np.mean([scan.frames[row, column] for row, column in own], axis=0)
        center[g] = np.mean([scan.center[row, column] for row, column in own], axis=0)
    records = index_block(mean, center, engine, threads=threads)
    number = np.array([*(names.index(p.name) if p.name in names else -1 for p in library.phases), -1])
    return Pooled(number[records["phase_id"]], records["orientation"])


def found_grains(result: IndexingResult, names: list[str]) -> FoundGrains:
    """By nbedex, with its default options."""
    grains = find_grains(orientation_map(result))
    number = np.array([*(names.index(p.name) if p.name in names else -1 for p in result.phases), -1])
    stated = [np.nanmedian(result.probability[grains.grain_id == n]) for n in range(len(grains.grains))]
    return FoundGrains(
        grains.grain_id.astype(np.int64), number[grains.grains.phase_id], grains.grains.orientation, np.array(stated)
    )


def pooled_map(
    scan: scans.Scan, result: IndexingResult, library: TemplateLibrary, settings: IndexingSettings, *, threads: int
) -> dict[str, IndexingResult]:
    """As `nbedex pool` has it, by mean patterns alone and with Bloch waves."""
    size = scan.camera.size
    out = {}
    for name, waves in (("pooled, mean patterns", False), ("pooled, Bloch waves", True)):
        engine = make_engine(
            library, told(scan), for_means(settings, waves=waves), frame_shape=(size, size),
            center=((size - 1) / 2,) * 2,
        )  # fmt: skip
        bloch = bloch_engine(engine, library, told(scan), settings.rerank) if waves else None
        out[name] = pool_patterns(memory_scan(scan.frames), result, engine, bloch=bloch, threads=threads).result
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--split", choices=SPLITS, default="tuning")
    parser.add_argument("--scan", choices=list(scans.SCANS), default="polycrystal")
    parser.add_argument("--cameras", nargs="+", choices=list(scans.CAMERAS), default=["standard"], metavar="NAME")
    parser.add_argument("--library", nargs="+", default=None, help="phases that compete; those of the scan by default")
    parser.add_argument("--smallest", type=int, default=5, help="pixels of a grain that counts")
    parser.add_argument("--step-deg", type=float, default=2.0, help="of the library; nbedex's default")
    parser.add_argument("--crystals", type=int, default=1, help="looked for in each pattern")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--output", type=Path, default=None, help="write the tables to this file, too")
    arguments = parser.parse_args()
    voltage = scans.SCANS[arguments.scan].crystal.voltage
    if arguments.split == "held-out":
        arguments.conditions, arguments.phases, arguments.n = arguments.cameras, arguments.scan, 1
        look_taken(arguments, arguments.output or Path(__file__))
    text = f"{arguments.scan}, {arguments.split} split, {commit()}, library at {arguments.step_deg:g}°\n"
    for camera in arguments.cameras:
        scan = scans.read_scan(
            arguments.cache, arguments.scan, arguments.split, camera, wavelength=electron_wavelength(voltage)
        )
        names = scan.truth.phases.tolist()
        phases = [load_phase(name) for name in names]
        simulation = SimulationSettings(voltage=voltage, step_deg=arguments.step_deg)
        competing = [load_phase(name) for name in arguments.library or names]
        library = cached_library(competing, simulation, threads=arguments.threads)
        settings = IndexingSettings(overlap=OverlapSettings(max_crystals=arguments.crystals))
        result = cached_result(scan, library, settings, threads=arguments.threads)
        found = as_found(result, names)
        text += f"\n**{camera}**\n\n" + table(PIXEL_COLUMNS, pixel_rows(scan.truth, found, phases))
        pools = {
            "sum of the true grain's patterns": pooled_frames(
                scan, library, settings, names, threads=arguments.threads
            ),
            "votes of the true grain's pixels": pooled(scan.truth, found, phases, candidates=False),
            "scores of all their candidates": pooled(scan.truth, found, phases, candidates=True),
        }
        text += "\n" + table(GRAIN_COLUMNS, grain_rows(scan.truth, pools, phases, smallest=arguments.smallest))
        maps = {"as indexed": result} | pooled_map(scan, result, library, settings, threads=arguments.threads)
        columns = []
        for one in maps.values():
            segmented = found_grains(one, names)
            columns.append(segmentation_rows(scan.truth, segmented, phases, smallest=arguments.smallest))
        rows = [
            [of_first[0], *(row[1] for row in same)]
            for of_first, same in zip(columns[0], zip(*columns, strict=True), strict=True)
        ]
        text += "\n" + table(["grains as nbedex finds them", *maps], rows)
        text += "\n" + table(OVERLAP_COLUMNS, overlap_rows(scan.truth, found, phases))
    sys.stdout.write(text)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
