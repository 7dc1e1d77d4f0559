"""The grains as a table for people and spreadsheets: one line each, units in the names of the columns."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import numpy as np

from nbedex.files import write_atomically
from nbedex.grains.model import GrainMap, Role
from nbedex.grains.rivals import PooledRivals
from nbedex.maps import to_euler


def grain_columns(grain_map: GrainMap, rivals: PooledRivals | None = None) -> dict[str, list[object]]:
    """Columns by name; None where a number isn't known. Lengths are in px where the scan step isn't known.

    `rivals` of `pool_rivals` add what the pixels' rival solutions say.
    """
    grains, n = grain_map.grains, len(grain_map.grains)
    unit = "nm" if grain_map.source.step_known else "px"
    names = [phase.name for phase in grain_map.source.phases]
    euler = np.rad2deg(to_euler(grains.orientation))
    near = grain_map.near()
    numbers = {
        "pixels": grains.n_pixels,
        "absorbed pixels": grains.n_absorbed,
        f"area ({unit}^2)": grains.area,
        f"equivalent diameter ({unit})": np.sqrt(4 * grains.area / np.pi),
        f"perimeter ({unit})": grains.perimeter,
        f"centroid x ({unit})": grains.centroid[:, 0],
        f"centroid y ({unit})": grains.centroid[:, 1],
        f"long axis ({unit})": grains.ellipse_axes[:, 0],
        f"short axis ({unit})": grains.ellipse_axes[:, 1],
        "long axis direction (deg)": grains.ellipse_deg,
        "phi1 (deg)": euler[:, 0],
        "Phi (deg)": euler[:, 1],
        "phi2 (deg)": euler[:, 2],
        "spread (deg)": grains.spread_deg,
        "orientation error (deg)": grains.orientation_error_deg,
        "confidence": grains.confidence,
        "conduction normal x": grains.conduction_normal[:, 0],
        "conduction normal y": grains.conduction_normal[:, 1],
        "conduction normal z": grains.conduction_normal[:, 2],
        "inclination alpha (deg)": grains.inclination_deg,
        "trace theta (deg)": grains.trace_deg,
    }
    columns: dict[str, list[object]] = {
        "grain": list(range(n)),
        "role": [Role(role).name.lower() for role in grains.role.tolist()],
        "phase": [names[i] if i >= 0 else None for i in grains.phase_id.tolist()],
    }
    for name, values in numbers.items():
        columns[name] = [None if value != value else value for value in values.tolist()]
    columns["touches edge"] = [int(value) for value in grains.touches_edge.tolist()]
    if rivals is not None:
        other = np.rad2deg(to_euler(rivals.rival_orientation))
        columns["ambiguous"] = [int(value) for value in rivals.ambiguous.tolist()]
        columns["rival probability"] = [None if p != p else p for p in rivals.rival_probability.tolist()]
        columns["rival phase"] = [names[i] if i >= 0 else None for i in rivals.rival_phase_id.tolist()]
        more = {"rival margin (%)": rivals.margin_percent, "rival margin (standard errors)": rivals.significance}
        more |= {f"rival {name} (deg)": other[:, i] for i, name in enumerate(("phi1", "Phi", "phi2"))}
        for name, values in more.items():
            columns[name] = [None if value != value else value for value in values.tolist()]
    columns["neighbours"] = [" ".join(map(str, sorted(others))) for others in near]
    return columns


def write_grain_table(
    path: str | os.PathLike[str], grain_map: GrainMap, *, rivals: PooledRivals | None = None, overwrite: bool = False
) -> Path:
    """Write the grains as CSV. Numbers are rounded to six digits, what isn't known is left empty."""
    columns = grain_columns(grain_map, rivals)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([_cell(value) for value in row])
    return write_atomically(path, [stream.getvalue().encode("utf-8")], overwrite=overwrite)


def _cell(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@")):
        return "'" + value  # a spreadsheet would take a phase of such a name for a formula
    return "" if value is None else value
