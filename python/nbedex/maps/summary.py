"""A result in numbers: what was indexed, how well, and whether neighbours agree."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.maps.bands import ResultReader
from nbedex.maps.orientation import disorientation_angle
from nbedex.maps.result import IndexingResult, Status
from nbedex.phases import Phase


def summary(result: IndexingResult, *, coherence_angle_deg: float = 5.0) -> dict[str, Any]:
    """Counts, medians and neighbour coherence, as plain numbers that JSON can hold.

    A map of noise looks like a map; its neighbours don't agree. `neighbour_coherence` is the share of
    pairs of neighbouring pixels, both indexed as the same phase, whose orientations differ by at most
    `coherence_angle_deg`: near 1 in grains of many pixels, near 0 in noise. None without such pairs.

    Returns
    -------
    numbers
        `shape`, `pixels`, `indexed`, `fraction_indexed` (of the pixels that were reached), `status` and
        `phases` (a list of name, pixels, fraction of the indexed ones, medians), `median_index`,
        `median_reliability`, `median_phase_reliability` (over indexed pixels), `neighbour_coherence`,
        `neighbour_pairs`, `neighbour_same_phase` (share of indexed pairs that have one phase), `unreadable_rows`
        (first and last row with patterns that could not be read, or None).
    """
    tally = _Tally(result.phases, angle_deg=coherence_angle_deg)
    tally.add(result, first_row=0)
    return tally.numbers()


def summary_of_file(path: str | os.PathLike[str], *, coherence_angle_deg: float = 5.0) -> dict[str, Any]:
    """`summary` of a result file, in memory that hardly grows with the map."""
    with ResultReader(path) as reader:
        tally = _Tally(reader.phases, angle_deg=coherence_angle_deg)
        for first, last in reader.bands():
            tally.add(reader.rows(max(first - 1, 0), last), first_row=max(first - 1, 0), overlap=first > 0)
        return tally.numbers()


def neighbour_coherence(result: IndexingResult, *, angle_deg: float = 5.0) -> dict[str, Any]:
    """The three neighbour figures of `summary`."""
    tally = _Tally(result.phases, angle_deg=angle_deg)
    tally.add_pairs(result, overlap=False)
    return tally.coherence()


class _Tally:
    """Sums over bands of a map."""

    def __init__(self, phases: tuple[Phase, ...], *, angle_deg: float) -> None:
        self._phases, self._angle = phases, np.deg2rad(angle_deg)
        self._shape = [0, 0]
        self._status = np.zeros(len(Status), np.int64)
        self._values: list[list[NDArray[np.float32]]] = [[] for _ in range(3 * len(phases))]
        self._together = self._same = self._close = 0
        self._unreadable: list[int] = []

    def add(self, band: IndexingResult, *, first_row: int, overlap: bool = False) -> None:
        """Add a band; with `overlap`, its first row was in the one before."""
        self.add_pairs(band, overlap=overlap)
        new = np.s_[int(overlap) :]
        status = band.status[new]
        self._shape = [self._shape[0] + status.shape[0], status.shape[1]]
        self._status += np.bincount(status.ravel(), minlength=len(Status))
        rows = np.flatnonzero((status == Status.UNREADABLE).any(axis=1)) + first_row + int(overlap)
        self._unreadable = [int(r) for r in (*self._unreadable, *rows[:1], *rows[-1:])]
        for number in range(len(self._phases)):
            mine = band.phase_id[new] == number
            for place, values in enumerate((band.index, band.reliability, band.phase_reliability)):
                self._values[3 * number + place].append(values[new][mine])

    def add_pairs(self, band: IndexingResult, *, overlap: bool) -> None:
        """Add the pairs of neighbours in a band."""
        pairs = ((np.s_[int(overlap) :, :-1], np.s_[int(overlap) :, 1:]), (np.s_[:-1, :], np.s_[1:, :]))
        for first, second in pairs:
            a, b = band.phase_id[first], band.phase_id[second]
            self._together += int(((a >= 0) & (b >= 0)).sum())
            for number, phase in enumerate(self._phases):
                pair = (a == number) & (b == number)
                self._same += int(pair.sum())
                angles = disorientation_angle(
                    band.orientation[first][pair], band.orientation[second][pair], phase.symmetry_quaternions
                )
                self._close += int((angles <= self._angle).sum())

    def coherence(self) -> dict[str, Any]:
        return {
            "neighbour_coherence": self._close / self._same if self._same else None,
            "neighbour_pairs": self._same,
            "neighbour_same_phase": self._same / self._together if self._together else None,
        }

    def numbers(self) -> dict[str, Any]:
        by_phase = [np.concatenate(values) if values else np.empty(0, np.float32) for values in self._values]
        pixels = int(np.prod(self._shape, dtype=np.int64))
        indexed = sum(len(values) for values in by_phase[::3])
        reached = pixels - int(self._status[Status.NOT_DONE])
        return {
            "shape": list(self._shape),
            "pixels": pixels,
            "indexed": indexed,
            "fraction_indexed": indexed / reached if reached else 0.0,
            "status": {status.name: int(self._status[status]) for status in Status},
            "phases": [
                {
                    "name": phase.name,
                    "pixels": len(by_phase[3 * number]),
                    "fraction": len(by_phase[3 * number]) / indexed if indexed else 0.0,
                    "median_index": _median(by_phase[3 * number]),
                    "median_reliability": _median(by_phase[3 * number + 1]),
                }
                for number, phase in enumerate(self._phases)
            ],
            "median_index": _median(np.concatenate(by_phase[::3])),
            "median_reliability": _median(np.concatenate(by_phase[1::3])),
            "median_phase_reliability": _median(np.concatenate(by_phase[2::3])),
            **self.coherence(),
            "unreadable_rows": [min(self._unreadable), max(self._unreadable)] if self._unreadable else None,
        }


def _median(values: NDArray[np.float32]) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else None
