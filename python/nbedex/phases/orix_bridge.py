"""Our phases as orix's, with the right symmetry.

orix 0.15 derives the point group from the space group number alone, in one fixed setting: monoclinic
2-folds lie along z, trigonal ones along x, three-fold axes of rhombohedral cells along z. For C2/c with
unique axis b that makes misorientations wrong by up to 117 degrees.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import gemmi
import numpy as np

from nbedex.phases.phase import USER_COLOURS, Phase, nearest_rotations, quaternions

if TYPE_CHECKING:
    from orix.crystal_map import Phase as OrixPhase
    from orix.quaternion import Symmetry

log = logging.getLogger(__name__)

# Point groups that orix names in another order of axes than International Tables.
_ORIX_NAMES = {"-4m2": "-42m", "-62m": "-6m2"}


def to_orix(phase: Phase) -> OrixPhase:
    """Convert to an :class:`orix.crystal_map.Phase`.

    Its point group is that of the space group's own operations. Where orix would derive another one from
    the space group number (monoclinic with unique axis a or b, P-31m and its like, rhombohedral axes), the
    orix phase carries no space group, because orix lets that number override the point group. Then
    `CrystalMap`, `Orientation` and `Misorientation` use our operators; but orix's HDF5 file stores only
    the name of a point group, so it comes back from such a file as orix's own.

    The structure holds every atom of the unit cell. diffpy's lattice is left in diffpy's own alignment;
    orix realigns it to e1 || a, e3 || c*, and diffsims reckons with exactly that: a lattice aligned
    beforehand would give wrong structure factors without a message.

    Parameters
    ----------
    phase
        The phase to convert.

    Returns
    -------
    orix.crystal_map.Phase
        With name, colour, structure and symmetry.
    """
    from diffpy.structure import Atom, Lattice, Structure
    from orix.crystal_map import Phase as OrixPhase
    from orix.quaternion.symmetry import get_point_group

    atoms = [
        Atom(element, xyz=xyz, occupancy=float(occupancy), Uisoequiv=float(u))
        for element, xyz, occupancy, u in zip(
            phase.elements, phase.positions, phase.occupancies, phase.u_iso, strict=True
        )
    ]
    colour = _orix_colour(phase.colour)
    structure = Structure(atoms=atoms, lattice=Lattice(*phase.cell), title=phase.name)
    ours = _point_group(phase)
    if phase.space_group and _same_operators(ours, get_point_group(phase.space_group)):
        return OrixPhase(phase.name, space_group=phase.space_group, structure=structure, color=colour)
    log.debug("%s: orix gets the point group without the space group, its own would be wrong", phase.name)
    return OrixPhase(phase.name, point_group=ours, structure=structure, color=colour)


def _point_group(phase: Phase) -> Symmetry:
    """The crystal's point group as an orix Symmetry, under the name that orix has for its class."""
    from orix.quaternion import Symmetry

    fractional = phase.space_group_operations.point_rotations()
    basis = phase.direct_basis
    matrices = basis @ fractional @ np.linalg.inv(basis)
    improper = np.linalg.det(matrices) < 0
    matrices[improper] *= -1
    group = Symmetry(quaternions(nearest_rotations(matrices)))
    group.improper = improper
    if phase.space_group:
        name = gemmi.find_spacegroup_by_number(phase.space_group).point_group_hm()
        group.name = _ORIX_NAMES.get(name, name)
    else:
        group.name = phase.laue_class
    return group


def _orix_colour(colour: str) -> str:
    """`colour`, or the nearest one that orix takes: it only knows Matplotlib's named colours."""
    from orix.crystal_map import Phase as OrixPhase

    try:
        OrixPhase(color=colour)
    except (KeyError, ValueError):
        if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
            return USER_COLOURS[-1]
        wanted = np.array(list(bytes.fromhex(colour[1:])), dtype=float)
        palette = np.array([list(bytes.fromhex(c[1:])) for c in USER_COLOURS], dtype=float)
        return USER_COLOURS[int(np.argmin(np.linalg.norm(palette - wanted, axis=1)))]
    return colour


def _same_operators(one: Symmetry, other: Symmetry) -> bool:
    """Whether two groups hold the same operators, whatever their order."""
    if one.size != other.size:
        return False
    dots = np.abs(np.asarray(one.data) @ np.asarray(other.data).T)
    same = (dots > 1 - 1e-6) & (np.asarray(one.improper)[:, None] == np.asarray(other.improper))
    return bool(np.all(same.any(axis=1)))
