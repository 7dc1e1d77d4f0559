"""pyxem's search for the best templates of each phase in polar patterns from a file; started by validate_pyxem.py.

Runs in pyxem's own environment (bench/peers/requirements-pyxem.txt) and imports nothing of nbedex. Rings are moved up
by one, because a spot in ring 0 ends pyxem's loop over spots.

Output, for every phase number p: "found_p" (n, best, 4): template, correlation, in-plane shift in azimuth bins, 1 or -1
for the mirrored template.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from pyxem.utils import indexation_utils as pyxem

BEST = 5


def padded(offset: Any, ring: Any, azimuth: Any, weight: Any) -> tuple[Any, Any, Any]:
    """Templates as pyxem has them: one row each, filled up with zeros; ring 0 ends a row."""
    n_spots = np.diff(offset)
    inside = np.arange(n_spots.max()) < n_spots[:, None]
    out = []
    for values, dtype in ((ring.astype(np.int64) + 1, np.int64), (azimuth, np.int64), (weight, np.float32)):
        array = np.zeros(inside.shape, dtype=dtype)
        array[inside] = values
        out.append(array)
    return out[0], out[1], out[2]


def main(source: str, target: str) -> None:
    data = np.load(source)
    images = np.ascontiguousarray(np.pad(data["patterns"], ((0, 0), (1, 0), (0, 0))).transpose(0, 2, 1))
    fraction = float(data["fraction"])
    found = {}
    for p in range(int(data["n_phases"])):
        r, theta, weight = padded(*(data[f"{name}_{p}"] for name in ("offset", "ring", "azimuth", "weight")))
        unit = pyxem._norm_rows(weight)
        sums = pyxem._get_integrated_polar_templates(images.shape[2], r, weight, True).astype(np.float32)
        found[f"found_{p}"] = np.stack(
            [pyxem._mixed_matching_lib_to_polar(image, sums, r, theta, unit, None, fraction, BEST) for image in images]
        )
    np.savez(target, **found)


if __name__ == "__main__":
    main(*sys.argv[1:3])
