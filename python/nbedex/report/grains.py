"""Figures of grains: numbers, misorientation within grains, conduction planes on the map and as a pole figure."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.files import make_folder
from nbedex.grains import GrainMap, Role, grain_reference_deviation, kernel_average_misorientation
from nbedex.report import panels
from nbedex.report.poles import draw_poles
from nbedex.report.style import WIDTH, FigureStyle, check_figure, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIDE = 0.75  # inches beside a map
_LEAST_NUMBER = 6.0  # points; a grain too small for that has no number
_ROOM = 0.68  # width of a digit in font sizes, with some room
_MOST_EDGES = 20_000  # edges of pixels drawn as lines in vector formats; more are rasterised
ROLE_COLOURS = {Role.INSULATOR: "#404040", Role.ELECTRODE: "#e6b800", Role.NOT_INDEXED: "#000000", Role.HOLE: "#ffffff"}
ROLE_LABELS = {
    Role.INSULATOR: "insulator",
    Role.ELECTRODE: "electrode",
    Role.NOT_INDEXED: "not indexed",
    Role.HOLE: "hole",
}
# light, so that black numbers and lines show on them; neighbours never get the same
_FILLS = ("#a6cee3", "#fdbf6f", "#b2df8a", "#cab2d6", "#fb9a99", "#ffff99", "#8dd3c7", "#d9c7a0", "#bc80bd", "#ccebc5")


@dataclass(frozen=True, kw_only=True)
class GrainCanvas:
    """A grain map as it is drawn."""

    grain_map: GrainMap
    keep: NDArray[np.bool_]

    @classmethod
    def of(cls, grain_map: GrainMap) -> GrainCanvas:
        """All of it."""
        return cls(grain_map=grain_map, keep=np.ones(grain_map.grain_id.shape, dtype=bool))

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top in `unit`: pixel (0, 0) has its middle at the origin."""
        ny, nx = self.grain_map.grain_id.shape
        dy, dx = self.grain_map.source.step
        return -dx / 2, (nx - 0.5) * dx, (ny - 0.5) * dy, -dy / 2

    @property
    def unit(self) -> str:
        """nm, or px where the step isn't known."""
        return "nm" if self.grain_map.source.step_known else "px"

    @property
    def aspect(self) -> float:
        """Height over width."""
        left, right, bottom, top = self.extent
        return (bottom - top) / (right - left)


def plot_grains(
    grain_map: GrainMap,
    folder: str | os.PathLike[str],
    *,
    formats: str | Sequence[str] | None = None,
    width: str | float | None = None,
    dpi: int | None = None,
    overwrite: bool = False,
    threads: int = 0,
) -> list[Path]:
    """Draw all figures of grains and write them into a folder, made if it does not exist.

    For formats, width and dpi see `FigureStyle.of`.

    Raises
    ------
    ArgumentError
        If format, width or dpi are not possible.
    OutputError
        If a file exists and `overwrite` is not given, or it can't be written.
    """
    style = FigureStyle.of(formats=formats, width=width, dpi=dpi)
    target = make_folder(folder)
    kinds = [kind for kind in GRAIN_FIGURES if kind not in _OF_PLANES or _has_planes(grain_map)]
    for kind in kinds:
        check_figure(target / kind, style, overwrite=overwrite)
    written = []
    for kind in kinds:

        def draw(inches: float, kind: str = kind) -> Figure:
            return draw_grains(grain_map, kind=kind, width=inches, threads=threads)

        written += write_figure(target / kind, draw, style, overwrite=overwrite)
    return written


def draw_grains(grain_map: GrainMap, *, kind: str = "grains", width: float = WIDTH, threads: int = 0) -> Figure:
    """Draw one figure of grains.

    Parameters
    ----------
    grain_map
        What to draw.
    kind
        "grains": regions with their numbers. "kam", "grod": misorientation within grains. "planes": inclination of the
        conduction planes as colour, their traces as lines, the longer the steeper the planes. "poles": their normals
        as a pole figure.
    width
        Of the figure, inches.
    threads
        0: all available.
    """
    if kind not in GRAIN_FIGURES:
        raise ArgumentError(f"expected one of {', '.join(GRAIN_FIGURES)}, got {kind!r}")
    if kind in _OF_PLANES and not _has_planes(grain_map):
        raise ArgumentError("no phase of the map has conduction planes; say which phase is which (--phase NAME=KEY)")
    if kind == "poles":
        return draw_poles(grain_map, width=width)
    canvas = GrainCanvas.of(grain_map)
    figure, axes = panels.map_figure(canvas, width, side=_SIDE)
    GRAIN_FIGURES[kind](axes, canvas, threads)
    return figure


def outlines(axes: Axes, canvas: GrainCanvas, colour: str = "black", width: float = 0.5) -> None:
    """Edges of pixels between regions, as one path: a collection of as many lines takes ten times as long."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    region = canvas.grain_map.grain_id
    dy, dx = canvas.grain_map.source.step
    row, column = np.nonzero((region[:, 1:] != region[:, :-1]).T)[::-1]  # down each column, so that edges continue
    upright = np.stack([(column + 0.5) * dx, (row - 0.5) * dy, (column + 0.5) * dx, (row + 0.5) * dy], axis=-1)
    row, column = np.nonzero(region[1:] != region[:-1])
    level = np.stack([(column - 0.5) * dx, (row + 0.5) * dy, (column + 0.5) * dx, (row + 0.5) * dy], axis=-1)
    segments = joined(np.concatenate([upright, level]).reshape(-1, 2, 2))
    codes = np.tile([Outline.MOVETO, Outline.LINETO], len(segments))
    path = Outline(segments.reshape(-1, 2), codes)
    patch = PathPatch(path, fill=False, edgecolor=colour, linewidth=width, capstyle="round")
    patch.set_rasterized(len(segments) > _MOST_EDGES)
    axes.add_artist(patch)


def inner_points(grain_map: GrainMap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Position (n, 2) in each region farthest from its outline, and that distance (n,), in nm."""
    from scipy import ndimage

    region = grain_map.grain_id
    edge = np.zeros(region.shape, dtype=bool)
    for a, b in ((np.s_[1:, :], np.s_[:-1, :]), (np.s_[:, 1:], np.s_[:, :-1])):
        different = region[a] != region[b]
        edge[a] |= different
        edge[b] |= different
    padded = np.pad(~edge, 1)
    depth = ndimage.distance_transform_edt(padded, sampling=grain_map.source.step)[1:-1, 1:-1]
    # The deepest place of a region is a local maximum, but for regions that are all edge.
    peak = depth >= ndimage.maximum_filter(depth, 3)
    peak |= (np.bincount(region[peak], minlength=len(grain_map.grains)) == 0)[region]
    place = np.flatnonzero(peak)
    of, deep = region.ravel()[place], depth.ravel()[place]
    order = np.lexsort((place, -deep, of))
    first = order[np.searchsorted(of[order], np.arange(len(grain_map.grains)))]
    rows, columns = np.divmod(place[first], region.shape[1])
    position = np.stack([columns, rows], axis=1) * np.array(grain_map.source.step[::-1])
    return position, deep[first] + min(grain_map.source.step) / 2


def fills(grain_map: GrainMap) -> NDArray[np.float64]:
    """A colour (n, 3) for every region: by role, grains in light colours that differ from their neighbours'."""
    from matplotlib.colors import to_rgb

    n = len(grain_map.grains)
    near = grain_map.near()
    chosen = [-1] * n
    for g in range(n):
        taken = {chosen[other] for other in near[g]}
        # begin at another colour each time, or most would have the first few
        order = [(g * 7 + i) % len(_FILLS) for i in range(len(_FILLS))]
        chosen[g] = next((i for i in order if i not in taken), order[0])
    colours = np.array([to_rgb(_FILLS[i]) for i in chosen])
    for role, colour in ROLE_COLOURS.items():
        colours[grain_map.grains.role == role] = to_rgb(colour)
    return colours


def joined(segments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Segments (n, 2, 2), those that continue the one before in its direction made one with it."""
    if not len(segments):
        return segments
    step = segments[:, 1] - segments[:, 0]
    goes_on = (segments[1:, 0] == segments[:-1, 1]).all(axis=1) & (np.sign(step[1:]) == np.sign(step[:-1])).all(axis=1)
    first = np.flatnonzero(np.concatenate([[True], ~goes_on]))
    last = np.concatenate([first[1:], [len(segments)]]) - 1
    return np.stack([segments[first, 0], segments[last, 1]], axis=1)


def _draw_numbers(axes: Axes, canvas: GrainCanvas, threads: int) -> None:
    grain_map = canvas.grain_map
    panels.draw_rgb(axes, canvas, fills(grain_map)[grain_map.grain_id], _count_text(grain_map))
    outlines(axes, canvas)
    place, deep = inner_points(grain_map)
    figure: Any = axes.figure
    points = 72 * axes.get_position().width * figure.get_size_inches()[0]  # width of the map on paper
    per_point = (canvas.extent[1] - canvas.extent[0]) / points
    digits = np.array([len(str(g)) for g in range(len(grain_map.grains))])
    sizes = np.minimum(2 * deep / per_point / (_ROOM * np.maximum(digits, 1.5)), panels.FONT)
    numbered = np.isin(grain_map.grains.role, (Role.GRAIN, Role.ELECTRODE, Role.INSULATOR)) & (sizes >= _LEAST_NUMBER)
    for g in np.flatnonzero(numbered).tolist():
        text, size = str(g), float(sizes[g])
        colour = "white" if grain_map.grains.role[g] == Role.INSULATOR else "black"
        axes.text(
            float(place[g, 0]),
            float(place[g, 1]),
            text,
            fontsize=size,
            ha="center",
            va="center",
            color=colour,
            clip_on=True,
        )
    there = [role for role in ROLE_COLOURS if bool((grain_map.grains.role == role).any())]
    if there:
        panels.legend(axes, [(ROLE_COLOURS[role], role.name.lower().replace("_", " ")) for role in there])


def _count_text(grain_map: GrainMap) -> str:
    mine = grain_map.grains.role == Role.GRAIN
    if not mine.any():
        return "No grains"
    unit = "nm" if grain_map.source.step_known else "px"
    diameter = np.sqrt(4 * grain_map.grains.area[mine] / np.pi)
    return f"{int(mine.sum())} grains, median diameter {np.median(diameter):.3g} {unit}"


def _draw_kam(axes: Axes, canvas: GrainCanvas, threads: int) -> None:
    kam = kernel_average_misorientation(canvas.grain_map, threads=threads)
    _draw_angles(axes, canvas, kam, "Kernel average misorientation")


def _draw_grod(axes: Axes, canvas: GrainCanvas, threads: int) -> None:
    grod = grain_reference_deviation(canvas.grain_map, threads=threads)
    _draw_angles(axes, canvas, grod, "Deviation from the grain's mean orientation")


def _draw_angles(axes: Axes, canvas: GrainCanvas, values: NDArray[np.float32], title: str) -> None:
    known = values[np.isfinite(values)]
    top = float(np.percentile(known, 99)) if known.size else 1.0
    shown = GrainCanvas(grain_map=canvas.grain_map, keep=np.isfinite(values))
    panels.draw_values(axes, shown, values, title, "degrees", (0.0, max(top, 0.1)))
    outlines(axes, canvas, "white", 0.3)


def _draw_planes(axes: Axes, canvas: GrainCanvas, threads: int) -> None:
    from matplotlib.collections import LineCollection

    grains = canvas.grain_map.grains
    alpha = grains.inclination_deg[canvas.grain_map.grain_id]
    shown = GrainCanvas(grain_map=canvas.grain_map, keep=np.isfinite(alpha))
    title = "Conduction planes: inclination, and traces on the surface"
    panels.draw_values(axes, shown, alpha, title, "inclination α (degrees)", (0.0, 90.0))
    outlines(axes, canvas, "white", 0.4)
    place, deep = inner_points(canvas.grain_map)
    flat = np.isfinite(grains.inclination_deg) & ~np.isfinite(grains.trace_deg)
    if flat.any():
        axes.plot(
            *place[flat].T, linestyle="none", marker="o", markersize=2.5, color="white", markeredgecolor="black",
            markeredgewidth=0.4,
        )  # fmt: skip
    steep = np.flatnonzero(np.isfinite(grains.inclination_deg) & np.isfinite(grains.trace_deg))
    theta = np.deg2rad(grains.trace_deg[steep])
    reach = 0.9 * deep[steep] * np.sin(np.deg2rad(grains.inclination_deg[steep]))
    half = reach[:, None] * np.stack([np.cos(theta), np.sin(theta)], axis=1)
    ends = np.stack([place[steep] - half, place[steep] + half], axis=1)
    for width, colour in ((2.2, "black"), (1.2, "white")):
        axes.add_collection(LineCollection(list(ends), colors=colour, linewidths=width, capstyle="round"))


def _has_planes(grain_map: GrainMap) -> bool:
    return bool(np.isfinite(grain_map.grains.inclination_deg).any())


_OF_PLANES = ("planes", "poles")
GRAIN_FIGURES: dict[str, Callable[[Axes, GrainCanvas, int], Any]] = {
    "grains": _draw_numbers,
    "kam": _draw_kam,
    "grod": _draw_grod,
    "planes": _draw_planes,
    "poles": lambda axes, canvas, threads: None,  # a figure of its own, without a map
}
