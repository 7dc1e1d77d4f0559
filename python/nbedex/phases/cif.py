"""Read a crystal structure from a CIF: symmetry as listed, every number checked.

diffpy.structure (and so orix and diffsims) evaluates CIF text as Python and misreads files in origin
choice 2; this reader does neither. Only gemmi parses, only listed or tabulated operations are applied.
"""

from __future__ import annotations

import logging
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gemmi import cif
from numpy.typing import NDArray

from nbedex.errors import DataFormatError
from nbedex.phases import cif_text as text_of
from nbedex.phases.cell import Cell, check_cell, direct_basis, fit_cell_to_symmetry, reciprocal_basis
from nbedex.phases.composition import check_composition
from nbedex.phases.space_group import Candidate, SymmetryText, candidates
from nbedex.phases.symmetry import Operations
from nbedex.phases.unit_cell import MAX_ATOMS, Sites, expand

log = logging.getLogger(__name__)

DEFAULT_U_ISO = 0.005  # angstrom^2, a stiff solid at room temperature
_LARGEST_U_ISO = 0.5  # angstrom^2, 0.7 angstrom root mean square: more than any atom of a crystal moves


@dataclass(frozen=True, eq=False)
class CrystalStructure:
    """What a CIF says, expanded to the whole unit cell.

    Attributes
    ----------
    title
        Chemical name, or the formula, or the block's name.
    cell
        a, b, c in angstrom, alpha, beta, gamma in degrees.
    number, name
        Space group number (0 if none is known) and Hermann-Mauguin name with setting.
    operations
        Symmetry operations of the space group.
    atoms
        Every atom of the unit cell.
    text
        The file's text.
    notes
        What was assumed or corrected while reading.
    """

    title: str
    cell: Cell
    number: int
    name: str
    operations: Operations
    atoms: Sites
    text: str
    notes: tuple[str, ...]


def read_cif(path: Path) -> CrystalStructure:
    """Read the crystal structure in a CIF.

    Raises
    ------
    ArgumentError
        If there is no such file.
    DataFormatError
        If the file is damaged, incomplete, contradicts itself or describes no possible crystal.
    """
    return parse_cif(text_of.read_text(path), text_of.shown(path))


def parse_cif(text: str, where: str) -> CrystalStructure:
    """Read the crystal structure in the text of a CIF; `where` names it in messages."""
    block = text_of.structure_block(text, where)
    notes: list[str] = []
    cell = _cell(block, where)
    sites = _sites(block, cell, notes, where)
    readings = candidates(_symmetry_text(block, where), alpha=cell[3], gamma=cell[5], where=where)
    formula = text_of.formula_counts(text_of.value(block, ("_chemical_formula_sum", "_chemical_formula.sum")))
    units = _formula_units(block, notes)
    reading, fitted, atoms = _only_possible(readings, cell, sites, formula, units, notes, where)
    if reading.note:
        notes.append(reading.note)
    for note in notes:
        log.warning("%s: %s", where, note)
    return CrystalStructure(
        title=_title(block),
        cell=fitted,
        number=reading.number,
        name=reading.name,
        operations=reading.operations,
        atoms=atoms,
        text=text,
        notes=tuple(notes),
    )


def _only_possible(
    readings: list[Candidate],
    cell: Cell,
    sites: Sites,
    formula: dict[str, float] | None,
    units: float | None,
    notes: list[str],
    where: str,
) -> tuple[Candidate, Cell, Sites]:
    """The one reading of the symmetry that gives a possible crystal of the stated composition."""
    possible: list[tuple[Candidate, Cell, Sites, list[str]]] = []
    failures: list[DataFormatError] = []
    for reading in readings:
        try:
            fitted, deviation = fit_cell_to_symmetry(cell, reading.operations.rotations, where)
            atoms = expand(sites, reading.operations, fitted, where)
            found = check_composition(atoms.elements, atoms.occupancies, formula, units, where)
        except DataFormatError as error:
            failures.append(error)
            continue
        if fitted != cell:
            found.append(f"the unit cell was rounded to the symmetry of {reading.name} (it was off by {deviation:.1g})")
        possible.append((reading, fitted, atoms, found))
    if not possible:
        raise failures[0]
    if len(possible) > 1:
        names = " or ".join(repr(entry[0].name) for entry in possible)
        raise DataFormatError(
            f"{where}: the origin choice isn't stated and both readings are possible ({names}); state it in"
            " the space group name or list the symmetry operations"
        )
    reading, fitted, atoms, found = possible[0]
    notes += found
    if len(readings) > 1:
        notes.append(f"the origin choice isn't stated; only {reading.name!r} gives a possible crystal and is used")
    return reading, fitted, atoms


def _cell(block: cif.Block, where: str) -> Cell:
    """Cell of a block; angles default to 90 degrees, as the CIF dictionary says."""
    values = []
    for name in ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"):
        text = text_of.value(block, (f"_cell_{name}", f"_cell.{name}"))
        if not text and name.startswith("length"):
            raise DataFormatError(f"{where}: _cell_{name} is missing")
        values.append(text_of.number(text or "90", f"_cell_{name}", where))
    return check_cell(values, where)


def _symmetry_text(block: cif.Block, where: str) -> SymmetryText:
    """What the block says about symmetry."""
    triplets = text_of.column(
        block,
        (
            "_space_group_symop_operation_xyz",
            "_space_group_symop.operation_xyz",
            "_symmetry_equiv_pos_as_xyz",
            "_symmetry_equiv.pos_as_xyz",
        ),
    )
    if triplets and not all(triplets):
        raise DataFormatError(f"{where}: a symmetry operation is missing from the list ('?' or '.')")
    number = text_of.value(
        block,
        (
            "_space_group_IT_number",
            "_space_group.IT_number",
            "_symmetry_Int_Tables_number",
            "_symmetry.Int_Tables_number",
        ),
    )
    name = text_of.value(
        block,
        (
            "_space_group_name_H-M_alt",
            "_space_group.name_H-M_alt",
            "_symmetry_space_group_name_H-M",
            "_symmetry.space_group_name_H-M",
            "_space_group_name_H-M_full",
            "_space_group.name_H-M_full",
            "_space_group_name_H-M_ref",
            "_space_group.name_H-M_ref",
        ),
    )
    hall = text_of.value(
        block,
        (
            "_space_group_name_Hall",
            "_space_group.name_Hall",
            "_symmetry_space_group_name_Hall",
            "_symmetry.space_group_name_Hall",
        ),
    )
    return SymmetryText(
        triplets=tuple(triplets),
        hall=hall,
        hermann_mauguin=name,
        number=text_of.integer(number, "space group number", where) if number else None,
    )


def _sites(block: cif.Block, cell: Cell, notes: list[str], where: str) -> Sites:
    """The atom sites listed, each with its element, position, occupancy and U_iso."""
    columns = {
        key: text_of.column(block, tuple(tag for name in names for tag in (f"_atom_site_{name}", f"_atom_site.{name}")))
        for key, names in _SITE_COLUMNS.items()
    }
    rows = len(columns["x"])
    if rows > MAX_ATOMS:
        raise DataFormatError(
            f"{where}: {rows} atom sites are listed, at most {MAX_ATOMS} are possible here;"
            " nbedex is made for smaller crystal structures"
        )
    for key in ("y", "z"):
        if len(columns[key]) != rows:
            raise DataFormatError(f"{where}: _atom_site_fract_{key} is missing")
    # Columns that aren't there count as unknown.
    filled = {key: values if len(values) == rows else [""] * rows for key, values in columns.items()}
    keep = [i for i in range(rows) if filled["flag"][i].lower() != "dum"]
    if not keep:
        raise DataFormatError(f"{where}: no atoms are listed")
    labels = [filled["label"][i] or filled["type"][i] or f"atom {i + 1}" for i in keep]
    elements = [text_of.element_of(filled["type"][i], filled["label"][i], where) for i in keep]
    positions = np.array([[_coordinate(filled[k][i], labels[n], where) for k in "xyz"] for n, i in enumerate(keep)])
    occupancies = np.array([_occupancy(filled["occupancy"][i], labels[n], where) for n, i in enumerate(keep)])
    aniso = _anisotropic(block, cell, where)
    u_iso = np.array(
        [_u_iso(filled["u"][i], filled["b"][i], aniso.get(labels[n]), labels[n], where) for n, i in enumerate(keep)]
    )
    return Sites(tuple(labels), tuple(elements), positions, occupancies, _repaired(u_iso, labels, notes))


_SITE_COLUMNS = {
    "label": ("label",),
    "type": ("type_symbol",),
    "x": ("fract_x",),
    "y": ("fract_y",),
    "z": ("fract_z",),
    "occupancy": ("occupancy",),
    "u": ("U_iso_or_equiv",),
    "b": ("B_iso_or_equiv",),
    "flag": ("calc_flag",),
}


def _coordinate(text: str, label: str, where: str) -> float:
    result = text_of.number(text, f"coordinate of atom {label[:40]!r}", where)
    if abs(result) > 100:
        raise DataFormatError(
            f"{where}: fractional coordinate of atom {label[:40]!r} is {result:g}, expected about 0 to 1"
        )
    return result - math.floor(result)


def _occupancy(text: str, label: str, where: str) -> float:
    if not text:
        return 1.0
    result = text_of.number(text, f"occupancy of atom {label[:40]!r}", where)
    # Refined occupancies end up slightly above 1; no more than that.
    if not 0.0 < result <= 1.005:
        raise DataFormatError(f"{where}: occupancy of atom {label[:40]!r} must lie in (0, 1], got {result:g}")
    return min(result, 1.0)


def _u_iso(u_text: str, b_text: str, aniso: float | None, label: str, where: str) -> float:
    """U_iso as given, from B = 8 pi^2 U, or equivalent to an anisotropic one; nan where none is given."""
    if u_text:
        return text_of.number(u_text, f"U_iso of atom {label[:40]!r}", where)
    if b_text:
        return text_of.number(b_text, f"B_iso of atom {label[:40]!r}", where) / (8 * math.pi**2)
    return math.nan if aniso is None else aniso


def _anisotropic(block: cif.Block, cell: Cell, where: str) -> dict[str, float]:
    """Equivalent isotropic U by atom label, U_eq = 1/3 sum_ij U_ij a*_i a*_j (a_i . a_j)."""
    labels = text_of.column(block, ("_atom_site_aniso_label", "_atom_site_aniso.label"))
    if not labels:
        return {}
    direct, reciprocal = direct_basis(cell), reciprocal_basis(cell)
    lengths = np.linalg.norm(reciprocal, axis=0)
    weights: NDArray[np.float64] = (direct.T @ direct) * np.outer(lengths, lengths) / 3.0
    result: dict[str, float] = {}
    for symbol, scale in (("B", 1.0 / (8 * math.pi**2)), ("U", 1.0)):
        table = [
            text_of.column(block, (f"_atom_site_aniso_{symbol}_{ij}", f"_atom_site_aniso.{symbol}_{ij}"))
            for ij in ("11", "22", "33", "12", "13", "23")
        ]
        if not all(len(values) == len(labels) for values in table):
            continue
        for label, *texts in zip(labels, *table, strict=True):
            if all(texts):
                what = f"anisotropic {symbol} of atom {label[:40]!r}"
                u = [scale * text_of.number(t, what, where) for t in texts]
                tensor = np.array([[u[0], u[3], u[4]], [u[3], u[1], u[5]], [u[4], u[5], u[2]]])
                result[label] = float(np.sum(weights * tensor))
    return result


def _repaired(u_iso: NDArray[np.float64], labels: list[str], notes: list[str]) -> NDArray[np.float64]:
    """`u_iso` with impossible values replaced, and a note of each.

    A U above 0.5 angstrom^2 would leave no reflection beyond the first few; it is what programs write that put
    B values, or VESTA's placeholder 1.0, in the column of U. It is read as B.
    """
    large = u_iso > _LARGEST_U_ISO
    read_as_b = np.where(large, u_iso / (8 * math.pi**2), u_iso)
    faults = (
        (np.isnan(u_iso), f"isn't given; {DEFAULT_U_ISO:g} angstrom^2 is used"),
        (u_iso < 0, f"is negative; {DEFAULT_U_ISO:g} angstrom^2 is used"),
        (large, f"is above {_LARGEST_U_ISO:g} angstrom^2; it is read as B = 8 pi^2 U"),
        (read_as_b > _LARGEST_U_ISO, f"is impossible even as B; {DEFAULT_U_ISO:g} angstrom^2 is used"),
    )
    for bad, what in faults:
        if np.any(bad):
            names = ", ".join(labels[i][:20] for i in np.flatnonzero(bad)[:6])
            more = ", ..." if bad.sum() > 6 else ""
            notes.append(f"U_iso of {names}{more} {what}")
    usable = (read_as_b >= 0) & (read_as_b <= _LARGEST_U_ISO)  # False for nan
    return np.where(usable, read_as_b, DEFAULT_U_ISO)


def _formula_units(block: cif.Block, notes: list[str]) -> float | None:
    """Z, or None where it isn't given or isn't a positive number."""
    text = text_of.value(block, ("_cell_formula_units_Z", "_cell.formula_units_Z"))
    if not text:
        return None
    if not re.fullmatch(r"\d{1,6}(?:\.\d{1,6})?", text, re.ASCII) or float(text) == 0:
        notes.append(f"_cell_formula_units_Z is {text[:20]!r}, not a positive number; it is ignored")
        return None
    return float(text)


def _title(block: cif.Block) -> str:
    """A name for people: the chemical name, else the formula, else the block's name."""
    for name in ("name_common", "name_mineral", "name_systematic", "formula_sum"):
        text = text_of.value(block, (f"_chemical_{name}", f"_chemical.{name}"))
        if text:
            return text[:200]
    return block.name[:200]
