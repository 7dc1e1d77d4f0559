"""A 4D-STEM scan of a specimen whose every column is known."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta, field
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.demo.columns import Columns, Raster, columns
from nbedex.demo.hspy import write_hspy
from nbedex.demo.patterns import Camera, Exposure, make_exposure
from nbedex.demo.scan_truth import Truth, truth_of
from nbedex.demo.specimen import Specimen
from nbedex.indexing.pipeline import processors
from nbedex.progress import Progress, silent
from nbedex.settings import Settings

_BLOCK = 256  # positions simulated together, about: tens of MB


class ScanSettings(Settings, frozen=True, kw_only=True):
    """How a specimen is scanned.

    Attributes
    ----------
    raster
        Where the beam stands.
    camera
        What records the patterns.
    seed
        Of the counts; the same seed gives the same scan.
    """

    raster: Raster = field(default_factory=Raster)
    camera: Camera = field(default_factory=Camera)
    seed: Annotated[int, Meta(ge=0)] = 7


@dataclass(frozen=True, eq=False)
class DemoScan:
    """A small scan in memory, and the truth about it.

    Attributes
    ----------
    frames : (ny, nx, det_y, det_x) uint16
    calibration
        True geometry.
    truth
        What is where.
    """

    frames: NDArray[np.uint16]
    calibration: Calibration
    truth: Truth


def simulate_scan(
    specimen: Specimen,
    path: str | os.PathLike[str],
    settings: ScanSettings | None = None,
    *,
    overwrite: bool = False,
    threads: int = 0,
    progress: Progress = silent,
) -> Truth:
    """Scan a specimen and write the patterns as HyperSpy's .hspy, block by block.

    The patterns of the crystals above one another are simulated dynamically, each at its own orientation and thickness,
    and added with their shares of the column: no electron is diffracted by two crystals. Each pattern is the same
    whatever the number of threads.

    Parameters
    ----------
    specimen
        What is scanned.
    path
        File to write.
    settings
        Options; None for the defaults.
    overwrite
        Whether `path` may be replaced.
    threads
        0: all this process may use.
    progress
        Called with scan rows done and in all.

    Returns
    -------
    truth
        What is where.

    Raises
    ------
    OutputError
        The file can't be written.
    """
    chosen = settings or ScanSettings()
    (ny, nx), size = chosen.raster.shape, chosen.camera.size
    truth: list[Columns] = []

    def rows() -> Iterator[NDArray[np.uint16]]:
        done = 0
        for parts, frames in _blocks(specimen, chosen, threads):
            truth.append(parts)
            yield frames.reshape(-1, nx, size, size)
            done += len(frames) // nx
            progress("scanning", done, ny)

    progress("scanning", 0, ny)
    step = chosen.raster.step_nm(specimen)
    write_hspy(
        path,
        rows(),
        shape=(ny, nx, size, size),
        calibration=chosen.camera.calibration(step),
        title="virtual lamella",
        overwrite=overwrite,
    )
    return truth_of(specimen, chosen.raster, truth)


def make_scan(specimen: Specimen, settings: ScanSettings | None = None, *, threads: int = 0) -> DemoScan:
    """A small scan in memory; see `simulate_scan`."""
    chosen = settings or ScanSettings()
    (ny, nx), size = chosen.raster.shape, chosen.camera.size
    blocks = list(_blocks(specimen, chosen, threads))
    return DemoScan(
        frames=np.concatenate([frames for _, frames in blocks]).reshape(ny, nx, size, size),
        calibration=chosen.camera.calibration(chosen.raster.step_nm(specimen)),
        truth=truth_of(specimen, chosen.raster, [parts for parts, _ in blocks]),
    )


def _blocks(specimen: Specimen, settings: ScanSettings, threads: int) -> Iterator[tuple[Columns, NDArray[np.uint16]]]:
    """Blocks of whole scan rows in order; a few are worked on at a time."""
    (ny, nx), workers = settings.raster.shape, threads or processors()
    exposure = make_exposure(specimen, settings.camera, settings.raster.shape, seed=settings.seed)
    per_block = max(1, _BLOCK // nx)
    waiting: deque[Future[tuple[Columns, NDArray[np.uint16]]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for first in range(0, ny, per_block):
                number = np.arange(first * nx, min(first + per_block, ny) * nx, dtype=np.int64)
                waiting.append(pool.submit(_block, specimen, settings.raster, exposure, number))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for left in waiting:
                left.cancel()


def _block(
    specimen: Specimen, raster: Raster, exposure: Exposure, number: NDArray[np.int64]
) -> tuple[Columns, NDArray[np.uint16]]:
    parts = columns(specimen, raster, number)
    return parts, exposure.frames(parts)
