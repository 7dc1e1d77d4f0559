"""Options of boundary tracing and of what is said about each boundary."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from nbedex.settings import Settings


class BoundarySettings(Settings, frozen=True, kw_only=True):
    """How boundaries are traced and labelled.

    Attributes
    ----------
    smoothing_px
        Waves of a boundary that are shorter than this, in pixels, are damped as noise.
    low_angle_deg
        Disorientations below this are low-angle boundaries.
    csl_limit
        Largest coincidence index looked for; by default 49 in cubic phases, 29 in others.
    brandon_deg, brandon_exponent
        A boundary is a CSL boundary within brandon_deg / sigma ** brandon_exponent of it: 15 and 0.5 after Brandon
        (1966), 15 and 5/6 after Palumbo & Aust (1990).
    strain_tolerance
        How much a cell may be strained so that its lattice has coincidences other than those by symmetry, for example
        to a rational (c/a)^2; 0.01 is 1 %.
    """

    smoothing_px: Annotated[float, Meta(ge=2, le=1000)] = 24.0
    low_angle_deg: Annotated[float, Meta(ge=0, le=90)] = 15.0
    csl_limit: Annotated[int, Meta(ge=0, le=99)] | None = None
    brandon_deg: Annotated[float, Meta(gt=0, le=30)] = 15.0
    brandon_exponent: Annotated[float, Meta(ge=0, le=2)] = 0.5
    strain_tolerance: Annotated[float, Meta(ge=0, le=0.1)] = 0.01
