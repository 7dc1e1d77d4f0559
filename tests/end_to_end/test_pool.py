"""`nbedex pool` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

from nbedex.maps import read_result
from oracles.command_line import here
from oracles.small_scan import FLAGS, small_scan


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
