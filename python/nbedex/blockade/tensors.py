"""Conductivity on the two sides of a boundary: layered and isotropic conductors, electrodes, insulators."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbedex.blockade.settings import BlockadeSettings
from nbedex.errors import ArgumentError
from nbedex.grains import Grains, MapPhase, Role

Floats = NDArray[np.float64]


class Medium(IntEnum):
    """What a region is for Na+."""

    PLANES = 0  # conducts along planes, as beta-aluminas do
    ISOTROPIC = 1  # conducts alike in all directions, as NZSP does
    INSULATOR = 2  # nothing passes: ZrO2, a hole
    ELECTRODE = 3  # takes sodium up or gives it: Au, Pt, sodium and its alloys
    UNKNOWN = 4  # not indexed, or a phase nothing is known of


@dataclass(frozen=True, kw_only=True, eq=False)
class Media:
    """One row per region.

    Attributes
    ----------
    medium
        (n,) int8, a `Medium`.
    normal
        (n, 3) unit normal of the conduction planes in the sample frame; 0 without them.
    in_plane, out_of_plane
        (n,) conductivity of Na+, in units of the in-plane conductivity of layered phases. Both are 0 for insulators
        and electrodes, from which no Na+ comes, and NaN where unknown.
    error_deg
        (n,) one sigma of the orientation, per axis.
    """

    medium: NDArray[np.int8]
    normal: Floats
    in_plane: Floats
    out_of_plane: Floats
    error_deg: Floats

    @property
    def tensor(self) -> Floats:
        """(n, 3, 3) conductivity tensors in the sample frame."""
        return conductivity_tensor(self.normal, self.in_plane, self.out_of_plane)


def conductivity_tensor(normal: ArrayLike, in_plane: ArrayLike, out_of_plane: ArrayLike) -> Floats:
    """sigma = sigma_ip (I - n n^T) + sigma_op n n^T, in the frame of `normal` [Ding2023].

    Parameters
    ----------
    normal
        (..., 3) unit normals of the conduction planes; (0, 0, 0) gives sigma_ip I, an isotropic conductor.
    in_plane, out_of_plane
        (...) conductivities along the planes and across them.

    Returns
    -------
    sigma
        (..., 3, 3), symmetric.

    Raises
    ------
    ArgumentError
        If the normals are not three numbers each, or neither unit vectors nor zero.
    """
    n = np.asarray(normal, dtype=np.float64)
    if n.shape[-1:] != (3,):
        raise ArgumentError(f"expected normals of shape (..., 3), got {n.shape}")
    square = (n**2).sum(axis=-1)
    if not (np.isnan(square) | (square == 0) | (np.abs(square - 1) < 1e-6)).all():
        raise ArgumentError("normals of conduction planes must be unit vectors (or zero for isotropic conductors)")
    along = np.asarray(in_plane, dtype=np.float64)[..., None, None]
    across = np.asarray(out_of_plane, dtype=np.float64)[..., None, None]
    return np.asarray(along * np.eye(3) - (along - across) * (n[..., :, None] * n[..., None, :]))


def media_of(grains: Grains, phases: tuple[MapPhase, ...], settings: BlockadeSettings) -> Media:
    """What every region of a grain map is for Na+."""
    unknown = sorted(set(settings.phase_conductivity) - {phase.name for phase in phases})
    if unknown:
        raise ArgumentError(
            f"phase_conductivity names {', '.join(unknown)}; the map's phases are"
            f" {', '.join(phase.name for phase in phases)}"
        )
    table = [(*_medium(phase), *_conductivity(phase, settings)) for phase in phases]
    table.append((Medium.UNKNOWN, np.nan, np.nan))  # reached by phase_id -1
    columns = np.array(table, dtype=np.float64)[grains.phase_id]
    medium = columns[:, 0].astype(np.int8)
    medium[grains.role == Role.NOT_INDEXED] = Medium.UNKNOWN
    medium[(grains.role == Role.INSULATOR) | (grains.role == Role.HOLE)] = Medium.INSULATOR
    medium[grains.role == Role.ELECTRODE] = Medium.ELECTRODE
    lost = (medium == Medium.PLANES) & ~np.isfinite(grains.conduction_normal).all(axis=1)
    medium[lost] = Medium.UNKNOWN
    conducts = (medium == Medium.PLANES) | (medium == Medium.ISOTROPIC)
    silent = np.where(medium == Medium.UNKNOWN, np.nan, 0.0)
    planes = (medium == Medium.PLANES)[:, None]
    return Media(
        medium=medium,
        normal=np.where(planes, grains.conduction_normal, 0.0),
        in_plane=np.where(conducts, columns[:, 1], silent),
        out_of_plane=np.where(conducts, columns[:, 2], silent),
        error_deg=np.where(planes[:, 0], np.nan_to_num(grains.orientation_error_deg), 0.0),
    )


def _medium(phase: MapPhase) -> tuple[Medium]:
    if phase.role == Role.INSULATOR:
        return (Medium.INSULATOR,)
    if phase.role == Role.ELECTRODE:
        return (Medium.ELECTRODE,)
    if phase.conduction_normal is not None:
        return (Medium.PLANES,)
    return (Medium.ISOTROPIC if phase.conducts_sodium else Medium.UNKNOWN,)


def _conductivity(phase: MapPhase, settings: BlockadeSettings) -> tuple[float, float]:
    if phase.name in settings.phase_conductivity:
        along, across = settings.phase_conductivity[phase.name]
    elif phase.conduction_normal is not None:
        along, across = 1.0, 1.0 / settings.conductivity_ratio
    else:
        along = across = settings.isotropic_conductivity
    if phase.conduction_normal is None and along != across:
        raise ArgumentError(
            f"{phase.name} has no conduction planes, so its two conductivities must be equal, got {along:g}, {across:g}"
        )
    return along, across
