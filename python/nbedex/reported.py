"""From a result in a file to its report: one HTML page that needs no network."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nbedex.blockade import (
    GROUP,
    Alternatives,
    BlockadeSettings,
    UniformField,
    alternatives_of,
    analyse_blockade,
    in_all_directions,
    rivals_of,
)
from nbedex.blockade.expected import compare_with_random
from nbedex.blockade.sweep import sweep_field
from nbedex.boundaries import BoundaryNetwork, network_of, trace_boundaries
from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError, DataFormatError, NbedexError
from nbedex.files import check_output, write_atomically
from nbedex.grains import (
    OrientationMap,
    find_grains,
    is_grain_file,
    pool_rivals,
    read_grain_map,
    read_groups,
    read_orientation_map,
)
from nbedex.maps import IndexingResult, read_result
from nbedex.maps.foreign import is_ours
from nbedex.microstructure import MicrostructureSettings
from nbedex.phases import Phase, load_phase
from nbedex.progress import Progress, silent
from nbedex.report.page import PageContent, page_html, read_current
from nbedex.scan import Scan, open_scan
from nbedex.settings import settings_from_dict


def write_report(
    result: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    field_deg: float | None = None,
    current: str | os.PathLike[str] | None = None,
    scan: str | os.PathLike[str] | None = None,
    source: OrientationMap | None = None,
    phases: Mapping[str, Phase] | None = None,
    settings: MicrostructureSettings | None = None,
    overwrite: bool = False,
    threads: int = 0,
    progress: Progress = silent,
) -> Path:
    """Write one HTML file with everything that is known of a map, to look at in a browser.

    What is missing (a scan that is not there any more, scores that another program's map has not) is left out, and the
    page says so.

    Parameters
    ----------
    result
        A result of `nbedex index`, a grain file with or without boundaries and blockade, or an orientation map of
        another program (orix .h5, .ang, .ctf). From a map, grains and boundaries are found as `analyse_map` does.
    path
        The .html file to write.
    field_deg
        Direction of the uniform field that the page opens with, in degrees from X (right) towards Y (down); the page
        has a slider for all others. None: that of the grain file, else the mean field of `current`, else 0.
    current
        File of `nbedex transport -o` for the same grains.
    scan
        The 4D-STEM file, for measured patterns. None: where it was when it was indexed, if it is still there.
    source
        The orientation map, where `result` was read already (with roles of phases, for example).
    phases
        Phases of ours by their names in another program's map, for simulated patterns.
    settings
        How grains, boundaries and blockade are found; None for the defaults, or for those in a grain file.
    overwrite
        Whether a file that exists may be replaced.
    threads
        0: all available.
    progress
        Called after each step.

    Returns
    -------
    path
        The file written.

    Raises
    ------
    ArgumentError
        If a file is not there, or the field is not a finite angle.
    DataFormatError
        If a file is damaged or of another kind.
    OutputError
        If `path` exists and `overwrite` is not given, or it can't be written.
    """
    target = Path(path)
    if target.suffix.lower() not in (".html", ".htm"):
        raise ArgumentError(f"a report is written as .html, got {os.fspath(path)}")
    check_output(target, overwrite=overwrite)
    progress("analysis", 0, 3)
    found = _Found(result, source=source, settings=settings, threads=threads)
    progress("analysis", 1, 3)
    maps = None if current is None else read_current(current, segments=len(found.network.boundaries))
    if field_deg is None:
        field_deg = found.field_deg
    if field_deg is None:
        field_deg = 0.0 if maps is None else maps.mean_direction_deg
    blockade = analyse_blockade(
        found.network, UniformField(field_deg % 360), settings=found.settings, alternatives=found.alternatives
    )
    progress("analysis", 3, 3)
    content = PageContent(
        title=Path(result).name,
        grain_map=found.network.grain_map,
        network=found.network,
        blockade=blockade,
        sweep=sweep_field(blockade, step_deg=1.0),
        comparison=compare_with_random(blockade),
        directions=in_all_directions(blockade, alternatives=found.alternatives, progress=progress),
        result=found.result,
        phases=found.phases(phases or {}),
        current=maps,
        calibration=found.calibration(),
        provenance=found.provenance,
    )
    with _opened(scan, found.provenance) as (opened, note):
        absent = _absent(content, note)
        html = page_html(replace(content, scan=opened, notes=absent), threads=threads, progress=progress)
    return write_atomically(target, [html.encode("utf-8")], overwrite=overwrite)


class _Found:
    """What a file holds, and what follows from it."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        source: OrientationMap | None,
        settings: MicrostructureSettings | None,
        threads: int,
    ) -> None:
        self.network: BoundaryNetwork
        self.settings: BlockadeSettings
        self.result: IndexingResult | None = None
        self.alternatives: Alternatives | None = None
        self.field_deg: float | None = None
        if source is None and is_grain_file(path):
            self._from_grain_file(path, settings)
        else:
            self._from_map(path, source, settings or MicrostructureSettings(), threads)
        origin = self.network.grain_map.source.origin
        made = self.result.provenance if self.result is not None else origin.get("indexing")
        self.provenance: dict[str, Any] = made if isinstance(made, dict) else {}

    def _from_map(
        self,
        path: str | os.PathLike[str],
        source: OrientationMap | None,
        settings: MicrostructureSettings,
        threads: int,
    ) -> None:
        if not os.path.isfile(path):
            raise ArgumentError(f"expected a map or a grain file, found no file at {os.fspath(path)}")
        if is_ours(path):
            self.result = read_result(path)
        grain_map = find_grains(source or read_orientation_map(path), settings.grains, threads=threads)
        if grain_map.source.rival_score is not None:
            self.alternatives = alternatives_of(grain_map, pool_rivals(grain_map, settings.rivals))
        self.network = trace_boundaries(grain_map, settings.boundaries)
        self.settings = settings.blockade

    def _from_grain_file(self, path: str | os.PathLike[str], settings: MicrostructureSettings | None) -> None:
        grain_map = read_grain_map(path)
        groups = read_groups(path, ("boundaries", "rivals", GROUP))
        stored = groups[GROUP].texts if GROUP in groups else {}
        try:
            self.network = (
                network_of(grain_map, groups["boundaries"]) if "boundaries" in groups else trace_boundaries(grain_map)
            )
            if "rivals" in groups:
                self.alternatives = alternatives_of(grain_map, rivals_of(groups["rivals"], grain_map))
            self.settings = (
                settings.blockade
                if settings is not None
                else settings_from_dict(BlockadeSettings, stored["settings"], where="the grain file")
                if "settings" in stored
                else BlockadeSettings()
            )
        except (ArgumentError, TypeError, ValueError) as error:
            raise DataFormatError(f"{os.fspath(path)} holds values that don't fit together: {error}") from error
        direction = stored.get("field", {}).get("direction_deg")
        self.field_deg = None if direction is None else float(direction)

    def phases(self, given: Mapping[str, Phase]) -> dict[str, Phase]:
        """Phases of ours for those of the map: the result's, those given, or shipped ones of the same name."""
        if self.result is not None:
            return {phase.name: phase for phase in self.result.phases}
        found = dict(given)
        if self.provenance:
            for name in (phase.name for phase in self.network.grain_map.source.phases if phase.name not in found):
                with contextlib.suppress(NbedexError):
                    found[name] = load_phase(name)
        return found

    def calibration(self) -> Calibration | None:
        """The geometry of the detector as it was used."""
        if self.result is not None:
            return self.result.calibration
        run = self.provenance.get("run", {})
        try:
            options = dict(run["calibration"])
            step = options.pop("step_nm", None)
            options["pixel_size"] *= run.get("scan", {}).get("bin", 1)
            return Calibration(**options, step=None if step is None else (step, step))
        except (KeyError, TypeError, ArgumentError):
            return None


def _absent(content: PageContent, note: str) -> tuple[str, ...]:
    """Sentences about what the files don't hold."""
    notes = []
    if content.result is None:
        notes.append("Index and reliability of every pixel are in the result of indexing, not in this file.")
    if content.current is None:
        notes.append("There is no calculated current (nbedex transport -o, then --current).")
    if not len(content.network.boundaries):
        notes.append("The map has no boundaries.")
    elif not content.blockade.in_scheme.any():
        notes.append("No boundary lies between two grains with conduction planes, so none has a class.")
    return (*notes, *([note] if note else []))


@contextlib.contextmanager
def _opened(given: str | os.PathLike[str] | None, provenance: Mapping[str, Any]) -> Iterator[tuple[Scan | None, str]]:
    """The scan, and a sentence if it is not there. One that was named must open."""
    stored = provenance.get("input", {})
    where = stored.get("path") if isinstance(stored, dict) else None
    if given is None and not isinstance(where, str):
        yield None, "Which scan the map is of is not known, so there are no measured patterns (--scan)."
        return
    options = provenance.get("run", {}).get("scan", {})
    scan_shape = tuple(options["shape"]) if options.get("shape") else None
    try:
        scan = open_scan(Path(given or str(where)), dataset=options.get("dataset"), scan_shape=scan_shape)
        scan = scan.binned(int(options.get("bin", 1)))
    except NbedexError as error:
        if given is not None:
            raise
        name = Path(str(where)).name
        yield None, f"The scan {name} could not be opened, so there are no measured patterns (--scan FILE): {error}."
        return
    try:
        yield scan, ""
    finally:
        scan.close()
