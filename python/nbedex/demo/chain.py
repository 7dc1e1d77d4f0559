"""The chain a user would run, on a scan of a specimen: index, pool, grains, boundaries, blockade, current."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nbedex.blockade import UniformField
from nbedex.demo.scan import ScanSettings, simulate_scan
from nbedex.demo.scan_truth import Truth, write_truth
from nbedex.demo.specimen import Specimen
from nbedex.errors import ArgumentError
from nbedex.files import check_output, make_folder
from nbedex.grains import read_orientation_map
from nbedex.maps import IndexingResult, read_result
from nbedex.microstructure import GRAIN_FILE, Microstructure, analyse_map, check_folder, write_microstructure
from nbedex.pooled import pool
from nbedex.progress import Progress, silent
from nbedex.report.current import plot_current
from nbedex.reported import write_report
from nbedex.transport import (
    BoundaryCurrents,
    Electrode,
    Solution,
    TransportSettings,
    boundary_currents,
    build_problem,
    regions_of,
    solve,
    write_current,
)
from nbedex.workflow import LibraryOptions, OutputOptions, RunSettings, ScanOptions, run_to_file

SCAN, TRUTH, MAP, POOLED, CURRENT = "scan.hspy", "truth.h5", "map.h5", "pooled.h5", "current.h5"
ANALYSIS, CURRENT_FIGURE, REPORT = "analysis", "current.png", "report.html"


@dataclass(frozen=True, kw_only=True, eq=False)
class Chain:
    """What was found, and where it is.

    Attributes
    ----------
    specimen, truth
        What was scanned.
    result
        The map, pooled.
    found
        Grains, boundaries and blockade.
    solution, currents
        The direct current.
    files
        Written, by what they hold.
    seconds
        Each step took, by its name.
    """

    specimen: Specimen
    truth: Truth
    result: IndexingResult
    found: Microstructure
    solution: Solution
    currents: BoundaryCurrents
    files: dict[str, Path]
    seconds: dict[str, float]


@dataclass
class _Clock:
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started


def run_chain(
    specimen: Specimen,
    folder: Path,
    settings: ScanSettings,
    *,
    figures: bool = True,
    overwrite: bool = False,
    threads: int = 0,
    progress: Progress = silent,
) -> Chain:
    """Scan the specimen and find out what it is, file by file, as the commands of `commands_of` do.

    Raises
    ------
    OutputError
        A file is in the way and `overwrite` is not given; checked before anything is written.
    """
    make_folder(folder, parents=True)
    names = (("scan", SCAN), ("truth", TRUTH), ("map", MAP), ("pooled map", POOLED), ("current", CURRENT))
    files = {name: folder / file for name, file in names}
    drawn = {"picture of the current": folder / CURRENT_FIGURE, "report": folder / REPORT} if figures else {}
    for file in (*files.values(), *drawn.values(), folder / f"{MAP}.toml"):
        check_output(file, overwrite=overwrite)
    check_folder(folder / ANALYSIS, figures=figures, overwrite=overwrite)
    clock = _Clock()
    with clock.step("scan"):
        truth = simulate_scan(
            specimen, files["scan"], settings, overwrite=overwrite, threads=threads, progress=progress
        )
        write_truth(files["truth"], truth, overwrite=overwrite)
    with clock.step("index"):
        run = RunSettings(
            scan=ScanOptions(path=str(files["scan"])),
            library=LibraryOptions(phases=specimen.phases),
            output=OutputOptions(path=str(files["map"]), overwrite=overwrite),
            threads=threads,
        )
        run_to_file(run, progress=progress)
    with clock.step("pool"):
        pool(files["map"], files["pooled map"], overwrite=overwrite, threads=threads, progress=progress)
    with clock.step("grains, boundaries, blockade"):
        source = read_orientation_map(files["pooled map"])
        found = analyse_map(source, UniformField(specimen.field_deg), threads=threads, progress=progress)
        write_microstructure(
            folder / ANALYSIS, found, figures=figures, overwrite=overwrite, threads=threads, progress=progress
        )
        files |= {"grains": folder / ANALYSIS / GRAIN_FILE, "boundaries": folder / ANALYSIS / "boundaries.csv"}
    with clock.step("current"):
        solution, currents = current_of(found, specimen, progress=progress)
        write_current(files["current"], solution, currents, overwrite=overwrite)
        if figures:
            plot_current(solution, drawn["picture of the current"], boundaries=currents, overwrite=overwrite)
    if figures:
        with clock.step("report"):
            write_report(
                files["pooled map"],
                drawn["report"],
                field_deg=specimen.field_deg,
                current=files["current"],
                overwrite=overwrite,
                threads=threads,
                progress=progress,
            )
    return Chain(
        specimen=specimen,
        truth=truth,
        result=read_result(files["pooled map"]),
        found=found,
        solution=solution,
        currents=currents,
        files=files | drawn,
        seconds=clock.seconds,
    )


def scan_to_folder(
    specimen: Specimen,
    folder: Path,
    settings: ScanSettings,
    *,
    overwrite: bool = False,
    threads: int = 0,
    progress: Progress = silent,
) -> dict[str, Path]:
    """Make the scan and its truth in a folder, for a user's own try."""
    make_folder(folder, parents=True)
    files = {"scan": folder / SCAN, "truth": folder / TRUTH}
    for file in files.values():
        check_output(file, overwrite=overwrite)
    truth = simulate_scan(specimen, files["scan"], settings, overwrite=overwrite, threads=threads, progress=progress)
    write_truth(files["truth"], truth, overwrite=overwrite)
    return files


def current_of(
    found: Microstructure, specimen: Specimen, *, progress: Progress = silent
) -> tuple[Solution, BoundaryCurrents]:
    """The direct current between the specimen's electrodes, through a lamella as thick as this one on average."""
    settings = TransportSettings(thickness=sum(specimen.thickness_nm) / 4)
    electrodes = electrodes_of(specimen, found.grain_map.source.step)
    solution = solve(build_problem(regions_of(found.grain_map), electrodes, settings), settings, progress=progress)
    return solution, boundary_currents(solution, network=found.network)


def electrodes_of(specimen: Specimen, step: tuple[float, float]) -> list[Electrode]:
    """The metal along the top edge at 1 V and that along the right edge at 0 V, as rectangles around its regions.

    Where a region touches both edges, the top has it. Places count from the middle of the first pixel, `step` apart.
    """
    corners = {r.name: specimen.corners[list(r.corners)] for r in specimen.regions if r.role == "electrode"}
    right = {n for n, ring in corners.items() if ring[:, 1].max() >= specimen.size_nm[1] and ring[:, 0].min() > 0}
    made = []
    for name, volts, members in (("top", 1.0, corners.keys() - right), ("right", 0.0, right)):
        if not members:
            raise ArgumentError(f"the specimen has no electrode at its {name} edge")
        points = np.concatenate([corners[n] for n in sorted(members)]) - 0.5 * np.array(step)
        (y0, x0), (y1, x1) = points.min(axis=0), points.max(axis=0)
        made.append(Electrode(where=f"rect:{x0:.0f},{y0:.0f},{x1:.0f},{y1:.0f}", potential=volts, name=name))
    return made


def commands_of(specimen: Specimen, folder: Path, step: tuple[float, float]) -> list[str]:
    """The commands that make the same files of the scan in the folder."""
    phases = " ".join(f"--phase {name}" for name in specimen.phases)
    current, field = folder / CURRENT, specimen.field_deg
    places = " ".join(f"--electrode {e.where}={e.potential:g}" for e in electrodes_of(specimen, step))
    thickness = sum(specimen.thickness_nm) / 4
    return [
        f"nbedex index {folder / SCAN} {phases} -o {folder / MAP}",
        f"nbedex pool {folder / MAP} -o {folder / POOLED}",
        f"nbedex analyse {folder / POOLED} --field {field:g} -o {folder / ANALYSIS}",
        f"nbedex transport {folder / ANALYSIS / GRAIN_FILE} {places} --thickness {thickness:g} -o {current}",
        f"nbedex report {folder / POOLED} --field {field:g} --current {current} -o {folder / REPORT}",
    ]
