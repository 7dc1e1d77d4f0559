"""Every reader of nbedex, with small whole files to damage and what must hold for an answer."""

from __future__ import annotations

import sys
from pathlib import Path

from mutations import damaged_bytes, damaged_text
from target import SilentDamage, Target, files_of

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from own_targets import own_targets
from scan_targets import scan_targets

from nbedex.phases import templates_dir
from oracles.maps_sample import sample_result

__all__ = ["SilentDamage", "Target", "targets"]


def targets() -> list[Target]:
    """All of them; the examples are made here."""
    return [*_texts(), *own_targets(), *scan_targets(), *_foreign()]


def _texts() -> list[Target]:
    from nbedex.phases.cif import read_cif
    from nbedex.settings import settings_from_dict, settings_from_toml, settings_to_toml
    from nbedex.workflow import RunSettings

    run = settings_to_toml(
        settings_from_dict(
            RunSettings,
            {
                "scan": {"path": "a.hspy", "shape": [3, 5]},
                "calibration": {"pixel_size": 0.01, "rotation_deg": 12.5},
                "library": {"phases": ["nzsp", "na2au"], "k_max": 1.4},
                "output": {"path": "b.h5"},
            },
        )
    )
    measured = "# made by nbedex calibrate\n[calibration]\npixel_size = 0.0094\nellipse_ratio = 1.02\nflipped = true\n"
    structures = [path.read_bytes() for path in sorted((templates_dir() / "structures").glob("*.cif"))]
    structures = [text for text in structures if len(text) < 3000]
    return [
        Target(
            "configuration (TOML)",
            [{"a.toml": text.encode()} for text in (run, measured)],
            lambda folder, _: settings_from_toml(RunSettings, folder / "a.toml"),
            damaged_text,
            120,
        ),
        Target(
            "CIF",
            [{"a.cif": text} for text in structures],
            lambda folder, _: read_cif(folder / "a.cif"),
            damaged_text,
            35,
        ),
    ]


def _foreign() -> list[Target]:
    from nbedex.maps import export
    from nbedex.maps.foreign import read_crystal_map

    result = sample_result((3, 4), names=("na2au", "nzsp"), n_rivals=2)
    found = []
    for name, kind, mutate in (
        ("a.ang", "ang", damaged_text), ("a.ctf", "ctf", damaged_text), ("a.h5", "orix", damaged_bytes),
    ):  # fmt: skip
        files = files_of(lambda folder, name=name, kind=kind: export(result, folder / name, to=kind))  # type: ignore[misc]

        def read(folder: Path, _: int, name: str = name) -> None:
            read_crystal_map(folder / name)

        found.append(Target(f"map {kind}", [files], read, mutate, 0.5 if kind == "orix" else 5))
    return found
