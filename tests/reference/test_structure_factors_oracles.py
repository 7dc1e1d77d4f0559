"""Structure factors against gemmi's calculator, diffsims', and the symmetry of the crystal itself."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import gemmi
import numpy as np
import pytest

from cif_builder import cif
from nbedex.errors import ArgumentError
from nbedex.phases import allowed, load_phase, phase_names, reflections, structure_factors, templates_dir


def sample(phase, k_max: float, count: int) -> np.ndarray:
    hkl = reflections(phase, k_max=k_max)
    return hkl[np.random.default_rng(11).permutation(len(hkl))[:count]]


@pytest.fixture
def same_table() -> Iterator[None]:
    """gemmi's calculator with the coefficients of diffsims' table 4.3.2.3; its own are those of 4.3.2.2."""
    from diffsims.utils.sim_utils import get_scattering_params_dict

    elements = sorted({element for name in phase_names() for element in load_phase(name).elements})
    own = {element: gemmi.Element(element).c4322.get_coefs() for element in elements}
    for element in elements:
        pairs = get_scattering_params_dict("xtables")[element]
        gemmi.Element(element).c4322.set_coefs([a for a, _ in pairs] + [b for _, b in pairs])
    yield
    for element, coefficients in own.items():
        gemmi.Element(element).c4322.set_coefs(coefficients)


def gemmi_structure_factors(name: str, hkl: np.ndarray) -> np.ndarray:
    """gemmi reads the file itself, expands it itself, applies occupancies and displacements itself."""
    small = gemmi.read_small_structure(str(templates_dir() / "structures" / f"{name}.cif"))
    small.change_occupancies_to_crystallographic()
    calculator = gemmi.StructureFactorCalculatorE(small.cell)
    return np.array([calculator.calculate_sf_from_small_structure(small, h) for h in hkl.tolist()])


@pytest.mark.parametrize("name", phase_names())
def test_against_gemmi(name: str, same_table: None) -> None:
    phase = load_phase(name)
    hkl = sample(phase, 1.4, 300)
    theirs = gemmi_structure_factors(name, hkl)
    ours = structure_factors(phase, hkl, scattering="xtables")
    # gemmi leaves 0.333333 as written, we move it onto 1/3: 1e-6 of a cell edge.
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())
    assert np.linalg.norm(ours - theirs) < 1e-5 * np.linalg.norm(theirs)


@pytest.mark.parametrize("name", phase_names())
def test_against_gemmi_with_its_own_table(name: str) -> None:
    """International Tables C, 4.3.2.2 against 4.3.2.3: two fits of the same curves, 1 % apart at most."""
    phase = load_phase(name)
    hkl = sample(phase, 1.4, 100)
    theirs = gemmi_structure_factors(name, hkl)
    ours = structure_factors(phase, hkl, scattering="xtables")
    assert np.linalg.norm(ours - theirs) < 0.01 * np.linalg.norm(theirs)


@pytest.mark.parametrize("scattering", ["lobato", "xtables"])
@pytest.mark.parametrize("name", phase_names())
def test_against_diffsims(name: str, scattering: str) -> None:
    """Through `to_orix`, which is how a user of diffsims would do it. No Debye-Waller factors there: none here."""
    from diffsims.utils.sim_utils import get_kinematical_intensities

    phase = load_phase(name)
    structure = phase.to_orix().structure
    hkl = sample(phase, 1.4, 200)
    theirs = get_kinematical_intensities(structure, hkl, 1 / phase.d_spacing(hkl), scattering_params=scattering)
    ours = np.abs(structure_factors(replace(phase, u_iso=np.zeros_like(phase.u_iso)), hkl, scattering=scattering)) ** 2
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8 * theirs.max())


def test_debye_waller_factors_against_diffsims() -> None:
    """B = 8 pi^2 U and exp(-B s^2), s = |g| / 2; m-ZrO2 has one U for each element."""
    from diffsims.utils.sim_utils import get_kinematical_intensities

    phase = load_phase("zro2-m")
    b_iso = {e: 8 * np.pi**2 * float(u) for e, u in zip(phase.elements, phase.u_iso, strict=True)}
    assert b_iso["Zr"] != b_iso["O"]
    hkl = sample(phase, 1.8, 200)
    theirs = get_kinematical_intensities(
        phase.to_orix().structure, hkl, 1 / phase.d_spacing(hkl), debye_waller_factors=b_iso
    )
    np.testing.assert_allclose(np.abs(structure_factors(phase, hkl)) ** 2, theirs, rtol=1e-6, atol=1e-8 * theirs.max())


def test_one_atom_by_hand(tmp_path) -> None:
    """Copper: F(200) = 4 f(0.5533) exp(-2 pi^2 U g^2), with Lobato & Van Dyck's ten numbers written out."""
    phase = load_phase("cu")
    g = 2 / 3.61496
    from diffsims.utils.lobato_scattering_params import ATOMIC_SCATTERING_PARAMS_LOBATO as TABLE

    f = sum(a * (2 + b * g**2) / (1 + b * g**2) ** 2 for a, b in TABLE["Cu"])
    value = structure_factors(phase, [[2, 0, 0]])[0]
    assert value == pytest.approx(4 * f * np.exp(-2 * np.pi**2 * 0.007 * g**2), rel=1e-12)
    # f(0) of copper is 5.6 angstrom in International Tables C, table 4.3.1.1
    assert sum(2 * a for a, _ in TABLE["Cu"]) == pytest.approx(5.6, abs=0.05)


def test_the_two_tables_agree_roughly() -> None:
    phase = load_phase("beta2-alumina")
    hkl = sample(phase, 1.2, 300)
    one, two = (structure_factors(phase, hkl, scattering=s) for s in ("lobato", "xtables"))
    assert np.linalg.norm(one - two) / np.linalg.norm(one) < 0.05


@pytest.mark.parametrize("name", phase_names())
def test_each_laue_operator_maps_the_intensities_onto_themselves(name: str) -> None:
    """The strong test: Cartesian operators, the reciprocal lattice and |F|^2 must fit together."""
    phase = load_phase(name)
    hkl = reflections(phase, k_max=0.9)
    intensity = dict(zip(map(tuple, hkl.tolist()), np.abs(structure_factors(phase, hkl)) ** 2, strict=True))
    strongest = max(intensity.values())
    g = hkl @ phase.reciprocal_basis.T
    for operator in phase.laue_operators:
        image = g @ operator.T @ phase.direct_basis  # indices h = g . a
        rounded = np.rint(image).astype(int)
        assert np.abs(image - rounded).max() < 1e-6
        moved = np.array([intensity[tuple(h)] for h in rounded.tolist()])
        np.testing.assert_allclose(moved, list(intensity.values()), atol=1e-7 * strongest)


@pytest.mark.parametrize("name", ["nzsp", "zro2-m"])
def test_orix_two_fold_axis_does_not_map_them(name: str) -> None:
    """The counter-check: the 2-fold on z that orix has for 2/m isn't a symmetry of these crystals."""
    phase = load_phase(name)
    hkl = reflections(phase, k_max=0.5)
    image = hkl @ phase.reciprocal_basis.T @ np.diag([-1.0, -1.0, 1.0]) @ phase.direct_basis
    assert np.abs(image - np.rint(image)).max() > 0.1


@pytest.mark.parametrize("name", phase_names())
def test_absent_reflections_have_no_structure_factor(name: str) -> None:
    phase = load_phase(name)
    hkl = reflections(phase, k_max=1.2)
    amplitude, kept = np.abs(structure_factors(phase, hkl)), allowed(phase, hkl)
    assert np.all(amplitude[~kept] < 1e-9 * amplitude.max())
    if name not in ("zro2-m",):
        assert 0 < kept.sum() < len(hkl)
    theirs = gemmi.SpaceGroup(phase.space_group_name).operations().systematic_absences(hkl.astype(np.int32))
    np.testing.assert_array_equal(kept, ~theirs)


def test_zirconia_has_both_kinds_too() -> None:
    phase = load_phase("zro2-m")
    assert allowed(phase, [[0, 1, 0], [0, 2, 0], [1, 0, 1], [1, 0, 2], [1, 1, 1]]).tolist() == [
        False,
        True,
        False,
        True,
        True,
    ]


def test_partial_occupancy_counts() -> None:
    phase = load_phase("beta2-alumina")
    full = replace(phase, occupancies=np.ones_like(phase.occupancies))
    hkl = [[0, 0, 3], [0, 0, 6], [1, 1, 0]]
    assert np.all(np.abs(structure_factors(phase, hkl) - structure_factors(full, hkl)) > 0.5)


def test_the_answer_does_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["nbedex.phases.structure_factors"]
    phase = load_phase("nzsp-r3c")
    hkl = reflections(phase, k_max=0.5)
    whole = structure_factors(phase, hkl)
    monkeypatch.setattr(module, "_CHUNK_ELEMENTS", 1000)
    np.testing.assert_allclose(structure_factors(phase, hkl), whole, rtol=1e-12, atol=1e-12)


def test_speed_of_the_largest_phase() -> None:
    phase = load_phase("nzsp")
    structure_factors(phase, [[1, 0, 0]])
    started = time.process_time()
    structure_factors(phase, reflections(phase, k_max=1.5))
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize("hkl", [[1, 0, 0], [[1, 0]], [[0.5, 0, 0]], 3])
def test_bad_indices_are_refused(hkl) -> None:
    for function in (structure_factors, allowed):
        with pytest.raises(ArgumentError, match=r"^hkl must"):
            function(load_phase("au"), hkl)


def test_bad_tables_and_elements_are_refused(tmp_path) -> None:
    with pytest.raises(ArgumentError, match=r"^scattering must be one of lobato, xtables, got 'x-rays'$"):
        structure_factors(load_phase("au"), [[1, 1, 1]], scattering="x-rays")
    path = tmp_path / "californium.cif"
    path.write_text(cif(sites=[("Cf", 0, 0, 0)]))
    for scattering in ("lobato", "xtables"):
        assert structure_factors(load_phase(path), [[1, 0, 0]], scattering=scattering).real > 0


def test_no_reflections_no_factors() -> None:
    assert structure_factors(load_phase("au"), np.empty((0, 3), dtype=int)).shape == (0,)
