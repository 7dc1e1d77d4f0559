"""What a report page is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade import Blockade, Directions
from nbedex.blockade.expected import Comparison
from nbedex.blockade.sweep import Sweep
from nbedex.boundaries import BoundaryNetwork
from nbedex.calibration import Calibration
from nbedex.grains import GrainMap
from nbedex.maps import IndexingResult
from nbedex.phases import Phase
from nbedex.report.page.current import CurrentMaps
from nbedex.scan import Scan


@dataclass(frozen=True, kw_only=True, eq=False)
class PageContent:
    """A map with all that was worked out from it.

    Attributes
    ----------
    title
        Heading: the name of the result's file.
    grain_map, network
        Grains and boundaries.
    blockade, sweep, comparison, directions
        The boundaries in the uniform field that the page opens with, in one of every degree, and against chance.
    result
        What indexing found; None where only a grain file or a map of another program is at hand.
    phases
        Phases of ours by the names they have in the map, for simulated patterns.
    current
        Of `nbedex transport`; None if there is none.
    scan, calibration
        The open scan for measured patterns, and the geometry of its detector; None where they are not at hand.
    provenance
        Of the result, as in its file.
    notes
        Sentences about what is not on the page, and why.
    """

    title: str
    grain_map: GrainMap
    network: BoundaryNetwork
    blockade: Blockade
    sweep: Sweep
    comparison: Comparison
    directions: Directions
    result: IndexingResult | None = None
    phases: Mapping[str, Phase] = field(default_factory=dict)
    current: CurrentMaps | None = None
    scan: Scan | None = None
    calibration: Calibration | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


_MOST_PIXELS = 512 * 512


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where the map lies on the page, and which of its pixels are shown.

    Attributes
    ----------
    shape
        (ny, nx) pixels shown.
    every
        Every how many rows and columns of the map that is.
    extent
        Left, right, top, bottom in `unit`; the middle of the map's first pixel is the origin, Y runs down.
    view
        The same with room added to maps that are very wide or very tall.
    unit
        nm, or px where the step is not known.
    """

    shape: tuple[int, int]
    every: int
    extent: tuple[float, float, float, float]
    view: tuple[float, float, float, float]
    unit: str

    @classmethod
    def of(cls, grain_map: GrainMap) -> Frame:
        ny, nx = grain_map.grain_id.shape
        every = max(1, int(np.ceil(np.sqrt(ny * nx / _MOST_PIXELS))))
        dy, dx = grain_map.source.step
        rows, columns = -(-ny // every), -(-nx // every)
        extent = -dx / 2, (columns * every - 0.5) * dx, -dy / 2, (rows * every - 0.5) * dy
        return cls(
            shape=(rows, columns),
            every=every,
            extent=extent,
            view=_roomy(extent),
            unit="nm" if grain_map.source.step_known else "px",
        )

    @property
    def aspect(self) -> float:
        """Height over width of what is seen."""
        left, right, top, bottom = self.view
        return (bottom - top) / (right - left)

    def shown(self, values: NDArray[Any]) -> NDArray[Any]:
        """The pixels of a map (ny, nx, ...) that are shown."""
        return np.ascontiguousarray(values[:: self.every, :: self.every])


_FLATTEST, _TALLEST = 0.4, 1.3


def _roomy(extent: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, right, top, bottom = extent
    width, height = right - left, bottom - top
    across = max(0.0, height / _TALLEST - width) / 2
    down = max(0.0, width * _FLATTEST - height) / 2
    return left - across, right + across, top - down, bottom + down
