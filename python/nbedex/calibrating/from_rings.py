"""Calibration with the rings of a polycrystal, from opened data to an answer with its doubts."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.calibrating.patterns import mean_pattern
from nbedex.calibrating.polar import PolarBins, bin_pattern
from nbedex.calibrating.powder import Rings, rings_of
from nbedex.calibrating.rings import RingFit, fit_rings
from nbedex.calibrating.search import ScaleCandidate, find_scales, sharpest
from nbedex.calibrating.settings import CalibrateSettings
from nbedex.errors import ArgumentError, DataFormatError
from nbedex.indexing import CenterSettings
from nbedex.indexing.centers import CenterModel, find_centers
from nbedex.indexing.masks import detector_mask
from nbedex.phases import Phase
from nbedex.progress import Progress, silent
from nbedex.scan import Scan

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

_SAMPLES, _SEARCH = 1024, 0.2
_EDGE = (0.3, 3.0)  # scattering vector at the outer radius, 1/angstrom, where no pixel size is given
_INNER = 1 / 6  # of the outer radius, before the rings are known
_INSIDE_FIRST = 0.6  # of the innermost ring's radius
_LEAST_LIKENESS = 0.5
_LEAST_SIGNAL = 5.0  # standard deviations above which a ring counts as seen
_RIVAL = 0.9  # of the best likeness
_POLYCRYSTAL = 0.85  # likeness of real rings of gold: 0.96
_WRONG_PHASE = 0.015  # relative deviation of rings from those of the phase
_MAX_SATURATED = 0.02


@dataclass(frozen=True, eq=False, kw_only=True)
class RingCalibration:
    """Scale, ellipse and centre from rings.

    Attributes
    ----------
    phase
        Whose rings they are.
    fit
        What was found.
    seen : (n,) bool
        Rings of `fit.rings` that are well above the noise.
    centers
        Direct beam over the scan.
    image : (det_y, det_x) float64
        The pattern that was fitted.
    patterns
        How many patterns it is the mean of.
    candidates
        Pixel sizes at which the rings looked most like the phase's, best first.
    doubts
        Sentences for the user: what makes the answer less certain than its uncertainty says.
    """

    phase: Phase
    fit: RingFit
    seen: NDArray[np.bool_]
    centers: CenterModel
    image: Array
    patterns: int
    candidates: tuple[ScaleCandidate, ...]
    doubts: tuple[str, ...]


def calibrate_rings(
    scan: Scan,
    phase: Phase,
    *,
    pixel_size: float | None = None,
    settings: CalibrateSettings | None = None,
    center: CenterSettings | None = None,
    mask: NDArray[np.bool_] | None = None,
    progress: Progress = silent,
) -> RingCalibration:
    """Find scale, ellipse and centre from the rings of a known phase.

    Parameters
    ----------
    scan
        One ring pattern, or many patterns that add up to rings.
    phase
        The polycrystal.
    pixel_size
        About the pixel size, 1/angstrom; None: anything that puts the detector's edge between 0.3 and 3 1/angstrom.
    settings, center
        Options.
    mask : (det_y, det_x) bool or None
        True where a pixel must not be used.
    progress
        Told of every step.

    Raises
    ------
    ArgumentError
        Options don't fit the detector.
    DataFormatError
        The patterns have no rings, or none like the phase's.
    """
    settings = settings or CalibrateSettings()
    stage = "calibrating"
    progress(stage, 0, 4)
    pixels = detector_mask(scan, user_mask=mask, find_hot_pixels=True, max_saturated=_MAX_SATURATED)
    centers = find_centers(scan, center or CenterSettings(), pixels, max_saturated=_MAX_SATURATED)
    image, middle, patterns = mean_pattern(
        scan, centers, samples=settings.samples or _SAMPLES, mask=pixels, max_saturated=_MAX_SATURATED
    )
    progress(stage, 1, 4)
    inner, outer = _annulus(image.shape, middle, settings)
    low, high = _limits(pixel_size, outer, settings)
    rings = rings_of(phase, k_max=high * (outer + 20))
    if len(rings) == 0 or rings.radius[0] > high * outer:
        raise ArgumentError(
            f"the innermost ring of {phase.name}, {rings.radius[0]:.3f} 1/angstrom, lies outside the detector, which"
            f" ends at {high * outer:.3f} 1/angstrom at most; check --pixel-size"
        )
    bins = bin_pattern(image, middle, r_min=inner, r_max=outer)
    if (bins.pixels > 0).any(axis=1).mean() < 0.5 or not bins.intensity.max() > 0:
        raise DataFormatError(f"{scan.path}: nothing to see between {inner:.0f} and {outer:.0f} px from the beam")
    shape = sharpest(bins)
    candidates = find_scales(bins, rings, shape, low=low, high=high)
    progress(stage, 2, 4)
    fit = _fitted(bins, rings, candidates, shape)
    if settings.inner is None:
        first = fit.rings.radius[0] / fit.detector.pixel_size.value
        bins = bin_pattern(image, fit.center, r_min=max(_INSIDE_FIRST * first, 4.0), r_max=outer)
        start = np.array(
            [fit.detector.log_pixel_size, fit.detector.p, fit.detector.q, 0, 0, np.log(fit.width), 0.01, 0.3]
        )
        fit = fit_rings(bins, rings, start)
    progress(stage, 3, 4)
    seen = (fit.signal > _LEAST_SIGNAL) & np.isfinite(fit.deviation)
    if not seen.any() or not candidates[0].likeness > _LEAST_LIKENESS or not fit.explained > _LEAST_LIKENESS:
        raise DataFormatError(
            f"{scan.path}: no rings like those of {phase.name} with a pixel size of {low:.4g} to {high:.4g}"
            f" 1/angstrom; check --phase, give --pixel-size (1/angstrom, not 1/nm), or use --from spots for single"
            " crystals"
        )
    progress(stage, 4, 4)
    doubts = tuple(_doubts(fit, seen, candidates, phase))
    return RingCalibration(
        phase=phase, fit=fit, seen=seen, centers=centers, image=image, patterns=patterns,
        candidates=tuple(candidates), doubts=doubts,
    )  # fmt: skip


def _annulus(shape: tuple[int, ...], middle: Array, settings: CalibrateSettings) -> tuple[float, float]:
    """Inner and outer radius in pixels."""
    edge = float(min(middle[0], shape[0] - 1 - middle[0], middle[1], shape[1] - 1 - middle[1]))
    outer = min(settings.outer or edge, float(np.hypot(shape[0], shape[1])))
    inner = settings.inner or _INNER * outer
    if outer - inner < 16:
        raise ArgumentError(
            f"only {outer - inner:.0f} px between the inner radius, {inner:.0f} px, and the outer one, {outer:.0f} px;"
            " rings need 16 at least: check --inner, --outer and --center"
        )
    return inner, outer


def _limits(pixel_size: float | None, outer: float, settings: CalibrateSettings) -> tuple[float, float]:
    """Smallest and largest pixel size looked at."""
    if pixel_size is None:
        return _EDGE[0] / outer, _EDGE[1] / outer
    search = _SEARCH if settings.search is None else settings.search
    search = max(search, 1e-3)
    if not 1e-5 < pixel_size < 1:
        raise ArgumentError(
            f"pixel_size must lie between 1e-5 and 1 per angstrom and pixel, got {pixel_size:g} (a value in 1/nm must"
            " be divided by 10)"
        )
    low, high = pixel_size * (1 - search), pixel_size * (1 + search)
    if low * outer > 2 * _EDGE[1] or high * outer < _EDGE[0] / 3:
        raise ArgumentError(
            f"a pixel size of {pixel_size:g} 1/angstrom puts the detector's edge at {pixel_size * outer:.3g}"
            " 1/angstrom; check --pixel-size (1/angstrom, not 1/nm)"
        )
    return low, high


def _fitted(bins: PolarBins, rings: Rings, candidates: list[ScaleCandidate], shape: Array) -> RingFit:
    """The best of the fits from the likely scales."""
    likely = [c for c in candidates if c.likeness > _RIVAL * candidates[0].likeness] or candidates[:1]
    start = np.array([0.0, *shape, np.log(2.5), 0.01, 0.3])
    fits = []
    for candidate in likely:
        start[0] = np.log(candidate.pixel_size)
        fits.append(fit_rings(bins, rings, start))
    return max(fits, key=lambda fit: fit.explained)


def _doubts(fit: RingFit, seen: NDArray[np.bool_], candidates: list[ScaleCandidate], phase: Phase) -> list[str]:
    said = []
    if np.count_nonzero(seen) == 1:
        said.append(
            "only one ring is seen, so that the scale can't be checked: it is right only if this is the ring"
            f" {_indices(fit.rings.hkl[seen][0])} of {phase.name}"
        )
    rivals = [c for c in candidates[1:] if c.likeness > _RIVAL * candidates[0].likeness]
    if rivals:
        sizes = ", ".join(f"{c.pixel_size:.4g}" for c in rivals)
        said.append(f"pixel sizes of about {sizes} 1/angstrom fit nearly as well: give --pixel-size to decide")
    if candidates[0].likeness < _POLYCRYSTAL:
        said.append(
            f"brightnesses are unlike those of a polycrystal of {phase.name} (likeness {candidates[0].likeness:.2f}):"
            " few grains, texture, or another phase"
        )
    clear = seen & (fit.deviation_uncertainty < 0.003)
    if np.count_nonzero(clear) > 1:
        worst = float(np.abs(fit.deviation[clear]).max())
        if worst > _WRONG_PHASE:
            said.append(f"a ring lies {worst:.1%} off the radius that {phase.name} has: check --phase")
    return said


def _indices(hkl: NDArray[np.int64]) -> str:
    return " ".join(str(int(i)) for i in hkl)
