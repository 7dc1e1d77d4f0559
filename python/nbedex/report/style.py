"""Size, resolution and formats of figures, and how a figure becomes files: one place for all of them.

A figure is made by a function of its width in inches. Fonts and lines keep their size in points whatever the width is,
so that nothing is scaled afterwards; what stands beside a map takes its room from the map.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbedex.errors import ArgumentError
from nbedex.files import check_output, write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
WIDTHS_MM = {"single": 85.0, "double": 178.0}  # columns of most journals
MM = 1 / 25.4  # inches
WIDTH = WIDTHS_MM["double"] * MM  # inches, where nothing else is asked for
TWO_COLUMNS = 4.5  # inches from which on two panels stand side by side

_LEAST_MM, _MOST_MM = 60.0, 500.0
_PAD = 0.04  # inches around everything drawn
_FITS = 0.005  # inches
_TRIES = 5
# Text stays text, and the same figure gives the same bytes.
_RC: dict[Any, Any] = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "nbedex"}
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": "nbedex"},
    "svg": {"Creator": "nbedex", "Date": None},
    "pdf": {"Creator": "nbedex", "Producer": "nbedex", "CreationDate": None},
}

Draw = Callable[[float], "Figure"]


@dataclass(frozen=True, kw_only=True)
class FigureStyle:
    """How figures are written.

    Attributes
    ----------
    formats
        Of `FORMATS`, at least one.
    width_mm
        Width of the finished figure, 60 to 500 mm.
    dpi
        Pixels per inch of PNG, and of what is rasterised in the others; 50 to 1200.
    """

    formats: tuple[str, ...] = ("png",)
    width_mm: float = WIDTHS_MM["double"]
    dpi: int = 200

    def __post_init__(self) -> None:
        if not self.formats or any(name not in FORMATS for name in self.formats):
            raise ArgumentError(
                f"expected formats out of {', '.join(FORMATS)}, got {', '.join(map(str, self.formats)) or 'none'}"
            )
        if not _LEAST_MM <= self.width_mm <= _MOST_MM:
            raise ArgumentError(
                f"expected a width of {_LEAST_MM:g} to {_MOST_MM:g} mm, single (85 mm) or double (178 mm),"
                f" got {self.width_mm!r}"
            )
        if not 50 <= self.dpi <= 1200:
            raise ArgumentError(f"dpi must lie between 50 and 1200, got {self.dpi!r}")

    @classmethod
    def of(
        cls,
        *,
        formats: str | Sequence[str] | None = None,
        width: str | float | None = None,
        dpi: int | None = None,
    ) -> FigureStyle:
        """From what users say.

        Parameters
        ----------
        formats
            "png", "svg,pdf", or a list of such; None: PNG.
        width
            "single", "double" or millimetres; None: double.
        dpi
            None: 200.
        """
        parts = [formats] if isinstance(formats, str) else list(formats or ("png",))
        names = [name.strip().lower() for part in parts for name in str(part).split(",")]
        if isinstance(width, str) and width not in WIDTHS_MM:
            try:
                width = float(width)
            except ValueError:
                raise ArgumentError(f"expected single, double or millimetres as the width, got {width!r}") from None
        width_mm = WIDTHS_MM[width or "double"] if width is None or isinstance(width, str) else float(width)
        return cls(formats=tuple(dict.fromkeys(names)), width_mm=width_mm, dpi=200 if dpi is None else dpi)

    @classmethod
    def for_file(
        cls,
        path: str | os.PathLike[str],
        *,
        formats: str | Sequence[str] | None = None,
        width: str | float | None = None,
        dpi: int | None = None,
    ) -> FigureStyle:
        """The same for a single file, whose ending says the format where none is asked for."""
        ending = Path(path).suffix.lower().removeprefix(".")
        if ending not in FORMATS:
            raise ArgumentError(
                f"figures are written as PNG, SVG or PDF: give a name that ends in .png, .svg or .pdf, got {path}"
            )
        return cls.of(formats=formats or ending, width=width, dpi=dpi)

    @property
    def width(self) -> float:
        """Inches."""
        return self.width_mm * MM

    def files(self, path: str | os.PathLike[str]) -> list[Path]:
        """The file of each format for a name with or without its ending."""
        target = Path(path)
        if target.suffix.lower().removeprefix(".") in FORMATS:
            target = target.with_suffix("")
        return [target.with_name(f"{target.name}.{name}") for name in self.formats]


def check_figure(path: str | os.PathLike[str], style: FigureStyle, *, overwrite: bool = False) -> list[Path]:
    """The files of a figure, after seeing that they can be written."""
    files = style.files(path)
    for file in files:
        check_output(file, overwrite=overwrite)
    return files


def write_figure(
    path: str | os.PathLike[str], draw: Draw, style: FigureStyle, *, overwrite: bool = False
) -> list[Path]:
    """Draw a figure and write it in all formats of the style.

    Raises
    ------
    OutputError
        If a file exists and `overwrite` is not given, or it can't be written; checked before anything is drawn.
    """
    files = check_figure(path, style, overwrite=overwrite)
    rendered = render(draw, style)
    return [write_atomically(file, [data], overwrite=overwrite) for file, data in zip(files, rendered, strict=True)]


def render(draw: Draw, style: FigureStyle) -> list[bytes]:
    """A figure as the bytes of each format, exactly as wide as the style says."""
    from matplotlib import rc_context
    from matplotlib.transforms import Bbox

    figure, box = _fitted(draw, style)
    wide = max(style.width, box.width + 2 * _PAD)
    page = Bbox.from_bounds(box.x0 - _PAD, box.y0 - _PAD, wide, box.height + 2 * _PAD)
    rendered = []
    with rc_context(_RC):
        for name in style.formats:
            stream = io.BytesIO()
            figure.savefig(
                stream, format=name, dpi=style.dpi, facecolor="white", bbox_inches=page, metadata=_METADATA[name]
            )
            rendered.append(stream.getvalue())
    return rendered


def _fitted(draw: Draw, style: FigureStyle) -> tuple[Figure, Any]:
    """The figure and the box in inches that holds all of it: drawn narrower until labels and legends fit, too."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    width = style.width
    for attempt in range(_TRIES):
        figure = draw(width)
        FigureCanvasAgg(figure)
        figure.set_dpi(style.dpi)
        figure.draw_without_rendering()
        box = figure.get_tightbbox()
        excess = box.width + 2 * _PAD - style.width
        if excess <= _FITS or attempt == _TRIES - 1 or width - excess < 0.3 * style.width:
            break
        width -= excess
    figure.set_layout_engine("none")
    return figure, box
