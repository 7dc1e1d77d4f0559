"""Dynamical intensities against eigenvectors, multislice and the two-beam formula; what holds for all crystals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cif_builder import cif
from nbedex import _core
from nbedex.errors import ArgumentError
from nbedex.library import DynamicalCrystal, DynamicalSettings, SimulationSettings, simulate
from nbedex.maps import multiply
from nbedex.phases import Phase, load_phase
from oracles.bloch_oracle import bloch_eigen, multislice
from oracles.laue_groups import matrix, random_quaternions

THREE_ATOMS = (("Au", 0.1, 0.2, 0.05), ("O", 0.37, 0.61, 0.31), ("Na", 0.72, 0.15, 0.7))
DEPTHS = np.array([0.0, 3.0, 3.0, 17.0, 60.0, 150.0])


def phase_from(folder: Path, text: str) -> Phase:
    path = folder / "x.cif"
    path.write_text(text, encoding="utf-8")
    return load_phase(path)


def triclinic(folder: Path) -> Phase:
    return phase_from(folder, cif(cell=(4.1, 5.3, 6.2, 81, 95, 103), sites=THREE_ATOMS, u_iso=0.02))


def crystal(phase: Phase, *, k_max: float = 1.2, error: float = 0.02, strong: float | None = None) -> DynamicalCrystal:
    return DynamicalCrystal(
        phase,
        DynamicalSettings(voltage=300.0, k_max=k_max, max_excitation_error=error, strong_excitation_error=strong),
    )


def by_hkl(
    made: DynamicalCrystal, orientation: np.ndarray, depths: np.ndarray = DEPTHS
) -> dict[tuple[int, ...], np.ndarray]:
    pattern = made.patterns(orientation[None], depths, threads=1).pattern(0)
    return {tuple(h): i for h, i in zip(pattern["hkl"].tolist(), pattern["intensity"], strict=True)}


@pytest.mark.parametrize("name", ["triclinic", "zro2-m", "beta2-alumina", "na2au"])
def test_equal_to_eigenvectors(name: str, tmp_path: Path) -> None:
    phase = triclinic(tmp_path) if name == "triclinic" else load_phase(name)
    made = crystal(phase, k_max=1.0)
    assert made.is_real == (name != "triclinic")
    for q in random_quaternions(2, seed=3):
        mine = by_hkl(made, q)
        slow = bloch_eigen(phase, matrix(q), 10 * DEPTHS, kilovolt=300.0, k_max=1.0, error=0.02)
        lattice_points = {h for h in slow if h in mine}
        for h in set(slow) - lattice_points:  # forbidden by centring: no beam there
            assert slow[h].max() < 1e-12
        assert lattice_points == set(mine) and len(mine) > 5
        for h, expected in slow.items():
            np.testing.assert_allclose(mine.get(h, np.zeros(len(DEPTHS))), expected, atol=1e-6)


def test_equal_to_multislice(tmp_path: Path) -> None:
    """Signs of time, of structure factors and of the beam's direction: a crystal without a centre shows them all."""
    phase = phase_from(tmp_path, cif(cell=(4.1, 5.3, 6.2, 90, 90, 90), sites=THREE_ATOMS, u_iso=0.08))
    settings = DynamicalSettings(voltage=300.0, k_max=1.6, max_excitation_error=0.05, strong_excitation_error=None)
    slow = multislice(phase, 12, kilovolt=300.0, k_max=1.0, slices=8, pixels=32)
    mine = by_hkl(DynamicalCrystal(phase, settings), np.array([1.0, 0, 0, 0]), 0.62 * np.arange(1, 13))
    shown = [h for h in slow if np.hypot(h[0] / 4.1, h[1] / 5.3) < 0.9]
    expected = np.array([slow[h] for h in shown])
    found = np.array([mine[h] for h in shown])
    friedel = np.array([mine[-h[0], -h[1], 0] for h in shown])
    assert np.abs(found - expected).max() < 5e-4
    assert np.abs(friedel - expected).max() > 0.01


@pytest.mark.parametrize("s", [0.0, 0.0007, -0.004])
def test_two_beams(s: float) -> None:
    """I = sin^2(pi t sigma) / (xi sigma)^2 with sigma^2 = s^2 + 1 / xi^2."""
    wavelength, xi = 0.0197, 430.0
    q = np.exp(0.9j) / (2 * xi)
    g = np.array([0.3, 0.0, 1 / wavelength - np.sqrt(1 / wavelength**2 - 0.09) + s])
    made = _core.BlochCrystal(
        coupling_hkl=np.array([[1, 0, 0], [-1, 0, 0], [2, 0, 0], [-2, 0, 0]], dtype=np.int32),
        coupling=np.array([q, q.conjugate(), 0, 0]),
        hkl=np.array([[1, 0, 0]], dtype=np.int32),
        g=g[None],
    )
    depth = np.linspace(0, 1500, 61)
    options = _core.BlochOptions(
        wavelength=wavelength, max_excitation_error=0.01, strong_excitation_error=0.01, thickness=depth.tolist()
    )
    found = made.patterns(np.array([[1.0, 0, 0, 0]]), options, 1)["intensity"]
    sigma = np.hypot(s, 1 / xi)
    expected = (np.sin(np.pi * depth * sigma) / (xi * sigma)) ** 2
    np.testing.assert_allclose(found, [1 - expected, expected], atol=1e-6)


def test_thin_crystals_are_kinematical() -> None:
    phase = load_phase("zro2-m")
    q = random_quaternions(1, seed=5)
    # binary: |F|^2; thin enough that excitation errors do nothing either
    settings = SimulationSettings(
        voltage=300.0, k_max=1.2, max_excitation_error=0.02, shape="binary", minimum_intensity=1e-6
    )
    spots = simulate(phase, q, settings, threads=1).pattern(0)
    thin = crystal(phase).patterns(q, [0.2], threads=1).pattern(0)
    rows = {tuple(h): i for i, h in enumerate(thin["hkl"].tolist())}
    at = [rows[tuple(h)] for h in spots["hkl"].tolist()]
    assert len(at) > 15
    np.testing.assert_array_equal(thin["kx"][at], spots["kx"])
    np.testing.assert_array_equal(thin["ky"][at], spots["ky"])
    strong = spots["intensity"] > 0.05 * spots["intensity"].max()
    ratio = (thin["intensity"][at, 0] / spots["intensity"])[strong]
    assert ratio.max() / ratio.min() < 1.02


def test_nothing_is_lost_and_nothing_depends_on_threads_or_neighbours(tmp_path: Path) -> None:
    for phase in (triclinic(tmp_path), load_phase("nzsp")):
        made = crystal(phase)
        q = random_quaternions(5, seed=8)
        one, two = (made.patterns(q, DEPTHS, threads=threads) for threads in (1, 2))
        np.testing.assert_array_equal(one.intensity, two.intensity)
        np.testing.assert_array_equal(made.patterns(q[3:4], DEPTHS, threads=1).intensity, one.pattern(3)["intensity"])
        for t in range(len(one)):
            pattern = one.pattern(t)
            assert pattern["hkl"][0].tolist() == [0, 0, 0]
            np.testing.assert_allclose(pattern["intensity"].sum(axis=0), 1.0, atol=2e-6)
            assert pattern["intensity"][0, 0] == 1.0  # no crystal, no scattering


def test_any_order_of_the_beams() -> None:
    rng = np.random.default_rng(1)
    n = 9
    hkl = np.array([[h, k, 0] for h in range(-4, 5) for k in range(-4, 5)], dtype=np.int32)
    half = rng.normal(size=(9, 9)) + 1j * rng.normal(size=(9, 9))
    q = 1e-3 * (half + half[::-1, ::-1].conj()).ravel()
    beams = hkl[rng.permutation([i for i, h in enumerate(hkl) if 0 < abs(h).max() <= 2])[:n]]
    g = np.concatenate([0.2 * beams[:, :2], rng.normal(0, 0.002, (n, 1))], axis=1)
    options = _core.BlochOptions(
        wavelength=0.0197, max_excitation_error=0.1, strong_excitation_error=0.1, thickness=[100.0, 900.0]
    )

    def run(order: np.ndarray) -> np.ndarray:
        made = _core.BlochCrystal(coupling_hkl=hkl, coupling=q, hkl=beams[order], g=g[order])
        out = made.patterns(np.array([[1.0, 0, 0, 0]]), options, 1)
        assert out["reflection"].tolist() == [-1, *range(n)]
        return out["intensity"]

    first, order = run(np.arange(n)), rng.permutation(n)
    np.testing.assert_allclose(run(order), first[np.concatenate([[0], order + 1])], atol=1e-6)
    assert np.ptp(first[1:]) > 0.05


def test_equivalent_orientations_have_the_same_pattern() -> None:
    phase = load_phase("nzsp-r3c")
    made = crystal(phase, k_max=0.8)
    q = random_quaternions(1, seed=2)[0]
    patterns = made.patterns(np.array([multiply(s, q) for s in phase.symmetry_quaternions]), [80.0], threads=1)
    spots = [
        np.array(sorted(zip(p["kx"].round(4).tolist(), p["ky"].round(4).tolist(), p["intensity"][:, 0], strict=True)))
        for p in map(patterns.pattern, range(len(patterns)))
    ]
    assert len(spots) == 6
    for other in spots[1:]:
        np.testing.assert_allclose(other[:, 2], spots[0][:, 2], atol=2e-6)


def test_weak_beams_as_perturbations() -> None:
    """Much nearer to the truth than leaving them out, for all beams alike."""
    phase = load_phase("beta2-alumina")
    full = crystal(phase, error=0.03)
    bethe, without = crystal(phase, error=0.03, strong=0.01), crystal(phase, error=0.01)
    depths = np.arange(20.0, 151.0, 10.0)
    misses = {"bethe": 0.0, "without": 0.0}
    for q in random_quaternions(4, seed=6):
        truth = by_hkl(full, q, depths)
        assert set(by_hkl(bethe, q, depths)) == set(truth)
        for name, made in (("bethe", bethe), ("without", without)):
            found = by_hkl(made, q, depths)
            misses[name] += sum(float(np.sum((found.get(h, 0.0) - truth[h]) ** 2)) for h in truth if any(h))
    assert misses["bethe"] < 0.25 * misses["without"]


def test_a_weak_beam_alone_starts_from_nothing() -> None:
    """Where there's nothing but the direct beam to scatter from, the perturbation is the kinematical formula."""
    wavelength, q, s = 0.0197, 1e-4j, 0.02
    g = np.array([0.3, 0.0, 1 / wavelength - np.sqrt(1 / wavelength**2 - 0.09) + s])
    made = _core.BlochCrystal(
        coupling_hkl=np.array([[1, 0, 0], [-1, 0, 0], [2, 0, 0], [-2, 0, 0]], dtype=np.int32),
        coupling=np.array([q, -q, 0, 0]),
        hkl=np.array([[1, 0, 0]], dtype=np.int32),
        g=g[None],
    )
    depth = np.linspace(0, 100, 21)
    options = _core.BlochOptions(
        wavelength=wavelength, max_excitation_error=0.03, strong_excitation_error=0.01, thickness=depth.tolist()
    )
    found = made.patterns(np.array([[1.0, 0, 0, 0]]), options, 1)["intensity"][1]
    np.testing.assert_allclose(found, (2 * 1e-4 * np.sin(np.pi * s * depth) / s) ** 2, rtol=1e-2, atol=1e-9)


def test_a_centre_of_symmetry_away_from_the_origin(tmp_path: Path) -> None:
    loop = "loop_\n_space_group_symop_operation_xyz\n'x,y,z'\n'{}'"
    cell = (4.1, 5.3, 6.2, 81, 95, 103)
    shift = np.array([1 / 8, 1 / 4, 3 / 8])
    here = phase_from(tmp_path, cif(cell=cell, sites=THREE_ATOMS, symmetry=loop.format("-x,-y,-z")))
    moved_sites = tuple((e, x + shift[0], y + shift[1], z + shift[2]) for e, x, y, z in THREE_ATOMS)
    moved = phase_from(tmp_path, cif(cell=cell, sites=moved_sites, symmetry=loop.format("-x+1/4,-y+1/2,-z+3/4")))
    a, b = crystal(here), crystal(moved)
    assert a.is_real and b.is_real
    q = random_quaternions(1, seed=4)[0]
    one, other = by_hkl(a, q), by_hkl(b, q)
    assert set(one) == set(other)
    for h, intensity in one.items():
        np.testing.assert_allclose(other[h], intensity, atol=2e-6)


@pytest.mark.parametrize(
    ("orientations", "depths", "message"),
    [
        ([[1, 0, 0]], [1], r"orientations must have shape \(n, 4\), got \(1, 3\)"),
        ([[1, 1, 0, 0]], [1], "orientations must be unit quaternions"),
        ([[1, 0, 0, np.nan]], [1], "orientations must be unit quaternions"),
        ([[1, 0, 0, 0]], [], r"thickness_nm must be a list of at least one thickness, got shape \(0,\)"),
        ([[1, 0, 0, 0]], [2, 1], "thickness_nm must ascend from 0 to at most 10000 nm"),
        ([[1, 0, 0, 0]], [-1, 1], "thickness_nm must ascend"),
        ([[1, 0, 0, 0]], [np.nan], "thickness_nm must ascend"),
        ([[1, 0, 0, 0]], [np.inf], "thickness_nm must ascend"),
    ],
)
def test_refused(orientations: list[list[float]], depths: list[float], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        crystal(load_phase("au")).patterns(orientations, depths)


def test_no_reflection() -> None:
    with pytest.raises(ArgumentError, match=r"k_max = 0\.2 1/angstrom holds no reflection of au"):
        crystal(load_phase("au"), k_max=0.2)


def test_couplings_must_be_hermitian_and_reach_far_enough() -> None:
    hkl = np.array([[1, 0, 0], [-1, 0, 0], [2, 0, 0], [-2, 0, 0]], dtype=np.int32)
    with pytest.raises(ValueError, match="couplings of g and -g must be complex conjugates"):
        _core.BlochCrystal(coupling_hkl=hkl, coupling=np.array([1j, 1j, 0, 0]), hkl=hkl[:1], g=np.zeros((1, 3)))
    with pytest.raises(ValueError, match="couplings must reach twice the indices of the beams: 4, got 2"):
        _core.BlochCrystal(coupling_hkl=hkl, coupling=np.zeros(4, complex), hkl=hkl[2:], g=np.zeros((2, 3)))
