"""pyxem's template matching on polar patterns and templates from a file; started by bench/compare_peers.py.

Runs in pyxem's own environment and imports nothing of nbedex. pyxem is given what it needs to do right:

- A spot in ring 0 ends its loop over spots, so rings are moved up by one and ring 0 is empty.
- Patterns and templates are binned already, so the bins that its own binning drops at the ends are there.
- float32 throughout, which is quicker than its default.
- numba has compiled everything before anything is timed.

Output, per pattern: seconds of the exhaustive search and of the default one (the tenth of the templates with the best
azimuthal sums), both with the score and the template of the best; and the exhaustive search's best score once more
with patterns of zero mean and unit norm and weights as they came, which is the zero-mean normalised correlation.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from pyxem.utils import indexation_utils as pyxem

Arrays = tuple[Any, Any, Any]
FRACTION = 0.1  # pyxem's default


def padded(offset: Any, ring: Any, azimuth: Any, weight: Any) -> Arrays:
    """Templates as pyxem has them: one row each, filled up with zeros; ring 0 ends a row."""
    n_spots = np.diff(offset)
    out = [np.zeros((len(n_spots), n_spots.max()), dtype=t) for t in (np.int64, np.int64, np.float32)]
    inside = np.arange(n_spots.max()) < n_spots[:, None]
    for array, values in zip(out, (ring.astype(np.int64) + 1, azimuth, weight), strict=True):
        array[inside] = values
    return out[0], out[1], out[2]


def timed(call: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    least, answer = float("inf"), None
    for _ in range(repeats):
        started = time.perf_counter()
        answer = call()
        least = min(least, time.perf_counter() - started)
    return least, answer


def main(source: str, target: str) -> None:
    data = np.load(source)
    patterns = data["patterns"]
    r, theta, weight = padded(data["offset"], data["ring"], data["azimuth"], data["weight"])
    unit = pyxem._norm_rows(weight)
    n_best = int(data["n_best"])
    checked = set(data["checked"].tolist())
    # (azimuth, radius), with the empty ring in front
    images = np.ascontiguousarray(np.pad(patterns, ((0, 0), (1, 0), (0, 0))).transpose(0, 2, 1))
    sums = pyxem._get_integrated_polar_templates(images.shape[2], r, weight, True).astype(np.float32)

    def match(image: Any, weights: Any, fraction: float) -> Any:
        return pyxem._mixed_matching_lib_to_polar(image, sums, r, theta, weights, None, fraction, n_best)

    pyxem._match_polar_to_polar_library_cpu(images[0], r[:2], theta[:2], unit[:2])  # compiles
    found: dict[str, list[float]] = {
        name: []
        for name in ("exhaustive", "default", "best", "best_default", "template", "template_default", "zero_mean")
    }
    for number, image in enumerate(images):
        exhaustive, full = timed(lambda: match(image, unit, 1.0), 1)  # noqa: B023
        default, filtered = timed(lambda: match(image, unit, FRACTION), 2)  # noqa: B023
        zero_mean = np.nan
        if number in checked and patterns[number].std() > 0:
            centred = image - patterns[number].mean(dtype=np.float64)
            centred[:, 0] = 0
            norm = np.linalg.norm(patterns[number].astype(np.float64) - patterns[number].mean(dtype=np.float64))
            zero_mean = float(match((centred / norm).astype(np.float32), weight, 1.0)[0, 1])
        for name, value in zip(
            found,
            (exhaustive, default, full[0, 1], filtered[0, 1], full[0, 0], filtered[0, 0], zero_mean),
            strict=True,
        ):
            found[name].append(float(value))
    np.savez(target, **{name: np.array(values) for name, values in found.items()})


if __name__ == "__main__":
    main(*sys.argv[1:3])
