"""Boundaries for people, spreadsheets and other programs: CSV, GeoJSON, VTK polydata."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.boundaries.inclination import inclination_of
from nbedex.boundaries.model import BoundaryNetwork
from nbedex.errors import ArgumentError
from nbedex.files import write_atomically
from nbedex.grains import PooledRivals, RivalSettings
from nbedex.maps import disorientation_angle

Floats = NDArray[np.float64]

_VTK_COLUMNS = (
    "grain_a",
    "grain_b",
    "sigma",
    "twin",
    "phase_boundary",
    "length",
    "disorientation_deg",
    "psi_deg",
    "delta_theta_deg",
    "plane_to_boundary_a_deg",
    "plane_to_boundary_b_deg",
    "csl_deviation_deg",
)


def boundary_columns(network: BoundaryNetwork, rivals: PooledRivals | None = None) -> dict[str, list[Any]]:
    """One entry for each segment in every column; None where a number isn't known. Units are in the names.

    `rivals` of the grains add which boundaries may be none.
    """
    b = network.boundaries
    unit = "nm" if network.grain_map.source.step_known else "px"
    phases = [phase.name for phase in network.grain_map.source.phases]
    of_grain = network.grain_map.grains.phase_id
    middle = np.array([_middle(line) for line in b.points]).reshape(-1, 2)
    numbers: dict[str, Floats] = {
        f"length ({unit})": b.length,
        f"middle x ({unit})": middle[:, 0],
        f"middle y ({unit})": middle[:, 1],
        "normal x": b.normal[:, 0],
        "normal y": b.normal[:, 1],
        "normal z": b.normal[:, 2],
        "inclination (deg)": inclination_of(network),
        "disorientation (deg)": b.disorientation_deg,
        "axis x": b.axis[:, 0],
        "axis y": b.axis[:, 1],
        "axis z": b.axis[:, 2],
        "psi between planes in space (deg)": b.psi_deg,
        "delta theta between traces (deg)": b.delta_theta_deg,
        "plane of a to boundary (deg)": b.plane_to_boundary_a_deg,
        "plane of b to boundary (deg)": b.plane_to_boundary_b_deg,
        "deviation from CSL (deg)": b.csl_deviation_deg,
    }
    kind = boundary_kind(network)
    columns: dict[str, list[Any]] = {
        "segment": list(range(len(b))),
        "grain a": b.grain_a.tolist(),
        "grain b": b.grain_b.tolist(),
        "phase a": [phases[i] if i >= 0 else None for i in of_grain[b.grain_a].tolist()],
        "phase b": [phases[i] if i >= 0 else None for i in of_grain[b.grain_b].tolist()],
        "kind": kind,
        "closed": b.closed.astype(int).tolist(),
    }
    for name, values in numbers.items():
        columns[name] = [None if value != value else value for value in values.tolist()]
    columns["sigma"] = [None if k == "phase" else s for k, s in zip(kind, b.sigma.tolist(), strict=True)]
    columns["CSL"] = [label or None for label in b.csl_label]
    columns["twin"] = b.twin.astype(int).tolist()
    if rivals is not None:
        columns["may be none"] = may_be_none(network, rivals).astype(int).tolist()
    return columns


def may_be_none(network: BoundaryNetwork, rivals: PooledRivals) -> NDArray[np.bool_]:
    """Which segments (n,) have a side that could as well be what is on the other side.

    Half turns about a zone axis and pseudo-symmetric variants of one grain look like twins: where a side is ambiguous
    and its rival is the solution across the boundary, there need be no boundary.
    """
    grains, phases = network.grain_map.grains, network.grain_map.source.phases
    angle = np.deg2rad(RivalSettings().distinct_deg)
    out = np.zeros(len(network.boundaries), dtype=bool)
    sides = (network.boundaries.grain_a, network.boundaries.grain_b)
    for one, other in (sides, sides[::-1]):
        for number, phase in enumerate(phases):
            rows = np.flatnonzero(
                rivals.ambiguous[one] & (rivals.rival_phase_id[one] == number) & (grains.phase_id[other] == number)
            )
            away = disorientation_angle(
                rivals.rival_orientation[one[rows]], grains.orientation[other[rows]], phase.symmetry
            )
            out[rows] |= away <= angle
    return out


def boundary_kind(network: BoundaryNetwork) -> list[str]:
    """Of every segment: "phase", "low-angle" or "high-angle"."""
    b = network.boundaries
    low = b.disorientation_deg < float(network.settings.get("low_angle_deg", 15.0))
    kind = np.where(b.phase_boundary, "phase", np.where(low, "low-angle", "high-angle"))
    return [str(name) for name in kind]


def write_boundary_table(
    path: str | os.PathLike[str],
    network: BoundaryNetwork,
    *,
    rivals: PooledRivals | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the segments as CSV. Numbers are rounded to six digits, what isn't known is left empty."""
    columns = boundary_columns(network, rivals)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([_cell(value) for value in row])
    return write_atomically(path, [stream.getvalue().encode("utf-8")], overwrite=overwrite)


def write_geometry(path: str | os.PathLike[str], network: BoundaryNetwork, *, overwrite: bool = False) -> Path:
    """Write the polylines with their columns: GeoJSON for .geojson or .json, legacy VTK polydata for .vtk.

    Coordinates are (x, y) in nm, Y down as in the map, the middle of the first pixel at (0, 0); they are no longitudes.
    """
    suffix = Path(path).suffix.lower()
    if suffix in (".geojson", ".json"):
        text = _geojson(network)
    elif suffix == ".vtk":
        text = _vtk(network)
    else:
        raise ArgumentError(f"geometry is written as .geojson or .vtk, got {os.fspath(path)}")
    return write_atomically(path, [text.encode("utf-8")], overwrite=overwrite)


def read_inclinations(path: str | os.PathLike[str], n: int) -> Floats:
    """Inclinations (n,) in degrees from a CSV with the columns "segment" and "inclination (deg)"; NaN where not given.

    The table of `write_boundary_table` is such a file once its inclinations are filled in.
    """
    values = np.full(n, np.nan)
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = {"segment", "inclination (deg)"} - set(reader.fieldnames or ())
            if missing:
                raise ArgumentError(f"{os.fspath(path)} lacks the column {sorted(missing)[0]!r}")
            for line, row in enumerate(reader, start=2):
                if not (row["inclination (deg)"] or "").strip():
                    continue
                try:
                    segment, angle = int(row["segment"]), float(row["inclination (deg)"])
                except (ValueError, TypeError):
                    raise ArgumentError(f"{os.fspath(path)}, line {line}: expected two numbers, got {row!r}") from None
                if not 0 <= segment < n:
                    raise ArgumentError(f"{os.fspath(path)}, line {line}: there is no segment {segment}, only {n}")
                values[segment] = angle
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"can't read inclinations {os.fspath(path)}: {error}") from None
    return values


def _geojson(network: BoundaryNetwork) -> str:
    columns = boundary_columns(network)
    features = []
    for row, line in enumerate(network.boundaries.points):
        properties = {name: _rounded(values[row]) for name, values in columns.items()}
        geometry = {"type": "LineString", "coordinates": np.round(line, 4).tolist()}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    points = {"type": "MultiPoint", "coordinates": np.round(network.triple_points, 4).tolist()}
    features.append({"type": "Feature", "properties": {"kind": "triple points"}, "geometry": points})
    unit = "nm" if network.grain_map.source.step_known else "px"
    frame = f"x right, y down, {unit}; middle of the first pixel at 0, 0"
    whole = {"type": "FeatureCollection", "nbedex_frame": frame, "features": features}
    return json.dumps(whole, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def _vtk(network: BoundaryNetwork) -> str:
    """Legacy polydata, version 3.0: lines in the plane z = 0, numbers as cell data, NaN as "nan"."""
    b = network.boundaries
    counts = np.array([len(line) for line in b.points], dtype=np.int64)
    points = np.concatenate(b.points) if len(b) else np.zeros((0, 2))
    rows = ["# vtk DataFile Version 3.0", "nbedex boundaries", "ASCII", "DATASET POLYDATA"]
    rows.append(f"POINTS {len(points)} double")
    rows += [f"{x:.4f} {y:.4f} 0" for x, y in points.tolist()]
    rows.append(f"LINES {len(b)} {int(counts.sum()) + len(b)}")
    start = 0
    for count in counts.tolist():
        rows.append(" ".join(map(str, [count, *range(start, start + count)])))
        start += count
    rows.append(f"CELL_DATA {len(b)}")
    for name in _VTK_COLUMNS:
        values = getattr(b, name)
        whole = values.dtype.kind in "bi"
        rows.append(f"SCALARS {name} {'int' if whole else 'double'} 1")
        rows.append("LOOKUP_TABLE default")
        rows += [str(int(value)) if whole else f"{value:.6g}" for value in values]
    rows.append("NORMALS normal double")
    rows += [f"{x:.6g} {y:.6g} {z:.6g}" for x, y, z in b.normal.tolist()]
    return "\n".join(rows) + "\n"


def _middle(line: Floats) -> Floats:
    """The point halfway along a polyline."""
    run = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    return np.array([np.interp(run[-1] / 2, run, values) for values in line.T])


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@")):
        return "'" + value  # a spreadsheet would take a phase of such a name for a formula
    return "" if value is None else value
