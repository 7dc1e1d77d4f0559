"""The Dask adapter gives the bits of `index_scan`, whatever the chunks, the schedulers and the fate of workers."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbedex import IndexingResult, index_scan, memory_scan, save_library
from nbedex.errors import ArgumentError, DataFormatError
from nbedex.indexing import CenterSettings, IndexingSettings
from nbedex.library import SimulationSettings, TemplateLibrary, build_library
from nbedex.phases import load_phase
from oracles.same_maps import assert_same_maps
from oracles.small_scan import CALIBRATION, small_library, small_scan

dask = pytest.importorskip("dask", reason="the extra nbedex[dask] is not installed")
da = pytest.importorskip("dask.array", reason="the extra nbedex[dask] is not installed")

from nbedex.adapters import dask_index, dask_records  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # Dask's and Tornado's own

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


@pytest.mark.parametrize("chunks", [(5, 7, 96, 98), (2, 3, 50, 41), (1, 1, -1, -1), ((4, 1), (1, 6), 96, 98)])
def test_any_chunks_give_the_same_bits(
    data: np.ndarray, library: TemplateLibrary, local: IndexingResult, chunks: Any
) -> None:
    array = da.from_array(data, chunks=chunks)
    with dask.config.set(scheduler="threads", num_workers=3):
        assert_same_maps(dask_index(array, library, CALIBRATION, settings=PER_PATTERN), local)


def test_a_smooth_centre_and_a_mask(data: np.ndarray, library: TemplateLibrary) -> None:
    mask = np.zeros(data.shape[2:], bool)
    mask[40:44, :30] = True
    array = da.from_array(data, chunks=(2, 4, -1, -1))
    expected = index_scan(memory_scan(data), library, CALIBRATION, mask=mask, threads=2)
    with dask.config.set(scheduler="synchronous"):
        assert_same_maps(dask_index(array, library, CALIBRATION, mask=mask, threads=2), expected)


@pytest.mark.parametrize("dtype", [">u2", "f8", "i4"])
def test_other_types_of_numbers(data: np.ndarray, library: TemplateLibrary, dtype: str) -> None:
    other = data[:2, :3].astype(dtype)
    expected = index_scan(memory_scan(other), library, CALIBRATION, threads=1)
    assert_same_maps(dask_index(da.from_array(other, chunks=(1, 2, -1, -1)), library, CALIBRATION), expected)


def test_a_stack_and_an_array_in_memory(data: np.ndarray, library: TemplateLibrary) -> None:
    stack = data[0]
    expected = index_scan(memory_scan(stack), library, CALIBRATION, threads=1)
    assert_same_maps(dask_index(stack, library, CALIBRATION), expected)


def test_records_stay_lazy_and_can_be_cut(data: np.ndarray, library: TemplateLibrary, local: IndexingResult) -> None:
    records = dask_records(da.from_array(data, chunks=(2, 3, -1, -1)), library, CALIBRATION, settings=PER_PATTERN)
    assert isinstance(records, da.Array) and records.shape == (5, 7) and records.chunks == ((2, 2, 1), (3, 3, 1))
    corner = records[3:, 5:]["orientation"].compute(scheduler="synchronous")
    np.testing.assert_array_equal(corner, local.orientation[3:, 5:])


def test_a_lazy_signal_of_hyperspy(data: np.ndarray, library: TemplateLibrary, local: IndexingResult) -> None:
    signals = pytest.importorskip("hyperspy.api", reason="HyperSpy is not installed").signals
    lazy = signals.Signal2D(data).as_lazy()
    assert_same_maps(dask_index(lazy, library, CALIBRATION, settings=PER_PATTERN), local)


def test_what_is_no_scan(library: TemplateLibrary) -> None:
    with pytest.raises(ArgumentError, match=r"^expected a HyperSpy signal, a Dask array or a NumPy array, got str$"):
        dask_index("scan.hspy", library, CALIBRATION)
    with pytest.raises(DataFormatError, match="a single image"):
        dask_index(da.zeros((20, 20)), library, CALIBRATION)
    with pytest.raises(DataFormatError, match="complex"):
        dask_index(da.zeros((2, 2, 20, 20), dtype=complex), library, CALIBRATION)


def test_a_recipe_is_plain_data(data: np.ndarray, library: TemplateLibrary) -> None:
    """Nothing of the C++ core is pickled, and what comes out of the pickle does the same."""
    from nbedex.adapters.recipe import make_recipe

    recipe = make_recipe(memory_scan(data), library, CALIBRATION)
    copy = pickle.loads(pickle.dumps(recipe))
    assert copy.identity == recipe.identity and copy.engine() is recipe.engine()
    indices = np.array([3, 30])
    frames = data.reshape(-1, *data.shape[2:])[indices]
    assert copy.index(frames, indices).tobytes() == recipe.index(frames, indices).tobytes()
    assert len(recipe.index(frames[:0], indices[:0])) == 0


def test_a_misaligned_chunk(data: np.ndarray, library: TemplateLibrary) -> None:
    """Buffers that come over a network lie anywhere."""
    from nbedex.adapters.recipe import make_recipe

    recipe = make_recipe(memory_scan(data), library, CALIBRATION)
    frames = np.ascontiguousarray(data[0, :3])
    room = np.zeros(frames.nbytes + 1, np.uint8)
    odd = room[1:].view(frames.dtype).reshape(frames.shape)
    odd[:] = frames
    assert odd.ctypes.data % 2 == 1
    indices = np.arange(3)
    assert recipe.index(odd, indices).tobytes() == recipe.index(frames, indices).tobytes()


def test_a_library_file_that_was_exchanged_is_refused(
    tmp_path: Path, data: np.ndarray, library: TemplateLibrary
) -> None:
    from nbedex.adapters.recipe import make_recipe

    path = save_library(library, tmp_path / "templates.h5")
    recipe = make_recipe(memory_scan(data), path, CALIBRATION)
    assert recipe.library == str(path)
    other = build_library([load_phase("au")], SimulationSettings(voltage=300.0, k_max=0.6, step_deg=20.0), threads=1)
    save_library(other, path, overwrite=True)
    with pytest.raises(ArgumentError, match=r"the library at .*templates\.h5 is not the one this run began with"):
        recipe._make_engine()


@pytest.fixture(scope="module")
def cluster() -> Any:
    distributed = pytest.importorskip("distributed", reason="the extra nbedex[dask] is not installed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as local_cluster,
        distributed.Client(local_cluster) as client,
    ):
        yield client


def test_two_processes_give_the_same_bits(
    cluster: Any, data: np.ndarray, library: TemplateLibrary, local: IndexingResult
) -> None:
    array = da.from_array(data, chunks=(1, 3, -1, -1))
    assert_same_maps(dask_index(array, library, CALIBRATION, settings=PER_PATTERN), local)


def test_the_library_may_lie_in_a_file(
    cluster: Any, tmp_path: Path, data: np.ndarray, library: TemplateLibrary, local: IndexingResult
) -> None:
    path = save_library(library, tmp_path / "templates.h5")
    array = da.from_array(data, chunks=(3, 3, -1, -1))
    assert_same_maps(dask_index(array, path, CALIBRATION, settings=PER_PATTERN), local)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_worker_killed_in_the_middle_changes_nothing(
    cluster: Any, tmp_path: Path, data: np.ndarray, library: TemplateLibrary, local: IndexingResult
) -> None:
    """Each chunk notes which process reads it; one process is killed when the first notes are there."""
    notes = str(tmp_path)

    def slow(block: np.ndarray) -> np.ndarray:
        with open(os.path.join(notes, str(os.getpid())), "a") as file:
            file.write("x")
        time.sleep(0.15)
        return block

    killed: list[int] = []

    def kill_one() -> None:
        while not killed:
            for name in os.listdir(notes):
                if os.path.getsize(os.path.join(notes, name)) >= 2:
                    os.kill(int(name), signal.SIGKILL)
                    killed.append(int(name))
                    return
            time.sleep(0.01)

    array = da.from_array(data, chunks=(1, 2, -1, -1)).map_blocks(slow, dtype=data.dtype)
    killer = threading.Thread(target=kill_one)
    records = dask_records(array, library, CALIBRATION, settings=PER_PATTERN)
    for note in tmp_path.iterdir():
        note.unlink()  # of looking at the sample
    killer.start()
    found = records.compute()
    killer.join(10)
    assert killed and not os.path.exists(f"/proc/{killed[0]}")
    names = found.dtype.names or ()
    for name in names:
        assert np.ascontiguousarray(found[name]).tobytes() == getattr(local, name).tobytes(), name
    read = sum(note.stat().st_size for note in tmp_path.iterdir())
    assert read > array.npartitions, "nothing was lost and done again"
