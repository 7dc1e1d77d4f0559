"""Hostile and damaged CIFs: one clear line within a second, nothing evaluated, nothing half understood."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest

from cif_builder import cif, operations
from nbedex.errors import ArgumentError, DataFormatError, NbedexError
from nbedex.phases import load_phase

GOOD = cif(cell=(5.64, 5.64, 5.64, 90, 90, 90), symmetry=operations("F m -3 m"))
SYMOP = "loop_\n_space_group_symop_operation_xyz\nx,y,z\n"
BOMB = "9**9**9**9,y,z"


def _cell(value: str) -> str:
    return GOOD.replace("_cell_length_a 5.64", f"_cell_length_a {value}")


CASES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "the file is empty, expected a CIF"),
    "blank": (" \n\n\t", "the file is empty, expected a CIF"),
    "not a CIF": ("hello world\n", "not a valid CIF"),
    "binary": (bytes(range(256)) * 50, "expected a CIF (text), got binary data"),
    "zip": (b"PK\x03\x04" + os.urandom(2000) + b"\0\x01", "expected a CIF (text), got binary data"),
    "UTF-16 garbage": (b"\xff\xfe\x00\xd8\x00", "expected a CIF (text), got binary data"),
    "truncated": (GOOD[: GOOD.index("_atom_site_fract_y")], "none of its 1 data block(s) holds a unit cell and atoms"),
    "cut in a loop row": (GOOD[:-12], "not a valid CIF"),
    "open quote": (GOOD + "_x 'abc\n", "not a valid CIF"),
    "tag given twice": (GOOD + "_cell_length_a 5\n", "not a valid CIF"),
    "nan cell": (_cell("nan"), "_cell_length_a must be a number, got 'nan'"),
    "infinite cell": (_cell("inf"), "_cell_length_a must be a number, got 'inf'"),
    "zero cell": (_cell("0"), "cell length a must lie between 1 and 1000 angstrom, got 0"),
    "negative cell": (_cell("-5"), "cell length a must lie between 1 and 1000 angstrom, got -5"),
    "huge cell": (_cell("1e308"), "cell length a must lie between 1 and 1000 angstrom, got 1e+308"),
    "overflowing cell": (_cell("1e999"), "_cell_length_a must be a number, got '1e999'"),
    "nm for angstrom": (_cell("0.564"), "cell length a must lie between 1 and 1000 angstrom, got 0.564"),
    "flat cell": (cif(cell=(5, 5, 5, 120, 120, 120)), "cell angles 120, 120, 120 enclose no volume"),
    "impossible angles": (cif(cell=(5, 5, 5, 30, 30, 150)), "cell angles 30, 30, 150 enclose no volume"),
    "angle out of range": (
        cif(cell=(5, 5, 5, 90, 90, 0)),
        "cell angle gamma must lie between 1 and 179 degrees, got 0",
    ),
    "space group 999": (
        cif(symmetry="_space_group_IT_number 999"),
        "a space group number lies between 1 and 230, got 999",
    ),
    "space group -1": (
        cif(symmetry="_space_group_IT_number -1"),
        "a space group number lies between 1 and 230, got -1",
    ),
    "space group 14.5": (
        cif(symmetry="_space_group_IT_number 14.5"),
        "space group number must be an integer, got '14.5'",
    ),
    "space group 1e400": (cif(symmetry="_space_group_IT_number 1e400"), "space group number must be a number"),
    "unknown element": (cif(sites=[("Xx", 0, 0, 0)]), "atom 'Xx1' is of unknown element 'Xx'"),
    "nan coordinate": (cif(sites=[("Na", float("nan"), 0, 0)]), "coordinate of atom 'Na1' must be a number, got 'nan'"),
    "far coordinate": (cif(sites=[("Na", 1e30, 0, 0)]), "fractional coordinate of atom 'Na1' is 1e+30"),
    "two structures": (
        GOOD + GOOD.replace("data_x", "data_y"),
        "2 data blocks describe a structure ('x', 'y'); expected one",
    ),
    "no atoms": (
        GOOD[: GOOD.index("loop_\n_atom_site_label")],
        "none of its 1 data block(s) holds a unit cell and atoms",
    ),
    "no cell": (GOOD.replace("_cell_length_a 5.64\n", ""), "none of its 1 data block(s) holds a unit cell and atoms"),
    "no symmetry": (cif(symmetry=""), "no symmetry is given"),
    "symop bomb": (cif(symmetry=SYMOP + f"'{BOMB}'"), "symmetry operation '9**9**9**9,y,z' isn't valid"),
    "symop code": (cif(symmetry=SYMOP + "\"__import__('os').system('true'),y,z\""), "isn't valid, expected a triplet"),
    "symop attribute": (cif(symmetry=SYMOP + "'os.path,y,z'"), "isn't valid, expected a triplet"),
    "symop very long": (cif(symmetry=SYMOP + "'" + "x+" * 100_000 + "1,y,z'"), "isn't valid, expected a triplet"),
    "symop of two parts": (cif(symmetry=SYMOP + "'x,y'"), "symmetry operation 'x,y' isn't valid"),
    "symop division by zero": (cif(symmetry=SYMOP + "'x+1/0,y,z'"), "symmetry operation 'x+1/0,y,z' isn't valid"),
    "symop projection": (cif(symmetry=SYMOP + "'x,x,z'"), "isn't a rotation or rotoinversion"),
    "symop missing": (cif(symmetry=SYMOP + "?"), "a symmetry operation is missing from the list"),
    "symop shear": (cif(symmetry=SYMOP + "'x+y,y,z'"), "don't form a group"),
    "a thousand symops": (
        cif(symmetry=SYMOP + "\n".join("x,y,z" for _ in range(1000))),
        "1001 symmetry operations are listed",
    ),
    "Hall symbol code": (
        cif(symmetry="_space_group_name_Hall '__import__(1)'"),
        "Hall symbol '__import__(1)' isn't valid",
    ),
    "50 000 atoms": (
        cif(sites=[("Na", i / 50_000, 0, 0) for i in range(50_000)]),
        "50000 atom sites are listed, at most 5000",
    ),
    "atoms times operations": (
        cif(
            cell=(900, 900, 900, 90, 90, 90),
            symmetry=operations("F m -3 m"),
            sites=[("Na", 0.01 + i / 3000, 0.2 + i / 7000, 0.37) for i in range(200)],
        ),
        "more than 5000 atoms in the unit cell",
    ),
    "5000 atoms in one place": (cif(sites=[("Na", 0, 0, 0)] * 5000), "5000 atoms (Na1, Na10, Na100, Na1000"),
    "50 000 loops": (
        "data_x\n" + "".join(f"loop_\n_a{i}\n_b{i}\n1 2\n" for i in range(50_000)),
        "none of its 1 data block(s) holds a unit cell and atoms",
    ),
    "50 000 blocks": ("".join(f"data_{i}\n_a 1\n" for i in range(50_000)), "none of its 50000 data block(s) holds"),
    "one huge number": (_cell("1" * 1_000_000), "_cell_length_a must be a number"),
    "a huge formula": (
        cif(extra="_chemical_formula_sum '" + "Na " * 100_000 + "'") + "_cell_length_a 1\n",
        "not a valid CIF",
    ),
    "larger than 20 MB": (GOOD + "#" * 20_000_001, "larger than 20 MB"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_cif_is_one_clear_line_within_a_second(case: str, tmp_path: Path) -> None:
    content, message = CASES[case]
    path = tmp_path / "bad.cif"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    started = time.process_time()
    with pytest.raises(DataFormatError) as caught:
        load_phase(path)
    assert time.process_time() - started < 1.0
    text = str(caught.value)
    assert text.startswith("bad.cif: ")
    assert message in text
    assert "\n" not in text
    assert len(text) < 400
    assert caught.value.exit_code == 3


def test_the_text_these_cases_are_made_from_is_good(tmp_path: Path) -> None:
    path = tmp_path / "good.cif"
    path.write_text(GOOD)
    assert len(load_phase(path).elements) == 4


def test_nothing_in_a_cif_is_evaluated(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    for text in (
        cif(symmetry=SYMOP + f'"{code},y,z"'),
        cif(symmetry=f'_space_group_name_H-M_alt "{code}"'),
        cif(symmetry=f'_space_group_name_Hall "{code}"'),
        GOOD.replace("_cell_length_a 5.64", f'_cell_length_a "{code}"'),
        GOOD.replace("Na1 Na", f'Na1 "{code}"'),
        GOOD + f'_chemical_formula_sum "{code}"\n',
    ):
        path = tmp_path / "code.cif"
        path.write_text(text)
        with contextlib.suppress(NbedexError):
            load_phase(path)
        assert not mark.exists()


def test_line_breaks_in_names_and_values_stay_out_of_messages_and_phases(tmp_path: Path) -> None:
    path = tmp_path / "a\nb;=1.cif"
    path.write_text(GOOD.replace("Na1 Na", "\n;N\na1\n;\nNa"))
    phase = load_phase(path)
    assert (phase.name, phase.source) == ("a_b;=1", "CIF a_b;=1.cif")
    path.write_text(GOOD.replace("Na1 Na", "\n;N\na1\n;\nXx"))
    with pytest.raises(DataFormatError, match=r"^a_b;=1\.cif: atom 'N a1' is of unknown element 'Xx'$"):
        load_phase(path)
    path.unlink()
    with pytest.raises(ArgumentError, match=r"^no such file: .*a\\nb;=1\.cif'$"):
        load_phase(path)


def test_files_that_are_not_there() -> None:
    with pytest.raises(ArgumentError, match=r"^no such file: 'nowhere/x\.cif'$"):
        load_phase("nowhere/x.cif")
    with pytest.raises(ArgumentError, match=r"^no such file: 'x\.cif'$"):
        load_phase(Path("x.cif"))


def test_a_folder_is_not_a_cif(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"isn't a file$"):
        load_phase(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.cif")
    with pytest.raises(ArgumentError, match=r"isn't a file$"):
        load_phase(tmp_path / "pipe.cif")


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 5000, "x" * 5000 + ".cif", "../", "na;rm", "=1+1", "NZSP"])
def test_odd_names_are_argument_errors(name: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        load_phase(name)
    assert "\n" not in str(caught.value)
