"""What is published of the lamella that the virtual one follows: numbers and labels, as printed.

Ding2023: Z. Ding et al., Adv. Energy Mater. 2023, 2302322. Ding2024: Z. Ding, doctoral thesis, TU Darmstadt 2024.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedPair:
    """A row of the published table, degrees.

    Attributes
    ----------
    first, second
        Grains, as printed.
    misorientation_deg
        Disorientation angle of the two crystals.
    path_deg
        "Misorientation of the Na+ transport path". It is printed as the angle between the conduction planes, but fits
        no orientations as that; it fits the angle between their traces on the lamella (docs/lamella.md).
    """

    first: str
    second: str
    misorientation_deg: float
    path_deg: float


@dataclass(frozen=True)
class PublishedClass:
    """A boundary named as an example of a class.

    Attributes
    ----------
    first, second
        Grains, as printed.
    label
        Beginning of the class's label (`nbedex.blockade.class_label`): "III" is any of III a1 to III b2.
    source
        Where it says so.
    """

    first: str
    second: str
    label: str
    source: str


@dataclass(frozen=True)
class PublishedRelation:
    """A boundary with a coincidence, or of a low angle (sigma 1: below 15 degrees).

    Attributes
    ----------
    first, second
        Grains.
    sigma
        Coincidence index.
    source
        Where it says so.
    """

    first: str
    second: str
    sigma: int
    source: str


# Ding2024 tab. 4-1, Ding2023 tab. S1
PAIRS = (
    PublishedPair("G1", "G11", 51, 14),
    PublishedPair("G9", "G5", 82, 66),
    PublishedPair("G9", "G7", 88, 29),
    PublishedPair("G9", "G8", 76, 66),
    PublishedPair("G9", "G10", 55, 79),
    PublishedPair("G9", "G12", 71, 55),
    PublishedPair("G9", "G13", 90, 53),
    PublishedPair("G9", "G14", 79, 53),
    PublishedPair("G10", "G15", 35, 27),
    PublishedPair("G11", "G15", 23, 10),
    PublishedPair("G11", "G16", 64, 85),
    PublishedPair("G15", "G16", 63, 79),
    PublishedPair("G14", "G16", 70, 89),
    PublishedPair("G13", "G16", 74, 89),
)

_FIGURES = "Ding2023 fig. 5, Ding2024 fig. 4.12"
CLASSES = (
    PublishedClass("G13", "G14", "I a1", _FIGURES),
    PublishedClass("G14", "G15", "I a", _FIGURES),
    PublishedClass("G6", "G11", "I b", _FIGURES),
    PublishedClass("G1", "G11", "I a2", f"{_FIGURES}; Ding2024: a stretch of it is I b1"),
    PublishedClass("G15", "G16", "II b1", _FIGURES),
    PublishedClass("G14", "G16", "II b1", _FIGURES),
    PublishedClass("G11", "G16", "III a2", f"{_FIGURES}; where the first filament grows"),
    PublishedClass("G5", "G9", "III", _FIGURES),
    PublishedClass("G8", "G9", "III", _FIGURES),
    PublishedClass("G9", "G13", "III", _FIGURES),
    PublishedClass("G10", "G15", "III", _FIGURES),
    PublishedClass("G9", "G14", "III", _FIGURES),
)

RELATIONS = (
    PublishedRelation("G14", "G15", 1, "Ding2023, Ding2024"),
    PublishedRelation("G6", "G11", 1, "Ding2023, Ding2024"),
    PublishedRelation("G13", "G14", 3, "Ding2023, Ding2024: 60 degrees about c"),
    PublishedRelation("G5", "G8", 21, "Ding2024; Ding2023 calls the pair G5/G6"),
)
