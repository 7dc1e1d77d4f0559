"""Runs that get into each other's way, inputs that change, disks that are too small: refused, with the reason."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex import read_result
from nbedex.errors import ArgumentError
from nbedex.indexing import lock
from nbedex.indexing.lock import RunLock, is_held
from oracles import held_run
from oracles.command_line import here, tree
from oracles.held_run import release, wait_for_blocks
from oracles.small_scan import FLAGS, small_scan

INDEX = ("index", "scan.npy", *FLAGS, "-o", "map.h5", "-q")


@pytest.fixture(scope="module")
def frames() -> NDArray[np.uint16]:
    return small_scan((8, 5), drift=1.0)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def folder(tmp_path: Path, frames: NDArray[np.uint16], cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NBEDEX_CACHE", str(cache))
    np.save(tmp_path / "scan.npy", frames)
    return tmp_path


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    process = held_run.start(folder, *INDEX, *more, pause=0.2)
    wait_for_blocks(folder, process, 2)
    return process


def test_a_second_run_is_refused_while_the_first_is_alive(folder: Path) -> None:
    first = start(folder)
    first.send_signal(signal.SIGSTOP)  # it is not asked whether it is well, only whether it lives
    for more in ((), ("--resume",), ("--overwrite",), ("--shard", "1/2")):
        code, _, err = here(folder, *INDEX, *more)
        assert code == 2 and len(err.splitlines()) == 1
        assert f"another run (process {first.pid} on " in err and "writes to map.h5.part; wait for it" in err
    code, out, _ = here(folder, "status", "map.h5", "--json")
    facts = json.loads(out)
    assert code == 0 and facts["state"] == "running" and facts["run"]["total"] == 40
    assert facts["run"]["processes"][0]["pid"] == first.pid
    first.kill()
    first.communicate()
    code, out, _ = here(folder, "status", "map.h5", "--json")
    assert json.loads(out)["state"] == "interrupted"
    code, out, _ = here(folder, "status", "map.h5")
    assert code == 0 and out.startswith("state") and "of 40 patterns (" in out
    code, _, err = here(folder, *INDEX, "--resume")
    assert code == 0, err
    assert read_result(folder / "map.h5").indexed.all()
    code, out, _ = here(folder, "status", "map.h5", "--json")
    assert json.loads(out)["state"] == "finished"


def test_a_run_of_another_machine_counts_while_it_is_fresh(tmp_path: Path) -> None:
    """Not all network drives carry locks."""
    (tmp_path / "lock").write_text('{"pid": 7, "host": "elsewhere"}')
    (tmp_path / "progress.json").write_text('{"state": "running"}')
    with pytest.raises(ArgumentError, match=r"another run \(process 7 on elsewhere\) wrote to .* 0 s ago; wait for it"):
        RunLock(tmp_path)
    old = time.time() - 1000
    os.utime(tmp_path / "progress.json", (old, old))
    with RunLock(tmp_path):
        assert f'"pid": {os.getpid()}' in (tmp_path / "lock").read_text()
    assert not is_held(tmp_path)


def test_shards_share_a_folder_but_not_a_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_PATIENCE", 0.0)
    with RunLock(tmp_path, (1, 3)), RunLock(tmp_path, (2, 3)):
        assert is_held(tmp_path)
        for shard in ((1, 3), None):
            with pytest.raises(ArgumentError, match="another run"):
                RunLock(tmp_path, shard)
    with RunLock(tmp_path), pytest.raises(ArgumentError, match="another run"):
        RunLock(tmp_path, (1, 3))


def test_a_lock_that_the_drive_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    with RunLock(tmp_path):
        pass


@pytest.mark.parametrize("what", ["first pattern", "pattern in the middle", "cut"])
def test_input_that_changes_during_the_run(folder: Path, frames: NDArray[np.uint16], what: str) -> None:
    first = start(folder)
    path = folder / "scan.npy"
    if what == "cut":
        with open(path, "r+b") as stream:
            stream.truncate(path.stat().st_size - 1000)
    else:
        changed = frames.copy()
        changed.reshape(40, -1)[0 if what == "first pattern" else 4] += 1  # patterns that are done already
        with open(path, "r+b") as stream:
            stream.seek(path.stat().st_size - frames.nbytes)
            stream.write(changed.tobytes())
    release(folder)
    _, err = first.communicate(timeout=90)
    assert first.returncode == 3, err
    assert "scan.npy changed while it was indexed: what was found before and after does not belong together" in err
    assert not (folder / "map.h5").exists()
    code, out, _ = here(folder, "status", "map.h5", "--json")
    assert json.loads(out)["state"] == "spoiled"
    np.save(path, frames)
    code, _, err = here(folder, *INDEX, "--resume")
    assert code == 2 and "is of no use: scan.npy changed while it was indexed; start over with --overwrite" in err
    assert here(folder, *INDEX, "--overwrite")[0] == 0


def test_input_that_was_only_touched(folder: Path) -> None:
    first = start(folder)
    os.utime(folder / "scan.npy")
    release(folder)
    _, err = first.communicate(timeout=90)
    assert first.returncode == 0, err
    assert "scan.npy was touched while it was indexed" in (folder / "map.h5.log").read_text()


def test_input_changed_before_resuming(folder: Path, frames: NDArray[np.uint16]) -> None:
    """First and last pattern, size and type are the same; one of those done is not."""
    first = start(folder)
    first.kill()
    first.communicate()
    changed = frames.copy()
    changed.reshape(40, -1)[4] += 1
    np.save(folder / "scan.npy", changed)
    code, _, err = here(folder, *INDEX, "--resume")
    assert code == 2 and "pattern 4 is not what it was: the file was changed since it was begun" in err


def test_resuming_what_is_complete(folder: Path) -> None:
    assert here(folder, *INDEX)[0] == 0
    before = tree(folder)
    code, _, err = here(folder, *INDEX, "--resume")
    assert code == 0, err
    assert tree(folder) == before
    code, _, err = here(folder, *INDEX, "--resume", "--n-best", "3")
    assert code == 5 and "map.h5 exists already, made with other options; choose another name" in err
    (folder / "map.h5").write_bytes(b"something else")
    code, _, err = here(folder, *INDEX, "--resume")
    assert code == 5 and "map.h5 exists already and is no result" in err
    assert (folder / "map.h5").read_bytes() == b"something else"


def test_too_little_disk_is_noticed_before_the_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 0, 20_000))
    before = tree(folder)
    code, _, err = here(folder, *INDEX)
    assert code == 5
    assert "can't write map.h5: run and result need 0.0 MB but" in err or "run and result need 0.1 MB but" in err
    assert tree(folder) == before


def test_old_result_stays_until_the_new_one_is_whole(folder: Path) -> None:
    assert here(folder, *INDEX)[0] == 0
    old = (folder / "map.h5").read_bytes()
    first = start(folder, "--overwrite", "--n-best", "3")
    assert (folder / "map.h5").read_bytes() == old
    first.kill()
    first.communicate()
    assert (folder / "map.h5").read_bytes() == old
    code, _, err = here(folder, *INDEX, "--resume", "--overwrite", "--n-best", "3")
    assert code == 0, err
    assert read_result(folder / "map.h5").n_rivals == 3


def test_merge_refuses_what_does_not_belong_together(folder: Path) -> None:
    code, _, err = here(folder, "merge", "map.h5")
    assert code == 2 and "map.h5.part holds no unfinished run" in err
    assert here(folder, *INDEX, "--shard", "1/2")[0] == 0
    (folder / "other").mkdir()
    code, _, err = here(
        folder, "index", "scan.npy", *FLAGS, "--n-best", "3", "-o", "other/map.h5", "-q", "--shard", "2/2"
    )
    assert code == 0, err
    code, _, err = here(folder, "merge", "-o", "both.h5", "map.h5.part", "other/map.h5.part")
    assert code == 2 and "is of another run than map.h5.part: other options" in err
    (folder / "map.h5.part" / "head.json").write_text("{}")
    code, _, err = here(folder, "merge", "map.h5")
    assert code == 2 and "can't be understood" in err


def test_another_fingerprint_at_the_end_is_a_change(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbedex.scan import Scan

    monkeypatch.setattr(Scan, "state", lambda self: (1, time.monotonic_ns()))
    fingerprint = Scan.fingerprint
    calls = iter(range(9))
    monkeypatch.setattr(Scan, "fingerprint", lambda self: fingerprint(self) if next(calls) < 1 else "other")
    code, _, err = here(folder, *INDEX, "--overwrite")
    assert code == 3 and "changed while it was indexed" in err
