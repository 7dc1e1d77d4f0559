"""A result made better by what the patterns of each grain show together: read, pool, write."""

from __future__ import annotations

import hashlib
import os

import msgspec

from nbedex.errors import ArgumentError
from nbedex.files import check_output
from nbedex.grains.pooling import Pooled, PoolingSettings, pool_patterns
from nbedex.indexing.prepare import prepare
from nbedex.maps import read_result, write_result
from nbedex.progress import Progress, silent
from nbedex.provenance import software
from nbedex.settings import settings_from_dict
from nbedex.workflow import RunSettings
from nbedex.workflow.inputs import gather, opened


def pool(
    result_path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    scan: str | os.PathLike[str] | None = None,
    pooling: PoolingSettings | None = None,
    overwrite: bool = False,
    threads: int = 0,
    progress: Progress = silent,
) -> Pooled:
    """Index the mean pattern of every grain of a result and write the map with the grains' answers.

    Parameters
    ----------
    result_path
        Result of `run`, which says how it was made.
    output
        Result file to write.
    scan
        Where the scan is now; by default where it was.
    pooling
        Options; None for the defaults.
    overwrite
        Whether `output` may be replaced.
    threads
        0: all available.
    progress
        See `nbedex.progress`.

    Raises
    ------
    ArgumentError
        The result does not say how it was made, or is of another scan.
    """
    result = read_result(result_path)
    with open(result_path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    made = result.provenance.get("run")
    if not isinstance(made, dict):
        raise ArgumentError(
            f"{os.fspath(result_path)} does not say how it was made; index the scan with `nbedex index`"
        )
    check_output(output, overwrite=overwrite)
    settings = settings_from_dict(RunSettings, made, where=os.fspath(result_path))
    if scan is not None:
        settings = msgspec.structs.replace(settings, scan=msgspec.structs.replace(settings.scan, path=os.fspath(scan)))
    with opened(settings.scan) as data:
        inputs = gather(settings, data, progress=progress)
        engine, _ = prepare(
            data,
            inputs.library,
            inputs.calibration,
            settings=inputs.settings,
            mask=inputs.mask,
            threads=threads,
            progress=progress,
        )
        found = pool_patterns(data, result, engine, settings=pooling, threads=threads, progress=progress)
    found.result.provenance["pooling"] = {
        "settings": found.settings.to_dict(),
        "result": {"file": os.path.basename(result_path), "sha256": digest},
        "software": software(),
    }
    write_result(output, found.result, overwrite=overwrite)
    return found
