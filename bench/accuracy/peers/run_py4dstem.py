"""py4DSTEM's orientations of patterns from a file; started by validate_py4dstem.py.

Runs in py4DSTEM's own environment (bench/peers/requirements-py4dstem.txt) and imports nothing of nbedex. Structure
factors, orientation plan and search are its own; so is the detection of peaks, where frames come instead of peaks.

Input: cell (3, 3) rows a, b, c; positions, numbers, occupancy of its atoms; triangles (t, 3, 3), corners of the zone
axes to be searched, crystal frame; options of the plan; and either peaks (offset, kx, ky, intensity) or frames (n,
size, size), center (n, 2), pixel, blur. Output: matrix (n, best, 3, 3) from sample to crystal, NaN where nothing was
found; corr (n, best); peaks (n,) how many there were. For each further best match it deletes peaks and starts again, so
only the first is asked for.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
from py4DSTEM.braggvectors.diskdetection import _find_Bragg_disks_single
from py4DSTEM.process.diffraction import Crystal

BEST = 1
MIN_PEAKS = 3


def detected(frame: Any, center: Any, pixel: float, blur: float) -> Any:
    """Peaks of a frame by correlation with a spot, the direct beam among them left out."""
    size = len(frame)
    at = np.fft.fftfreq(size) * size
    spot = np.exp(-(at[:, None] ** 2 + at[None] ** 2) / (2 * blur**2))
    spot -= np.exp(-(at[:, None] ** 2 + at[None] ** 2) / (8 * blur**2)) / 4  # a trench: no answer to smooth background
    found = _find_Bragg_disks_single(
        frame.astype(float), spot / spot.clip(0).sum(), corrPower=1, sigma_cc=1, subpixel="poly", edgeBoundary=4,
        minPeakSpacing=5, minAbsoluteIntensity=0.0, minRelativeIntensity=0.003, relativeToPeak=0, maxNumPeaks=100,
    )  # fmt: skip
    data = found.data if hasattr(found, "data") else found
    row, column, height = (np.asarray(data[name], dtype=float) for name in ("qx", "qy", "intensity"))
    return peaks((column - center[1]) * pixel, (row - center[0]) * pixel, height)


def peaks(kx: Any, ky: Any, intensity: Any) -> Any:
    outside = np.hypot(kx, ky) > 0.05
    data = np.zeros(int(outside.sum()), dtype=[("qx", float), ("qy", float), ("intensity", float)])
    for name, values in (("qx", kx), ("qy", ky), ("intensity", intensity)):
        data[name] = values[outside]
    return SimpleNamespace(data=data)


def main(source: str, target: str) -> None:
    given = dict(np.load(source))
    if "frames" in given:
        every = [
            detected(frame, center, float(given["pixel"]), float(given["blur"]))
            for frame, center in zip(given["frames"], given["center"], strict=True)
        ]
    else:
        cuts = given["offset"][1:-1]
        every = [
            peaks(*three)
            for three in zip(*(np.split(given[name], cuts) for name in ("kx", "ky", "intensity")), strict=True)
        ]
    crystal = Crystal(given["positions"], given["numbers"], given["cell"], occupancy=given["occupancy"])
    crystal.pymatgen_available = False  # only reduces orientations by symmetry, which the judge does
    crystal.calculate_structure_factors(k_max=float(given["k_max"]))
    matrix, corr = np.full((len(every), BEST, 3, 3), np.nan), np.full((len(every), BEST), -np.inf)
    step = float(given["step"])
    for triangle in given["triangles"]:
        crystal.orientation_plan(
            zone_axis_range=triangle, angle_step_zone_axis=step, angle_step_in_plane=step,
            accel_voltage=float(given["voltage"]), corr_kernel_size=float(given["kernel"]),
            sigma_excitation_error=float(given["excitation"]), power_intensity=float(given["power"]),
            power_intensity_experiment=float(given["power_experiment"]), progress_bar=False,
        )  # fmt: skip
        for i, some in enumerate(every):
            found = crystal.match_single_pattern(some, num_matches_return=BEST, min_number_peaks=MIN_PEAKS)
            if len(some.data) < MIN_PEAKS:
                continue
            both = np.concatenate([corr[i], np.asarray(found.corr, dtype=float)])
            turned = np.concatenate([matrix[i], np.asarray(found.matrix, dtype=float)])
            best = np.argsort(-both, kind="stable")[:BEST]
            corr[i], matrix[i] = both[best], turned[best]
    np.savez(target, matrix=matrix, corr=corr, peaks=np.array([len(some.data) for some in every]))


if __name__ == "__main__":
    main(*sys.argv[1:3])
