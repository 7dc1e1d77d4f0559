"""Maps as pictures: IPF with colour key, phase, index, reliability, status, and all of them at once."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbedex.errors import ArgumentError
from nbedex.files import check_output, make_folder, write_atomically
from nbedex.maps.bands import Bands, ResultReader, in_bands
from nbedex.maps.result import Cutoffs, IndexingResult, check_cutoffs
from nbedex.maps.thinned import thinned
from nbedex.progress import Progress, silent
from nbedex.report import panels
from nbedex.report.panels import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# With flat exponents a rival that is nearly as good is 1 percent behind, and unrelated patterns score 0.03 to 0.05
# (nbedex.indexing.noise); ASTAR's usual limits belong to its own scores.
DEFAULT_MIN_PROBABILITY = 0.5

MAPS = ("ipf-z", "ipf-x", "ipf-y", "phase", "index", "reliability", "phase-reliability", "probability", "status")
OVERVIEW = ("ipf-x", "ipf-y", "ipf-z", "phase", "index", "reliability", "probability", "status")
KINDS = (*MAPS, "overview", "all")

_MAP_WIDTH = 4.2  # inches, of a single map
_PANEL_WIDTH = 2.7  # of a map in the overview
_SIDE = 1.75  # beside a map, for legend, colour bar or keys
_LEAST_WIDTH = 1.4  # of the space for a map, so that its title fits
_LEAST_HEIGHT = 1.5  # of a row in the overview, so that legends and keys fit
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
    overwrite: bool = False,
    dpi: int = 200,
    progress: Progress = silent,
) -> list[Path]:
    """Draw maps and write them as PNG.

    Of a map with more pixels than the picture, those nearest to the picture's are drawn; shares in legends are of all.

    Parameters
    ----------
    result
        What indexing found; of a `ResultReader` only the pixels drawn are in memory.
    path
        A file that ends in .png, for one kind; or a folder (made if it does not exist), in which the
        files are called after their kind, "ipf-z.png" and so on.
    kind
        One of `KINDS`: the crystal direction along the sample's X, Y or Z (Z is the beam), the phase,
        numbers, the status, "overview" for most of them on one page, "all" for every file.
    min_index, min_reliability, min_probability
        Pixels under these are black in all maps but that of the status. None: a probability of 0.5, which 0
        switches off, and nothing for the others.
    overwrite
        Whether files that are already there may be replaced.
    dpi
        Pixels per inch, 50 to 1200.
    progress
        Called with what is done.

    Returns
    -------
    paths
        The files written.

    Raises
    ------
    ArgumentError
        If the kind is not known, a limit is out of range, or "all" is to go to a single file.
    OutputError
        If a file exists and `overwrite` is not given, or it can't be written. With "all", files are
        checked before the first is drawn.
    DataFormatError
        If the result file is damaged.
    """
    if not 50 <= dpi <= 1200:
        raise ArgumentError(f"dpi must lie between 50 and 1200, got {dpi!r}")
    targets = _targets(Path(path), _kinds(kind))
    for target in targets.values():
        check_output(target, overwrite=overwrite)
    cutoffs, limits = _cutoffs(min_index, min_reliability, min_probability)
    source = in_bands(result)
    source.check(progress)
    view = _fewer(source, dpi, cutoffs, limits, progress)
    written: list[Path] = []
    for name, target in targets.items():
        progress("drawing", len(written), len(targets))
        written.append(write_atomically(target, [_png(_figure(view, name), dpi)], overwrite=overwrite))
    progress("drawing", len(written), len(targets))
    return written


def _fewer(source: Bands, dpi: int, cutoffs: Cutoffs, limits: str, progress: Progress) -> View:
    """The map in no more pixels than its largest picture needs."""
    dy, dx = source.calibration.step or (1.0, 1.0)
    width, height = _size_on_paper(source.shape[0] * dy / (source.shape[1] * dx), _MAP_WIDTH)
    most = (math.ceil(_FINER * dpi * height), math.ceil(_FINER * dpi * width))
    few = thinned(source, most, cutoffs=cutoffs, progress=progress)
    return View(
        result=few.result, keep=few.result.accepted(**cutoffs), limits=limits, scale=few.scale, whole=few.counts
    )  # fmt: skip


def draw(
    result: IndexingResult,
    *,
    kind: str = "overview",
    min_index: float | None = None,
    min_reliability: float | None = None,
    min_probability: float | None = None,
) -> Figure:
    """Draw one kind of figure (not "all"); see `plot_maps`. The Figure is not known to pyplot."""
    if kind not in (*MAPS, "overview"):
        raise ArgumentError(f"expected one of {', '.join((*MAPS, 'overview'))}, got {kind!r}")
    cutoffs, limits = _cutoffs(min_index, min_reliability, min_probability)
    result.validate()
    return _figure(View(result=result, keep=result.accepted(**cutoffs), limits=limits), kind)


def _figure(view: View, kind: str) -> Figure:
    return _overview(view) if kind == "overview" else _single(view, kind)


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


def _targets(path: Path, kinds: tuple[str, ...]) -> dict[str, Path]:
    """The file of each kind; makes the folder if one is asked for."""
    if path.suffix.lower() == ".png" and not path.is_dir():
        if len(kinds) > 1:
            raise ArgumentError(f"'all' writes {len(kinds)} files: give a folder instead of {path}")
        return {kinds[0]: path}
    if path.suffix and not path.is_dir():
        raise ArgumentError(f"maps are written as PNG: give a name that ends in .png or a folder, got {path}")
    make_folder(path)
    return {kind: path / f"{kind}.png" for kind in kinds}


def _png(figure: Figure, dpi: int) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    stream = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(
        stream, format="png", dpi=dpi, facecolor="white", bbox_inches="tight", pad_inches=0.06,
        metadata={"Software": "nbedex"},
    )  # fmt: skip
    return stream.getvalue()


def _draw_panel(axes: Axes, view: View, kind: str, prefix: str = "") -> None:
    """One map of `kind` into `axes`, with what stands beside it (keys of IPF maps apart)."""
    result = view.result
    if kind.startswith("ipf-"):
        axis = kind[-1]
        name = f"{prefix}IPF-{axis.upper()}{_DIRECTION[axis]}"
        panels.draw_rgb(axes, view, panels.ipf_image(view, axis), name)
    elif kind == "phase":
        panels.draw_phases(axes, view, f"{prefix}Phase")
    elif kind == "status":
        panels.draw_status(axes, view, f"{prefix}Status")
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


def _single(view: View, kind: str) -> Figure:
    """One map; keys of the phases that occur in it stand to the right of an IPF map."""
    from matplotlib.figure import Figure

    width, height = _map_size(view, _MAP_WIDTH)
    phases = _phases_shown(view) if kind.startswith("ipf-") else []
    key = min(1.5, max(1.0, (height + 0.3) / max(len(phases), 1)))
    below = max(_BELOW, len(phases) * key - height)
    figure = Figure(figsize=(max(width, _LEAST_WIDTH) + _SIDE, below + height + 0.35))
    axes = _add_axes(figure, 0.0, below, width, height)
    _draw_panel(axes, view, kind)
    for row, phase in enumerate(phases):
        bottom = below + height + 0.15 - (row + 1) * key
        left = max(width, _LEAST_WIDTH) + 0.15
        panels.draw_key(_add_axes(figure, left, bottom, 1.4, 0.85 * key), phase)
    _footnote(figure, view, kind=kind, y=below - _BELOW)
    return figure


def _overview(view: View) -> Figure:
    """The maps of `OVERVIEW` in rows of three, the colour keys in the last cell."""
    from matplotlib.figure import Figure

    width, height = _map_size(view, _PANEL_WIDTH)
    cell_width = max(width, _LEAST_WIDTH) + _SIDE
    cell_height = max(height, _LEAST_HEIGHT) + 0.6
    figure = Figure(figsize=(3 * cell_width, 3 * cell_height + _BELOW))
    for number, kind in enumerate(OVERVIEW):
        row, column = divmod(number, 3)
        top = _BELOW + (3 - row) * cell_height - 0.3
        axes = _add_axes(figure, column * cell_width, top - height, width, height)
        _draw_panel(axes, view, kind, prefix=f"({'abcdefgh'[number]}) ")
    _key_block(figure, view, (2 * cell_width, _BELOW + 0.2, cell_width, cell_height - 0.2))
    _footnote(figure, view, kind="overview", y=0.2)
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
    if height > 1.6 * width:
        return 1.6 * width / aspect, 1.6 * width
    return width, height


def _footnote(figure: Figure, view: View, *, kind: str, y: float) -> None:
    """What is black, in small print, `y` inches from the lower edge."""
    if kind == "status":
        return
    text = f"Black: not indexed, or {view.limits}."
    if kind in ("overview", "reliability", "phase-reliability"):
        text += " Grey: no rival to compare with."
    y /= figure.get_size_inches()[1]
    figure.text(0.0, y, text, fontsize=panels.FONT - 1, color="0.3", ha="left", va="bottom")
