"""Simulating templates, against diffsims' loop over rotations: the same rotations, the same spots."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from nbedex.library import SimulationSettings, simulate, simulate_templates, zone_axis_grid, zone_axis_orientations
from nbedex.phases import Phase, load_phase

SAMPLE = 300  # rotations, spread over the grid
SETTINGS = SimulationSettings(voltage=300.0, minimum_intensity=0.0)


@cache
def crystal(name: str) -> Phase:
    """Atoms at rest: diffsims has one Debye-Waller factor per element, nbedex one per site."""
    phase = load_phase(name)
    return replace(phase, u_iso=np.zeros_like(phase.u_iso))


@cache
def sample(name: str) -> np.ndarray:
    grid = zone_axis_orientations(zone_axis_grid(crystal(name).laue_operators, step_deg=1.0))
    return np.ascontiguousarray(grid[np.linspace(0, len(grid) - 1, SAMPLE).astype(int)])


def with_diffsims(phase: Phase, orientations: np.ndarray, radius: float) -> list[Any]:
    from diffsims.generators.simulation_generator import SimulationGenerator
    from orix.quaternion import Rotation

    generator = SimulationGenerator(accelerating_voltage=SETTINGS.voltage, minimum_intensity=0.0)
    return list(
        generator.calculate_diffraction2d(
            phase.to_orix(),
            rotation=Rotation(orientations),
            reciprocal_radius=radius,
            with_direct_beam=False,
            max_excitation_error=SETTINGS.max_excitation_error,
        ).coordinates
    )


def assert_same_spots(phase: Phase, orientations: np.ndarray) -> None:
    """diffsims' list ends early in oblique cells, so it is asked for more here, cut back; this is not what is timed."""
    direct = np.linalg.inv(phase.reciprocal_basis).T
    larger = (np.linalg.norm(direct, axis=0) * np.linalg.norm(phase.reciprocal_basis, axis=0)).max() * 1.02
    mine = simulate(phase, orientations, SETTINGS, threads=1)
    for number, vectors in enumerate(with_diffsims(phase, orientations, larger * SETTINGS.k_max)):
        g, intensity = np.asarray(vectors.data), np.asarray(vectors.intensity)
        keep = (np.linalg.norm(g, axis=1) <= SETTINGS.k_max * (1 + 1e-9)) & (intensity > 1e-9 * intensity.max())
        hkl = np.rint(np.asarray(vectors.hkl)).astype(int)
        theirs = {
            tuple(h): (x, y, i) for h, (x, y), i in zip(hkl[keep].tolist(), g[keep, :2], intensity[keep], strict=True)
        }
        p = mine.pattern(number)
        strong = p["intensity"] > 1e-9 * p["intensity"].max()
        ours = {
            tuple(h): (x, y, i)
            for h, x, y, i in zip(
                p["hkl"][strong].tolist(), p["kx"][strong], p["ky"][strong], p["intensity"][strong], strict=True
            )
        }
        weak = 1e-8 * intensity.max()
        assert all((ours.get(h) or theirs[h])[2] < weak for h in ours.keys() ^ theirs.keys())
        both = sorted(ours.keys() & theirs.keys())
        assert len(both) > 2
        a, b = (np.array([spots[h] for h in both], dtype=float) for spots in (ours, theirs))
        np.testing.assert_allclose(a[:, :2], b[:, :2], atol=1e-6)
        np.testing.assert_allclose(a[:, 2], b[:, 2], rtol=1e-4, atol=weak)


@pytest.mark.parametrize("program", ["nbedex", "diffsims"])
@pytest.mark.parametrize("name", ["beta2-alumina", "nzsp", "na2au"])
def test_simulate(benchmark: Any, name: str, program: str) -> None:
    phase, orientations = crystal(name), sample(name)
    benchmark.group = f"simulate {name}"
    benchmark.extra_info.update(patterns=SAMPLE)
    if program == "nbedex":
        benchmark.pedantic(simulate, (phase, orientations, SETTINGS), {"threads": 1}, rounds=5, warmup_rounds=1)
        assert_same_spots(phase, orientations[::50])
    else:
        benchmark.pedantic(with_diffsims, (phase, orientations, SETTINGS.k_max), rounds=2, warmup_rounds=1)


@pytest.mark.parametrize("name", ["beta2-alumina", "nzsp", "na2au"])
def test_whole_grid(benchmark: Any, name: str) -> None:
    """All templates of a phase at 1 degree, its reflection list and grid included, on one thread."""
    phase, settings = load_phase(name), SimulationSettings(voltage=300.0)
    benchmark.group = f"library {name}"
    spots = benchmark.pedantic(simulate_templates, (phase, settings), {"threads": 1}, rounds=3)
    benchmark.extra_info.update(patterns=len(spots))
