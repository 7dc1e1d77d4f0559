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
    skewness : (n, 2) float64
        Of `whole` and of `peaks`, as `_core.skewness` gives it; what noise scores depends on it.
    """

    whole: NDArray[np.float32]
    peaks: NDArray[np.float32]
    skewness: NDArray[np.float64]

    @classmethod
    def of(cls, whole: NDArray[np.float32], peaks: NDArray[np.float32], *, threads: int = 0) -> Patterns:
        """Patterns whose skewness nobody knows yet."""
        skewness = [_core.skewness(patterns, threads) for patterns in (whole, peaks)]
        return cls(whole, peaks, np.stack(skewness, axis=1))

    def taken(self, some: NDArray[np.intp]) -> Patterns:
        """Some of them, without a copy if they are all."""
        if len(some) == len(self.whole):
            return self
        return Patterns(self.whole[some], self.peaks[some], self.skewness[some])
