"""The pixel size and ellipse of a run, corrected by its own patterns where they say clearly that they are off.

A calibration is often a per cent off: the camera length drifts, and a cell differs from the CIF's with composition.
Spots far out then miss their templates by a pixel, which costs phases of many spots a tenth of their right answers.
Patterns that are indexed in spite of that have their spots where the geometry really puts them (`calibrate_spots`).
What is found is used only if it can't be chance, and else nothing is touched (docs/decisions/fine-tuning.md).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nbedex.calibrating.from_spots import (
    ENOUGH_ORIENTATIONS,
    Sample,
    all_spots,
    different_orientations,
    engine_for,
    take_sample,
)
from nbedex.calibrating.geometry import DetectorFit, logarithm
from nbedex.calibrating.spots import SpotFit, fit_spots
from nbedex.calibration import Calibration
from nbedex.errors import DataFormatError
from nbedex.indexing import IndexingSettings
from nbedex.indexing.block import index_block
from nbedex.library import TemplateLibrary
from nbedex.maps.result import Status
from nbedex.progress import Progress, silent
from nbedex.scan import Scan

log = logging.getLogger(__name__)

_FEWEST_PATTERNS = 256  # in a scan: smaller ones decide little, and are done before this is
_LEAST_SHARE = 0.25  # of the patterns looked at that must have spots where their orientation has them
_LEAST_PROBABILITY = 0.5  # of an answer whose spots are looked at
_LEAST_SPOTS = 100
_SURE = 4.0  # standard deviations
_SMALLEST = 0.0015  # of scale or ellipse: a fifth of a pixel at the edge of a detector of 256
_LARGEST = 0.03  # farther off, patterns are not indexed well enough to be believed
# Spots lie so close to their places afterwards (median, pixels), or so much closer than before, and once corrected no
# farther. Of patterns that are indexed wrongly they don't: 8 % off, 0.60 instead of 0.82, then 0.68.
_NEAR, _NEARER, _AGAIN = 0.5, 0.72, 1.1
_PASSES = 2


def fine_tuned(
    scan: Scan,
    library: TemplateLibrary,
    calibration: Calibration,
    *,
    indexing: IndexingSettings | None = None,
    mask: NDArray[np.bool_] | None = None,
    threads: int = 0,
    progress: Progress = silent,
) -> Calibration:
    """The calibration that suits the scan's own spots; the very same where nothing is clearly off.

    Parameters
    ----------
    scan
        The scan; of less than 256 patterns nothing is tried.
    library
        Templates of the phases in it, whose cells the scale rests on.
    calibration
        As given; pixel size and ellipse are corrected by up to 3 %.
    indexing
        Options of the run.
    mask : (det_y, det_x) bool or None
        True where a pixel must not be used.
    threads
        0: all this process may use. The result doesn't depend on it.
    progress
        Told of every step.
    """
    if scan.size < _FEWEST_PATTERNS:
        return calibration
    indexing = indexing or IndexingSettings()
    stage = "checking the calibration"
    progress(stage, 0, 1)
    try:
        sample = take_sample(scan, indexing, mask=mask, threads=threads)
        return _tuned(sample, library, calibration, indexing, threads=threads)
    except DataFormatError:  # no patterns to go by: indexing says so of each
        return calibration
    finally:
        progress(stage, 1, 1)


def _tuned(
    sample: Sample, library: TemplateLibrary, given: Calibration, indexing: IndexingSettings, *, threads: int
) -> Calibration:
    now, looks = given, list[_Look]()
    for _ in range(_PASSES):
        look = _look(sample, library, now, indexing, threads=threads)
        if look is None or not (look.confirms(looks[0]) if looks else look.fits):
            return given
        now = corrected(given, look.fit.detector)
        if now is given:
            return given
        looks.append(look)
    fit, first = looks[-1].fit, looks[0].fit
    log.debug("%d spots lie %.2f px off their places, %.2f as given", fit.spots, fit.after, first.before)
    return now


def corrected(calibration: Calibration, found: DetectorFit) -> Calibration:
    """With scale and ellipse as found, each where it differs by more than chance would have it; else the very same.

    The same, too, where they differ by more than can be believed.
    """
    p, q = logarithm(calibration)
    error = np.sqrt(np.diag(found.covariance))
    off = np.array([abs(found.log_pixel_size - np.log(calibration.pixel_size)), np.hypot(found.p - p, found.q - q)])
    clear = off > np.maximum(_SMALLEST, _SURE * np.array([error[0], error[1:].max()]))
    if not clear.any() or off.max() > _LARGEST:
        return calibration
    return replace(
        calibration,
        pixel_size=found.pixel_size.value if clear[0] else calibration.pixel_size,
        ellipse_ratio=found.ellipse_ratio.value if clear[1] else calibration.ellipse_ratio,
        ellipse_angle_deg=found.ellipse_angle_deg.value if clear[1] else calibration.ellipse_angle_deg,
    )


@dataclass(frozen=True, eq=False)
class _Look:
    """The sample as indexed with a calibration: how well, and scale and ellipse by where its spots are then."""

    score: float
    fit: SpotFit

    @property
    def fits(self) -> bool:
        """Whether spots lie near their places with what was found, or much nearer than before."""
        return self.fit.after < max(_NEAR, _NEARER * self.fit.before)

    def confirms(self, first: _Look) -> bool:
        """Whether patterns fit better than at first, and spots lie no farther from their places."""
        return self.score > first.score and self.fit.after < _AGAIN * first.fit.after


def _look(
    sample: Sample, library: TemplateLibrary, now: Calibration, indexing: IndexingSettings, *, threads: int
) -> _Look | None:
    """None where too few patterns of too few orientations are indexed well."""
    engine = engine_for(sample, library, now, indexing)
    records = index_block(sample.frames, sample.centers, engine, threads=threads)
    score = float(np.nansum(records["index"]))
    records["status"][records["probability"] < _LEAST_PROBABILITY] = Status.NO_MATCH
    used = all_spots(sample, records, library, now, engine)
    if len(used) < _LEAST_SHARE * len(sample.indices) or sum(len(p.k) for p in used) < _LEAST_SPOTS:
        return None
    different = different_orientations(records, [p.index for p in used], sample, library)
    if different < ENOUGH_ORIENTATIONS:  # a strain of the crystal looks like a scale, too
        return None
    return _Look(score, fit_spots(used, now))
