"""What the core's functions for grains refuse: wrong layout, labels out of range, angles that are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nbedex import _core

PHASE = np.zeros((3, 4), dtype=np.int16)
ORIENTATION = np.tile([1.0, 0, 0, 0], (3, 4, 1))
GROUP = [np.array([[1.0, 0, 0, 0]])]
OWN = np.ones((3, 4), dtype=np.uint8)
LABEL = np.zeros((3, 4), dtype=np.int32)
ONE = np.zeros(1, dtype=np.int16)


def segment(**change: Any) -> Any:
    given = {"phase_id": PHASE, "orientation": ORIENTATION, "symmetry": GROUP, "threshold": 0.1, "threads": 1} | change
    return _core.segment_pixels(**given)


def merge(**change: Any) -> Any:
    given = {"phase_id": PHASE, "orientation": ORIENTATION, "symmetry": GROUP, "own": OWN, "phase_of": ONE,
             "threshold": 0.1, "label": LABEL} | change  # fmt: skip
    return _core.merge_regions(**given)


def means(**change: Any) -> Any:
    given = {"phase_id": PHASE, "orientation": ORIENTATION, "symmetry": GROUP, "own": OWN, "phase_of": ONE,
             "label": LABEL, "threads": 1} | change  # fmt: skip
    return _core.mean_orientations(**given)


def test_what_is_right_is_taken() -> None:
    assert (segment() == 0).all()
    assert (merge() == 0).all()
    np.testing.assert_allclose(np.abs(means()["mean"]), [[1, 0, 0, 0]])
    assert (_core.fill_regions(LABEL - 1) == -1).all()  # nothing to fill from


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: segment(threshold=0.0), "threshold must be a positive angle in radians"),
        (lambda: segment(threshold=np.nan), "threshold must be a positive angle in radians"),
        (lambda: segment(phase_id=PHASE + 1), "phase_id must be below the number of phases"),
        (lambda: segment(symmetry=[np.zeros((0, 4))]), "symmetry must hold 1 to 1024 operators for every phase"),
        (lambda: segment(orientation=ORIENTATION[:2]), r"orientation must have shape \(3, 4, 4\), got \(2, 4, 4\)"),
        (lambda: segment(orientation=np.asfortranarray(ORIENTATION)), "orientation must be C-contiguous"),
        (lambda: merge(label=LABEL + 1), "label must lie below the number of regions"),
        (lambda: merge(phase_of=ONE + 3), "phase_of must be below the number of phases"),
        (lambda: means(label=LABEL - 1), "label must lie below the number of regions"),
        (lambda: means(phase_of=ONE - 1), "own must be True only for pixels of their region's phase"),
        (lambda: _core.region_shapes(LABEL, 0), "label must lie below the number of regions"),
        (lambda: _core.region_shapes(LABEL, -1), "n must not be negative, got -1"),
        (
            lambda: _core.kernel_misorientation(
                PHASE - 1, ORIENTATION, GROUP, own=OWN, label=None, radius=1, largest=1.0, threads=1
            ),
            "own must be False where phase_id is negative",
        ),
    ],
)
def test_what_is_wrong_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_types_are_not_cast() -> None:
    with pytest.raises(TypeError, match="orientation must have dtype float64, got float32"):
        segment(orientation=ORIENTATION.astype(np.float32))
    with pytest.raises(TypeError, match="phase_id must have dtype int16, got int64"):
        segment(phase_id=PHASE.astype(np.int64))
