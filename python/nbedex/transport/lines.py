"""The stream function, whose level lines are lines of current with the same current between neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbedex.transport.solve import Solution

Floats = NDArray[np.float64]


def stream_function(solution: Solution) -> Floats | None:
    """Stream function at the corners of cells, (ny + 1, nx + 1), A per m of thickness: J = (d psi/dy, -d psi/dx).

    Zero in the corner of the first cell. None where there is no such function: an electrode wholly inside the map is a
    source, and a fast path along a boundary takes current out of the plane of cells.
    """
    across, along = solution.across, solution.along
    ny, nx = across.shape[0], along.shape[1]
    psi = np.zeros((ny + 1, nx + 1))
    psi[0, 1:] = -np.cumsum(along[0])
    psi[1:] = psi[0] + np.cumsum(across, axis=0)
    # the other way to the same corners: through horizontal faces
    gap = np.abs(np.diff(psi, axis=1) + along).max()
    size = np.abs(psi - psi.mean()).max()
    return psi if gap <= 1e-6 * size else None
