"""A phase: everything that indexing and the steps after it need to know about a crystal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.phases import cell as cell_of
from nbedex.phases.cell import Cell
from nbedex.phases.rotations import nearest_rotations, quaternions
from nbedex.phases.symmetry import Operations, operations_from_triplets
from nbedex.phases.unit_cell import Sites

if TYPE_CHECKING:
    from orix.crystal_map import Phase as OrixPhase

_DICT_VERSION = 1
# For phases of the user's own; none of them is used in templates/phases.toml. Named colours of Matplotlib
# (after Okabe & Ito's scheme), since orix takes no others.
USER_COLOURS = (
    "#f2ab15",
    "#7bc8f6",
    "#10a674",
    "#cd5909",
    "#d1768f",
    "#1f77b4",
    "#ddd618",
    "#7f7f7f",
)
_CRYSTAL_SYSTEMS = {
    "-1": "triclinic",
    "2/m": "monoclinic",
    "mmm": "orthorhombic",
    "4/m": "tetragonal",
    "4/mmm": "tetragonal",
    "-3": "trigonal",
    "-3m": "trigonal",
    "6/m": "hexagonal",
    "6/mmm": "hexagonal",
    "m-3": "cubic",
    "m-3m": "cubic",
}


@dataclass(frozen=True, eq=False)
class Phase:
    """A crystal structure with its symmetry, and what nbedex knows about its conduction.

    Vectors are in the crystal frame, e1 || a, e3 || c*, e2 = e3 x e1; lengths in angstrom, reciprocal
    lengths 1/d in 1/angstrom without 2 pi.

    Attributes
    ----------
    name
        Identifier, for example ``"beta2-alumina"``, or the stem of the CIF's name.
    title
        Name for people.
    cell
        a, b, c in angstrom, alpha, beta, gamma in degrees.
    space_group
        Number in International Tables; 0 where the operations are in a setting without a tabulated name and
        the file gives no number.
    space_group_name
        Hermann-Mauguin name with setting.
    laue_class
        One of -1, 2/m, mmm, 4/m, 4/mmm, -3, -3m, 6/m, 6/mmm, m-3, m-3m.
    elements
        Element of every atom of the unit cell; the species of a shared site count one by one.
    positions
        Fractional coordinates (n, 3), float64, in [0, 1).
    occupancies
        Share of the site that each atom fills (n,), float64, in (0, 1].
    u_iso
        Mean square displacements (n,), float64, angstrom^2.
    operations
        Symmetry operations of the space group as x,y,z triplets, identity first.
    symmetry_rotations
        Proper rotations of the Laue group, float64 (m, 3, 3), acting on vectors of the crystal frame,
        identity first. Taken from `operations`, so they are right in every setting.
    conduction_plane
        Miller indices of the planes along which sodium moves, or None.
    conducts_sodium
        Whether the phase is an Na+ conductor.
    colour
        Hex colour for maps.
    source
        Where the structure comes from, one line.
    role
        ``"electrolyte"``, ``"electrode"``, ``"inclusion"``... or ``"user"``.
    cif_text
        Text of the CIF.
    sha256
        Hash of everything that influences a simulation: cell, atoms, operations. Equal on all machines.
    notes
        What was assumed or corrected while reading the CIF.
    """

    name: str
    title: str
    cell: Cell
    space_group: int
    space_group_name: str
    laue_class: str
    elements: tuple[str, ...]
    positions: NDArray[np.float64]
    occupancies: NDArray[np.float64]
    u_iso: NDArray[np.float64]
    operations: tuple[str, ...]
    symmetry_rotations: NDArray[np.float64]
    conduction_plane: tuple[int, int, int] | None
    conducts_sodium: bool
    colour: str
    source: str
    role: str
    cif_text: str = field(repr=False)
    sha256: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for array in (self.positions, self.occupancies, self.u_iso, self.symmetry_rotations):
            array.setflags(write=False)
        plane = self.conduction_plane
        if plane is not None and (len(plane) != 3 or not any(plane)):
            raise ArgumentError(f"conduction_plane must be three Miller indices, not all 0, got {plane!r}")

    def __repr__(self) -> str:
        lengths = ", ".join(f"{v:g}" for v in self.cell)
        return f"<Phase {self.name}: {self.space_group_name} ({self.space_group}), cell {lengths}>"

    @classmethod
    def build(
        cls,
        *,
        name: str,
        title: str,
        cell: Cell,
        space_group: tuple[int, str],
        operations: Operations,
        atoms: Sites,
        description: PhaseDescription,
        cif_text: str,
        notes: tuple[str, ...] = (),
    ) -> Phase:
        """Make a phase from a read structure; fills in what follows from it.

        Parameters
        ----------
        name, title
            Identifier, and name for people.
        cell
            Unit cell, which must have the symmetry of `operations`.
        space_group
            Number and Hermann-Mauguin name.
        operations
            Symmetry operations.
        atoms
            Every atom of the unit cell.
        description
            What the crystal structure doesn't say.
        cif_text
            Text of the CIF.
        notes
            Remarks of the reader.
        """
        basis = cell_of.direct_basis(cell)
        rotations = basis @ operations.laue_rotations() @ np.linalg.inv(basis)
        return cls(
            name=name,
            title=title,
            cell=cell,
            space_group=space_group[0],
            space_group_name=space_group[1],
            laue_class=operations.laue_class(),
            elements=atoms.elements,
            positions=np.array(atoms.positions, dtype=np.float64),
            occupancies=np.array(atoms.occupancies, dtype=np.float64),
            u_iso=np.array(atoms.u_iso, dtype=np.float64),
            operations=operations.triplets(),
            symmetry_rotations=nearest_rotations(rotations),
            conduction_plane=description.conduction_plane,
            conducts_sodium=description.conducts_sodium,
            colour=description.colour,
            source=description.source,
            role=description.role,
            cif_text=cif_text,
            sha256=_fingerprint(cell, atoms, operations),
            notes=notes,
        )

    @cached_property
    def direct_basis(self) -> NDArray[np.float64]:
        """Matrix (3, 3) with columns a, b, c in the crystal frame, angstrom."""
        return _read_only(cell_of.direct_basis(self.cell))

    @cached_property
    def reciprocal_basis(self) -> NDArray[np.float64]:
        """Matrix (3, 3) with columns a*, b*, c*, so that g = reciprocal_basis @ hkl in 1/angstrom."""
        return _read_only(cell_of.reciprocal_basis(self.cell))

    @property
    def volume(self) -> float:
        """Volume of the unit cell, angstrom^3."""
        return float(np.linalg.det(self.direct_basis))

    @property
    def crystal_system(self) -> str:
        """Crystal system; both trigonal and rhombohedral count as trigonal."""
        return _CRYSTAL_SYSTEMS[self.laue_class]

    @cached_property
    def laue_operators(self) -> NDArray[np.float64]:
        """The whole Laue group, float64 (2m, 3, 3): the proper rotations, then each with inversion."""
        return _read_only(np.concatenate([self.symmetry_rotations, -self.symmetry_rotations]))

    @cached_property
    def symmetry_quaternions(self) -> NDArray[np.float64]:
        """`symmetry_rotations` as unit quaternions (m, 4), scalar first and not negative.

        A quaternion (w, x, y, z) stands for the matrix R with v' = R v, so that it turns vectors actively,
        as `orix.quaternion.Rotation * Vector3d` does.
        """
        return _read_only(quaternions(self.symmetry_rotations))

    @cached_property
    def space_group_operations(self) -> Operations:
        """The symmetry operations as integer arrays."""
        return operations_from_triplets(self.operations, self.name)

    @property
    def conduction_normal(self) -> NDArray[np.float64] | None:
        """Unit normal (3,) of the conduction planes in the crystal frame, None where there are none."""
        if self.conduction_plane is None:
            return None
        normal = self.reciprocal_basis @ np.array(self.conduction_plane, dtype=np.float64)
        return np.asarray(normal / np.linalg.norm(normal))

    def d_spacing(self, hkl: ArrayLike) -> NDArray[np.float64]:
        """Lattice spacing of reflections.

        Parameters
        ----------
        hkl
            Miller indices (..., 3).

        Returns
        -------
        ndarray
            Spacings (...), angstrom.
        """
        indices = np.asarray(hkl, dtype=np.float64)
        if indices.ndim < 1 or indices.shape[-1] != 3:
            raise ArgumentError(f"hkl must have shape (..., 3), got {indices.shape}")
        if not np.all(np.any(indices != 0, axis=-1)):
            raise ArgumentError("hkl (0, 0, 0) has no spacing")
        return np.asarray(1.0 / np.linalg.norm(indices @ self.reciprocal_basis.T, axis=-1))

    def to_orix(self) -> OrixPhase:
        """This phase as an :class:`orix.crystal_map.Phase`, with symmetry operators that are ours.

        See `nbedex.phases.orix_bridge.to_orix`.
        """
        from nbedex.phases.orix_bridge import to_orix

        return to_orix(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold, from which `from_dict` restores the phase without its CIF."""
        return {
            "version": _DICT_VERSION,
            "name": self.name,
            "title": self.title,
            "cell": list(self.cell),
            "space_group": self.space_group,
            "space_group_name": self.space_group_name,
            "elements": list(self.elements),
            "positions": self.positions.tolist(),
            "occupancies": self.occupancies.tolist(),
            "u_iso": self.u_iso.tolist(),
            "operations": list(self.operations),
            "conduction_plane": None if self.conduction_plane is None else list(self.conduction_plane),
            "conducts_sodium": self.conducts_sodium,
            "colour": self.colour,
            "source": self.source,
            "role": self.role,
            "cif_text": self.cif_text,
            "sha256": self.sha256,
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, where: str = "phase") -> Phase:
        """Restore a phase from `to_dict`; `where` names the source in messages.

        Raises
        ------
        DataFormatError
            If something is missing or damaged: the hash of what was stored must come out the same.
        """
        try:
            if values["version"] != _DICT_VERSION:
                raise DataFormatError(
                    f"{where}: stored phase has version {values['version']!r}, this nbedex reads {_DICT_VERSION}"
                )
            atoms = Sites(
                tuple(str(e) for e in values["elements"]),
                tuple(str(e) for e in values["elements"]),
                np.array(values["positions"], dtype=np.float64).reshape(-1, 3),
                np.array(values["occupancies"], dtype=np.float64),
                np.array(values["u_iso"], dtype=np.float64),
            )
            plane = values["conduction_plane"]
            phase = cls.build(
                name=str(values["name"]),
                title=str(values["title"]),
                cell=cell_of.check_cell(values["cell"], where),
                space_group=(int(values["space_group"]), str(values["space_group_name"])),
                operations=operations_from_triplets([str(t) for t in values["operations"]], where),
                atoms=atoms,
                description=PhaseDescription(
                    conduction_plane=None if plane is None else (int(plane[0]), int(plane[1]), int(plane[2])),
                    conducts_sodium=bool(values["conducts_sodium"]),
                    colour=str(values["colour"]),
                    source=str(values["source"]),
                    role=str(values["role"]),
                ),
                cif_text=str(values["cif_text"]),
                notes=tuple(str(n) for n in values["notes"]),
            )
            stored = values["sha256"]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataFormatError(f"{where}: a stored phase is damaged ({type(error).__name__}: {error})") from None
        if phase.sha256 != stored:
            raise DataFormatError(f"{where}: stored phase {phase.name!r} is damaged (its hash doesn't match)")
        return phase


@dataclass(frozen=True, kw_only=True)
class PhaseDescription:
    """What a crystal structure doesn't say about a phase; see `Phase` for the fields."""

    conduction_plane: tuple[int, int, int] | None
    conducts_sodium: bool
    colour: str
    source: str
    role: str


def _fingerprint(cell: Sequence[float], atoms: Sites, operations: Operations) -> str:
    """SHA-256 of cell, atoms and operations, rounded to 1e-8 so that the last bit of a float can't matter."""

    def rounded(values: ArrayLike) -> Any:
        return np.rint(np.asarray(values, dtype=np.float64) * 1e8).astype(np.int64).tolist()

    content = {
        "cell": rounded(cell),
        "elements": list(atoms.elements),
        "positions": rounded(atoms.positions),
        "occupancies": rounded(atoms.occupancies),
        "u_iso": rounded(atoms.u_iso),
        "operations": sorted(operations.triplets()),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read_only(array: NDArray[np.float64]) -> NDArray[np.float64]:
    array.setflags(write=False)
    return array
