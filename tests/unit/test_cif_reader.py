"""Reading CIFs: what is written comes out, whatever the spelling."""

from __future__ import annotations

import logging
import math
import re
from pathlib import Path

import gemmi
import numpy as np
import pytest

from cif_builder import cif, operations
from nbedex.errors import DataFormatError
from nbedex.phases.cif import CrystalStructure, parse_cif
from nbedex.phases.cif_text import decode, element_of, formula_counts, number


def read(text: str) -> CrystalStructure:
    return parse_cif(text, "t.cif")


def with_columns(header: str, *rows: str, symmetry: str = "_space_group_name_H-M_alt 'P 1'", cell: str = "") -> str:
    """A CIF in P 1 with an atom loop of our own."""
    text = cif(cell=(10, 11, 12, 90, 90, 90), symmetry=symmetry)
    head = text[: text.index("loop_\n_atom_site_label")]
    return (
        head + cell + "loop_\n" + "\n".join(f"_atom_site_{h}" for h in header.split()) + "\n" + "\n".join(rows) + "\n"
    )


XYZ = "label type_symbol fract_x fract_y fract_z"


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1.0), ("-0.1234(5)", -0.1234), (".5", 0.5), ("5.", 5.0), ("1.2E-3", 1.2e-3), ("+7(12)", 7.0)],
)
def test_numbers_with_and_without_uncertainty(text: str, value: float) -> None:
    assert number(text, "x", "t") == value


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-inf", "1e999", "", "x", "1,5", "0x10", "1_000", "1(", "1(a)", "1/3", "１"]
)
def test_what_is_not_a_number_is_refused(text: str) -> None:
    with pytest.raises(DataFormatError, match=r"t: x must be a number, got"):
        number(text, "x", "t")


@pytest.mark.parametrize(
    ("type_symbol", "label", "expected"),
    [
        ("Na+", "A", "Na"), ("Na1+", "A", "Na"), ("Al3+", "A", "Al"), ("O2-", "A", "O"), ("ZR", "A", "Zr"),
        ("zr4+", "A", "Zr"), ("Fe+3", "A", "Fe"), ("D", "A", "H"), ("Si0+", "A", "Si"), ("P", "Na1", "P"),
        ("", "Na1", "Na"), ("", "NA1", "Na"), ("", "O1A", "O"), ("", "OW1", "O"), ("", "D3", "H"), ("", "Cu(1)", "Cu"),
        ("", "Al", "Al"),
    ],
)  # fmt: skip
def test_elements(type_symbol: str, label: str, expected: str) -> None:
    assert element_of(type_symbol, label, "t") == expected


@pytest.mark.parametrize(
    ("type_symbol", "label"),
    [("Xx", "Na1"), ("", "Xx1"), ("Wat", "O1"), ("", "1"), ("Q", "Q1"), ("Lr", "Lr1"), ("O;import", "O1")],
)
def test_unknown_elements_are_refused(type_symbol: str, label: str) -> None:
    with pytest.raises(DataFormatError, match=f"^t: atom '{re.escape(label)}' is of unknown element"):
        element_of(type_symbol, label, "t")


def test_formulas() -> None:
    assert formula_counts("Al11 Na1.29 O17") == {"Al": 11.0, "Na": 1.29, "O": 17.0}
    assert formula_counts("D2 H O") == {"H": 3.0, "O": 1.0}
    assert formula_counts("(Na K)2 O") is None
    assert formula_counts("") is None


def test_every_column_is_used() -> None:
    structure = read(
        with_columns(
            XYZ + " occupancy U_iso_or_equiv",
            "Na1 Na+ 0.1234(5) -0.25 1.75 0.5(1) 0.021(2)",
            "K1 K1+ 0.1234 0.75 0.75 0.5 .",
            "O1 O2- 0.5 0.5 0.5 1.0 0.03",
        )
    )
    assert structure.atoms.elements == ("Na", "K", "O")
    np.testing.assert_allclose(structure.atoms.positions[0], [0.1234, 0.75, 0.75], atol=1e-14)
    np.testing.assert_array_equal(structure.atoms.occupancies, [0.5, 0.5, 1.0])
    np.testing.assert_array_equal(structure.atoms.u_iso, [0.021, 0.005, 0.03])
    assert structure.cell == (10.0, 11.0, 12.0, 90.0, 90.0, 90.0)
    assert structure.notes == ("U_iso of K1 isn't given; 0.005 angstrom^2 is used",)


def test_tags_in_any_case_and_in_the_newer_spelling() -> None:
    text = """data_x
_CELL.length_a 5
_cell.length_b 6
_cell.Length_c 7
_space_group.name_H-M_alt 'P 1'
loop_
_atom_site.label
_atom_site.Fract_x
_atom_site.fract_y
_atom_site.fract_z
_atom_site.B_iso_or_equiv
Si1 0.1 0.2 0.3 0.8
"""
    structure = read(text)
    assert structure.cell == (5, 6, 7, 90, 90, 90)
    assert structure.atoms.elements == ("Si",)
    assert structure.atoms.u_iso[0] == pytest.approx(0.8 / (8 * math.pi**2))


def test_anisotropic_displacements_become_equivalent_ones_as_gemmi_has_them() -> None:
    """An oblique cell, so that a formula for right angles would show."""
    u = (0.011, 0.022, 0.033, 0.004, -0.005, 0.006)
    aniso = "loop_\n" + "\n".join(
        f"_atom_site_aniso_{n}" for n in ["label", "U_11", "U_22", "U_33", "U_12", "U_13", "U_23"]
    )
    aniso += f"\nNa1 {' '.join(map(str, u))}\n"
    cell = (5.0, 6.0, 8.0, 75.0, 85.0, 112.0)
    structure = read(cif(cell=cell, u_iso=None, extra=aniso))
    expected = gemmi.UnitCell(*cell).calculate_u_eq(gemmi.SMat33d(*u))
    assert structure.atoms.u_iso[0] == pytest.approx(expected, rel=1e-12)
    assert structure.notes == ()


def test_impossible_displacements_are_replaced_and_leave_a_note(caplog: pytest.LogCaptureFixture) -> None:
    rows = ("Na1 Na 0 0 0 -0.01", "Na2 Na 0.5 0 0 ?", "Na3 Na 0 0.5 0 0", "Na4 Na 0 0 0.5 1.2", "Na5 Na 0.5 0.5 0 99")
    with caplog.at_level(logging.WARNING):
        structure = read(with_columns(XYZ + " U_iso_or_equiv", *rows))
    np.testing.assert_allclose(structure.atoms.u_iso, [0.005, 0.005, 0.0, 1.2 / (8 * math.pi**2), 0.005], rtol=1e-12)
    assert structure.notes == (
        "U_iso of Na2 isn't given; 0.005 angstrom^2 is used",
        "U_iso of Na1 is negative; 0.005 angstrom^2 is used",
        "U_iso of Na4, Na5 is above 0.5 angstrom^2; it is read as B = 8 pi^2 U",
        "U_iso of Na5 is impossible even as B; 0.005 angstrom^2 is used",
    )
    assert "t.cif: U_iso of Na1 is negative" in caplog.text


def test_a_file_by_vesta_with_its_placeholder_for_displacements() -> None:
    """As U = 1 angstrom^2 it would wipe out every reflection beyond the first few."""
    rows = ["Fe1 1.0 0.000000 0.000000 0.000000 Uiso 1.000000 Fe"]
    header = "label occupancy fract_x fract_y fract_z adp_type U_iso_or_equiv type_symbol"
    assert read(with_columns(header, *rows)).atoms.u_iso[0] == pytest.approx(0.01267, abs=1e-5)


SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "steel_nbed_subset"


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the shared steel data set isn't beside this checkout")
def test_the_files_beside_the_steel_data() -> None:
    """Two by VESTA with U = 1, one by pymatgen with the formula of the whole cell."""
    content = {"austeniteLP": 4, "Cu": 4, "g-phaseLP": 188}
    for name, count in content.items():
        structure = parse_cif((SHARED_DATA / f"{name}.cif").read_text(), name)
        assert len(structure.atoms.elements) == count
        assert structure.atoms.u_iso.max() < 0.02


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_encodings_and_line_ends(encoding: str) -> None:
    text = cif(
        extra="_chemical_name_common 'Natrium-β″-Tonerde é'" if encoding != "latin-1" else "_chemical_name_common 'é'"
    )
    structure = read(decode(text.replace("\n", "\r\n").encode(encoding), "t.cif"))
    assert structure.atoms.elements == ("Na",)
    assert structure.title.endswith("é")


def test_the_block_with_cell_and_atoms_is_taken() -> None:
    other = "data_global\n_journal_name 'J'\n_cell_length_a 7\n"
    assert read(other + cif(cell=(5, 5, 5, 90, 90, 90))).cell[0] == 5.0


def test_dummy_sites_are_skipped() -> None:
    structure = read(with_columns(XYZ + " calc_flag", "Na1 Na 0 0 0 d", "X1 Xx 0.5 0 0 dum"))
    assert structure.atoms.elements == ("Na",)


def test_titles() -> None:
    assert read(cif(extra="_chemical_formula_sum 'Na'")).title == "Na"
    assert read(cif(block="abc")).title == "abc"


# Symmetry


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("'P 63/m m c'", "P 63/m m c"), ("P6_3/mmc", "P 63/m m c"), ("P63/mmc", "P 63/m m c"),
        ("'R -3 m H'", "R -3 m:H"), ("'R -3 m :H'", "R -3 m:H"), ("R-3m", "R -3 m:H"),
    ],
)  # fmt: skip
def test_operations_from_the_name(name: str, expected: str) -> None:
    structure = read(
        cif(cell=(8, 8, 21, 90, 90, 120), symmetry=f"_space_group_name_H-M_alt {name}", sites=[("Na", 0.1, 0.31, 0.06)])
    )
    assert structure.name == expected
    assert len(structure.atoms.elements) == len(gemmi.SpaceGroup(expected).operations())
    assert structure.notes == ()


def test_operations_from_the_number_alone_are_those_of_the_standard_setting() -> None:
    structure = read(
        cif(cell=(10, 11, 12, 90, 103, 90), symmetry="_space_group_IT_number 14", sites=[("Na", 0.1, 0.2, 0.3)])
    )
    assert structure.name == "P 1 21/c 1"
    assert structure.notes == ("only the space group number is given; the standard setting 'P 1 21/c 1' is assumed",)


def test_rhombohedral_axes_follow_from_the_cell() -> None:
    for symmetry in ("_space_group_name_H-M_alt 'R -3 m'", "_space_group_IT_number 166"):
        structure = read(cif(cell=(9, 9, 9, 50, 50, 50), symmetry=symmetry, sites=[("Na", 0.1, 0.23, 0.4)]))
        assert structure.name == "R -3 m:R"
        assert len(structure.atoms.elements) == 12


def test_hall_symbol_alone() -> None:
    symmetry = "_space_group_name_Hall '-C 2yc'"
    structure = read(cif(cell=(15, 9, 9, 90, 123, 90), symmetry=symmetry, sites=[("Na", 0.1, 0.2, 0.3)]))
    assert (structure.number, structure.name, len(structure.atoms.elements)) == (15, "C 1 2/c 1", 8)


def test_explicit_p1_is_a_symmetry() -> None:
    for symmetry in ("_space_group_name_H-M_alt 'P 1'", "_symmetry_Int_Tables_number 1", operations("P 1")):
        assert len(read(cif(symmetry=symmetry)).atoms.elements) == 1


def test_operations_with_decimals_blanks_and_duplicates() -> None:
    symmetry = "loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'\n'-X, -Y+0.5, Z+1/2'\n'x,y,z'\n"
    assert read(cif(symmetry=symmetry, sites=[("Na", 0.1, 0.2, 0.3)])).atoms.positions.tolist() == [
        pytest.approx([0.1, 0.2, 0.3]),
        pytest.approx([0.9, 0.3, 0.8]),
    ]


def test_a_setting_without_a_name_keeps_its_operations() -> None:
    """P -1 with the inversion centre at 1/8 1/8 1/8."""
    symmetry = "_space_group_IT_number 2\nloop_\n_space_group_symop_operation_xyz\nx,y,z\n-x+1/4,-y+1/4,-z+1/4\n"
    structure = read(cif(symmetry=symmetry, sites=[("Na", 0.125, 0.125, 0.125)]))
    assert structure.number == 2
    assert len(structure.atoms.elements) == 1
    assert structure.notes == ("the operations given are in a setting without a tabulated name",)


def test_coordinates_with_few_digits_are_moved_onto_their_special_position() -> None:
    structure = read(
        cif(cell=(6, 6, 9, 90, 90, 120), symmetry=operations("P 63/m m c"), sites=[("Na", 0.333, 0.667, 0.25)])
    )
    assert len(structure.atoms.elements) == 2
    np.testing.assert_allclose(structure.atoms.positions[0], [1 / 3, 2 / 3, 1 / 4], atol=1e-12)


def test_a_cell_off_by_rounding_gets_the_symmetry_of_its_group() -> None:
    structure = read(cif(cell=(6.0, 6.003, 9, 90, 90, 120), symmetry=operations("P 63/m m c")))
    assert structure.cell[0] == structure.cell[1] == pytest.approx(6.0015, abs=1e-4)
    assert structure.cell[5] == pytest.approx(120, abs=1e-9)
    assert any(note.startswith("the unit cell was rounded to the symmetry of P 63/m m c") for note in structure.notes)


CONTRADICTIONS = {
    "number against operations": (
        operations("P 1 21/c 1") + "\n_space_group_IT_number 15",
        "the symmetry operations given are those of space group 14 (P 1 21/c 1), but the file claims number 15",
    ),
    "name against operations": (
        operations("P 1 21/c 1") + "\n_space_group_name_H-M_alt 'C 2/c'",
        "the symmetry operations given are those of space group 14 (P 1 21/c 1), but the file claims number 15",
    ),
    "name against number": (
        "_space_group_name_H-M_alt 'C 2/c'\n_space_group_IT_number 14",
        "space group name 'C 2/c' is number 15, but the number given is 14",
    ),
    "Hall against operations": (
        operations("P 1 21/c 1") + "\n_space_group_name_Hall '-P 2yab'",
        "the listed symmetry operations contradict the Hall symbol '-P 2yab'",
    ),
    "operations of another class in a setting without name": (
        "_space_group_IT_number 14\nloop_\n_space_group_symop_operation_xyz\nx,y,z\n-x+1/8,-y+1/8,-z+1/8\n",
        "the symmetry operations given (Laue class -1) contradict space group 14",
    ),
    "incomplete list": (
        "loop_\n_space_group_symop_operation_xyz\nx,y,z\n-x,y+1/2,-z+1/2\n-x,-y,-z\n",
        "the 3 symmetry operations listed don't form a group",
    ),
    "no identity": ("loop_\n_space_group_symop_operation_xyz\n-x,-y,-z\n", "the identity 'x,y,z' is missing"),
    "cell without the symmetry": (operations("P 4"), "doesn't have the symmetry of the space group"),
    "unknown name": (
        "_space_group_name_H-M_alt 'P 7 bananas'",
        "space group name 'P 7 bananas' isn't known and no symmetry operations are listed",
    ),
    "number out of range": (operations("P 1") + "\n_space_group_IT_number 999", "lies between 1 and 230, got 999"),
    "nothing": ("", "no symmetry is given (no operations, no space group name or number)"),
    "unknown markers": (
        "_space_group_name_H-M_alt ?\n_space_group_IT_number .",
        "no symmetry is given (no operations, no space group name or number)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_contradicting_symmetry_is_an_error(case: str) -> None:
    symmetry, message = CONTRADICTIONS[case]
    with pytest.raises(DataFormatError, match=r"^t.cif: .*" + re.escape(message)):
        read(cif(cell=(10, 11, 12, 90, 103, 90), symmetry=symmetry))


def test_another_setting_than_the_name_is_noted_and_the_operations_win() -> None:
    """P 21/c is the usual short name in files that list the operations of P 1 21/n 1."""
    text = cif(
        cell=(10, 11, 12, 90, 103, 90),
        symmetry=operations("P 1 21/n 1") + "\n_symmetry_space_group_name_H-M 'P 21/c'",
        sites=[("Na", 0.1, 0.2, 0.3)],
    )
    structure = read(text)
    assert structure.name == "P 1 21/n 1"
    assert structure.notes == ("the operations given (used) are in another setting than the name 'P 21/c'",)


# Composition and occupancy


def test_formula_and_z_must_agree_with_the_cell() -> None:
    sites = [("Na", 0.0, 0.0, 0.0), ("Cl", 0.5, 0.5, 0.5)]
    good = "_chemical_formula_sum 'Cl Na'\n_cell_formula_units_Z 4"
    text = cif(cell=(5.64, 5.64, 5.64, 90, 90, 90), symmetry=operations("F m -3 m"), sites=sites, extra=good)
    assert read(text).notes == ()
    with pytest.raises(
        DataFormatError, match=re.escape("the unit cell holds 4 Cl, 4 Na, but Z = 2 formula units mean 2 Cl, 2 Na")
    ):
        read(text.replace("units_Z 4", "units_Z 2"))
    with pytest.raises(DataFormatError, match=re.escape("but the proportions in the formula mean 5.333 Cl, 2.667 Na")):
        read(text.replace("units_Z 4", "units_Z ?").replace("Cl Na", "Cl2 Na"))


def test_pymatgens_formula_of_the_whole_cell_is_understood() -> None:
    """pymatgen writes P 1, every atom, the formula of the cell and Z formula units besides."""
    sites = [("Cu", 0.0, 0.0, 0.0), ("Cu", 0.0, 0.5, 0.5), ("Cu", 0.5, 0.0, 0.5), ("Cu", 0.5, 0.5, 0.0)]
    extra = "_chemical_formula_structural Cu\n_chemical_formula_sum Cu4\n_cell_formula_units_Z 4"
    assert read(cif(cell=(3.62, 3.62, 3.62, 90, 90, 90), sites=sites, extra=extra)).notes == ()


def test_a_small_difference_in_composition_is_a_note() -> None:
    sites = [("Na", 0.0, 0.0, 0.0), ("Cl", 0.5, 0.5, 0.5)]
    extra = "_chemical_formula_sum 'Cl0.95 Na H3'\n_cell_formula_units_Z 4"
    structure = read(
        cif(cell=(5.64, 5.64, 5.64, 90, 90, 90), symmetry=operations("F m -3 m"), sites=sites, extra=extra)
    )
    assert structure.notes == ("the unit cell holds 4 Cl, the formula means 3.8",)


@pytest.mark.parametrize(
    ("value", "ok"), [("1.004", True), ("0.001", True), ("0", False), ("7", False), ("-0.5", False)]
)
def test_occupancies(value: str, ok: bool) -> None:
    text = with_columns(XYZ + " occupancy", f"Na1 Na 0 0 0 {value}")
    if ok:
        assert 0 < read(text).atoms.occupancies[0] <= 1
    else:
        with pytest.raises(
            DataFormatError, match=re.escape(f"occupancy of atom 'Na1' must lie in (0, 1], got {float(value):g}")
        ):
            read(text)


def test_a_shared_site_holds_at_most_one_atom() -> None:
    rows = ["Si1 Si 0.1 0.2 0.999999 0.6667", "P1 P 0.1 0.2 0.0 0.3333"]
    assert read(with_columns(XYZ + " occupancy", *rows)).atoms.elements == ("Si", "P")
    rows[1] = "P1 P 0.1 0.2 0.0 0.5"
    with pytest.raises(
        DataFormatError, match=r"2 atoms \(P1, Si1\) lie within 0.5 angstrom with a total occupancy of 1.17"
    ):
        read(with_columns(XYZ + " occupancy", *rows))


def test_missing_coordinates_are_named() -> None:
    with pytest.raises(DataFormatError, match=r"^t.cif: coordinate of atom 'Na1' must be a number, got ''"):
        read(with_columns(XYZ, "Na1 Na 0 ? 0"))
    with pytest.raises(DataFormatError, match=r"^t.cif: _atom_site_fract_z is missing"):
        read(with_columns("label fract_x fract_y", "Na1 0 0"))
    with pytest.raises(DataFormatError, match=r"^t.cif: _cell_length_b is missing"):
        read(cif().replace("_cell_length_b 4.0\n", ""))
