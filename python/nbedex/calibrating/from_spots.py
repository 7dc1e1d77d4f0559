"""Calibration with single crystals: index, compare found with predicted spots, correct, and again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nbedex.calibrating.settings import CalibrateSettings
from nbedex.calibrating.spots import PatternSpots, SpotFit, find_spots, fit_spots
from nbedex.calibration import Calibration
from nbedex.errors import DataFormatError
from nbedex.indexing import IndexingSettings
from nbedex.indexing.block import index_block
from nbedex.indexing.centers import CenterModel, find_centers
from nbedex.indexing.engine import Engine, make_engine
from nbedex.indexing.masks import detector_mask
from nbedex.indexing.sample import sample_positions, usable_frames
from nbedex.library import TemplateLibrary, simulate
from nbedex.maps.orientation import disorientation_angle
from nbedex.maps.result import Status
from nbedex.progress import Progress, silent
from nbedex.scan import Scan

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

_SAMPLES, _SEARCH = 64, 0.06
_SEARCH_PATTERNS = 16
_SEARCH_STEP = 0.015  # indexing survives half of it
_PASSES = 3
_LEAST_SPOTS = 4  # found in a pattern that is used
_FAINTEST = 0.02  # of a pattern's strongest predicted spot
_FEW_SPOTS = 16  # altogether
_MANY_SPOTS = 60  # below that the user is told
_GOOD_SHARE = 0.3  # of predicted bright spots that must be found, or the indexing is not believed
_SAME_DEG = 5.0
ENOUGH_ORIENTATIONS = 3  # to tell an ellipse of the camera from a strain of the crystal


@dataclass(frozen=True, eq=False, kw_only=True)
class SpotCalibration:
    """Scale, ellipse and centre from indexed single crystals.

    Attributes
    ----------
    fit
        What was found.
    spots
        The spots used, by pattern.
    phases
        Names of the phases whose cells the scale rests on.
    centers
        Direct beam over the scan.
    looked_at
        Patterns indexed; `fit.patterns` of them had enough spots where predicted.
    orientations
        How many different ones, up to symmetry, the patterns used have.
    example : (det_y, det_x)
        The frame of the pattern with most spots, `example_number` in `spots`.
    example_number
        See there.
    calibration
        The calibration with what was found put in.
    doubts
        Sentences for the user.
    """

    fit: SpotFit
    spots: tuple[PatternSpots, ...]
    phases: tuple[str, ...]
    centers: CenterModel
    looked_at: int
    orientations: int
    example: NDArray[Any]
    example_number: int
    calibration: Calibration
    doubts: tuple[str, ...]

    @property
    def ellipse_determined(self) -> bool:
        """Whether there were enough orientations to find it."""
        return self.orientations >= ENOUGH_ORIENTATIONS


@dataclass(frozen=True, eq=False)
class Sample:
    """Some patterns of a scan.

    Attributes
    ----------
    indices : (n,) int
        Flat scan positions.
    frames : (n, det_y, det_x)
        The patterns.
    centers : (n, 2) float64
        Direct beam (row, column) of each.
    path
        Direct beam over the scan.
    mask : (det_y, det_x) uint8 or None
        Non-zero where a pixel must not be used.
    saturation_value
        Of the scan.
    """

    indices: NDArray[np.intp]
    frames: NDArray[Any]
    centers: Array
    path: CenterModel
    mask: NDArray[np.uint8] | None
    saturation_value: int | None


def take_sample(
    scan: Scan,
    indexing: IndexingSettings,
    *,
    mask: NDArray[np.bool_] | None = None,
    n: int = _SAMPLES,
    threads: int = 0,
) -> Sample:
    """About n usable patterns, spread over the scan."""
    saturated = indexing.preprocess.max_saturated
    pixels = detector_mask(
        scan, user_mask=mask, find_hot_pixels=indexing.preprocess.hot_pixels, max_saturated=saturated
    )
    path = find_centers(scan, indexing.center, pixels, max_saturated=saturated, threads=threads)
    wanted = sample_positions(scan.scan_shape, n)
    groups = list(usable_frames(scan, wanted, ignore=None if pixels is None else pixels != 0, max_saturated=saturated))
    indices = np.concatenate([indices for indices, _ in groups])
    frames = np.concatenate([frames for _, frames in groups])
    return Sample(indices, frames, path.at(indices), path, pixels, scan.saturation_value)


def engine_for(
    sample: Sample, library: TemplateLibrary, calibration: Calibration, indexing: IndexingSettings
) -> Engine:
    """What indexes the sample: by matching alone, as where spots lie needs no re-ranking and no second crystals."""
    middle = sample.centers.mean(axis=0)
    alone = msgspec.structs.replace(
        indexing.without_rerank(),
        overlap=msgspec.structs.replace(indexing.overlap, max_crystals=1),
    )
    return make_engine(
        library, calibration, alone, frame_shape=(sample.frames.shape[1], sample.frames.shape[2]),
        center=(float(middle[0]), float(middle[1])), saturation_value=sample.saturation_value, mask=sample.mask,
    )  # fmt: skip


def calibrate_spots(
    scan: Scan,
    library: TemplateLibrary,
    calibration: Calibration,
    *,
    settings: CalibrateSettings | None = None,
    indexing: IndexingSettings | None = None,
    mask: NDArray[np.bool_] | None = None,
    threads: int = 0,
    progress: Progress = silent,
) -> SpotCalibration:
    """Find scale and ellipse from indexed patterns of known phases.

    Parameters
    ----------
    scan
        Patterns of single crystals.
    library
        Templates of the phases.
    calibration
        Where to start; its pixel size within `settings.search` (6 %).
    settings, indexing
        Options.
    mask : (det_y, det_x) bool or None
        True where a pixel must not be used.
    threads
        0: all this process may use.
    progress
        Told of every step.

    Raises
    ------
    ArgumentError
        Options are inconsistent.
    DataFormatError
        Too few patterns are indexed with spots where they should be.
    """
    settings, indexing = settings or CalibrateSettings(), indexing or IndexingSettings()
    sample = take_sample(scan, indexing, mask=mask, n=settings.samples or _SAMPLES, threads=threads)

    def engine(now: Calibration) -> Engine:
        return engine_for(sample, library, now, indexing)

    search = _SEARCH if settings.search is None else settings.search
    sizes = calibration.pixel_size * (1 + _steps(search))
    stage, total = "calibrating", len(sizes) + _PASSES
    first = _thinned(sample, _SEARCH_PATTERNS)
    quality = []
    for number, size in enumerate(sizes):
        progress(stage, number, total)
        records = index_block(
            first.frames, first.centers, engine(replace(calibration, pixel_size=size)), threads=threads
        )
        quality.append(float(np.nansum(np.where(records["status"] == Status.OK, records["index"], 0.0))))
    now = replace(calibration, pixel_size=float(sizes[int(np.argmax(quality))]))
    fit, used, different = None, [], 0
    for number in range(_PASSES):
        progress(stage, len(sizes) + number, total)
        built = engine(now)
        records = index_block(sample.frames, sample.centers, built, threads=threads)
        used = all_spots(sample, records, library, now, built)
        if sum(len(p.k) for p in used) < _FEW_SPOTS:
            raise DataFormatError(
                f"{scan.path}: of {len(sample.indices)} patterns, {len(used)} have spots where the best orientation"
                f" has them, too few to calibrate with; check --pixel-size (within {search:.0%}), --phase and the"
                " patterns (`nbedex look`), or use --from rings for a polycrystal"
            )
        different = different_orientations(records, [p.index for p in used], sample, library)
        fit = fit_spots(used, now, ellipse=different >= ENOUGH_ORIENTATIONS)
        now = with_fit(now, fit)
    progress(stage, total, total)
    assert fit is not None
    number = int(np.argmax([len(p.k) for p in used]))
    return SpotCalibration(
        fit=fit,
        spots=tuple(used),
        phases=tuple(p.name for p in library.phases),
        centers=sample.path,
        looked_at=len(sample.indices),
        orientations=different,
        example=sample.frames[int(np.flatnonzero(sample.indices == used[number].index)[0])],
        example_number=number,
        calibration=now,
        doubts=tuple(_doubts(fit, different, len(sample.indices), sizes, quality)),
    )


def _steps(search: float) -> Array:
    """Relative changes of the pixel size that are tried."""
    n = int(np.ceil(search / _SEARCH_STEP - 1e-9))
    return np.linspace(-search, search, 2 * n + 1) if n else np.zeros(1)


def _thinned(sample: Sample, n: int) -> Sample:
    """About n patterns, evenly spread."""
    keep = np.unique(np.linspace(0, len(sample.indices) - 1, n).round().astype(int))
    return replace(sample, indices=sample.indices[keep], frames=sample.frames[keep], centers=sample.centers[keep])


def all_spots(
    sample: Sample, records: NDArray[Any], library: TemplateLibrary, calibration: Calibration, engine: Engine
) -> list[PatternSpots]:
    """Spots found where they should be, of patterns that have enough of them."""
    used = []
    to_detector = calibration.detector_from_sample()
    given = np.flatnonzero(records["status"] == Status.OK)
    for phase in np.unique(records["phase_id"][given]):
        own = given[records["phase_id"][given] == phase]
        predicted = simulate(library.phases[phase], records["orientation"][own], library.settings, threads=1)
        for place, number in enumerate(own):
            found = _spots_of(sample, int(number), predicted.pattern(place), to_detector, engine)
            used += [found] if found is not None else []
    return sorted(used, key=lambda spots: spots.index)


def _spots_of(
    sample: Sample, number: int, predicted: Mapping[str, NDArray[Any]], to_detector: Array, engine: Engine
) -> PatternSpots | None:
    """The spots of one pattern; None if too few are where they should be."""
    bright = predicted["intensity"] > _FAINTEST * predicted["intensity"].max(initial=0.0)
    k = np.stack([predicted["kx"], predicted["ky"]], axis=1).astype(np.float64)
    inside = np.linalg.norm(k, axis=1) < engine.grid.k_max
    # faint ones count as neighbours that disturb, so that they stay in the list here
    center = sample.centers[number]
    places = k @ to_detector.T + center[::-1]
    found = find_spots(sample.frames[number], places, mask=engine.mask, wanted=bright & inside)
    good = np.isfinite(found).all(axis=1)
    shown = np.count_nonzero(bright & inside & _in_frame(places, sample))
    if good.sum() < max(_LEAST_SPOTS, _GOOD_SHARE * shown):
        return None
    return PatternSpots(index=int(sample.indices[number]), center=center, k=k[good], place=found[good] - center[::-1])


def _in_frame(places: Array, sample: Sample) -> NDArray[np.bool_]:
    height, width = sample.frames.shape[1:]
    return np.asarray(((places > 8) & (places < np.array([width, height]) - 9)).all(axis=1))


def with_fit(calibration: Calibration, fit: SpotFit) -> Calibration:
    """The calibration with scale and ellipse as found."""
    detector = fit.detector
    return replace(
        calibration,
        pixel_size=detector.pixel_size.value,
        ellipse_ratio=detector.ellipse_ratio.value,
        ellipse_angle_deg=detector.ellipse_angle_deg.value,
    )


def different_orientations(records: NDArray[Any], used: list[int], sample: Sample, library: TemplateLibrary) -> int:
    """Number of orientations that are farther than 5 degrees from one another."""
    kept: list[tuple[int, Array]] = []
    for record in records[np.isin(sample.indices, used)]:
        number, orientation = int(record["phase_id"]), record["orientation"]
        operators = library.phases[number].symmetry_quaternions
        if all(
            other != number
            or np.rad2deg(disorientation_angle(orientation[None], known[None], operators)[0]) > _SAME_DEG
            for other, known in kept
        ):
            kept.append((number, orientation))
    return len(kept)


def _doubts(fit: SpotFit, orientations: int, looked_at: int, sizes: Array, quality: list[float]) -> list[str]:
    said = []
    if orientations < ENOUGH_ORIENTATIONS:
        said.append(
            f"only {orientations} different orientation{'s' if orientations != 1 else ''}: a strain of the crystal"
            " looks like an ellipse, so the ellipse is left as it was given"
        )
    if fit.spots < _MANY_SPOTS:
        said.append(f"only {fit.spots} spots: the uncertainties are guesses")
    if fit.patterns < 0.3 * looked_at:
        said.append(f"only {fit.patterns} of {looked_at} patterns have spots where their best orientation has them")
    if fit.after > 1.0:
        said.append(f"spots lie {fit.after:.1f} px (median) off their predicted places even after calibration")
    if len(sizes) > 2 and int(np.argmax(quality)) in (0, len(sizes) - 1):
        said.append("the best pixel size lies at the end of the range searched: start again from the one found here")
    return said
