"""Maps as pictures: IPF with colour key, phase, index, reliability, status, and all of them at once."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbedex.errors import ArgumentError
from nbedex.files import make_folder
from nbedex.maps.bands import Bands, ResultReader, in_bands
from nbedex.maps.result import Cutoffs, IndexingResult, check_cutoffs
from nbedex.maps.thinned import thinned
from nbedex.progress import Progress, silent
from nbedex.report import panels
from nbedex.report.panels import View
from nbedex.report.style import WIDTH, FigureStyle, check_figure, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# With flat exponents a rival that is nearly as good is 1 percent behind, and unrelated patterns score 0.03 to 0.05
# (nbedex.indexing.noise); ASTAR's usual limits belong to its own scores.
DEFAULT_MIN_PROBABILITY = 0.5

MAPS = ("ipf-z", "ipf-x", "ipf-y", "phase", "index", "reliability", "phase-reliability", "probability", "status")
OVERVIEW = ("ipf-x", "ipf-y", "ipf-z", "phase", "index", "reliability", "probability", "status")
KINDS = (*MAPS, "overview", "all")

# inches
_KEY, _LEGEND, _BAR = 1.3, 1.35, 0.75  # beside a map: colour key, legend, colour bar
_LEAST_CELL = 1.6  # width of a column of the overview
_CELL_SIDE = 1.1  # beside its maps, and no more than half of the column
_LEAST_WIDTH = 0.7  # of the space for a map, so that its title fits
_LEAST_HEIGHT = 1.1  # of a row in the overview, so that legends and keys fit
_FINER = 1.25  # map pixels kept for one on paper: which of them is drawn depends on where the map lies on the page
_BELOW = 0.45  # under a map, for its scale bar and the footnote


def plot_maps(
    result: IndexingResult | ResultReader,
    path: str | os.PathLike[str],
    *,
    kind: str = "all",
    min_index: float | None = None,
    min_reliability: float | None = None,
    min_probability: float | None = None,
    formats: str | Sequence[str] | None = None,
    width: str | float | None = None,
    dpi: int | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> list[Path]:
    """Draw maps and write them as PNG, SVG or PDF.

    Of a map with more pixels than the picture, those nearest to the picture's are drawn; shares in legends are of all.

    Parameters
    ----------
    result
        What indexing found; of a `ResultReader` only the pixels drawn are in memory.
    path
        A file that ends in .png, .svg or .pdf, for one kind; or a folder (made if it does not exist), in which
        the files are called after their kind, "ipf-z.png" and so on.
    kind
        One of `KINDS`: the crystal direction along the sample's X, Y or Z (Z is the beam), the phase,
        numbers, the status, "overview" for most of them on one page, "all" for every file.
    min_index, min_reliability, min_probability
        Pixels under these are black in all maps but that of the status. None: a probability of 0.5, which 0
        switches off, and nothing for the others.
    formats, width, dpi
        See `FigureStyle.of`; the ending of a file's name says its format where none is asked for.
    overwrite
        Whether files that are already there may be replaced.
    progress
        Called with what is done.

    Returns
    -------
    paths
        The files written.

    Raises
    ------
    ArgumentError
        If the kind is not known, a limit, format, width or dpi is not possible, or "all" is to go to a single file.
    OutputError
        If a file exists and `overwrite` is not given, or it can't be written. With "all", files are
        checked before the first is drawn.
    DataFormatError
        If the result file is damaged.
    """
    kinds = _kinds(kind)
    single = _is_file(Path(path))
    make_style = partial(FigureStyle.for_file, path) if single else FigureStyle.of
    style = make_style(formats=formats, width=width, dpi=dpi)
    targets = _targets(Path(path), kinds, single=single)
    for target in targets.values():
        check_figure(target, style, overwrite=overwrite)
    cutoffs, limits = _cutoffs(min_index, min_reliability, min_probability)
    source = in_bands(result)
    source.check(progress)
    view = _fewer(source, style, cutoffs, limits, progress)
    written: list[Path] = []
    for number, (name, target) in enumerate(targets.items()):
        progress("drawing", number, len(targets))
        written += write_figure(target, partial(_figure, view, name), style, overwrite=overwrite)
    progress("drawing", len(targets), len(targets))
    return written


def _fewer(source: Bands, style: FigureStyle, cutoffs: Cutoffs, limits: str, progress: Progress) -> View:
    """The map in no more pixels than a picture of it, as wide as the figure, has."""
    dy, dx = source.calibration.step or (1.0, 1.0)
    width, height = _size_on_paper(source.shape[0] * dy / (source.shape[1] * dx), style.width)
    most = (math.ceil(_FINER * style.dpi * height), math.ceil(_FINER * style.dpi * width))
    few = thinned(source, most, cutoffs=cutoffs, progress=progress)
    keep = few.result.accepted(**cutoffs)
    return View(result=few.result, keep=keep, limits=limits, scale=few.scale, whole=few.counts)


def draw(
    result: IndexingResult,
    *,
    kind: str = "overview",
    min_index: float | None = None,
    min_reliability: float | None = None,
    min_probability: float | None = None,
    width: float = WIDTH,
) -> Figure:
    """Draw one kind of figure (not "all"), `width` inches wide; see `plot_maps`. It is not known to pyplot."""
    if kind not in (*MAPS, "overview"):
        raise ArgumentError(f"expected one of {', '.join((*MAPS, 'overview'))}, got {kind!r}")
    cutoffs, limits = _cutoffs(min_index, min_reliability, min_probability)
    result.validate()
    return _figure(View(result=result, keep=result.accepted(**cutoffs), limits=limits), kind, width)


def _figure(view: View, kind: str, width: float) -> Figure:
    return _overview(view, width) if kind == "overview" else _single(view, kind, width)


def _cutoffs(
    min_index: float | None, min_reliability: float | None, min_probability: float | None
) -> tuple[Cutoffs, str]:
    """What is shown, and what is not in words."""
    check_cutoffs(min_index, min_reliability, min_probability)
    least = DEFAULT_MIN_PROBABILITY if min_probability is None else min_probability
    limits = [f"probability < {least:g}"]
    if min_index is not None:
        limits.append(f"index < {min_index:g}")
    if min_reliability is not None:
        limits.append(f"reliability < {min_reliability:g} %")
    cutoffs = Cutoffs(min_index=min_index, min_reliability=min_reliability, min_probability=least)
    return cutoffs, ", ".join(limits)


def _kinds(kind: str) -> tuple[str, ...]:
    if kind not in KINDS:
        raise ArgumentError(f"expected one of {', '.join(KINDS)} as the kind of map, got {kind!r}")
    return KINDS[:-1] if kind == "all" else (kind,)


def _is_file(path: Path) -> bool:
    """Whether a path means a picture rather than a folder."""
    return path.suffix != "" and not path.is_dir()


def _targets(path: Path, kinds: tuple[str, ...], *, single: bool) -> dict[str, Path]:
    """The file of each kind; makes the folder if one is asked for."""
    if single and len(kinds) > 1:
        raise ArgumentError(f"'all' writes {len(kinds)} files: give a folder instead of {path}")
    if single:
        return {kinds[0]: path}
    make_folder(path)
    return {kind: path / kind for kind in kinds}


def _draw_panel(axes: Axes, view: View, kind: str, *, prefix: str = "", separator: str = "  ") -> None:
    """One map of `kind` into `axes`, with what stands beside it (keys of IPF maps apart)."""
    result = view.result
    if kind.startswith("ipf-"):
        axis = kind[-1]
        name = f"{prefix}IPF-{axis.upper()}{_DIRECTION[axis]}"
        panels.draw_rgb(axes, view, panels.ipf_image(view, axis), name)
    elif kind == "phase":
        panels.draw_phases(axes, view, f"{prefix}Phase", separator=separator)
    elif kind == "status":
        panels.draw_status(axes, view, f"{prefix}Status", separator=separator)
    else:
        title, label, values, low, high = _VALUES[kind](result)
        limits = panels.limits_of(values[view.keep], low=low, high=high)
        panels.draw_values(axes, view, values, f"{prefix}{title}", label, limits)


_DIRECTION = {"x": " (right)", "y": " (down)", "z": " (beam)"}
_VALUES: dict[str, Callable[[IndexingResult], tuple[str, str, Any, float, float]]] = {
    "index": lambda r: ("Index", "correlation", r.index, 0.0, 1.0),
    "reliability": lambda r: ("Reliability", "percent", r.reliability, 0.0, 100.0),
    "probability": lambda r: ("Probability", "of being right", r.probability, 0.0, 1.0),
    "phase-reliability": lambda r: ("Phase reliability", "percent", r.phase_reliability, 0.0, 100.0),
}


def _single(view: View, kind: str, width: float) -> Figure:
    """One map; keys of the phases that occur in it stand to the right of an IPF map."""
    from matplotlib.figure import Figure

    side = _KEY if kind.startswith("ipf-") else _LEGEND if kind in ("phase", "status") else _BAR
    across, height = _map_size(view, max(width - side, _LEAST_WIDTH))
    phases = _phases_shown(view) if kind.startswith("ipf-") else []
    key = min(1.3, max(0.95, (height + 0.3) / max(len(phases), 1)))
    below = max(_BELOW, len(phases) * key - height)
    figure = Figure(figsize=(max(across, _LEAST_WIDTH) + side, below + height + 0.35))
    axes = _add_axes(figure, 0.0, below, across, height)
    _draw_panel(axes, view, kind)
    for row, phase in enumerate(phases):
        bottom = below + height + 0.15 - (row + 1) * key
        left = max(across, _LEAST_WIDTH) + 0.1
        panels.draw_key(_add_axes(figure, left, bottom, side - 0.15, 0.82 * key), phase)
    _footnote(figure, view, kind=kind, y=below - _BELOW)
    return figure


def _overview(view: View, width: float) -> Figure:
    """The maps of `OVERVIEW` in rows of up to three, the colour keys in the last cell."""
    from matplotlib.figure import Figure

    columns = min(max(int(width / _LEAST_CELL), 1), 3)
    rows = -(-(len(OVERVIEW) + 1) // columns)
    cell_width = width / columns
    across, height = _map_size(view, cell_width - min(_CELL_SIDE, cell_width / 2))
    cell_height = max(height, _LEAST_HEIGHT) + 0.55
    figure = Figure(figsize=(width, rows * cell_height + _BELOW))

    def corner(number: int) -> tuple[float, float]:
        """Left end and top of a cell."""
        row, column = divmod(number, columns)
        return column * cell_width, _BELOW + (rows - row) * cell_height

    for number, kind in enumerate(OVERVIEW):
        left, top = corner(number)
        axes = _add_axes(figure, left, top - 0.3 - height, across, height)
        _draw_panel(axes, view, kind, prefix=f"({'abcdefgh'[number]}) ", separator="\n")
    left, top = corner(len(OVERVIEW))
    _key_block(figure, view, (left, top - cell_height + 0.1, cell_width, cell_height - 0.2))
    _footnote(figure, view, kind="overview", y=0.1)
    return figure


def _add_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes placed in inches from the lower left corner of the figure."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def _key_block(figure: Figure, view: View, place: tuple[float, float, float, float]) -> None:
    """Keys of all phases shown, side by side in one cell; `place` in inches."""
    phases = _phases_shown(view)
    if not phases:
        return
    left, bottom, width, height = place
    columns = 1 + int(len(phases) > 1) + int(len(phases) > 4) + int(len(phases) > 9)
    rows = -(-len(phases) // columns)
    for number, phase in enumerate(phases):
        row, column = divmod(number, columns)
        axes = _add_axes(
            figure,
            left + column * width / columns,
            bottom + height * (1 - (row + 1) / rows),
            0.92 * width / columns,
            0.8 * height / rows,
        )
        panels.draw_key(axes, phase)


def _phases_shown(view: View) -> list[Any]:
    return [phase for phase, count in zip(view.result.phases, view.counts.shown, strict=True) if count]


def _map_size(view: View, width: float) -> tuple[float, float]:
    return _size_on_paper(view.aspect, width)


def _size_on_paper(aspect: float, width: float) -> tuple[float, float]:
    """Size of a map in inches; long and thin maps get a limited height."""
    height = width * aspect
    return (1.6 * width / aspect, 1.6 * width) if height > 1.6 * width else (width, height)


def _footnote(figure: Figure, view: View, *, kind: str, y: float) -> None:
    """What is black, in small print, `y` inches from the lower edge."""
    if kind == "status":
        return
    text = f"Black: not indexed, or {view.limits}."
    if kind in ("overview", "reliability", "phase-reliability"):
        text += " Grey: no rival to compare with."
    width, height = figure.get_size_inches()
    text = panels.wrapped(text, width, panels.FONT - 1)
    figure.text(0.0, (y + 0.2) / height, text, fontsize=panels.FONT - 1, color="0.3", ha="left", va="top")
