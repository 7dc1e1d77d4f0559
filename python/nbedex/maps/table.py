"""What the text formats have in common: the columns of a map, its step, its symmetry codes."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError
from nbedex.maps.orientation import to_euler
from nbedex.maps.result import IndexingResult

log = logging.getLogger(__name__)

# the proper group that EDAX and ASTAR write for each Laue class; 2/m is decided by its axis
_EDAX = {
    "-1": "1",
    "mmm": "22",
    "4/m": "4",
    "4/mmm": "42",
    "-3": "3",
    "-3m": "32",
    "6/m": "6",
    "6/mmm": "62",
    "m-3": "23",
    "m-3m": "43",
}
# number of the Laue group in Channel text files
_CHANNEL = {
    "-1": 1,
    "2/m": 2,
    "mmm": 3,
    "4/m": 4,
    "4/mmm": 5,
    "-3": 6,
    "-3m": 7,
    "6/m": 8,
    "6/mmm": 9,
    "m-3": 10,
    "m-3m": 11,
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of the map, pixel by pixel, (pixels,) each, with pixels that are not wanted marked as not indexed."""

    keep: NDArray[np.bool_]
    row: NDArray[np.int64]  # in the whole map
    column: NDArray[np.int64]
    phase: NDArray[np.int64]  # from 1, 0 where not indexed
    euler: NDArray[np.float64]  # (pixels, 3) radians, NaN where not indexed
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    unit: str  # nm, or px where the step is not known

    @classmethod
    def of(
        cls,
        result: IndexingResult,
        *,
        first_row: int = 0,
        min_index: float | None = None,
        min_reliability: float | None = None,
        min_probability: float | None = None,
    ) -> Table:
        """Columns of rows of a map, the first of which is `first_row`; x, y in nm, or in pixels without a step."""
        keep = result.accepted(
            min_index=min_index, min_reliability=min_reliability, min_probability=min_probability
        ).ravel()
        ny, nx = result.shape
        (dy, dx), unit = grid(result.calibration)
        rows, columns = np.divmod(np.arange(first_row * nx, (first_row + ny) * nx), nx)
        euler = to_euler(result.orientation.reshape(-1, 4))
        euler[~keep] = np.nan
        return cls(
            keep=keep,
            row=rows,
            column=columns,
            phase=np.where(keep, result.phase_id.ravel().astype(np.int64) + 1, 0),
            euler=euler,
            x=columns * dx,
            y=rows * dy,
            unit=unit,
        )


def grid(calibration: Calibration) -> tuple[tuple[float, float], str]:
    """Step of a map (rows, columns) and its unit: nm, or px where the step is not known."""
    return (calibration.step, "nm") if calibration.step else ((1.0, 1.0), "px")


def edax_code(laue_class: str, rotations: NDArray[np.float64], name: str) -> str:
    """Symmetry code of EDAX and ASTAR files for a Laue class.

    For 2/m the code names the axis, which is read off the operators (m, 3, 3): "20" along b, "2" along
    c. Any other setting has no code and is written as triclinic, with a warning.
    """
    if laue_class == "-3m" and not any(np.trace(r) < 0 and r[0, 0] > 0.999 for r in rotations):
        log.warning("phase %s: its 2-fold axes are not along a, where readers of this format put them", name)
    if laue_class in _EDAX:
        return _EDAX[laue_class]
    if laue_class != "2/m":
        raise ArgumentError(f"phase {name}: expected one of the 11 Laue classes, got {laue_class!r}")
    axis = next((r.diagonal() for r in rotations if np.trace(r) < 0), np.zeros(3))
    for code, along in (("20", 1), ("2", 2)):
        if axis[along] > 0.999:
            return code
    log.warning("phase %s: 2/m with its axis along neither b nor c has no code; written as triclinic", name)
    return "1"


def channel_code(laue_class: str, name: str) -> int:
    """Number of the Laue group, 1 to 11, in Channel text files (.ctf)."""
    if laue_class not in _CHANNEL:
        raise ArgumentError(f"phase {name}: expected one of the 11 Laue classes, got {laue_class!r}")
    return _CHANNEL[laue_class]


def plain_name(name: str, number: int) -> str:
    """Name of a phase for a header: one line of printable ASCII without the characters that steer readers."""
    cleaned = "".join(c if " " <= c <= "~" and c not in '#;"' else "_" for c in name)
    return " ".join(cleaned.split()) or f"phase {number}"
