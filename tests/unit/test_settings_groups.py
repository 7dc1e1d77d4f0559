"""Option groups: constraints hold however they were made, messages name the key, TOML comes back equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nbedex.errors import ArgumentError
from nbedex.indexing.settings import CenterSettings, IndexingSettings, MatchSettings, PreprocessSettings
from nbedex.library import SimulationSettings
from nbedex.settings import settings_from_dict, settings_from_toml, settings_to_toml


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (SimulationSettings, {"voltage": 5.0}, r"^voltage: expected `float` >= 10(\.0)?, got 5\.0$"),
        (SimulationSettings, {"voltage": 300.0, "k_max": 0.1}, r"^k_max: expected `float` > 0\.1, got 0\.1$"),
        (
            SimulationSettings,
            {"voltage": 300.0, "step_deg": 21.0},
            r"^step_deg: expected `float` <= 20(\.0)?, got 21\.0$",
        ),
        (SimulationSettings, {"voltage": 300.0, "shape": "gauss"}, r"^shape: invalid enum value 'gauss', got 'gauss'$"),
        (SimulationSettings, {"voltage": 300.0, "minimum_intensity": 1.0}, r"^minimum_intensity: expected `float` < 1"),
        (SimulationSettings, {"voltage": "300"}, r"^voltage: expected `float`, got `str`, got '300'$"),
        (SimulationSettings, {"voltage": True}, r"^voltage: expected `float`, got `bool`, got True$"),
        (SimulationSettings, {"voltage": float("nan")}, r"^voltage must be finite, got nan$"),
        (
            SimulationSettings,
            {"voltage": 300.0, "thickness_nm": float("inf")},
            r"^thickness_nm must be finite, got inf$",
        ),
        (MatchSettings, {"n_best": 1}, r"^n_best: expected `int` >= 2, got 1$"),
        (MatchSettings, {"n_best": 3.5}, r"^n_best: expected `int`, got `float`, got 3\.5$"),
        (MatchSettings, {"distinct_deg": 0.0}, r"^distinct_deg: expected `float` > 0"),
        (PreprocessSettings, {"n_azimuths": 35}, r"^n_azimuths: expected `int` >= 36, got 35$"),
        (PreprocessSettings, {"exponent": 0.0}, r"^exponent: expected `float` > 0"),
        (CenterSettings, {"order": 4}, r"^order: expected `int` <= 3, got 4$"),
        (CenterSettings, {"position": (1.0, 2.0, 3.0)}, r"^position: .*length 2"),
        (CenterSettings, {"method": "guess"}, r"^method: invalid enum value 'guess'"),
    ],
)
def test_constraints_name_the_option(kind: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        kind(**values)


def test_nan_inside_a_position() -> None:
    """A tuple of floats is checked as well as a float."""
    with pytest.raises(ArgumentError, match="position"):
        CenterSettings(position=(float("nan"), 3.0))


def test_k_max_must_exceed_k_min() -> None:
    with pytest.raises(ArgumentError, match=r"^k_max must exceed k_min, got k_max = 0\.05, k_min = 0\.07 1/angstrom$"):
        IndexingSettings(preprocess=PreprocessSettings(k_max=0.05))


def test_ints_become_floats() -> None:
    """Equal settings have equal text, and so equal hashes."""
    by_int, by_float = SimulationSettings(voltage=300, k_max=1), SimulationSettings(voltage=300.0, k_max=1.0)
    assert by_int == by_float and isinstance(by_int.voltage, float)
    assert settings_to_toml(by_int) == settings_to_toml(by_float)
    assert by_int.to_dict() == by_float.to_dict()


def test_they_are_frozen_and_keyword_only() -> None:
    settings = MatchSettings()
    with pytest.raises(AttributeError):
        settings.n_best = 7  # type: ignore[misc]
    with pytest.raises(TypeError):
        MatchSettings(0.2)  # type: ignore[misc]
    with pytest.raises(TypeError, match="bests"):
        MatchSettings(bests=3)  # type: ignore[call-arg]


def test_toml_round_trip(tmp_path: Path) -> None:
    settings = IndexingSettings(
        center=CenterSettings(method="per-pattern", position=(61.25, 70.0), search_radius=9.5, order=1),
        preprocess=PreprocessSettings(k_min=0.05, k_max=1.1, exponent=0.4, hot_pixels=False, remove_background=False),
        match=MatchSettings(n_best=7, distinct_deg=3.0, noise_factor=0.0),
    )
    path = tmp_path / "run.toml"
    path.write_text(settings_to_toml(settings), encoding="utf-8")
    assert settings_from_toml(IndexingSettings, path) == settings
    assert "search_radius = 9.5" in path.read_text()
    # options that are None are left out, and come back as None
    assert "position" not in settings_to_toml(IndexingSettings())
    assert settings_from_dict(IndexingSettings, IndexingSettings().to_dict()) == IndexingSettings()


@pytest.mark.parametrize(
    ("values", "fragments"),
    [
        ({"match": {"n_bst": 3}}, ["unknown field `n_bst`", "`match`", "run.toml"]),
        ({"matching": {}}, ["unknown field `matching`", "known keys at the top: center, preprocess, match"]),
        ({"match": {"n_best": 1}}, ["`int` >= 2", "match.n_best"]),
        ({"center": {"position": [1.0]}}, ["length 2", "center.position"]),
        ({"center": {"method": 3}}, ["center.method"]),
        ({"preprocess": {"k_min": 0.5, "k_max": 0.4}}, ["k_max must exceed k_min"]),
        ({"match": 5}, ["`object`", "match"]),
        ({"preprocess": {"k_max": float("nan")}}, ["preprocess.k_max"]),
        ({"preprocess": {"k_max": float("inf")}}, ["k_max must be finite, got inf", "`preprocess`"]),
        ({"center": {"position": [3.0, float("nan")]}}, ["position must be finite, got (3.0, nan)", "`center`"]),
    ],
)
def test_wrong_dictionaries(values: dict[str, Any], fragments: list[str]) -> None:
    with pytest.raises(ArgumentError) as error:
        settings_from_dict(IndexingSettings, values, where="run.toml")
    for fragment in fragments:
        assert fragment in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[match]\nn_best = 3\nn_best = 4\n", r"is not valid TOML: "),
        (b"[match\n", r"is not valid TOML: "),
        (b"\xff\xfe[match]", r"^can't read configuration .*utf-8"),
        (b"[match]\nn_best = 1\n", r"n_best"),
        (b"[match]\ndistinct_deg = nan\n", r"distinct_deg"),
    ],
)
def test_wrong_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(content)
    with pytest.raises(ArgumentError, match=message):
        settings_from_toml(IndexingSettings, path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"^can't read configuration .*nowhere\.toml: "):
        settings_from_toml(IndexingSettings, tmp_path / "nowhere.toml")
    with pytest.raises(ArgumentError, match=r"^can't read configuration "):
        settings_from_toml(IndexingSettings, tmp_path)
