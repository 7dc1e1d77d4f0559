"""A BoundaryNetwork in a grain file, as its group "boundaries". The schema is in docs/boundaries.md."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.boundaries.model import Boundaries, BoundaryNetwork
from nbedex.errors import ArgumentError, DataFormatError
from nbedex.grains import GrainMap, Group, read_grain_map, read_groups, write_grain_map

GROUP = "boundaries"
_TYPES = {"grain_a": "int32", "grain_b": "int32", "closed": "bool", "phase_boundary": "bool", "sigma": "int32",
          "twin": "bool"}  # fmt: skip
_WIDTHS = {"normal": 3, "axis": 3}
_COLUMNS = tuple(f.name for f in fields(Boundaries) if f.name not in ("points", "csl_label"))


def boundary_group(network: BoundaryNetwork) -> Group:
    """The network without its grain map, to be stored beside it."""
    b = network.boundaries
    counts = [len(line) for line in b.points]
    return Group(
        arrays={
            **{name: getattr(b, name) for name in _COLUMNS},
            "points": np.concatenate(b.points) if counts else np.zeros((0, 2)),
            "offset": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            "triple_points": network.triple_points,
        },
        texts={"csl_label": list(b.csl_label), "settings": network.settings},
    )


def network_of(grain_map: GrainMap, group: Group) -> BoundaryNetwork:
    """The network that `boundary_group` stored.

    Raises
    ------
    ArgumentError
        If something is missing or doesn't fit the grain map.
    """
    try:
        offset, points = group.arrays["offset"], group.arrays["points"]
        labels = group.texts["csl_label"]
        n = len(offset) - 1
        _check("offset", offset, "int64", (n + 1,))
        _check("points", points, "float64", (len(points), 2))
        if n < 0 or offset[0] != 0 or offset[-1] != len(points) or np.any(np.diff(offset) < 2):
            raise ArgumentError("the boundaries' polylines are cut wrong: offset doesn't fit points")
        columns = {}
        for name in _COLUMNS:
            shape = (n, _WIDTHS[name]) if name in _WIDTHS else (n,)
            columns[name] = _check(name, group.arrays[name], _TYPES.get(name, "float64"), shape)
        triple = _check("triple_points", group.arrays["triple_points"], "float64", (None, 2))
        if not isinstance(labels, list) or len(labels) != n or not all(isinstance(label, str) for label in labels):
            raise ArgumentError(f"csl_label must hold {n} texts")
        settings = dict(group.texts["settings"])
    except KeyError as error:
        raise ArgumentError(f"the boundaries lack {error}") from None
    sides = np.concatenate([columns["grain_a"], columns["grain_b"]])
    if n and not (sides.min() >= 0 and sides.max() < len(grain_map.grains)):
        raise ArgumentError("the boundaries are between grains that the map doesn't have")
    lines = tuple(points[a:b] for a, b in pairwise(offset))
    return BoundaryNetwork(
        grain_map=grain_map,
        boundaries=Boundaries(points=lines, csl_label=tuple(labels), **columns),
        triple_points=triple,
        settings=settings,
    )


def write_network(
    path: str | os.PathLike[str],
    network: BoundaryNetwork,
    *,
    more: Mapping[str, Group] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write grain map and boundaries into one grain file, with further groups.

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is not given, or it can't be written. Nothing is left behind then.
    """
    groups = {**(more or {}), GROUP: boundary_group(network)}
    return write_grain_map(path, network.grain_map, more=groups, overwrite=overwrite)


def read_network(path: str | os.PathLike[str]) -> BoundaryNetwork:
    """Read what `write_network` wrote, other groups of the file apart.

    Raises
    ------
    ArgumentError
        If there is no such file, or it has no boundaries yet.
    DataFormatError
        If it is no grain file, damaged or inconsistent.
    """
    grain_map = read_grain_map(path)
    group = read_groups(path, (GROUP,)).get(GROUP)
    if group is None:
        raise ArgumentError(f"{os.fspath(path)} has no boundaries yet; trace them with `nbedex boundaries`")
    try:
        return network_of(grain_map, group)
    except (ArgumentError, TypeError, ValueError) as error:
        raise DataFormatError(f"{os.fspath(path)} holds values that don't fit together: {error}") from error


def _check(name: str, array: NDArray[Any], dtype: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
    fits = array.ndim == len(shape) and all(n in (None, m) for m, n in zip(array.shape, shape, strict=True))
    if not fits or array.dtype != np.dtype(dtype):
        wanted = tuple("any" if n is None else n for n in shape)
        raise ArgumentError(f"{name} must be {dtype} of shape {wanted}, got {array.dtype} of shape {array.shape}")
    return array
