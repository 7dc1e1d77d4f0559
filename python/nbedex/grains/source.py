"""Orientation maps to find grains in: from our results, from orix, and from files of other programs."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.grains.answer import stored_answers
from nbedex.grains.foreign_phase import foreign_phase
from nbedex.grains.model import MapPhase, OrientationMap, Role
from nbedex.maps import IndexingResult, Status, canonical, multiply, read_crystal_map, read_result
from nbedex.maps.channel_frame import channel_to_ours
from nbedex.maps.foreign import is_ours
from nbedex.phases import Phase

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap

log = logging.getLogger(__name__)

_TO_NM = {"nm": 1.0, "um": 1e3, "µm": 1e3, "mm": 1e6, "a": 0.1, "å": 0.1, "angstrom": 0.1}
# properties that hold a confidence between 0 and 1, best known first: ours, ASTAR's .ang, OIM's
_CONFIDENCES = ("confidence", "probability", "correlation", "rel", "ci")


def orientation_map(result: IndexingResult, *, hole: NDArray[np.bool_] | None = None) -> OrientationMap:
    """What grain work needs of a result of ours.

    Parameters
    ----------
    result
        What indexing found. The probability is the confidence; where it isn't known for every indexed pixel, the index
        (a correlation, negative ones as 0).
    hole
        (ny, nx), True where there is no specimen. None: where a pattern had too little signal to be indexed.
    """
    if hole is None:
        hole = np.asarray(result.status == Status.LOW_SIGNAL)
    elif hole.shape != result.shape or hole.dtype != np.bool_:
        raise ArgumentError(f"hole must be bool of shape {result.shape}, got {hole.dtype} of shape {hole.shape}")
    known = bool(np.isfinite(result.probability[result.indexed]).all())
    confidence = result.probability if known else np.clip(result.index, 0.0, 1.0)
    return OrientationMap(
        phases=tuple(MapPhase.of(phase) for phase in result.phases),
        phase_id=np.where(hole, -1, result.phase_id).astype(np.int16),
        orientation=np.where(hole[..., None], np.nan, result.orientation),
        step=result.calibration.step or (1.0, 1.0),
        step_known=result.calibration.step is not None,
        confidence=np.where(result.indexed, confidence, np.nan).astype(np.float32),
        hole=hole,
        rival_orientation=result.rival_orientation,
        rival_phase_id=result.rival_phase_id,
        rival_score=result.rival_score,
        answers=stored_answers(result.provenance),
        origin={"program": "nbedex", "indexing": result.provenance},
    )


def from_crystal_map(
    crystal_map: CrystalMap,
    *,
    phases: Mapping[str, Phase] | None = None,
    confidence: str | None = None,
    step: tuple[float, float] | None = None,
    hole: NDArray[np.bool_] | None = None,
) -> OrientationMap:
    """What grain work needs of an orix CrystalMap.

    Parameters
    ----------
    crystal_map
        One- or two-dimensional; of several rotations per point the first counts. Points that are not in its data
        or have no phase are not indexed.
    phases
        Which phase of ours a name in the map stands for. A phase that isn't named takes its symmetry from its point
        group and cell, conducts nothing and has no conduction planes.
    confidence
        Property with a confidence between 0 and 1. None: the first there is of "confidence", "probability" and
        "correlation" (ours), "rel" (ASTAR) and "ci" (OIM).
    step
        (Y, X) in nm, instead of the map's own, or where it has none.
    hole
        (ny, nx), True where there is no specimen.

    Raises
    ------
    ArgumentError
        If the map is three-dimensional or empty, or a phase, property, step or mask doesn't fit it.
    """
    shape = tuple(int(n) for n in crystal_map.shape)
    if len(shape) == 1:
        shape = (1, *shape) if crystal_map._coordinate_axes.get(0) == "x" else (*shape, 1)
    if len(shape) != 2 or 0 in shape:
        raise ArgumentError(f"expected a map of rows and columns, got one of shape {crystal_map.shape}")
    place = (np.asarray(crystal_map.row), np.asarray(crystal_map.col))
    wanted, numbers = _phases(crystal_map, phases or {})
    phase_id = np.full(shape, -1, dtype=np.int16)
    phase_id[place] = numbers[np.asarray(crystal_map.phase_id) - crystal_map.phases.ids[0]]
    quaternion = np.asarray(crystal_map.rotations.data, dtype=np.float64)
    orientation = np.full((*shape, 4), np.nan)
    orientation[place] = canonical(quaternion.reshape(len(quaternion), -1, 4)[:, 0])
    phase_id[~np.isfinite(orientation).all(axis=-1)] = -1
    if hole is not None:
        if hole.shape != shape or hole.dtype != np.bool_:
            raise ArgumentError(f"hole must be bool of shape {shape}, got {hole.dtype} of shape {hole.shape}")
        phase_id[hole] = -1
    orientation[phase_id < 0] = np.nan
    known_step = _step(crystal_map, step)
    return OrientationMap(
        phases=wanted,
        phase_id=phase_id,
        orientation=orientation,
        step=known_step or (1.0, 1.0),
        step_known=known_step is not None,
        confidence=_confidence(crystal_map, confidence, shape, place),
        hole=hole,
        origin={"program": "orix CrystalMap", "scan_unit": str(crystal_map.scan_unit)},
    )


def read_orientation_map(
    path: str | os.PathLike[str],
    *,
    phases: Mapping[str, Phase] | None = None,
    confidence: str | None = None,
    step: tuple[float, float] | None = None,
    hole: NDArray[np.bool_] | None = None,
) -> OrientationMap:
    """Read a result of ours, an orix .h5, .ang or .ctf file; parameters as in `from_crystal_map`.

    Orientations of a .ctf file refer to a crystal frame with X || a*, Y || b (`nbedex.maps.channel_frame`); they are
    turned into ours, X || a, Z || c*, which is a difference of 30 degrees for hexagonal and trigonal phases.

    Raises
    ------
    ArgumentError
        If there is no such file, or an option doesn't fit it; a result of ours needs no phases and no confidence.
    DataFormatError
        If the file is damaged or not what its name says.
    """
    if os.path.isfile(path) and is_ours(path):
        if phases or confidence or step:
            raise ArgumentError(f"{os.fspath(path)} is a result of nbedex: phases, confidence and step are in it")
        source = orientation_map(read_result(path), hole=hole)
    else:
        crystal_map = read_crystal_map(path)
        source = from_crystal_map(crystal_map, phases=phases, confidence=confidence, step=step, hole=hole)
        if Path(path).suffix.lower() == ".ctf":
            source = _from_channel_frame(source)
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    source.origin.update(file=os.path.basename(os.fspath(path)), sha256=digest)
    return source


def _from_channel_frame(source: OrientationMap) -> OrientationMap:
    """The map with orientations that referred to the frame of Channel files turned into our crystal frame."""
    orientation = source.orientation.copy()
    for number, phase in enumerate(source.phases):
        mine = source.phase_id == number
        if mine.any():
            turn = channel_to_ours(phase.direct_basis, phase.laue_class)
            orientation[mine] = canonical(multiply(turn, orientation[mine]))
    return replace(source, orientation=orientation)


def with_roles(source: OrientationMap, roles: Mapping[str, str]) -> OrientationMap:
    """The map with other roles for some of its phases, by name: "grain", "insulator" or "electrode"."""
    known = {role.name.lower(): role for role in (Role.GRAIN, Role.INSULATOR, Role.ELECTRODE)}
    names = [phase.name for phase in source.phases]
    for name, role in roles.items():
        if name not in names:
            raise ArgumentError(f"the map has no phase {name!r}; it has {', '.join(map(repr, names))}")
        if role not in known:
            raise ArgumentError(f"expected {', '.join(known)} as the role of {name!r}, got {role!r}")
    phases = tuple(replace(p, role=known[roles[p.name]]) if p.name in roles else p for p in source.phases)
    return replace(source, phases=phases)


def _phases(crystal_map: CrystalMap, wanted: Mapping[str, Phase]) -> tuple[tuple[MapPhase, ...], NDArray[np.int16]]:
    """The map's phases, and for every phase id, counted from the smallest, our number of it (-1: not indexed)."""
    ids = [int(i) for i in crystal_map.phases.ids]
    names = [crystal_map.phases[i].name for i in ids if i >= 0]
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        raise ArgumentError(f"the map has no phase {unknown[0]!r}; it has {', '.join(map(repr, names))}")
    numbers = np.full(max(ids) - ids[0] + 1, -1, dtype=np.int16)
    found: list[MapPhase] = []
    for i in ids:
        if i < 0:
            continue
        numbers[i - ids[0]] = len(found)
        phase = crystal_map.phases[i]
        found.append(foreign_phase(phase, wanted.get(phase.name), number=len(found)))
    if not found:
        raise ArgumentError("the map has no phases: nothing in it is indexed")
    return tuple(found), numbers


def _step(crystal_map: CrystalMap, step: tuple[float, float] | None) -> tuple[float, float] | None:
    """(Y, X) in nm, None where the map doesn't say."""
    if step is not None:
        if len(step) != 2 or not all(np.isfinite(step)) or min(step) <= 0:
            raise ArgumentError(f"step must be two positive lengths (Y, X) in nm, got {step!r}")
        return float(step[0]), float(step[1])
    scale = _TO_NM.get(str(crystal_map.scan_unit).strip().lower())
    dy, dx = float(crystal_map.dy), float(crystal_map.dx)
    if scale is None or not max(dy, dx) > 0:
        return None
    # a map of one row or column has a step of 0 across it
    return scale * (dy or dx), scale * (dx or dy)


def _confidence(
    crystal_map: CrystalMap, name: str | None, shape: tuple[int, ...], place: tuple[NDArray[Any], NDArray[Any]]
) -> NDArray[np.float32] | None:
    properties = crystal_map.prop
    if name is None:
        name = next((known for known in _CONFIDENCES if known in properties), None)
        if name is None:
            return None
    elif name not in properties:
        known = ", ".join(sorted(properties)) or "none"
        raise ArgumentError(f"the map has no property {name!r} to take as confidence; it has {known}")
    values = np.asarray(properties[name], dtype=np.float64)
    values = values.reshape(len(values), -1)[:, 0]
    if values.size and np.nanmax(values) > 1 + 1e-6:
        raise ArgumentError(f"a confidence lies between 0 and 1; property {name!r} goes up to {np.nanmax(values):g}")
    confidence = np.full(shape, np.nan, dtype=np.float32)
    confidence[place] = np.clip(values, 0.0, 1.0)
    return confidence
