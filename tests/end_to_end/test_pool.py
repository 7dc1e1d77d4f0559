"""`nbedex pool` as a user runs it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import h5py
import numpy as np

from nbedex.grains.answer import stored_answers
from nbedex.maps import disorientation_angle, read_result
from oracles.command_line import here
from oracles.small_scan import FLAGS, small_scan


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_pool_writes_a_result(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", np.repeat(np.repeat(small_scan((1, 3)), 6, axis=0), 3, axis=1))
    code, _, err = here(tmp_path, "index", "scan.npy", *FLAGS, "-o", "map.h5", "--quiet")
    assert code == 0, err
    code, out, err = here(tmp_path, "pool", "map.h5", "-o", "pooled.h5", "--patterns", "20", "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["result"] == "pooled.h5" and facts["grains"] >= 1
    before, after = read_result(tmp_path / "map.h5"), read_result(tmp_path / "pooled.h5")
    assert after.shape == before.shape
    assert after.provenance["pooling"]["settings"]["max_patterns"] == 20
    assert len(after.provenance["pooling"]["result"]["sha256"]) == 64
    answers = stored_answers(after.provenance)
    assert len(answers) == facts["grains_compared_by_bloch_waves"]
    for answer in answers:
        assert after.phase_id[answer.pixel] == answer.phase_id
        symmetry = after.phases[answer.phase_id].symmetry_quaternions
        assert disorientation_angle(after.orientation[answer.pixel], answer.orientation, symmetry) < np.deg2rad(5)
    # from there into the tables of grains and boundaries
    code, _, err = here(tmp_path, "grains", "pooled.h5", "-o", "grains.h5", "--csv", "grains.csv", "--quiet")
    assert code == 0, err
    code, _, err = here(tmp_path, "boundaries", "grains.h5", "--csv", "boundaries.csv", "--quiet")
    assert code == 0, err
    ambiguous = sum(row["ambiguous"] == "1" for row in table(tmp_path / "grains.csv"))
    assert ambiguous == facts["grains_with_more_than_one_solution"]
    assert all(row["may be none"] in "01" for row in table(tmp_path / "boundaries.csv"))
    code, _, err = here(tmp_path, "pool", "map.h5", "-o", "pooled.h5", "--quiet")
    assert code == 5 and "pooled.h5" in err and "--overwrite" in err
    (tmp_path / "scan.npy").rename(tmp_path / "moved.npy")
    code, _, err = here(tmp_path, "pool", "map.h5", "-o", "other.h5", "--quiet")
    assert code == 2 and "scan.npy" in err and "Traceback" not in err
    code, _, err = here(tmp_path, "pool", "map.h5", "--scan", "moved.npy", "-o", "other.h5", "--quiet")
    assert code == 0, err
    assert (tmp_path / "other.h5").read_bytes()[:8] == (tmp_path / "pooled.h5").read_bytes()[:8]


def test_pool_refuses_what_it_cannot_use(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    code, _, err = here(tmp_path, "pool", "other.h5", "-o", "out.h5", "--quiet")
    assert code == 3 and "other.h5" in err
    code, _, err = here(tmp_path, "pool", "missing.h5", "-o", "out.h5", "--patterns", "1", "--quiet")
    assert code == 2 and "max_patterns" in err
    assert not (tmp_path / "out.h5").exists()
