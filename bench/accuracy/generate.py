"""Simulate the spots of the validation kit with abTEM; needs the environment of requirements.txt, not nbedex.

    KIT/bin/python bench/accuracy/generate.py --split tuning --conditions standard --n 50

What is there is kept: stop it at any time and start it again. With --check it writes the few thin crystals that
check_physics.py compares with nbedex instead, with --scan a polycrystal for validate_scan.py.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
import time
from pathlib import Path

import numpy as np
from validation import exchange, multislice, scans
from validation.bloch import beam_directions, spots
from validation.conditions import (
    CACHE,
    CHECK,
    CONDITIONS,
    MAIN,
    SPLITS,
    Crystal,
    Slab,
    Split,
    condition,
    orientation,
    random_numbers,
    thickness,
)
from validation.crystal import changed, read_cell, scattering
from validation.specimen import make

PACKAGES = ("abtem", "ase", "gemmi", "numpy", "scipy")


def check_environment() -> dict[str, str]:
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    wanted = dict(
        line.split("==") for line in exchange.REQUIREMENTS.read_text(encoding="utf-8").splitlines() if "==" in line
    )
    if wrong := {name: v for name, v in versions.items() if wanted[name] != v}:
        sys.exit(f"requirements.txt asks for {wanted}, installed is {wrong}: other versions may give other patterns")
    return versions


def simulate(phase: str, split: Split, crystal: Crystal, numbers: range) -> exchange.Patterns:
    """Patterns of these numbers."""
    nominal = read_cell(exchange.cif_of(phase))
    factors = scattering(nominal, g_max=crystal.g_max)
    rows = []
    for number in numbers:
        if crystal.cell_error or crystal.occupancy_error:
            specimen = changed(
                nominal, random_numbers("specimen", split, phase, number),
                cell_error=crystal.cell_error, occupancy_error=crystal.occupancy_error,
            )  # fmt: skip
            factors = scattering(specimen, g_max=crystal.g_max)
        q = orientation(phase, split, number)
        depth = thickness(phase, split, number, crystal.thickness_nm)
        tilts = beam_directions(
            random_numbers("tilts", split, phase, number), precession_deg=crystal.precession_deg,
            azimuths=crystal.azimuths, convergence_mrad=crystal.convergence_mrad, tilts=crystal.tilts,
            bend_deg=crystal.bend_deg,
        )  # fmt: skip
        found = spots(
            factors, q, depth, tilts, voltage=crystal.voltage, g_max=crystal.g_max, s_max=crystal.s_max,
            absorption=crystal.absorption,
        )  # fmt: skip
        rows.append((q, depth, *found))
    q_all, depth_all, hkl, k, intensity = zip(*rows, strict=True)
    return exchange.Patterns(np.array(q_all), np.array(depth_all), list(hkl), list(k), list(intensity))


def simulate_slabs(phase: str, split: Split, slab: Slab, numbers: range) -> exchange.Images:
    """The same by multislice."""
    cell = read_cell(exchange.cif_of(phase))
    orientations = np.array([orientation(phase, split, number) for number in numbers])
    depths = np.array([thickness(phase, split, number, slab.thickness_nm) for number in numbers])
    images = [
        multislice.pattern(cell, q, depth, slab, random_numbers("phonons", split, phase, number))
        for q, depth, number in zip(orientations, depths, numbers, strict=True)
    ]
    return exchange.Images(orientations, depths, np.array(images, dtype=np.float32))


def generate(phase: str, split: Split, crystal: Crystal | Slab, n: int, cache: Path, versions: dict[str, str]) -> None:
    where = exchange.folder(cache, crystal, phase, split)
    exchange.write_manifest(where, crystal, phase, split, versions)
    for file in exchange.missing(where, n):
        start = time.perf_counter()
        numbers = range(file * exchange.PER_FILE, (file + 1) * exchange.PER_FILE)
        if isinstance(crystal, Slab):
            exchange.write(where, file, simulate_slabs(phase, split, crystal, numbers))
        else:
            exchange.write(where, file, simulate(phase, split, crystal, numbers))
        per_pattern = (time.perf_counter() - start) / len(numbers)
        sys.stderr.write(f"{phase} {split} {where.name} file {file}: {per_pattern:.2f} s per pattern\n")


def generate_scan(name: str, split: Split, cache: Path, versions: dict[str, str]) -> None:
    """Every part of every column on its own, at its own orientation and depth: nothing is interpolated."""
    specimen, where = scans.SCANS[name], scans.folder(cache, name, split)
    crystal = specimen.crystal
    cells = {phase: read_cell(exchange.cif_of(phase)) for phase, _ in specimen.grains}
    if not (where / "truth.npz").exists():
        truth = make(specimen, split, name, {phase: cell.basis for phase, cell in cells.items()})
        scans.write_truth(where, truth, name, split, versions)
    truth = scans.read_truth(where)
    factors = {phase: scattering(cell, g_max=crystal.g_max) for phase, cell in cells.items()}
    for row in scans.missing_rows(where, truth):
        start = time.perf_counter()
        parts = np.flatnonzero(truth.row == row)
        found = []
        for part in parts:
            tilts = beam_directions(
                random_numbers("scan tilts", split, name, int(part)), precession_deg=crystal.precession_deg,
                azimuths=crystal.azimuths, convergence_mrad=0.0, tilts=1, bend_deg=0.0,
            )  # fmt: skip
            of_phase = factors[str(truth.phases[truth.grain_phase[truth.grain[part]]])]
            depth = float(truth.depth_nm[part])
            found.append(
                spots(
                    of_phase, truth.orientation[part], depth, tilts, voltage=crystal.voltage, g_max=crystal.g_max,
                    s_max=crystal.s_max,
                )
            )  # fmt: skip
        hkl, k, intensity = map(list, zip(*found, strict=True))
        patterns = exchange.Patterns(truth.orientation[parts], truth.depth_nm[parts], hkl, k, intensity)
        exchange.write(where, row, patterns)
        sys.stderr.write(f"{name} {split} row {row}: {(time.perf_counter() - start) / len(parts):.2f} s per part\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--split", choices=SPLITS, default="tuning")
    parser.add_argument("--conditions", nargs="+", choices=list(CONDITIONS), default=["standard"], metavar="NAME")
    parser.add_argument("--phases", nargs="+", default=list(MAIN))
    parser.add_argument("--n", type=int, default=50, help="patterns per phase and condition")
    parser.add_argument("--quick", action="store_true", help="10 patterns")
    parser.add_argument("--check", action="store_true", help="thin crystals for check_physics.py")
    parser.add_argument("--scan", choices=list(scans.SCANS), default=None, help="this polycrystal instead")
    parser.add_argument("--cache", type=Path, default=CACHE)
    arguments = parser.parse_args()
    versions = check_environment()
    if arguments.scan:
        generate_scan(arguments.scan, arguments.split, arguments.cache, versions)
        return
    if arguments.check:
        crystals = [CHECK]
    else:
        # several conditions may share their spots
        crystals = list(dict.fromkeys(condition(name, arguments.split).crystal for name in arguments.conditions))
    for crystal in crystals:
        for phase in arguments.phases:
            n = exchange.PER_FILE if arguments.quick or arguments.check else arguments.n
            generate(phase, arguments.split, crystal, n, arguments.cache, versions)


if __name__ == "__main__":
    main()
