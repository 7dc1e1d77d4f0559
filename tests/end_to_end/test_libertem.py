"""The LiberTEM UDF gives the bits of `index_scan` on every executor, tiling and partition."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nbedex import IndexingResult, index_scan, memory_scan
from nbedex.indexing import CenterSettings, IndexingSettings
from nbedex.library import TemplateLibrary
from oracles.same_maps import assert_same_maps
from oracles.small_scan import CALIBRATION, small_library, small_scan

api = pytest.importorskip("libertem.api", reason="the extra nbedex[libertem] is not installed")

from nbedex.adapters import OrientationUDF, libertem_index, libertem_recipe  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # LiberTEM's and Dask's own

PER_PATTERN = IndexingSettings(center=CenterSettings(method="per-pattern"))


@pytest.fixture(scope="module")
def library() -> TemplateLibrary:
    return small_library()


@pytest.fixture(scope="module")
def data() -> np.ndarray:
    return small_scan((5, 7), drift=3.0)


@pytest.fixture(scope="module")
def local(data: np.ndarray, library: TemplateLibrary) -> IndexingResult:
    return index_scan(memory_scan(data), library, CALIBRATION, settings=PER_PATTERN, threads=1)


@pytest.fixture(scope="module")
def inline() -> Any:
    with api.Context.make_with("inline") as context:
        yield context


def test_a_file_read_in_one_process(
    inline: Any, tmp_path: Path, data: np.ndarray, library: TemplateLibrary, local: IndexingResult
) -> None:
    np.save(tmp_path / "a.npy", data)
    dataset = inline.load("npy", path=str(tmp_path / "a.npy"))
    assert_same_maps(libertem_index(inline, dataset, library, CALIBRATION, settings=PER_PATTERN), local)


def test_chunked_hdf5_whose_tiles_cut_patterns(
    inline: Any, tmp_path: Path, data: np.ndarray, library: TemplateLibrary, local: IndexingResult
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=data, chunks=(2, 3, 40, 50), compression="gzip")
    dataset = inline.load("hdf5", path=str(tmp_path / "a.h5"), ds_path="data")
    assert_same_maps(libertem_index(inline, dataset, library, CALIBRATION, settings=PER_PATTERN), local)


def test_partitions_and_batches_of_any_size(
    inline: Any, monkeypatch: pytest.MonkeyPatch, data: np.ndarray, library: TemplateLibrary, local: IndexingResult
) -> None:
    from nbedex.adapters import libertem as module

    monkeypatch.setattr(module, "_BATCH", 4)
    dataset = inline.load("memory", data=data, num_partitions=3, tileshape=(5, *data.shape[2:]))
    assert_same_maps(libertem_index(inline, dataset, library, CALIBRATION, settings=PER_PATTERN), local)


def test_two_processes(tmp_path: Path, data: np.ndarray, library: TemplateLibrary, local: IndexingResult) -> None:
    np.save(tmp_path / "a.npy", data)
    with api.Context.make_with("dask", cpus=2) as context:
        dataset = context.load("npy", path=str(tmp_path / "a.npy"))
        assert_same_maps(libertem_index(context, dataset, library, CALIBRATION, settings=PER_PATTERN), local)


def test_channels_while_it_runs(inline: Any, data: np.ndarray, library: TemplateLibrary, local: IndexingResult) -> None:
    """What is not there yet is no phase 0: live pictures begin with nothing."""
    dataset = inline.load("memory", data=data, num_partitions=5)
    recipe = libertem_recipe(inline, dataset, library, CALIBRATION, settings=PER_PATTERN)
    shares = []
    for part in inline.run_udf_iter(dataset, OrientationUDF(recipe)):
        found = part.buffers[0]
        done, phase = found["done"].data.astype(bool), found["phase_id"].data
        shares.append(done.mean())
        np.testing.assert_array_equal(phase[done], local.phase_id[done])
        assert (phase[~done] == -1).all() and np.isnan(found["orientation"].data[~done]).all()
        np.testing.assert_array_equal(found["index"].data[done], local.index[done])
    assert shares[0] < 0.5 and shares[-1] == 1.0 and shares == sorted(shares)


def test_a_recipe_of_one_scan_serves_another(
    inline: Any, data: np.ndarray, library: TemplateLibrary, local: IndexingResult
) -> None:
    """Live processing: beam and bad pixels are known from a scan taken before."""
    recipe = libertem_recipe(inline, inline.load("memory", data=data), library, CALIBRATION, settings=PER_PATTERN)
    region = np.zeros(data.shape[:2], bool)
    region[1, 2:6] = region[4, 0] = True
    found = inline.run_udf(inline.load("memory", data=data), OrientationUDF(recipe), roi=region)
    np.testing.assert_array_equal(found["orientation"].data[region], local.orientation[region])
    assert found["phase_id"].raw_data.shape == (5,)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_worker_killed_in_the_middle_changes_nothing(
    tmp_path: Path, data: np.ndarray, library: TemplateLibrary, local: IndexingResult
) -> None:
    """Each pattern is noted by the process that gets it; one process is killed when its first notes are there."""
    notes = str(tmp_path / "notes")
    os.mkdir(notes)

    class Slow(OrientationUDF):  # in here, so that workers get it by value
        def process_frame(self, frame: np.ndarray) -> None:
            with open(os.path.join(notes, str(os.getpid())), "a") as file:
                file.write("x")
            time.sleep(0.2)
            super().process_frame(frame)

    killed: list[int] = []

    def kill_one() -> None:
        while not killed:
            for name in os.listdir(notes):
                if os.path.getsize(os.path.join(notes, name)) >= 2:
                    os.kill(int(name), signal.SIGKILL)
                    killed.append(int(name))
                    return
            time.sleep(0.01)

    np.save(tmp_path / "a.npy", data)
    with api.Context.make_with("dask", cpus=2) as context:
        dataset = context.load("npy", path=str(tmp_path / "a.npy"), num_partitions=8)
        recipe = libertem_recipe(context, dataset, library, CALIBRATION, settings=PER_PATTERN)
        killer = threading.Thread(target=kill_one)
        killer.start()
        found = context.run_udf(dataset, Slow(recipe))
        killer.join(10)
    assert killed
    assert found["done"].data.all()
    for name in ("phase_id", "orientation", "index", "status"):
        assert np.ascontiguousarray(found[name].data).tobytes() == getattr(local, name).tobytes(), name
    read = sum(note.stat().st_size for note in (tmp_path / "notes").iterdir())
    assert read > len(data.reshape(-1, *data.shape[2:])), "nothing was lost and done again"
