"""The result file put together from what one or several runs have finished, in memory that does not grow with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.indexing.checkpoint import part_names, read_json, read_part
from nbedex.indexing.memory import Memory
from nbedex.indexing.region import Region
from nbedex.indexing.task import Task
from nbedex.maps import Head, Status, to_json, write_rows
from nbedex.maps.result_file import head_from
from nbedex.progress import Progress, silent


@dataclass(frozen=True, eq=False)
class Description:
    """What the folder of a run says of the result.

    Attributes
    ----------
    head, region
        As of `Task`.
    nothing : (1,) structured
        Record of a pattern that was not indexed.
    wanted
        Number of patterns that were to be indexed, over all shards.
    """

    head: Head
    region: Region
    nothing: NDArray[Any]
    wanted: int


def describe(task: Task) -> dict[str, Any]:
    """A task for the folder of its run, as JSON: what is needed to put the result together."""
    head = task.head
    record = task.nothing(1)
    texts = {
        "phases": [phase.to_dict() for phase in head.phases],
        "calibration": asdict(head.calibration),
        "provenance": head.provenance,
    }
    description: dict[str, Any] = json.loads(
        to_json(
            {
                "texts": texts,
                "n_rivals": head.n_rivals,
                "n_more": head.n_more,
                "region": task.region.to_dict(),
                "record": record.dtype.descr,
                "nothing": record.tobytes().hex(),
                "wanted": int(np.count_nonzero(task.region.wanted(task.plan.mask))),
            }
        )
    )
    return description


def description_of(folder: Path) -> Description:
    """What `describe` wrote into the folder of a run.

    Raises
    ------
    ArgumentError
        There is no run, or its description can't be read.
    """
    if not (folder / "head.json").is_file():
        raise ArgumentError(f"{folder} holds no unfinished run")
    values = read_json(folder / "head.json")
    try:
        region = Region.from_dict(values["region"])
        dtype = np.dtype([(name, kind, *(tuple(axes) for axes in more)) for name, kind, *more in values["record"]])
        return Description(
            head=Head(
                **head_from(values["texts"]),
                shape=region.map_shape,
                n_rivals=int(values["n_rivals"]),
                n_more=int(values["n_more"]),
            ),
            region=region,
            nothing=np.frombuffer(bytes.fromhex(values["nothing"]), dtype),
            wanted=int(values["wanted"]),
        )
    except (KeyError, TypeError, ValueError, IndexError, DataFormatError) as error:
        raise ArgumentError(
            f"{folder / 'head.json'} can't be understood ({error}); start over with --overwrite"
        ) from None


def assemble(
    folders: Sequence[Path],
    target: Path,
    *,
    overwrite: bool = False,
    partial: bool = False,
    memory: Memory | None = None,
    progress: Progress = silent,
) -> Path:
    """Write the result file of a run.

    Parameters
    ----------
    folders
        Of the run, or of its shards.
    target
        The file to write.
    overwrite
        Replace it if it exists.
    partial
        Leave patterns that are missing NOT_DONE, instead of refusing.
    memory
        What the size of the bands follows from.
    progress
        Called with the rows written and all.

    Raises
    ------
    ArgumentError
        The folders belong to different runs, or patterns are missing.
    OutputError
        The file can't be written.
    """
    description = description_of(folders[0])
    identity = read_json(folders[0] / "run.json")
    for folder in folders[1:]:
        other = read_json(folder / "run.json")
        different = [key for key in identity if other.get(key) != identity[key]]
        if different:
            raise ArgumentError(f"{folder} is of another run than {folders[0]}: other {', '.join(different)}")
    rows = _rows(description, folders, band=(memory or Memory()).band, partial=partial, progress=progress)
    return write_rows(target, description.head, rows, overwrite=overwrite)


def _rows(
    description: Description, folders: Sequence[Path], *, band: int, partial: bool, progress: Progress
) -> Iterator[NDArray[Any]]:
    """Records (k, nx) of consecutive rows of the map."""
    region, dtype = description.region, description.nothing.dtype
    ny, nx = region.map_shape
    names = [name for folder in folders for name in part_names(folder)]
    step = max(1, band // (nx * dtype.itemsize))
    found = 0
    for first in range(0, ny, step):
        last = min(first + step, ny)
        records = np.repeat(description.nothing, (last - first) * nx)
        low, high = region.patterns_of_rows(first, last)
        for name in names:
            part = read_part(name.path, dtype) if name.first < high and name.last >= low else None
            if part is not None:
                pixels = region.pixels(part.patterns) - first * nx
                mine = (pixels >= 0) & (pixels < len(records)) & (region.pixels(part.patterns) >= 0)
                records[pixels[mine]] = part.records[mine]
        found += int((records["status"] != Status.NOT_DONE).sum())
        if last == ny and found < description.wanted and not partial:
            raise ArgumentError(
                f"{description.wanted - found} of {description.wanted} patterns are missing in"
                f" {', '.join(map(str, folders))}: finish the run with --resume, or the shards that were not run"
            )
        yield records.reshape(last - first, nx)
        progress("writing the result", last, ny)
