"""The demo, small: the whole chain on a scan with known truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nbedex import read_result
from oracles.command_line import here, nbedex, tree


def test_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBEDEX_CACHE", str(tmp_path / "cache"))
    done = nbedex("demo", "here", "--size", 12, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    rows = {row["name"]: row for row in facts["accuracy"]}
    assert rows["all"]["pixels"] == 144 and sum(rows[p]["pixels"] for p in ("beta2-alumina", "nzsp", "na2au")) == 144
    pure = rows["all but mixed boundary pixels"]
    assert pure["right_phase"] > 0.97 and pure["within_2_deg"] + pure["half_turn"] > 0.85
    for file in facts["files"]:
        assert (tmp_path / file).stat().st_size > 1000
    assert read_result(tmp_path / "here" / "map.h5").shape == (12, 12)
    before = tree(tmp_path / "here")
    code, _, err = here(tmp_path, "demo", "here", "--size", 12, "-q")
    assert code == 5 and "exists already" in err
    assert tree(tmp_path / "here") == before
    # the scan is a file like a user's
    _, out, _ = here(tmp_path, "info", "here/scan.hspy", "--json")
    assert json.loads(out)["calibration"]["voltage"] == 300.0
