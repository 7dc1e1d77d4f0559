"""From an orientation map to its grains, boundaries and what blocks sodium, in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import field

from nbedex.blockade import (
    GROUP,
    BlockadeReport,
    BlockadeSettings,
    Field,
    alternatives_of,
    analyse_blockade,
    blockade_group,
    check_blockade_files,
    write_blockade_files,
)
from nbedex.boundaries import (
    BoundaryNetwork,
    BoundarySettings,
    boundary_group,
    trace_boundaries,
    write_boundary_table,
    write_geometry,
)
from nbedex.errors import ArgumentError
from nbedex.files import check_output, make_folder
from nbedex.grains import (
    GrainMap,
    GrainSettings,
    OrientationMap,
    PooledRivals,
    RivalSettings,
    find_grains,
    pool_rivals,
    resolve_rivals,
    rivals_group,
    write_grain_map,
    write_grain_table,
)
from nbedex.progress import Progress, silent
from nbedex.settings import Settings

GRAIN_FILE, TABLES, GEOMETRY = "grains.h5", ("grains.csv", "boundaries.csv"), ("network.vtk",)


class MicrostructureSettings(Settings, frozen=True, kw_only=True):
    """Options of `analyse_map`.

    Attributes
    ----------
    grains, rivals, boundaries, blockade
        Options of the steps.
    pool_rivals
        Whether pixels take the one of their rival solutions that their grain's pixels together speak for, where the
        map has rivals.
    """

    pool_rivals: bool = False
    grains: GrainSettings = field(default_factory=GrainSettings)
    rivals: RivalSettings = field(default_factory=RivalSettings)
    boundaries: BoundarySettings = field(default_factory=BoundarySettings)
    blockade: BlockadeSettings = field(default_factory=BlockadeSettings)


@dataclass(frozen=True, kw_only=True, eq=False)
class Microstructure:
    """What a map holds.

    Attributes
    ----------
    grain_map
        Its grains.
    rivals
        What their pixels' rival solutions say; None if the map has none.
    network
        Their boundaries.
    report
        What these do in the field.
    """

    grain_map: GrainMap
    rivals: PooledRivals | None
    network: BoundaryNetwork
    report: BlockadeReport


def analyse_map(
    source: OrientationMap,
    field: Field,
    *,
    settings: MicrostructureSettings | None = None,
    threads: int = 0,
    progress: Progress = silent,
) -> Microstructure:
    """Find grains, trace boundaries, and see what these do in a field.

    Parameters
    ----------
    source
        See `nbedex.grains.read_orientation_map`.
    field
        `nbedex.blockade.UniformField` or `FieldMap`.
    settings
        Options; None for the defaults.
    threads
        0: all available.
    progress
        Called after each step.
    """
    chosen = settings or MicrostructureSettings()
    progress("analysis", 0, 3)
    grain_map, rivals = _grains(source, chosen, threads)
    progress("analysis", 1, 3)
    network = trace_boundaries(grain_map, chosen.boundaries)
    progress("analysis", 2, 3)
    unsure = None if rivals is None else alternatives_of(grain_map, rivals)
    report = BlockadeReport.of(analyse_blockade(network, field, settings=chosen.blockade, alternatives=unsure))
    progress("analysis", 3, 3)
    return Microstructure(grain_map=grain_map, rivals=rivals, network=network, report=report)


def _grains(
    source: OrientationMap, settings: MicrostructureSettings, threads: int
) -> tuple[GrainMap, PooledRivals | None]:
    if source.rival_score is None:
        if settings.pool_rivals:
            raise ArgumentError("the map has no rival solutions to pool; they are in results of `nbedex index`")
        return find_grains(source, settings.grains, threads=threads), None
    if settings.pool_rivals:
        found = resolve_rivals(source, settings.grains, settings.rivals)
        return found.grain_map, found.rivals
    grain_map = find_grains(source, settings.grains, threads=threads)
    return grain_map, pool_rivals(grain_map, settings.rivals)


def write_microstructure(
    folder: str | os.PathLike[str],
    found: Microstructure,
    *,
    figures: bool = True,
    formats: str | Sequence[str] | None = None,
    width: str | float | None = None,
    dpi: int | None = None,
    overwrite: bool = False,
    threads: int = 0,
    progress: Progress = silent,
) -> list[Path]:
    """Write the grain file with all groups, tables, geometry and figures into a folder, made if it does not exist.

    For formats, width and dpi of figures see `nbedex.report.style.FigureStyle.of`.

    Returns
    -------
    paths
        The files written.

    Raises
    ------
    OutputError
        If one of them exists and `overwrite` is not given, or can't be written; checked before the first is written.
    """
    style: dict[str, Any] = {"formats": formats, "width": width, "dpi": dpi}
    target = check_folder(folder, figures=figures, overwrite=overwrite, **style)
    grain_map, report = found.grain_map, found.report
    more = {"boundaries": boundary_group(found.network), GROUP: blockade_group(report)}
    if found.rivals is not None:
        more["rivals"] = rivals_group(found.rivals)
    steps: list[Callable[[], Any]] = [
        lambda: write_grain_map(target / GRAIN_FILE, grain_map, more=more, overwrite=overwrite),
        lambda: write_grain_table(target / TABLES[0], grain_map, rivals=found.rivals, overwrite=overwrite),
        lambda: write_boundary_table(target / TABLES[1], found.network, rivals=found.rivals, overwrite=overwrite),
        lambda: write_geometry(target / GEOMETRY[0], found.network, overwrite=overwrite),
        lambda: write_blockade_files(target, report, overwrite=overwrite),
    ]
    if figures:
        from nbedex.report import plot_boundaries, plot_grains
        from nbedex.report.blockade import plot_blockade

        steps.append(lambda: plot_grains(grain_map, target, overwrite=overwrite, threads=threads, **style))
        steps.append(lambda: plot_boundaries(found.network, target, overwrite=overwrite, **style))
        steps.append(lambda: plot_blockade(report, target, overwrite=overwrite, **style))
    written: list[Path] = []
    for number, step in enumerate(steps):
        progress("writing", number, len(steps))
        paths = step()
        written += paths if isinstance(paths, list) else [paths]
    progress("writing", len(steps), len(steps))
    return written


def check_folder(
    folder: str | os.PathLike[str],
    *,
    figures: bool = True,
    formats: str | Sequence[str] | None = None,
    width: str | float | None = None,
    dpi: int | None = None,
    overwrite: bool = False,
) -> Path:
    """The folder, made if need be, after seeing that everything can be written there."""
    target = make_folder(folder)
    for name in (GRAIN_FILE, *TABLES, *GEOMETRY):
        check_output(target / name, overwrite=overwrite)
    check_blockade_files(target, overwrite=overwrite)
    if figures:
        from nbedex.report import BOUNDARY_FIGURES, GRAIN_FIGURES
        from nbedex.report.blockade import check_figures
        from nbedex.report.style import FigureStyle, check_figure

        style = FigureStyle.of(formats=formats, width=width, dpi=dpi)
        check_figures(target, style, overwrite=overwrite)
        for kind in (*GRAIN_FIGURES, *(f"boundaries-{kind}" for kind in BOUNDARY_FIGURES)):
            check_figure(target / kind, style, overwrite=overwrite)
    return target
