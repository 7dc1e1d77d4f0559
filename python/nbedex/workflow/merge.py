"""The result of runs that were shared out, or of one that was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nbedex.errors import ArgumentError
from nbedex.files import check_output, write_atomically
from nbedex.indexing.assembly import assemble, description_of
from nbedex.indexing.checkpoint import discard
from nbedex.progress import Progress, silent
from nbedex.settings import settings_from_dict, settings_to_toml
from nbedex.workflow.options import RunSettings


def merge(
    sources: Sequence[Path],
    target: Path,
    *,
    overwrite: bool = False,
    partial: bool = False,
    progress: Progress = silent,
) -> Path:
    """Write the result of shards to a file; the same bytes as of a run that was not shared out.

    Parameters
    ----------
    sources
        Folders `NAME.part` of one run, or of its shards on machines without a common drive.
    target
        The file to write. Where its own folder is among the sources, that is removed afterwards.
    overwrite
        Replace the file if it exists.
    partial
        Write what there is, and leave the folders: patterns that are missing become NOT_DONE.
    progress
        Called with the rows written and all.

    Raises
    ------
    ArgumentError
        A folder is missing or of another run, a run still works on it, or patterns are missing.
    OutputError
        The result can't be written.
    """
    if not sources:
        raise ArgumentError("nothing to merge: name the folder of a run (NAME.part)")
    check_output(target, overwrite=overwrite)
    description = description_of(sources[0])
    written = assemble(sources, target, overwrite=overwrite, partial=partial, progress=progress)
    options = description.head.provenance.get("run")
    if options is not None:
        used = settings_from_dict(RunSettings, options, where="options of the run")
        write_atomically(f"{target}.toml", [settings_to_toml(used).encode()], overwrite=True)
    own = Path(f"{target}.part")
    if not partial and any(source.resolve() == own.resolve() for source in sources):
        discard(own)
    return written
