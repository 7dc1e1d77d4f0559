"""Distributions with the curves of random microstructures, the sweep over fields, and pole figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import BasicTicker, ColumnDataSource, LinearColorMapper, Range1d, Span
from bokeh.plotting import figure
from numpy.typing import NDArray

from nbedex.blockade import PUBLISHED_AS_BLOCKING
from nbedex.boundaries import misorientation_distribution, plane_distribution
from nbedex.grains import MapPhase, Role
from nbedex.maps import conjugate, multiply, rotate
from nbedex.report.blockade_maps import CLASS_COLOURS
from nbedex.report.page.content import PageContent
from nbedex.report.page.figures import INK, PAPER, chart, steps
from nbedex.report.poles import equal_area, from_equal_area, pole_density

Floats = NDArray[np.float64]
_FILL, _SECOND = "#56B4E9", "#D55E00"
_CELLS = 121
_RIM = 1.04  # how far the picture of a pole figure goes, so that a ring in the page's colour makes its edge round
_LEAST_GRAINS = 8  # for a log-normal curve


@dataclass(frozen=True, eq=False)
class Chart:
    """A chart with its texts."""

    figure: Any
    title: str
    caption: str


def _histogram(name: str, x: str, values: Floats, edges: Floats, bars: str, y: str = "share per degree") -> Any:
    made = chart(name, x=x, y=y, x_range=Range1d(start=float(edges[0]), end=float(edges[-1])))
    made.quad(**steps(values, edges), fill_color=_FILL, fill_alpha=0.55, line_color=_FILL, legend_label=bars)
    return made


def _finish(made: Any) -> Any:
    made.y_range.start = 0
    made.legend.location = "top_left"
    made.legend.label_text_font_size = "11px"
    made.legend.background_fill_alpha = 0.0
    made.legend.border_line_color = None
    made.legend.padding = 4
    made.legend.spacing = 0
    made.legend.glyph_height = 14
    made.add_layout(made.legend[0], "above")
    return made


def distributions(content: PageContent) -> list[Chart]:
    """Disorientation of every phase, angles between conduction planes, grain sizes."""
    charts = []
    network = content.network
    for number, phase in enumerate(network.grain_map.source.phases):
        d = misorientation_distribution(network, number)
        if not d.n_boundaries:
            continue
        made = _histogram(
            f"disorientation-{number}", "disorientation ω / °", d.boundaries, d.edges_deg,
            f"{d.n_boundaries} boundaries, by length",
        )  # fmt: skip
        middle = (d.edges_deg[:-1] + d.edges_deg[1:]) / 2
        if d.n_grains > 2:
            made.step(middle, d.grain_pairs, mode="center", color="#0072B2", line_width=1.5, line_dash="dotted",
                      legend_label=f"any two of {d.n_grains} grains")  # fmt: skip
        made.line(middle, d.random, line_width=2, tags=[INK], legend_label="random orientations (Mackenzie)")
        caption = (
            "Disorientation angle of boundaries within the phase, weighted by length, against that of random"
            " orientations of its Laue class."
        )
        charts.append(Chart(_finish(made), f"Disorientation, {phase.name}", caption))
    planes = plane_distribution(network)
    if planes.n_boundaries:
        middle = (planes.edges_deg[:-1] + planes.edges_deg[1:]) / 2
        for name, x, title, values, random, caption in (
            ("psi", "ψ / °", "Conduction planes in space", planes.psi, planes.random_psi,
             "Angle ψ between the conduction planes of the two grains, weighted by length, against that of random"
             " planes (sin ψ)."),
            ("delta-theta", "Δθ / °", "Their traces on the surface", planes.delta_theta, planes.random_delta_theta,
             "Angle Δθ between the lines one sees on the lamella. It is not ψ: planes 64° apart may show traces 85°"
             " apart."),
        ):  # fmt: skip
            if values.any():
                made = _histogram(name, x, values, planes.edges_deg, f"{planes.n_boundaries} boundaries, by length")
                made.line(middle, random, line_width=2, tags=[INK], legend_label="random planes")
                charts.append(Chart(_finish(made), title, caption))
    sizes = _grain_sizes(content)
    return charts if sizes is None else [*charts, sizes]


def _grain_sizes(content: PageContent) -> Chart | None:
    grains = content.grain_map.grains
    mine = grains.role == Role.GRAIN
    whole = mine & ~grains.touches_edge
    unit = "nm" if content.grain_map.source.step_known else "px"
    diameter = np.sqrt(4 * grains.area / np.pi)
    if not mine.any():
        return None
    count = max(6, min(30, round(2 * mine.sum() ** 0.5)))
    edges = np.linspace(0, float(diameter[mine].max()) * 1.05, count + 1)
    inner, cut = (np.histogram(diameter[rows], edges)[0].astype(np.float64) for rows in (whole, mine & ~whole))
    made = chart("grain-size", x=f"diameter of the circle of equal area / {unit}", y="grains",
                 x_range=Range1d(start=0, end=float(edges[-1])))  # fmt: skip
    made.yaxis.ticker = BasicTicker(min_interval=1)
    made.quad(**steps(inner, edges), fill_color=_FILL, fill_alpha=0.55, line_color=_FILL,
              legend_label=f"{int(whole.sum())} whole grains")  # fmt: skip
    made.quad(left=edges[:-1], right=edges[1:], bottom=inner, top=inner + cut, fill_color=_FILL, fill_alpha=0.12,
              hatch_pattern="right_diagonal_line", hatch_color=_FILL, hatch_alpha=0.8, line_color=_FILL,
              legend_label=f"{int((mine & ~whole).sum())} cut by the map's edge")  # fmt: skip
    caption = "Grain sizes. Grains that the edge of the map cuts are larger than they look."
    if whole.sum() >= _LEAST_GRAINS:
        logs = np.log(diameter[whole])
        mean, spread = float(logs.mean()), max(float(logs.std(ddof=1)), 1e-6)
        x = np.linspace(edges[-1] / 400, edges[-1], 400)
        density = np.exp(-(((np.log(x) - mean) / spread) ** 2) / 2) / (x * spread * np.sqrt(2 * np.pi))
        made.line(x, density * whole.sum() * (edges[1] - edges[0]), line_width=2, tags=[INK],
                  legend_label="log-normal, same mean and spread")  # fmt: skip
    return Chart(_finish(made), "Grain size", caption)


def sweep_chart(content: PageContent, marker: Span) -> Chart | None:
    """Share of the boundaries' length that blocks, against the direction of the field."""
    sweep, blockade = content.sweep, content.blockade
    if not len(blockade.segments):
        return None
    made = chart("sweep", x="direction of the field, from X (right) towards Y (down) / °",
                 y="share of boundary length / %", height=230, x_range=Range1d(start=0, end=360))  # fmt: skip
    angle = np.append(sweep.direction_deg, 360.0)

    def closed(values: Floats) -> Floats:
        return 100 * np.append(values, values[0])

    made.line(angle, closed(sweep.blocking_share), line_width=2.2, tags=[INK],
              legend_label=f"accumulation a ≥ {blockade.settings.blocks_at:g}")  # fmt: skip
    for kind, dash in zip(PUBLISHED_AS_BLOCKING, ("solid", "dashed"), strict=True):
        made.line(angle, closed(sweep.class_share[:, kind]), color=CLASS_COLOURS[kind], line_width=1.8,
                  line_dash=dash, legend_label=f"class {kind.label}")  # fmt: skip
    made.xaxis.ticker = list(range(0, 361, 45))
    made.add_layout(marker)
    caption = (
        "How much of the boundary length blocks sodium in a uniform field of every direction: by net accumulation,"
        " and by the two classes published as blocking. The vertical line is the field chosen above; click to choose"
        " another."
    )
    made = _finish(made)
    made.legend.orientation = "horizontal"
    made.legend.spacing = 18
    return Chart(made, "Blocking against the direction of the field", caption)


def pole_figures(content: PageContent, field_line: ColumnDataSource) -> list[Chart]:
    """Normals of conduction planes, or c*, of every phase with grains: density and grains by area."""
    grains = content.grain_map.grains
    charts = []
    for number, phase in enumerate(content.grain_map.source.phases):
        known = np.isfinite(grains.orientation).all(axis=1)
        mine = np.flatnonzero((grains.phase_id == number) & known & (grains.role != Role.NOT_INDEXED))
        if mine.size:
            charts.append(_pole_figure(content, number, phase, mine, field_line))
    return charts


def _pole_figure(
    content: PageContent, number: int, phase: MapPhase, mine: NDArray[np.int64], field_line: ColumnDataSource
) -> Chart:
    grains = content.grain_map.grains
    normal, family = _normals(phase, grains.orientation[mine])
    weight = np.repeat(grains.area[mine], family)
    axis = np.linspace(-_RIM, _RIM, _CELLS)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    radius = np.linalg.norm(grid, axis=-1, keepdims=True)
    density = pole_density(normal, weight, from_equal_area((1 - 1e-9) * grid / np.maximum(radius, 1.0)))
    top = max(2.0, float(density.max()))
    made = figure(
        name=f"poles-{number}", width=300, height=300, aspect_ratio=1, sizing_mode="stretch_width", tools=[],
        toolbar_location=None, min_border=0, x_range=Range1d(start=-1.15, end=1.15),
        y_range=Range1d(start=1.15, end=-1.15),
        background_fill_color=None, border_fill_color=None, outline_line_color=None,
    )  # fmt: skip
    made.axis.visible = False
    made.grid.visible = False
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    palette = [to_hex(colour) for colour in colormaps["viridis"](np.linspace(0, 1, 256))]
    mapper = LinearColorMapper(palette=palette, low=1, high=255, low_color="rgba(0, 0, 0, 0)")
    codes = np.where(radius[..., 0] < _RIM, 1 + np.rint(254 * density / top), 0).astype(np.uint8)
    made.image([codes], x=-_RIM, y=-_RIM, dw=2 * _RIM, dh=2 * _RIM, color_mapper=mapper)
    made.annulus([0], [0], inner_radius=[1.0], outer_radius=[1.1], line_color=None, tags=[PAPER])
    turn = np.linspace(0, 2 * np.pi, 181)
    made.line(np.cos(turn), np.sin(turn), line_width=1, tags=[INK])
    x, y = equal_area(np.where(normal[:, 2:] < 0, -normal, normal)).T
    crowd = min(1.0, max(0.35, (60 / len(weight)) ** 0.5))
    size = crowd * (5 + 11 * np.sqrt(weight / weight.max()))
    made.scatter(x, y, size=size, fill_color=None, line_color="white", line_width=0.6 + 0.6 * crowd)
    made.line("x", "y", source=field_line, line_width=1.6, line_dash="dashed", line_color="white")
    made.text([1.04, 0.0], [0.0, 1.06], ["X", "Y"], text_font_size="12px", text_baseline="middle",
              text_align="center", tags=[INK])  # fmt: skip
    planes = phase.conduction_normal is not None
    what = "normals of the conduction planes" if planes else "c* and its equivalents" if family > 1 else "c*"
    count = "1 grain" if len(mine) == 1 else f"{len(mine)} grains"
    caption = (
        f"{count}, {what}, equal area, upper hemisphere, X right and Y down. Colour: density from 0 to"
        f" {top:.1f} times a uniform one; circles: grains, by area; dashed: the field."
    )
    return Chart(made, f"Pole figure, {phase.name}", caption)


def _normals(phase: MapPhase, orientation: Floats) -> tuple[Floats, int]:
    """(n * family, 3) normals of each grain's planes in the sample, and how many a grain has."""
    if phase.conduction_normal is not None:
        direction, family = phase.conduction_normal, phase.symmetry[:1]
    else:
        direction, family = np.array([0.0, 0.0, 1.0]), _distinct(phase.symmetry)
    every = multiply(conjugate(orientation)[:, None], conjugate(family)[None])
    return np.asarray(rotate(every.reshape(-1, 4), direction)), len(family)


def _distinct(symmetry: Floats) -> Floats:
    """Operators that take c* to axes of different directions."""
    kept: list[int] = []
    turned = rotate(conjugate(symmetry), np.array([0.0, 0.0, 1.0]))
    for row, axis in enumerate(turned):
        if all(abs(axis @ turned[other]) < 1 - 1e-6 for other in kept):
            kept.append(row)
    return symmetry[kept]
