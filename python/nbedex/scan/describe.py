"""Facts about a scan for ``nbedex info``."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbedex.scan.scan import Scan


def describe(scan: Scan) -> dict[str, Any]:
    """Describe what was understood of a file.

    Parameters
    ----------
    scan
        An open scan; three patterns of it are read.

    Returns
    -------
    dict
        Only JSON types. `pixel_size` in 1/angstrom, `voltage` in kV, `step` in nm, `bytes` as delivered;
        `frames` holds number, min, max, mean and the count of saturated and of non-finite pixels of the
        first, middle and last pattern.
    """
    metadata = scan.metadata
    return {
        "path": str(scan.path),
        "format": scan.format,
        "dataset": scan.dataset,
        "shape": list(scan.shape),
        "patterns": scan.size,
        "dtype": str(scan.dtype),
        "bytes": scan.size * scan.frame_shape[0] * scan.frame_shape[1] * scan.dtype.itemsize,
        "saturation_value": scan.saturation_value,
        "calibration": {
            "pixel_size": metadata.pixel_size,
            "pixel_angle": metadata.pixel_angle,
            "voltage": metadata.voltage,
            "step": None if metadata.step is None else list(metadata.step),
        },
        "sources": dict(metadata.sources),
        "notes": list(metadata.notes),
        "frames": [_frame_facts(scan, index) for index in sorted({0, scan.size // 2, scan.size - 1})],
    }


def _frame_facts(scan: Scan, index: int) -> dict[str, Any]:
    frame = scan.read_at([index])[0]
    finite = frame[np.isfinite(frame)]
    saturated = 0 if scan.saturation_value is None else int(np.count_nonzero(frame == scan.saturation_value))
    return {
        "pattern": index,
        "min": float(finite.min()) if finite.size else None,
        "max": float(finite.max()) if finite.size else None,
        "mean": float(finite.mean(dtype=np.float64)) if finite.size else None,
        "saturated": saturated,
        "non_finite": int(frame.size - finite.size),
    }
