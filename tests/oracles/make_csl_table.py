"""Make tests/data/csl_pymatgen.json: coincidence rotations as pymatgen lists them.

Run once, where pymatgen is installed (it is no dependency of nbedex or of its tests):

    python tests/oracles/make_csl_table.py tests/data/csl_pymatgen.json

pymatgen's ratios: hexagonal and tetragonal c^2/a^2 = mu/mv; rhombohedral (1 + 2 cos alpha)/cos alpha = mu/mv, axes of
the rhombohedral cell; orthorhombic mu : lambda : mv = c^2 : b^2 : a^2.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any


def table() -> list[dict[str, Any]]:
    from pymatgen.core.interface import GrainBoundaryGenerator as Generator

    rows: list[dict[str, Any]] = []

    def add(system: str, ratio: tuple[int, ...] | None, cutoff: int, axes: list[tuple[int, ...]]) -> None:
        for axis in axes:
            if system == "cubic":
                found = Generator.enum_sigma_cubic(cutoff, axis)
            elif system == "hexagonal":
                found = Generator.enum_sigma_hex(cutoff, axis, ratio)
            elif system == "rhombohedral":
                found = Generator.enum_sigma_rho(cutoff, axis, ratio)
            elif system == "tetragonal":
                found = Generator.enum_sigma_tet(cutoff, axis, ratio)
            else:
                found = Generator.enum_sigma_ort(cutoff, axis, ratio)
            sigmas = {str(s): sorted(round(float(a), 11) for a in found[s]) for s in sorted(found)}
            rows.append({"system": system, "ratio": ratio, "cutoff": cutoff, "axis": axis, "sigmas": sigmas})

    add("cubic", None, 49, [(1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 1, 0), (2, 1, 1), (2, 2, 1), (3, 1, 0), (3, 1, 1)])
    hexagonal = [(0, 0, 1), (1, 0, 0), (2, 1, 0), (1, 0, 1), (2, 1, 1), (3, 1, 1)]
    add("hexagonal", (8, 3), 29, hexagonal)
    add("hexagonal", (16, 1), 29, hexagonal)
    add("hexagonal", (5, 2), 29, hexagonal)
    rhombohedral = [(1, 1, 1), (1, 0, 0), (1, -1, 0), (1, 1, 0), (2, 1, 1), (1, 1, -2), (2, 1, 0)]
    add("rhombohedral", (10, 3), 29, rhombohedral)
    add("rhombohedral", (7, 2), 29, rhombohedral)
    add("rhombohedral", (4, 1), 29, rhombohedral)
    tetragonal = [(0, 0, 1), (1, 0, 0), (1, 1, 0), (1, 0, 1), (1, 1, 1), (2, 1, 0), (2, 1, 1)]
    add("tetragonal", (9, 4), 29, tetragonal)
    add("tetragonal", (5, 9), 29, tetragonal)
    add("tetragonal", (2, 1), 29, tetragonal)
    orthorhombic = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (1, 1, 1)]
    add("orthorhombic", (4, 2, 1), 29, orthorhombic)
    add("orthorhombic", (5, 3, 2), 29, orthorhombic)
    return rows


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(row) for row in table())
    head = json.dumps({"made_by": f"pymatgen-core {version('pymatgen-core')}"})[:-1]
    Path(sys.argv[1]).write_text(f'{head},\n"rows": [\n{lines}\n]}}\n', encoding="utf-8")
