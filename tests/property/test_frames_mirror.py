"""O = O_t [R_y(180)] R_z(-phi) for every Laue class: what a mirrored match means, with crystals of low symmetry."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import gemmi
import numpy as np
import pytest

from cif_builder import cell_for, cif, operations
from nbedex import _core
from nbedex.indexing.candidates import matched_orientations
from nbedex.library import SimulationSettings, simulate, simulate_templates
from nbedex.phases import Phase, load_phase
from oracles.laue_groups import PROPER, disorientation_deg, matrix, turn
from oracles.matcher_oracle import Grid, template_image

GROUPS = {
    "P -1": "-1", "P 1 2/m 1": "2/m, b unique", "P 1 1 2/m": "2/m, c unique", "P m m m": "mmm", "P 4/m": "4/m",
    "P 4/m m m": "4/mmm", "P -3": "-3", "P -3 m 1": "-3m1", "P -3 1 m": "-31m", "R -3 m:R": "-3m, rhombohedral axes",
    "P 6/m": "6/m", "P 6/m m m": "6/mmm", "P m -3": "m-3", "P m -3 m": "m-3m",
}  # fmt: skip
GRID = Grid(n_rings=72, n_azimuths=360, k_min=0.1, k_max=1.0)
SETTINGS = SimulationSettings(voltage=200.0, k_max=1.0, step_deg=8.0, max_excitation_error=0.02, minimum_intensity=1e-3)
AZIMUTH = 77


@cache
def _text(symbol: str) -> str:
    group = gemmi.SpaceGroup(symbol)
    a, b, c, *angles = cell_for(group)
    sites = (("Au", 0.13, 0.19, 0.27), ("Si", 0.29, 0.05, 0.41))
    return cif(cell=(a * 0.6, b * 0.6, c * 0.6, *angles), symmetry=operations(group), sites=sites)


@pytest.fixture(params=GROUPS)
def crystal(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Phase, str]:
    path = tmp_path / "crystal.cif"
    path.write_text(_text(request.param))
    return load_phase(path), GROUPS[request.param]


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    w, v = a[0], a[1:]
    x, u = b[0], b[1:]
    return np.array([w * x - v @ u, *(w * u + x * v + np.cross(v, u))])


def test_mirrored_templates_are_patterns_of_the_crystal(crystal: tuple[Phase, str]) -> None:
    phase, group = crystal
    proper = PROPER[group]
    assert len(phase.symmetry_rotations) == len(proper)
    assert all(np.isclose(proper, s, atol=1e-9).all(axis=(1, 2)).any() for s in phase.symmetry_rotations)
    templates = simulate_templates(phase, SETTINGS)
    packed = _core.pack_templates(
        templates.offset, templates.kx, templates.ky, templates.intensity,
        _core.PolarGrid(n_rings=GRID.n_rings, n_azimuths=GRID.n_azimuths, k_min=GRID.k_min, k_max=GRID.k_max),
        0.5, templates.orientation, phase.symmetry_quaternions,
    )  # fmt: skip
    half = np.pi * AZIMUTH / GRID.n_azimuths
    back = np.array([np.cos(half), 0, 0, -np.sin(half)])
    found_mirrored = 0
    chosen = np.linspace(1, len(templates) - 1, 6).astype(int)
    bases = [multiply(templates.orientation[t], np.array([0, 0, 1.0, 0])) for t in chosen]
    true = np.array([multiply(base, back) for base in bases])
    seen = simulate(phase, true, SETTINGS)
    patterns = []
    for i, t in enumerate(chosen):
        at, template = seen.pattern(i), templates.pattern(t)
        # the pattern is the template's, (x, y) -> (x, -y), turned from X towards Y
        c, s = np.cos(2 * half), np.sin(2 * half)
        expected = {
            tuple((-h).tolist()): (c * x + s * y, s * x - c * y, i0)
            for h, x, y, i0 in zip(template["hkl"], template["kx"], template["ky"], template["intensity"], strict=True)
        }
        threshold = 2e-3 * max(v[2] for v in expected.values())
        for h, x, y, i0 in zip(at["hkl"], at["kx"], at["ky"], at["intensity"], strict=True):
            if i0 > threshold:
                np.testing.assert_allclose((x, y, i0), expected[tuple(h.tolist())], rtol=1e-3, atol=2e-6)
        patterns.append(template_image(at["kx"], at["ky"], at["intensity"], GRID, 0.5))
    (match,), _ = _core.match_exhaustive(
        [packed], np.array(patterns, dtype=np.float32), _core.MatchOptions(n_best=1, distinct_angle=0.1, threads=0)
    )
    azimuth = match["azimuth"] + match["azimuth_offset"]
    orientations = matched_orientations(
        templates.orientation[match["template_id"]], match["mirrored"], azimuth, GRID.n_azimuths
    )[:, 0]
    for i in range(len(chosen)):
        assert match["score"][i, 0] > 0.9
        assert disorientation_deg(matrix(true[i]), matrix(orientations[i]), proper) < 1.0
        found_mirrored += int(match["mirrored"][i, 0])
        # what would come out if mirrored matches were not turned over, or turned the wrong way, is elsewhere
        plain = matrix(templates.orientation[match["template_id"][i, 0]])
        angle = 360.0 * match["azimuth"][i, 0] / GRID.n_azimuths
        if match["mirrored"][i, 0] and len(proper) <= 3:
            for wrong in (plain @ turn((0, 0, 1), -angle), plain @ turn((0, 1, 0), 180) @ turn((0, 0, 1), angle)):
                assert disorientation_deg(matrix(true[i]), wrong, proper) > 5.0
    assert found_mirrored >= 3
