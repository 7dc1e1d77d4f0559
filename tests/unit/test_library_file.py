"""Template libraries: what is in them, their identity, and back from the file bit for bit."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbedex.errors import ArgumentError, OutputError
from nbedex.library import (
    SimulationSettings,
    Spots,
    TemplateLibrary,
    build_library,
    load_library,
    save_library,
    simulate_templates,
)
from nbedex.library.library import library_hash
from nbedex.phases import load_phase

SETTINGS = SimulationSettings(voltage=200.0, k_max=0.8, step_deg=10.0, thickness_nm=30.0, double_diffraction=0.1)
NAMES = ("na2au", "au", "zro2-m")


@pytest.fixture(scope="module")
def library() -> TemplateLibrary:
    return build_library([load_phase(name) for name in NAMES], SETTINGS)


def assert_equal(one: TemplateLibrary, other: TemplateLibrary) -> None:
    assert one.settings == other.settings
    for a, b in zip(one.phases, other.phases, strict=True):
        assert a.to_dict() == b.to_dict()
        np.testing.assert_array_equal(a.symmetry_rotations, b.symmetry_rotations)
    for s, t in zip(one.spots, other.spots, strict=True):
        for field in fields(Spots):
            x, y = getattr(s, field.name), getattr(t, field.name)
            assert (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes()), field.name
    assert one.sha256 == other.sha256


def test_contents(library: TemplateLibrary) -> None:
    assert [phase.name for phase in library.phases] == list(NAMES)
    assert library.n_templates == sum(len(s.orientation) for s in library.spots)
    alone = simulate_templates(load_phase("zro2-m"), SETTINGS, threads=1)
    assert library.spots[2].kx.tobytes() == alone.kx.tobytes()
    assert repr(library).startswith("<TemplateLibrary 200 kV, 10 deg: na2au ")


def test_round_trip(library: TemplateLibrary, tmp_path: Path) -> None:
    path = save_library(library, tmp_path / "templates.h5")
    assert_equal(load_library(path), library)
    assert_equal(load_library(str(path)), library)
    assert [p.name for p in tmp_path.iterdir()] == ["templates.h5"], "something was left behind"


def test_same_library_same_arrays_in_the_file(library: TemplateLibrary, tmp_path: Path) -> None:
    again = build_library([load_phase(name) for name in NAMES], SETTINGS, threads=1)
    assert_equal(again, library)
    first = save_library(library, tmp_path / "a.h5").read_bytes()
    assert save_library(again, tmp_path / "b.h5").read_bytes() == first


def test_nothing_is_overwritten_unasked(library: TemplateLibrary, tmp_path: Path) -> None:
    path = tmp_path / "templates.h5"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"templates\.h5"):
        save_library(library, path)
    assert path.read_bytes() == b"precious"
    save_library(library, path, overwrite=True)
    assert_equal(load_library(path), library)
    with pytest.raises(OutputError, match="does not exist"):
        save_library(library, tmp_path / "nowhere" / "templates.h5")


@pytest.mark.parametrize(
    "changes",
    [
        {"voltage": 200.5}, {"k_max": 0.81}, {"step_deg": 9.0}, {"max_excitation_error": 0.021}, {"shape": "linear"},
        {"thickness_nm": None}, {"precession_deg": 0.5}, {"minimum_intensity": 0.0}, {"scattering": "xtables"},
        {"double_diffraction": 0.0},
    ],
    ids=lambda c: next(iter(c)),
)  # fmt: skip
def test_every_setting_is_part_of_the_identity(changes: dict[str, Any]) -> None:
    phases = [load_phase(name) for name in NAMES]
    other = SimulationSettings(**{**SETTINGS.to_dict(), **changes})
    assert library_hash(phases, other) != library_hash(phases, SETTINGS)


def test_identity_is_the_crystals_not_their_looks() -> None:
    phase = load_phase("zro2-m")
    same = replace(phase, colour="#123456", source="elsewhere")
    assert library_hash([phase], SETTINGS) == library_hash([same], SETTINGS)
    assert library_hash([phase, load_phase("au")], SETTINGS) != library_hash([load_phase("au"), phase], SETTINGS)
    assert library_hash([phase], SETTINGS) != library_hash([load_phase("zro2-t")], SETTINGS)


def test_progress_is_told() -> None:
    calls: list[tuple[str, int, int]] = []
    phases = [load_phase("au"), load_phase("pt")]
    build_library(phases, SETTINGS, progress=lambda *call: calls.append(call))
    assert calls == [("simulating templates", i, 2) for i in (0, 1, 2)]


def test_phases_need_different_names() -> None:
    phase = load_phase("au")
    with pytest.raises(ArgumentError, match=r"^phases must have different names, got au, na, au$"):
        build_library([phase, load_phase("na"), phase], SETTINGS)
    with pytest.raises(ArgumentError, match=r"^a library needs at least one phase$"):
        build_library([], SETTINGS)
