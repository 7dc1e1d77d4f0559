"""The whole page: figures, arrays and texts put into the template."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

from bokeh.document import Document
from bokeh.embed import components
from bokeh.models import ColumnDataSource, Span
from bokeh.resources import INLINE
from jinja2 import Environment, StrictUndefined

from nbedex.maps import to_json
from nbedex.progress import Progress, silent
from nbedex.provenance import software
from nbedex.report.page import charts
from nbedex.report.page.content import PageContent
from nbedex.report.page.facts import tiles
from nbedex.report.page.figures import INK, start_script
from nbedex.report.page.methods import methods_text, parameters
from nbedex.report.page.panels import Panels
from nbedex.report.page.patterns import measured_patterns, simulated_patterns
from nbedex.report.page.payload import arrays_of, facts_of

_RANDOM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SCRIPTS = ("state.js", "theme.js", "maps.js", "boundaries.js", "detail.js", "table.js", "copy.js", "print.js")


def page_html(content: PageContent, *, threads: int = 0, progress: Progress = silent) -> str:
    """One self-contained HTML file.

    Parameters
    ----------
    content
        What to show.
    threads
        For the simulation of patterns; 0: all available.
    progress
        Called as patterns are read and the page is put together.
    """
    measured, about_measured = measured_patterns(content, progress=progress)
    simulated, about_simulated = simulated_patterns(content, threads=threads)
    progress("drawing the page", 0, 1)
    panels = Panels(content)
    field_line, marker = ColumnDataSource({"x": [], "y": []}), Span(dimension="height", line_width=1.6, tags=[INK])
    distributions, sweep = charts.distributions(content), charts.sweep_chart(content, marker)
    poles = charts.pole_figures(content, field_line)
    others = [chart.figure for chart in (*distributions, *poles, *([] if sweep is None else [sweep]))]
    models = {
        "arrays": ColumnDataSource(
            {name: [array] for name, array in arrays_of(content, panels, measured, simulated).items()}
        ),
        "figures": list(panels.maps.figures.values()),
        "others": others,
        "xRange": panels.maps.x_range,
        "yRange": panels.maps.y_range,
        "lines": panels.lines,
        "selected": panels.maps.selected,
        "fieldLine": field_line,
        "marker": marker,
        "renderers": panels.renderers,
    }
    script, elements = _drawn([*panels.maps.figures.values(), *others], models)
    notes = [*content.notes, about_measured, about_simulated, _about_size(panels)]
    html: str = _template().render(
        title=content.title,
        style=_asset("page.css"),
        bokeh=INLINE.js_raw[0],
        scripts="\n".join(_asset(name) for name in _SCRIPTS),
        drawing=script,
        elements=elements,
        facts=_embedded(facts_of(content, panels, measured)),
        panels=panels,
        charts=distributions,
        sweep=sweep,
        poles=poles,
        tiles=tiles(content),
        notes=[note for note in notes if note],
        methods=methods_text(content),
        parameters=json.dumps(json.loads(to_json(parameters(content))), indent=1, ensure_ascii=False),
        version=software()["nbedex"],
        has_boundaries=len(content.network.boundaries) > 0,
        field=content.blockade.field.get("direction_deg", 0.0),
    )
    progress("drawing the page", 1, 1)
    return html


def _drawn(roots: list[Any], models: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Bokeh's script for figures of one document, and the element of each by its name.

    When all is drawn it hands `models` to the page's own code.
    """
    document = Document()
    for root in roots:
        document.add_root(root)
    document.js_on_event("document_ready", start_script(models))
    script, elements = components(roots, wrap_script=False)
    # the same input gives the same bytes: Bokeh's random identifiers are numbered instead
    numbers: dict[str, str] = {}

    def numbered(text: str) -> str:
        return _RANDOM.sub(lambda found: numbers.setdefault(found.group(), f"bokeh-{len(numbers)}"), text)

    return numbered(script), {root.name: numbered(element) for root, element in zip(roots, elements, strict=True)}


def _about_size(panels: Panels) -> str:
    every = panels.maps.frame.every
    if every == 1:
        return ""
    return f"Maps show one row and one column of {every}; grains and boundaries were found on all of them."


def _asset(name: str) -> str:
    return (files("nbedex.report.page") / "assets" / name).read_text(encoding="utf-8")


def _template() -> Any:
    return Environment(autoescape=True, undefined=StrictUndefined).from_string(_asset("page.html"))


def _embedded(value: Any) -> str:
    """JSON that can stand in a script element."""
    text = json.dumps(json.loads(to_json(value)), ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
