"""Which crystals the beam meets at every position of a scan: the column through the specimen, split by depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from nbedex.demo.specimen import Specimen
from nbedex.errors import ArgumentError
from nbedex.maps.orientation import canonical, conjugate, multiply
from nbedex.settings import Settings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SLICES = 24  # of a column; a crystal is met in whole slices
_SMALLEST_PART = 0.08  # of a column; less is left out


class Raster(Settings, frozen=True, kw_only=True):
    """Where the beam stands.

    Attributes
    ----------
    shape
        Scan rows and columns, spread evenly over the specimen.
    drift_nm
        How far (Y, X) the specimen moves under the beam from the first position to the last, nm: slowly, row by row.
    """

    shape: tuple[Annotated[int, Meta(ge=2)], Annotated[int, Meta(ge=2)]] = (64, 64)
    drift_nm: tuple[float, float] = (20.0, -12.0)

    def step_nm(self, specimen: Specimen) -> tuple[float, float]:
        """Between rows and between columns."""
        return specimen.size_nm[0] / self.shape[0], specimen.size_nm[1] / self.shape[1]

    def places(self, specimen: Specimen, number: Ints) -> tuple[Floats, Floats]:
        """(y, x) in nm on the specimen of positions (n,) in reading order."""
        ny, nx = self.shape
        if number.min(initial=0) < 0 or number.max(initial=0) >= ny * nx:
            raise ArgumentError(f"the scan has positions 0 to {ny * nx - 1}")
        dy, dx = self.step_nm(specimen)
        elapsed = number / (ny * nx - 1) - 0.5
        y = (number // nx + 0.5) * dy + self.drift_nm[0] * elapsed
        x = (number % nx + 0.5) * dx + self.drift_nm[1] * elapsed
        # what would lie beyond the edge is the edge
        return np.clip(y, 0.0, specimen.size_nm[0]), np.clip(x, 0.0, specimen.size_nm[1])


@dataclass(frozen=True, eq=False)
class Columns:
    """What the beam meets; rows are parts of columns, the largest part of a column first.

    Attributes
    ----------
    position : (n,) int64
        In reading order.
    region : (n,) int64
        Of the specimen.
    share : (n,) float64
        Of the column's thickness; those of a column add up to one.
    depth_nm : (n,) float64
        What the beam passes of the region.
    orientation : (n, 4) float64
        Of the crystal there, sample to crystal; NaN where the region is none.
    """

    position: Ints
    region: Ints
    share: Floats
    depth_nm: Floats
    orientation: Floats

    @property
    def first(self) -> Ints:
        """Row of the largest part of every column."""
        return np.flatnonzero(np.diff(self.position, prepend=-1)).astype(np.int64)


def columns(specimen: Specimen, raster: Raster, number: Ints) -> Columns:
    """The columns at positions `number` (n,), ascending; each is the same whatever others are asked for."""
    y, x = raster.places(specimen, number)
    thickness = np.asarray(specimen.thickness_at(y, x), dtype=np.float64)
    depth = thickness[:, None] * ((np.arange(_SLICES) + 0.5) / _SLICES - 0.5)
    region = specimen.region_at(y[:, None], x[:, None], depth)
    share = np.stack([(region == r).mean(axis=1) for r in range(len(specimen.regions))], axis=1)
    share[share < _SMALLEST_PART] = 0.0
    share /= share.sum(axis=1, keepdims=True)
    order = np.argsort(-share, axis=1, kind="stable")
    share = np.take_along_axis(share, order, axis=1)
    row, rank = np.nonzero(share > 0)
    which = order[row, rank].astype(np.int64)
    return Columns(
        position=number[row],
        region=which,
        share=share[row, rank],
        depth_nm=share[row, rank] * thickness[row],
        orientation=local_orientation(specimen, which, y[row], x[row]),
    )


def local_orientation(specimen: Specimen, region: Ints, y_nm: Floats, x_nm: Floats) -> Floats:
    """Orientation (n, 4) of bent crystals at places: the lattice turns by `bend_deg` across the region.

    It turns about an axis in the lamella, `bend_axis_deg` from X towards Y, in proportion to the distance from that
    axis through the middle of the region's corners; NaN where a region is no crystal.
    """
    out = np.full((len(region), 4), np.nan)
    for r in np.unique(region):
        crystal = specimen.regions[r]
        if crystal.orientation is None:
            continue
        here = region == r
        axis = np.deg2rad(crystal.bend_axis_deg)
        corners = specimen.corners[list(crystal.corners)]
        span = np.cos(axis) * corners[:, 0] - np.sin(axis) * corners[:, 1]
        across = np.cos(axis) * y_nm[here] - np.sin(axis) * x_nm[here]
        reach = max(float(np.ptp(span)), 1.0)
        half = 0.5 * np.deg2rad(crystal.bend_deg) * (across - 0.5 * (span.min() + span.max())) / reach
        turn = np.stack([np.cos(half), np.sin(half) * np.cos(axis), np.sin(half) * np.sin(axis), 0 * half], axis=1)
        # the crystal is turned in the sample: sample vectors are first turned back
        out[here] = canonical(multiply(np.asarray(crystal.orientation, dtype=np.float64), conjugate(turn)))
    return out
