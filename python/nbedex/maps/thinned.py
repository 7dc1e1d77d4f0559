"""A map in as few pixels as a picture of it can show, with counts of them all; read by bands of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.maps.bands import Bands
from nbedex.maps.result import ARRAYS, Cutoffs, IndexingResult, Status
from nbedex.progress import Progress, silent

DRAWN = ("phase_id", "orientation", "index", "reliability", "phase_reliability", "probability", "status")


@dataclass(frozen=True)
class Counts:
    """Pixels of a map.

    Attributes
    ----------
    shown
        (phases,) of each phase, without those under the cut-offs.
    status
        (statuses,) of each status.
    cut
        Indexed, but under the cut-offs.
    """

    shown: NDArray[np.int64]
    status: NDArray[np.int64]
    cut: int

    @classmethod
    def of(cls, result: IndexingResult, keep: NDArray[np.bool_]) -> Counts:
        """Counts of a result of which the pixels `keep` (ny, nx) are shown."""
        return cls(
            shown=np.bincount(result.phase_id[keep], minlength=len(result.phases)),
            status=np.bincount(result.status.ravel(), minlength=len(Status)),
            cut=int((result.indexed & ~keep).sum()),
        )

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.shown + other.shown, self.status + other.status, self.cut + other.cut)

    @property
    def pixels(self) -> int:
        """All of them."""
        return int(self.status.sum())


@dataclass(frozen=True)
class Thinned:
    """A map in fewer pixels.

    Attributes
    ----------
    result
        The pixels nearest to the places of a coarser grid over the same area. Only the arrays `DRAWN` are theirs; the
        calibration is that of the whole map.
    scale
        Pixels of the map in one of these: rows, columns.
    counts
        Of all pixels of the map.
    """

    result: IndexingResult
    scale: tuple[float, float]
    counts: Counts


def thinned(source: Bands, most: tuple[int, int], *, cutoffs: Cutoffs, progress: Progress = silent) -> Thinned:
    """Look at a map in at most so many rows and columns.

    Parameters
    ----------
    source
        The map; of its file no more than a band is in memory.
    most
        Rows and columns, at least 1.
    cutoffs
        What is counted as shown.
    progress
        Called with the rows done and all.
    """
    picks = [_nearest(length, limit) for length, limit in zip(source.shape, most, strict=True)]
    found: dict[str, list[NDArray[Any]]] = {name: [] for name in DRAWN}
    counts = None
    for first, last in source.bands():
        band = source.rows(first, last)
        here = Counts.of(band, band.accepted(**cutoffs))
        counts = here if counts is None else counts + here
        rows = picks[0][(picks[0] >= first) & (picks[0] < last)] - first
        for name in DRAWN:
            found[name].append(getattr(band, name)[rows][:, picks[1]])
        progress("reading the map", last, source.shape[0])
    assert counts is not None
    shape = (len(picks[0]), len(picks[1]))
    nothing = IndexingResult.empty((1, 1), source.phases, source.calibration, n_rivals=0)
    maps: dict[str, Any] = {
        name: np.broadcast_to(getattr(nothing, name), (*shape, *getattr(nothing, name).shape[2:]))
        for name in ARRAYS
        if name not in DRAWN
    }
    maps |= {name: np.concatenate(parts) for name, parts in found.items()}
    return Thinned(
        result=IndexingResult(phases=source.phases, calibration=source.calibration, **maps),
        scale=(source.shape[0] / shape[0], source.shape[1] / shape[1]),
        counts=counts,
    )


def _nearest(length: int, limit: int) -> NDArray[np.intp]:
    """Numbers of the pixels in the middle of at most `limit` equal parts of a side of `length` pixels."""
    parts = min(length, limit)
    return ((np.arange(parts) + 0.5) * length / parts).astype(np.intp)
