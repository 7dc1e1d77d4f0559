"""`nbedex transport` as a user runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from nbedex.grains import grains_of, write_grain_map
from oracles.command_line import here
from oracles.grain_maps import orientation_map, turned


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Two grains and an inclusion as an image with a table."""
    labels = np.zeros((16, 24), dtype=np.int16)
    labels[:, 12:] = 1
    labels[5:9, 3:7] = 2
    np.save(tmp_path / "labels.npy", labels)
    table = "label,phase,normal_x,normal_y,normal_z,role,error_deg\n0,beta,0.5,0.8,0.1,,1\n1,beta,1,0.3,0,,1\n"
    table += "2,zro2,,,,insulator,\n"
    (tmp_path / "regions.csv").write_text(table)
    return tmp_path


@pytest.fixture
def grain_file(tmp_path: Path) -> Path:
    region = np.zeros((16, 24), dtype=int)
    region[:, 12:] = 1
    start = turned((1, 0, 0), 90.0)
    each = np.stack([turned((0, 1, 0), angle, start) for angle in (20.0, 110.0)])
    grain_map = grains_of(orientation_map(each[region], step=(2.0, 2.0), step_known=True), region)
    write_grain_map(tmp_path / "grains.h5", grain_map)
    return tmp_path


BASE = ("transport", "labels.npy", "--table", "regions.csv", "--scan-step", "2")
TWO = ("--electrode", "top:4-20", "--ground", "right")


def test_image_with_everything(image: Path) -> None:
    code, out, err = here(
        image, *BASE, *TWO, "-o", "c.h5", "--vtk", "c.vti", "--csv", "c.csv", "--to", "c.png", "--json", "--compare",
        "--effective", "--draws", "2", "--sweep", "direction=0,45,90", "--sweep-to", "s.png", "--conductivity",
        "beta=2,0.01",
    )  # fmt: skip
    assert code == 0, err
    facts = json.loads(out)
    assert facts["resistance_ohm"] > 0
    assert facts["charge_balance"] < 1e-9
    assert [electrode["name"] for electrode in facts["electrodes"]] == ["top:4-20", "right"]
    assert len(facts["models"]["regions"]) == 2
    assert facts["sweep"]["value"] == [0.0, 45.0, 90.0]
    assert facts["orientations"]["draws"] == 2
    assert len(facts["effective"]["tensor_S_per_m"]) == 2
    for name in ("c.h5", "c.vti", "c.csv", "c.png", "s.png"):
        assert (image / name).stat().st_size > 200
    code, _, err = here(image, *BASE, *TWO, "--csv", "c.csv")
    assert code == 5
    assert "c.csv exists already" in err


def test_grain_file(grain_file: Path) -> None:
    code, out, err = here(
        grain_file, "transport", "grains.h5", "--electrode", "left=2", "--ground", "right", "--blockade", "b.csv"
    )
    assert code == 0, err
    assert re.search(r"^left +2 V, [\d.e+-]+ A$", out, flags=re.M)
    assert "of their length, with the local field" in out
    assert (grain_file / "b.csv").read_text(encoding="utf-8").count("\n") == 2


def test_configuration_file(image: Path) -> None:
    (image / "run.toml").write_text(
        'insulators = ["rect:40,20,46,26"]\n[[electrode]]\nwhere = "left"\npotential = 0.5\n[[electrode]]\n'
        'where = "right"\ncurrent = 0.0\n[[electrode]]\nwhere = "bottom:30%-60%"\npotential = 0.0\n'
        '[transport]\nmodel = "ding2024"\n'
    )
    code, out, err = here(image, *BASE, "--config", "run.toml", "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["model"] == "ding2024"
    assert facts["resistance_ohm"] is None
    assert facts["electrodes"][1]["current_A"] == pytest.approx(0, abs=1e-18)
    code, out, _ = here(image, *BASE, "--config", "run.toml", "--json", "--model", "tensor")
    assert json.loads(out)["model"] == "tensor"


def test_published_systems(image: Path) -> None:
    results = {}
    for system in ("full", "reduced"):
        code, out, err = here(image, *BASE, *TWO, "--system", system, "--model", "ding2024", "--json")
        assert code == 0, err
        results[system] = json.loads(out)["cells"]
    assert results == {"reduced": [16, 24], "full": [32, 40]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nbedex: no electrode: give at least two, for example --electrode top:10-40 --ground right"),
        (("--electrode", "left=x"), "nbedex: expected --electrode WHERE=VOLTS, got 'x'"),
        (("--current", "left"), "nbedex: expected --current WHERE=AMPERES, got 'left'"),
        ((*TWO, "--conductivity", "beta=0"), "nbedex: options: phases: conductivities of beta must be positive, got 0"
         " S/m; list it as an insulator if it doesn't conduct at `transport`"),
        ((*TWO, "--sweep", "texture"), "nbedex: expected --sweep WHAT=V1,V2,..., got 'texture'"),
        ((*TWO, "--sweep-to", "x.png"), "nbedex: --sweep-to draws a sweep; say what to vary with --sweep"),
        ((*TWO, "--backbone", "1,2"), "nbedex: expected --backbone NM or LEFT,RIGHT,TOP,BOTTOM, got '1,2'"),
        ((*TWO, "--mask", "none.npy"), "nbedex: expected an image, found no file at none.npy"),
        (("--electrode", "left", "--ground", "top"), "nbedex: electrodes left and top touch each other, which is a"
         " short circuit; leave a gap"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(image: Path, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = here(image, *BASE, *arguments)
    assert (code, out) == (2, "")
    assert err.strip().splitlines()[-1] == message
