"""The published spacings (Ding 2024, tables 3-2 and 5-1), and how they are measured in an indexed pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.calibrating.spots import find_spots
from nbedex.calibration import electron_wavelength
from nbedex.indexing import IndexingSettings, RerankSettings, index_scan
from nbedex.library import TemplateLibrary
from nbedex.maps import IndexingResult, rotate, to_matrix
from nbedex.phases import Phase
from nbedex.scan import memory_scan
from oracles.published_patterns import CALIBRATION, dynamical_frame, near_zone

Array = NDArray[np.float64]
Miller = tuple[int, int, int]

_EXCITED = 0.02  # 1/angstrom from the Ewald sphere at most


@dataclass(frozen=True, kw_only=True)
class Spacing:
    """One published line: d in nm (table 3-2) or g in 1/nm (table 5-1), and what the thesis measured in its pattern."""

    phase: str
    zone: Miller
    hkl: Miller
    published: float
    measured: float | None = None
    reciprocal: bool = False


def _table_3_2() -> list[Spacing]:
    beta = {(0, 0, 3): 1.12, (1, -1, -1): 0.48, (1, -1, 2): 0.47, (1, -1, -4): 0.42, (1, -1, 5): 0.39}
    nzsp = {(1, 1, -2): 0.40, (1, 3, -2): 0.25, (0, 2, 0): 0.45}
    return [
        *(Spacing(phase="beta2-alumina", zone=(1, 1, 0), hkl=hkl, published=d) for hkl, d in beta.items()),
        # The published zone is [-1 0 1]; see test_the_zone_of_the_published_nzsp_pattern.
        *(Spacing(phase="nzsp", zone=(2, 0, 1), hkl=hkl, published=d) for hkl, d in nzsp.items()),
    ]


def _table_5_1() -> list[Spacing]:
    rows: list[tuple[str, Miller, float, float | None]] = [
        ("au", (-2, 0, 2), 6.84, None),
        ("au2na", (-2, 0, 2), 3.62, None),
        ("na2au", (-1, 0, 1), 2.26, 2.2),
        ("na2au", (0, -1, 1), 2.26, 2.2),
        ("na2au", (1, -1, 0), 1.90, 1.9),
        ("na", (-1, 0, 1), 3.35, None),
    ]
    return [
        Spacing(phase=phase, zone=(1, 1, 1), hkl=hkl, published=g, measured=m, reciprocal=True)
        for phase, hkl, g, m in rows
    ]


TABLE_3_2, TABLE_5_1 = _table_3_2(), _table_5_1()
LIBRARY = ("beta2-alumina", "nzsp", "na2au", "au2na", "au", "na", "pt", "cu", "zro2-m")
THICKNESSES = (20.0, 35.0, 50.0, 80.0)


def zone_frames(
    phase: str, zone: Miller, *, n: int, tilt_deg: float, seed: int = 0
) -> tuple[NDArray[np.uint16], Array]:
    """Patterns (n, y, x) of a crystal `tilt_deg` off a zone in random directions, 20 to 80 nm thick; orientations."""
    rng = np.random.default_rng([seed, *(abs(i) for i in zone)])
    turns, towards = rng.uniform(0, 360, (2, n))
    truth = [
        near_zone(phase, zone, turn_deg=turn, tilt_deg=tilt_deg, towards_deg=direction)
        for turn, direction in zip(turns, towards, strict=True)
    ]
    frames = [
        dynamical_frame(phase, o, THICKNESSES[i % len(THICKNESSES)], seed=100 * seed + i) for i, o in enumerate(truth)
    ]
    return np.array(frames), np.array(truth)


def indexed(frames: NDArray[np.uint16], library: TemplateLibrary, *, rerank: bool = True) -> IndexingResult:
    """The patterns as a scan of one row, indexed with the default options, dynamical re-ranking asked for or not."""
    settings = IndexingSettings(rerank=RerankSettings(mode="all" if rerank else "off"))
    return index_scan(memory_scan(frames[None]), library, CALIBRATION, settings=settings, threads=1)


def zone_error_deg(phase: Phase, orientation: Array, zone: Miller) -> float:
    """Angle between the beam and the nearest zone equivalent to [uvw], degrees."""
    direct = np.linalg.inv(phase.reciprocal_basis).T
    axis = direct @ np.array(zone, dtype=float)
    beam = rotate(orientation, np.array([0.0, 0.0, 1.0]))
    cosine = np.abs((phase.symmetry_rotations @ (axis / np.linalg.norm(axis))) @ beam).max()
    return float(np.rad2deg(np.arccos(min(cosine, 1.0))))


def measured_lengths(
    frame: NDArray[Any], center: Array, phase: Phase, orientation: Array, hkl: Miller
) -> list[tuple[Miller, float]]:
    """Length (1/nm) of every pair of spots hkl and -hkl that stands out in a frame, or of an equivalent of it.

    Half the distance between the two, so that the beam's place does not matter. Where spots lie follows from the
    orientation and the lattice alone: also those that kinematical theory forbids.
    """
    found = []
    to_detector = CALIBRATION.detector_from_sample()
    for indices in equivalents(phase, hkl):
        g = to_matrix(orientation).T @ (phase.reciprocal_basis @ np.array(indices, dtype=float))
        sphere = 1 / electron_wavelength(CALIBRATION.voltage)
        excitation = g[:2] @ g[:2] / (2 * sphere)
        if abs(excitation - g[2]) > _EXCITED or abs(excitation + g[2]) > _EXCITED:
            continue
        offset = to_detector @ g[:2]
        places = find_spots(frame, np.array([center[::-1] + offset, center[::-1] - offset]))
        if np.isfinite(places).all():
            k = np.linalg.inv(to_detector) @ (places[0] - places[1]) / 2
            found.append((indices, 10 * float(np.linalg.norm(k))))
    return found


def equivalents(phase: Phase, hkl: Miller) -> list[Miller]:
    """Indices equivalent under the Laue group, one of each pair hkl and -hkl."""
    g = phase.symmetry_rotations @ (phase.reciprocal_basis @ np.array(hkl, dtype=float))
    indices = np.rint(g @ np.linalg.inv(phase.reciprocal_basis).T).astype(int)
    signed = {tuple(int(i) for i in max(tuple(row), tuple(-row))) for row in indices}
    return sorted(signed)  # type: ignore[arg-type]
