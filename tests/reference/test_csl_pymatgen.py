"""Coincidences against those that pymatgen lists, frozen in tests/data by tests/oracles/make_csl_table.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbedex.boundaries import CslTable, csl_table
from nbedex.boundaries.disorientation import reduced
from nbedex.grains import MapPhase
from nbedex.maps.orientation import multiply
from nbedex.phases.cell import direct_basis
from nbedex.phases.rotations import quaternions
from oracles.laue_groups import PROPER, generated, turn

ROWS = json.loads((Path(__file__).parents[1] / "data" / "csl_pymatgen.json").read_text(encoding="utf-8"))["rows"]


def crystal(row: dict[str, Any]) -> MapPhase:
    """A crystal with exactly pymatgen's ratio."""
    system, ratio = row["system"], row["ratio"]
    if system == "cubic":
        laue, cell, group = "m-3m", (3.0, 3.0, 3.0, 90, 90, 90), PROPER["m-3m"]
    elif system == "hexagonal":
        laue, group = "6/mmm", PROPER["6/mmm"]
        cell = (3.0, 3.0, 3.0 * (ratio[0] / ratio[1]) ** 0.5, 90, 90, 120)
    elif system == "tetragonal":
        laue, group = "4/mmm", PROPER["4/mmm"]
        cell = (3.0, 3.0, 3.0 * (ratio[0] / ratio[1]) ** 0.5, 90, 90, 90)
    elif system == "orthorhombic":
        laue, cell, group = "mmm", (*(3.0 * r**0.5 for r in ratio[::-1]), 90, 90, 90), PROPER["mmm"]
    else:
        alpha = float(np.rad2deg(np.arccos(ratio[1] / (ratio[0] - 2 * ratio[1]))))
        laue, cell = "-3m", (3.0, 3.0, 3.0, alpha, alpha, alpha)
        a, b, c = direct_basis(cell).T
        group = generated(turn(tuple(a + b + c), 120), turn(tuple(a - b), 180))
    return MapPhase(
        name=system, laue_class=laue, symmetry=quaternions(group), direct_basis=direct_basis(cell).T, centring="P"
    )


def about(axis: np.ndarray, angles_deg: np.ndarray) -> np.ndarray:
    half = np.deg2rad(angles_deg)[:, None] / 2
    return np.concatenate([np.cos(half), np.sin(half) * axis / np.linalg.norm(axis)], axis=1)


def table_of(row: dict[str, Any]) -> tuple[MapPhase, CslTable, np.ndarray]:
    kind = crystal(row)
    table = csl_table(kind, limit=row["cutoff"], strain_tolerance=1e-7)
    assert table.strain == 0.0 and table.exact.all()
    return kind, table, np.array(row["axis"]) @ kind.direct_basis


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r['system']} {r['ratio']} {r['axis']}")
def test_every_entry_of_pymatgen_is_found(row: dict[str, Any]) -> None:
    kind, table, axis = table_of(row)
    for sigma, angles in row["sigmas"].items():
        for q, angle in zip(reduced(about(axis, np.array(angles)), kind.symmetry), angles, strict=True):
            near = np.flatnonzero(np.abs(table.quaternion - q).max(axis=1) < 1e-5)
            assert len(near) == 1, f"Σ{sigma} {angle}"
            assert table.sigma[near[0]] == int(sigma), f"{angle}"


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r['system']} {r['ratio']} {r['axis']}")
def test_nothing_about_the_axis_is_there_that_pymatgen_lacks(row: dict[str, Any]) -> None:
    kind, table, axis = table_of(row)
    s, unit = kind.symmetry, axis / np.linalg.norm(axis)
    for sigma, q in zip(table.sigma, table.quaternion, strict=True):
        variants = multiply(multiply(s[:, None], q), s[None, :]).reshape(-1, 4)
        along = np.abs(variants[:, 1:] @ unit) > np.linalg.norm(variants[:, 1:], axis=1) * (1 - 1e-12) - 1e-12
        angles = np.rad2deg(2 * np.arccos(np.clip(np.abs(variants[along, 0]), 0, 1)))
        listed = np.array(row["sigmas"].get(str(int(sigma)), []))
        if sigma == 1:
            continue  # a rotation of the lattice, not of the crystal (60 degrees make a cube of it): not in its lists
        for angle in angles:
            assert np.any(np.abs(listed - angle) < 1e-4), f"Σ{sigma} {angle:.4f}"
