"""Options of finding grains."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from nbedex.settings import Settings


class GrainSettings(Settings, frozen=True, kw_only=True):
    """How a map is cut into grains.

    Attributes
    ----------
    threshold_deg
        Neighbouring regions of one phase are different grains if their mean orientations differ by more than this.
    min_size
        Pixels. Smaller regions are specks: their pixels go to the regions around them, and are counted there.
    max_gap
        Pixels. Not-indexed places and specks that are nowhere wider than this are filled from the regions around
        them; wider ones stay regions without a phase.
    min_confidence
        Pixels below this confidence count as not indexed. None: none do.
    orientation_floor_deg
        Systematic part of a mean orientation's error per axis: the grid of templates, the calibration. Averaging over
        pixels doesn't make it smaller.
    min_inclination_deg
        Below this angle between conduction plane and lamella surface the direction of the trace is not given.
    """

    threshold_deg: Annotated[float, Meta(gt=0, le=60)] = 5.0
    min_size: Annotated[int, Meta(ge=1)] = 10
    max_gap: Annotated[int, Meta(ge=0, le=1000)] = 4
    min_confidence: Annotated[float, Meta(ge=0, le=1)] | None = None
    orientation_floor_deg: Annotated[float, Meta(ge=0, le=30)] = 0.3
    min_inclination_deg: Annotated[float, Meta(ge=0, le=90)] = 3.0
