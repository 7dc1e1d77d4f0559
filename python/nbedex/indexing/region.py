"""Which patterns of a scan make the map: a rectangle of it, every n-th row and column, and within that a mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError


@dataclass(frozen=True, kw_only=True)
class Region:
    """Rows and columns of a scan that become those of the map.

    What is found at a pattern does not depend on the region it is indexed in.

    Attributes
    ----------
    scan_shape
        Rows and columns of the scan.
    rows, columns
        Ranges [first, last) of it.
    every
        Only each n-th row and column of these, from the first.
    """

    scan_shape: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]
    every: int = 1

    def __post_init__(self) -> None:
        for name, (first, last), size in zip(
            ("rows", "columns"), (self.rows, self.columns), self.scan_shape, strict=True
        ):
            if not 0 <= first < last <= size:
                raise ArgumentError(
                    f"the region's {name} {first}:{last} are not within the scan's 0:{size}, or empty (--roi)"
                )
        if self.every < 1:
            raise ArgumentError(f"every must be at least 1, got {self.every} (--every)")

    @classmethod
    def whole(cls, scan_shape: tuple[int, int], every: int = 1) -> Region:
        """The whole scan, or each n-th row and column of it."""
        return cls(scan_shape=scan_shape, rows=(0, scan_shape[0]), columns=(0, scan_shape[1]), every=every)

    @property
    def is_whole(self) -> bool:
        return self.map_shape == self.scan_shape

    @property
    def map_shape(self) -> tuple[int, int]:
        """Rows and columns of the map."""
        ny, nx = (-(-(last - first) // self.every) for first, last in (self.rows, self.columns))
        return ny, nx

    @property
    def size(self) -> int:
        """Pixels of the map."""
        return self.map_shape[0] * self.map_shape[1]

    def pixels(self, patterns: NDArray[np.intp]) -> NDArray[np.intp]:
        """Flat map pixels (n,) of patterns (n,) numbered over the scan; -1 where they are not in the map."""
        rows, columns = np.divmod(np.asarray(patterns, np.int64), self.scan_shape[1])
        found = np.ones(rows.shape, bool)
        for place, (first, last) in ((rows, self.rows), (columns, self.columns)):
            found &= (place >= first) & (place < last) & ((place - first) % self.every == 0)
        row, column = (rows - self.rows[0]) // self.every, (columns - self.columns[0]) // self.every
        return np.where(found, row * self.map_shape[1] + column, -1)

    def patterns_of_rows(self, first: int, last: int) -> tuple[int, int]:
        """Lowest pattern in map rows [first, last), and the one after the highest."""
        low = (self.rows[0] + first * self.every) * self.scan_shape[1] + self.columns[0]
        high = (self.rows[0] + (last - 1) * self.every) * self.scan_shape[1] + self.columns[1]
        return low, high

    def wanted(self, mask: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """Patterns (n,) of the scan that are in the map, and where the mask (scan rows, columns) is true."""
        chosen = np.zeros(self.scan_shape, bool)
        part = (slice(*self.rows, self.every), slice(*self.columns, self.every))
        chosen[part] = True if mask is None else mask[part]
        return chosen.reshape(-1)

    def to_dict(self) -> dict[str, Any]:
        return {
            "scan": list(self.scan_shape),
            "rows": list(self.rows),
            "columns": list(self.columns),
            "every": self.every,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Region:
        """What `to_dict` made."""
        scan, rows, columns = (tuple(int(n) for n in values[name]) for name in ("scan", "rows", "columns"))
        return cls(
            scan_shape=(scan[0], scan[1]),
            rows=(rows[0], rows[1]),
            columns=(columns[0], columns[1]),
            every=int(values["every"]),
        )


def check_mask(mask: NDArray[np.bool_], scan_shape: tuple[int, int]) -> None:
    """Refuse a mask of patterns that does not fit the scan or chooses none."""
    if mask.shape != scan_shape:
        raise ArgumentError(
            f"the mask of the region has shape {mask.shape}, the scan {scan_shape}; it must be boolean (scan rows, scan"
            " columns), true where a pattern is to be indexed (--roi-mask)"
        )
    if not mask.any():
        raise ArgumentError("the mask of the region chooses no pattern; true means: index this one (--roi-mask)")


def coarse(region: Region, wanted: NDArray[np.bool_], *, at_most: int) -> tuple[NDArray[np.bool_], int]:
    """An evenly spread part of the patterns wanted, for a quick first look.

    Returns
    -------
    chosen
        (n,) bool over the scan.
    stride
        Map pixels from one to the next along either axis.
    """
    stride = max(1, int(np.ceil(np.sqrt(np.count_nonzero(wanted) / at_most))))
    sparse = Region(scan_shape=region.scan_shape, rows=region.rows, columns=region.columns, every=region.every * stride)
    return sparse.wanted() & wanted, stride
