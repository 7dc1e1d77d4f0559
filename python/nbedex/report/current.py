"""The current as figures: log-scaled map with boundaries, field, lines of current; bars per boundary; sweeps."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.files import check_output, write_atomically
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


def plot_current(
    solution: Solution,
    path: str | os.PathLike[str],
    *,
    boundaries: BoundaryCurrents | None = None,
    spread: OrientationSpread | None = None,
    kind: str = "overview",
    overwrite: bool = False,
    dpi: int = 200,
) -> Path:
    """Write a figure of a solution as PNG.

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
    overwrite
        Whether a file that is already there may be replaced.
    dpi
        Pixels per inch, 50 to 1200.

    Raises
    ------
    ArgumentError
        Unknown kind or resolution; bars without boundaries.
    OutputError
        The file exists and `overwrite` is not given, or it can't be written.
    """
    if not 50 <= dpi <= 1200:
        raise ArgumentError(f"dpi must lie between 50 and 1200, got {dpi!r}")
    check_output(path, overwrite=overwrite)
    figure = draw_current(solution, kind=kind, boundaries=boundaries, spread=spread)
    return write_atomically(path, [_png(figure, dpi)], overwrite=overwrite)


def draw_current(
    solution: Solution,
    *,
    kind: str = "overview",
    boundaries: BoundaryCurrents | None = None,
    spread: OrientationSpread | None = None,
) -> Figure:
    """The figure of `plot_current`, not known to pyplot."""
    from matplotlib.figure import Figure

    if kind not in KINDS:
        raise ArgumentError(f"expected one of {', '.join(KINDS)}, got {kind!r}")
    if kind == "boundaries" and boundaries is None:
        raise ArgumentError("bars need boundaries, got none")
    ny, nx = solution.potential.shape
    dy, dx = solution.problem.structure.step
    tall = float(np.clip(4.6 * ny * dy / (nx * dx), 1.6, 9.0))
    draw = {"current": _current, "potential": _potential, "field": _field}
    if kind == "overview":
        figure = Figure(figsize=(11.5, 2 * tall + 1.6), layout="constrained")
        axes = figure.subplots(2, 2)
        for axis, name, letter in zip(axes.flat, draw, "abc", strict=False):
            draw[name](axis, solution)
            axis.set_title(f"({letter}) {axis.get_title(loc='left')}", fontsize=9, loc="left")
        if boundaries is None:
            axes[1, 1].axis("off")
        else:
            _bars(axes[1, 1], boundaries, spread)
            axes[1, 1].set_title("(d) boundaries of most accumulation", fontsize=9, loc="left")
        figure.suptitle(_headline(solution), fontsize=9, x=0.01, ha="left")
    elif kind == "boundaries" and boundaries is not None:
        figure = Figure(figsize=(7.5, 5.5), layout="constrained")
        _bars(figure.subplots(), boundaries, spread)
    else:
        figure = Figure(figsize=(6.2, tall + 1.0), layout="constrained")
        axis = figure.subplots()
        draw[kind](axis, solution)
        axis.set_title(f"{axis.get_title(loc='left')}\n{_headline(solution)}", fontsize=8, loc="left")
    return figure


def plot_sweep(result: Sweep, path: str | os.PathLike[str], *, overwrite: bool = False, dpi: int = 200) -> Path:
    """Write a what-if sweep as PNG: conductivity and blocking over what was varied."""
    check_output(path, overwrite=overwrite)
    return write_atomically(path, [_png(draw_sweep(result), dpi)], overwrite=overwrite)


def draw_sweep(result: Sweep) -> Figure:
    """Conductivity, and blocking, over what was varied."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    first, second = figure.subplots(1, 2)
    if result.what == "direction":
        first.plot(result.value, result.along_x, "o-", color="C0", markersize=3, label="along the field")
    else:
        first.plot(result.value, result.along_x, "o-", color="C0", markersize=3, label="along X")
        first.plot(result.value, result.along_y, "s--", color="C1", markersize=3, label="along Y")
        if np.isfinite(result.resistance).all():
            relative = result.resistance[0] / result.resistance
            twin = first.twinx()
            twin.plot(result.value, relative, "^:", color="0.4", markersize=3)
            twin.set_ylabel("conductance between electrodes,\nrelative to the first (grey)", fontsize=7)
            twin.tick_params(labelsize=7)
    first.set_ylabel("effective conductivity, S/m", fontsize=8)
    first.set_yscale("log")
    first.legend(fontsize=7)
    second.plot(result.value, 100 * result.blocking_share, "o-", color="C3", markersize=3, label="share above 0.5, %")
    second.plot(result.value, 100 * result.accumulation, "s--", color="0.4", markersize=3, label="mean magnitude, %")
    second.set_ylabel("accumulation along boundaries", fontsize=8)
    second.legend(fontsize=7)
    names = {
        "direction": "direction of the mean field, degrees from X to Y",
        "texture": "share of the way to one common plane",
        "anisotropy": "conductivity along over across planes",
        "boundary-ratio": "conductivity along planes over that of boundaries",
        "boundary-path": "conductivity along boundaries over that along planes",
    }
    positive = (result.value > 0).all() and result.value.max() > 20 * result.value.min()
    for axis in (first, second):
        axis.set_xlabel(names[result.what], fontsize=8)
        axis.tick_params(labelsize=7)
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
    bar = axis.figure.colorbar(image, ax=axis, shrink=0.85, pad=0.02)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    axis.set_xlabel("x, nm", fontsize=8)
    axis.set_ylabel("y, nm", fontsize=8)
    axis.tick_params(labelsize=7)


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
    axis.add_collection(LineCollection(list(lines), colors="white", linewidths=0.5, alpha=0.8))


def _edges(axis: Axes, solution: Solution) -> None:
    """Electrodes on edges as thick lines."""
    left, right, bottom, top = _extent(solution)
    dy, dx = solution.problem.structure.step
    places = {"left": (left, None), "right": (right, None), "top": (None, top), "bottom": (None, bottom)}
    for edge, numbers in solution.problem.of_edge.items():
        for index in np.flatnonzero(numbers >= 0):
            x, y = places[edge]
            if x is not None:
                span = top + index * dy, top + (index + 1) * dy
                axis.plot((x, x), span, color=_ELECTRODE, linewidth=4, solid_capstyle="butt", clip_on=False)
            elif y is not None:
                span = left + index * dx, left + (index + 1) * dx
                axis.plot(span, (y, y), color=_ELECTRODE, linewidth=4, solid_capstyle="butt", clip_on=False)
    axis.set_xlim(left, right)
    axis.set_ylim(bottom, top)


def _current(axis: Axes, solution: Solution) -> None:
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
        axis.set_title(f"current; {_LINES} lines, each with the same share of it", fontsize=9, loc="left")
    else:
        axis.set_title("current", fontsize=9, loc="left")


def _potential(axis: Axes, solution: Solution) -> None:
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
    axis.set_title("potential and equipotentials", fontsize=9, loc="left")


def _field(axis: Axes, solution: Solution) -> None:
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
    axis.set_title("local field; arrows show its direction", fontsize=9, loc="left")


def _bars(axis: Axes, of: BoundaryCurrents, spread: OrientationSpread | None) -> None:
    """The boundaries with the largest accumulation in the local field, with what crosses them."""
    size = np.nan_to_num(np.abs(of.accumulation))
    order = np.argsort(-size, kind="stable")[:_BARS]
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
    axis.set_yticks(place, labels, fontsize=6)
    axis.invert_yaxis()
    axis.axvline(0, color="0.3", linewidth=0.6)
    axis.set_xlabel("net accumulation with the local field; black: current across, of the largest", fontsize=7)
    axis.tick_params(axis="x", labelsize=7)


def _png(figure: Figure, dpi: int) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, facecolor="white", metadata={"Software": "nbedex"})
    return stream.getvalue()
