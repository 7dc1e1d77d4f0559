"""Maps of the boundary network: classes in colour and line style, net accumulation, traces of conduction planes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade import PUBLISHED_AS_BLOCKING, Blockade, BoundaryClass, Medium
from nbedex.report.grains import GrainCanvas, inner_points
from nbedex.report.panels import FONT, frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
# Okabe and Ito's colours by type and letter; the number is the line style: 1 (across) full, 2 (along) dashed.
_COLOURS = ("#56B4E9", "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#E69F00")
CLASS_COLOURS = {0: "#999999"} | {code: _COLOURS[(code - 1) // 2] for code in range(1, len(BoundaryClass))}
_DASHES = (3.0, 1.2)
_WIDTH, _BLOCKING_WIDTH = 1.2, 2.6
ARROW = (
    0.8  # half an arrow of a plane on edge, in units of the distance from the grain's innermost point to its outline
)
_MEDIA = {
    Medium.PLANES: "#FFFFFF",
    Medium.ISOTROPIC: "#F4F1DF",
    Medium.INSULATOR: "#BBBBBB",
    Medium.ELECTRODE: "#F0E442",
    Medium.UNKNOWN: "#DDDDDD",
}


def draw_classes(axes: Axes, blockade: Blockade, page: GrainCanvas) -> None:
    """Every stretch in its class, thick where the class is published as blocking, dotted over where undecided."""
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    draw_media(axes, blockade, page)
    draw_traces(axes, blockade)
    lines, code = stretch_lines(blockade), blockade.along.code
    handles: list[Any] = []
    for kind in BoundaryClass:
        rows = np.flatnonzero(code == kind)
        if not len(rows):
            continue
        width = _BLOCKING_WIDTH if kind in PUBLISHED_AS_BLOCKING else 0.7 * _WIDTH if kind == 0 else _WIDTH
        style: Any = (0, _DASHES) if kind and kind % 2 == 0 else "solid"
        axes.add_collection(
            LineCollection([lines[row] for row in rows], colors=CLASS_COLOURS[kind], linewidths=width, linestyles=style)
        )
        share = blockade.stretches.length[rows].sum() / blockade.stretches.length.sum()
        text = f"{kind.label}  {100 * share:.1f} %"
        handles.append(Line2D([], [], color=CLASS_COLOURS[kind], linewidth=width, linestyle=style, label=text))
    unsure = np.flatnonzero((blockade.along.verdict < 0) & (code != 0))
    if len(unsure):
        dots: Any = (0, (0.6, 2.4))
        axes.add_collection(
            LineCollection([lines[row] for row in unsure], colors="black", linewidths=0.7, linestyles=dots)
        )
        handles.append(Line2D([], [], color="black", linewidth=0.7, linestyle=dots, label="undecided"))
    frame(axes, page, "Boundary classes" + _field_text(blockade))
    draw_field(axes, blockade)
    _legend(axes, handles, "1 — E across, 2 -- E along\nthick: published as blocking\n")


def draw_accumulation(axes: Axes, blockade: Blockade, page: GrainCanvas) -> None:
    """Net accumulation: red piles up, blue is depleted, thicker for more."""
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection
    from matplotlib.colors import Normalize

    draw_media(axes, blockade, page)
    a = blockade.along.accumulation
    lines = stretch_lines(blockade)
    axes.add_collection(LineCollection(lines, colors="0.8", linewidths=0.5))  # also where nothing happens
    order = np.argsort(np.nan_to_num(np.abs(a)), kind="stable")  # what matters on top
    collection = LineCollection(
        [lines[row] for row in order],
        linewidths=0.5 + 2.5 * np.abs(np.nan_to_num(a[order])),
        cmap=colormaps["RdBu_r"].with_extremes(bad="0.7"),
        norm=Normalize(-1, 1),
    )
    collection.set_array(np.ma.masked_invalid(a[order]))
    axes.add_collection(collection)
    frame(axes, page, "Net accumulation" + _field_text(blockade))
    draw_field(axes, blockade)
    figure: Any = axes.figure
    bar = figure.colorbar(collection, cax=axes.inset_axes((1.03, 0.0, 0.03, 0.72)))
    bar.set_label("a: depleted < 0 < piles up", fontsize=FONT)
    bar.ax.tick_params(labelsize=FONT - 1)
    bar.outline.set_linewidth(0.5)


def stretch_lines(blockade: Blockade) -> list[Floats]:
    """Points of every stretch."""
    s, points = blockade.stretches, blockade.network.boundaries.points
    return [points[segment][first : last + 1] for segment, first, last in zip(s.segment, s.first, s.last, strict=True)]


def draw_media(axes: Axes, blockade: Blockade, page: GrainCanvas) -> None:
    """Regions in pale colours by what they are for Na+."""
    from matplotlib.colors import to_rgb

    table = np.array([to_rgb(_MEDIA[medium]) for medium in Medium])
    image = table[blockade.media.medium][blockade.network.grain_map.grain_id]
    axes.imshow(image, extent=page.extent, interpolation="nearest")


def draw_traces(axes: Axes, blockade: Blockade) -> None:
    """Traces of the conduction planes as arrows to both sides, longest for planes on edge; a dot for planes in the
    surface."""
    grain_map = blockade.network.grain_map
    rows = np.flatnonzero(blockade.media.medium == Medium.PLANES)
    if not len(rows):
        return
    normal = blockade.media.normal[rows]
    middle, deep = (values[rows] for values in inner_points(grain_map))
    # Z x n is as long as the plane is steep: sin(alpha)
    trace = np.stack([-normal[:, 1], normal[:, 0]], axis=1)
    half = ARROW * deep[:, None] * trace
    for arrow in (half, -half):  # a trace has no sense
        axes.quiver(
            *middle.T, *arrow.T, angles="xy", scale_units="xy", scale=1, units="dots", width=1.4, headwidth=4,
            headlength=5, headaxislength=4, minlength=0, color="0.45", zorder=1,
        )  # fmt: skip
    flat = np.isnan(grain_map.grains.trace_deg[rows])
    axes.plot(*middle[flat].T, linestyle="none", marker="o", markersize=1.8, color="0.45", zorder=1)


def draw_field(axes: Axes, blockade: Blockade) -> None:
    """An arrow beside the map for a uniform field."""
    angle = blockade.field.get("direction_deg")
    if angle is None:
        return
    inset = axes.inset_axes((1.04, 0.78, 0.17, 0.2))
    inset.set_aspect("equal")
    inset.set_xlim(-1.3, 1.3)
    inset.set_ylim(1.3, -1.3)
    inset.axis("off")
    x, y = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    inset.annotate("", (x, y), (-x, -y), arrowprops={"arrowstyle": "-|>", "color": "black", "linewidth": 1.4})
    inset.text(1.3, -1.2, "E", fontsize=FONT + 1, ha="right", va="top", style="italic")


def _field_text(blockade: Blockade) -> str:
    angle = blockade.field.get("direction_deg")
    return f", field {angle:g}°" if angle is not None else ", local field"


def _legend(axes: Axes, handles: list[Any], title: str) -> None:
    axes.legend(
        handles=handles, title=title, title_fontsize=FONT - 1, alignment="left", loc="upper left",
        bbox_to_anchor=(1.0, 0.76), borderaxespad=0.8, frameon=False, fontsize=FONT, handlelength=2.6,
    )  # fmt: skip
