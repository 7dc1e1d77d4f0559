"""The published patterns, simulated dynamically, come back with their phase, zone, indices and spacings."""

from __future__ import annotations

import numpy as np
import pytest

from nbedex.library import SimulationSettings, TemplateLibrary, build_library
from nbedex.maps import Status
from nbedex.phases import load_phase
from oracles.published_patterns import CALIBRATION, Camera, particle_frame
from oracles.published_spacings import (
    TABLE_3_2,
    TABLE_5_1,
    indexed,
    measured_lengths,
    zone_error_deg,
    zone_frames,
)

PHASES = ("beta2-alumina", "nzsp", "na2au", "au2na", "au", "na")
TILT_DEG = 0.5


def library_of(names: tuple[str, ...]) -> TemplateLibrary:
    settings = SimulationSettings(voltage=CALIBRATION.voltage, k_max=1.3)
    return build_library([load_phase(name) for name in names], settings, threads=1)


@pytest.fixture(scope="module")
def library() -> TemplateLibrary:
    return library_of(PHASES)


@pytest.fixture(scope="module")
def small_library() -> TemplateLibrary:
    """For re-ranking, where every phase costs a second."""
    return library_of(PHASES[:3])


@pytest.mark.parametrize(("name", "zone"), [("na2au", (1, 1, 1)), ("nzsp", (2, 0, 1)), ("beta2-alumina", (1, 1, 0))])
def test_zones_and_spacings(small_library: TemplateLibrary, name: str, zone: tuple[int, int, int]) -> None:
    """The whisker, NZSP and beta''-alumina: phase and zone within 1 degree, and the spacings of the tables."""
    phase = load_phase(name)
    frames, _ = zone_frames(name, zone, n=8, tilt_deg=TILT_DEG)
    result = indexed(frames, small_library)
    assert (result.phase_id[0] == PHASES.index(name)).all()
    on_zone = np.array([zone_error_deg(phase, orientation, zone) < 1.0 for orientation in result.orientation[0]])
    assert on_zone.sum() >= 7  # one NZSP pattern of these eight looks the same 68 degrees away
    frames = [frame for frame, good in zip(frames, on_zone, strict=True) if good]
    centers, orientations = result.center[0][on_zone], result.orientation[0][on_zone]
    missing = []
    for row in (row for row in TABLE_3_2 + TABLE_5_1 if row.phase == name):
        lengths = [
            length
            for frame, center, orientation in zip(frames, centers, orientations, strict=True)
            for _, length in measured_lengths(frame, center, phase, orientation, row.hkl)
        ]
        if not lengths:  # faint, or near the direct beam: not in every handful of patterns
            missing.append(row.hkl)
            continue
        assert np.median(lengths) == pytest.approx(10 / phase.d_spacing(row.hkl), rel=0.015), row
        if row.measured:  # in the thesis, with two digits
            assert np.median(lengths) == pytest.approx(row.measured, abs=0.07), row
    assert len(missing) <= 1, missing


def test_the_whisker_with_default_options(library: TemplateLibrary) -> None:
    """Its phase; the zone only roughly, which is what re-ranking is for."""
    frames, _ = zone_frames("na2au", (1, 1, 1), n=4, tilt_deg=TILT_DEG)
    result = indexed(frames, library, rerank=False)
    assert (result.phase_id[0] == PHASES.index("na2au")).all()
    errors = [zone_error_deg(load_phase("na2au"), o, (1, 1, 1)) for o in result.orientation[0]]
    assert max(errors) < 4.0


def test_forbidden_spots_of_the_whisker_are_there() -> None:
    """(-1 0 1) by double diffraction: dynamical patterns have it, kinematical templates don't."""
    frames, truth = zone_frames("na2au", (1, 1, 1), n=4, tilt_deg=0.0)
    phase = load_phase("na2au")
    middle = np.full(2, (frames.shape[1] - 1) / 2)
    found = [measured_lengths(f, middle, phase, o, (-1, 0, 1)) for f, o in zip(frames, truth, strict=True)]
    lengths = [length for of_frame in found for _, length in of_frame]
    assert len(lengths) >= 2
    assert np.median(lengths) == pytest.approx(2.26, abs=0.03)


@pytest.mark.parametrize("camera", [Camera(), Camera(halo=0.15)], ids=["plain", "amorphous"])
def test_the_unassigned_particle_fits_no_phase(library: TemplateLibrary, camera: Camera) -> None:
    frames = np.array([particle_frame(seed=i, turn_deg=11.0 * i, camera=camera) for i in range(16)])
    result = indexed(frames, library, rerank=False)
    refused = result.status[0] == Status.NO_MATCH
    assert refused.sum() >= 12 and (result.phase_id[0][refused] == -1).all()
    assert (result.probability[0] < 0.9).all()  # of those that are not: nobody is sure of them


def test_the_zone_of_the_published_nzsp_pattern() -> None:
    """[2 0 1] and its planes are [-1 0 1], (1 1 1), (1 3 1), (0 2 0) in the body-centred cell a' = -a - c, c' = a."""
    cell = np.linalg.inv(load_phase("nzsp").reciprocal_basis).T  # columns a, b, c
    other = cell @ np.array([[-1, 0, 1], [0, 1, 0], [-1, 0, 0]])
    np.testing.assert_allclose(cell @ [2, 0, 1], other @ [-1, 0, 1])
    for hkl, there in (((1, 1, -2), (1, 1, 1)), ((1, 3, -2), (1, 3, 1)), ((0, 2, 0), (0, 2, 0))):
        np.testing.assert_allclose(np.linalg.inv(cell).T @ hkl, np.linalg.inv(other).T @ np.array(there), atol=1e-12)
        assert np.dot(there, (-1, 0, 1)) == 0


def test_only_beta2_alumina_has_the_hexagon_of_the_particle() -> None:
    """Zone [2 1 -2] holds three spacings of 4.1 1/nm; its strong (1 -2 0) of 3.56 is not in the particle's pattern."""
    phase = load_phase("beta2-alumina")
    planes = [(2, -2, 1), (0, 2, 1), (2, 0, 2), (1, -2, 0)]
    assert all(np.dot(hkl, (2, 1, -2)) == 0 for hkl in planes)
    lengths = [10 / phase.d_spacing(hkl) for hkl in planes]
    assert lengths == pytest.approx([4.12, 4.12, 4.16, 3.56], abs=0.01)
