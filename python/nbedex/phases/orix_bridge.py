"""Our phases as orix's, with the right symmetry.

orix 0.15 derives the point group from the space group number alone, in one fixed setting: monoclinic
2-folds lie along z, trigonal ones along x, three-fold axes of rhombohedral cells along z. For C2/c with
unique axis b that makes misorientations wrong by up to 117 degrees.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import numpy as np

from nbedex.phases.phase import USER_COLOURS, Phase

if TYPE_CHECKING:
    from orix.crystal_map import Phase as OrixPhase
    from orix.quaternion import Symmetry

log = logging.getLogger(__name__)


def to_orix(phase: Phase) -> OrixPhase:
    """Convert to an :class:`orix.crystal_map.Phase`.

    Its point group is the Laue group, from the space group's own operations: spot patterns can't tell a
    crystal from its inverse, so orientations are known no better. Where orix would derive another group from
    the space group number (crystals without inversion, monoclinic ones with unique axis a or b, P-31m and its
    like, rhombohedral axes), the orix phase carries no space group, because orix lets that number override
    the point group. Then `CrystalMap`, `Orientation` and `Misorientation` use our operators.

    What orix can't do: its HDF5 file stores only the name of a point group, so it comes back from there as
    orix's own; `proper_subgroup`, `fundamental_sector` (colour keys) and Euler regions know no group with a
    three-fold axis off z, or 2/m with its axis along x.

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
    ours = _laue_group(phase)
    if phase.space_group and _same_operators(ours, get_point_group(phase.space_group)):
        return OrixPhase(phase.name, space_group=phase.space_group, structure=structure, color=colour)
    log.debug("%s: orix gets the Laue group without the space group, its own would be wrong", phase.name)
    return OrixPhase(phase.name, point_group=ours, structure=structure, color=colour)


def _laue_group(phase: Phase) -> Symmetry:
    """The crystal's Laue group as an orix Symmetry."""
    from orix.quaternion import Symmetry

    proper = phase.symmetry_quaternions
    group = Symmetry(np.concatenate([proper, proper]))
    group.improper = np.repeat([False, True], len(proper))
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
