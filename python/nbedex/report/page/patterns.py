"""Patterns of grains: measured ones, averaged, and where the simulation puts the spots of their mean orientation."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import NbedexError
from nbedex.grains import GrainMap, Role
from nbedex.library import SimulationSettings, simulate
from nbedex.progress import Progress, silent
from nbedex.report.page.content import PageContent
from nbedex.scan import Scan
from nbedex.settings import settings_from_dict

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]
SIZE = 128  # pixels of a pattern on the page at most
_PER_GRAIN = 16
_MOST_BYTES = 5_000_000  # of patterns on the page, before they are packed
_MOST_SPOTS = 160  # of a grain; weaker ones are left out


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """Mean patterns of grains, as the page shows them.

    Attributes
    ----------
    grain
        (m,) regions.
    image
        (m, s, s) uint8, square root of the intensity from its median to its 99.9th percentile.
    pixels
        (m,) patterns in each mean.
    pixel_size
        1/angstrom of a pixel of `image`; the direct beam is in the middle, at (s - 1) / 2.
    """

    grain: NDArray[np.int64]
    image: NDArray[np.uint8]
    pixels: NDArray[np.int64]
    pixel_size: float


def measured_patterns(content: PageContent, *, progress: Progress = silent) -> tuple[Measured | None, str]:
    """Mean patterns of the largest grains, and a sentence on which, or on why there are none."""
    scan, calibration, grain_map = content.scan, content.calibration, content.grain_map
    if scan is None:
        return None, ""
    if calibration is None:
        return None, "The map does not say how the detector was calibrated, so there are no measured patterns."
    if scan.scan_shape != grain_map.grain_id.shape:
        return None, (
            f"The scan is {scan.scan_shape[0]} × {scan.scan_shape[1]} patterns, the map"
            f" {grain_map.grain_id.shape[0]} × {grain_map.grain_id.shape[1]}: it is not the scan of this map, so there"
            " are no measured patterns."
        )
    factor = max(1, -(-min(scan.frame_shape) // (2 * SIZE)))
    side = min(SIZE, min(scan.frame_shape) // factor)
    grains = _largest(grain_map, _MOST_BYTES // side**2)
    images, counts = [], []
    try:
        for number, grain in enumerate(grains.tolist()):
            progress("reading patterns", number, len(grains))
            places = _best_pixels(grain_map, grain)
            images.append(_mean(scan, places, _centers(content, places), factor, side))
            counts.append(len(places))
        progress("reading patterns", len(grains), len(grains))
    except NbedexError as error:
        log.warning("no measured patterns: %s", error)
        return None, f"The scan could not be read, so there are no measured patterns: {error}."
    if not images:
        return None, ""
    measured = Measured(
        grain=grains,
        image=np.stack(images),
        pixels=np.array(counts),
        pixel_size=calibration.pixel_size * factor,
    )
    there = int(np.isin(grain_map.grains.role, (Role.GRAIN, Role.ELECTRODE, Role.INSULATOR)).sum())
    sentence = f"Patterns are there for the {len(grains)} largest of {there} grains." if len(grains) < there else ""
    return measured, sentence


def _largest(grain_map: GrainMap, most: int) -> NDArray[np.int64]:
    """Regions with an orientation, the largest first where they are too many."""
    known = np.flatnonzero(np.isfinite(grain_map.grains.orientation).all(axis=1))
    order = np.argsort(-grain_map.grains.n_pixels[known], kind="stable")[:most]
    return np.sort(known[order])


def _best_pixels(grain_map: GrainMap, grain: int) -> NDArray[np.int64]:
    """Up to 16 pixels of a grain, those its orientation is surest in, numbered through the scan."""
    first_row, first_column, last_row, last_column = grain_map.grains.bounds[grain].tolist()
    window = np.s_[first_row : last_row + 1, first_column : last_column + 1]
    mine = (grain_map.grain_id[window] == grain) & ~grain_map.absorbed[window]
    if not mine.any():
        mine = grain_map.grain_id[window] == grain
    rows, columns = np.nonzero(mine)
    confidence = grain_map.source.confidence
    sure = np.zeros(len(rows)) if confidence is None else np.nan_to_num(confidence[window][mine])
    order = np.argsort(-sure, kind="stable")[:_PER_GRAIN]
    nx = grain_map.grain_id.shape[1]
    return np.asarray((rows[order] + first_row) * nx + columns[order] + first_column, dtype=np.int64)


def _centers(content: PageContent, places: NDArray[np.int64]) -> Floats | None:
    """(n, 2) direct beams (row, column) that indexing found; None where it is not known."""
    if content.result is None:
        return None
    centers = content.result.center.reshape(-1, 2)[places].astype(np.float64)
    return centers if np.isfinite(centers).all() else None


def _mean(scan: Scan, places: NDArray[np.int64], centers: Floats | None, factor: int, side: int) -> NDArray[np.uint8]:
    """Mean of patterns, each moved by whole pixels so that its beam is in the middle."""
    frames = scan.read_at(places)
    full = side * factor
    total = np.zeros((full, full))
    weight = np.zeros((full, full))
    if centers is None:
        centers = np.array([_brightest(frame) for frame in frames])
    for frame, (row, column) in zip(frames, centers, strict=True):
        top, left = round(row - (full - 1) / 2), round(column - (full - 1) / 2)
        there = np.s_[max(top, 0) : max(top + full, 0), max(left, 0) : max(left + full, 0)]
        part = frame[there].astype(np.float64)
        here = np.s_[
            max(-top, 0) : max(-top, 0) + part.shape[0], max(-left, 0) : max(-left, 0) + part.shape[1]
        ]  # fmt: skip
        total[here] += np.nan_to_num(part, nan=0.0, posinf=0.0, neginf=0.0)
        weight[here] += np.isfinite(part)
    mean = total / np.maximum(weight, 1)
    small = mean.reshape(side, factor, side, factor).mean(axis=(1, 3))
    root = np.sqrt(np.maximum(small, 0.0))
    low, high = np.percentile(root, (50, 99.8))
    return np.asarray(np.rint(255 * np.clip((root - low) / max(high - low, 1e-12), 0, 1)), dtype=np.uint8)


def _brightest(frame: NDArray[Any]) -> Floats:
    """Centre of gravity of the brightest spot, about where the direct beam is."""
    values = np.nan_to_num(frame.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    row, column = np.unravel_index(int(np.argmax(values)), values.shape)
    return np.array([row, column], dtype=np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Simulated:
    """Spots of grains at their mean orientations.

    Attributes
    ----------
    offset
        (n + 1,) int32: spots of region g are [offset[g], offset[g + 1]).
    position
        (m, 2) float32: (column, row) on the detector, 1/angstrom, from the direct beam.
    intensity
        (m,) uint8, square root of a spot's intensity, 255 for the strongest of its pattern.
    """

    offset: NDArray[np.int32]
    position: NDArray[np.float32]
    intensity: NDArray[np.uint8]


def simulated_patterns(content: PageContent, *, threads: int = 0) -> tuple[Simulated | None, str]:
    """Kinematical patterns of all grains of phases that are known, and a sentence on those that are not."""
    grain_map, calibration = content.grain_map, content.calibration
    settings = _settings(content)
    if settings is None or calibration is None:
        return None, "How templates were simulated is not known from the map, so there are no simulated patterns."
    to_detector = calibration.detector_from_sample() * calibration.pixel_size
    n = len(grain_map.grains)
    each: list[tuple[Floats, Floats]] = [(np.zeros((0, 2)), np.zeros(0))] * n
    unknown = []
    for number, kind in enumerate(grain_map.source.phases):
        phase = content.phases.get(kind.name)
        orientation = grain_map.grains.orientation
        mine = np.flatnonzero((grain_map.grains.phase_id == number) & np.isfinite(orientation).all(axis=1))
        if not mine.size:
            continue
        if phase is None:
            unknown.append(kind.name)
            continue
        spots = simulate(phase, orientation[mine], settings, threads=threads)
        for row, grain in enumerate(mine.tolist()):
            pattern = spots.pattern(row)
            strongest = np.argsort(-pattern["intensity"], kind="stable")[:_MOST_SPOTS]
            k = np.stack([pattern["kx"], pattern["ky"]], axis=1)[strongest].astype(np.float64)
            each[grain] = k @ to_detector.T, np.sqrt(pattern["intensity"][strongest].astype(np.float64))
    counts = np.array([len(k) for k, _ in each])
    shares = [root / root.max() if len(root) else root for _, root in each]
    sentence = "Phases whose structure is not at hand have no simulated patterns: " + ", ".join(unknown) + "."
    return Simulated(
        offset=np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        position=np.concatenate([k for k, _ in each] + [np.zeros((0, 2))]).astype(np.float32),
        intensity=np.rint(255 * np.concatenate([*shares, np.zeros(0)])).astype(np.uint8),
    ), sentence if unknown else ""


def _settings(content: PageContent) -> SimulationSettings | None:
    """How the templates of the map were simulated, as far as the provenance says."""
    stored = content.provenance.get("library", {})
    values = stored.get("settings") if isinstance(stored, dict) else None
    if not isinstance(values, dict):
        return None
    try:
        return settings_from_dict(SimulationSettings, values, where="the map's provenance")
    except NbedexError:
        return None
