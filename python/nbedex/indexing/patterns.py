"""Polar patterns on their way from frames to orientations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex import _core


@dataclass(frozen=True, eq=False)
class Patterns:
    """n patterns, each as it is refined and as it is searched.

    Attributes
    ----------
    whole : (n, rings, azimuths) float32
        What is above the background.
    peaks : (n, rings, azimuths) float32
        What is far above it: hardly more than spots.
    sums : (2, n, 3) float64
        Of `whole` and of `peaks`, as `_core.power_sums` gives them: mean, norm, and what noise scores, come from them.
    """

    whole: NDArray[np.float32]
    peaks: NDArray[np.float32]
    sums: NDArray[np.float64]

    @classmethod
    def of(cls, whole: NDArray[np.float32], peaks: NDArray[np.float32], *, threads: int = 0) -> Patterns:
        """Patterns whose sums nobody knows yet."""
        return cls(whole, peaks, np.stack([_core.power_sums(patterns, threads) for patterns in (whole, peaks)]))

    def taken(self, some: NDArray[np.intp]) -> Patterns:
        """Some of them, without a copy if they are all."""
        if len(some) == len(self.whole):
            return self
        return Patterns(self.whole[some], self.peaks[some], np.take(self.sums, some, axis=1))
