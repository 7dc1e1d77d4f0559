"""Frames that the core reads itself: the same patterns as of an array, and errors where the file ends or fails."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbedex import _core
from nbedex.calibration import Calibration
from nbedex.indexing import CenterSettings, IndexingSettings, index_scan
from nbedex.library import SimulationSettings, build_library
from nbedex.maps.result import Status
from nbedex.phases import load_phase
from nbedex.scan import Scan, memory_scan, open_scan
from nbedex.scan.sources import RawSource

pytestmark = pytest.mark.skipif(not hasattr(_core, "FrameFile"), reason="not on this system")

GRID = _core.PolarGrid(n_rings=9, n_azimuths=40, k_min=0.1, k_max=0.9)
SAMPLER = _core.PolarSampler(GRID, np.array([[12.0, 0.5], [-0.3, 11.0]]))
OPTIONS = _core.Preprocessing(
    remove_background=True, background_sigma=0.0, peak_sigma=1.0, exponent=0.25, saturation=0.0, max_saturated=0.02,
    max_non_finite=0.01,
)  # fmt: skip
DTYPES = ("u1", "u2", "u4", "i1", "i2", "i4", "f4")


def stack(dtype: str, n: int = 11) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 100, (n, 29, 33)).astype(dtype)


def file_of(path: Path, frames: np.ndarray, *, head: int = 5, gap: int = 0) -> tuple[int, np.ndarray]:
    """Frames with some bytes before and between them; descriptor and places."""
    with open(path, "wb") as file:
        file.write(b"x" * head)
        for frame in frames:
            file.write(frame.tobytes() + b"y" * gap)
    return os.open(path, os.O_RDONLY), head + np.arange(len(frames)) * (frames[0].nbytes + gap)


def prepared(frames: Any, threads: int = 2, mask: np.ndarray | None = None) -> tuple[Any, ...]:
    centers = np.tile([14.0, 16.5], (len(frames), 1)) + np.linspace(0, 1, len(frames))[:, None]
    return _core.prepare_patterns(frames, centers, SAMPLER, OPTIONS, mask, threads, True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 3])
def test_as_from_an_array(tmp_path: Path, dtype: str, threads: int) -> None:
    frames = stack(dtype)
    frames[4] = 0  # blank
    mask = np.zeros((29, 33), np.uint8)
    mask[10, 20] = 1
    descriptor, places = file_of(tmp_path / "a", frames, gap=3)
    order = np.array([3, 3, 10, 0, 4, 7])
    file = _core.FrameFile(
        descriptor=descriptor, places=places[order], rows=29, columns=33, dtype=np.dtype(dtype)
    )  # fmt: skip
    os.close(descriptor)  # it has one of its own
    assert len(file) == 6
    np.testing.assert_array_equal(np.asarray(file), frames[order])
    assert file[0].dtype == np.dtype(dtype)
    for mine, expected in zip(prepared(file, threads, mask), prepared(frames[order], threads, mask), strict=True):
        np.testing.assert_array_equal(mine, expected)


def test_errors(tmp_path: Path) -> None:
    frames = stack("u2")
    descriptor, places = file_of(tmp_path / "a", frames)
    os.truncate(tmp_path / "a", places[-1] + 7)
    options = {"rows": 29, "columns": 33, "dtype": np.dtype("u2")}
    file = _core.FrameFile(descriptor=descriptor, places=places, **options)
    with pytest.raises(OSError, match="the file ends within a frame") as error:
        prepared(file)
    assert error.value.errno == errno.ENODATA
    with pytest.raises(OSError):
        file[10]
    with pytest.raises(IndexError):
        file[11]
    with pytest.raises(IndexError):
        file[-1]
    with pytest.raises(OSError):
        _core.FrameFile(descriptor=descriptor, places=np.array([-5]), **options)[0]
    with pytest.raises(OSError, match="can't duplicate"):
        _core.FrameFile(descriptor=-1, places=places, **options)
    with pytest.raises(TypeError, match="places must have dtype int64"):
        _core.FrameFile(descriptor=descriptor, places=places.astype(float), **options)
    with pytest.raises(TypeError, match="frames must be 8, 16 or 32 bit integers or float32 in native byte order"):
        prepared(_core.FrameFile(descriptor=descriptor, places=places, **options | {"dtype": np.dtype(">u2")}))
    with pytest.raises(ValueError, match="at least 2 pixels"):
        _core.FrameFile(descriptor=descriptor, places=places, **options | {"rows": 1})
    with pytest.raises(ValueError, match="mask must have shape"):
        prepared(file, mask=np.zeros((33, 29), np.uint8))
    os.close(descriptor)


def test_which_scans_the_core_reads(tmp_path: Path) -> None:
    data = stack("u2", 12).reshape(3, 4, 29, 33)
    np.save(tmp_path / "a.npy", data)
    np.save(tmp_path / "big.npy", data.astype(">u2"))
    np.save(tmp_path / "wide.npy", data.astype("i8"))
    wanted = np.array([1, 5, 11])
    with open_scan(tmp_path / "a.npy") as scan:
        file = scan.in_file(wanted)
        assert file is not None
        np.testing.assert_array_equal(np.asarray(file), data.reshape(-1, 29, 33)[wanted])
        assert scan.in_file(wanted[:0]) is None
    with open_scan(tmp_path / "a.npy") as whole, whole.binned(1) as one:
        assert one.in_file(wanted) is not None
    for name in ("big.npy", "wide.npy"):
        with open_scan(tmp_path / name) as scan:
            assert scan.in_file(wanted) is None
    np.save(tmp_path / "b.npy", np.pad(data, ((0, 0), (0, 0), (2, 2), (2, 2))))
    with open_scan(tmp_path / "b.npy") as whole, whole.binned(2) as binned:
        assert binned.in_file(wanted) is None
    with memory_scan(data) as scan:
        assert scan.in_file(wanted) is None
    upside_down = RawSource(
        tmp_path / "a.npy", offset=128, scan_shape=(3, 4), frame_shape=(29, 33), dtype=np.dtype("<u2"), flip_rows=True
    )
    with Scan(upside_down, path=tmp_path / "a.npy", format="raw") as scan:
        assert scan.in_file(wanted) is None


class Failing(RawSource):
    """A drive that fails at some frames: where the core would read them is beyond the end of the file."""

    bad = (5, 20)

    def places(self, numbers: np.ndarray) -> np.ndarray:
        return np.where(np.isin(numbers, self.bad), 1 << 40, super().places(numbers))

    def read(self, start: int, stop: int) -> np.ndarray:
        if any(start <= number < stop for number in self.bad):
            raise OSError(errno.EIO, "drive")
        return super().read(start, stop)


def test_what_can_not_be_read_takes_its_own_patterns_only(tmp_path: Path) -> None:
    frames = np.random.default_rng(1).poisson(4, (30, 48, 48)).astype("<u2")
    frames[:, 22:26, 22:26] += 200
    for row, column in ((8, 8), (40, 8), (24, 40), (12, 30), (35, 35)):
        frames[:, row : row + 2, column : column + 2] += 60
    frames.tofile(tmp_path / "a.raw")
    library = build_library([load_phase("na2au")], SimulationSettings(voltage=300.0, step_deg=8.0))
    camera = Calibration(pixel_size=0.04, voltage=300.0)
    settings = IndexingSettings(center=CenterSettings(method="fixed", position=(23.5, 23.5)))
    results = []
    for kind in (RawSource, Failing):
        source = kind(tmp_path / "a.raw", offset=0, scan_shape=(5, 6), frame_shape=(48, 48), dtype=np.dtype("<u2"))
        with Scan(source, path=tmp_path / "a.raw", format="raw") as scan:
            results.append(index_scan(scan, library, camera, settings=settings, threads=2))
    with memory_scan(frames.reshape(5, 6, 48, 48)) as scan:
        results.append(index_scan(scan, library, camera, settings=settings, threads=1))
    whole, failed, memory = results
    lost = failed.status.ravel() == Status.UNREADABLE
    assert np.flatnonzero(lost).tolist() == list(Failing.bad)
    np.testing.assert_array_equal(whole.index, memory.index)
    np.testing.assert_array_equal(whole.orientation, memory.orientation)
    np.testing.assert_array_equal(failed.index.reshape(30, -1)[~lost], whole.index.reshape(30, -1)[~lost])
