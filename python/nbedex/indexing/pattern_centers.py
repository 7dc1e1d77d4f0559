"""Where the direct beam of each pattern is: on the scan's smooth surface, or where it is found."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.indexing.centers import CenterModel, locate
from nbedex.indexing.engine import Engine

_PER_PATTERN_RADIUS = 6.0  # pixels: how far a pattern's own centre may lie from the smooth surface


def pattern_centers(
    frames: NDArray[Any] | _core.FrameFile,
    indices: NDArray[np.intp],
    centers: CenterModel,
    engine: Engine,
    *,
    threads: int = 0,
) -> NDArray[np.float64]:
    """Direct beam (n, 2) of `frames` (n, det_y, det_x), whose flat scan indices are given."""
    smooth = centers.at(indices)
    if not centers.per_pattern:
        return smooth
    return _own_centers(np.asarray(frames), smooth, centers, engine, threads=threads)


def _own_centers(
    frames: NDArray[Any], smooth: NDArray[np.float64], centers: CenterModel, engine: Engine, *, threads: int
) -> NDArray[np.float64]:
    """Each pattern's own direct beam, looked for near the smooth surface; the surface where none is found.

    It is looked for around the nearest whole pixel, so that it does not depend on what else is in the block.
    """
    options = msgspec.structs.replace(engine.settings.center, search_radius=_PER_PATTERN_RADIUS + 1.0, position=None)
    found = np.full_like(smooth, np.nan)
    start = np.round(smooth)
    for place in np.unique(start, axis=0):
        mine = np.flatnonzero((start == place).all(axis=1))
        found[mine] = locate(frames[mine], options, place, engine.mask, finder=centers.finder, threads=threads)
    near = np.linalg.norm(found - smooth, axis=1) <= _PER_PATTERN_RADIUS  # NaN is not near
    return np.where(near[:, None], found, smooth)
