"""The synthetic scan: beta''-alumina grains, a Na2Au strip, an NZSP corner."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.files import replacing
from nbedex.library import SimulationSettings, simulate
from nbedex.phases import Phase, load_phase

Array = NDArray[np.float64]

PHASES = ("beta2-alumina", "nzsp", "na2au")
_BETA_GRAINS = 6
_DETECTOR = 128
_CALIBRATION = Calibration(pixel_size=0.0195, voltage=300.0, step=(4.0, 4.0))
_SPOT_SIGMA = 0.8  # pixels
_COUNTS = 2e4  # electrons per pattern
_SHARE_SPOTS, _SHARE_BEAM = 0.4, 0.3  # of the counts; the rest is diffuse background
_BOUNDARY = 0.6  # pixels: patterns nearer to a boundary than this are mixed


@dataclass(frozen=True, eq=False)
class DemoScan:
    """A scan and the truth about it.

    Attributes
    ----------
    frames : (ny, nx, det_y, det_x) uint16
    calibration
        True geometry.
    phases
        The phases present.
    phase_id : (ny, nx) int16
        Index into `phases`.
    grain_id : (ny, nx) int16
    orientation : (ny, nx, 4) float64
        Sample to crystal, of the grain that dominates the pattern.
    mixed : (ny, nx) bool
        Patterns to which a second grain contributes.
    """

    frames: NDArray[np.uint16]
    calibration: Calibration
    phases: tuple[Phase, ...]
    phase_id: NDArray[np.int16]
    grain_id: NDArray[np.int16]
    orientation: Array
    mixed: NDArray[np.bool_]


def make_scan(*, size: int = 40, seed: int = 7) -> DemoScan:
    """Make the scan.

    Kinematical patterns with an excitation error other than the default library's, thickness fringes left out; diffuse
    background, Poisson noise, a direct beam that drifts by two pixels over the scan, and patterns near boundaries that
    are sums of both grains.

    Parameters
    ----------
    size
        Scan rows and columns.
    seed
        Of the random numbers; the same seed gives the same scan.
    """
    rng = np.random.default_rng(seed)
    phases = tuple(load_phase(name) for name in PHASES)
    grain, second, share = _grains(size, rng)
    grain_phase = np.array([0] * _BETA_GRAINS + [1, 2], dtype=np.int16)
    orientations = rng.normal(size=(len(grain_phase), 4))
    orientations /= np.linalg.norm(orientations, axis=1, keepdims=True)
    orientations *= np.where(orientations[:, :1] < 0, -1.0, 1.0)
    spots = [_spots(phases[p], o) for p, o in zip(grain_phase, orientations, strict=True)]

    frames = np.empty((size, size, _DETECTOR, _DETECTOR), dtype=np.uint16)
    middle = (_DETECTOR - 1) / 2
    for y in range(size):
        for x in range(size):
            center = np.array([middle + 1.5 - 2.0 * y / size, middle - 1.0 + 2.0 * x / size])
            pattern = (1 - share[y, x]) * _render(spots[grain[y, x]], center)
            if share[y, x] > 0:
                pattern += share[y, x] * _render(spots[second[y, x]], center)
            frames[y, x] = rng.poisson(_COUNTS * (_SHARE_SPOTS * pattern + _diffuse(center)))
    return DemoScan(
        frames=frames,
        calibration=_CALIBRATION,
        phases=phases,
        phase_id=grain_phase[grain],
        grain_id=grain,
        orientation=orientations[grain],
        mixed=share > 0.02,
    )


def _grains(size: int, rng: np.random.Generator) -> tuple[NDArray[np.int16], NDArray[np.int16], Array]:
    """Grain of every pixel, its nearest other grain, and that one's share of the pattern (at most a half)."""
    y, x = np.mgrid[:size, :size].astype(float)
    seeds = rng.uniform(0, size, size=(_BETA_GRAINS, 2))
    distance = [np.hypot(y - sy, x - sx) for sy, sx in seeds]
    # An NZSP corner and a Na2Au strip as further grains: signed distances on the same scale.
    corner = np.hypot(y - size, x - size) - 0.42 * size
    strip = np.abs(x + 0.15 * y - 0.18 * size) - 0.07 * size
    depth = np.stack([*(d - np.min(distance, axis=0) for d in distance), corner, strip])
    depth[:_BETA_GRAINS] = np.maximum(depth[:_BETA_GRAINS] / 2, np.maximum(-corner, -strip))
    depth[_BETA_GRAINS] = np.maximum(corner, -strip)
    order = np.argsort(depth, axis=0, kind="stable")
    nearest, other = np.take_along_axis(depth, order[:2], axis=0)
    inside = (other - nearest) / 2  # distance from the boundary, pixels
    share = np.clip(0.5 - inside / (2 * _BOUNDARY), 0.0, 0.5)
    return order[0].astype(np.int16), order[1].astype(np.int16), share


def _spots(phase: Phase, orientation: Array) -> tuple[Array, Array]:
    """Offsets (n, 2) from the direct beam, in pixels (row, column), and intensities that add up to one."""
    settings = SimulationSettings(voltage=_CALIBRATION.voltage, k_max=1.6, max_excitation_error=0.015)
    pattern = simulate(phase, orientation[None], settings, threads=1).pattern(0)
    to_pixels = _CALIBRATION.detector_from_sample()
    columns, rows = to_pixels @ np.stack([pattern["kx"], pattern["ky"]])
    intensity = pattern["intensity"].astype(float)
    return np.stack([rows, columns], axis=1), intensity / intensity.sum()


def _render(spots: tuple[Array, Array], center: Array) -> Array:
    """Spots as Gaussian disks on the detector, cut off at five standard deviations."""
    reach = np.arange(-4, 5)
    at = spots[0] + center
    pixel = np.round(at)[:, :, None] + reach  # (n, 2, 9)
    profile = np.exp(-((pixel - at[:, :, None]) ** 2) / (2 * _SPOT_SIGMA**2)) / np.sqrt(2 * np.pi * _SPOT_SIGMA**2)
    profile[(pixel < 0) | (pixel >= _DETECTOR)] = 0.0
    number = np.clip(pixel, 0, _DETECTOR - 1).astype(np.intp)
    flat = number[:, 0, :, None] * _DETECTOR + number[:, 1, None, :]
    value = spots[1][:, None, None] * profile[:, 0, :, None] * profile[:, 1, None, :]
    image = np.bincount(flat.ravel(), value.ravel(), _DETECTOR**2)
    return np.asarray(image.reshape(_DETECTOR, _DETECTOR), dtype=np.float64)


def _diffuse(center: Array) -> Array:
    """Direct beam and diffuse background, as shares of the counts."""
    y, x = np.ogrid[:_DETECTOR, :_DETECTOR]
    r = np.hypot(y - center[0], x - center[1])
    beam = np.exp(-(r**2) / (2 * 1.0**2))
    background = np.exp(-r * _CALIBRATION.pixel_size / 0.25)
    return np.asarray(
        _SHARE_BEAM * beam / beam.sum() + (1 - _SHARE_SPOTS - _SHARE_BEAM) * background / background.sum()
    )


def write_hspy(scan: DemoScan, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write the scan as HyperSpy's HDF5, with the metadata that a microscope would give, one chunk per pattern."""
    from rsciio import hspy

    ny, nx, rows, columns = scan.frames.shape
    step = scan.calibration.step or (1.0, 1.0)
    pixel = scan.calibration.pixel_size

    def axis(name: str, size: int, scale: float, units: str, *, navigate: bool, offset: float = 0.0) -> dict[str, Any]:
        return {
            "name": name, "size": size, "scale": scale, "offset": offset, "units": units, "navigate": navigate,
            "_type": "UniformDataAxis", "is_binned": False,
        }  # fmt: skip

    signal = {
        "data": scan.frames,
        "axes": [
            axis("y", ny, step[0], "nm", navigate=True),
            axis("x", nx, step[1], "nm", navigate=True),
            axis("ky", rows, pixel, "1/Å", navigate=False, offset=-pixel * (rows - 1) / 2),
            axis("kx", columns, pixel, "1/Å", navigate=False, offset=-pixel * (columns - 1) / 2),
        ],
        "metadata": {
            "General": {"title": "nbedex demo"},
            "Signal": {"signal_type": "electron_diffraction"},
            "Acquisition_instrument": {"TEM": {"beam_energy": scan.calibration.voltage}},
        },
        "original_metadata": {},
        "attributes": {"_lazy": False},
        "learning_results": {},
        "models": {},
        "tmp_parameters": {},
        "package_info": {"package": "nbedex", "package_version": ""},
    }
    with replacing(path, overwrite=overwrite, suffix=".hspy") as temporary:
        hspy.file_writer(str(temporary), signal, chunks=(1, 1, rows, columns), show_progressbar=False)
    return Path(path)
