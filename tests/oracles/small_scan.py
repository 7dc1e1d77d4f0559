"""A small scan of Na2Au with a little beta''-alumina, for tests of indexing.

Quick to make and to index; every pattern is another orientation, so that an exchange of pixels is caught.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.library import SimulationSettings, TemplateLibrary, build_library, simulate
from nbedex.phases import load_phase

PHASES = ("na2au", "beta2-alumina")
CALIBRATION = Calibration(pixel_size=0.026, voltage=300.0, step=(2.0, 3.0))
DETECTOR = (96, 98)
CENTER = (47.6, 48.3)
SIMULATION = SimulationSettings(voltage=300.0, k_max=1.2, step_deg=3.0)
FLAGS = (
    "--phase", "na2au", "--phase", "beta2-alumina", "--pixel-size", "0.026", "--voltage", "300", "--step", "3",
    "--k-max", "1.2",
)  # fmt: skip


def small_library() -> TemplateLibrary:
    return build_library([load_phase(name) for name in PHASES], SIMULATION, threads=1)


def orientations(n: int, seed: int = 5) -> NDArray[np.float64]:
    """Random unit quaternions (n, 4), w >= 0."""
    q = np.random.default_rng(seed).normal(size=(n, 4))
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    return q * np.where(q[:, :1] < 0, -1.0, 1.0)


def small_scan(
    shape: tuple[int, int] = (4, 5), *, counts: float = 2e4, seed: int = 5, drift: float = 0.0
) -> NDArray[np.uint16]:
    """Patterns (ny, nx, det_y, det_x): spots, direct beam and diffuse background, Poisson noise.

    The first phase, and the second in the last column. `drift`: pixels that the beam moves over the scan.
    """
    rng = np.random.default_rng(seed)
    n = shape[0] * shape[1]
    phases = [load_phase(name) for name in PHASES]
    settings = SimulationSettings(voltage=300.0, k_max=1.2, max_excitation_error=0.018)
    spots = [simulate(phase, orientations(n, seed), settings, threads=1) for phase in phases]
    rows, columns = np.ogrid[: DETECTOR[0], : DETECTOR[1]]
    frames = np.empty((n, *DETECTOR), dtype=np.uint16)
    for number in range(n):
        row, column = np.array(CENTER) + drift * (number / max(n - 1, 1) - 0.5) * np.array([1.0, -0.5])
        pattern = spots[1 if number % shape[1] == shape[1] - 1 else 0].pattern(number)
        x, y = CALIBRATION.detector_from_sample() @ np.stack([pattern["kx"], pattern["ky"]]).astype(float)
        weight = pattern["intensity"].astype(float) / pattern["intensity"].sum()
        disks = np.exp(-((rows[..., None] - row - y) ** 2 + (columns[..., None] - column - x) ** 2) / 1.2)
        image = disks @ weight
        r = np.hypot(rows - row, columns - column)
        beam, diffuse = np.exp(-(r**2) / 2), np.exp(-r / 9)
        expected = 0.4 * image / image.sum() + 0.3 * beam / beam.sum() + 0.3 * diffuse / diffuse.sum()
        frames[number] = rng.poisson(counts * expected)
    return frames.reshape(*shape, *DETECTOR)


def write_h5(path: Path, frames: NDArray[Any], **options: Any) -> Path:
    """Plain HDF5 with the scan as dataset /data, compressed, one chunk per pattern."""
    import h5py

    with h5py.File(path, "w") as file:
        chunks = options.pop("chunks", (1, 1, *frames.shape[2:]))
        file.create_dataset("data", data=frames, chunks=chunks, compression="gzip", **options)
    return path


def break_chunk(path: Path, position: tuple[int, int]) -> None:
    """Overwrite the compressed bytes of one pattern's chunk."""
    import h5py

    with h5py.File(path, "r") as file:
        chunk = file["data"].id.get_chunk_info_by_coord((*position, 0, 0))
        offset, size = chunk.byte_offset, chunk.size
    with open(path, "r+b") as stream:
        stream.seek(offset)
        stream.write(b"\xa5" * size)


def polycrystal_frames(truth: NDArray[np.float64], grain: NDArray[np.int64], counts: float) -> NDArray[np.uint16]:
    """Frames (ny, nx, det_y, det_x) of the first phase at truth[grain]: spots, direct beam, even background."""
    settings = SimulationSettings(voltage=300.0, k_max=1.2, max_excitation_error=0.018)
    rows, columns = np.ogrid[: DETECTOR[0], : DETECTOR[1]]
    means = []
    for q in truth:
        pattern = simulate(load_phase(PHASES[0]), q[None], settings, threads=1).pattern(0)
        x, y = CALIBRATION.detector_from_sample() @ np.stack([pattern["kx"], pattern["ky"]]).astype(float)
        image = sum(
            i * np.exp(-((rows - CENTER[0] - r) ** 2 + (columns - CENTER[1] - c) ** 2) / 1.2)
            for r, c, i in zip(y, x, pattern["intensity"], strict=True)
        )
        beam = np.exp(-((rows - CENTER[0]) ** 2 + (columns - CENTER[1]) ** 2) / 1.2)
        means.append(0.5 * image / image.sum() + 0.3 * beam / beam.sum() + 0.2 / image.size)
    return np.random.default_rng(3).poisson(counts * np.stack(means)[grain]).astype(np.uint16)
