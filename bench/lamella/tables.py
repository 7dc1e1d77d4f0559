"""The tables of docs/lamella.md: what is published, and what nbedex says of the virtual lamella's true map.

python bench/lamella/tables.py
"""

from __future__ import annotations

import numpy as np

from nbedex.blockade import FieldMap, UniformField, analyse_blockade, class_label
from nbedex.boundaries import trace_boundaries
from nbedex.demo import load_lamella, true_grains
from nbedex.demo.published import CLASSES, PAIRS, RELATIONS
from nbedex.transport import Electrode, TransportSettings, build_problem, regions_of, solve

POSITIONS = 128
CELLS = 64  # of the current
TOP, RIGHT = ("Au-1", "Na2Au", "Au-2", "Au-3"), ("Au-4", "Au-5")


def main() -> None:
    """Print them."""
    lamella = load_lamella()
    grain_map, region = true_grains(lamella, (POSITIONS, POSITIONS))
    network = trace_boundaries(grain_map)
    found = analyse_blockade(network, UniformField(lamella.field_deg)).segments
    b = network.boundaries
    rows = {
        frozenset((lamella.names[region[b.grain_a[i]]], lamella.names[region[b.grain_b[i]]])): i
        for i in np.argsort(b.length)
    }
    print("| GB | ω published | ω | path published | Δθ | ψ |\n|---|---:|---:|---:|---:|---:|")
    off = []
    for p in PAIRS:
        i = rows[frozenset((p.first, p.second))]
        off.append((b.disorientation_deg[i] - p.misorientation_deg, b.delta_theta_deg[i] - p.path_deg))
        print(
            f"| {p.first}/{p.second} | {p.misorientation_deg:g} | {b.disorientation_deg[i]:.1f} | {p.path_deg:g} |"
            f" {b.delta_theta_deg[i]:.1f} | {b.psi_deg[i]:.1f} |"
        )
    omega, path = np.array(off).T
    print(f"\nω: at most {np.abs(omega).max():.2f}; Δθ: at most {np.abs(path).max():.1f}", end=", ")
    print(f"rms {np.sqrt((path**2).mean()):.2f}\n")
    for r in RELATIONS:
        i = rows[frozenset((r.first, r.second))]
        print(f"{r.first}/{r.second} {b.csl_label[i]} {b.csl_deviation_deg[i]:.1f}", end="; ")
    print("\n\n| GB | published | by traces | in space | a |\n|---|---|---|---|---:|")
    for c in CLASSES:
        i = rows[frozenset((c.first, c.second))]
        traces, space = (class_label(code[i]) for code in (found.code_traces, found.code))
        print(f"| {c.first}/{c.second} | {c.label} | {traces} | {space} | {found.accumulation[i]:.2f} |")
    in_current_field()


def in_current_field() -> None:
    """The classes again, in the field of a steady current from the top electrode to the right one."""
    lamella = load_lamella()
    grain_map, region = true_grains(lamella, (CELLS, CELLS))
    number = lamella.map((CELLS, CELLS))
    mask = sum(k * np.isin(number, [lamella.index(name) for name in names]) for k, names in ((1, TOP), (2, RIGHT)))
    electrodes = [Electrode(where="mask:1", potential=1.0), Electrode(where="mask:2", potential=0.0)]
    settings = TransportSettings(not_indexed=1 / 250)
    solution = solve(build_problem(regions_of(grain_map), electrodes, settings, mask=mask))
    field = FieldMap(values=np.asarray(solution.field)[..., :2], step=grain_map.source.step)
    network = trace_boundaries(grain_map)
    found, b = analyse_blockade(network, field).segments, network.boundaries
    rows = {
        frozenset((lamella.names[region[b.grain_a[i]]], lamella.names[region[b.grain_b[i]]])): i
        for i in np.argsort(b.length)
    }
    print("\nin the field of a current:")
    for c in CLASSES:
        i = rows[frozenset((c.first, c.second))]
        print(f"{c.first}/{c.second}: {c.label}, {class_label(found.code_traces[i])}, a {found.accumulation[i]:.2f}")


if __name__ == "__main__":
    main()
