"""Dynamical re-ranking: which of a few candidates a pattern really is, told by Bloch waves.

Kinematical matching finds the truth among its best distinct candidates nearly always, but on thick crystals it does not
always put it first. Dynamical intensities tell them apart once each candidate is given the tilt, the turn and the
thickness that suit it best: they change within tenths of a degree, so a candidate as matching has it, up to half a
degree off, would lose against any other. What is done, and why: cpp/include/nbedex/rerank.hpp and
docs/decisions/re-ranking.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.calibration import Calibration, electron_wavelength
from nbedex.errors import ArgumentError
from nbedex.indexing.settings import RerankSettings
from nbedex.indexing.spot_filter import NARROW
from nbedex.library.dynamical import DynamicalCrystal, DynamicalSettings
from nbedex.maps.orientation import canonical
from nbedex.phases import Phase

Array = NDArray[np.float64]

# Largest and strong excitation errors, 1/angstrom: while searching, and for what is reported.
COARSE, FINE = (0.02, 0.0075), (0.03, 0.01)
_BEAMS_BEYOND = 1.05  # beams outside the annulus that is compared take part, too
# Standard deviation with which spots are read, in pixels, from their radius: disks a little narrower than they are, or
# their neighbours come in (docs/decisions/re-ranking.md).
_WIDTH_SLOPE, _WIDTH = 0.6, 0.3
_WIDEST_NARROW = 0.0126  # 1/angstrom: of spots too narrow for their radius to be measured


@dataclass(frozen=True, eq=False)
class RerankEngine:
    """Everything that is the same for all patterns of a run.

    Attributes
    ----------
    crystals
        By phase.
    options
        Of the search.
    settings
        As given.
    """

    crystals: tuple[DynamicalCrystal, ...]
    options: _core.RerankOptions
    settings: RerankSettings


@dataclass(frozen=True, eq=False)
class Reranked:
    """What Bloch waves say of candidates (n, k); NaN where one was not tried.

    Attributes
    ----------
    orientation : (n, k, 4) float64
        Refined, sample to crystal; of those not tried, as they were.
    score : (n, k) float64
        Mean of the cosines between measured and simulated spots to the powers 1/4 and 1/2, in [0, 1].
    evidence : (n, k) float64
        How much speaks for it, the kinematical score included: differences are logarithms of odds.
    thickness_nm, thickness_error_nm : (n, k) float64
        Thickness that fits best, and its standard deviation.
    orientation_error_deg : (n, k) float64
        Standard deviation of tilts about any axis across the beam; only of the best candidate.
    explained : (n, k) float64
        Share of the counts in peaks that its spots account for.
    """

    orientation: Array
    score: Array
    evidence: Array
    thickness_nm: Array
    thickness_error_nm: Array
    orientation_error_deg: Array
    explained: Array

    @property
    def tried(self) -> NDArray[np.bool_]:
        """(n, k)"""
        return np.isfinite(self.evidence)

    @property
    def order(self) -> NDArray[np.intp]:
        """Candidates (n, k), best first; those not tried come last, as they stood."""
        return np.argsort(np.where(self.tried, -self.evidence, np.inf), axis=1, kind="stable")

    @property
    def lead(self) -> Array:
        """(n,) logarithm of the odds of the best candidate against all others tried together; NaN where none was."""
        evidence = np.where(self.tried, self.evidence, -np.inf)
        best = evidence.max(axis=1)
        share = np.exp(evidence - np.where(np.isfinite(best), best, 0.0)[:, None]).sum(axis=1)
        with np.errstate(divide="ignore"):
            lead = -np.log(share - 1)
        return np.asarray(np.where(np.isfinite(best), np.minimum(lead, 50.0), np.nan))


def make_rerank_engine(
    phases: Sequence[Phase],
    calibration: Calibration,
    settings: RerankSettings,
    *,
    k_min: float,
    k_max: float,
    disk_radius: float | None = None,
    each_alone: bool = False,
) -> RerankEngine:
    """Make the crystals ready, which takes about half a second for each.

    Parameters
    ----------
    phases
        Candidates' phase numbers count in them.
    calibration
        Geometry and voltage.
    settings
        How candidates are compared.
    k_min, k_max
        Annulus that is compared, 1/angstrom.
    disk_radius
        Of the spots, pixels, unless `settings.spot_width` says how they are read; None or 0: they are narrow.
    each_alone
        Give every candidate the same effort instead of following those that lead.
    """
    return RerankEngine(
        crystals=make_crystals(phases, calibration, k_max=k_max),
        options=rerank_options(
            calibration, settings, k_min=k_min, k_max=k_max, disk_radius=disk_radius, each_alone=each_alone
        ),
        settings=settings,
    )


def make_crystals(phases: Sequence[Phase], calibration: Calibration, *, k_max: float) -> tuple[DynamicalCrystal, ...]:
    """The crystals of `make_rerank_engine`."""
    dynamical = DynamicalSettings(voltage=calibration.voltage, k_max=_BEAMS_BEYOND * k_max)
    return tuple(DynamicalCrystal(phase, dynamical) for phase in phases)


def rerank_options(
    calibration: Calibration,
    settings: RerankSettings,
    *,
    k_min: float,
    k_max: float,
    disk_radius: float | None = None,
    each_alone: bool = False,
) -> _core.RerankOptions:
    """How candidates are looked for, as the core has it; parameters as of `make_rerank_engine`."""
    radius = max(disk_radius or 0.0, NARROW)
    width = calibration.pixel_size * (_WIDTH_SLOPE * radius + _WIDTH)
    if radius == NARROW:
        width = min(width, _WIDEST_NARROW)
    span = settings.max_thickness_nm - settings.min_thickness_nm
    return _core.RerankOptions(
        detector_from_sample=np.ascontiguousarray(calibration.detector_from_sample()),
        k_min=k_min,
        k_max=k_max,
        spot_width=settings.spot_width or width,
        wavelength=electron_wavelength(calibration.voltage),
        coarse=COARSE,
        fine=FINE,
        reach=float(np.deg2rad(settings.reach_deg)),
        step=float(np.deg2rad(settings.step_deg)),
        starts=settings.starts,
        points=settings.points,
        halvings=settings.halvings,
        each_alone=each_alone,
        thickness=10 * settings.min_thickness_nm,
        thickness_step=10 * settings.thickness_step_nm,
        thicknesses=int(span / settings.thickness_step_nm + 1e-9) + 1,
        faintest=settings.faintest,
    )


def rerank_patterns(
    frames: NDArray[Any],
    centers: Array,
    orientation: Array,
    phase_id: NDArray[np.integer],
    score: NDArray[np.floating],
    engine: RerankEngine,
    *,
    mask: NDArray[np.uint8] | None = None,
    threads: int = 0,
) -> Reranked:
    """Refine and compare candidates.

    Parameters
    ----------
    frames : (n, det_y, det_x)
        As read.
    centers : (n, 2) float64
        Direct beam (row, column), pixels.
    orientation : (n, k, 4) float64
        Candidates, sample to crystal.
    phase_id : (n, k) int
        Which crystal each is; negative ones are not tried.
    score : (n, k) float
        Logarithms of their likelihoods by matching (`log_likelihood`).
    engine
        From `make_rerank_engine`.
    mask : (det_y, det_x) uint8, optional
        Non-zero where a pixel must not be used.
    threads
        0: all this process may use. The result does not depend on it.

    Raises
    ------
    ArgumentError
        Shapes don't fit together.
    """
    shape = (len(frames), phase_id.shape[1] if phase_id.ndim == 2 else -1)
    if (
        phase_id.shape != shape
        or orientation.shape != (*shape, 4)
        or score.shape != shape
        or len(centers) != len(frames)
    ):
        raise ArgumentError(
            "frames, centers, orientation, phase_id and score must have shapes (n, y, x), (n, 2), (n, k, 4), (n, k),"
            f" (n, k), got {frames.shape}, {centers.shape}, {orientation.shape}, {phase_id.shape}, {score.shape}"
        )
    none = (phase_id < 0) | ~np.isfinite(orientation).all(axis=2)
    found = _core.rerank(
        frames,
        np.ascontiguousarray(centers, dtype=np.float64),
        mask,
        [crystal.core for crystal in engine.crystals],
        np.ascontiguousarray(np.where(none[..., None], (1.0, 0.0, 0.0, 0.0), orientation)),
        np.where(none, -1, phase_id).astype(np.int32),
        np.where(none, 0.0, score).astype(np.float64),
        engine.options,
        threads,
    )
    return Reranked(
        orientation=np.where(none[..., None], orientation, canonical(found["orientation"])),
        score=found["score"],
        evidence=found["evidence"],
        thickness_nm=found["thickness"] / 10,
        thickness_error_nm=found["thickness_error"] / 10,
        orientation_error_deg=np.rad2deg(found["orientation_error"]),
        explained=found["explained"],
    )
