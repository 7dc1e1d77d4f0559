"""Other orientations of grains whose patterns, even all together, can't tell two solutions apart."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade.model import Alternatives
from nbedex.errors import ArgumentError
from nbedex.grains import GrainMap, Group, PooledRivals, RivalSettings
from nbedex.maps import conjugate, rotate

Floats = NDArray[np.float64]


def alternatives_of(
    grain_map: GrainMap, rivals: PooledRivals, *, systematic_percent: float | None = None
) -> Alternatives:
    """The solutions that ambiguous grains might have instead, with their probability.

    Where Bloch waves were asked they say how probable the rival is. Else a lead of d percent in the mean score errs by
    its standard error and by what the scores err systematically, together s; the rival is the right one with the
    probability that a normal deviate exceeds d / s.

    Parameters
    ----------
    grain_map
        Whose regions the rivals are of.
    rivals
        From `nbedex.grains.pool_rivals` or `resolve_rivals`.
    systematic_percent
        Of the score; None: what `RivalSettings.min_margin_percent` calls a lead too small to rely on.

    Returns
    -------
    alternatives
        Where the pooled winner is not the orientation that the grain has, the winner is the alternative. Solutions
        of phases without conduction planes are left out.
    """
    from scipy.special import ndtr

    systematic = RivalSettings().min_margin_percent if systematic_percent is None else systematic_percent
    unsure = np.flatnonzero((rivals.ambiguous | ~rivals.agrees) & (rivals.phase_id >= 0))
    margin, significance = (np.nan_to_num(values[unsure]) for values in (rivals.margin_percent, rivals.significance))
    error = np.hypot(
        systematic, np.where(significance > 0, margin / np.where(significance > 0, significance, 1.0), 0.0)
    )
    loser = ndtr(-margin / error)
    by_waves = rivals.rival_probability[unsure]
    loser = np.where(np.isnan(by_waves), loser, by_waves)
    agrees = rivals.agrees[unsure]
    phase = np.where(agrees, rivals.rival_phase_id[unsure], rivals.phase_id[unsure])
    orientation = np.where(agrees[:, None], rivals.rival_orientation[unsure], rivals.orientation[unsure])
    share = np.where(agrees, loser, 1.0 - loser)
    normal = np.full((len(unsure), 3), np.nan)
    for number, kind in enumerate(grain_map.source.phases):
        rows = phase == number
        if kind.conduction_normal is not None and rows.any():
            normal[rows] = rotate(conjugate(orientation[rows]), kind.conduction_normal)
    known = ~np.isnan(normal.sum(axis=1))
    return Alternatives(grain=unsure[known], normal=normal[known], share=share[known])


def rivals_of(group: Group, grain_map: GrainMap) -> PooledRivals:
    """What `nbedex.grains.rivals_group` stored in a grain file.

    Raises
    ------
    ArgumentError
        If something is missing or doesn't fit the grain map.
    """
    n, arrays = len(grain_map.grains), group.arrays
    arrays = {"rival_probability": np.full(n, np.nan), **arrays}  # grain files made before it was kept
    for f in fields(PooledRivals):
        shape = (n, 4) if f.name in ("orientation", "rival_orientation") else (n,)
        if f.name not in arrays or arrays[f.name].shape != shape:
            raise ArgumentError(f"the pooled rivals need {f.name} of shape {shape}, one for each of the map's regions")
    return PooledRivals(**{f.name: arrays[f.name] for f in fields(PooledRivals)})
