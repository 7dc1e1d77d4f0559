"""A GrainMap in a file, and its grains as a table. The schema of the file is in docs/grains.md."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.grains.model import GrainMap, Grains, MapPhase, OrientationMap, Role
from nbedex.grains.store import Group, read_groups, write_groups

_MAP_ARRAYS = ("phase_id", "orientation", "confidence", "hole")
_GRAIN_ARRAYS = tuple(f.name for f in fields(Grains))
_TYPES = {"role": "int8", "phase_id": "int16", "n_pixels": "int64", "n_absorbed": "int64", "bounds": "int64",
          "touches_edge": "bool"}  # fmt: skip
_WIDTHS = {"orientation": 4, "centroid": 2, "ellipse_axes": 2, "bounds": 4, "conduction_normal": 3}


def write_grain_map(
    path: str | os.PathLike[str],
    grain_map: GrainMap,
    *,
    more: Mapping[str, Group] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a grain map, with further groups that later steps add, into one HDF5 file.

    The map it was made from is in the file, but not the pixels' rival solutions: those stay in the result of indexing.

    Parameters
    ----------
    path
        The file to write.
    grain_map
        What to write.
    more
        Further groups by name.
    overwrite
        Whether a file that is already there may be replaced.

    Raises
    ------
    ArgumentError
        If a further group has the name of one of the grain map's.
    OutputError
        If the file exists and `overwrite` is not given, or it can't be written. Nothing is left behind then.
    """
    groups = grain_groups(grain_map)
    taken = sorted(set(groups) & set(more or {}))
    if taken:
        raise ArgumentError(f"the group {taken[0]!r} is the grain map's own")
    return write_groups(path, {**groups, **(more or {})}, overwrite=overwrite)


def read_grain_map(path: str | os.PathLike[str]) -> GrainMap:
    """Read what `write_grain_map` wrote.

    Raises
    ------
    ArgumentError
        If there is no such file.
    DataFormatError
        If it is no grain file, of another version, damaged or inconsistent.
    """
    groups = read_groups(path, ("map", "grains"))
    try:
        return _grain_map(groups["map"], groups["grains"])
    except (KeyError, TypeError, ValueError, ArgumentError, IndexError, OverflowError) as error:
        raise DataFormatError(f"{os.fspath(path)} holds values that don't fit together: {error}") from error


def grain_groups(grain_map: GrainMap) -> dict[str, Group]:
    """The groups of a grain file that hold the grain map: "map" and "grains"."""
    source = grain_map.source
    arrays = {name: getattr(source, name) for name in _MAP_ARRAYS if getattr(source, name) is not None}
    return {
        "map": Group(
            arrays=arrays,
            texts={
                "phases": [_phase_to_dict(phase) for phase in source.phases],
                "step": {"y": source.step[0], "x": source.step[1], "known": source.step_known},
                "origin": source.origin,
            },
        ),
        "grains": Group(
            arrays={
                "grain_id": grain_map.grain_id,
                "absorbed": grain_map.absorbed,
                "neighbours": grain_map.neighbours,
                **{f"grain_{name}": getattr(grain_map.grains, name) for name in _GRAIN_ARRAYS},
            },
            texts={"settings": grain_map.settings},
        ),
    }


def _phase_to_dict(phase: MapPhase) -> dict[str, Any]:
    return {**asdict(phase), "role": phase.role.name}


def _phase_from_dict(values: Mapping[str, Any]) -> MapPhase:
    known = {f.name for f in fields(MapPhase)}
    if set(values) != known:
        raise ArgumentError(f"a phase must have the entries {sorted(known)}, got {sorted(values)}")

    def array(name: str, *shape: int) -> NDArray[np.float64] | None:
        if values[name] is None:
            return None
        found = np.array(values[name], dtype=np.float64)
        if found.ndim != len(shape) or any(n not in (m, -1) for m, n in zip(found.shape, shape, strict=True)):
            raise ArgumentError(f"{name} of a phase must have the shape {shape}, got {found.shape}")
        return found

    symmetry = array("symmetry", -1, 4)
    if symmetry is None or len(symmetry) == 0:
        raise ArgumentError("a phase must have symmetry operators, got none")
    return MapPhase(
        name=str(values["name"]),
        laue_class=str(values["laue_class"]),
        symmetry=symmetry,
        direct_basis=array("direct_basis", 3, 3),
        centring=str(values["centring"]),
        conduction_normal=array("conduction_normal", 3),
        conducts_sodium=bool(values["conducts_sodium"]),
        role=Role[values["role"]],
        colour=str(values["colour"]),
    )


def _grain_map(source: Group, grains: Group) -> GrainMap:
    phases = tuple(_phase_from_dict(values) for values in source.texts["phases"])
    phase_id = _array(source.arrays["phase_id"], "phase_id", "int16", (None, None))
    shape = phase_id.shape
    step = source.texts["step"]
    if not min(step["y"], step["x"]) > 0:
        raise ArgumentError(f"step must be positive, got {step}")
    region = _array(grains.arrays["grain_id"], "grain_id", "int32", shape)
    n = len(grains.arrays["grain_role"])
    _check_range("phase_id", phase_id, -1, len(phases))
    _check_range("grain_id", region, 0, n)
    columns = {
        name: _array(
            grains.arrays[f"grain_{name}"],
            name,
            _TYPES.get(name, "float64"),
            (n, _WIDTHS[name]) if name in _WIDTHS else (n,),
        )
        for name in _GRAIN_ARRAYS
    }
    _check_range("the grains' phase_id", columns["phase_id"], -1, len(phases))
    _check_range("role", columns["role"], 0, len(Role))
    pairs = _array(grains.arrays["neighbours"], "neighbours", "int32", (None, 2))
    _check_range("neighbours", pairs, 0, n)
    more = {name: source.arrays[name] for name in ("confidence", "hole") if name in source.arrays}
    for name, dtype in (("confidence", "float32"), ("hole", "bool")):
        if name in more:
            _array(more[name], name, dtype, shape)
    return GrainMap(
        source=OrientationMap(
            phases=phases,
            phase_id=phase_id,
            orientation=_array(source.arrays["orientation"], "orientation", "float64", (*shape, 4)),
            step=(float(step["y"]), float(step["x"])),
            step_known=bool(step["known"]),
            origin=dict(source.texts["origin"]),
            confidence=more.get("confidence"),
            hole=more.get("hole"),
        ),
        grain_id=region,
        grains=Grains(**columns),
        neighbours=pairs,
        absorbed=_array(grains.arrays["absorbed"], "absorbed", "bool", shape),
        settings=dict(grains.texts["settings"]),
    )


def _array(array: NDArray[Any], name: str, dtype: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
    fits = array.ndim == len(shape) and all(n in (None, m) for m, n in zip(array.shape, shape, strict=True))
    if not fits or array.dtype != np.dtype(dtype) or (shape == (None, None) and array.size == 0):
        wanted = tuple("any" if n is None else n for n in shape)
        raise ArgumentError(f"{name} must be {dtype} of shape {wanted}, got {array.dtype} of shape {array.shape}")
    return array


def _check_range(name: str, array: NDArray[Any], least: int, below: int) -> None:
    if array.size and not (array.min() >= least and array.max() < below):
        raise ArgumentError(f"{name} must lie between {least} and {below - 1}, got {array.min()} to {array.max()}")
