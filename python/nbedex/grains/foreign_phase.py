"""Phases of maps of other programs: symmetry from the point group and cell in the file, or a phase of ours."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.grains.laue import laue_rotations
from nbedex.grains.model import MapPhase
from nbedex.phases import Phase
from nbedex.phases.cell import Cell, check_cell, direct_basis
from nbedex.phases.phase import USER_COLOURS

log = logging.getLogger(__name__)

_RIGHT = 0.05  # degrees, within which an angle of a cell counts as 90 or 120


def foreign_phase(phase: Any, ours: Phase | None, *, number: int) -> MapPhase:
    """A phase of an orix CrystalMap, with what `ours` knows of it if that is given.

    Parameters
    ----------
    phase
        orix's Phase.
    ours
        Which phase of ours it stands for.
    number
        Its place in the map, for a colour.

    Raises
    ------
    ArgumentError
        If the phase names no point group, or `ours` is of another Laue class.
    """
    laue_class = phase.point_group.laue.name if phase.point_group is not None else None
    if ours is not None:
        if laue_class is not None and laue_class != ours.laue_class:
            raise ArgumentError(
                f"phase {phase.name!r} of the map has the Laue class {laue_class}, {ours.name} has {ours.laue_class};"
                " they can't be the same"
            )
        known = MapPhase.of(ours)
        return MapPhase(**{**vars(known), "name": phase.name})
    if laue_class is None:
        raise ArgumentError(
            f"phase {phase.name!r} of the map names no symmetry; say which phase it is (--phase {phase.name!r}=NAME)"
        )
    cell = _cell(phase)
    space_group = int(phase.space_group.number) if phase.space_group is not None else 0
    rhombohedral = cell is not None and laue_class in ("-3", "-3m") and abs(cell[5] - 120) > _RIGHT
    if rhombohedral:
        raise ArgumentError(
            f"phase {phase.name!r} of the map is trigonal on rhombohedral axes; say which phase it is"
            f" (--phase {phase.name!r}=NAME or a CIF)"
        )
    letter = phase.space_group.short_name[:1] if phase.space_group is not None else "P"
    return MapPhase(
        name=phase.name,
        laue_class=laue_class,
        symmetry=laue_rotations(
            laue_class, unique_axis=_unique_axis(phase.name, laue_class, cell), space_group=space_group
        ),
        direct_basis=None if cell is None else direct_basis(cell).T,
        centring=letter,
        colour=USER_COLOURS[number % len(USER_COLOURS)],
    )


def _cell(phase: Any) -> Cell | None:
    """The unit cell in angstrom, None where the file gives none (orix then has a cube of side 1)."""
    values = np.asarray(phase.structure.lattice.abcABG(), dtype=np.float64)
    if np.allclose(values, (1, 1, 1, 90, 90, 90)):
        return None
    # orix keeps 119.99999999999898
    near = np.abs(values[3:, None] - np.array([90.0, 120.0]))
    values[3:] = np.where(near.min(axis=1) < 1e-6, np.array([90.0, 120.0])[near.argmin(axis=1)], values[3:])
    try:
        return check_cell(values.tolist(), f"phase {phase.name!r} of the map")
    except DataFormatError as error:
        log.warning("%s; its cell is not used", error)
        return None


def _unique_axis(name: str, laue_class: str, cell: Cell | None) -> str:
    """Which axis of a monoclinic cell is the 2-fold one: that of the angle which isn't right; b if all are."""
    if laue_class != "2/m":
        return "b"
    odd = (
        [] if cell is None else [axis for axis, angle in zip("abc", cell[3:], strict=True) if abs(angle - 90) > _RIGHT]
    )
    if len(odd) == 1:
        return odd[0]
    log.warning("phase %s is monoclinic, but its cell doesn't say along which axis; b is taken, as in tables", name)
    return "b"
