"""Options of a current calculation: one table of its TOML file."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from msgspec import Meta, field

from nbedex.errors import ArgumentError
from nbedex.settings import Settings

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]


class TransportSettings(Settings, frozen=True, kw_only=True):
    """Conductivities and how to calculate. Defaults as published (Ding2024), lengths in nm.

    Attributes
    ----------
    model
        "tensor": the whole in-plane tensor of a thin lamella; "ding2024": the published projection and resistors.
    in_plane
        S/m along the conduction planes. Currents are proportional to it where nothing else is given absolutely.
    anisotropy
        Conductivity along over across the planes.
    phases
        S/m by phase: one number for a phase that conducts alike in all directions, two for along and across its
        planes. Phases with conduction planes take the two defaults above if they aren't named.
    boundary_width, boundary_ratio
        Width of boundaries in nm, and conductivity along planes over that of boundaries; a ratio of 0 switches their
        resistance off.
    boundary_path
        Conductivity *along* boundaries over that along planes, over the same width; 0 for no such path.
    straighten
        Whether steps of the grid along a boundary count as the boundary's true length; model "tensor" only.
    backbone
        Width in nm of the frame around the map: left, right, top, bottom.
    backbone_ratio
        Conductivity along planes over that of the frame.
    thickness
        Of the lamella, nm.
    pixel
        Size of cells in nm, independent of the scan's; None for the map's pixels.
    refine
        Cells along a pixel, after that.
    refinement_pair
        Whether everything is solved a second time on cells of half the size, which tells the error of the total
        resistance and of the map, and removes most of the former. None: for model "tensor", up to 250,000 cells.
    not_indexed
        S/m of regions that nothing is known of; None makes them insulators.
    allow_isolated
        Accept electrodes on a region that most of the map is cut off from.
    tolerance
        Largest residual and imbalance of charge.
    solver
        "auto", "dissection" (own, for grids) or "superlu" (SciPy's).
    """

    model: Literal["tensor", "ding2024"] = "tensor"
    in_plane: Positive = 1.0
    anisotropy: Positive = 1e3
    phases: dict[str, float | tuple[float, float]] = field(default_factory=dict)
    boundary_width: Positive = 1.0
    boundary_ratio: NotNegative = 20.0
    boundary_path: NotNegative = 0.0
    straighten: bool = True
    backbone: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    backbone_ratio: Positive = 250.0
    thickness: Positive = 100.0
    pixel: Positive | None = None
    refine: Annotated[int, Meta(ge=1, le=32)] = 1
    refinement_pair: bool | None = None
    not_indexed: Positive | None = None
    allow_isolated: bool = False
    tolerance: Positive = 1e-8
    solver: Literal["auto", "dissection", "superlu"] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.backbone) < 0:
            raise ArgumentError(f"backbone: widths of the frame must not be negative, got {self.backbone!r}")
        for name, values in self.phases.items():
            numbers = values if isinstance(values, tuple) else (values,)
            if not all(math.isfinite(number) and number > 0 for number in numbers):
                raise ArgumentError(
                    f"phases: conductivities of {name} must be positive, got"
                    f" {', '.join(f'{v:g}' for v in numbers)} S/m; list it as an insulator if it doesn't conduct"
                )

    @property
    def boundary_resistance(self) -> float:
        """Ohm m^2 across boundaries."""
        return self.boundary_width * 1e-9 * self.boundary_ratio / self.in_plane

    @property
    def path_conductance(self) -> float:
        """S/m times nm along boundaries."""
        return self.boundary_path * self.in_plane * self.boundary_width
