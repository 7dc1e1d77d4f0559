"""Spot for spot the patterns of diffsims, at general orientations, for cubic to monoclinic crystals."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from nbedex.library import SimulationSettings, simulate
from nbedex.phases import Phase, load_phase
from oracles.laue_groups import random_quaternions

K_MAX = {"au": 2.0}  # few reflections to begin with; others 1.1
PHASES = ("au", "na2au", "beta2-alumina", "zro2-m", "nzsp")


@cache
def still(name: str) -> Phase:
    """The phase with its atoms at rest: diffsims knows one Debye-Waller factor per element, ours one per site."""
    phase = load_phase(name)
    return replace(phase, u_iso=np.zeros_like(phase.u_iso))


Pattern = dict[tuple[int, int, int], tuple[float, float, float]]


def theirs(
    phase: Phase,
    quaternion: np.ndarray,
    settings: SimulationSettings,
    *,
    radius_factor: float = 1.0,
    debye_waller: dict[str, float] | None = None,
    **options: Any,
) -> Pattern:
    """diffsims' pattern cut back to k_max: its list of reflections ends early in oblique cells, so ask for more."""
    from diffsims.generators.simulation_generator import SimulationGenerator
    from orix.quaternion import Rotation

    generator = SimulationGenerator(
        accelerating_voltage=settings.voltage,
        scattering_params=settings.scattering,
        shape_factor_model=settings.shape,
        precession_angle=settings.precession_deg,
        minimum_intensity=0.0,
        **options,
    )
    simulation = generator.calculate_diffraction2d(
        phase.to_orix(),
        rotation=Rotation(quaternion[None]),
        reciprocal_radius=radius_factor * settings.k_max,
        with_direct_beam=False,
        max_excitation_error=settings.max_excitation_error,
        shape_factor_width=settings.shape_width,
        debye_waller_factors=debye_waller,
    )
    vectors = simulation.coordinates
    g = np.asarray(vectors.data)
    hkl = np.rint(np.asarray(vectors.hkl)).astype(int)
    inside = np.linalg.norm(g, axis=1) <= settings.k_max * (1 + 1e-9)
    intensity = np.asarray(vectors.intensity)
    # the threshold again, over what is left
    inside &= intensity > max(settings.minimum_intensity, 1e-13) * intensity[inside].max()
    return {
        tuple(h): (x, y, i) for h, (x, y, _), i in zip(hkl[inside].tolist(), g[inside], intensity[inside], strict=True)
    }


def ours(phase: Phase, quaternion: np.ndarray, settings: SimulationSettings) -> Pattern:
    p = simulate(phase, quaternion[None], settings, threads=1).pattern(0)
    return {
        tuple(h): (float(x), float(y), float(i))
        for h, x, y, i in zip(p["hkl"].tolist(), p["kx"], p["ky"], p["intensity"], strict=True)
    }


def assert_same(mine: Pattern, other: Pattern, *, rtol: float = 1e-5, up_to_scale: bool = False) -> None:
    top = max(i for _, _, i in other.values())
    for hkl in set(mine) ^ set(other):
        # an absent reflection is 1e-32 in one program and left out by the other
        weak = (mine.get(hkl) or other[hkl])[2]
        assert weak < 1e-9 * top, f"{hkl} is in one pattern only"
    both = sorted(set(mine) & set(other))
    assert len(both) >= 8
    a, b = np.array([mine[h] for h in both]), np.array([other[h] for h in both])
    np.testing.assert_allclose(a[:, :2], b[:, :2], rtol=0, atol=1e-6)
    scale = a[:, 2].sum() / b[:, 2].sum() if up_to_scale else 1.0
    np.testing.assert_allclose(a[:, 2], scale * b[:, 2], rtol=rtol, atol=1e-9 * scale * top)


def larger(name: str) -> float:
    return 1.5 if name in ("nzsp", "beta2-alumina") else 1.2


@pytest.mark.parametrize("name", PHASES)
@pytest.mark.parametrize("shape", ["linear", "lorentzian", "sinc", "sin2c", "atanc"])
def test_shape_factors(name: str, shape: str) -> None:
    settings = SimulationSettings(
        voltage=300.0, k_max=K_MAX.get(name, 1.1), max_excitation_error=0.04, shape=shape, minimum_intensity=0.0
    )
    for quaternion in random_quaternions(1 if name in ("nzsp", "beta2-alumina") else 2, seed=len(name)):
        assert_same(
            ours(still(name), quaternion, settings),
            theirs(still(name), quaternion, settings, radius_factor=larger(name)),
        )


@pytest.mark.parametrize("scattering", ["lobato", "xtables"])
@pytest.mark.parametrize("voltage", [80.0, 200.0])
def test_scattering_tables_and_voltages(scattering: str, voltage: float) -> None:
    settings = SimulationSettings(
        voltage=voltage, k_max=1.1, max_excitation_error=0.05, scattering=scattering, thickness_nm=25.0,
        minimum_intensity=0.0,
    )  # fmt: skip
    assert settings.shape_width == pytest.approx(1 / 250)
    for quaternion in random_quaternions(2, seed=4):
        assert_same(
            ours(still("zro2-m"), quaternion, settings),
            theirs(still("zro2-m"), quaternion, settings, radius_factor=1.2),
        )


def test_debye_waller_factors() -> None:
    """B = 8 pi^2 U in angstrom^2, for a crystal whose atoms of one element share one U."""
    phase = load_phase("zro2-m")
    u = dict(zip(phase.elements, phase.u_iso.tolist(), strict=True))
    big = replace(phase, u_iso=np.array([{"Zr": 0.02, "O": 0.05}[e] for e in phase.elements]))
    settings = SimulationSettings(voltage=300.0, k_max=1.5, max_excitation_error=0.03, minimum_intensity=0.0)
    quaternion = random_quaternions(1, seed=6)[0]
    for crystal, displacement in ((phase, u), (big, {"Zr": 0.02, "O": 0.05})):
        factors = {element: 8 * np.pi**2 * value for element, value in displacement.items()}
        pattern = ours(crystal, quaternion, settings)
        assert_same(pattern, theirs(crystal, quaternion, settings, radius_factor=1.2, debye_waller=factors))
    resting = ours(still("zro2-m"), quaternion, settings)
    outer = max(pattern, key=lambda h: np.hypot(*pattern[h][:2]))
    assert pattern[outer][2] < 0.6 * resting[outer][2], "the factors made no difference: the test proves nothing"


@pytest.mark.parametrize("name", ["au", "zro2-m", "na2au"])
def test_minimum_intensity(name: str) -> None:
    """The threshold is relative to the strongest spot of the pattern, in both programs."""
    all_spots = SimulationSettings(
        voltage=300.0, k_max=K_MAX.get(name, 1.1), max_excitation_error=0.04, minimum_intensity=0.0
    )
    some = SimulationSettings(
        voltage=300.0, k_max=K_MAX.get(name, 1.1), max_excitation_error=0.04, minimum_intensity=0.05
    )
    quaternion = random_quaternions(3, seed=1)[2]
    mine = ours(still(name), quaternion, some)
    assert_same(mine, theirs(still(name), quaternion, some, radius_factor=1.2))
    assert len(mine) < len(ours(still(name), quaternion, all_spots))


@pytest.mark.parametrize("name", ["au", "na2au", "zro2-m"])
@pytest.mark.parametrize("angle", [0.2, 1.0])
def test_precessed_lorentzian(name: str, angle: float) -> None:
    """Closed form of Palatinus 2019. Up to a constant: diffsims' has 2 / width more than without precession."""
    settings = SimulationSettings(
        voltage=300.0,
        k_max=K_MAX.get(name, 1.1),
        max_excitation_error=0.04,
        precession_deg=angle,
        minimum_intensity=0.0,
    )
    quaternion = random_quaternions(1, seed=9)[0]
    assert_same(
        ours(still(name), quaternion, settings),
        theirs(still(name), quaternion, settings, radius_factor=1.2, approximate_precession=True),
        up_to_scale=True,
    )


def test_precessed_linear() -> None:
    """diffsims integrates by adaptive quadrature, we by 256 points of the trapezoidal rule (kinks: not exact)."""
    settings = SimulationSettings(
        voltage=300.0, k_max=0.9, max_excitation_error=0.02, precession_deg=0.6, shape="linear", minimum_intensity=1e-3
    )
    quaternion = random_quaternions(1, seed=9)[0]
    mine = ours(still("zro2-m"), quaternion, settings)
    other = theirs(still("zro2-m"), quaternion, settings, radius_factor=1.2, approximate_precession=False)
    assert_same(mine, other, rtol=2e-3)


@pytest.mark.parametrize("name", ["nzsp", "beta2-alumina"])
def test_our_list_is_complete_where_theirs_ends_early(name: str) -> None:
    """Why the tests above ask diffsims for a larger sphere: if this fails, diffsims was mended and they can stop."""
    settings = SimulationSettings(
        voltage=300.0, k_max=K_MAX.get(name, 1.1), max_excitation_error=0.03, minimum_intensity=0.0
    )
    missing = 0
    for quaternion in random_quaternions(2, seed=3):
        mine = ours(still(name), quaternion, settings)
        cut = theirs(still(name), quaternion, settings)
        missing += len(set(mine) - set(cut))
        assert not {h for h in set(cut) - set(mine) if cut[h][2] > 1e-9 * max(i for _, _, i in cut.values())}
    assert missing > 0
