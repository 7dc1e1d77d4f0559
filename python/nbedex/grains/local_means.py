"""Patterns of grains as they are asked: less noise, and hardly another tilt or thickness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.scan import Scan

_AROUND = 1  # scan positions


@dataclass(frozen=True, eq=False)
class LocalMeans:
    """Each the mean of the patterns around it in its grain, three by three.

    Attributes
    ----------
    scan
        The scan.
    centers : (ny, nx, 2)
        Direct beam of every pattern (row, column), pixels.
    label : (ny, nx) int
        Grain of every pixel.
    """

    scan: Scan
    centers: NDArray[np.floating[Any]]
    label: NDArray[np.integer]

    def at(self, pixels: NDArray[np.integer]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Around scan positions (m,), flat numbers: frames (m, det_y, det_x) and their direct beams (m, 2)."""
        frames = np.stack([self._around(int(pixel)) for pixel in pixels])
        return frames, np.ascontiguousarray(self.centers.reshape(-1, 2)[pixels], dtype=np.float64)

    def _around(self, pixel: int) -> NDArray[np.float32]:
        ny, nx = self.label.shape
        row, column = divmod(pixel, nx)
        rows = np.arange(max(row - _AROUND, 0), min(row + _AROUND + 1, ny))
        columns = np.arange(max(column - _AROUND, 0), min(column + _AROUND + 1, nx))
        near = (rows[:, None] * nx + columns).ravel()
        near = near[self.label.ravel()[near] == self.label[row, column]]
        frames = np.nan_to_num(self.scan.read_at(near).astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        return np.asarray(frames.mean(axis=0, dtype=np.float64), dtype=np.float32)
