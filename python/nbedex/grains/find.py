"""From an orientation map to its grains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.errors import ArgumentError
from nbedex.grains.model import GrainMap, OrientationMap
from nbedex.grains.properties import describe_regions
from nbedex.grains.segment import Segmentation, segment
from nbedex.grains.settings import GrainSettings
from nbedex.progress import Progress, silent


def find_grains(
    source: OrientationMap,
    settings: GrainSettings | None = None,
    *,
    threads: int = 0,
    progress: Progress = silent,
) -> GrainMap:
    """Cut a map into grains and other regions, and describe each.

    Parameters
    ----------
    source
        The map.
    settings
        Options; None for the defaults.
    threads
        0: all available. The result doesn't depend on it.
    progress
        Called after each of two steps.

    Returns
    -------
    grain_map
        Every pixel in exactly one region.
    """
    chosen = settings or GrainSettings()
    progress("grains", 0, 2)
    found = segment(source, chosen, threads=threads)
    progress("grains", 1, 2)
    grain_map = describe_regions(source, found, chosen, threads=threads)
    progress("grains", 2, 2)
    return grain_map


def grains_of(source: OrientationMap, region: NDArray[np.integer], settings: GrainSettings | None = None) -> GrainMap:
    """Describe regions that were found elsewhere: drawn by hand, or known because the map was made.

    Parameters
    ----------
    source
        The map.
    region
        (ny, nx) integers, the same for pixels of one region; renumbered by first pixel in reading order. A region is
        of the phase most of its pixels have (not indexed ones apart); pixels of other phases count as absorbed.
    settings
        Options; only those that describe grains matter.
    """
    if region.shape != source.shape or region.dtype.kind not in "iu":
        raise ArgumentError(
            f"region must hold integers, shape {source.shape}, got {region.dtype} of shape {region.shape}"
        )
    label = _core.number_regions(np.unique(region, return_inverse=True)[1].reshape(region.shape).astype(np.int32))
    n = int(label.max()) + 1
    votes = np.zeros((n, len(source.phases)), dtype=np.int64)
    indexed = source.phase_id >= 0
    np.add.at(votes, (label[indexed], source.phase_id[indexed]), 1)
    phase = np.where(votes.sum(axis=1) > 0, votes.argmax(axis=1), -1).astype(np.int16)
    hole = np.zeros(n, dtype=bool)
    if source.hole is not None:
        size = np.bincount(label.ravel())
        hole = (np.bincount(label[source.hole], minlength=n) * 2 > size) & (phase < 0)
    own = (source.phase_id == phase[label]) & (phase[label] >= 0)
    absorbed = ~own & (phase[label] >= 0)
    return describe_regions(source, Segmentation(label, absorbed, own, phase, hole), settings or GrainSettings())
