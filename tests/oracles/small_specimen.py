"""A specimen of three crystals, a hole and an amorphous frame, small and without any symmetry."""

from __future__ import annotations

import numpy as np

from nbedex.demo import Region, Specimen

A, B, C, FRAME, HOLE = range(5)
PHASES = ("beta2-alumina", "na2au")


def quaternion(*values: float) -> tuple[float, float, float, float]:
    w, x, y, z = (float(v) / float(np.linalg.norm(values)) for v in values)
    return w, x, y, z


def small_specimen() -> Specimen:
    """240 nm high, 400 nm wide; A | B above, C (na2au) | frame | hole below. A | B leans by 0.8, B is bent."""
    corners = np.array(
        [
            *((0, 0), (0, 150), (0, 400)),
            *((100, 0), (100, 150), (120, 180), (100, 300), (100, 400)),
            *((240, 0), (240, 200), (240, 300), (240, 400)),
            (60, 160),
        ],
        dtype=float,
    )
    lean = np.zeros_like(corners)
    lean[12] = 0.0, 0.8
    regions = (
        Region("A", "grain", "beta2-alumina", quaternion(0.7, 0.3, -0.5, 0.2), (0, 1, 12, 4, 3), 0.0, 0.0),
        Region("B", "grain", "beta2-alumina", quaternion(0.4, -0.6, 0.1, 0.8), (1, 2, 7, 6, 5, 4, 12), 3.0, 25.0),
        Region("C", "electrode", "na2au", quaternion(0.9, 0.1, 0.3, -0.2), (3, 4, 5, 9, 8)),
        Region("frame", "frame", None, None, (5, 6, 10, 9)),
        Region("hole", "insulator", None, None, (6, 7, 11, 10)),
    )
    return Specimen(
        size_nm=(240.0, 400.0),
        thickness_nm=(50.0, 70.0, 56.0, 90.0),
        corners=corners,
        lean=lean,
        regions=regions,
        phases=PHASES,
        field_deg=20.0,
    )
