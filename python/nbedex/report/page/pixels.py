"""Pixels of the maps as compact arrays: whole numbers that the page turns into colours and back into numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbedex.maps import to_euler
from nbedex.report.figures import DEFAULT_MIN_PROBABILITY
from nbedex.report.ipf import ipf_colours
from nbedex.report.page.content import Frame, PageContent
from nbedex.report.panels import limits_of

if TYPE_CHECKING:
    from nbedex.report.ipf import Crystal

_HIDDEN, _UNKNOWN = 0, 65535
_STEPS = 65533  # between the codes 1 and 65534
_COLOURS = 256
_DEEPER = ~np.uint8(3)  # colours in steps of 4 that nobody sees, so that the file packs well


@dataclass(frozen=True, kw_only=True, eq=False)
class Numbers:
    """A map of numbers between `low` and `high`, as uint16.

    Attributes
    ----------
    key, title, label
        For the page's code, its heading, and the colour bar with its unit.
    name, unit
        For the numbers under the pointer.
    codes
        (rows, columns) uint16: 0 not shown, 65535 no number, otherwise low + (code - 1) / 65533 (high - low).
    low, high
        What the codes span.
    shown
        (from, to): what the colours span.
    logarithmic
        Whether codes count decimal logarithms.
    caption
        What one sees.
    """

    key: str
    title: str
    label: str
    codes: NDArray[np.uint16]
    low: float
    high: float
    shown: tuple[float, float]
    caption: str
    name: str
    unit: str = ""
    logarithmic: bool = False

    @classmethod
    def of(
        cls,
        values: NDArray[Any],
        keep: NDArray[np.bool_],
        *,
        span: tuple[float, float],
        shown: tuple[float, float],
        **texts: Any,
    ) -> Numbers:
        low, high = span
        with np.errstate(invalid="ignore"):
            steps = np.clip((values.astype(np.float64) - low) / (high - low), 0, 1) * _STEPS
        known = np.isfinite(values)
        codes = np.where(known, np.rint(np.where(known, steps, 0.0)) + 1, _UNKNOWN)
        return cls(codes=np.where(keep, codes, _HIDDEN).astype(np.uint16), low=low, high=high, shown=shown, **texts)

    def palette(self) -> list[str]:
        """Colours of equal parts of the codes; what lies beyond `shown` gets the colour of its end."""
        from matplotlib import colormaps
        from matplotlib.colors import to_hex

        span = np.linspace(self.low, self.high, 4 * _COLOURS)
        scaled = np.clip((span - self.shown[0]) / max(self.shown[1] - self.shown[0], 1e-300), 0, 1)
        return [to_hex(colour) for colour in colormaps["viridis"](scaled)]


def kept_pixels(content: PageContent) -> NDArray[np.bool_]:
    """(ny, nx) pixels that maps show, as in `nbedex plot`: the others are black."""
    if content.result is not None:
        return content.result.accepted(min_probability=DEFAULT_MIN_PROBABILITY)
    return np.asarray(content.grain_map.source.phase_id >= 0)


def number_maps(content: PageContent, frame: Frame) -> list[Numbers]:
    """Index, reliabilities and probability of a result of ours; the confidence of another map."""
    source, result = content.grain_map.source, content.result
    keep = kept_pixels(content)
    if result is None:
        if source.confidence is None:
            return []
        values = source.confidence
        shown = limits_of(values[keep], low=0.0, high=1.0)
        caption = "Confidence of the map, from 0 to 1. Black: not indexed."
        return [
            Numbers.of(
                frame.shown(values), frame.shown(keep), span=(0.0, 1.0), shown=shown, key="confidence",
                title="Confidence", name="confidence", label="confidence", caption=caption,
            )
        ]  # fmt: skip
    rows = (
        ("index", "Index", "correlation", "", result.index, (-1.0, 1.0), 0.0, 1.0,
         "Normalised correlation of each pattern with its best template."),
        ("reliability", "Reliability", "percent", " %", result.reliability, (-100.0, 100.0), 0.0, 100.0,
         "How far the best orientation is ahead of the next distinct one, 100 (1 − Q₂/Q₁). Grey: no rival."),
        ("phase_reliability", "Phase reliability", "percent", " %", result.phase_reliability, (-100.0, 100.0), 0.0,
         100.0, "The same against the best of all other phases. Grey: no rival."),
        ("probability", "Confidence", "probability", "", result.probability, (0.0, 1.0), 0.0, 1.0,
         "Probability that phase and orientation (within 2°) are right, calibrated on simulated patterns."),
    )  # fmt: skip
    return [
        Numbers.of(
            frame.shown(values), frame.shown(keep), span=span, shown=limits_of(values[keep], low=low, high=high),
            key=key, title=title, name=title.lower(), label=label, unit=unit, caption=caption,
        )
        for key, title, label, unit, values, span, low, high, caption in rows
    ]  # fmt: skip


def ipf_images(content: PageContent, frame: Frame, crystals: Sequence[Crystal]) -> dict[str, NDArray[np.uint32]]:
    """RGBA of the crystal directions along X, Y and Z; black where not shown."""
    source = content.grain_map.source
    keep, phase_id = frame.shown(kept_pixels(content)), frame.shown(source.phase_id)
    orientation = frame.shown(source.orientation)
    images = {}
    for axis in "zxy":
        image = np.zeros((*frame.shape, 4), dtype=np.uint8)
        image[..., 3] = 255
        for number, crystal in enumerate(crystals):
            mine = keep & (phase_id == number)
            if mine.any():
                rgb = np.rint(255 * ipf_colours(orientation[mine], crystal, axis)).astype(np.uint8)
                image[mine, :3] = (rgb & _DEEPER) | (rgb >> 6)
        images[axis] = image.view(np.uint32)[..., 0]
    return images


def euler_codes(content: PageContent, frame: Frame) -> NDArray[np.uint16]:
    """(rows, columns, 3) Euler angles in hundredths of a degree; 65535 where there is no orientation."""
    angles = np.rad2deg(to_euler(frame.shown(content.grain_map.source.orientation)))
    known = np.isfinite(angles)
    return np.where(known, np.rint(100 * np.where(known, angles, 0.0)) % 36000, _UNKNOWN).astype(np.uint16)


def current_numbers(values: NDArray[np.float64], **texts: Any) -> Numbers:
    """Magnitudes as logarithms, over the four decades below the largest at most; black where nothing flows."""
    flows = np.isfinite(values) & (values > 0)
    if not flows.any():
        return Numbers.of(values, flows, span=(0.0, 1.0), shown=(0.0, 1.0), logarithmic=True, **texts)
    logs = np.full(values.shape, np.nan)
    logs[flows] = np.log10(values[flows])
    high = float(logs[flows].max())
    low = max(float(logs[flows].min()), high - 4)
    first, last = np.percentile(logs[flows], (1, 99.5))
    shown = max(low, float(first)), max(float(last), float(first) + 0.1)
    return Numbers.of(logs, flows, span=(low, max(high, low + 1e-6)), shown=shown, logarithmic=True, **texts)
