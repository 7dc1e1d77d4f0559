"""The maps of a page: orientation, scores, grains, boundaries and current, with the texts that stand around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from nbedex.report.grains import fills
from nbedex.report.page.content import Frame, PageContent
from nbedex.report.page.crystals import MapCrystal, key_svg
from nbedex.report.page.figures import INK, MUTED, PAPER, Maps, outlines
from nbedex.report.page.lines import trace_lines
from nbedex.report.page.pixels import Numbers, current_numbers, ipf_images, kept_pixels, number_maps


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

    @classmethod
    def of(cls, numbers: Numbers) -> Panel:
        """Of a map of numbers, with its colour bar."""
        low, high = (_power_text(v) if numbers.logarithmic else _rounded_text(v, numbers.shown) for v in numbers.shown)
        return cls(numbers.key, numbers.title, numbers.caption, low=low, high=high, label=numbers.label)


class Panels:
    """All maps of a page.

    Attributes
    ----------
    maps
        The figures.
    orientation, grains, current
        Their texts, section by section; that of the boundary network is in the template.
    numbers
        Maps of numbers, which the page reads out.
    phase_codes, grain_codes
        (rows, columns): 0 not shown, else phase + 1; region.
    lines
        Points, colour and dash of every stretch of boundary; filled by the page's code.
    renderers
        What the page's code shows, hides and fills, by name.
    """

    def __init__(self, content: PageContent) -> None:
        self.content = content
        self.maps = Maps(Frame.of(content.grain_map))
        self.lines = ColumnDataSource({name: [] for name in ("xs", "ys", "colour", "dash", "width", "unsure")})
        self.renderers: dict[str, Any] = {}
        self.numbers: list[Numbers] = []
        phase_id = np.where(kept_pixels(content), content.grain_map.source.phase_id + 1, 0)
        self.phase_codes = self._shown(phase_id).astype(np.uint8)
        self.grain_codes = self._shown(content.grain_map.grain_id).astype(np.uint32)
        self._crystals = [MapCrystal(phase) for phase in content.grain_map.source.phases]
        self._ipf = ipf_images(content, self.maps.frame, self._crystals)
        self.orientation = [self._ipf_panel(), self._phase_panel(), *self._number_panels()]
        self.grains = [self._grain_panel(), *self._plane_panel()]
        if len(content.network.boundaries):
            self._network()
        self.current = [*self._current_panels()]
        for name, made in self.maps.figures.items():
            if name != "network":
                self.maps.mark_selection(made, (7.0, PAPER, 0.85), (4.0, INK, 0.85))

    def _shown(self, values: NDArray[Any]) -> NDArray[Any]:
        return self.maps.frame.shown(values)

    def _ipf_panel(self) -> Panel:
        made = self.maps.add("ipf")
        for axis, image in self._ipf.items():
            self.renderers[f"ipf-{axis}"] = made.image_rgba([image], **self.maps.place())
            self.renderers[f"ipf-{axis}"].visible = axis == "z"
        used = [crystal for n, crystal in enumerate(self._crystals) if bool((self.phase_codes == n + 1).any())]
        hidden = "" if self.content.result is None else ", or a probability below 0.5"
        return Panel(
            "ipf", "Orientation (IPF)",
            "Which crystal direction points along the sample direction chosen, in the colours of the key."
            f" Black: not indexed{hidden}.",
            keys=[key_svg(crystal) for crystal in used],
            choices=[("z", "Z, the beam"), ("x", "X, right"), ("y", "Y, down")],
        )  # fmt: skip

    def _phase_panel(self) -> Panel:
        made = self.maps.add("phase")
        self.maps.add_codes(made, self.phase_codes, self._phase_colours())
        share = np.bincount(self.phase_codes.ravel(), minlength=len(self._crystals) + 1) / self.phase_codes.size
        names = ["not shown", *(crystal.name for crystal in self._crystals)]
        legend = [
            (colour, f"{name}  {part:.1%}")
            for colour, name, part in zip(self._phase_colours(), names, share, strict=True)
            if part > 0
        ]
        return Panel("phase", "Phase", "The phase of the best match, with its share of the pixels.",
                     legend=sorted(legend, key=lambda entry: entry[0] == "#000000"))  # fmt: skip

    def _phase_colours(self) -> list[str]:
        return ["#000000", *(crystal.phase.colour for crystal in self._crystals)]

    def _number_panels(self) -> Iterator[Panel]:
        for numbers in number_maps(self.content, self.maps.frame):
            yield self._add(numbers)[0]

    def _add(self, numbers: Numbers, extent: tuple[float, float, float, float] | None = None) -> tuple[Panel, Any]:
        self.numbers.append(numbers)
        return Panel.of(numbers), self.maps.add_numbers(numbers, extent)

    def _grain_panel(self) -> Panel:
        made = self.maps.add("grains")
        self.maps.add_codes(made, self.grain_codes, self._grain_colours())
        outlines(made, self.lines)
        labels = ColumnDataSource({"x": [], "y": [], "text": []})
        made.text("x", "y", "text", source=labels, text_align="center", text_baseline="middle",
                  text_font_size="11px", text_color="#000000")  # fmt: skip
        self.renderers["labels"] = labels
        return Panel("grains", "Grains", "Grains with their numbers; more numbers appear as one zooms in.")

    def _grain_colours(self) -> list[str]:
        return [to_hex(colour) for colour in fills(self.content.grain_map)]

    def _plane_panel(self) -> Iterator[Panel]:
        """Inclination and traces of conduction planes, where there are any."""
        alpha = self._shown(self.content.grain_map.grains.inclination_deg[self.content.grain_map.grain_id])
        if not np.isfinite(alpha).any():
            return
        panel, made = self._add(
            Numbers.of(
                alpha, np.isfinite(alpha), span=(0.0, 90.0), shown=(0.0, 90.0), key="planes",
                title="Conduction planes", name="inclination α", unit="°", label="inclination α / °",
                caption="Inclination α of the conduction planes to the surface as colour; lines: their traces on the"
                " surface (an axis, not a vector), the longer the steeper the planes; dots: planes in the surface."
                " Black: no conduction planes.",
            )
        )  # fmt: skip
        outlines(made, self.lines, width=0.6, alpha=0.6)
        self._traces(made, "#000000", 3.6)
        self._traces(made, "#ffffff", 1.8)
        yield panel

    def _traces(self, made: Any, colour: str, width: float, *tags: str) -> list[Any]:
        lines = trace_lines(self.content.grain_map)
        bars = made.multi_line(lines["xs"], lines["ys"], line_color=colour, line_width=width, line_cap="round",
                               tags=list(tags))  # fmt: skip
        dots = made.scatter(lines["flat_x"], lines["flat_y"], size=2 + width, color=colour, tags=list(tags))
        return [bars, dots]

    def _network(self) -> None:
        """The boundary network over backgrounds of which one is seen."""
        made = self.maps.add("network")
        backgrounds = {
            "grains": self.maps.add_codes(made, self.grain_codes, self._grain_colours(), alpha=0.4),
            "phase": self.maps.add_codes(made, self.phase_codes, self._phase_colours(), alpha=0.35),
            "ipf": made.image_rgba([self._ipf["z"]], **self.maps.place(), global_alpha=0.45),
        }
        for name, renderer in backgrounds.items():
            renderer.visible = name == "grains"
            self.renderers[f"background-{name}"] = renderer
        self.renderers["network-traces"] = self._traces(made, "#777777", 1.6, MUTED)
        self.maps.mark_selection(made, (15.0, INK, 0.9), (11.0, PAPER, 1.0))
        self.renderers["casing"] = made.multi_line("xs", "ys", source=self.lines, line_width=5.5, line_alpha=0.7,
                                                   line_cap="round", tags=[PAPER])  # fmt: skip
        made.multi_line("xs", "ys", source=self.lines, line_color="colour", line_dash="dash", line_width="width",
                        line_join="round")  # fmt: skip
        made.multi_line("xs", "ys", source=self.lines, line_alpha="unsure", line_width=1.2, line_dash=[1, 5],
                        tags=[INK])  # fmt: skip

    def _current_panels(self) -> Iterator[Panel]:
        current = self.content.current
        if current is None:
            return
        for key, title, label, unit, vectors, caption in (
            ("density", "Current density", "|J| / A m⁻²", " A/m²", current.density,
             "Magnitude of the direct current, logarithmic; lines: lines of current, the same current between any two"
             " neighbours. Black: no current."),
            ("field", "Electric field", "|E| / V m⁻¹", " V/m", current.field,
             "Magnitude of the local field, logarithmic. Black: no field, or none known."),
        ):  # fmt: skip
            size = current.shown(np.hypot(vectors[..., 0], vectors[..., 1]))
            texts = {
                "key": key,
                "title": title,
                "name": title.lower(),
                "label": label,
                "unit": unit,
                "caption": caption,
            }
            panel, made = self._add(current_numbers(size, **texts), current.shown_extent)
            if key == "density" and current.lines:
                made.multi_line([line[:, 0] for line in current.lines], [line[:, 1] for line in current.lines],
                                line_color="#ffffff", line_width=0.9, line_alpha=0.75)  # fmt: skip
            outlines(made, self.lines, width=0.6, alpha=0.7)
            yield panel
        potential = current.shown(current.potential)
        known = np.isfinite(potential)
        if known.any():
            span = (
                float(potential[known].min()),
                max(float(potential[known].max()), float(potential[known].min()) + 1e-9),
            )
            texts = {"key": "potential", "title": "Potential", "name": "potential", "label": "φ / V", "unit": " V",
                     "caption": "Electric potential. Black: nothing conducts, or no electrode reaches it."}  # fmt: skip
            panel, made = self._add(Numbers.of(potential, known, span=span, shown=span, **texts), current.shown_extent)
            outlines(made, self.lines, width=0.6, alpha=0.7)
            yield panel


def _power_text(logarithm: float) -> str:
    """A number as people write it, such as 1.4 · 10²."""
    power = int(np.floor(logarithm))
    return f"{10 ** (logarithm - power):.1f} · 10" + str(power).translate(_RAISED)


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _rounded_text(value: float, span: tuple[float, float]) -> str:
    """With as many digits as its span of colours makes sense of."""
    digits = max(0, 2 - int(np.floor(np.log10(max(span[1] - span[0], 1e-12)))))
    return f"{round(value, digits) + 0.0:g}".replace("-", "−")
