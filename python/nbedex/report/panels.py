"""The parts of a figure: one map with its scale bar, legends, colour bars and colour keys.

Matplotlib's objects only, never pyplot: no global state, so figures can be made in threads and notebooks.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nbedex.maps.result import IndexingResult, Status
from nbedex.maps.thinned import Counts
from nbedex.report.ipf import ColourKey, colour_key, ipf_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nbedex.phases import Phase

BLACK = (0.0, 0.0, 0.0)
FONT = 7.0  # points; what is small has one less, titles have one more
_BAR_DROP = 9.0  # points from the map down to its scale bar
_LEAST_BAR = 0.9  # inches, height of a colour bar beside a map that is flatter than that
_LEAST_WIDTH = 0.7  # of a map
_TALLEST = 1.6  # of a map, in widths; taller ones become narrower
_TITLE, _BELOW = 0.35, 0.3  # above and below a map
_CHARACTER = 0.53  # mean width of a character in font sizes
# status in colours that colour-blind readers tell apart (after Okabe and Ito), OK white
STATUS_COLOURS = {
    Status.OK: "#FFFFFF",
    Status.BLANK: "#000000",
    Status.SATURATED: "#E69F00",
    Status.NON_FINITE: "#D55E00",
    Status.LOW_SIGNAL: "#56B4E9",
    Status.NO_MATCH: "#0072B2",
    Status.UNREADABLE: "#CC79A7",
    Status.NOT_DONE: "#BBBBBB",
    Status.NO_SPOTS: "#009E73",
}
STATUS_LABELS = {
    Status.OK: "indexed",
    Status.BLANK: "blank",
    Status.SATURATED: "saturated",
    Status.NON_FINITE: "not finite",
    Status.LOW_SIGNAL: "low signal",
    Status.NO_MATCH: "no phase fits",
    Status.UNREADABLE: "unreadable",
    Status.NOT_DONE: "not done",
    Status.NO_SPOTS: "no spots",
}


class Scaled(Protocol):
    """What a scale bar needs of a map."""

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top of the map in `unit`; rows run down."""

    @property
    def unit(self) -> str:
        """Unit of `extent`."""


@dataclass(frozen=True, kw_only=True)
class MapScale:
    """No more than a scale bar needs: left, right, bottom, top of a map in a unit."""

    extent: tuple[float, float, float, float]
    unit: str


class Canvas(Scaled, Protocol):
    """What a panel needs of a map: which pixels are shown, and where it lies on paper."""

    @property
    def keep(self) -> NDArray[np.bool_]:
        """(ny, nx), True where shown."""

    @property
    def aspect(self) -> float:
        """Height over width of the map."""


@dataclass(frozen=True, kw_only=True)
class View:
    """A result as it is drawn: which pixels are shown, and their size on paper."""

    result: IndexingResult
    keep: NDArray[np.bool_]
    limits: str  # of what is shown, in words
    scale: tuple[float, float] = (1.0, 1.0)  # pixels of the map in one of the result: rows, columns
    whole: Counts | None = None  # of the map, where the result has fewer pixels than the map

    @property
    def counts(self) -> Counts:
        """Pixels of the whole map."""
        return self.whole or Counts.of(self.result, self.keep)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top of the map in `unit`; rows run down."""
        ny, nx = self.result.shape
        dy, dx = self.result.calibration.step or (1.0, 1.0)
        return 0.0, nx * self.scale[1] * dx, ny * self.scale[0] * dy, 0.0

    @property
    def unit(self) -> str:
        """Unit of `extent`."""
        return "nm" if self.result.calibration.step else "px"

    @property
    def aspect(self) -> float:
        """Height over width of the map."""
        _, width, height, _ = self.extent
        return height / width


def ipf_image(view: View, axis: str) -> NDArray[np.float64]:
    """RGB (ny, nx, 3) of the crystal direction along a sample axis; black where not shown."""
    image = np.zeros((*view.result.shape, 3))
    for number, phase in enumerate(view.result.phases):
        mine = view.keep & (view.result.phase_id == number)
        if mine.any():
            image[mine] = ipf_colours(view.result.orientation[mine], phase, axis)
    return image


def phase_image(view: View) -> NDArray[np.float64]:
    """RGB (ny, nx, 3) of the phases' own colours; black where not shown."""
    from matplotlib.colors import to_rgb

    table = np.array([BLACK, *(to_rgb(phase.colour) for phase in view.result.phases)])
    return np.asarray(table[np.where(view.keep, view.result.phase_id + 1, 0)])


def draw_rgb(axes: Axes, view: Canvas, image: NDArray[np.float64], title: str) -> None:
    """A map that is its own colour."""
    axes.imshow((255 * image).astype(np.uint8), extent=view.extent, interpolation="nearest")
    frame(axes, view, title)


def draw_values(axes: Axes, view: Canvas, values: NDArray[Any], title: str, label: str, limits: Any) -> None:
    """A map of numbers with a colour bar; black where not shown, grey where there is no number."""
    import matplotlib

    shown = np.ma.masked_invalid(np.where(view.keep, values, np.nan))
    colours = matplotlib.colormaps["viridis"].with_extremes(bad=(0, 0, 0, 0))
    backdrop = np.where(view.keep & np.isnan(values), np.uint8(153), np.uint8(0))[..., None].repeat(3, axis=2)
    axes.imshow(backdrop, extent=view.extent, interpolation="nearest")
    low, high = limits
    picture = axes.imshow(shown, extent=view.extent, interpolation="nearest", cmap=colours, vmin=low, vmax=high)
    frame(axes, view, title)
    known = shown.compressed()
    beyond = (bool(known.size) and known.min() < low, bool(known.size) and known.max() > high)
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[beyond]
    figure: Any = axes.figure
    box, size = axes.get_position(), figure.get_size_inches()
    width, height = box.width * size[0], box.height * size[1]
    tall = max(1.0, _LEAST_BAR / height)
    inset = axes.inset_axes((1 + 0.08 / width, 1 - tall, 0.12 / width, tall))
    bar = figure.colorbar(picture, cax=inset, extend=extend)
    bar.set_label(label, fontsize=FONT)
    bar.ax.tick_params(labelsize=FONT - 1)
    bar.outline.set_linewidth(0.5)


def limits_of(values: NDArray[Any], *, low: float, high: float) -> tuple[float, float]:
    """Round limits that hold nearly all of the values, within [low, high]."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return low, high
    first, last = np.percentile(known, (1, 99))
    step = (high - low) / 20
    first = max(low, np.floor(first / step) * step)
    last = min(high, np.ceil(last / step) * step)
    return float(first), float(max(last, first + step))


def draw_status(axes: Axes, view: View, title: str, *, separator: str = "  ") -> None:
    """Why pixels are black elsewhere: the status in colours, with those under the cut-offs in grey.

    `separator` stands between names and numbers.
    """
    from matplotlib.colors import to_rgb

    table = np.array([to_rgb(STATUS_COLOURS[status]) for status in Status])
    image = table[view.result.status]
    cut = view.result.indexed & ~view.keep
    image[cut] = _CUT_OFF
    axes.imshow(image, extent=view.extent, interpolation="nearest")
    frame(axes, view, title)
    counts = view.counts
    entries: list[tuple[Any, str]] = []
    for status in Status:
        count = int(counts.status[status]) - (counts.cut if status is Status.OK else 0)
        if count:
            share = _percent(count, counts.pixels)
            entries.append((STATUS_COLOURS[status], f"{STATUS_LABELS[status]}{separator}{share}"))
    if counts.cut:
        entries.append((_CUT_OFF, f"under cut-offs{separator}{_percent(counts.cut, counts.pixels)}"))
    legend(axes, entries)


_CUT_OFF = (0.45, 0.45, 0.45)


def draw_phases(axes: Axes, view: View, title: str, *, separator: str = "  ") -> None:
    """Phase map with a legend of names and shares of the map's area, the separator between them."""
    draw_rgb(axes, view, phase_image(view), title)
    counts = view.counts
    entries: list[tuple[Any, str]] = []
    for phase, count in zip(view.result.phases, counts.shown, strict=True):
        entries.append((phase.colour, f"{short(phase.name)}{separator}{_percent(int(count), counts.pixels)}"))
    hidden = counts.pixels - int(counts.shown.sum())
    if hidden:
        entries.append((BLACK, f"not shown{separator}{_percent(hidden, counts.pixels)}"))
    legend(axes, entries)


def legend(axes: Axes, entries: list[tuple[Any, str]]) -> None:
    """Coloured squares with text, to the right of a map; small where a text has several lines."""
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=colour, edgecolor="0.3", linewidth=0.5, label=_safe(text)) for colour, text in entries]
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.8,
        frameon=False,
        fontsize=FONT - 1 if any("\n" in text for _, text in entries) else FONT,
        handlelength=1.0,
        handleheight=1.0,
        labelspacing=0.5,
    )


def map_figure(view: Canvas, width: float, *, side: float) -> tuple[Figure, Axes]:
    """A figure `width` inches wide with axes for a map, and `side` inches beside it for what explains it."""
    from matplotlib.figure import Figure

    across = max(width - side, _LEAST_WIDTH)
    high = min(across * view.aspect, _TALLEST * across)
    size = (across + side, _BELOW + high + _TITLE)
    figure = Figure(figsize=size)
    axes = figure.add_axes((0.0, _BELOW / size[1], high / view.aspect / size[0], high / size[1]))
    return figure, axes


def wrapped(text: str, width: float, font: float) -> str:
    """Text in lines that are about `width` inches long at most."""
    return "\n".join(textwrap.wrap(text, max(int(72 * width / (_CHARACTER * font)), 12)))


def set_title(axes: Axes, title: str, *, pad: float = 4.0) -> None:
    """A title that starts with the axes and ends with the figure."""
    figure: Any = axes.figure
    room = (1.0 - axes.get_position().x0) * figure.get_size_inches()[0]
    axes.set_title(wrapped(title, room, FONT + 1), fontsize=FONT + 1, loc="left", pad=pad)


def frame(axes: Axes, view: Canvas, title: str) -> None:
    """Title above, scale bar below, no ticks."""
    if title:
        set_title(axes, title)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_linewidth(0.5)
    scale_bar(axes, view)


def scale_bar(axes: Axes, view: Scaled) -> None:
    """A bar of 1, 2 or 5 times a power of ten, about a quarter of the map, under its left corner."""
    from matplotlib.transforms import ScaledTranslation

    length = nice_length((view.extent[1] - view.extent[0]) / 4)
    start = view.extent[0]
    # along x in the map's units, below the map by a fixed distance on paper
    drop = ScaledTranslation(0, -_BAR_DROP / 72, axes.figure.dpi_scale_trans)
    under = axes.get_xaxis_transform() + drop
    axes.plot(
        [start, start + length], [0.0, 0.0], transform=under, color="black", linewidth=2.5, clip_on=False,
        solid_capstyle="butt",
    )  # fmt: skip
    axes.annotate(
        length_text(length, view.unit), (start + length, 0.0), xycoords=under, xytext=(4, 0),
        textcoords="offset points", fontsize=FONT, va="center", ha="left",
    )  # fmt: skip
    axes.set_xlim(view.extent[0], view.extent[1])


def nice_length(longest: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `longest`."""
    power = 10.0 ** np.floor(np.log10(longest))
    return float(next(f * power for f in (5.0, 2.0, 1.0) if f * power <= longest * (1 + 1e-9)))


def length_text(length: float, unit: str) -> str:
    """A length with its unit; from 1000 nm on in micrometres."""
    if unit == "nm" and length >= 1000:
        return f"{length / 1000:g} µm"
    return f"{length:g} {unit}"


def draw_key(axes: Axes, phase: Phase) -> None:
    """Colour key of a phase with its corners as lattice directions."""
    key: ColourKey = colour_key(phase)
    left, right, bottom, top = key.extent
    axes.imshow(key.image, extent=key.extent, origin="upper", interpolation="bilinear")
    axes.plot(*key.outline.T, color="black", linewidth=0.8)
    margin = 0.25 * max(right - left, top - bottom)
    axes.set_xlim(left - margin, right + margin)
    axes.set_ylim(bottom - margin, top + margin)
    axes.set_aspect("equal")
    axes.axis("off")
    middle = np.array([(left + right) / 2, (bottom + top) / 2])
    for position, indices in key.corners:
        away = np.array(position) - middle
        away = away / (np.linalg.norm(away) or 1.0)
        x, y = np.array(position) + 0.04 * margin * away
        axes.text(
            x, y, miller_text(indices), fontsize=FONT - 1,
            ha="left" if away[0] > 0.3 else "right" if away[0] < -0.3 else "center",
            va="bottom" if away[1] > 0.2 else "top" if away[1] < -0.2 else "center",
        )  # fmt: skip
    axes.set_title(_safe(f"{short(phase.name)}, {phase.laue_class}"), fontsize=FONT, pad=2)


def miller_text(indices: tuple[int, int, int]) -> str:
    """Direction indices with bars over the negative ones, as Matplotlib's math text."""
    return "$[" + r"\,".join(rf"\bar{{{-i}}}" if i < 0 else str(i) for i in indices) + "]$"


def _percent(count: int, total: int) -> str:
    share = 100 * count / total
    return f"{share:.1f} %" if share >= 0.1 or count == 0 else "< 0.1 %"


def short(name: str, *, longest: int = 18) -> str:
    """A name that fits beside a map: one line, cut where it is too long."""
    line = " ".join(name.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _safe(text: str) -> str:
    """Text that Matplotlib takes literally: a pair of dollar signs would start math."""
    return text.replace("$", r"\$")
