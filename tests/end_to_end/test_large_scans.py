"""Regions, stepping, binning, previews, shards, series, following: the same pixels have the same bits in all ways."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex import read_result
from nbedex.maps import IndexingResult, Status
from nbedex.maps.result import ARRAYS
from oracles.command_line import environment, here
from oracles.small_scan import FLAGS, break_chunk, small_scan, write_h5

SHAPE = (8, 5)
WRITER = Path(__file__).parents[1] / "oracles" / "slow_writer.py"


@pytest.fixture(scope="module")
def frames() -> NDArray[np.uint16]:
    return small_scan(SHAPE, drift=1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, frames: NDArray[np.uint16]) -> Path:
    path = tmp_path_factory.mktemp("large")
    np.save(path / "scan.npy", frames)
    write_h5(path / "chunks.h5", frames, chunks=(3, 2, *frames.shape[2:]))
    return path


@pytest.fixture(autouse=True)
def small_blocks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBEDEX_CACHE", str(folder / "cache"))
    monkeypatch.setattr("nbedex.indexing.task._BLOCK_PATTERNS", 4)


def index(folder: Path, name: str, *more: object, scan: str = "scan.npy") -> IndexingResult:
    code, _, err = here(folder, "index", scan, *FLAGS, "-o", name, "-q", *more)
    assert code == 0, err
    return read_result(folder / name)


@pytest.fixture(scope="module")
def whole(folder: Path) -> IndexingResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBEDEX_CACHE", str(folder / "cache"))
        return index(folder, "whole.h5")


def assert_same(found: IndexingResult, expected: IndexingResult, where: Any = np.s_[:]) -> None:
    for name in ARRAYS:
        assert getattr(found, name).tobytes() == np.ascontiguousarray(getattr(expected, name)[where]).tobytes(), name


@pytest.mark.parametrize("scan", ["scan.npy", "chunks.h5"])
@pytest.mark.parametrize(
    ("flags", "where"),
    [
        (("--roi", "2:7,1:4"), np.s_[2:7, 1:4]),
        (("--every", "3"), np.s_[::3, ::3]),
        (("--roi", "1:8,0:5", "--every", "2", "--preview"), np.s_[1:8:2, 0:5:2]),
    ],
)
def test_regions_are_cut_out_of_the_whole(
    folder: Path, whole: IndexingResult, scan: str, flags: tuple[str, ...], where: Any
) -> None:
    found = index(folder, "part.h5", *flags, "--overwrite", "--scan-step", "2", scan=scan)
    assert_same(found, whole, where)
    every = int(flags[flags.index("--every") + 1]) if "--every" in flags else 1
    assert found.calibration.step == (2.0 * every, 2.0 * every)
    assert found.provenance["region"]["every"] == every
    code, out, _ = here(folder, "index", "--config", "part.h5.toml", "-o", "again.h5", "--overwrite", "--json")
    assert code == 0 and json.loads(out)["shape"] == list(found.shape)  # the options say which region


def test_a_mask_of_patterns(folder: Path, whole: IndexingResult) -> None:
    mask = np.random.default_rng(1).random(SHAPE) < 0.4
    np.save(folder / "mask.npy", mask)
    found = index(folder, "masked.h5", "--roi-mask", "mask.npy")
    assert (found.status[~mask] == Status.NOT_DONE).all() and found.indexed[mask].all()
    assert_same_at(found, whole, mask)
    for wrong, message in ((mask[:-1], "has shape (7, 5), the scan (8, 5)"), (mask & False, "chooses no pattern")):
        np.save(folder / "wrong.npy", wrong)
        code, _, err = here(folder, "index", "scan.npy", *FLAGS, "--roi-mask", "wrong.npy", "-o", "wrong.h5")
        assert code == 2 and message in err


def assert_same_at(found: IndexingResult, expected: IndexingResult, where: NDArray[np.bool_]) -> None:
    for name in ARRAYS:
        assert getattr(found, name)[where].tobytes() == getattr(expected, name)[where].tobytes(), name


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--roi", "2:9,0:5"), "the region's rows 2:9 are not within the scan's 0:8"),
        (("--roi", "3:3,0:5"), "rows 3:3 are not within the scan's 0:8, or empty"),
        (("--roi", "3,5"), "expected FIRST:LAST,FIRST:LAST of rows and columns such as 10:50,0:64, got '3,5'"),
        (("--every", "0"), "every"),
        (("--bin", "7"), "binning by 7 leaves 13 x 14 of the detector's 96 x 98 pixels; at least 16 x 16 are needed"),
        (("--shard", "3/2"), "expected I/N with 1 <= I <= N, such as 3/8, got '3/2'"),
        (("--memory", "0"), "memory_gb"),
    ],
)
def test_nonsense_is_refused(folder: Path, flags: tuple[str, ...], message: str) -> None:
    code, _, err = here(folder, "index", "scan.npy", *FLAGS, "-o", "wrong.h5", *flags)
    assert code == 2 and message in err and not list(folder.glob("wrong.h5*"))


@pytest.mark.parametrize("scan", ["scan.npy", "chunks.h5"])
def test_preview_memory_and_threads_change_no_byte(
    folder: Path, frames: NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch, scan: str
) -> None:
    monkeypatch.setattr("nbedex.indexing.run._PREVIEW_PATTERNS", 5)
    index(folder, "same.h5", "--overwrite", scan=scan)
    expected = (folder / "same.h5").read_bytes()
    for more in (("--preview",), ("--memory", "0.1"), ("--threads", "2", "--preview", "--memory", "50")):
        (folder / "same.h5.live.png").unlink(missing_ok=True)
        index(folder, "same.h5", "--overwrite", *more, scan=scan)
        assert (folder / "same.h5").read_bytes() == expected
        assert (folder / "same.h5.live.png").exists() == ("--preview" in more)


def test_preview_comes_first_and_is_not_done_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbedex.indexing.run as run

    seen: list[list[int]] = []
    index_patterns = run.index_patterns

    def watched(task: Any, wanted: NDArray[np.bool_]) -> Any:
        seen.append(np.flatnonzero(wanted).tolist())
        return index_patterns(task, wanted)

    monkeypatch.setattr(run, "index_patterns", watched)
    monkeypatch.setattr(run, "_PREVIEW_PATTERNS", 5)
    index(folder, "preview.h5", "--preview")
    assert seen[0] == [0, 3, 15, 18, 30, 33]
    assert sorted(seen[0] + seen[1]) == list(range(40))
    assert "preview done: 6 of 40 patterns" in (folder / "preview.h5.log").read_text()


def test_binning_is_indexing_of_binned_patterns(folder: Path, frames: NDArray[np.uint16]) -> None:
    """Pixel size, centre and mask are those of the detector as stored."""
    cut = frames.astype(np.uint32)[:, :, :96, :98].reshape(8, 5, 48, 2, 49, 2).sum(axis=(3, 5))
    np.save(folder / "binned.npy", cut.astype(np.uint32))
    mask = np.zeros((96, 98), bool)
    mask[10, 13] = mask[60:64, 20:22] = True
    np.save(folder / "mask_full.npy", mask)
    np.save(folder / "mask_binned.npy", mask.reshape(48, 2, 49, 2).any(axis=(1, 3)))
    here_flags = ("--center-method", "fixed", "--keep-hot-pixels", "--overwrite")
    found = index(folder, "bin.h5", "--bin", 2, "--center", "47.5,48.5", "--mask", "mask_full.npy", *here_flags)
    by_hand = index(
        folder, "hand.h5", "--pixel-size", 0.052, "--center", "23.5,24", "--mask", "mask_binned.npy", *here_flags,
        scan="binned.npy",
    )  # fmt: skip
    assert_same(found, by_hand)
    assert found.calibration.pixel_size == pytest.approx(0.052)
    assert "pixel_size = 0.026" in (folder / "bin.h5.toml").read_text()


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("scan", ["scan.npy", "chunks.h5"])
def test_shards_merge_to_the_same_file(folder: Path, scan: str, shards: int) -> None:
    index(folder, "shared.h5", "--overwrite", scan=scan)
    expected = (folder / "shared.h5").read_bytes()
    (folder / "shared.h5").unlink()
    (folder / "shared.h5.toml").unlink()
    for number in range(shards, 0, -1):
        code, out, err = here(
            folder, "index", scan, *FLAGS, "-o", "shared.h5", "--shard", f"{number}/{shards}", "--memory", number
        )
        assert code == 0 and f"share {number} of {shards} is done" in out, err
        if number == 2:
            code, _, err = here(folder, "merge", "shared.h5")
            assert code == 2 and "of 40 patterns are missing in shared.h5.part: finish the run with --resume" in err
            assert not (folder / "shared.h5").exists()
            assert here(folder, "merge", "shared.h5", "--partial", "-o", "partial.h5", "--overwrite", "-q")[0] in (0, 4)
            assert 0 < int(read_result(folder / "partial.h5").indexed.sum()) < 40
    assert "to be merged" in here(folder, "status", "shared.h5")[1]
    code, _, err = here(folder, "merge", "shared.h5", "-q")
    assert code == 0, err
    assert (folder / "shared.h5").read_bytes() == expected
    assert (folder / "shared.h5.toml").exists() and not (folder / "shared.h5.part").exists()


def test_damaged_chunks_are_counted_and_placed(folder: Path, frames: NDArray[np.uint16], whole: IndexingResult) -> None:
    path = write_h5(folder / "broken.h5", frames)
    for position in ((2, 1), (5, 4)):
        break_chunk(path, position)
    code, out, _ = here(folder, "index", "broken.h5", *FLAGS, "--center-method", "per-pattern", "-o", "broken_map.h5")
    assert code == 0
    assert "  UNREADABLE                 2, in rows 2 to 5" in out
    assert "UNREADABLE" not in here(folder, "status", "whole.h5")[1]
    result = read_result(folder / "broken_map.h5")
    assert np.argwhere(result.status == Status.UNREADABLE).tolist() == [[2, 1], [5, 4]]
    log = (folder / "broken_map.h5.log").read_text()
    assert "can't read patterns" in log and "2 unreadable" in log


def test_a_series(folder: Path, frames: NDArray[np.uint16]) -> None:
    """One library load; a bad scan does not keep the others from being indexed, and the exit code says so."""
    series = folder / "series"
    series.mkdir()
    for name in ("a", "b"):
        np.save(series / f"{name}.npy", frames[:2] if name == "a" else frames[2:5])
    (series / "bad.npy").write_bytes(b"no scan")
    code, out, err = here(folder, "index", "series/*.npy", *FLAGS, "-o", "maps", "--json", "-q")
    assert code == 4 and "bad.npy: not a NumPy .npy file" in err
    rows = json.loads(out)["series"]
    assert [row["scan"] for row in rows] == ["series/a.npy", "series/b.npy", "series/bad.npy"]
    assert [row["pixels"] for row in rows] == [10, 15, None] and "not a NumPy" in rows[2]["error"]
    with open(folder / "maps" / "series.csv", newline="") as stream:
        table = list(csv.DictReader(stream))
    assert [row["pixels"] for row in table] == ["10", "15", ""]
    assert float(table[0]["fraction na2au"]) == rows[0]["phases"]["na2au"]
    assert_same(read_result(folder / "maps" / "b.h5"), index(folder, "b.h5", scan="series/b.npy"))

    code, out, _ = here(folder, "index", "series/a.npy", "series/b.npy", *FLAGS, "-o", "maps", "--resume")
    assert code == 0 and "maps/series.csv" in out and "100.0%" in out  # complete already
    assert here(folder, "index", "series/bad.npy", "series/bad.npy", *FLAGS, "-o", "maps", "-q")[0] == 3
    assert here(folder, "index", "series/none*.npy", *FLAGS, "-o", "maps")[0] == 2
    (folder / "a.npy").write_bytes(b"")
    code, _, err = here(folder, "index", "a.npy", "series/a.npy", *FLAGS, "-o", "twice", "-q")
    assert code == 4 and sorted(p.name for p in (folder / "twice").glob("*.h5")) == ["series_a.h5"]


def test_one_library_load_for_a_series(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbedex.workflow import inputs

    loads = []
    get = inputs.get_library
    monkeypatch.setattr(inputs, "get_library", lambda *a, **k: loads.append(1) or get(*a, **k))
    for name in ("c", "d"):
        np.save(folder / f"{name}.npy", np.load(folder / "scan.npy")[:1])
    code, _, err = here(folder, "index", "c.npy", "d.npy", *FLAGS, "-o", "maps_cd", "-q")
    assert code == 0, err
    assert len(loads) == 1


def test_noise_is_called_noise_while_the_run_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbedex.indexing import monitor

    monkeypatch.setattr(monitor, "_ENOUGH", 12)
    code, _, err = here(folder, "index", "scan.npy", *FLAGS, "-o", "noise.h5", "-q", "--overwrite")
    assert code == 0
    log = (folder / "noise.h5.log").read_text()  # every pattern of this scan is of another orientation
    assert (
        "THIS LOOKS LIKE NOISE: only 0% of neighbouring patterns have the same orientation; check --pixel-size" in log
    )
    grains = np.repeat(np.load(folder / "scan.npy")[:, :1], 5, axis=1)
    np.save(folder / "grains.npy", grains)
    code, out, err = here(folder, "index", "grains.npy", *FLAGS, "-o", "grains.h5")
    assert code == 0 and "NOISE" not in err and "NOISE" not in (folder / "grains.h5.log").read_text()
    assert "% of neighbours agree" in err and "100% indexed" in err and "GB of memory" in out


def test_the_log_says_what_happened(folder: Path) -> None:
    index(folder, "logged.h5", "--overwrite")
    log = (folder / "logged.h5.log").read_text()
    for expected in (
        "indexes scan.npy -> logged.h5", "memory: ", "limit 2.00 GB", "indexed: 40 of 40 patterns", "most memory ",
    ):  # fmt: skip
        assert expected in log, expected


def write_slowly(folder: Path, kind: str, name: str, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(WRITER), kind, "scan.npy", name, *more], cwd=folder, env=environment())


@pytest.mark.parametrize(
    ("kind", "name", "more"),
    [
        ("npy", "growing.npy", ("--center-method", "fixed", "--center", "47.6,48.3")),
        ("stack", "growing.h5", ()),
        ("rows", "rows.h5", ("--center-method", "fixed", "--center", "47.6,48.3")),
    ],
)
def test_following_ends_in_the_result_of_the_finished_file(
    folder: Path, kind: str, name: str, more: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer process; with the beam's place given, what was found live is kept."""
    import nbedex.workflow.follow as follow

    kept: list[int] = []
    confirmed = follow._Live.confirmed

    def watched(self: Any, task: Any) -> Any:
        for found in confirmed(self, task):
            kept.append(len(found[0]))
            yield found

    monkeypatch.setattr(follow._Live, "confirmed", watched)
    monkeypatch.setattr(follow, "_SETTLED", 0.5)
    options = ("--scan-shape", "8,5", *more)
    writer = write_slowly(folder, kind, name)
    try:
        followed = index(folder, "followed.h5", "--follow", "--live-every", "1", "--overwrite", *options, scan=name)
    finally:
        assert writer.wait(60) == 0
    expected = (folder / "followed.h5").read_bytes()
    assert (folder / "followed.h5.live.png").read_bytes()[:4] == b"\x89PNG"
    assert not list(folder.glob("followed.h5.*part"))
    assert_same(index(folder, "followed.h5", "--overwrite", *options, scan=name), followed)
    assert (folder / "followed.h5").read_bytes() == expected
    assert sum(kept) >= 8 if more else not kept


def test_a_file_that_stops_growing(folder: Path, whole: IndexingResult) -> None:
    frames = np.load(folder / "scan.npy")
    with open(folder / "short.npy", "wb") as stream:
        stream.write((folder / "scan.npy").read_bytes()[: -frames.nbytes])
        stream.write(frames.tobytes()[: frames.nbytes // 40 * 23 + 100])
    center = ("--center-method", "fixed", "--center", "47.6,48.3", "--keep-hot-pixels")
    code, _, err = here(
        folder, "index", "short.npy", *FLAGS, *center, "--follow", "--follow-timeout", "1.5", "-o", "short.h5", "-q"
    )
    assert code == 0, err
    assert "the scan is taken for ended with 23 of 40 patterns" in (folder / "short.h5.log").read_text()
    found = read_result(folder / "short.h5")
    there = np.arange(40).reshape(SHAPE) < 23
    assert (found.status[~there] == Status.NOT_DONE).all()
    assert_same_at(found, index(folder, "full.h5", *center), there)


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_while_following(folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
    def stopped(live: Any, progress: Any) -> None:
        os.kill(os.getpid(), number)
        time.sleep(5)

    monkeypatch.setattr("nbedex.workflow.follow._Live.until_complete", stopped)
    (folder / "begun.npy").write_bytes((folder / "scan.npy").read_bytes()[:-100])
    found, _, err = here(folder, "index", "begun.npy", *FLAGS, "--follow", "-o", "stopped.h5", "-q")
    assert found == code and err.startswith("nbedex: stopped after 0 of 40 patterns had been indexed live; follow the")
    assert not list(folder.glob("stopped*"))


@pytest.mark.parametrize(
    ("name", "content", "message", "code"),
    [
        ("nothing.npy", None, "no such file: nothing.npy", 2),
        ("head.npy", b"\x93NUMPY", "head.npy: not a NumPy .npy file", 3),
        ("a.blo", b"IMGBLO" + bytes(300), "only HDF5, .npy and .mib can be followed while they are written", 2),
    ],
)
def test_what_can_not_be_followed(folder: Path, name: str, content: bytes | None, message: str, code: int) -> None:
    if content is not None:
        (folder / name).write_bytes(content)
    found, _, err = here(folder, "index", name, *FLAGS, "--follow", "--follow-timeout", "0.2", "-o", "wrong.h5", "-q")
    assert found == code and message in err and len(err.splitlines()) == 1


def test_a_stack_of_unknown_length(folder: Path) -> None:
    import h5py

    with h5py.File(folder / "unknown.h5", "w") as file:
        file.create_dataset("data", (3, 96, 98), "u2", maxshape=(None, 96, 98), chunks=(1, 96, 98))
    code, _, err = here(folder, "index", "unknown.h5", *FLAGS, "--follow", "-o", "wrong.h5", "-q")
    assert code == 2 and "does not say how large the scan will be; give --scan-shape" in err
