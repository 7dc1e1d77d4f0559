"""The direct beam over a scan: found in a sample of patterns, then a smooth, robust surface through them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.errors import ArgumentError
from nbedex.indexing.sample import sample_positions, usable_frames
from nbedex.indexing.settings import CenterSettings
from nbedex.scan import Scan

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

_LEAST_CONTRAST = 0.2  # of the direct beam above its surroundings


@dataclass(frozen=True, eq=False)
class CenterModel:
    """Direct beam as a polynomial of scan position, or to be found in every pattern.

    Attributes
    ----------
    coefficients : (terms, 2) float64
        Polynomial coefficients of (row, column) in pixels, over scan coordinates scaled to [-1, 1].
    order
        Order of the polynomial.
    scan_shape
        Rows and columns of the scan.
    per_pattern
        Whether each pattern's own centre is looked for around the polynomial.
    residual
        Median distance in pixels between the centres found and the polynomial; NaN where none were.
    finder
        How they were found: beam or friedel.
    """

    coefficients: Array
    order: int
    scan_shape: tuple[int, int]
    per_pattern: bool
    residual: float
    finder: Literal["beam", "friedel"] = "beam"

    def at(self, indices: NDArray[np.intp]) -> Array:
        """Centres (n, 2), row and column in pixels, at scan positions given as flat indices."""
        centers = np.zeros((len(indices), 2))
        # Term by term: a matrix product adds up in an order that depends on the processor and on how many there are.
        for term, coefficient in zip(_terms(indices, self.scan_shape, self.order).T, self.coefficients, strict=True):
            centers += term[:, None] * coefficient
        return centers


def find_centers(
    scan: Scan,
    settings: CenterSettings,
    mask: NDArray[np.uint8] | None,
    *,
    max_saturated: float = 0.02,
    threads: int = 0,
) -> CenterModel:
    """Find the direct beam over the scan.

    Parameters
    ----------
    scan
        The scan.
    settings
        How to look for it.
    mask : (det_y, det_x) uint8 or None
        Non-zero where a pixel must not be used.
    max_saturated
        Patterns with a larger share of saturated pixels are not looked at.
    threads
        0: all this process may use.

    Raises
    ------
    ArgumentError
        `position` lies outside the detector, or no centre was found in any pattern looked at.
    DataFormatError
        No pattern looked at can be used.
    """
    expected = _expected(scan, settings)
    if settings.method == "fixed":
        return CenterModel(expected[None, :], 0, scan.scan_shape, False, float("nan"))
    wanted = sample_positions(scan.scan_shape, settings.samples)
    ignore = None if mask is None else mask != 0

    def look(finder: Literal["beam", "friedel"]) -> tuple[NDArray[np.intp], Array]:
        groups = [
            (group, locate(frames, settings, expected, mask, finder=finder, threads=threads))
            for group, frames in usable_frames(scan, wanted, ignore=ignore, max_saturated=max_saturated)
        ]
        return np.concatenate([g for g, _ in groups]), np.concatenate([f for _, f in groups])

    finder: Literal["beam", "friedel"] = "friedel" if settings.finder == "friedel" else "beam"
    indices, found = look(finder)
    good = np.isfinite(found).all(axis=1)
    if settings.finder == "auto" and good.mean() <= 0.5:
        log.info("no bright direct beam in most patterns: using the centre of symmetry instead")
        finder = "friedel"
        indices, found = look(finder)
        good = np.isfinite(found).all(axis=1)
    if not good.any():
        raise ArgumentError(
            f"no direct beam within {_radius(scan, settings):.0f} px of ({expected[0]:.0f}, {expected[1]:.0f}) in any"
            f" of {len(indices)} patterns; give its place with --center ROW,COLUMN or use --center-finder friedel"
        )
    model = replace(_fit(indices[good], found[good], scan.scan_shape, settings), finder=finder)
    if settings.method == "fit" and model.residual > 1.0:
        log.warning(
            "the direct beam lies %.1f px (median) off a smooth surface over the scan; consider"
            " --center-method per-pattern",
            model.residual,
        )
    return model


def locate(
    frames: NDArray[np.generic],
    settings: CenterSettings,
    expected: Array,
    mask: NDArray[np.uint8] | None,
    *,
    finder: Literal["beam", "friedel"] = "beam",
    threads: int = 0,
) -> Array:
    """Direct beam (n, 2) in each of `frames` (n, det_y, det_x); NaN where none was found.

    What is found in a pattern does not depend on the others.
    """
    radius = settings.search_radius or min(frames.shape[1:]) / 8
    if finder == "beam":
        search = _core.BeamSearch(
            row=expected[0], column=expected[1], search_radius=radius, beam_radius=settings.beam_radius
        )
        beams = _core.find_beams(frames, search, mask, threads)
        return np.where(beams[:, 2:] > _LEAST_CONTRAST, beams[:, :2], np.nan)
    return np.stack([symmetry_center(frame, expected, radius, mask) for frame in frames])


def symmetry_center(
    frame: NDArray[np.generic], expected: Array, radius: float, mask: NDArray[np.uint8] | None
) -> Array:
    """Centre of inversion symmetry (2,) of one pattern: half the place where its self-convolution peaks.

    A diffraction pattern repeats itself on the opposite side (Friedel's law), so the pattern convolved with itself,
    sum_r P(r) P(x - r), is largest at x = twice the centre. Works with the direct beam masked.
    """
    from scipy import fft, ndimage

    image = np.nan_to_num(np.asarray(frame, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    if mask is not None:
        image = np.where(mask != 0, 0.0, image)
    image = np.sqrt(np.clip(image - ndimage.gaussian_filter(image, 4.0), 0.0, None))
    shape = [fft.next_fast_len(2 * n, real=True) for n in image.shape]
    spectrum = fft.rfft2(image, s=shape)
    twice = fft.irfft2(spectrum * spectrum, s=shape)[: 2 * image.shape[0] - 1, : 2 * image.shape[1] - 1]
    rows, columns = np.ogrid[: twice.shape[0], : twice.shape[1]]
    outside = (rows / 2 - expected[0]) ** 2 + (columns / 2 - expected[1]) ** 2 > radius**2
    searched = np.where(outside, -np.inf, twice)
    row, column = np.unravel_index(int(np.argmax(searched)), searched.shape)
    if not np.isfinite(searched[row, column]) or searched[row, column] <= 0:
        return np.array([np.nan, np.nan])
    return np.array([_vertex(twice[:, column], int(row)), _vertex(twice[row, :], int(column))]) / 2


def _vertex(values: Array, at: int) -> float:
    """Position of the vertex of the parabola through three neighbouring values."""
    if not 0 < at < len(values) - 1:
        return float(at)
    before, here, after = values[at - 1 : at + 2]
    curvature = before - 2 * here + after
    return at + (0.5 * (before - after) / curvature if curvature < 0 else 0.0)


def _expected(scan: Scan, settings: CenterSettings) -> Array:
    height, width = scan.frame_shape
    if settings.position is None:
        return np.array([(height - 1) / 2, (width - 1) / 2])
    row, column = settings.position
    if not (0 <= row < height and 0 <= column < width):
        raise ArgumentError(f"the centre ({row:g}, {column:g}) lies outside the detector of {height} x {width} pixels")
    return np.array([row, column], dtype=np.float64)


def _radius(scan: Scan, settings: CenterSettings) -> float:
    return settings.search_radius or min(scan.frame_shape) / 8


def _terms(indices: NDArray[np.intp], scan_shape: tuple[int, int], order: int) -> Array:
    """Polynomial terms (n, terms) at scan positions, in coordinates scaled to [-1, 1]."""
    rows, columns = np.divmod(indices, scan_shape[1])
    y = 2 * rows / max(scan_shape[0] - 1, 1) - 1
    x = 2 * columns / max(scan_shape[1] - 1, 1) - 1
    y_to, x_to = ([np.ones_like(v), v, v * v, v * v * v] for v in (y, x))  # products have the same bits everywhere
    return np.stack([y_to[i] * x_to[j] for i in range(order + 1) for j in range(order + 1 - i)], axis=1)


def _fit(indices: NDArray[np.intp], found: Array, scan_shape: tuple[int, int], settings: CenterSettings) -> CenterModel:
    """Robust polynomial through the centres found; of lower order where there are few or they lie on a line."""
    from scipy.optimize import least_squares

    order = settings.order
    while order > 0:
        terms = _terms(indices, scan_shape, order)
        if len(indices) >= 4 * terms.shape[1] and np.linalg.matrix_rank(terms) == terms.shape[1]:
            break
        order -= 1
    terms = _terms(indices, scan_shape, order)
    coefficients = np.zeros((terms.shape[1], 2))
    for axis in range(2):
        middle = float(np.median(found[:, axis]))
        if order == 0:
            coefficients[0, axis] = middle
            continue
        start = np.zeros(terms.shape[1])
        start[0] = middle
        fit = least_squares(lambda c, axis=axis: terms @ c - found[:, axis], start, loss="cauchy", f_scale=0.5)
        coefficients[:, axis] = fit.x
    distance = np.linalg.norm(terms @ coefficients - found, axis=1)
    return CenterModel(coefficients, order, scan_shape, settings.method == "per-pattern", float(np.median(distance)))
