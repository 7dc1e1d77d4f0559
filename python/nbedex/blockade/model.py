"""What is said of every boundary in a field."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade.classes import BoundaryClass
from nbedex.blockade.settings import BlockadeSettings
from nbedex.blockade.stretches import Stretches
from nbedex.blockade.tensors import Media
from nbedex.boundaries import BoundaryNetwork
from nbedex.errors import ArgumentError

Floats = NDArray[np.float64]


class Level(IntEnum):
    """What the net accumulation amounts to."""

    UNDEFINED = -9  # no field, nothing known of a side, or nothing that conducts
    DEPLETED = -2
    PARTLY_DEPLETED = -1
    BALANCED = 0
    PARTLY_BLOCKS = 1
    BLOCKS = 2

    @property
    def label(self) -> str:
        """For people."""
        return self.name.lower().replace("_", " ")


class Flag(IntFlag):
    """What to know before believing a class."""

    OBLIQUE_FIELD = 1  # the field is neither across nor along
    TRACES_DIFFER = 2  # the label from traces, as published, is another one
    MIXED = 4  # a curved boundary changes its class along itself
    NEAR_LIMIT = 8  # errors of orientation may turn the class
    AMBIGUOUS_GRAIN = 16  # a side has two orientations that fit
    WEAK_CHEVRON = 32  # III a or b, but hardly different from neither
    ELECTRODE = 64  # a side takes sodium up: accumulation is what is deposited (negative: stripped)
    INSULATOR = 128  # a side lets nothing pass: accumulation is what piles up against it


NEAR_LIMIT_BELOW = 0.95
UNDECIDED, MIXED = -1, -2
PEOPLE = {UNDECIDED: "undecided", MIXED: "mixed"}


def class_label(code: int) -> str:
    """Text of a class code, or of a verdict that is none."""
    return PEOPLE.get(int(code)) or BoundaryClass(int(code)).label


@dataclass(frozen=True, kw_only=True, eq=False)
class Alternatives:
    """Grains with more than one orientation that fits: the others, and how probable they are.

    Attributes
    ----------
    grain
        (j,) region; may occur several times.
    normal
        (j, 3) conduction-plane normal of the other solution, sample frame.
    share
        (j,) its probability; the orientation in `Grains` has what is left.
    """

    grain: NDArray[np.int64]
    normal: Floats
    share: Floats

    def __post_init__(self) -> None:
        total = np.bincount(self.grain, self.share) if len(self.grain) else np.zeros(1)
        if (self.share < 0).any() or (total > 1 + 1e-9).any():
            raise ArgumentError("shares of a grain's other orientations must be positive and sum to at most 1")


@dataclass(frozen=True, kw_only=True, eq=False)
class Statements:
    """One row per stretch of boundary.

    Attributes
    ----------
    code
        (k,) int8, `BoundaryClass` from planes in space.
    code_traces
        (k,) int8, from traces, as published.
    accumulation
        (k,) a = (q_A + q_B) / (sigma_ip |E|): positive piles up, negative depletes.
    transmission
        (k,) what both sides can carry across, in the same unit; NaN at electrodes.
    vector
        (k, 3) v, with a = v . E / |E| for every field.
    level
        (k,) int8, `Level` of the accumulation.
    probability
        (k, 13) of each class.
    accumulation_mean, accumulation_sigma
        (k,) with errors of orientation and boundary.
    blocks_probability
        (k,) that the accumulation reaches `blocks_at`.
    verdict
        (k,) int8, the class that reaches `decided_at`; -1 undecided, -2 mixed.
    flags
        (k,) int16, `Flag`.
    """

    code: NDArray[np.int8]
    code_traces: NDArray[np.int8]
    accumulation: Floats
    transmission: Floats
    vector: Floats
    level: NDArray[np.int8]
    probability: Floats
    accumulation_mean: Floats
    accumulation_sigma: Floats
    blocks_probability: Floats
    verdict: NDArray[np.int8]
    flags: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.code)


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentStatements(Statements):
    """One row per boundary segment: means over its length.

    The class is the one that holds along most of it; probabilities are those of a place on it taken at random.

    Attributes
    ----------
    code_share
        (n,) share of the length that has this class.
    lowest, highest
        (n,) accumulation along the segment.
    blocking_length
        (n,) nm along which the accumulation reaches `blocks_at`.
    """

    code_share: Floats
    lowest: Floats
    highest: Floats
    blocking_length: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Blockade:
    """A boundary network in a field.

    Attributes
    ----------
    network
        The boundaries.
    field
        What the field was, for people and provenance.
    media
        What the regions are for Na+.
    stretches
        The boundaries cut where they turn, with normal and field of each piece.
    along
        What is said of each stretch.
    segments
        What is said of each segment.
    settings
        The options.
    """

    network: BoundaryNetwork
    field: dict[str, Any]
    media: Media
    stretches: Stretches
    along: Statements
    segments: SegmentStatements
    settings: BlockadeSettings

    @property
    def in_scheme(self) -> NDArray[np.bool_]:
        """(k,) stretches that have a class."""
        return np.asarray(self.along.code != BoundaryClass.NOT_IN_SCHEME)
