"""Figures of boundaries: the network in colours over the map, and distributions of its angles."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbedex.boundaries import (
    BoundaryNetwork,
    MisorientationDistribution,
    PlaneDistribution,
    boundary_kind,
    csl_shares,
    misorientation_distribution,
    plane_distribution,
)
from nbedex.errors import ArgumentError
from nbedex.files import make_folder
from nbedex.report import panels
from nbedex.report.grains import ROLE_COLOURS, GrainCanvas, fills
from nbedex.report.style import WIDTH, FigureStyle, check_figure, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BACKGROUNDS = ("grains", "phases", "confidence", "white")
_SIDE = {"csl": 1.5}  # inches beside a map; others need less
_LINE = 1.4  # points
_CHART = 4.4  # inches, widest chart
_PHASE_COLOUR, _UNDEFINED, _GENERAL, _LOW = "#000000", "#9a9a9a", "#6b6b6b", "#9ecae1"
# after Okabe & Ito, strong on light backgrounds; the most frequent coincidences get them in this order
_CSL_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#7b3294", "#a6761d", "#e7298a", "#1b9e77")
_ANGLES = {
    "disorientation": ("disorientation_deg", "Disorientation", "ω (degrees)"),
    "psi": ("psi_deg", "Angle between the conduction planes in space", "ψ (degrees)"),
    "delta-theta": ("delta_theta_deg", "Angle between the planes' traces on the surface", "Δθ (degrees)"),
}
_DISTRIBUTIONS = ("misorientation-distribution", "plane-distribution")
BOUNDARY_FIGURES = (*_ANGLES, "csl", *_DISTRIBUTIONS)


def plot_boundaries(
    network: BoundaryNetwork,
    folder: str | os.PathLike[str],
    *,
    background: str = "grains",
    formats: str | Sequence[str] | None = None,
    width: str | float | None = None,
    dpi: int | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Draw all figures of boundaries that have something to show into a folder, made if it does not exist.

    For formats, width and dpi see `FigureStyle.of`.

    Raises
    ------
    ArgumentError
        If format, width or dpi are not possible or the background is not known.
    OutputError
        If a file exists and `overwrite` is not given, or it can't be written.
    """
    style = FigureStyle.of(formats=formats, width=width, dpi=dpi)
    target = make_folder(folder)
    kinds = [kind for kind in BOUNDARY_FIGURES if _has(network, kind)]
    for kind in kinds:
        check_figure(target / f"boundaries-{kind}", style, overwrite=overwrite)
    written = []
    for kind in kinds:

        def draw(inches: float, kind: str = kind) -> Figure:
            return draw_boundaries(network, kind=kind, background=background, width=inches)

        written += write_figure(target / f"boundaries-{kind}", draw, style, overwrite=overwrite)
    return written


def draw_boundaries(
    network: BoundaryNetwork, *, kind: str = "disorientation", background: str = "grains", width: float = WIDTH
) -> Figure:
    """Draw one figure of boundaries.

    Parameters
    ----------
    network
        What to draw.
    kind
        "disorientation", "psi", "delta-theta": the network coloured by that angle. "csl": by coincidence.
        "misorientation-distribution", "plane-distribution": histograms with those of random microstructures.
    background
        Behind the network: "grains" in light colours, "phases", "confidence" in grey, "white".
    width
        Of the figure, inches.
    """
    if kind not in BOUNDARY_FIGURES:
        raise ArgumentError(f"expected one of {', '.join(BOUNDARY_FIGURES)}, got {kind!r}")
    if background not in BACKGROUNDS:
        raise ArgumentError(f"expected a background out of {', '.join(BACKGROUNDS)}, got {background!r}")
    if kind == "misorientation-distribution":
        return _draw_misorientations(network, width)
    if kind == "plane-distribution":
        return _draw_plane_angles(network, width)
    canvas = GrainCanvas.of(network.grain_map)
    figure, axes = panels.map_figure(canvas, width, side=_SIDE.get(kind, 0.75))
    axes.imshow(_backdrop(network, background), extent=canvas.extent, interpolation="nearest")
    if kind == "csl":
        _draw_csl(axes, network)
        panels.frame(axes, canvas, "Coincidence boundaries")
    else:
        name, title, label = _ANGLES[kind]
        _draw_angle(axes, network, getattr(network.boundaries, name), label)
        panels.frame(axes, canvas, title)
    axes.set_ylim(canvas.extent[2], canvas.extent[3])
    return figure


def _has(network: BoundaryNetwork, kind: str) -> bool:
    """Whether there is anything to show."""
    b = network.boundaries
    if kind in ("psi", "delta-theta", "plane-distribution"):
        return bool(np.isfinite(b.psi_deg if kind != "delta-theta" else b.delta_theta_deg).any())
    return bool(np.isfinite(b.disorientation_deg).any())


def _backdrop(network: BoundaryNetwork, background: str) -> NDArray[np.float64]:
    """RGB (ny, nx, 3) behind the network."""
    from matplotlib.colors import to_rgb

    grain_map = network.grain_map
    if background == "grains":
        return 0.5 + 0.5 * fills(grain_map)[grain_map.grain_id]  # mixed with white, so that coloured lines show
    grey = np.ones((len(grain_map.grains), 3))
    if background == "confidence":
        confidence = grain_map.source.confidence
        if confidence is None:
            raise ArgumentError("the map has no confidence to draw; choose another background")
        known = confidence[np.isfinite(confidence)]
        low, high = np.percentile(known, (2, 98)) if known.size else (0.0, 1.0)
        scaled = np.clip((np.nan_to_num(confidence, nan=low) - low) / max(high - low, 1e-9), 0, 1)
        return np.asarray(np.repeat((0.35 + 0.65 * scaled)[..., None], 3, axis=-1), dtype=np.float64)
    for role, colour in ROLE_COLOURS.items():
        grey[grain_map.grains.role == role] = to_rgb(colour)
    if background == "phases":
        for number, phase in enumerate(grain_map.source.phases):
            # mixed with white, so that lines show
            grey[grain_map.grains.phase_id == number] = 0.55 + 0.45 * np.array(to_rgb(phase.colour))
    return np.asarray(grey[grain_map.grain_id])


def _lines(axes: Axes, network: BoundaryNetwork, rows: Any, colours: Any, width: float = _LINE) -> None:
    from matplotlib.collections import LineCollection

    lines = [network.boundaries.points[k] for k in np.flatnonzero(rows)]
    for colour, extra in (("white", 1.2), (colours, 0.0)):  # a light seam sets them off from any background
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=width + extra, capstyle="round"))


def _draw_angle(axes: Axes, network: BoundaryNetwork, values: NDArray[np.float64], label: str) -> None:
    import matplotlib
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    known = np.isfinite(values)
    top = 90.0 if "ω" not in label else float(np.ceil(np.max(values[known]) / 5) * 5)
    scale = ScalarMappable(Normalize(0, max(top, 5.0)), matplotlib.colormaps["viridis"])
    _lines(axes, network, ~known, _UNDEFINED, 0.8)
    _lines(axes, network, known, scale.to_rgba(values[known]))
    figure: Any = axes.figure
    bar = figure.colorbar(scale, cax=axes.inset_axes((1.02, 0.35, 0.03, 0.65)))
    bar.set_label(label, fontsize=panels.FONT)
    bar.ax.tick_params(labelsize=panels.FONT - 1)
    if not known.all():
        note = "grey:\nnot defined"
        axes.text(1.03, 0.25, note, transform=axes.transAxes, fontsize=panels.FONT - 1, va="top")


def _draw_csl(axes: Axes, network: BoundaryNetwork) -> None:
    b = network.boundaries
    kind = np.array(boundary_kind(network), dtype=object)
    total = float(b.length.sum())
    entries: list[tuple[Any, str]] = []

    def put(rows: NDArray[np.bool_], colour: str, text: str, width: float = _LINE) -> None:
        if rows.any():
            _lines(axes, network, rows, colour, width)
            entries.append((colour, f"{text}  {100 * b.length[rows].sum() / total:.1f} %"))

    special = (kind == "high-angle") & (b.sigma > 0)
    put(kind == "phase", _PHASE_COLOUR, "phase boundary", 0.8)
    put((kind == "high-angle") & ~special, _GENERAL, "general", 0.9)
    put(kind == "low-angle", _LOW, "low-angle")
    lengths: dict[str, float] = defaultdict(float)
    for share in csl_shares(network):
        if share.label not in ("general", "Σ1"):
            lengths[share.label.partition(" (")[0]] += share.length
    short = np.array([label.partition(" (")[0] for label in b.csl_label], dtype=object)
    frequent = sorted(lengths, key=lambda name: (-lengths[name], name))[: len(_CSL_COLOURS)]
    put(special & ~np.isin(short, frequent), "#e6ab02", "other CSL")
    for name, colour in zip(frequent, _CSL_COLOURS, strict=False):
        put(special & (short == name), colour, name)
    panels.legend(axes, entries)


def _draw_misorientations(network: BoundaryNetwork, width: float) -> Figure:
    """One panel for each phase with boundaries of its own."""
    from matplotlib.figure import Figure

    all_of_them = [misorientation_distribution(network, k) for k in range(len(network.grain_map.source.phases))]
    shown = [d for d in all_of_them if d.n_boundaries]
    figure = Figure(figsize=(min(width, _CHART), 2.5 * len(shown)), layout="constrained")
    for row, d in enumerate(shown):
        axes = figure.add_subplot(len(shown), 1, row + 1)
        axes.stairs(d.boundaries, d.edges_deg, fill=True, color="#9ecae1", label=_made_from(d))
        if d.n_grains > 2:
            axes.stairs(d.grain_pairs, d.edges_deg, color="#0072b2", label=f"any pairs of {d.n_grains} grains")
        middle = (d.edges_deg[:-1] + d.edges_deg[1:]) / 2
        axes.plot(middle, d.random, color="black", linewidth=1.2, label="random orientations (Mackenzie)")
        _label(axes, f"Disorientation, {panels.short(d.phase)}", "ω (degrees)")
    return figure


def _draw_plane_angles(network: BoundaryNetwork, width: float) -> Figure:
    from matplotlib.figure import Figure

    d = plane_distribution(network)
    figure = Figure(figsize=(min(width, _CHART), 5.0), layout="constrained")
    middle = (d.edges_deg[:-1] + d.edges_deg[1:]) / 2
    for row, (values, random, title, label) in enumerate(
        (
            (d.psi, d.random_psi, "Between conduction planes in space", "ψ (degrees)"),
            (d.delta_theta, d.random_delta_theta, "Between their traces on the surface", "Δθ (degrees)"),
        )
    ):
        axes = figure.add_subplot(2, 1, row + 1)
        axes.stairs(values, d.edges_deg, fill=True, color="#9ecae1", label=_made_from(d))
        axes.plot(middle, random, color="black", linewidth=1.2, label="random planes")
        _label(axes, title, label)
    return figure


def _made_from(distribution: MisorientationDistribution | PlaneDistribution) -> str:
    return f"{distribution.n_boundaries} boundaries, by length"


def _label(axes: Axes, title: str, label: str) -> None:
    axes.set_title(title, fontsize=panels.FONT + 1, loc="left")
    axes.set_xlabel(label, fontsize=panels.FONT)
    axes.set_ylabel("share per degree", fontsize=panels.FONT)
    axes.tick_params(labelsize=panels.FONT - 1)
    axes.set_ylim(bottom=0)
    axes.margins(x=0)
    axes.legend(fontsize=panels.FONT - 1, frameon=False)
