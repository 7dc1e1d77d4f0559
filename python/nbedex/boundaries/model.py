"""The boundary network: segments between triple points, with what crystallography says about each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.grains import GrainMap

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Boundaries:
    """One row per segment between triple points (or the map's edge, or closed around an enclosed grain).

    Attributes
    ----------
    grain_a, grain_b
        (n,) int32, the regions on its sides, grain_a < grain_b.
    points
        n arrays (m, 2) float64: the smooth sub-pixel polyline, (x, y) in nm; a closed one repeats its first point.
    closed
        (n,) bool.
    length
        (n,) nm, along the polyline.
    normal
        (n, 3) unit vector, mean boundary normal from grain_a to grain_b, sample frame; in the plane of the map
        (edge-on) unless an inclination is known.
    phase_boundary
        (n,) bool: the phases differ, or one side is no grain. The crystallographic columns are then NaN, but for psi
        and delta_theta, which need only conduction planes.
    disorientation_deg
        (n,) omega, the least angle over all symmetric equivalents.
    axis
        (n, 3) its axis, a unit vector in the crystal frame of grain_a.
    psi_deg
        (n,) angle in space between the conduction planes, 0 to 90; NaN where one side has none.
    delta_theta_deg
        (n,) angle between their traces on the surface, 0 to 90; NaN where a trace is not defined.
    plane_to_boundary_a_deg, plane_to_boundary_b_deg
        (n,) angle between the conduction planes of that side and the boundary plane, 0 (along it) to 90 (across).
    sigma
        (n,) int32, coincidence index of the nearest CSL within its tolerance; 0 if general, 1 if low-angle.
    csl_deviation_deg
        (n,) deviation from that CSL; NaN if general.
    csl_label
        n texts such as "Σ3 60°[001]", with the axial ratio and its strain where the CSL is not exact; "" if general.
    twin
        (n,) bool: the CSL is a known twin law of the phase.
    """

    grain_a: NDArray[np.int32]
    grain_b: NDArray[np.int32]
    points: tuple[Floats, ...]
    closed: NDArray[np.bool_]
    length: Floats
    normal: Floats
    phase_boundary: NDArray[np.bool_]
    disorientation_deg: Floats
    axis: Floats
    psi_deg: Floats
    delta_theta_deg: Floats
    plane_to_boundary_a_deg: Floats
    plane_to_boundary_b_deg: Floats
    sigma: NDArray[np.int32]
    csl_deviation_deg: Floats
    csl_label: tuple[str, ...]
    twin: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.grain_a)


@dataclass(frozen=True, kw_only=True, eq=False)
class BoundaryNetwork:
    """All boundaries of a grain map, with the points where three or more meet.

    Attributes
    ----------
    grain_map
        What was traced.
    boundaries
        The segments.
    triple_points
        (k, 2) (x, y) in nm.
    settings
        The options that led here, for provenance.
    """

    grain_map: GrainMap
    boundaries: Boundaries
    triple_points: Floats
    settings: dict[str, Any] = field(default_factory=dict)
