"""What the beam meets in a lamella: crystals with inclined boundaries, electrodes, inclusions, a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbedex.demo.polygons import areas, check_partition, check_ring, locate
from nbedex.errors import ArgumentError

Floats = NDArray[np.float64]
Part = Literal["grain", "electrode", "insulator", "frame"]


@dataclass(frozen=True)
class Region:
    """One crystal of the lamella, or a part of it that is none.

    Attributes
    ----------
    name
        Such as "G1", "Au-1", "ZrO2-1", "frame".
    role
        What it is for the current.
    phase
        Name of an nbedex phase; None: no crystal (amorphous, too thick to index, or empty).
    orientation
        (w, x, y, z), sample to crystal, in the middle of the region; None without a phase.
    corners
        Indices into the specimen's corners; the ring runs from X towards Y.
    bend_deg
        By how much the crystal is turned from one end of the region to the other.
    bend_axis_deg
        Axis of that turn, in the surface, from X towards Y; the crystal turns along the direction across the axis.
    """

    name: str
    role: Part
    phase: str | None
    orientation: tuple[float, float, float, float] | None
    corners: tuple[int, ...]
    bend_deg: float = 0.0
    bend_axis_deg: float = 0.0


@dataclass(frozen=True, eq=False)
class Specimen:
    """What the beam meets in a lamella: polygons that share their corners, each one crystal (or none).

    Sample frame as everywhere: X right, Y down, Z = X x Y along the beam; nm. (0, 0) is the top left corner of the
    field of view, not the middle of a pixel. Depth runs along Z, from -t/2 to t/2 at thickness t.

    Attributes
    ----------
    size_nm
        Field of view along rows (Y) and columns (X).
    thickness_nm
        At the four corners: top left, top right, bottom left, bottom right; bilinear between them.
    corners
        (v, 2) float64, (y, x) in nm at half thickness.
    lean
        (v, 2) float64, shift (y, x) of a corner in nm per nm of depth, so that boundaries incline; 0 on the outline.
    regions
        They cut the field of view without gap or overlap, at every depth.
    phases
        Names of the phases in it.
    field_deg
        Direction in which Na+ is driven, from X towards Y.

    Raises
    ------
    ArgumentError
        If the regions don't cut the field of view, at half thickness or at a surface, or something is out of range.
    """

    size_nm: tuple[float, float]
    thickness_nm: tuple[float, float, float, float]
    corners: Floats
    lean: Floats
    regions: tuple[Region, ...]
    phases: tuple[str, ...]
    field_deg: float

    def __post_init__(self) -> None:
        if self.corners.ndim != 2 or self.corners.shape[1:] != (2,) or self.lean.shape != self.corners.shape:
            raise ArgumentError(
                f"expected corners and their lean of shape (v, 2), got {self.corners.shape} and {self.lean.shape}"
            )
        numbers = (*self.size_nm, *self.thickness_nm)
        if not (np.isfinite(self.corners).all() and np.isfinite(self.lean).all() and np.isfinite(self.field_deg)):
            raise ArgumentError("corners, lean and field_deg must be finite")
        if not all(np.isfinite(number) and number > 0 for number in numbers):
            raise ArgumentError(
                f"size_nm and thickness_nm must be positive, got {self.size_nm} and {self.thickness_nm}"
            )
        self._check_regions()
        outline = np.any((self.corners == 0) | (self.corners == np.array(self.size_nm)), axis=1)
        if self.lean[outline].any():
            raise ArgumentError("corners on the outline of the field of view must not lean")
        check_partition(self.corners, self.rings, self.names, self.size_nm)
        for depth in (-0.5 * max(self.thickness_nm), 0.5 * max(self.thickness_nm)):
            moved = self.corners + depth * self.lean
            for name, ring in zip(self.names, self.rings, strict=True):
                check_ring(moved[list(ring)], f"{name} at a surface of the lamella")

    def _check_regions(self) -> None:
        if len(set(self.names)) != len(self.regions):
            raise ArgumentError(f"names of regions must differ, got {', '.join(self.names)}")
        for region in self.regions:
            if region.role not in get_args(Part):
                raise ArgumentError(
                    f"role of {region.name!r}: expected {', '.join(get_args(Part))}, got {region.role!r}"
                )
            if (region.phase is None) != (region.orientation is None):
                raise ArgumentError(f"region {region.name!r} needs a phase and an orientation, or neither")
            if region.phase is not None and region.phase not in self.phases:
                raise ArgumentError(f"region {region.name!r} is of phase {region.phase!r}; there are {self.phases}")
            if region.orientation is not None and abs(np.linalg.norm(region.orientation) - 1) > 1e-6:
                raise ArgumentError(
                    f"orientation of {region.name!r} must be a unit quaternion, got {region.orientation}"
                )

    @property
    def rings(self) -> tuple[tuple[int, ...], ...]:
        """Corners of each region."""
        return tuple(region.corners for region in self.regions)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the regions."""
        return tuple(region.name for region in self.regions)

    @property
    def areas_nm2(self) -> Floats:
        """(n,) areas of the regions at half thickness; they add up to the field of view."""
        return areas(self.corners, self.rings)

    def index(self, name: str) -> int:
        """Number of the region of that name."""
        if name not in self.names:
            raise ArgumentError(f"no region is called {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)

    def region_at(self, y_nm: ArrayLike, x_nm: ArrayLike, depth_nm: ArrayLike = 0.0) -> NDArray[np.int64]:
        """Region at points; shapes broadcast. Points outside the field of view get the region at its nearest edge.

        Parameters
        ----------
        y_nm, x_nm
            From the top left corner of the field of view.
        depth_nm
            Along Z, from half thickness.
        """
        y, x, depth = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in (y_nm, x_nm, depth_nm)))
        if not (np.isfinite(y).all() and np.isfinite(x).all() and np.isfinite(depth).all()):
            raise ArgumentError("points must be finite")
        # the last edge belongs to no ring: rings hold their upper left edges, not the lower right ones
        inside_y, inside_x = (
            np.clip(a.ravel(), 0.0, np.nextafter(size, 0.0)) for a, size in zip((y, x), self.size_nm, strict=True)
        )
        found = locate(inside_y, inside_x, self.corners, self.rings, self.lean, depth.ravel())
        return found.reshape(y.shape)

    def map(self, shape: tuple[int, int]) -> NDArray[np.int64]:
        """(ny, nx) region at half thickness in the middle of every pixel of a scan over the whole field of view."""
        y, x = ((np.arange(n) + 0.5) * size / n for n, size in zip(shape, self.size_nm, strict=True))
        return self.region_at(y[:, None], x[None, :])

    def thickness_at(self, y_nm: ArrayLike, x_nm: ArrayLike) -> Floats:
        """Thickness in nm at points; outside the field of view that of its nearest edge."""
        v = np.clip(np.asarray(y_nm, dtype=np.float64) / self.size_nm[0], 0.0, 1.0)
        u = np.clip(np.asarray(x_nm, dtype=np.float64) / self.size_nm[1], 0.0, 1.0)
        top_left, top_right, bottom_left, bottom_right = self.thickness_nm
        top, bottom = top_left + u * (top_right - top_left), bottom_left + u * (bottom_right - bottom_left)
        return np.asarray(top + v * (bottom - top))
