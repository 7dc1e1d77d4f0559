"""What Bloch waves said of a grain, kept with a pooled map: the answer, how sure it is, and what else is open.

The map itself has room for one solution. Where the patterns of a grain leave several, the others go into the result's
provenance with one pixel of the grain, by which they are found again when grains are made of that map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Solutions = tuple[tuple[int, Array, float], ...]  # phase, orientation (4,), probability


@dataclass(frozen=True, eq=False)
class GrainAnswer:
    """What Bloch waves said of one grain.

    Attributes
    ----------
    pixel
        Row and column of a pixel that has the answer.
    n_pixels
        How many have it.
    phase_id, orientation, probability
        The answer: (4,) sample to crystal, and how probable it is.
    others
        Phase, orientation and probability of the other solutions that are left, most probable first.
    """

    pixel: tuple[int, int]
    n_pixels: int
    phase_id: int
    orientation: Array
    probability: float
    others: Solutions = ()

    def to_dict(self) -> dict[str, Any]:
        """For the provenance of a result."""

        def one(phase: int, orientation: Array, probability: float) -> dict[str, Any]:
            return {"phase_id": phase, "orientation": orientation.tolist(), "probability": round(probability, 4)}

        return {
            "pixel": list(self.pixel),
            "n_pixels": self.n_pixels,
            **one(self.phase_id, self.orientation, self.probability),
            "others": [one(*other) for other in self.others],
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> GrainAnswer:
        """From `to_dict`."""

        def one(of: Mapping[str, Any]) -> tuple[int, Array, float]:
            return int(of["phase_id"]), np.array(of["orientation"], dtype=np.float64), float(of["probability"])

        row, column = stored["pixel"]
        others = tuple(one(other) for other in stored["others"])
        return cls((int(row), int(column)), int(stored["n_pixels"]), *one(stored), others)


def stored_answers(provenance: Mapping[str, Any]) -> tuple[GrainAnswer, ...]:
    """Those in the provenance of a pooled result; none in that of others."""
    return tuple(GrainAnswer.from_dict(one) for one in provenance.get("pooling", {}).get("grains", ()))
