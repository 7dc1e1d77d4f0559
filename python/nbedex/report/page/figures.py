"""The page's maps as Bokeh figures that pan and zoom together. Colours that follow the page's theme are set there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    CrosshairTool,
    CustomJS,
    LinearColorMapper,
    MultiLine,
    PanTool,
    Range1d,
    ScaleBar,
    Span,
    WheelZoomTool,
)
from bokeh.models.annotations.dimensional import Metric, MetricLength
from bokeh.plotting import figure
from numpy.typing import NDArray

from nbedex.report.page.content import Frame
from nbedex.report.page.pixels import Numbers

_WIDTH = 360
INK, PAPER, MUTED = "ink", "paper", "muted"  # tags of glyphs in the page's own colours


@dataclass(eq=False)
class Maps:
    """All maps of a page: they share ranges and crosshair.

    Attributes
    ----------
    frame
        Where the map lies.
    figures
        By the name of the element that they are put into.
    """

    frame: Frame
    figures: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        left, right, top, bottom = self.frame.view
        self.x_range = Range1d(start=left, end=right, bounds=None)
        self.y_range = Range1d(start=bottom, end=top, bounds=None)
        self._cross = [Span(dimension=d, line_width=0.7, line_dash="dotted", tags=[INK]) for d in ("width", "height")]
        self.selected = ColumnDataSource({"xs": [], "ys": []})

    def add(self, name: str) -> Any:
        """A new, empty map: drag pans, Ctrl and the wheel zoom, a scale bar in the corner."""
        height = round(_WIDTH * self.frame.aspect)
        made = figure(
            name=name,
            x_range=self.x_range,
            y_range=self.y_range,
            width=_WIDTH,
            height=height,
            aspect_ratio=_WIDTH / height,
            sizing_mode="stretch_width",
            toolbar_location=None,
            tools=[],
            min_border=0,
            outline_line_color=None,
            background_fill_color=None,
            border_fill_color=None,
        )
        wheel = WheelZoomTool(modifiers="ctrl", maintain_focus=False)
        pan = PanTool()
        made.add_tools(pan, wheel, CrosshairTool(overlay=self._cross))
        made.toolbar.active_drag = pan
        made.toolbar.active_scroll = wheel
        made.axis.visible = False
        made.grid.visible = False
        made.add_layout(self._scale_bar())
        self.figures[name] = made
        return made

    def _scale_bar(self) -> ScaleBar:
        return ScaleBar(
            range=self.x_range,
            unit=self.frame.unit,
            dimensional=MetricLength() if self.frame.unit == "nm" else Metric(base_unit="px", full_unit="pixels"),
            orientation="horizontal",
            location="bottom_left",
            bar_length=0.22,
            label="@{value} @{unit}",
            label_text_font_size="11px",
            label_standoff=3,
            bar_line_width=3,
            border_line_color=None,
            background_fill_color="#ffffff",
            background_fill_alpha=0.8,
            label_text_color="#1b2228",
            bar_line_color="#1b2228",
            padding=6,
            margin=8,
        )

    def place(self, extent: tuple[float, float, float, float] | None = None) -> dict[str, float]:
        """Where an image lies that covers the map, or `extent` (left, right, top, bottom)."""
        left, right, top, bottom = extent or self.frame.extent
        return {"x": left, "y": top, "dw": right - left, "dh": bottom - top}

    def add_numbers(self, numbers: Numbers, extent: tuple[float, float, float, float] | None = None) -> Any:
        """A map of numbers in viridis, black where not shown and grey where there is no number."""
        made = self.add(numbers.key)
        mapper = LinearColorMapper(
            palette=numbers.palette(), low=1, high=65534, low_color="#000000", high_color="#999999"
        )
        made.image([numbers.codes], **self.place(extent), color_mapper=mapper)
        return made

    def add_codes(self, made: Any, codes: NDArray[Any], colours: list[str], *, alpha: float = 1.0) -> Any:
        """An image of whole numbers from 0 in given colours; returns its renderer."""
        mapper = LinearColorMapper(palette=colours, low=-0.5, high=len(colours) - 0.5)
        return made.image([codes], **self.place(), color_mapper=mapper, global_alpha=alpha)

    def mark_selection(self, made: Any, *widths: tuple[float, str, float]) -> None:
        """The boundary that is chosen, as lines of (width, tag, alpha) one over the other."""
        for width, tag, alpha in widths:
            made.add_glyph(
                self.selected,
                MultiLine(xs="xs", ys="ys", line_width=width, line_cap="round", line_join="round",
                          line_alpha=alpha, tags=[tag]),
            )  # fmt: skip


def outlines(made: Any, source: ColumnDataSource, *, width: float = 0.8, alpha: float = 1.0) -> Any:
    """Boundaries as thin lines."""
    return made.multi_line("xs", "ys", source=source, line_width=width, line_alpha=alpha, line_color="#000000")


def chart(name: str, *, x: str, y: str, height: int = 260, **more: Any) -> Any:
    """A chart with axes, without tools."""
    made = figure(
        name=name, height=height, sizing_mode="stretch_width", toolbar_location=None, tools=[], min_border_left=48,
        min_border_right=8, min_border_top=6, background_fill_color=None, border_fill_color=None,
        outline_line_color=None, x_axis_label=x, y_axis_label=y, **more,
    )  # fmt: skip
    made.xgrid.visible = False
    made.axis.axis_label_text_font_style = "normal"
    made.axis.axis_label_text_font_size = "12px"
    made.axis.major_label_text_font_size = "11px"
    made.axis.minor_tick_line_color = None
    return made


def start_script(arguments: dict[str, Any]) -> CustomJS:
    """Hands models and arrays to the page's own code once everything is drawn."""
    names = ", ".join(arguments)
    return CustomJS(args=arguments, code=f"window.nbedexReport.start({{{names}}})")


def steps(values: NDArray[np.float64], edges: NDArray[np.float64]) -> dict[str, Any]:
    """Bars of a histogram."""
    return {"left": edges[:-1], "right": edges[1:], "top": values, "bottom": np.zeros(len(values))}
