"""What a calibration found, and what it can't know, as plain values and as sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.calibrating.from_rings import RingCalibration
from nbedex.calibrating.from_spots import SpotCalibration
from nbedex.calibrating.geometry import Estimate
from nbedex.indexing.centers import CenterModel

UNKNOWN = (
    "rotation_deg, the detector's direction in the scan: diffraction patterns do not show it. `nbedex rotation` finds"
    " it where the specimen deflects the beam, or from a crystal whose edges and spots are both known (MoO3); or take"
    " it from a defocused (shadow) image of the same beam, and give --rotation",
    "flipped, the detector's handedness: patterns and their mirror images index equally well. `nbedex rotation` finds"
    " it where the specimen deflects the beam; or take it from a shadow image, and give --flip if it is mirrored",
    "voltage: it only scales the camera length; it must be right in --voltage",
)


def summary(result: RingCalibration | SpotCalibration) -> dict[str, Any]:
    """What was found, with what, and what was not, for JSON."""
    detector = result.fit.detector
    facts: dict[str, Any] = {
        "source": "rings" if isinstance(result, RingCalibration) else "spots",
        "pixel_size": _pair(detector.pixel_size),
        "ellipse_ratio": _pair(detector.ellipse_ratio),
        "ellipse_angle_deg": _pair(detector.ellipse_angle_deg),
        "ellipse_determined": isinstance(result, RingCalibration) or result.ellipse_determined,
        "elliptic": detector.is_elliptic,
        "center_path": center_path(result.centers),
        "scale_rests_on": _cells(result),
    }
    facts |= _ring_facts(result) if isinstance(result, RingCalibration) else _spot_facts(result)
    facts["doubts"] = list(result.doubts)
    facts["not_determined"] = list(UNKNOWN)
    if not facts["ellipse_determined"]:
        facts["not_determined"].append("the ellipse: it takes three orientations, or rings of a standard such as gold")
    return facts


def center_path(centers: CenterModel) -> dict[str, Any]:
    """Direct beam over the scan: where it is, how far it wanders, how well a smooth path describes it."""
    everywhere = centers.at(_corners_and_middle(centers))
    return {
        "finder": centers.finder,
        "row": float(everywhere[-1, 0]),
        "column": float(everywhere[-1, 1]),
        "range_rows": float(np.ptp(everywhere[:, 0])),
        "range_columns": float(np.ptp(everywhere[:, 1])),
        "order": centers.order,
        "median_distance_px": None if np.isnan(centers.residual) else float(centers.residual),
    }


def _corners_and_middle(centers: CenterModel) -> NDArray[np.intp]:
    """Positions on a coarse grid over the scan, the middle last."""
    ny, nx = centers.scan_shape
    rows, columns = np.linspace(0, ny - 1, min(ny, 9)).astype(int), np.linspace(0, nx - 1, min(nx, 9)).astype(int)
    grid = (rows[:, None] * nx + columns).ravel()
    return np.asarray(np.r_[grid, (ny // 2) * nx + nx // 2], dtype=np.intp)


def _pair(estimate: Estimate) -> dict[str, float]:
    return {"value": float(estimate.value), "uncertainty": float(estimate.uncertainty)}


def _cells(result: RingCalibration | SpotCalibration) -> str:
    names = [result.phase.name] if isinstance(result, RingCalibration) else list(result.phases)
    return f"the unit cell of {', '.join(names)} as the CIF has it: an error of it is an error of the scale"


def _ring_facts(result: RingCalibration) -> dict[str, Any]:
    fit = result.fit
    rings = [
        {
            "hkl": [int(i) for i in hkl],
            "radius": float(radius),
            "brightness": float(brightness),
            "signal": float(signal),
            "deviation": None if np.isnan(deviation) else float(deviation),
            "deviation_uncertainty": None if np.isnan(spread) else float(spread),
            "seen": bool(seen),
        }
        for hkl, radius, brightness, signal, deviation, spread, seen in zip(
            fit.rings.hkl,
            fit.rings.radius,
            fit.brightness,
            fit.signal,
            fit.deviation,
            fit.deviation_uncertainty,
            result.seen,
            strict=True,
        )
    ]
    return {
        "patterns": result.patterns,
        "center": {"value": fit.center.tolist(), "uncertainty": fit.center_uncertainty.tolist()},
        "explained": fit.explained,
        "likeness": result.candidates[0].likeness,
        "rings": rings,
    }


def _spot_facts(result: SpotCalibration) -> dict[str, Any]:
    fit = result.fit
    return {
        "patterns": fit.patterns,
        "patterns_looked_at": result.looked_at,
        "spots": fit.spots,
        "orientations": result.orientations,
        "median_distance_before_px": fit.before,
        "median_distance_after_px": fit.after,
        "median_beam_offset_px": np.median(fit.shifts, axis=0)[::-1].tolist(),
    }
