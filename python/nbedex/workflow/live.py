"""The map as far as it is known, drawn while a run goes on."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import NbedexError
from nbedex.indexing import Region
from nbedex.maps import Head, IndexingResult
from nbedex.maps.result import ARRAYS

log = logging.getLogger(__name__)

_CELLS = 256  # of the picture along the longer side of the map, at most
_BUSY = 20.0  # drawing takes at most a twentieth of the time


class LivePicture:
    """A small copy of the map, and its picture.

    Parameters
    ----------
    path
        PNG to write, again and again; it is whole at any time.
    head, region
        Of the run.
    seconds
        From one picture to the next, at least.
    """

    def __init__(self, path: Path, head: Head, region: Region, *, seconds: float) -> None:
        self.path, self._region, self._seconds = path, region, seconds
        ny, nx = region.map_shape
        self._factor = max(1, -(-max(ny, nx) // _CELLS))
        shape = (-(-ny // self._factor), -(-nx // self._factor))
        step = head.calibration.step
        calibration = replace(head.calibration, step=step and (step[0] * self._factor, step[1] * self._factor))
        self._map = IndexingResult.empty(shape, head.phases, calibration, n_rivals=head.n_rivals, n_more=head.n_more)
        self._spread = 1
        self._due = time.monotonic() + seconds

    def add(self, patterns: NDArray[np.intp], records: NDArray[Any], spread: int) -> None:
        """Put records (n,) of patterns (n,) into the map, each over spread x spread pixels; draw when it is time."""
        if spread < self._spread:
            self.draw()  # the preview is complete
        self._spread = spread
        pixels = self._region.pixels(patterns)
        inside = pixels >= 0
        rows, columns = np.divmod(pixels[inside], self._region.map_shape[1])
        records = records[inside]
        ny, nx = self._map.shape
        reach = range(0, spread, self._factor)
        for down in reach:
            for right in reach:
                row = np.minimum((rows + down) // self._factor, ny - 1)
                column = np.minimum((columns + right) // self._factor, nx - 1)
                for name in ARRAYS:
                    getattr(self._map, name)[row, column] = records[name]
        if time.monotonic() >= self._due:
            self.draw()

    def draw(self) -> None:
        """Write the picture; that it can't be is no reason to stop."""
        from nbedex.report import plot_maps

        started = time.monotonic()
        try:
            plot_maps(self._map, self.path, kind="ipf-z", overwrite=True, dpi=100)
        except NbedexError as error:
            log.info("no live picture: %s", error)
        now = time.monotonic()
        self._due = now + max(self._seconds, _BUSY * (now - started))
