"""py4DSTEM's orientation matching on polar patterns and templates from a file; started by bench/compare_peers.py.

Runs in py4DSTEM's own environment (numpy < 2) and imports nothing of nbedex. Its `Crystal.match_single_pattern` is
called as it is, with these templates for its orientation plan, and our polar bins for its Bragg peaks:

- Shells are our rings; the kernel by which it spreads peaks is narrower than a bin, so that its polar image is ours.
- Its plan needs templates x shells x azimuths x 16 bytes, many gigabytes here, so it is given some templates at a time,
  the plan of the next made while no clock runs; the times of all parts are added.
- Only its best match is asked for: for more it deletes peaks and starts again.

Output, per pattern: seconds, best score, template of the best.
"""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
from py4DSTEM.process.diffraction import Crystal

PART = 250  # templates; 138 MB at 96 x 360 bins
KERNEL = 1e-6  # 1/angstrom


def peaks(pattern: Any, radii: Any, gamma: Any) -> Any:
    """Every bin above zero as a Bragg peak."""
    ring, azimuth = np.nonzero(pattern > 0)
    data = np.zeros(len(ring), dtype=[("qx", float), ("qy", float), ("intensity", float)])
    data["qx"], data["qy"] = radii[ring] * np.cos(gamma[azimuth]), radii[ring] * np.sin(gamma[azimuth])
    data["intensity"] = pattern[ring, azimuth]
    return SimpleNamespace(data=data)


def plan(crystal: Any, data: Any, first: int, last: int, radii: Any, n_azimuths: int) -> None:
    """Templates [first, last) as the crystal's orientation plan."""
    images = np.zeros((last - first, len(radii), n_azimuths))
    for t in range(first, last):
        part = slice(data["offset"][t], data["offset"][t + 1])
        weight = data["weight"][part].astype(float)
        if len(weight):
            images[t - first, data["ring"][part], data["azimuth"][part]] = weight / np.linalg.norm(weight)
    crystal.orientation_ref = np.conj(np.fft.fft(images))
    crystal.orientation_num_zones = last - first
    crystal.orientation_rotation_matrices = np.tile(np.eye(3), (last - first, 1, 1))
    crystal.orientation_rotation_angles = np.zeros((last - first, 3))


def main(source: str, target: str) -> None:
    data = dict(np.load(source))
    patterns = data["patterns"][data["few"]]
    n_rings, n_azimuths = patterns.shape[1:]
    radii = 0.07 + 0.0125 * (np.arange(n_rings) + 0.5)  # any will do: only which is which matters
    crystal = Crystal(positions=np.zeros((1, 3)), numbers=np.array([79]), cell=4.08)
    crystal.orientation_gamma = 2 * np.pi * np.arange(n_azimuths) / n_azimuths
    crystal.orientation_in_plane_steps = n_azimuths
    crystal.orientation_shell_radii = radii
    crystal.orientation_kernel_size = KERNEL
    crystal.orientation_power_intensity_experiment = 1.0
    crystal.orientation_refine = crystal.CUDA = crystal.pymatgen_available = False
    every = [peaks(pattern, radii, crystal.orientation_gamma) for pattern in patterns]
    seconds, best, template = np.zeros(len(patterns)), np.zeros(len(patterns)), np.full(len(patterns), -1)
    n = len(data["offset"]) - 1
    for first in range(0, n, PART):
        plan(crystal, data, first, min(n, first + PART), radii, n_azimuths)
        for number, some in enumerate(every):
            started = time.perf_counter()
            found = crystal.match_single_pattern(some, min_number_peaks=1)
            seconds[number] += time.perf_counter() - started
            if found.corr[0] > best[number]:
                best[number], template[number] = found.corr[0], first + found.inds[0, 0]
    np.savez(target, seconds=seconds, best=best, template=template)


if __name__ == "__main__":
    main(*sys.argv[1:3])
