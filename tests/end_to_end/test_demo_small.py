"""The demo as README has it: the whole chain on the scan of the virtual lamella, against truth and publication."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nbedex import read_result
from oracles.command_line import here, nbedex, tree


def test_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBEDEX_CACHE", str(tmp_path / "cache"))
    done = nbedex("demo", "here", "--json", folder=tmp_path, timeout=600)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)

    # the published table, from the patterns alone
    assert len(facts["pairs"]) == 14 and len(facts["classes"]) == 12 and len(facts["relations"]) == 4
    for row in facts["pairs"]:
        assert row["error_deg"] <= 1.0, row
        assert abs(row["found"]["omega"] - row["published_omega"]) <= 1.5, row
        assert abs(row["found"]["delta_theta"] - row["published_path"]) <= 4.5, row
        assert row["found"]["psi"] <= row["found"]["omega"], row
    assert [row["found"]["sigma"] for row in facts["relations"]] == [row["published"] for row in facts["relations"]]
    assert {3, 21} <= {row["published"] for row in facts["relations"]}
    assert [row["pair"] for row in facts["classes"] if not row["right"]] == []
    assert facts["filament_rank"] <= 3

    rows = {row["name"]: row for row in facts["accuracy"]}
    assert rows["beta2-alumina"]["within_2_deg"] > 0.95 and rows["beta2-alumina"]["pixels"] > 3000
    assert rows["all"]["right_phase"] > 0.95
    assert facts["resistance_ohm"] > 0
    for file in facts["files"].values():
        assert (tmp_path / file).stat().st_size > 1000
    assert "report" in facts["files"]
    assert read_result(tmp_path / "here" / "map.h5").shape == (64, 64)

    # what it says one could type gives the same
    (transport,) = [line for line in facts["commands"] if line.startswith("nbedex transport ")]
    code, out, err = here(tmp_path, *transport.split()[1:], "--overwrite", "--json")
    assert code == 0, err
    assert json.loads(out)["resistance_ohm"] == pytest.approx(facts["resistance_ohm"], rel=1e-9)

    before = tree(tmp_path / "here")
    code, _, err = here(tmp_path, "demo", "here", "-q")
    assert code == 5 and "exists already" in err
    assert tree(tmp_path / "here") == before
    # the scan is a file like a user's
    _, out, _ = here(tmp_path, "info", "here/scan.hspy", "--json")
    assert json.loads(out)["calibration"]["voltage"] == 300.0


def test_only_the_scan(tmp_path: Path) -> None:
    code, out, err = here(tmp_path, "demo", "big", "--size", "32", "--detector", "64", "--scan-only", "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert sorted(path.name for path in (tmp_path / "big").iterdir()) == ["scan.hspy", "truth.h5"]
    assert facts["commands"][0].startswith("nbedex index big/scan.hspy --phase ")
    code, _, err = here(tmp_path, "demo", "big", "--size", "31")
    assert code == 2 and "--size must lie between 32 and 1024, got 31" in err
    code, _, err = here(tmp_path, "demo", "big", "--detector", "8", "-q")
    assert code == 2 and "camera.size" in err
