"""What the core's functions on maps are called with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nbedex.grains.model import Floats, OrientationMap

T = TypeVar("T")


@dataclass(frozen=True)
class MapArrays:
    """Phases (ny, nx) int16, orientations (ny, nx, 4) and every phase's operators (m, 4), C-contiguous and aligned."""

    phase_id: NDArray[np.int16]
    orientation: Floats
    symmetry: list[Floats]

    @classmethod
    def of(cls, source: OrientationMap, phase_id: NDArray[np.int16] | None = None) -> MapArrays:
        """Those of a map, with other phases if `phase_id` is given."""
        return cls(
            plain(source.phase_id if phase_id is None else phase_id, np.int16),
            plain(source.orientation, np.float64),
            [plain(phase.symmetry, np.float64) for phase in source.phases],
        )

    def call(self, function: Callable[..., T], **options: Any) -> T:
        """`function` of the core on this map."""
        return function(self.phase_id, self.orientation, self.symmetry, **options)


def plain(array: NDArray[Any], dtype: Any) -> Any:
    """The array as the core takes it, copied only if it must be."""
    return np.require(array, dtype, ["C", "A"])


def flags(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A mask as the core takes it."""
    return np.ascontiguousarray(mask).view(np.uint8)
