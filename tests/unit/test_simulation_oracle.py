"""Simulation against a slow oracle; double diffraction, absences, threads, and what must be refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cif_builder import cif
from nbedex import _core
from nbedex.errors import ArgumentError
from nbedex.library import SimulationSettings, kinematical_intensities, simulate, simulate_templates
from nbedex.phases import load_phase
from oracles.laue_groups import matrix, random_quaternions, turn
from oracles.simulate_oracle import simulate_one

Pattern = dict[tuple[int, int, int], tuple[float, float, float]]


def pattern(spots: object, t: int = 0) -> Pattern:
    p = spots.pattern(t)  # type: ignore[attr-defined]
    return {tuple(h): (x, y, i) for h, x, y, i in zip(p["hkl"].tolist(), p["kx"], p["ky"], p["intensity"], strict=True)}


def along(direction: np.ndarray) -> np.ndarray:
    """Quaternion that brings sample Z along a crystal direction, and no more."""
    z = direction / np.linalg.norm(direction)
    axis = np.cross([0, 0, 1], z)
    half = np.arccos(np.clip(z[2], -1, 1)) / 2
    axis = axis / np.linalg.norm(axis) if np.linalg.norm(axis) > 1e-12 else np.array([1.0, 0, 0])
    return np.array([np.cos(half), *(np.sin(half) * axis)])


@pytest.mark.parametrize("shape", ["binary", "linear", "lorentzian", "sinc", "sin2c", "atanc"])
@pytest.mark.parametrize("precession", [0.0, 0.5])
def test_equal_to_the_oracle(shape: str, precession: float) -> None:
    phase = load_phase("zro2-m")
    settings = SimulationSettings(
        voltage=200.0, k_max=1.0, max_excitation_error=0.04, shape=shape, precession_deg=precession, thickness_nm=8.0,
        minimum_intensity=1e-3,
    )  # fmt: skip
    q = random_quaternions(1, seed=len(shape))[0]
    mine = pattern(simulate(phase, q[None], settings, threads=1))
    slow = simulate_one(
        phase, matrix(q), kilovolt=200.0, k_max=1.0, max_excitation_error=0.04, shape=shape, width=1 / 80,
        precession_deg=precession, minimum_intensity=1e-3,
    )  # fmt: skip
    assert set(mine) == set(slow) and len(slow) > 8
    a, b = np.array([mine[h] for h in slow]), np.array(list(slow.values()))
    np.testing.assert_allclose(a[:, :2], b[:, :2], atol=1e-6)
    # with precession only ratios mean something, and 256 steps resolve narrow shapes to some 1e-3
    scale = a[:, 2].sum() / b[:, 2].sum() if precession else 1.0
    rtol, atol = (2e-3, 1e-3 * a[:, 2].max()) if precession else (1e-5, 0.0)
    np.testing.assert_allclose(a[:, 2], scale * b[:, 2], rtol=rtol, atol=atol)


def test_ewald_sphere_lies_above() -> None:
    """The sphere's centre is at +Z: only reflections bent towards +Z, g_z > 0, can be exactly excited."""
    phase = load_phase("au")
    settings = SimulationSettings(voltage=60.0, k_max=1.5, max_excitation_error=0.01, minimum_intensity=0.0)
    heights: list[float] = []
    for q in random_quaternions(40, seed=1):
        spots = pattern(simulate(phase, q[None], settings, threads=1))
        heights += [(matrix(q).T @ (phase.reciprocal_basis @ h))[2] for h in spots]
    assert len(heights) > 60
    assert np.mean(np.array(heights) > 0) > 0.9


def test_a_turn_about_the_beam_turns_the_pattern_back() -> None:
    """O R_z(-phi) is the crystal, and so the pattern, turned from X towards Y by phi; O R_y(180) mirrors it."""
    phase = load_phase("zro2-m")
    settings = SimulationSettings(voltage=300.0, k_max=1.2, max_excitation_error=0.02)
    q = random_quaternions(1, seed=12)[0]
    phi = np.deg2rad(37.0)
    w, x, y, z = q

    def times(bw: float, bx: float, by: float, bz: float) -> np.ndarray:
        return np.array([
            w * bw - x * bx - y * by - z * bz, w * bx + x * bw + y * bz - z * by,
            w * by - x * bz + y * bw + z * bx, w * bz + x * by - y * bx + z * bw,
        ])  # fmt: skip

    turned = times(np.cos(phi / 2), 0, 0, -np.sin(phi / 2))
    mirrored = times(0, 0, 1, 0)
    np.testing.assert_allclose(matrix(turned), matrix(q) @ turn((0, 0, 1), -37.0), atol=1e-12)
    np.testing.assert_allclose(matrix(mirrored), matrix(q) @ turn((0, 1, 0), 180.0), atol=1e-12)
    spots = simulate(phase, np.array([q, turned, mirrored]), settings, threads=1)
    base, second, third = (pattern(spots, t) for t in range(3))
    assert set(base) == set(second)
    for h, (kx, ky, i) in base.items():
        expected = (np.cos(phi) * kx - np.sin(phi) * ky, np.sin(phi) * kx + np.cos(phi) * ky)
        np.testing.assert_allclose(second[h][:2], expected, atol=2e-6)
        assert second[h][2] == pytest.approx(i, rel=1e-5)
        opposite = third[tuple(-n for n in h)]  # type: ignore[index]
        np.testing.assert_allclose(opposite[:2], (kx, -ky), atol=2e-6)
        assert opposite[2] == pytest.approx(i, rel=1e-5)


def na2au_111() -> tuple[object, np.ndarray]:
    phase = load_phase("na2au")
    return phase, along(phase.direct_basis @ np.array([1, 1, 1]))


def test_na2au_zone_111_by_double_diffraction() -> None:
    """(-1 0 1) and (0 -1 1) at 2.26 1/nm are glide-absent, and yet what was measured [Ding2024, table 5-1]."""
    phase, q = na2au_111()
    options = {"voltage": 300.0, "k_max": 1.2, "max_excitation_error": 0.03, "minimum_intensity": 0.0}
    without = pattern(simulate(phase, q[None], SimulationSettings(**options), threads=1))
    with_it = pattern(simulate(phase, q[None], SimulationSettings(**options, double_diffraction=0.3), threads=1))
    for h in [(-1, 0, 1), (0, -1, 1), (1, 0, -1), (0, 1, -1)]:
        assert h not in without
        assert with_it[h][2] > 0
        assert np.hypot(*with_it[h][:2]) == pytest.approx(0.226, abs=0.0005)
        pairs = [a for a in without if tuple(np.subtract(h, a)) in without]
        assert pairs, "a spot by double diffraction without two reflections to make it"
    for h, values in without.items():
        assert with_it[h] == values, "present reflections must not change"
    assert max(v[2] for h, v in with_it.items() if h not in without) <= max(v[2] for v in without.values())


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_double_diffraction_equals_the_oracle(share: float) -> None:
    phase, q = na2au_111()
    q = q + np.array([0, 0.004, 0.007, 0])  # off the zone, so that nothing is equal by symmetry
    q /= np.linalg.norm(q)
    settings = SimulationSettings(
        voltage=300.0, k_max=1.0, max_excitation_error=0.03, minimum_intensity=0.0, double_diffraction=share
    )
    mine = pattern(simulate(phase, q[None], settings, threads=1))
    slow = simulate_one(
        phase, matrix(q), kilovolt=300.0, k_max=1.0, max_excitation_error=0.03, shape="lorentzian",
        double_diffraction=share,
    )  # fmt: skip
    assert set(mine) == set(slow)
    a, b = np.array([mine[h] for h in slow]), np.array(list(slow.values()))
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_double_diffraction_under_precession_is_continuous() -> None:
    """A precession angle next to nothing changes next to nothing, also not the share of double diffraction."""
    phase, q = na2au_111()
    ratios = []
    for angle in (0.0, 1e-4):
        settings = SimulationSettings(
            voltage=300.0, k_max=1.0, minimum_intensity=0.0, double_diffraction=0.3, precession_deg=angle
        )
        spots = pattern(simulate(phase, q[None], settings, threads=1))
        ratios.append(spots[(-1, 0, 1)][2] / max(v[2] for h, v in spots.items() if h != (-1, 0, 1)))
    assert ratios[1] == pytest.approx(ratios[0], rel=1e-3)


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize(
    ("name", "lattice"),
    [("au", "F"), ("na", "I"), ("na2au", "I"), ("nzsp", "C"), ("beta2-alumina", "R"), ("au2na", "F")],
)
def test_centring_absences_never_appear(name: str, lattice: str, share: float) -> None:
    settings = SimulationSettings(
        voltage=300.0,
        k_max=1.4 if name in ("au", "na") else 0.9,
        max_excitation_error=0.06,
        minimum_intensity=0.0,
        double_diffraction=share,
    )
    spots = simulate(load_phase(name), random_quaternions(5, seed=3), settings, threads=1)
    h, k, m = spots.hkl[spots.reflection].T
    present = {
        "F": ((h + k) % 2 == 0) & ((h + m) % 2 == 0),
        "I": (h + k + m) % 2 == 0,
        "C": (h + k) % 2 == 0,
        "R": (-h + k + m) % 3 == 0,
    }[lattice]
    assert len(present) > 20 and present.all()


def test_diamond_type_absence_by_double_diffraction() -> None:
    """(0 0 2) of Au2Na (d glide) can be reached by two reflections, (1 1 1) + (-1 -1 1), from the [110] zone."""
    phase = load_phase("au2na")
    q = along(np.array([1.0, -1.0, 0.0]))
    options = {"voltage": 300.0, "k_max": 1.0, "max_excitation_error": 0.03, "minimum_intensity": 0.0}
    assert (0, 0, 2) not in pattern(simulate(phase, q[None], SimulationSettings(**options), threads=1))
    with_it = pattern(simulate(phase, q[None], SimulationSettings(**options, double_diffraction=0.2), threads=1))
    assert with_it[(0, 0, 2)][2] > 0


def test_independent_of_threads_and_of_neighbours() -> None:
    phase = load_phase("nzsp")
    settings = SimulationSettings(voltage=300.0, k_max=1.0, double_diffraction=0.1)
    orientations = random_quaternions(200, seed=2)  # more than three runs of 64
    one = simulate(phase, orientations, settings, threads=1)
    for threads in (2, 5, 0):
        many = simulate(phase, orientations, settings, threads=threads)
        for name in ("offset", "kx", "ky", "intensity", "reflection", "hkl"):
            assert getattr(one, name).tobytes() == getattr(many, name).tobytes(), name
    alone = simulate(phase, orientations[150:151], settings, threads=1)
    for name in ("kx", "ky", "intensity", "hkl"):
        assert alone.pattern(0)[name].tobytes() == one.pattern(150)[name].tobytes()


def test_offsets_delimit_the_patterns() -> None:
    spots = simulate(load_phase("au"), random_quaternions(70, seed=2), SimulationSettings(voltage=300.0), threads=2)
    assert len(spots) == 70 and spots.offset.shape == (71,)
    assert spots.offset[0] == 0 and spots.offset[-1] == len(spots.kx) and (np.diff(spots.offset) >= 0).all()


def test_no_orientations() -> None:
    spots = simulate(load_phase("au"), np.empty((0, 4)), SimulationSettings(voltage=300.0), threads=2)
    assert len(spots) == 0 and spots.offset.tolist() == [0] and len(spots.kx) == 0


def test_templates_are_those_of_the_grid() -> None:
    phase = load_phase("au")
    spots = simulate_templates(phase, SimulationSettings(voltage=300.0, step_deg=5.0), threads=1)
    beams = np.array([matrix(q) @ [0, 0, 1] for q in spots.orientation])
    assert len(spots) > 20
    nearest = (np.einsum("nij,pj->npi", phase.laue_operators, beams) @ np.array([1, 2, 3]) / np.sqrt(14)).max()
    assert np.arccos(min(1.0, nearest)) <= np.deg2rad(2.5)


def test_k_max_without_reflections() -> None:
    with pytest.raises(ArgumentError, match=r"^k_max = 0\.2 1/angstrom holds no reflection of au$"):
        simulate(load_phase("au"), random_quaternions(1, seed=1), SimulationSettings(voltage=300.0, k_max=0.2))


def test_unknown_shape_in_the_core() -> None:
    with pytest.raises(ValueError, match="shape must be binary, linear, lorentzian, sinc, sin2c or atanc, got gauss"):
        _core.SimulationOptions(
            wavelength=0.02, max_excitation_error=0.01, shape_width=0.01, shape="gauss", precession_angle=0.0,
            minimum_intensity=0.0, double_diffraction=0.0,
        )  # fmt: skip


def test_intensities_are_computed_once_and_of_this_crystal(tmp_path: Path) -> None:
    """Kept for whoever asks next, so nobody may change them; a crystal of the same name is another one."""
    sites = (("Au", 0.0, 0.0, 0.0), ("Na", 0.5, 0.5, 0.5))
    phases = []
    for edge in (4.0, 4.5):
        (tmp_path / "x.cif").write_text(cif(cell=(edge, edge, edge, 90, 90, 90), sites=sites))
        phases.append(load_phase(tmp_path / "x.cif"))
    settings, wider = (SimulationSettings(voltage=300.0, k_max=k_max) for k_max in (0.6, 0.9))
    small, large = (kinematical_intensities(phase, settings) for phase in phases)
    assert kinematical_intensities(phases[0], SimulationSettings(voltage=300.0, k_max=0.6)) is small
    assert len(large[0]) > len(small[0]) < len(kinematical_intensities(phases[0], wider)[0])
    for array in small:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
