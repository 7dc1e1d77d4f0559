"""Options of the blockade analysis, with their defaults and why they are what they are (docs/blockade.md)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from nbedex.errors import ArgumentError
from nbedex.settings import Settings

_Small = Annotated[float, Meta(gt=0, lt=45)]
_Share = Annotated[float, Meta(gt=0, le=1)]
_Error = Annotated[float, Meta(ge=0, le=45)]


class Tolerances(Settings, frozen=True, kw_only=True):
    """What "parallel", "perpendicular", "along" and "across" mean, in degrees.

    Attributes
    ----------
    parallel_deg
        Planes at most this far from parallel are type I.
    perpendicular_deg
        Planes at least 90 minus this apart are type II, if their angles to the boundary fit it too.
    along_deg
        A plane at most this far from the boundary runs along it.
    across_deg
        A plane at least 90 minus this from the boundary crosses it (contains its normal).
    field_deg
        A field farther than this from both the normal and the boundary is called oblique. The label is that of the
        nearer direction all the same, so the limit between 1 and 2 is 45 degrees.
    least_inclination_deg
        Planes flatter than this in the lamella have no trace; for the label from traces they lie in the surface.
    """

    parallel_deg: _Small = 20.0
    perpendicular_deg: _Small = 20.0
    along_deg: _Small = 20.0
    across_deg: _Small = 20.0
    field_deg: _Small = 20.0
    least_inclination_deg: _Small = 5.0


class BlockadeSettings(Settings, frozen=True, kw_only=True):
    """Options of `analyse_blockade`.

    Attributes
    ----------
    tolerances
        Limits between classes.
    conductivity_ratio
        In-plane over out-of-plane conductivity of phases with conduction planes.
    isotropic_conductivity
        Conductivity of Na+ conductors without conduction planes (NZSP), as a multiple of the in-plane conductivity of
        those that have them.
    phase_conductivity
        (in plane, out of plane) of single phases by name, in the same unit; overrides the two above.
    blocks_at
        Net accumulation from which on a boundary is said to block (and, negative, to be depleted).
    partly_at
        The same for "partly".
    decided_at
        A class is decided if its probability reaches this, otherwise undecided.
    normal_error_deg
        One sigma of the local direction of the boundary in the map.
    boundary_tilt_error_deg
        One sigma of the inclination of the boundary plane, which a map does not show; 0 takes boundaries as edge-on.
    n_draws
        Orientations tried per stretch of boundary, a multiple of 4.
    max_turn_deg
        A boundary is cut into stretches within which it (and the field) turn by no more than this.
    """

    tolerances: Tolerances = field(default_factory=Tolerances)
    conductivity_ratio: Annotated[float, Meta(ge=1, le=1e12)] = 1e3
    isotropic_conductivity: Annotated[float, Meta(gt=0, le=1e6)] = 1.0
    phase_conductivity: dict[str, tuple[float, float]] = field(default_factory=dict)
    blocks_at: _Share = 0.5
    partly_at: _Share = 0.2
    decided_at: _Share = 0.7
    normal_error_deg: _Error = 3.0
    boundary_tilt_error_deg: _Error = 0.0
    n_draws: Annotated[int, Meta(ge=4, le=65536, multiple_of=4)] = 128
    max_turn_deg: Annotated[float, Meta(gt=0, le=90)] = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.partly_at > self.blocks_at:
            raise ArgumentError(f"partly_at must not exceed blocks_at, got {self.partly_at:g} > {self.blocks_at:g}")
        for name, pair in self.phase_conductivity.items():
            if not (0 < pair[0] <= 1e6 and 0 < pair[1] <= 1e6):
                raise ArgumentError(
                    f"phase_conductivity of {name!r}: both numbers must be positive and at most 1e6, got {pair!r}"
                )
