"""The whole page: figures, arrays and texts put into the template."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.embed import components
from bokeh.models import ColumnDataSource, Span
from bokeh.resources import INLINE
from numpy.typing import NDArray

from nbedex.maps import to_json
from nbedex.progress import Progress, silent
from nbedex.provenance import software
from nbedex.report.grains import fills
from nbedex.report.page import charts as charts_of
from nbedex.report.page.content import Frame, PageContent
from nbedex.report.page.crystals import MapCrystal, key_svg
from nbedex.report.page.facts import boundary_facts, grain_facts, tiles
from nbedex.report.page.figures import INK, Maps, outlines, start_script
from nbedex.report.page.lines import class_styles, stretch_points, trace_lines
from nbedex.report.page.methods import methods_text, parameters
from nbedex.report.page.patterns import Measured, Simulated, measured_patterns, simulated_patterns
from nbedex.report.page.pixels import (
    Numbers,
    current_numbers,
    euler_codes,
    ipf_images,
    kept_pixels,
    number_maps,
)

_SCRIPTS = ("state.js", "theme.js", "maps.js", "boundaries.js", "detail.js", "table.js", "copy.js")


@dataclass(eq=False)
class Panel:
    """A map with its texts, for the template."""

    name: str
    title: str
    caption: str
    low: str = ""
    high: str = ""
    label: str = ""
    legend: list[tuple[str, str]] = field(default_factory=list)
    keys: list[dict[str, Any]] = field(default_factory=list)
    choices: list[tuple[str, str]] = field(default_factory=list)


def page_html(content: PageContent, *, threads: int = 0, progress: Progress = silent) -> str:
    """One self-contained HTML file."""
    from jinja2 import Environment, StrictUndefined

    measured, about_measured = measured_patterns(content, progress=progress)
    simulated, about_simulated = simulated_patterns(content, threads=threads)
    notes = [*content.notes, *(text for text in (about_measured, about_simulated) if text)]
    progress("drawing the page", 0, 1)
    made = _Page(content, measured, simulated)
    if made.maps.frame.every > 1:
        every = made.maps.frame.every
        notes.append(f"Maps show every {every}th row and column; grains and boundaries were found on all of them.")
    page = made.document()
    script, elements = components(page, wrap_script=False)
    assets = files("nbedex.report.page") / "assets"
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(
        (assets / "page.html").read_text(encoding="utf-8")
    )
    html = template.render(
        content=content,
        style=(assets / "page.css").read_text(encoding="utf-8"),
        bokeh="\n".join(INLINE.js_raw[:1]),
        scripts="\n".join((assets / name).read_text(encoding="utf-8") for name in _SCRIPTS),
        drawing=script,
        elements=dict(zip((root.name for root in page), elements, strict=True)),
        facts=_embedded(made.facts()),
        orientation_panels=made.orientation,
        grain_panels=made.grains,
        current_panels=made.current,
        charts=made.charts,
        sweep=made.sweep,
        poles=made.poles,
        classes=class_styles(),
        tiles=tiles(content),
        notes=notes,
        methods=methods_text(content),
        parameters=json.dumps(json.loads(to_json(parameters(content))), indent=1, ensure_ascii=False),
        version=software()["nbedex"],
        has_boundaries=len(content.network.boundaries) > 0,
        field=content.blockade.field.get("direction_deg", 0.0),
    )
    progress("drawing the page", 1, 1)
    return html


def _embedded(value: Any) -> str:
    """JSON that can stand in a script element."""
    text = json.dumps(json.loads(to_json(value)), ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


class _Page:
    """Figures and arrays of a page while it is made."""

    def __init__(self, content: PageContent, measured: Measured | None, simulated: Simulated | None) -> None:
        self.content, self.measured, self.simulated = content, measured, simulated
        self.maps = Maps(Frame.of(content.grain_map))
        self.crystals = [MapCrystal(phase) for phase in content.grain_map.source.phases]
        self.lines = ColumnDataSource({name: [] for name in ("xs", "ys", "colour", "dash", "width", "unsure")})
        self.field_line = ColumnDataSource({"x": [], "y": []})
        self.marker = Span(dimension="height", line_width=1.6, tags=[INK])
        self.renderers: dict[str, Any] = {}
        self.numbers: list[Numbers] = []
        self.phase_codes = np.where(
            self._shown(kept_pixels(content)), self._shown(content.grain_map.source.phase_id) + 1, 0
        ).astype(np.uint8)
        self.ipf = ipf_images(content, self.maps.frame, self.crystals)
        self.orientation = [*self._orientation_panels()]
        self.grains = [*self._grain_panels()]
        if len(content.network.boundaries):
            self._network()
        self.current = [*self._current_panels()]
        self.charts = charts_of.distributions(content)
        self.sweep = charts_of.sweep_chart(content, self.marker)
        self.poles = charts_of.pole_figures(content, self.field_line)
        self.maps.mark_selection()

    def _shown(self, values: NDArray[Any]) -> NDArray[Any]:
        return self.maps.frame.shown(values)

    def document(self) -> list[Any]:
        """All figures as roots of one document that starts the page's code when it is drawn."""
        charts = [*self.charts, *self.poles, *([] if self.sweep is None else [self.sweep])]
        roots = [*self.maps.figures.values(), *(chart.figure for chart in charts)]
        document = Document()
        for root in roots:
            document.add_root(root)
        models = {
            "arrays": ColumnDataSource({name: [array] for name, array in self.arrays().items()}),
            "figures": list(self.maps.figures.values()),
            "others": [chart.figure for chart in charts],
            "xRange": self.maps.x_range,
            "yRange": self.maps.y_range,
            "lines": self.lines,
            "selected": self.maps.selected,
            "fieldLine": self.field_line,
            "marker": self.marker,
            "renderers": self.renderers,
        }
        document.js_on_event("document_ready", start_script(models))
        return roots

    def _orientation_panels(self) -> Iterator[Panel]:
        made = self.maps.add("ipf")
        for axis, image in self.ipf.items():
            self.renderers[f"ipf-{axis}"] = made.image_rgba([image], **self.maps.place())
            self.renderers[f"ipf-{axis}"].visible = axis == "z"
        used = [c for n, c in enumerate(self.crystals) if bool((self.phase_codes == n + 1).any())]
        hidden = "" if self.content.result is None else ", or a probability below 0.5"
        yield Panel(
            "ipf", "Orientation (IPF)",
            "Which crystal direction points along the sample direction chosen, in the colours of the key."
            f" Black: not indexed{hidden}.",
            keys=[key_svg(crystal) for crystal in used],
            choices=[("z", "Z, the beam"), ("x", "X, right"), ("y", "Y, down")],
        )  # fmt: skip
        made = self.maps.add("phase")
        phases = self.content.grain_map.source.phases
        self.maps.add_codes(made, self.phase_codes, ["#000000", *(phase.colour for phase in phases)])
        shares = [(phase.colour, f"{phase.name}  {np.mean(self.phase_codes == n + 1):.1%}")
                  for n, phase in enumerate(phases)]  # fmt: skip
        dark = f"not shown  {np.mean(self.phase_codes == 0):.1%}"
        yield Panel("phase", "Phase", "The phase of the best match, with its share of the pixels.",
                    legend=[*shares, ("#000000", dark)])  # fmt: skip
        for numbers in number_maps(self.content, self.maps.frame):
            self.maps.add_numbers(numbers)
            self.numbers.append(numbers)
            yield _number_panel(numbers)

    def _grain_panels(self) -> Iterator[Panel]:
        from matplotlib.colors import to_hex

        grain_map = self.content.grain_map
        self.grain_codes = self._shown(grain_map.grain_id).astype(np.uint32)
        colours = [to_hex(colour) for colour in fills(grain_map)]
        made = self.maps.add("grains")
        self.maps.add_codes(made, self.grain_codes, colours)
        outlines(made, self.lines)
        self.labels = ColumnDataSource({"x": [], "y": [], "text": []})
        made.text("x", "y", "text", source=self.labels, text_align="center", text_baseline="middle",
                  text_font_size="11px", text_color="#000000")  # fmt: skip
        self.renderers["labels"] = self.labels
        yield Panel("grains", "Grains", "Grains with their numbers; more numbers appear as one zooms in.")
        alpha = grain_map.grains.inclination_deg[grain_map.grain_id]
        if not np.isfinite(alpha).any():
            return
        numbers = Numbers.of(
            self._shown(alpha), np.isfinite(self._shown(alpha)), span=(0.0, 90.0), shown=(0.0, 90.0), key="planes",
            title="Conduction planes", label="inclination α / °",
            caption="Inclination α of the conduction planes to the surface as colour; lines: their traces on the"
            " surface (an axis, not a vector), the longer the steeper the planes; dots: planes in the surface."
            " Black: no conduction planes.",
        )  # fmt: skip
        made = self.maps.add_numbers(numbers)
        outlines(made, self.lines, width=0.6, alpha=0.6)
        self._traces(made, "#000000", 3.6)
        self._traces(made, "#ffffff", 1.8)
        self.numbers.append(numbers)
        yield _number_panel(numbers)

    def _traces(self, made: Any, colour: str, width: float, *, alpha: float = 1.0, tag: str = "") -> list[Any]:
        lines = trace_lines(self.content.grain_map)
        bars = made.multi_line(lines["xs"], lines["ys"], line_color=colour, line_width=width, line_alpha=alpha,
                               line_cap="round", tags=[tag])  # fmt: skip
        dots = made.scatter(lines["flat_x"], lines["flat_y"], size=2 + width, color=colour, alpha=alpha, tags=[tag])
        return [bars, dots]

    def _network(self) -> None:
        """The boundary network over backgrounds of which one is seen."""
        from matplotlib.colors import to_hex

        grain_map = self.content.grain_map
        made = self.maps.add("network")
        phases = ["#000000", *(phase.colour for phase in grain_map.source.phases)]
        backgrounds = {
            "grains": self.maps.add_codes(made, self.grain_codes, [to_hex(c) for c in fills(grain_map)], alpha=0.4),
            "phase": self.maps.add_codes(made, self.phase_codes, phases, alpha=0.35),
            "ipf": made.image_rgba([self.ipf["z"]], **self.maps.place(), global_alpha=0.45),
        }
        for name, renderer in backgrounds.items():
            renderer.visible = name == "grains"
            self.renderers[f"background-{name}"] = renderer
        self.renderers["network-traces"] = self._traces(made, "#777777", 1.6, alpha=0.9)
        ends = {"line_cap": "butt", "line_join": "round"}
        self.renderers["casing"] = made.multi_line("xs", "ys", source=self.lines, line_width=5.5, line_alpha=0.7,
                                                   tags=["paper"], line_cap="round")  # fmt: skip
        made.multi_line(
            "xs", "ys", source=self.lines, line_color="colour", line_dash="dash", line_width="width", **ends
        )
        made.multi_line("xs", "ys", source=self.lines, line_alpha="unsure", line_width=1.2, line_dash=[1, 5],
                        tags=[INK])  # fmt: skip

    def _current_panels(self) -> Iterator[Panel]:
        current = self.content.current
        if current is None:
            return
        magnitudes = (
            ("density", "Current density", "|J| / A m⁻²", current.density,
             "Magnitude of the direct current, logarithmic; lines: lines of current, the same current between any two"
             " neighbours. Black: no current."),
            ("field", "Electric field", "|E| / V m⁻¹", current.field,
             "Magnitude of the local field, logarithmic. Black: no field, or none known."),
        )  # fmt: skip
        every = max(1, int(np.ceil(np.sqrt(current.potential.size / (512 * 512)))))
        for key, title, label, vectors, caption in magnitudes:
            size = np.hypot(vectors[..., 0], vectors[..., 1])[::every, ::every]
            numbers = current_numbers(size, key=key, title=title, label=label, caption=caption)
            made = self.maps.add_numbers(numbers, current.extent)
            if key == "density" and current.lines:
                made.multi_line([line[:, 0] for line in current.lines], [line[:, 1] for line in current.lines],
                                line_color="#ffffff", line_width=0.9, line_alpha=0.75)  # fmt: skip
            outlines(made, self.lines, width=0.6, alpha=0.7)
            self.numbers.append(numbers)
            yield _number_panel(numbers)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything that the page looks up, by name."""
        content, d = self.content, self.content.directions
        pixel = min(content.grain_map.source.step) * self.maps.frame.every
        points, offset = stretch_points(content.blockade, pixel)
        found: dict[str, NDArray[Any]] = {
            "grain": self.grain_codes,
            "phase": self._shown(content.grain_map.source.phase_id + 1).astype(np.uint8),
            "euler": euler_codes(content, self.maps.frame),
            "points": points,
            "offset": offset,
            "segment": content.blockade.stretches.segment.astype(np.int32),
            "stretch_length": content.blockade.stretches.length.astype(np.float32),
            "stretch_class": d.code.view(np.uint8),
            "stretch_traces": d.code_traces.view(np.uint8),
            "stretch_unsure": d.undecided.view(np.uint8),
            "stretch_vector": content.blockade.along.vector[:, :2].astype(np.float32),
            "segment_class": d.segment_code.view(np.uint8),
            "segment_traces": d.segment_code_traces.view(np.uint8),
            "segment_vector": content.blockade.segments.vector[:, :2].astype(np.float32),
            "probability": _percent(d.probability),
            "blocks": _percent(d.blocks_probability),
            "sigma": np.rint(200 * np.clip(np.nan_to_num(d.accumulation_sigma), 0, 1)).astype(np.uint8),
        }
        found |= {f"numbers_{numbers.key}": numbers.codes for numbers in self.numbers}
        if self.measured is not None:
            found |= {"pattern_grain": self.measured.grain.astype(np.int32), "pattern_image": self.measured.image,
                      "pattern_pixels": self.measured.pixels.astype(np.int32)}  # fmt: skip
        if self.simulated is not None:
            found |= {f"spot_{name}": value for name, value in vars(self.simulated).items()}
        return {name: np.zeros(1, np.uint8) if array.size == 0 else array for name, array in found.items()}

    def facts(self) -> dict[str, Any]:
        """Plain values for the page's code."""
        content, frame = self.content, self.maps.frame
        current = content.current
        return {
            "unit": frame.unit,
            "shape": frame.shape,
            "every": frame.every,
            "extent": frame.extent,
            "view": frame.view,
            "phases": [{"name": phase.name, "colour": phase.colour} for phase in content.grain_map.source.phases],
            "numbers": {
                n.key: {"low": n.low, "high": n.high, "label": n.label, "title": n.title, "log": n.logarithmic,
                        "shape": n.codes.shape, "extent": current.extent if n.logarithmic and current else frame.extent}
                for n in self.numbers
            },
            "classes": class_styles(),
            "grains": grain_facts(content),
            "boundaries": boundary_facts(content),
            "n_boundaries": len(content.network.boundaries),
            "n_stretches": len(content.blockade.stretches),
            "blocks_at": content.blockade.settings.blocks_at,
            "every_deg": content.directions.every_deg,
            "field": content.blockade.field.get("direction_deg", 0.0),
            "patterns": None if self.measured is None else {"size": self.measured.image.shape[1],
                                                            "pixel": self.measured.pixel_size},
            "file": content.title,
        }  # fmt: skip


def _percent(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Whole percent; 255 where there is no number."""
    return np.where(np.isfinite(values), np.rint(100 * np.nan_to_num(values)), 255).astype(np.uint8)


def _number_panel(numbers: Numbers) -> Panel:
    low, high = (f"{10**v:.2g}" if numbers.logarithmic else f"{v:g}" for v in numbers.shown)
    return Panel(numbers.key, numbers.title, numbers.caption, low=low, high=high, label=numbers.label)
