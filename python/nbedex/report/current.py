"""The current as figures: log-scaled map with boundaries, field, lines of current; bars per boundary; sweeps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.report.panels import FONT, MapScale, scale_bar, wrapped
from nbedex.report.style import TWO_COLUMNS, WIDTH, FigureStyle, write_figure
from nbedex.transport import BoundaryCurrents, OrientationSpread, Solution, Sweep, stream_function

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

KINDS = ("current", "potential", "field", "boundaries", "overview")
_DECADES = 4  # of the current map, below its 99.9th percentile
_ARROWS = 22  # along the longer side
_LINES = 15
_BARS = 25
_ELECTRODE = "#d1495b"
_MOST_EDGES = 20_000  # edges drawn as lines in vector formats


def plot_current(
    solution: Solution,
    path: str | os.PathLike[str],
    *,
    boundaries: BoundaryCurrents | None = None,
    spread: OrientationSpread | None = None,
    kind: str = "overview",
    formats: str | Sequence[str] | None = None,
    width: str | float | None = None,
    dpi: int | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write a figure of a solution as PNG, SVG or PDF.

    Parameters
    ----------
    solution
        The current.
    path
        The file.
    boundaries
        For the bars of "boundaries" and "overview".
    spread
        Draws of the orientations: error bars.
    kind
        "current": magnitude, log scale, with grain boundaries and lines of current; "potential", with equipotentials;
        "field": magnitude with arrows; "boundaries": bars; "overview": all.
    formats, width, dpi
        See `FigureStyle.for_file`.
    overwrite
        Whether a file that is already there may be replaced.

    Raises
    ------
    ArgumentError
        Unknown kind, or format, width or dpi that are not possible; bars without boundaries.
    OutputError
        The file exists and `overwrite` is not given, or it can't be written.
    """
    style = FigureStyle.for_file(path, formats=formats, width=width, dpi=dpi)

    def draw(inches: float) -> Figure:
        return draw_current(solution, kind=kind, boundaries=boundaries, spread=spread, width=inches)

    return write_figure(path, draw, style, overwrite=overwrite)


def draw_current(
    solution: Solution,
    *,
    kind: str = "overview",
    boundaries: BoundaryCurrents | None = None,
    spread: OrientationSpread | None = None,
    width: float = WIDTH,
) -> Figure:
    """The figure of `plot_current`, `width` inches wide, not known to pyplot."""
    from matplotlib.figure import Figure

    if kind not in KINDS:
        raise ArgumentError(f"expected one of {', '.join(KINDS)}, got {kind!r}")
    if kind == "boundaries" and boundaries is None:
        raise ArgumentError("bars need boundaries, got none")
    ny, nx = solution.potential.shape
    dy, dx = solution.problem.structure.step
    aspect = float(np.clip(ny * dy / (nx * dx), 0.3, 1.8))
    columns = 2 if width >= TWO_COLUMNS else 1
    draw = {"current": _current, "potential": _potential, "field": _field}
    if kind == "overview":
        high = 0.82 * aspect * width / columns + 0.55
        figure = Figure(figsize=(width, 4 // columns * high + 0.3), layout="constrained")
        parts: Any = figure.subfigures(4 // columns, columns)  # each with margins of its own
        axes = [part.subplots() for part in parts.flat]
        for axis, name, letter in zip(axes, draw, "abc", strict=False):
            _title(axis, f"({letter}) {draw[name](axis, solution)}", width / columns)
        if boundaries is None:
            axes[3].axis("off")
        else:
            _bars(axes[3], boundaries, spread, most=int((high - 0.6) * 72 / (FONT + 1.5)))
            _title(axes[3], "(d) boundaries of most accumulation", width / columns)
        figure.suptitle(wrapped(_headline(solution), width, FONT), fontsize=FONT, x=0.01, ha="left")
    elif kind == "boundaries" and boundaries is not None:
        figure = Figure(figsize=(width, 3.8), layout="constrained")
        _bars(figure.subplots(), boundaries, spread)
    else:
        figure = Figure(figsize=(width, 0.82 * aspect * width + 0.8), layout="constrained")
        axis = figure.subplots()
        _title(axis, draw[kind](axis, solution), width, more=_headline(solution))
    return figure


def _title(axis: Axes, text: str, width: float, *, more: str = "") -> None:
    """Above axes in a cell `width` inches wide."""
    lines = [wrapped(part, 0.9 * width, FONT) for part in (text, more) if part]
    axis.set_title("\n".join(lines), fontsize=FONT, loc="left")


def plot_sweep(
    result: Sweep,
    path: str | os.PathLike[str],
    *,
    formats: str | Sequence[str] | None = None,
    width: str | float | None = None,
    dpi: int | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write a what-if sweep: conductivity and blocking over what was varied. See `FigureStyle.for_file`."""
    style = FigureStyle.for_file(path, formats=formats, width=width, dpi=dpi)
    return write_figure(path, lambda inches: draw_sweep(result, width=inches), style, overwrite=overwrite)


def draw_sweep(result: Sweep, *, width: float = WIDTH) -> Figure:
    """Conductivity, and blocking, over what was varied; `width` in inches."""
    from matplotlib.figure import Figure

    columns = 2 if width >= TWO_COLUMNS else 1
    figure = Figure(figsize=(width, 3.0 if columns == 2 else 5.2), layout="constrained")
    first, second = figure.subplots(2 // columns, columns)
    if result.what == "direction":
        first.plot(result.value, result.along_x, "o-", color="C0", markersize=3, label="along the field")
    else:
        first.plot(result.value, result.along_x, "o-", color="C0", markersize=3, label="along X")
        first.plot(result.value, result.along_y, "s--", color="C1", markersize=3, label="along Y")
        if np.isfinite(result.resistance).all():
            relative = result.resistance[0] / result.resistance
            twin = first.twinx()
            twin.plot(result.value, relative, "^:", color="0.4", markersize=3)
            twin.set_ylabel("conductance between electrodes,\nrelative to the first (grey)", fontsize=FONT)
            twin.tick_params(labelsize=FONT - 1)
    first.set_ylabel("effective conductivity, S/m", fontsize=FONT)
    first.set_yscale("log")
    first.legend(fontsize=FONT)
    second.plot(result.value, 100 * result.blocking_share, "o-", color="C3", markersize=3, label="share above 0.5, %")
    second.plot(result.value, 100 * result.accumulation, "s--", color="0.4", markersize=3, label="mean magnitude, %")
    second.set_ylabel("accumulation along boundaries", fontsize=FONT)
    second.legend(fontsize=FONT)
    names = {
        "direction": "direction of the mean field, degrees from X to Y",
        "texture": "share of the way to one common plane",
        "anisotropy": "conductivity along over across planes",
        "boundary-ratio": "conductivity along planes over that of boundaries",
        "boundary-path": "conductivity along boundaries over that along planes",
    }
    positive = (result.value > 0).all() and result.value.max() > 20 * result.value.min()
    for axis in (first, second):
        axis.set_xlabel(names[result.what], fontsize=FONT)
        axis.tick_params(labelsize=FONT - 1, which="both")
        if positive and result.what not in ("direction", "texture"):
            axis.set_xscale("log")
    return figure


def _headline(solution: Solution) -> str:
    parts = [f"model {solution.settings.model}"]
    if solution.resistance is not None:
        text = f"{solution.resistance:.4g}"
        if solution.resistance_uncertainty is not None:
            text += f" ± {solution.resistance_uncertainty:.1g}"
        parts.append(f"resistance {text} Ω")
    if solution.map_change is not None:
        parts.append(f"halving the cells changes the map by {100 * solution.map_change:.0f} % rms")
    parts.append(f"residual {solution.checked.residual:.0e}, charge balance {solution.charge_balance:.0e}")
    if solution.connected.floating_cells:
        parts.append(f"{solution.connected.floating_regions} floating regions left white")
    return "; ".join(parts)


def _extent(solution: Solution) -> tuple[float, float, float, float]:
    structure = solution.problem.structure
    (ny, nx), (dy, dx), (x, y) = structure.shape, structure.step, structure.origin
    return x - dx / 2, x + (nx - 0.5) * dx, y + (ny - 0.5) * dy, y - dy / 2


def _map(axis: Axes, solution: Solution, values: Floats, label: str, **how: Any) -> None:
    from matplotlib.colors import to_rgba

    extent = _extent(solution)
    image = axis.imshow(values, extent=extent, interpolation="nearest", **how)
    metal = solution.problem.of_cell >= 0
    blocked = ~solution.problem.conducts & ~metal
    overlay = np.zeros((*metal.shape, 4))
    overlay[metal], overlay[blocked] = to_rgba(_ELECTRODE), to_rgba("0.75")
    axis.imshow(overlay, extent=extent, interpolation="nearest")
    _boundaries(axis, solution)
    _edges(axis, solution)
    figure: Any = axis.figure
    bar = figure.colorbar(image, cax=axis.inset_axes((1.02, 0.0, 0.04, 1.0)))
    bar.set_label(label, fontsize=FONT)
    bar.ax.tick_params(labelsize=FONT - 1)
    axis.set_xticks([])
    axis.set_yticks([])
    scale_bar(axis, MapScale(extent=extent, unit="nm"))


def _boundaries(axis: Axes, solution: Solution) -> None:
    """Edges of cells between regions."""
    from matplotlib.collections import LineCollection

    structure = solution.problem.structure
    labels, (dy, dx) = structure.labels, structure.step
    x0, y0 = structure.origin[0] - dx / 2, structure.origin[1] - dy / 2
    row, column = np.nonzero(labels[:, 1:] != labels[:, :-1])
    x, y = x0 + (column + 1) * dx, y0 + row * dy
    upright = np.stack([np.stack([x, y], 1), np.stack([x, y + dy], 1)], 1)
    row, column = np.nonzero(labels[1:] != labels[:-1])
    x, y = x0 + column * dx, y0 + (row + 1) * dy
    level = np.stack([np.stack([x, y], 1), np.stack([x + dx, y], 1)], 1)
    lines = np.concatenate([upright, level])
    edges = LineCollection(list(lines), colors="white", linewidths=0.5, alpha=0.8)
    edges.set_rasterized(len(lines) > _MOST_EDGES)
    axis.add_collection(edges, autolim=False)


def _edges(axis: Axes, solution: Solution) -> None:
    """Electrodes on edges as thick lines."""
    left, right, bottom, top = _extent(solution)
    dy, dx = solution.problem.structure.step
    places = {"left": (left, None), "right": (right, None), "top": (None, top), "bottom": (None, bottom)}
    for edge, numbers in solution.problem.of_edge.items():
        cells = np.flatnonzero(numbers >= 0)
        for run in np.split(cells, np.flatnonzero(np.diff(cells) != 1) + 1):
            if not len(run):
                continue
            x, y = places[edge]
            first, end = run[0], run[-1] + 1
            if x is not None:
                span = top + first * dy, top + end * dy
                axis.plot((x, x), span, color=_ELECTRODE, linewidth=4, solid_capstyle="butt", clip_on=False)
            elif y is not None:
                span = left + first * dx, left + end * dx
                axis.plot(span, (y, y), color=_ELECTRODE, linewidth=4, solid_capstyle="butt", clip_on=False)
    axis.set_xlim(left, right)
    axis.set_ylim(bottom, top)


def _current(axis: Axes, solution: Solution) -> str:
    from matplotlib.colors import LogNorm

    size = np.where(solution.connected.reached, solution.magnitude, np.nan)
    positive = size[np.isfinite(size) & (size > 0)]
    top = float(np.percentile(positive, 99.9)) if len(positive) else 1.0
    _map(
        axis, solution, np.maximum(size, top * 10.0**-_DECADES), "current density, A/m²",
        norm=LogNorm(top * 10.0**-_DECADES, top), cmap="inferno",
    )  # fmt: skip
    psi = stream_function(solution)
    if psi is not None and np.ptp(psi) > 0:
        left, right, bottom, top_edge = _extent(solution)
        x, y = np.linspace(left, right, psi.shape[1]), np.linspace(top_edge, bottom, psi.shape[0])
        levels = psi.min() + np.ptp(psi) * (np.arange(_LINES) + 0.5) / _LINES
        axis.contour(x, y, psi, levels=levels, colors="#7fd6ff", linewidths=0.6)
        return f"current; {_LINES} lines, each with the same share of it"
    return "current"


def _potential(axis: Axes, solution: Solution) -> str:
    _map(axis, solution, solution.potential, "potential, V", cmap="viridis")
    known = solution.potential[np.isfinite(solution.potential)]
    if len(known) and np.ptp(known) > 0 and min(solution.potential.shape) > 1:
        structure = solution.problem.structure
        (ny, nx), (dy, dx), (x, y) = structure.shape, structure.step, structure.origin
        levels = known.min() + np.ptp(known) * (np.arange(12) + 0.5) / 12
        axis.contour(
            x + dx * np.arange(nx), y + dy * np.arange(ny), solution.potential, levels=levels, colors="k",
            linewidths=0.4,
        )  # fmt: skip
    return "potential and equipotentials"


def _field(axis: Axes, solution: Solution) -> str:
    from matplotlib.colors import LogNorm

    size = np.linalg.norm(solution.field[..., :2], axis=-1)
    positive = size[np.isfinite(size) & (size > 0)]
    top = float(np.percentile(positive, 99.5)) if len(positive) else 1.0
    _map(
        axis,
        solution,
        np.maximum(size, top * 1e-3),
        "field in the plane, V/m",
        norm=LogNorm(top * 1e-3, top),
        cmap="cividis",
    )
    structure = solution.problem.structure
    (ny, nx), (dy, dx), (x, y) = structure.shape, structure.step, structure.origin
    every = max(1, max(ny, nx) // _ARROWS)
    rows, columns = np.meshgrid(np.arange(every // 2, ny, every), np.arange(every // 2, nx, every), indexing="ij")
    length = size[rows, columns]
    rows, columns = rows[length > 0], columns[length > 0]
    unit = solution.field[rows, columns, :2] / size[rows, columns, None]
    axis.quiver(
        x + dx * columns, y + dy * rows, unit[:, 0], unit[:, 1], angles="xy", color="white", pivot="mid",
        scale=1.3 * _ARROWS, width=0.003,
    )  # fmt: skip
    return "local field; arrows show its direction"


def _bars(axis: Axes, of: BoundaryCurrents, spread: OrientationSpread | None, *, most: int = _BARS) -> None:
    """The boundaries with the largest accumulation in the local field, with what crosses them."""
    size = np.nan_to_num(np.abs(of.accumulation))
    order = np.argsort(-size, kind="stable")[: max(min(most, _BARS), 3)]
    place = np.arange(len(order))
    error = None
    if spread is not None and len(spread.low) == len(of):
        error = spread.accumulation_sigma[order]
    colour = np.where(of.accumulation[order] > 0, "#c1121f", "#386fa4")
    axis.barh(place, of.accumulation[order], color=colour.tolist(), xerr=error, height=0.8, error_kw={"linewidth": 0.7})
    crossing = np.abs(of.flux_across)
    top = crossing.max(initial=0.0)
    axis.plot(crossing[order] / top if top > 0 else 0 * place, place, "k|", markersize=6)
    labels = [f"{of.low[i]}/{of.high[i]}  {of.labels[i]}" for i in order]
    axis.set_yticks(place, labels, fontsize=FONT - 1)
    axis.invert_yaxis()
    axis.axvline(0, color="0.3", linewidth=0.6)
    axis.set_xlabel("net accumulation with the local field;\nblack: current across, of the largest", fontsize=FONT)
    axis.tick_params(axis="x", labelsize=FONT - 1)
