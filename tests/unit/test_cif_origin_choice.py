"""Files in origin choice 2, which diffpy.structure (so orix and diffsims) silently misreads."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cif_builder import cif, operations
from nbedex.errors import DataFormatError
from nbedex.phases import load_phase, structure_factors
from nbedex.phases.cif import parse_cif

TRAPS = Path(__file__).resolve().parents[3] / "shared" / "structures" / "reader_traps"

# The shipped phases are in choice 1; these are the same crystals in choice 2.
ZIRCONIA = {
    "cell": (3.64008, 3.64008, 5.27, 90, 90, 90),
    "sites": [("Zr", 0.75, 0.25, 0.75), ("O", 0.25, 0.25, 0.565)],
    "extra": "_chemical_formula_sum 'O2 Zr'\n_cell_formula_units_Z 2",
}
LAVES = {
    "cell": (7.803, 7.803, 7.803, 90, 90, 90),
    "sites": [("Au", 0.5, 0.5, 0.5), ("Na", 0.125, 0.125, 0.125)],
    "extra": "_chemical_formula_sum 'Au2 Na'\n_cell_formula_units_Z 8",
}
CASES = {"zro2-t": (ZIRCONIA, "P 42/n m c"), "au2na": (LAVES, "F d -3 m")}
CONTENT = {"zro2-t": {"Zr": 2, "O": 4}, "au2na": {"Au": 16, "Na": 8}}
HKL = np.array([[1, 0, 1], [1, 1, 1], [0, 1, 1], [2, 2, 0], [1, 1, 3], [3, 1, 1], [0, 0, 4], [2, 1, 3], [4, 2, 2]])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("listed", [True, False])
def test_choice_2_is_the_same_crystal_as_the_shipped_one_in_choice_1(name: str, listed: bool, tmp_path: Path) -> None:
    content, group = CASES[name]
    symmetry = operations(f"{group}:2") if listed else f"_space_group_name_H-M_alt '{group} :2'"
    path = tmp_path / "twin.cif"
    path.write_text(cif(symmetry=symmetry, **content))
    phase = load_phase(path)
    assert Counter(phase.elements) == CONTENT[name]
    assert phase.space_group_name == f"{group}:2"
    # Another origin changes phases of F, not its modulus; displacements differ between the files.
    one, two = (_undamped(p) for p in (phase, load_phase(name)))
    np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9 * two.max())


def _undamped(phase):
    from dataclasses import replace

    return np.abs(structure_factors(replace(phase, u_iso=np.zeros_like(phase.u_iso)), HKL))


@pytest.mark.parametrize("name", CASES)
def test_without_a_stated_origin_the_composition_decides(name: str) -> None:
    content, group = CASES[name]
    structure = parse_cif(cif(symmetry=f"_space_group_name_H-M_alt '{group}'", **content), "t.cif")
    assert Counter(structure.atoms.elements) == CONTENT[name]
    assert structure.name == f"{group}:2"
    assert f"only '{group}:2' gives a possible crystal and is used" in " ".join(structure.notes)


def test_without_origin_and_formula_nothing_is_guessed() -> None:
    text = cif(cell=LAVES["cell"], symmetry="_space_group_IT_number 227", sites=LAVES["sites"])
    with pytest.raises(
        DataFormatError, match=re.escape("('F d -3 m:1' or 'F d -3 m:2'); state it in the space group name")
    ):
        parse_cif(text, "t.cif")


@pytest.mark.parametrize("name", CASES)
def test_the_wrong_stated_origin_is_an_error(name: str) -> None:
    content, group = CASES[name]
    with pytest.raises(DataFormatError, match=r"^t.cif: the unit cell holds|^t.cif: .* lie within 0.5 angstrom"):
        parse_cif(cif(symmetry=f"_space_group_name_H-M_alt '{group} :1'", **content), "t.cif")


@pytest.mark.parametrize("suffix", [" :1", ":1", " S"])
def test_operations_of_one_origin_under_the_name_of_the_other_contradict(suffix: str) -> None:
    symmetry = operations("F d -3 m:2") + f"\n_space_group_name_H-M_alt 'F d -3 m{suffix}'"
    message = f"contradict the setting in the space group name 'F d -3 m{suffix}' (they are those of 'F d -3 m:2')"
    with pytest.raises(DataFormatError, match=re.escape(message)):
        parse_cif(cif(symmetry=symmetry, **LAVES), "t.cif")


def test_icsd_suffixes_state_the_origin() -> None:
    structure = parse_cif(cif(symmetry="_space_group_name_H-M_alt 'F d -3 m Z'", **LAVES), "t.cif")
    assert structure.name == "F d -3 m:2"
    assert Counter(structure.atoms.elements) == CONTENT["au2na"]


@pytest.mark.skipif(not TRAPS.is_dir(), reason="the shared reader_traps folder isn't beside this checkout")
@pytest.mark.parametrize(
    ("file", "name"), [("Au2Na_Fd-3m_origin2.cif", "au2na"), ("ZrO2_tetragonal_P42nmc_origin2.cif", "zro2-t")]
)
def test_the_reader_traps(file: str, name: str) -> None:
    phase = load_phase(TRAPS / file)
    assert Counter(phase.elements) == CONTENT[name]
    assert phase.space_group_name.endswith(":2")
    np.testing.assert_allclose(
        np.abs(structure_factors(phase, HKL)), np.abs(structure_factors(load_phase(name), HKL)), rtol=1e-9, atol=1e-9
    )
