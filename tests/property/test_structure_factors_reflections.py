"""The list of reflections is complete, in every crystal system and in very oblique cells."""

from __future__ import annotations

import itertools
from dataclasses import replace

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cif_builder import cell_for, cif, operations
from nbedex.errors import ArgumentError
from nbedex.phases import Phase, load_phase, phase_names, reflections

CELLS = {
    "cubic": (4.1, 4.1, 4.1, 90, 90, 90),
    "tetragonal": (4.1, 4.1, 7.7, 90, 90, 90),
    "orthorhombic": (3.1, 4.7, 9.9, 90, 90, 90),
    "hexagonal": (3.3, 3.3, 14.9, 90, 90, 120),
    "rhombohedral": (6.1, 6.1, 6.1, 33, 33, 33),
    "monoclinic b": (9.5, 4.1, 5.2, 90, 131, 90),
    "monoclinic c": (9.5, 4.1, 5.2, 90, 90, 139),
    "triclinic": (5.1, 6.2, 7.3, 71, 83, 109),
    "very oblique": (8.0, 9.0, 10.0, 25, 35, 55),
    "almost flat": (6.0, 7.0, 8.0, 119, 119, 119),
}


def with_cell(cell) -> Phase:
    """Gold's atoms in another cell; reflections see nothing else."""
    return replace(load_phase("au"), cell=tuple(float(v) for v in cell))


def brute_force(cell, k_max: float) -> set[tuple[int, int, int]]:
    """Every index in a generous box, lengths from gemmi's reciprocal metric."""
    oracle = gemmi.UnitCell(*cell)
    # |h| <= |g| |a|, plus one
    limits = [int(k_max * edge) + 2 for edge in cell[:3]]
    grid = np.array(list(itertools.product(*(range(-n, n + 1) for n in limits))), dtype=np.int32)
    d2 = np.asarray(oracle.calculate_1_d2_array(grid))
    inside = (d2 <= (k_max * (1 + 1e-9)) ** 2) & (d2 > 0)
    return set(map(tuple, grid[inside].tolist()))


@pytest.mark.parametrize("system", CELLS)
@pytest.mark.parametrize("k_max", [0.31, 1.0])
def test_against_brute_force(system: str, k_max: float) -> None:
    found = reflections(with_cell(CELLS[system]), k_max=k_max)
    as_tuples = list(map(tuple, found.tolist()))
    assert len(set(as_tuples)) == len(as_tuples)
    assert set(as_tuples) == brute_force(CELLS[system], k_max)
    assert as_tuples == sorted(as_tuples)
    assert found.dtype == np.int64


ANGLE = st.floats(20, 160)
LENGTH = st.floats(2, 12)


@settings(max_examples=40, deadline=None)
@given(LENGTH, LENGTH, LENGTH, ANGLE, ANGLE, ANGLE, st.floats(0.05, 0.6))
def test_against_brute_force_in_random_cells(a, b, c, alpha, beta, gamma, k_max) -> None:
    cos = np.cos(np.deg2rad([alpha, beta, gamma]))
    if 1 - np.sum(cos**2) + 2 * np.prod(cos) < 0.003:
        return
    cell = (a, b, c, alpha, beta, gamma)
    found = set(map(tuple, reflections(with_cell(cell), k_max=k_max).tolist()))
    expected = brute_force(cell, k_max)
    # Only reflections within rounding of the sphere may differ between two ways of computing a length.
    oracle = gemmi.UnitCell(*cell)
    for hkl in found ^ expected:
        assert abs(1 / oracle.calculate_d(list(hkl)) / k_max - 1) < 2e-8


def test_an_index_limit_from_the_reciprocal_axes_would_lose_reflections() -> None:
    """diffsims 0.7 limits h by k_max / |a*|; this is why ours doesn't."""
    phase = load_phase("nzsp")
    hkl = reflections(phase, k_max=1.5)
    naive = np.floor(1.5 / np.linalg.norm(phase.reciprocal_basis, axis=0))
    lost = np.any(np.abs(hkl) > naive, axis=1)
    assert lost.sum() > 1000
    assert len(hkl) == len(brute_force(phase.cell, 1.5))


@pytest.mark.parametrize("name", phase_names())
def test_the_list_is_closed_under_the_laue_group_with_a_rim_through_reflections(name: str) -> None:
    """k_max exactly the length of a reflection: all its equivalents are in, or rounding would tear them apart."""
    phase = load_phase(name)
    k_max = float(1 / phase.d_spacing((2, 1, 1)))
    hkl = reflections(phase, k_max=k_max)
    members = set(map(tuple, hkl.tolist()))
    assert (2, 1, 1) in members
    for operator in phase.space_group_operations.laue_rotations():
        assert set(map(tuple, (hkl @ operator).tolist())) == members
    assert set(map(tuple, (-hkl).tolist())) == members


def test_nothing_inside_a_tiny_sphere() -> None:
    assert reflections(load_phase("au"), k_max=0.01).shape == (0, 3)


@pytest.mark.parametrize("k_max", [0, -1, float("nan"), float("inf")])
def test_a_bad_radius_is_refused(k_max: float) -> None:
    with pytest.raises(ArgumentError, match=r"^k_max must be positive"):
        reflections(load_phase("au"), k_max=k_max)


def test_a_huge_sphere_is_refused_before_memory_is_asked_for() -> None:
    with pytest.raises(ArgumentError, match=r"means more than 5000000 reflections of nzsp"):
        reflections(load_phase("nzsp"), k_max=50)


def test_the_systems_here_are_real_ones(tmp_path) -> None:
    """One file of each system through the reader, so that the shortcut above can't hide anything."""
    for setting in ("P -1", "P 1 2/m 1", "P m m m", "P 4/m", "P -3", "P 6/m", "P m -3", "R -3:R"):
        group = gemmi.SpaceGroup(setting)
        path = tmp_path / "x.cif"
        path.write_text(cif(cell=cell_for(group), symmetry=operations(group)))
        phase = load_phase(path)
        assert set(map(tuple, reflections(phase, k_max=0.3).tolist())) == brute_force(phase.cell, 0.3)
