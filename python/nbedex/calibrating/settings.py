"""Options of calibration."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from nbedex.settings import Settings


class CalibrateSettings(Settings, frozen=True, kw_only=True):
    """How scale and ellipse are found.

    Attributes
    ----------
    source
        rings: of a polycrystal, in one pattern or in the mean of many. spots: of single crystals that are indexed.
        auto: rings in a file with a single pattern, spots in a scan.
    samples
        Patterns looked at: by default 1024 for rings, 64 for spots.
    search
        How far the pixel size may be from the one given, as a share of it: by default 0.2 for rings, 0.06 for spots.
        Rings are found without a pixel size too.
    inner, outer
        Radii in pixels between which rings are looked for. By default from a sixth of the outer one, later 0.6 times
        the innermost ring, to the nearest edge of the detector.
    """

    source: Literal["auto", "rings", "spots"] = "auto"
    samples: Annotated[int, Meta(ge=1)] | None = None
    search: Annotated[float, Meta(ge=0, le=0.5)] | None = None
    inner: Annotated[float, Meta(gt=0)] | None = None
    outer: Annotated[float, Meta(gt=0)] | None = None
