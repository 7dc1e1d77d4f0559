"""A calibration as a figure: the pattern with rings or spots where they should be, and how well they lie there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nbedex.calibrating import RingCalibration, SpotCalibration
from nbedex.calibrating.geometry import DetectorFit, distortion
from nbedex.report.panels import FONT, wrapped
from nbedex.report.style import TWO_COLUMNS, WIDTH, FigureStyle, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_SHOWN_RINGS = 0.03  # of the brightest, of those drawn


def plot_calibration(
    result: RingCalibration | SpotCalibration,
    path: str | os.PathLike[str],
    *,
    formats: str | Sequence[str] | None = None,
    width: str | float | None = None,
    dpi: int | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write a calibration's figure; see `FigureStyle.for_file`.

    Raises
    ------
    OutputError
        The file exists and `overwrite` is not set, or it can't be written.
    """
    style = FigureStyle.for_file(path, formats=formats, width=width, dpi=dpi)

    def draw(inches: float) -> Figure:
        if isinstance(result, RingCalibration):
            return draw_rings(result, width=inches)
        return draw_spots(result, width=inches)

    return write_figure(path, draw, style, overwrite=overwrite)


def draw_rings(result: RingCalibration, *, width: float = WIDTH) -> Figure:
    """Pattern with the phase's rings; the same over radius and azimuth, corrected; mean profile and fit."""
    figure, axes = _panels(width, "image", "polar", "profile")
    fit = result.fit
    _draw_image(axes["image"], result.image)
    turn = np.linspace(0, 2 * np.pi, 361)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    size = fit.detector.pixel_size.value
    matrix = distortion(fit.detector.p, fit.detector.q) / size
    shown = result.seen & (fit.brightness > 0)
    for radius in fit.rings.radius[shown]:
        x, y = matrix @ (radius * circle)
        axes["image"].plot(fit.center[1] + x, fit.center[0] + y, "-", color="C3", linewidth=0.5)
    axes["image"].plot(fit.center[1], fit.center[0], "+", color="C0", markersize=9)
    axes["image"].set_title(f"(a) pattern; red: rings of {_safe(result.phase.name)}", fontsize=FONT, loc="left")
    _draw_polar(axes["polar"], result)
    _draw_profile(axes["profile"], result)
    figure.suptitle(wrapped(_headline(fit.detector), width, FONT + 1), fontsize=FONT + 1)
    return figure


def draw_spots(result: SpotCalibration, *, width: float = WIDTH) -> Figure:
    """One pattern with predicted and found spots; all spots' distances before and after, over the detector."""
    figure, axes = _panels(width, "image", "field", "hist")
    number, fit = result.example_number, result.fit
    spots = result.spots[number]
    _draw_image(axes["image"], result.example)
    column, row = (spots.place + spots.center[::-1]).T
    predicted = spots.place - fit.residuals[number] + spots.center[::-1]
    axes["image"].plot(*predicted.T, "o", markerfacecolor="none", markeredgecolor="C3", markersize=9, linewidth=0.7)
    axes["image"].plot(column, row, "x", color="C0", markersize=4)
    axes["image"].set_title(
        f"(a) pattern {spots.index}; blue: found, red: predicted after calibration", fontsize=FONT, loc="left"
    )
    place = np.concatenate([s.place for s in result.spots])
    rest = np.concatenate(fit.residuals)
    reach = 1.1 * float(np.abs(place).max())
    longer = 0.12 * reach / max(float(np.quantile(np.linalg.norm(rest, axis=1), 0.9)), 1e-6)
    axes["field"].quiver(*place.T, *rest.T, angles="xy", scale_units="xy", scale=1 / longer, width=0.003, color="C0")
    axes["field"].set_xlim(-reach, reach)
    axes["field"].set_ylim(reach, -reach)
    axes["field"].set_aspect("equal")
    axes["field"].set_title(f"(b) found minus predicted, {longer:.0f} times as long", fontsize=FONT, loc="left")
    axes["field"].set_xlabel("column from the beam / px", fontsize=FONT)
    axes["field"].set_ylabel("row from the beam / px", fontsize=FONT)
    axes["hist"].hist(np.linalg.norm(rest, axis=1), bins=40, color="C0")
    axes["hist"].set_xlabel("distance between found and predicted / px", fontsize=FONT)
    axes["hist"].set_ylabel("spots", fontsize=FONT)
    axes["hist"].set_title(
        f"(c) {fit.spots} spots of {fit.patterns} patterns; median {fit.before:.3f} px before, {fit.after:.3f} px after"
        " the last pass", fontsize=FONT, loc="left",
    )  # fmt: skip
    unknown = "" if result.ellipse_determined else "; the ellipse is as it was given"
    figure.suptitle(wrapped(_headline(fit.detector) + unknown, width, FONT + 1), fontsize=FONT + 1)
    return figure


def _panels(width: float, first: str, second: str, below: str) -> tuple[Figure, dict[str, Axes]]:
    """Two square panels side by side, or one above the other where the page is narrow, and a flat one below."""
    from matplotlib.figure import Figure

    if width >= TWO_COLUMNS:
        figure = Figure(figsize=(width, 0.78 * width), layout="constrained")
        axes = figure.subplot_mosaic([[first, second], [below, below]], height_ratios=(3, 2))
    else:
        figure = Figure(figsize=(width, 2.5 * width), layout="constrained")
        axes = figure.subplot_mosaic([[first], [second], [below]], height_ratios=(3, 3, 2))
    for each in axes.values():
        each.tick_params(labelsize=FONT - 1)
    return figure, axes


def _headline(detector: DetectorFit) -> str:
    size, ratio, angle = detector.pixel_size, detector.ellipse_ratio, detector.ellipse_angle_deg
    return (
        f"pixel size ({size.value:.6f} ± {size.uncertainty:.6f}) Å⁻¹, ellipse {ratio.value:.4f} ±"
        f" {ratio.uncertainty:.4f} along ({angle.value:.1f} ± {angle.uncertainty:.1f})°"
    )


def _draw_image(axes: Axes, image: NDArray[np.generic]) -> None:
    values = np.asarray(image, dtype=np.float64)
    shown = np.log1p(np.clip(values, 0, None) / max(float(np.nanmedian(np.abs(values))), 1e-12))
    axes.imshow(shown, cmap="gray_r", interpolation="nearest", vmax=float(np.nanpercentile(shown, 99.8)) or None)
    axes.set_xlim(-0.5, values.shape[1] - 0.5)
    axes.set_ylim(values.shape[0] - 0.5, -0.5)
    axes.set_xlabel("detector column", fontsize=FONT)
    axes.set_ylabel("detector row", fontsize=FONT)


def _corrected(result: RingCalibration) -> Array:
    """Scattering vector (sectors, radii) of every bin with the calibration found, 1/angstrom."""
    detector, bins = result.fit.detector, result.fit.bins
    shift = result.fit.center - bins.center
    inverse = np.linalg.inv(distortion(detector.p, detector.q))
    place = np.stack([bins.column - shift[1], bins.row - shift[0]])
    return np.asarray(detector.pixel_size.value * np.hypot(*np.tensordot(inverse, place, axes=1)))


def _draw_polar(axes: Axes, result: RingCalibration) -> None:
    """What is above the background, over corrected radius and azimuth: straight lines where the ellipse is right."""
    fit = result.fit
    k, used = _corrected(result), fit.bins.pixels > 0
    low, high = float(k[used].min()), float(k[used].max())
    even = np.linspace(low, high, 2 * k.shape[1])
    excess = (fit.bins.intensity - fit.background) * k**2  # rings fade with about the square
    image = np.full((len(k), len(even)), np.nan)
    for number, good in enumerate(used):
        if good.any():
            image[number] = np.interp(even, k[number, good], excess[number, good], left=np.nan, right=np.nan)
    darkest, lightest = np.nanpercentile(image, (99, 2))
    axes.imshow(
        image, extent=(low, high, 0, 360), origin="lower", aspect="auto", cmap="gray_r", interpolation="nearest",
        vmin=float(lightest), vmax=float(darkest),
    )  # fmt: skip
    for radius in fit.rings.radius[result.seen]:
        axes.axvline(radius, color="C3", linewidth=0.8, dashes=(2, 6))
    axes.set_xlim(low, high)
    axes.set_title("(b) without background, corrected: rings must be upright lines", fontsize=FONT, loc="left")
    axes.set_xlabel("|k| / Å⁻¹", fontsize=FONT)
    axes.set_ylabel("azimuth from columns to rows / degrees", fontsize=FONT)


def _draw_profile(axes: Axes, result: RingCalibration) -> None:
    fit = result.fit
    k = _corrected(result)
    used = fit.bins.pixels > 0
    order = np.linspace(k[used].min(), k[used].max(), fit.bins.intensity.shape[1] + 1)
    where = np.digitize(k[used], order) - 1
    count = np.maximum(np.bincount(where, minlength=len(order)), 1)

    def mean(values: Array) -> Array:
        return np.asarray((np.bincount(where, values[used], len(order)) / count)[:-1])

    middle = (order[1:] + order[:-1]) / 2
    axes.plot(middle, mean(fit.bins.intensity - fit.background) * middle**2, ".", color="C0", label="pattern")
    axes.plot(middle, mean(fit.ring_model) * middle**2, "-", color="C3", linewidth=1, label="fit")
    for hkl, radius, seen in zip(fit.rings.hkl, fit.rings.radius, result.seen, strict=True):
        if seen and order[0] < radius < order[-1]:
            axes.axvline(radius, color="0.7", linewidth=0.5, zorder=0)
            axes.annotate(
                " ".join(str(int(abs(i))) for i in hkl), (radius, 1.0), xycoords=("data", "axes fraction"),
                fontsize=FONT - 1, rotation=90, va="top", ha="right",
            )  # fmt: skip
    axes.set_xlabel("|k| / Å⁻¹", fontsize=FONT)
    axes.set_ylabel("above background × |k|²", fontsize=FONT)
    axes.legend(fontsize=FONT, frameon=False)
    axes.set_title("(c) mean over azimuth", fontsize=FONT, loc="left")


def _safe(text: str) -> str:
    return text.replace("$", r"\$")
