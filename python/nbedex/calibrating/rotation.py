"""Rotation and handedness of the detector against the scan, from the deflection of the beam.

A thin specimen deflects the beam by the gradient of its projected potential, and a gradient has no curl in the frame of
the scan. So the detector's frame is the one, turned and perhaps mirrored, in which the measured deflections have the
least curl (Hachtel et al., Adv. Struct. Chem. Imaging 4 (2018) 10; Savitzky et al., Microsc. Microanal. 27 (2021) 712).
The sign of the gradient, and with it half a turn, is not known from that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError

Array = NDArray[np.float64]

_BLOCKS = 4  # along each axis of the scan, left out in turn
_LARGEST_UNCERTAINTY_DEG = 10.0
_SIGNIFICANT = 3.0  # standard deviations by which one handedness must be better than the other
_LEAST_SIDE = 12  # scan positions


@dataclass(frozen=True, eq=False)
class BeamRotation:
    """What the deflections of the beam say.

    Attributes
    ----------
    rotation_deg
        Direction of the detector's columns in the scan, from X towards Y, in (-90, 90]; half a turn more is as good.
        NaN where it can't be determined.
    uncertainty_deg
        Standard deviation.
    flipped
        Whether the detector's rows are mirrored; None where it can't be determined.
    curl_share : tuple of float
        Share of the deflections' derivatives that curl has at best, not flipped and flipped: 0 for a gradient, 0.5 for
        noise.
    lead
        Standard deviations by which the better handedness is ahead.
    """

    rotation_deg: float
    uncertainty_deg: float
    flipped: bool | None
    curl_share: tuple[float, float]
    lead: float


def rotation_from_deflections(beam: Array) -> BeamRotation:
    """The frame in which deflections are a gradient.

    Parameters
    ----------
    beam : (ny, nx, 2)
        Row and column of the direct beam, or of the pattern's centre of mass, at every scan position, pixels; NaN where
        unknown. What varies linearly over the scan is taken for descan.

    Returns
    -------
    BeamRotation
        Uncertainties from leaving out each sixteenth of the scan in turn.

    Raises
    ------
    ArgumentError
        The scan is too small to say anything.
    """
    ny, nx = beam.shape[:2]
    if min(ny, nx) < _LEAST_SIDE:
        raise ArgumentError(
            f"the deflections of at least {_LEAST_SIDE} x {_LEAST_SIDE} positions are needed, got {ny} x {nx}"
        )
    known, curl_and_divergence = _derivatives(beam)
    if known.sum() < _LEAST_SIDE**2 // 2:
        raise DataFormatError(
            f"the direct beam was found in too few patterns: its change is known at {known.sum()} positions"
        )
    rows, columns = np.indices(known.shape)
    block = rows * _BLOCKS // known.shape[0] * _BLOCKS + columns * _BLOCKS // known.shape[1]
    found = []
    for curl, divergence in curl_and_divergence:
        sums = np.stack(
            [np.bincount(block.ravel(), v.ravel(), _BLOCKS**2) for v in (curl**2, divergence**2, curl * divergence)]
        )
        angle, share = _least_curl(sums.sum(axis=1))
        left_out = [_least_curl(sums.sum(axis=1) - sums[:, i]) for i in range(_BLOCKS**2)]
        turn = np.array([half_turns(a - angle) for a, _ in left_out])
        factor = np.sqrt((_BLOCKS**2 - 1) / _BLOCKS**2)
        found.append((angle, factor * float(np.sqrt((turn**2).sum())), share, np.array([s for _, s in left_out])))
    difference = found[1][3] - found[0][3]
    scatter = np.sqrt((_BLOCKS**2 - 1) / _BLOCKS**2 * ((difference - difference.mean()) ** 2).sum())
    lead = abs(found[1][2] - found[0][2]) / max(float(scatter), 1e-12)
    best = int(found[1][2] < found[0][2])
    angle, uncertainty = np.rad2deg(found[best][0]), np.rad2deg(found[best][1])
    decided = lead >= _SIGNIFICANT and uncertainty <= _LARGEST_UNCERTAINTY_DEG
    return BeamRotation(
        rotation_deg=float(angle) if decided else float("nan"),
        uncertainty_deg=float(uncertainty),
        flipped=bool(best) if decided else None,
        curl_share=(found[0][2], found[1][2]),
        lead=float(lead),
    )


def deflections(beam: Array) -> Array:
    """What is left of the beam's places (ny, nx, 2), row and column, without what varies linearly over the scan."""
    return np.stack([_without_plane(beam[..., axis]) for axis in (0, 1)], axis=-1)


def curl_share(beam: Array, rotation_deg: Array) -> Array:
    """Share of curl (2, n) in the deflections' derivatives if the detector were turned so (n,): not flipped, flipped.

    `rotation_from_deflections` finds the least of it.
    """
    angle = np.deg2rad(np.asarray(rotation_deg, dtype=np.float64))
    shares = []
    for curl, divergence in _derivatives(beam)[1]:
        sums = np.array([(curl**2).sum(), (divergence**2).sum(), (curl * divergence).sum()])
        shares.append(_share_of_curl(sums, angle))
    return np.stack(shares)


def _derivatives(beam: Array) -> tuple[NDArray[np.bool_], list[tuple[Array, Array]]]:
    """Where they are known (ny - 2, nx - 2), and curl and divergence there (0 elsewhere): not flipped, flipped."""
    y, x = np.moveaxis(deflections(beam), -1, 0)
    derivatives = [_centred(x, 1), _centred(x, 0), _centred(y, 1), _centred(y, 0)]
    known = np.asarray(np.isfinite(np.stack(derivatives)).all(axis=0))
    xx, xy, yx, yy = (np.where(known, d, 0.0) for d in derivatives)
    return known, [(sign * yx - xy, xx + sign * yy) for sign in (1.0, -1.0)]


def _least_curl(sums: Array) -> tuple[float, float]:
    """Angle (radians, in (-pi/2, pi/2]) by which vectors are turned for the least curl, and curl's share then.

    Turned by a, curl becomes curl cos a + divergence sin a.
    """
    curl2, divergence2, both = sums
    angle = 0.5 * np.arctan2(-2 * both, divergence2 - curl2)
    return float(angle), float(_share_of_curl(sums, angle))


def _share_of_curl(sums: Array, angle: Array) -> Array:
    """Of both, vectors turned by an angle (radians); sums of curl^2, of divergence^2 and of their product."""
    curl2, divergence2, both = sums
    left = curl2 * np.cos(angle) ** 2 + divergence2 * np.sin(angle) ** 2 + both * np.sin(2 * angle)
    return np.asarray(left / max(curl2 + divergence2, 1e-300))


def half_turns(angle: float) -> float:
    """An angle up to half turns, in (-pi/2, pi/2]."""
    return float(np.pi / 2 - (np.pi / 2 - angle) % np.pi)


def _without_plane(values: Array) -> Array:
    rows, columns = np.indices(values.shape)
    terms = np.stack([np.ones(values.size), rows.ravel(), columns.ravel()], axis=1)
    good = np.isfinite(values).ravel()
    if good.sum() < terms.shape[1]:
        return values
    fit = np.linalg.lstsq(terms[good], values.ravel()[good], rcond=None)[0]
    return np.asarray(values - (terms @ fit).reshape(values.shape))


def _centred(values: Array, axis: int) -> Array:
    """Central differences along one axis, inside the scan: (ny - 2, nx - 2)."""
    ahead, behind = np.roll(values, -1, axis), np.roll(values, 1, axis)
    return np.asarray((ahead - behind)[1:-1, 1:-1] / 2)
