"""Small orientation maps whose grains are known."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbedex.grains import MapPhase, OrientationMap
from nbedex.maps import canonical, multiply
from nbedex.phases import load_phase

BETA, ZIRCONIA, GOLD, NZSP = (MapPhase.of(load_phase(name)) for name in ("beta2-alumina", "zro2-m", "au", "nzsp"))


def turned(axis: tuple[float, float, float], degrees: Any, start: Any = (1.0, 0.0, 0.0, 0.0)) -> np.ndarray:
    """`start` followed by a rotation of the crystal about its own axis, (..., 4) for (...) degrees."""
    half = np.deg2rad(np.asarray(degrees, dtype=float)) / 2
    unit = np.array(axis) / np.linalg.norm(axis)
    return multiply(np.concatenate([np.cos(half)[..., None], np.sin(half)[..., None] * unit], axis=-1), np.array(start))


def noisy(orientation: np.ndarray, sigma_deg: float, seed: int, symmetry: np.ndarray | None = None) -> np.ndarray:
    """With noise of so many degrees per axis, and each pixel in a random symmetric equivalent and of random sign."""
    rng = np.random.default_rng(seed)
    shape = orientation.shape[:-1]
    tilt = np.deg2rad(sigma_deg) / 2 * rng.normal(size=(*shape, 3))
    out = multiply(np.concatenate([np.ones((*shape, 1)), tilt], axis=-1), orientation)
    if symmetry is not None:
        out = multiply(symmetry[rng.integers(len(symmetry), size=shape)], out)
    return canonical(out)


def orientation_map(orientation: np.ndarray, phase_id: np.ndarray | int = 0, **more: Any) -> OrientationMap:
    """A map of (ny, nx, 4) orientations of beta''-alumina, or of what `phases` says."""
    phases = more.pop("phases", (BETA,))
    ids = np.broadcast_to(np.asarray(phase_id, dtype=np.int16), orientation.shape[:2]).copy()
    quaternion = canonical(orientation)
    quaternion[ids < 0] = np.nan
    return OrientationMap(phases=phases, phase_id=ids, orientation=quaternion, **more)
