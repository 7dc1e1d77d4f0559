"""Sums of numbers that belong together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def sums(owner: NDArray[Any], values: NDArray[Any], n: int) -> NDArray[np.float64]:
    """(n,) sum of the values (k,) of each owner (k,) in 0 ... n - 1."""
    return np.bincount(owner, values, n).astype(np.float64, copy=False)
