"""The phases that ship with nbedex, and how any other is found."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cif_builder import cif, operations
from nbedex.errors import ArgumentError, DataFormatError
from nbedex.phases import catalogue, list_phases, load_phase, phase_names, templates_dir

# name: (space group, setting, Laue class, atoms with their occupancies per cell, conduction plane, carries Na+)
SHIPPED = {
    "beta2-alumina": (166, "R -3 m:H", "-3m", {"Al": 31, "Mg": 2, "Na": 5, "O": 51}, (0, 0, 3), True),
    "beta-alumina": (194, "P 63/m m c", "6/mmm", {"Al": 22, "Na": 2.58, "O": 34}, (0, 0, 2), True),
    "nzsp": (15, "C 1 2/c 1", "2/m", {"Na": 12, "O": 48, "P": 4, "Si": 8, "Zr": 8}, None, True),
    "nzsp-r3c": (167, "R -3 c:H", "-3m", {"Na": 20.4, "O": 72, "P": 3.6, "Si": 14.4, "Zr": 12}, None, True),
    "na2au": (140, "I 4/m c m", "4/mmm", {"Au": 4, "Na": 8}, None, False),
    "au2na": (227, "F d -3 m:1", "m-3m", {"Au": 16, "Na": 8}, None, False),
    "au": (225, "F m -3 m", "m-3m", {"Au": 4}, None, False),
    "na": (229, "I m -3 m", "m-3m", {"Na": 2}, None, False),
    "pt": (225, "F m -3 m", "m-3m", {"Pt": 4}, None, False),
    "cu": (225, "F m -3 m", "m-3m", {"Cu": 4}, None, False),
    "zro2-m": (14, "P 1 21/c 1", "2/m", {"O": 8, "Zr": 4}, None, False),
    "zro2-t": (137, "P 42/n m c:1", "4/mmm", {"O": 4, "Zr": 2}, None, False),
}


def test_the_list_is_complete_and_in_order() -> None:
    assert phase_names() == tuple(SHIPPED)
    assert [p.name for p in list_phases()] == list(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_phase(name: str) -> None:
    number, setting, laue, content, plane, conducts = SHIPPED[name]
    phase = load_phase(name)
    assert (phase.space_group, phase.space_group_name, phase.laue_class) == (number, setting, laue)
    found: Counter[str] = Counter()
    for element, occupancy in zip(phase.elements, phase.occupancies.tolist(), strict=True):
        found[element] += occupancy
    assert set(found) == set(content)
    for element, count in content.items():
        assert found[element] == pytest.approx(count, abs=0.01)
    assert phase.conduction_plane == plane
    assert phase.conducts_sodium is conducts
    assert phase.notes == ()
    assert phase.title
    assert phase.source
    assert phase.role in {"electrolyte", "electrode", "inclusion"}
    assert phase.cif_text.startswith("#")


def test_the_published_densities_in_the_headers_come_out() -> None:
    """g/cm3; a wrong multiplicity would show."""
    import gemmi

    for name, density in {
        "au": 19.28,
        "pt": 21.46,
        "cu": 8.93,
        "na": 0.967,
        "au2na": 11.66,
        "na2au": 5.315,
        "zro2-m": 5.81,
        "zro2-t": 5.86,
    }.items():
        phase = load_phase(name)
        mass = sum(gemmi.Element(e).weight * o for e, o in zip(phase.elements, phase.occupancies, strict=True))
        assert mass * 1.66054 / phase.volume == pytest.approx(density, rel=2e-3)


def test_conduction_planes_lie_across_c() -> None:
    for name in ("beta2-alumina", "beta-alumina"):
        np.testing.assert_allclose(load_phase(name).conduction_normal, [0, 0, 1], atol=1e-12)
    # One conduction plane every c/3 and every c/2: (003) and (002), both about 11.3 angstrom.
    assert load_phase("beta2-alumina").d_spacing((0, 0, 3)) == pytest.approx(33.85 / 3)
    assert load_phase("beta-alumina").d_spacing((0, 0, 2)) == pytest.approx(22.53 / 2)
    assert load_phase("nzsp").conduction_normal is None


def test_sodium_lies_in_the_declared_conduction_planes() -> None:
    """Every Na within 0.4 angstrom of a plane of the declared spacing, through the first Na layer."""
    for name in ("beta2-alumina", "beta-alumina"):
        phase = load_phase(name)
        assert phase.conduction_plane is not None
        sodium = phase.positions[np.array(phase.elements) == "Na"]
        orders = sodium @ np.array(phase.conduction_plane, dtype=float)
        off = orders - 0.5  # the planes lie at odd multiples of half the spacing from the spinel blocks' centres
        off -= np.rint(off)
        assert np.abs(off).max() * phase.d_spacing(phase.conduction_plane) < 0.4


# Colours, as seen with normal and with colour-blind vision (Machado, Oliveira & Fernandes 2009, severity 1)
VISION = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def _lab(colour: str, vision: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of a hex colour seen through a colour vision matrix in linear RGB."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(vision @ linear, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = to_xyz @ linear / np.array([0.95047, 1.0, 1.08883])
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
def test_colours_can_be_told_apart(vision: str) -> None:
    seen = {p.name: _lab(p.colour, VISION[vision]) for p in list_phases()}
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 18, (one, other)
    assert all(lab[0] > 8 for lab in seen.values()), "black means not indexed"


def test_unknown_names_are_refused_with_a_hint() -> None:
    message = "unknown phase 'beta2alumina'; did you mean 'beta2-alumina'? Known are beta2-alumina, beta-alumina, nzsp,"
    with pytest.raises(ArgumentError, match=re.escape(message)):
        load_phase("beta2alumina")
    with pytest.raises(ArgumentError, match=r"^unknown phase 'quartz'; Known are .*zro2-t, or a path to a CIF$"):
        load_phase("quartz")


def test_a_path_beats_nothing_but_an_unknown_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = cif(cell=(5.0, 5.0, 5.0, 90, 90, 90), symmetry=operations("F m -3 m"))
    Path("au").write_text(text)
    Path("mine").write_text(text)
    Path("my phase.CIF").write_text(text)
    assert load_phase("au").role == "electrode"
    assert load_phase(Path("au")).cell[0] == 5.0
    assert load_phase("mine").name == "mine"
    phase = load_phase("my phase.CIF")
    assert (phase.name, phase.role, phase.source) == ("my phase", "user", "CIF my phase.CIF")
    assert (phase.conduction_plane, phase.conducts_sodium) == (None, False)
    assert re.fullmatch("#[0-9a-f]{6}", phase.colour)
    assert phase.colour not in {p.colour for p in list_phases()}


def test_templates_are_found_and_missing_ones_are_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = templates_dir()
    assert (folder / "structures" / "beta2-alumina.cif").is_file()
    installed = tmp_path / "nbedex"
    (installed / "phases").mkdir(parents=True)
    monkeypatch.setattr(catalogue, "__file__", str(installed / "phases" / "catalogue.py"))
    monkeypatch.setattr(catalogue.importlib.resources, "files", lambda _: installed)
    with pytest.raises(DataFormatError, match=r"^nbedex's own templates are missing .*; install nbedex again$"):
        templates_dir()
    (installed / "templates").mkdir()
    (installed / "templates" / "phases.toml").touch()
    assert templates_dir() == installed / "templates"


def test_every_structure_file_is_used_and_none_is_missing() -> None:
    files = {path.stem for path in (templates_dir() / "structures").glob("*.cif")}
    assert files == set(phase_names())
