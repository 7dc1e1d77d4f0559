"""Many scans, one configuration: an in situ series."""

from __future__ import annotations

import glob
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from nbedex.errors import ArgumentError, Cancelled, NbedexError
from nbedex.files import make_folder
from nbedex.indexing.monitor import Watch
from nbedex.maps import summary_of_file
from nbedex.progress import Progress, silent
from nbedex.workflow.inputs import Libraries
from nbedex.workflow.options import RunSettings
from nbedex.workflow.run import RunReport, run_to_file

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeriesEntry:
    """What came of one scan.

    Attributes
    ----------
    scan, result
        Files.
    report, summary
        Of the run and of its result; None where it failed.
    error, exit_code
        Why it failed; None and 0 where it did not.
    """

    scan: Path
    result: Path
    report: RunReport | None
    summary: dict[str, Any] | None
    error: str | None = None
    exit_code: int = 0


def expand(names: Sequence[str]) -> list[str]:
    """File names with patterns (*, ?, [...]) replaced by the files that fit, sorted.

    Raises
    ------
    ArgumentError
        Nothing fits a pattern.
    """
    found: list[str] = []
    for name in names:
        if not glob.has_magic(name) or Path(name).exists():
            found.append(name)
            continue
        fitting = sorted(glob.glob(name, recursive=True))
        if not fitting:
            raise ArgumentError(f"no file fits {name}")
        found += fitting
    return list(dict.fromkeys(found))


def results_for(scans: Sequence[str], folder: Path) -> dict[str, Path]:
    """A result file in `folder` for each scan: its name without ending, or with its folder's where two are equal.

    Raises
    ------
    ArgumentError
        Two scans can't be told apart by name and folder.
    """
    stems = [Path(scan).stem for scan in scans]
    names = [
        stem if stems.count(stem) == 1 else f"{Path(scan).resolve().parent.name}_{stem}"
        for scan, stem in zip(scans, stems, strict=True)
    ]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ArgumentError(
            f"several scans would be written to {sorted(twice)[0]}.h5; rename them, or index them apart"
        )
    return {scan: folder / f"{name}.h5" for scan, name in zip(scans, names, strict=True)}


def run_series(
    settings: RunSettings,
    scans: Sequence[str],
    *,
    progress: Progress = silent,
    watch: Watch | None = None,
    done: Callable[[SeriesEntry], None] | None = None,
) -> list[SeriesEntry]:
    """Index scans one after the other with the same options; the library is loaded once.

    A scan that can't be indexed does not keep the others from it.

    Parameters
    ----------
    settings
        Of all; `output.path` is a folder, made if it does not exist.
    scans
        Files.
    progress, watch
        Told what happens in each.
    done
        Called after each scan.

    Raises
    ------
    ArgumentError
        Two scans have the same name.
    OutputError
        The folder can't be made.
    Cancelled
        Ctrl-C: `resume` skips what is complete, and goes on.
    """
    folder = Path(settings.output.path or ".")
    targets = results_for(scans, folder)
    make_folder(folder, parents=True)
    libraries, entries = Libraries(), []
    for scan, target in targets.items():
        replace = msgspec.structs.replace
        one = replace(
            settings,
            scan=replace(settings.scan, path=scan),
            output=replace(settings.output, path=str(target)),
        )
        try:
            report = run_to_file(one, libraries=libraries, progress=progress, watch=watch)
            entry = SeriesEntry(Path(scan), target, report, summary_of_file(target))
        except Cancelled:
            raise
        except NbedexError as error:
            log.error("%s: %s", scan, error)
            entry = SeriesEntry(Path(scan), target, None, None, str(error), error.exit_code)
        entries.append(entry)
        if done is not None:
            done(entry)
    return entries
