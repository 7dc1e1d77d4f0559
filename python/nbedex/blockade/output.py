"""Files of an analysis: tables, GeoJSON, and the group `blockade` of a grain file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade.expected import Comparison, compare_with_random
from nbedex.blockade.geojson import segments_geojson, stretches_geojson
from nbedex.blockade.model import Blockade, SegmentStatements, Statements, class_label
from nbedex.blockade.summary import map_texture, summary_of
from nbedex.blockade.sweep import Sweep, sweep_field
from nbedex.blockade.tables import class_columns, csv_of, segment_columns, stretch_columns, sweep_columns
from nbedex.blockade.texture import Texture
from nbedex.files import check_output, write_atomically
from nbedex.grains import Group

GROUP = "blockade"
FILES = ("segments.csv", "stretches.csv", "sweep.csv", "classes.csv", "segments.geojson", "stretches.geojson")


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockadeReport:
    """An analysis with all that is told of it.

    Attributes
    ----------
    blockade
        Boundaries in the field.
    sweep
        In fields of all directions.
    comparison
        Against random microstructures.
    texture
        Of the conduction planes.
    """

    blockade: Blockade
    sweep: Sweep
    comparison: Comparison
    texture: Texture

    @classmethod
    def of(cls, blockade: Blockade, *, sweep_step_deg: float = 5.0) -> BlockadeReport:
        """Work everything out."""
        return cls(
            blockade=blockade,
            sweep=sweep_field(blockade, step_deg=sweep_step_deg),
            comparison=compare_with_random(blockade),
            texture=map_texture(blockade),
        )

    def summary(self, *, n_worst: int = 10) -> dict[str, Any]:
        """See `summary_of`."""
        return summary_of(self.blockade, self.sweep, self.comparison, self.texture, n_worst=n_worst)


def check_blockade_files(folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Whether `write_blockade_files` could write, before the work is done."""
    for name in FILES:
        check_output(Path(folder) / name, overwrite=overwrite)


def write_blockade_files(
    folder: str | os.PathLike[str], report: BlockadeReport, *, overwrite: bool = False
) -> list[Path]:
    """Write `FILES` into a folder that exists.

    Raises
    ------
    OutputError
        If one of them exists and `overwrite` is not given, or can't be written; checked before the first is.
    """
    check_blockade_files(folder, overwrite=overwrite)
    blockade, sweep = report.blockade, report.sweep
    content: dict[str, Iterable[bytes]] = {
        "segments.csv": csv_of(segment_columns(blockade, sweep)),
        "stretches.csv": csv_of(stretch_columns(blockade)),
        "sweep.csv": csv_of(sweep_columns(sweep)),
        "classes.csv": csv_of(class_columns(blockade, report.comparison)),
        "segments.geojson": segments_geojson(blockade, sweep),
        "stretches.geojson": stretches_geojson(blockade),
    }
    return [write_atomically(Path(folder) / name, content[name], overwrite=overwrite) for name in FILES]


def blockade_group(report: BlockadeReport) -> Group:
    """What goes into a grain file: every number of the analysis, by rows of stretches, segments and directions."""
    blockade, sweep, stretches = report.blockade, report.sweep, report.blockade.stretches
    arrays: dict[str, NDArray[Any]] = {
        f"stretch_{f.name}": getattr(stretches, f.name) for f in fields(stretches) if f.name not in _AS_INT32
    }
    arrays |= {f"stretch_{name}": getattr(stretches, name).astype(np.int32) for name in _AS_INT32}
    arrays |= {f"stretch_{f.name}": getattr(blockade.along, f.name) for f in fields(Statements)}
    arrays |= {f"segment_{f.name}": getattr(blockade.segments, f.name) for f in fields(SegmentStatements)}
    arrays |= {f"sweep_{f.name}": getattr(sweep, f.name) for f in fields(sweep)}
    arrays["medium"] = blockade.media.medium
    codes = range(-2, blockade.along.probability.shape[1])
    return Group(
        arrays=arrays,
        texts={
            "settings": blockade.settings.to_dict(),
            "field": blockade.field,
            "classes": {str(code): class_label(code) for code in codes},
            "summary": report.summary(),
        },
    )


_AS_INT32 = ("segment", "first", "last")
