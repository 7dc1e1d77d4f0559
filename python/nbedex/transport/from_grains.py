"""Regions of a grain map, or of a label image with a table, for the current."""

from __future__ import annotations

import csv
import os

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.grains import GrainMap, Role
from nbedex.transport.conductivity import planar_rows
from nbedex.transport.regions import RegionMap

_COLUMNS = ("label", "phase", "normal_x", "normal_y", "normal_z")


def regions_of(grain_map: GrainMap) -> RegionMap:
    """Regions of a grain map with their conduction planes and roles.

    Raises
    ------
    ArgumentError
        If the step of the map is not known, since boundaries have a width in nm.
    """
    source, grains = grain_map.source, grain_map.grains
    if not source.step_known:
        raise ArgumentError("the map does not say its step, which the current needs; give it in nm when making grains")
    phases = [source.phases[i] if i >= 0 else None for i in grains.phase_id.tolist()]
    hole = grains.role == Role.HOLE
    return RegionMap(
        region=np.where(hole[grain_map.grain_id], -1, grain_map.grain_id),
        step=source.step,
        role=grains.role,
        phase=tuple("not indexed" if phase is None else phase.name for phase in phases),
        normal=grains.conduction_normal,
        conducts_sodium=np.array([phase is not None and phase.conducts_sodium for phase in phases]),
        orientation_error_deg=grains.orientation_error_deg,
    )


def regions_from_table(
    labels: NDArray[np.integer], table: str | os.PathLike[str], *, step: tuple[float, float]
) -> RegionMap:
    """Regions of a label image with a CSV table of what they are.

    Parameters
    ----------
    labels
        (ny, nx) whole numbers; negative ones are holes.
    table
        CSV with a header and the columns label, phase, normal_x, normal_y, normal_z, and if wanted role (a name of
        `Role` in small letters, "grain" by default) and error_deg. Normals are those of the conduction planes in the
        sample frame, of any length; empty for a phase without planes.
    step
        (dy, dx) in nm.

    Raises
    ------
    ArgumentError
        No such table, or labels that it doesn't hold.
    DataFormatError
        The table can't be understood.
    """
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise ArgumentError(f"expected an image of whole numbers, got {labels.dtype} of shape {labels.shape}")
    rows = _rows(table)
    wanted = np.unique(labels[labels >= 0])
    lacking = sorted(set(wanted.tolist()) - set(rows))
    if lacking:
        raise ArgumentError(f"{os.fspath(table)} has no row for label {lacking[0]}, which the image holds")
    names = sorted(rows)
    index = np.full(max(names, default=0) + 2, -1)
    index[names] = np.arange(len(names))
    normal = np.array([rows[name][1] for name in names], dtype=np.float64).reshape(-1, 3)
    role = np.array([rows[name][2] for name in names], dtype=np.int8)
    return RegionMap(
        region=np.where(labels >= 0, index[np.maximum(labels, 0)], -1),
        step=step,
        role=role,
        phase=tuple(rows[name][0] for name in names),
        normal=normal,
        conducts_sodium=planar_rows(normal),
        orientation_error_deg=np.array([rows[name][3] for name in names], dtype=np.float64),
    )


def _rows(table: str | os.PathLike[str]) -> dict[int, tuple[str, list[float], int, float]]:
    """Phase, normal, role and error by label."""
    name = os.fspath(table)
    try:
        with open(table, encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = reader.fieldnames or []
            lines = list(reader)
    except FileNotFoundError:
        raise ArgumentError(f"expected a table of regions, found no file at {name}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataFormatError(f"{name} can't be read as CSV: {error}") from None
    lacking = [column for column in _COLUMNS if column not in columns]
    if lacking:
        raise DataFormatError(f"{name}: expected the columns {', '.join(_COLUMNS)}; {', '.join(lacking)} not there")
    rows: dict[int, tuple[str, list[float], int, float]] = {}
    for number, line in enumerate(lines, start=2):
        try:
            label = int(line["label"])
            texts = [(line[column] or "").strip() for column in _COLUMNS[2:]]
            normal = [float(text) if text else np.nan for text in texts]
            role = Role[(line.get("role") or "grain").strip().upper()]
            sigma = float(line.get("error_deg") or 0.0)
        except (ValueError, KeyError, TypeError) as problem:
            raise DataFormatError(f"{name}, line {number}: can't be understood ({problem})") from None
        length = float(np.linalg.norm(normal))
        if label < 0 or label in rows or not (np.isnan(normal).all() or (np.isfinite(length) and length > 0)):
            raise DataFormatError(f"{name}, line {number}: expected a new label and three numbers of a normal, or none")
        rows[label] = (line["phase"] or "", [part / length for part in normal], int(role), sigma)
    return rows
