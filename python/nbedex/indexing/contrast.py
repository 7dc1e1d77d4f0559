"""Whether what looks like noise is noise: patterns without spots need not be searched.

In noise no threshold separates templates, so that vacuum and amorphous regions would take several times as long as
crystals. The contrast of spots tells them apart (`cpp/include/nbedex/preprocess.hpp`, docs/decisions/no-spots.md) if
patterns are like those that it was tried on. So some of the scan's own are tried before it is relied upon.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from nbedex.indexing.block import index_block, prepared
from nbedex.indexing.centers import CenterModel
from nbedex.indexing.engine import Engine, with_min_contrast
from nbedex.indexing.pattern_centers import pattern_centers
from nbedex.indexing.sample import spread_frames
from nbedex.maps.result import Status
from nbedex.scan import Scan

log = logging.getLogger(__name__)

NOISE = 2.4  # noise of most kinds has less, crystals have more
_SAMPLES = 128  # patterns looked at
_MOST_ANSWERS = 0.05  # share of those without spots that may be given an answer all the same


def noise_contrast(scan: Scan, centers: CenterModel, engine: Engine, *, threads: int = 0) -> float:
    """`NOISE`, or 0 if patterns that have less than that are of crystals.

    Parameters
    ----------
    scan, centers
        Patterns and their direct beams.
    engine
        What would index them.
    threads
        0: all this process may use.
    """
    searching, sparing = with_min_contrast(replace(engine, rerank=None), 0.0), with_min_contrast(engine, NOISE)
    saturated = engine.settings.preprocess.max_saturated
    looked_at = spared = answers = 0
    for indices, frames in spread_frames(scan, _SAMPLES, mask=engine.mask, max_saturated=saturated):
        middle = pattern_centers(frames, indices, centers, engine, threads=threads)
        _, status = prepared(frames, middle, sparing, threads=threads)
        without = np.flatnonzero(status == Status.NO_SPOTS)
        looked_at, spared = looked_at + len(indices), spared + len(without)
        if len(without):
            records = index_block(frames[without], middle[without], searching, threads=threads)
            answers += int(np.count_nonzero(records["status"] == Status.OK))
    if answers > _MOST_ANSWERS * spared:
        log.info("%d of %d patterns have few spots, but %d of these are of crystals: all are searched",
                 spared, looked_at, answers)  # fmt: skip
        return 0.0
    if spared:
        log.info("%d of %d patterns looked at have no spots: such are not searched", spared, looked_at)
    return NOISE
