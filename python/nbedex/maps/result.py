"""The result of indexing: what is known about every pixel of a map, and why a pixel is not indexed."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError

if TYPE_CHECKING:
    from nbedex.phases import Phase


class Status(IntEnum):
    """Why a pixel has, or has not, got an orientation. `sentence` says it in words."""

    sentence: str

    def __new__(cls, value: int, sentence: str = "") -> Status:
        member = int.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    OK = 0, "Indexed."
    BLANK = 1, "The pattern is blank: every used pixel has the same value."
    SATURATED = 2, "Too much of the pattern is at the detector's ceiling."
    NON_FINITE = 3, "The pattern holds values that are not finite numbers."
    LOW_SIGNAL = 4, "There is too little signal outside the direct beam to index."
    NO_MATCH = 5, "No phase fits: the best score is not above what noise alone gives."
    UNREADABLE = 6, "The pattern could not be read from the file."
    NOT_DONE = 7, "Outside the chosen region, or the run stopped before it got here."
    NO_SPOTS = 8, "No spots stand out of the noise: vacuum, or amorphous."


# of patterns that can be used, whatever was found in them
USABLE = (Status.OK, Status.NO_MATCH, Status.NO_SPOTS)


# name -> (dtype, the axes after (ny, nx)); "n" rivals, "p" phases, "m" crystals after the first
ARRAYS: dict[str, tuple[str, tuple[int | str, ...]]] = {
    "phase_id": ("int16", ()),
    "orientation": ("float64", (4,)),
    "index": ("float32", ()),
    "reliability": ("float32", ()),
    "phase_reliability": ("float32", ()),
    "mirror_margin": ("float32", ()),
    "half_turn_margin": ("float32", ()),
    "probability": ("float32", ()),
    "uncertainty_deg": ("float32", ()),
    "center": ("float32", (2,)),
    "status": ("uint8", ()),
    "rival_phase_id": ("int16", ("n",)),
    "rival_orientation": ("float64", ("n", 4)),
    "rival_score": ("float32", ("n",)),
    "phase_score": ("float32", ("p",)),
    "template_id": ("int32", ()),
    "mirrored": ("bool", ()),
    "reranked": ("bool", ()),
    "dynamical_score": ("float32", ()),
    "thickness_nm": ("float32", ()),
    "thickness_error_nm": ("float32", ()),
    "overlap_phase_id": ("int16", ("m",)),
    "overlap_orientation": ("float64", ("m", 4)),
    "overlap_share": ("float32", ("m",)),
    "overlap_probability": ("float32", ("m",)),
}
# what an array holds where nothing is known; NaN for the rest
_NOTHING: dict[str, float] = {
    "phase_id": -1,
    "rival_phase_id": -1,
    "template_id": -1,
    "overlap_phase_id": -1,
    "mirrored": 0,
    "reranked": 0,
    "status": Status.NOT_DONE,
}


@dataclass(kw_only=True, eq=False, repr=False)
class IndexingResult:
    """Everything indexing found, as arrays over the map, (ny, nx, ...).

    Attributes
    ----------
    phases
        The phases that competed; `phase_id` counts in this tuple.
    phase_id
        (ny, nx) int16, index into `phases`, -1 where not indexed.
    orientation
        (ny, nx, 4) float64, unit quaternion (w, x, y, z), w >= 0, that takes vectors of the sample frame
        into the crystal frame; NaN where not indexed.
    index
        (ny, nx) float32, normalised correlation of the best match, in [-1, 1]. It may be there for a
        pixel that is not indexed (NO_MATCH); NaN where nothing was matched.
    reliability
        (ny, nx) float32, percent, 100 (1 - Q2/Q1) [Rauch2014]: Q1 the best score, Q2 that of the best
        distinct orientation of the same phase. Without such a rival, the percentage below which one
        would have been found (`MatchSettings.rival_share`); NaN if all were looked for.
    phase_reliability
        (ny, nx) float32, percent, the same against the best of all other phases.
    mirror_margin, half_turn_margin
        (ny, nx) float32, percent, the same against the winner's mirror image and against the winner
        turned by 180 degrees about the beam; NaN where symmetry makes that rival equivalent.
    probability
        (ny, nx) float32 in [0, 1], that phase and orientation (within 2 degrees) are right, calibrated on simulated
        patterns (docs/decisions/confidence.md); 0 where no phase fits.
    uncertainty_deg
        (ny, nx) float32, angle within which 68 % of right orientations lie; NaN where it is not known.
    center
        (ny, nx, 2) float32, position (row, column) of the direct beam, pixels.
    status
        (ny, nx) uint8, a `Status`; OK exactly where `phase_id` is not -1.
    rival_phase_id, rival_orientation, rival_score
        (ny, nx, n), (ny, nx, n, 4), (ny, nx, n): the n best distinct orientations over all phases, best
        first, the winner included; padded with -1 and NaN.
    phase_score
        (ny, nx, n_phases) float32, best score of each phase, NaN where not matched or too low for a rival.
    template_id
        (ny, nx) int32, number of the winning template in the library, -1 where there is none.
    mirrored
        (ny, nx) bool, whether the winning template was used as its mirror image.
    reranked
        (ny, nx) bool, whether Bloch waves had the last word about phase and orientation (`--rerank`).
    dynamical_score
        (ny, nx) float32 in [0, 1], agreement of the spots with those of the crystal at its best tilt and thickness; NaN
        where not reranked.
    thickness_nm, thickness_error_nm
        (ny, nx) float32, thickness of the crystal along the beam, and its standard deviation; NaN where not reranked.
    overlap_phase_id, overlap_orientation, overlap_share, overlap_probability
        (ny, nx, m), (ny, nx, m, 4), (ny, nx, m), (ny, nx, m): crystals after the first in the same pattern, -1 and NaN
        where there is none; m is 0 unless they were looked for. `share` is theirs of the intensity in spots.
    calibration
        The geometry that was used, scan step included.
    provenance
        What can be written as JSON: versions, effective configuration, input, library hash, times.

    Raises
    ------
    ArgumentError
        By `validate`, which runs on construction: names the array, what was expected and what came.
    """

    phases: tuple[Phase, ...]
    calibration: Calibration
    phase_id: NDArray[np.int16]
    orientation: NDArray[np.float64]
    index: NDArray[np.float32]
    reliability: NDArray[np.float32]
    phase_reliability: NDArray[np.float32]
    mirror_margin: NDArray[np.float32]
    half_turn_margin: NDArray[np.float32]
    probability: NDArray[np.float32]
    uncertainty_deg: NDArray[np.float32]
    center: NDArray[np.float32]
    status: NDArray[np.uint8]
    rival_phase_id: NDArray[np.int16]
    rival_orientation: NDArray[np.float64]
    rival_score: NDArray[np.float32]
    phase_score: NDArray[np.float32]
    template_id: NDArray[np.int32]
    mirrored: NDArray[np.bool_]
    reranked: NDArray[np.bool_]
    dynamical_score: NDArray[np.float32]
    thickness_nm: NDArray[np.float32]
    thickness_error_nm: NDArray[np.float32]
    overlap_phase_id: NDArray[np.int16]
    overlap_orientation: NDArray[np.float64]
    overlap_share: NDArray[np.float32]
    overlap_probability: NDArray[np.float32]
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.phases = tuple(self.phases)
        self.validate()

    @classmethod
    def empty(
        cls,
        shape: tuple[int, int],
        phases: tuple[Phase, ...],
        calibration: Calibration,
        *,
        n_rivals: int = 5,
        n_more: int = 0,
        provenance: dict[str, Any] | None = None,
    ) -> IndexingResult:
        """Result of `shape` (ny, nx) in which every pixel is NOT_DONE, to be filled block by block."""
        arrays: dict[str, Any] = {}
        for name, (dtype, axes) in ARRAYS.items():
            full = (*shape, *_sizes(axes, n=n_rivals, p=len(phases), m=n_more))
            arrays[name] = np.full(full, _NOTHING.get(name, np.nan), dtype=dtype)
        return cls(phases=phases, calibration=calibration, provenance=dict(provenance or {}), **arrays)

    @property
    def shape(self) -> tuple[int, int]:
        """Size of the map, (ny, nx)."""
        ny, nx = self.phase_id.shape
        return int(ny), int(nx)

    @property
    def n_rivals(self) -> int:
        """How many distinct solutions are kept per pixel."""
        return int(self.rival_phase_id.shape[2])

    @property
    def indexed(self) -> NDArray[np.bool_]:
        """(ny, nx), True where the pixel has a phase and an orientation."""
        return np.asarray(self.phase_id >= 0)

    def accepted(
        self,
        *,
        min_index: float | None = None,
        min_reliability: float | None = None,
        min_probability: float | None = None,
    ) -> NDArray[np.bool_]:
        """(ny, nx), True where indexed and not under the cut-offs.

        `min_index` is a correlation in [-1, 1], `min_reliability` a percentage, `min_probability` in [0, 1]. A pixel
        without a rival (reliability NaN) is not cut off.
        """
        check_cutoffs(min_index, min_reliability, min_probability)
        keep = self.indexed
        if min_index is not None:
            keep &= ~(self.index < min_index)
        if min_reliability is not None:
            keep &= ~(self.reliability < min_reliability)
        if min_probability is not None:
            keep &= ~(self.probability < min_probability)
        return keep

    def validate(self) -> None:
        """Raise ArgumentError unless shapes, types and values agree with one another."""
        if not self.phases:
            raise ArgumentError("phases must hold at least one phase, got none")
        if not isinstance(self.calibration, Calibration):
            raise ArgumentError(f"calibration must be a Calibration, got {type(self.calibration).__name__}")
        if not isinstance(self.provenance, dict):
            raise ArgumentError(f"provenance must be a dict, got {type(self.provenance).__name__}")
        self._check_shapes()
        self._check_values()

    def _check_shapes(self) -> None:
        for name in ARRAYS:
            if not isinstance(getattr(self, name), np.ndarray):
                raise ArgumentError(f"{name} must be a NumPy array, got {type(getattr(self, name)).__name__}")
        if self.phase_id.ndim != 2 or 0 in self.phase_id.shape:
            raise ArgumentError(f"phase_id must have the shape (ny, nx) of a map, got {self.phase_id.shape}")
        if self.rival_phase_id.ndim != 3:
            raise ArgumentError(f"rival_phase_id must have 3 axes (ny, nx, n), got {self.rival_phase_id.shape}")
        for name, (dtype, axes) in ARRAYS.items():
            array = getattr(self, name)
            shape = (*self.shape, *_sizes(axes, n=self.n_rivals, p=len(self.phases), m=self.overlap_phase_id.shape[-1]))
            if array.shape != shape:
                raise ArgumentError(f"{name} must have the shape {shape}, got {array.shape}")
            if array.dtype != np.dtype(dtype):
                raise ArgumentError(f"{name} must be {dtype}, got {array.dtype}")

    def _check_values(self) -> None:
        for name in ("phase_id", "rival_phase_id", "overlap_phase_id"):
            ids = getattr(self, name)
            if ids.size and not (ids.min() >= -1 and ids.max() < len(self.phases)):
                raise ArgumentError(
                    f"{name} must lie between -1 and {len(self.phases) - 1} ({len(self.phases)} phases),"
                    f" got {ids.min()} to {ids.max()}"
                )
        if self.status.max() > max(Status):
            raise ArgumentError(f"status must lie between 0 and {max(Status)}, got {self.status.max()}")
        if bool(np.any((self.status == Status.OK) != self.indexed)):
            raise ArgumentError("status must be OK exactly where phase_id is not -1, and it is not everywhere")
        for name, (dtype, _) in ARRAYS.items():
            if dtype.startswith("float") and bool(np.isinf(getattr(self, name)).any()):
                raise ArgumentError(f"{name} must hold numbers, or NaN where not known, got infinity")
        _check_orientations("orientation", self.orientation, self.indexed)
        _check_orientations("rival_orientation", self.rival_orientation, self.rival_phase_id >= 0)
        _check_orientations("overlap_orientation", self.overlap_orientation, self.overlap_phase_id >= 0)
        if bool(np.any(np.abs(self.index) > 1 + 1e-5)):
            raise ArgumentError(f"index must lie in [-1, 1], got up to {np.nanmax(np.abs(self.index))}")
        if bool(np.any(np.isnan(self.index[self.indexed]))):
            raise ArgumentError("index must be a number wherever a pixel is indexed, got NaN")

    def __repr__(self) -> str:
        ny, nx = self.shape
        names = ", ".join(phase.name for phase in self.phases)
        return f"IndexingResult({ny} x {nx} pixels, {int(self.indexed.sum())} indexed, phases: {names})"

    def _repr_html_(self) -> str:
        rows = []
        total = self.phase_id.size
        for number, phase in enumerate(self.phases):
            mine = self.phase_id == number
            count = int(mine.sum())
            score = f"{np.median(self.index[mine]):.3f}" if count else "-"
            rows.append((phase.name, str(count), f"{100 * count / total:.1f} %", score))
        for status in Status:
            count = int((self.status == status).sum())
            if status is not Status.OK and count:
                rows.append((status.sentence, str(count), f"{100 * count / total:.1f} %", "-"))
        head = "".join(f"<th>{text}</th>" for text in ("", "pixels", "share", "median index"))
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        return f"<p>{html.escape(repr(self))}</p><table><tr>{head}</tr>{body}</table>"


class Cutoffs(TypedDict, total=False):
    """Arguments of `IndexingResult.accepted`, as they are handed on."""

    min_index: float | None
    min_reliability: float | None
    min_probability: float | None


def check_cutoffs(min_index: float | None, min_reliability: float | None, min_probability: float | None = None) -> None:
    """Raise ArgumentError unless the cut-offs are None or within their range."""
    if min_index is not None and not -1 <= min_index <= 1:
        raise ArgumentError(
            f"min_index must lie between -1 and 1 (a correlation, not ASTAR's scale), got {min_index!r}"
        )
    if min_reliability is not None and not -100 <= min_reliability <= 100:
        raise ArgumentError(f"min_reliability must lie between -100 and 100 percent, got {min_reliability!r}")


def _sizes(axes: tuple[int | str, ...], **known: int) -> tuple[int, ...]:
    return tuple(known[axis] if isinstance(axis, str) else axis for axis in axes)


def _check_orientations(name: str, quaternions: NDArray[np.float64], there: NDArray[np.bool_]) -> None:
    """Unit quaternions with w >= 0 where `there`, NaN elsewhere."""
    inside = quaternions[there]
    with np.errstate(invalid="ignore"):
        good = (np.abs(np.linalg.norm(inside, axis=-1) - 1) < 1e-6) & (inside[..., 0] >= 0)
    if not bool(np.all(good)):
        bad = inside[~good][0]
        raise ArgumentError(f"{name} must hold unit quaternions with w >= 0 where indexed, got {bad.tolist()}")
    if not bool(np.all(np.isnan(quaternions[~there]))):
        raise ArgumentError(f"{name} must be NaN where not indexed, and it is not everywhere")
