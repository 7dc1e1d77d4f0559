"""Refinement below the grid against its definition, and against known orientations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex import _core
from nbedex.calibration import electron_wavelength
from nbedex.indexing.candidates import best_where
from nbedex.library import SimulationSettings, kinematical_intensities, simulate
from nbedex.maps.orientation import canonical, disorientation_angle, half_turned, multiply
from nbedex.phases import load_phase
from oracles.refine_oracle import score as slow_score

WAVELENGTH = electron_wavelength(300.0)
GRID = {"n_rings": 90, "n_azimuths": 360, "k_min": 0.07, "k_max": 0.07 + 90 * 0.0125}
WIDTH, EXPONENT = 0.007, 0.25
PHASES = ("beta2-alumina", "nzsp", "na2au", "zro2-m")


def crystal(name: str) -> tuple[_core.KinematicCrystal, NDArray[np.float64], NDArray[np.float64]]:
    phase = load_phase(name)
    _, g, intensity = kinematical_intensities(phase, SimulationSettings(voltage=300.0, k_max=1.25))
    symmetry = np.ascontiguousarray(phase.symmetry_quaternions)
    made = _core.KinematicCrystal(g=g, intensity=intensity, template_exponent=EXPONENT, symmetry=symmetry)
    return made, g, intensity


def options(**changes: Any) -> _core.RefineOptions:
    values: dict[str, Any] = {
        "wavelength": WAVELENGTH,
        "excitation_width": WIDTH,
        "precession_angle": 0.0,
        "reach": np.deg2rad(1.4),
        "distinct_angle": np.deg2rad(5.0),
    }
    return _core.RefineOptions(**{**values, **changes})


def random_orientations(n: int, seed: int) -> NDArray[np.float64]:
    q = np.random.default_rng(seed).normal(size=(n, 4))
    return canonical(q / np.linalg.norm(q, axis=1, keepdims=True))


def turned(orientation: NDArray[np.float64], degrees: float, seed: int) -> NDArray[np.float64]:
    axis = np.random.default_rng(seed).normal(size=(len(orientation), 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    half = np.deg2rad(degrees) / 2
    return multiply(orientation, np.concatenate([np.full((len(axis), 1), np.cos(half)), np.sin(half) * axis], axis=1))


def patterns(name: str, orientations: NDArray[np.float64], *, noise: float = 0.0, seed: int = 0) -> NDArray[np.float32]:
    """Polar patterns of Gaussian spots with the intensities of a kinematical simulation, to the power of 1/4."""
    settings = SimulationSettings(voltage=300.0, k_max=1.25, shape="lorentzian", max_excitation_error=0.02)
    spots = simulate(load_phase(name), orientations, settings, threads=1)
    rings = GRID["k_min"] + (np.arange(GRID["n_rings"]) + 0.5) * 0.0125
    angles = np.arange(360) * np.pi / 180
    kx, ky = rings[:, None] * np.cos(angles), rings[:, None] * np.sin(angles)
    rng = np.random.default_rng(seed)
    out = np.zeros((len(orientations), len(rings), 360))
    for p in range(len(orientations)):
        one = spots.pattern(p)
        for x, y, intensity in zip(one["kx"], one["ky"], one["intensity"], strict=True):
            if np.hypot(x, y) > 0.05:
                out[p] += intensity * np.exp(-((kx - x) ** 2 + (ky - y) ** 2) / (2 * 0.012**2))
        out[p] = (out[p] / out[p].max()) ** 0.25 + noise * rng.random(out[p].shape)
    return out.astype(np.float32)


def model(names: tuple[str, ...], **changes: Any) -> _core.KinematicModel:
    return _core.KinematicModel([crystal(name)[0] for name in names], _core.PolarGrid(**GRID), options(**changes))


def refine(
    names: tuple[str, ...], shown: NDArray[np.float32], which: Any, start: Any, *, threads: int = 1, levels: Any = None,
    **changes: Any,
) -> Any:  # fmt: skip
    levels = np.ones((len(shown), len(names))) if levels is None else levels
    which, start = np.ascontiguousarray(which, dtype=np.int16), np.ascontiguousarray(start, dtype=np.float64)
    return model(names, **changes).refine(shown, which, start, levels, threads)


@pytest.mark.parametrize("name", PHASES)
@pytest.mark.parametrize("precession", [0.0, np.deg2rad(0.8)])
def test_score_is_the_definition(name: str, precession: float) -> None:
    truth = random_orientations(4, 3)
    shown = patterns(name, truth, noise=0.3)
    found = refine((name,), shown, np.zeros((4, 1)), turned(truth, 0.7, 5)[:, None], precession_angle=precession)
    _, g, intensity = crystal(name)
    for p in range(4):
        slow = slow_score(
            shown[p].astype(np.float64), found["orientation"][p, 0], g=g, intensity=intensity, exponent=EXPONENT,
            k_min=GRID["k_min"], ring_width=0.0125, wavelength=WAVELENGTH, excitation_width=WIDTH,
            precession=precession,
        )  # fmt: skip
        assert found["score"][p, 0] == pytest.approx(slow, abs=2e-4)


def test_reflections_without_opposites_count_once() -> None:
    """Half of the reflections at random: some with, most without their opposite, and of another intensity."""
    truth = random_orientations(3, 61)
    shown = patterns("nzsp", truth, noise=0.3)
    _, g, intensity = crystal("nzsp")
    rng = np.random.default_rng(62)
    some = rng.permutation(len(g))[: len(g) // 2]
    g, intensity = g[some], intensity[some] * rng.uniform(0.5, 2.0, len(some))
    unpaired = _core.KinematicCrystal(g=g, intensity=intensity, template_exponent=EXPONENT, symmetry=np.eye(4)[:1])
    found = _core.KinematicModel([unpaired], _core.PolarGrid(**GRID), options()).refine(
        shown, np.zeros((3, 1), np.int16), truth[:, None], np.ones((3, 1)), 1
    )
    for p in range(3):
        slow = slow_score(
            shown[p].astype(np.float64), found["orientation"][p, 0], g=g, intensity=intensity, exponent=EXPONENT,
            k_min=GRID["k_min"], ring_width=0.0125, wavelength=WAVELENGTH, excitation_width=WIDTH,
        )  # fmt: skip
        assert found["score"][p, 0] == pytest.approx(slow, abs=2e-4)


def test_without_reach_only_the_turn_is_looked_for() -> None:
    truth = random_orientations(2, 63)
    found = refine(("na2au",), patterns("na2au", truth), np.zeros((2, 1)), truth[:, None], reach=0.0)
    apart = multiply(found["orientation"][:, 0], truth * np.array([1.0, -1.0, -1.0, -1.0]))
    axis = multiply(multiply(truth * np.array([1.0, -1.0, -1.0, -1.0]), apart), truth)[:, 1:]  # in the sample's frame
    np.testing.assert_allclose(axis[:, :2], 0.0, atol=1e-12)
    assert np.isinf(found["spread"]).all()


@pytest.mark.parametrize("name", PHASES)
def test_comes_back_to_the_truth(name: str) -> None:
    truth = random_orientations(12, 11)
    shown = patterns(name, truth, noise=0.2, seed=1)
    start = turned(truth, 1.0, 7)
    found = refine((name,), shown, np.zeros((12, 1)), start[:, None])
    symmetry = load_phase(name).symmetry_quaternions
    error = np.rad2deg(disorientation_angle(truth, found["orientation"][:, 0], symmetry))
    assert np.median(error) < 0.2  # the spots fall off as a Lorentzian does, the model as a Gaussian
    assert error.max() < 1.0  # one maximum of zro2-m is flat: from the truth itself refinement goes 0.9 degrees away
    assert (found["spread"] > 0).all()


def test_no_tilt_nearby_is_better() -> None:
    """The maximum is one: the definition falls off in every direction from it."""
    name = "nzsp"
    truth = random_orientations(3, 23)
    shown = patterns(name, truth, noise=0.2, seed=2)
    found = refine((name,), shown, np.zeros((3, 1)), turned(truth, 0.8, 3)[:, None])
    _, g, intensity = crystal(name)
    common = {"g": g, "intensity": intensity, "exponent": EXPONENT, "k_min": GRID["k_min"], "ring_width": 0.0125,
              "wavelength": WAVELENGTH, "excitation_width": WIDTH}  # fmt: skip
    for p in range(3):
        best = found["orientation"][p, 0]
        here = slow_score(shown[p].astype(np.float64), best, **common)
        for axis in np.eye(3):
            for sign in (-1, 1):
                half = sign * np.deg2rad(0.4) / 2
                moved = multiply(best, np.array([np.cos(half), *(np.sin(half) * axis)]))
                assert slow_score(shown[p].astype(np.float64), moved, **common) < here


def test_of_candidates_that_meet_the_best_stays() -> None:
    name = "na2au"
    truth = random_orientations(2, 31)
    shown = patterns(name, truth)
    other = random_orientations(2, 77)
    symmetry = load_phase(name).symmetry_quaternions
    again = multiply(symmetry[3], turned(truth, 0.9, 2))  # an equivalent of nearly the same
    start = np.stack([turned(truth, 0.5, 1), other, again], axis=1)
    found = refine((name,), shown, np.zeros((2, 3)), start)
    gone = np.isnan(found["score"])
    assert gone.sum(axis=1).tolist() == [1, 1]
    assert not gone[:, 1].any()  # far from the others
    kept = np.where(gone[:, 0], 2, 0)
    alone = refine((name,), shown, np.zeros((2, 1)), start[np.arange(2), kept][:, None])
    lost = refine((name,), shown, np.zeros((2, 1)), start[np.arange(2), 2 - kept][:, None])
    np.testing.assert_array_equal(alone["score"][:, 0], found["score"][np.arange(2), kept])
    assert (alone["score"] >= lost["score"]).all()


def test_absent_candidates_stay_absent_and_others_do_not_matter() -> None:
    names = ("beta2-alumina", "na2au")
    truth = random_orientations(3, 41)
    shown = patterns(names[1], truth)
    which = np.array([[1, -1, 0], [-1, -1, -1], [0, 1, 1]])
    start = random_orientations(9, 42).reshape(3, 3, 4)
    found = refine(names, shown, which, start, distinct_angle=1e-6)
    np.testing.assert_array_equal(np.isnan(found["score"]), which < 0)
    np.testing.assert_array_equal(np.isnan(found["orientation"][..., 0]), which < 0)
    for p, k in np.argwhere(which >= 0):
        alone = refine((names[which[p, k]],), shown[p : p + 1], [[0]], start[p, k][None, None])
        np.testing.assert_array_equal(alone["orientation"][0, 0], found["orientation"][p, k])
        assert alone["spread"][0, 0] == found["spread"][p, k]
    for threads in (2, 3):
        many = refine(names, shown, which, start, distinct_angle=1e-6, threads=threads)
        np.testing.assert_array_equal(many["orientation"], found["orientation"])


def test_the_half_turn_is_that_of_the_best() -> None:
    """Of the largest score over its phase's level; there is none where symmetry makes the two equivalent."""
    names = ("nzsp", "zro2-m")
    truth = random_orientations(2, 43)
    shown = patterns(names[0], truth, noise=0.2)
    start = np.stack([truth, random_orientations(2, 44)], axis=1)
    which = np.array([[0, 1], [0, 1]])
    found = refine(names, shown, which, start)
    assert (found["score"][:, 0] > found["score"][:, 1]).all()
    prefers_second = refine(names, shown, which, start, levels=np.array([[1.0, 1e-3], [1.0, 1e-3]]))
    np.testing.assert_array_equal(prefers_second["score"], found["score"])
    half_turn = np.array([0.0, 0.0, 0.0, 1.0])
    for best, result in ((0, found), (1, prefers_second)):
        again = multiply(found["orientation"][:, best], half_turn)
        np.testing.assert_array_equal(
            result["half_turn"], refine(names, shown, which[:, best : best + 1], again[:, None])["score"][:, 0]
        )
    along_four_fold = np.array([[1.0, 0, 0, 0]])
    assert np.isnan(
        refine(("na2au",), patterns("na2au", along_four_fold), [[0]], along_four_fold[None])["half_turn"][0]
    )


def test_rivals_turned_by_half_against_the_slow_twin() -> None:
    names = ("nzsp", "beta2-alumina")
    first = random_orientations(200, 51)
    rng = np.random.default_rng(52)
    rivals = [random_orientations(200, 53)]
    for degrees in (0.5, 2.0, 2.9, 3.1):  # half a turn about axes near the beam, not quite
        axis = np.array([0.0, 0.0, 1.0]) + rng.normal(size=(200, 3)) * 0.25
        axis /= np.linalg.norm(axis, axis=1, keepdims=True)
        rivals.append(
            turned(multiply(first, np.concatenate([np.zeros((200, 1)), axis], axis=1)), degrees, int(10 * degrees))
        )
    orientation = np.ascontiguousarray(np.stack([first, *rivals], axis=1))
    which = rng.integers(-1, 2, orientation.shape[:2]).astype(np.int16)
    which[:, 3] = which[:, 0]
    score = rng.random(which.shape).astype(np.float32)
    score[which < 0] = np.nan
    expected = np.full(200, np.nan)
    for number, name in enumerate(names):
        is_turned = half_turned(orientation[:, :1], orientation[:, 1:], load_phase(name).symmetry_quaternions)
        counts = is_turned & (which[:, :1] == number) & (which[:, 1:] == number)
        expected = np.fmax(expected, best_where(counts, score[:, 1:]))
    assert 20 < np.isfinite(expected).sum() < 180
    np.testing.assert_array_equal(model(names).turned_rivals(which, orientation, score), expected)


def test_wrong_calls_are_refused() -> None:
    shown = np.zeros((1, 90, 360), np.float32)
    start = np.array([[[1.0, 0, 0, 0]]])
    with pytest.raises(ValueError, match=r"crystal must count in crystals or be -1, got 1"):
        refine(("na2au",), shown, [[1]], start)
    with pytest.raises(ValueError, match=r"reach must be 0 to 0.5 radians"):
        options(reach=1.0)
    with pytest.raises(ValueError, match=r"orientation must have shape \(1, 1, 4\)"):
        refine(("na2au",), shown, [[0]], start[0])
    blank = refine(("na2au",), shown, [[0]], start)
    assert np.isnan(blank["score"]).all()  # no contrast, no answer


def test_every_instruction_set_gives_the_same_bits() -> None:
    here = os.path.dirname(__file__)
    code = f"""
import sys, json, hashlib, importlib.util
sys.path.insert(0, {os.path.dirname(here)!r})
spec = importlib.util.spec_from_file_location("t", {__file__!r}); t = importlib.util.module_from_spec(spec)
spec.loader.exec_module(t)
import numpy as np
from nbedex import _core
truth = t.random_orientations(6, 5)
found = t.refine(("nzsp",), t.patterns("nzsp", truth, noise=0.3), np.zeros((6, 1)), t.turned(truth, 0.9, 1)[:, None])
digest = hashlib.sha256(b"".join(found[k].tobytes() for k in sorted(found))).hexdigest()
print(json.dumps([_core.build_info()["isa"], digest]))
"""
    seen = {}
    for isa in ("baseline", "avx2", "avx512", "avx512vnni"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NBEDEX_ISA": isa},
            capture_output=True,
            text=True,
            timeout=120,
        )
        if "does not have it" in done.stderr or "expected avx512vnni" in done.stderr:
            continue  # not on this machine
        assert done.returncode == 0, done.stderr
        name, digest = json.loads(done.stdout)
        assert name == isa
        seen[isa] = digest
    assert "baseline" in seen
    assert len(set(seen.values())) == 1, seen
