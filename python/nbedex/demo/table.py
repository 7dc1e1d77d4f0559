"""The published tables with two columns more: what is true of the virtual lamella, and what its patterns say."""

from __future__ import annotations

from dataclasses import dataclass

from nbedex.blockade import Blockade, UniformField, analyse_blockade
from nbedex.boundaries import trace_boundaries
from nbedex.demo.compare import (
    Angles,
    AtElectrode,
    BoundaryView,
    Names,
    Pair,
    angles_found,
    angles_true,
    at_electrodes,
    boundary_of,
    same_class,
)
from nbedex.demo.published import CLASSES, PAIRS, RELATIONS
from nbedex.demo.specimen import Specimen
from nbedex.demo.truth import true_grains

TOLERANCE_DEG = 1.0  # of recovered angles against true ones
FIRST_FILAMENT: Pair = ("G11", "G16")


@dataclass(frozen=True, kw_only=True)
class PairRow:
    """A row of the published table of angles, degrees."""

    pair: Pair
    published_omega: float
    published_path: float
    true: Angles
    found: Angles

    @property
    def error_deg(self) -> float:
        """Largest of the three differences between found and true; NaN where a grain was not found."""
        pairs = (
            (self.true.omega, self.found.omega),
            (self.true.psi, self.found.psi),
            (self.true.delta_theta, self.found.delta_theta),
        )
        differences = [abs(b - a) for a, b in pairs]
        return max(differences) if all(d == d for d in differences) else float("nan")

    @property
    def right(self) -> bool:
        """Whether all three are found."""
        return self.error_deg <= TOLERANCE_DEG


@dataclass(frozen=True, kw_only=True)
class RelationRow:
    """A pair that is published as a coincidence (Σ) or a low-angle boundary (Σ1)."""

    pair: Pair
    published: int
    true: BoundaryView
    found: BoundaryView

    @property
    def right(self) -> bool:
        """Whether the patterns say what is published."""
        return self.found.sigma == self.published


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """A boundary that is published as an example of a class."""

    pair: Pair
    published: str
    true: BoundaryView
    found: BoundaryView

    @property
    def right(self) -> bool:
        """Whether the patterns say, by traces, what is published."""
        return same_class(self.found.by_traces, self.published)


@dataclass(frozen=True, kw_only=True)
class Tables:
    """All that can be compared with what is published.

    Attributes
    ----------
    pairs, relations, classes
        Row by row as published.
    electrodes
        Boundaries that end at an electrode, the most blocked first.
    """

    pairs: tuple[PairRow, ...]
    relations: tuple[RelationRow, ...]
    classes: tuple[ClassRow, ...]
    electrodes: tuple[AtElectrode, ...]

    @property
    def filament_rank(self) -> int | None:
        """Place, from 1, of the boundary where the first filament grew among those that end at an electrode."""
        order = [row.pair for row in self.electrodes]
        return order.index(FIRST_FILAMENT) + 1 if FIRST_FILAMENT in order else None


def make_tables(specimen: Specimen, found: Blockade, names: Names) -> Tables:
    """Compare.

    Parameters
    ----------
    specimen
        Whose crystals and boundaries are true.
    found
        Boundaries of a map of all of it, in a field.
    names
        What the map's grains are called.
    """
    grain_map = found.network.grain_map
    true = true_boundaries(specimen, grain_map.source.shape)
    pairs = [
        PairRow(
            pair=(p.first, p.second),
            published_omega=p.misorientation_deg,
            published_path=p.path_deg,
            true=angles_true(specimen, (p.first, p.second)),
            found=angles_found(grain_map, names, (p.first, p.second)),
        )
        for p in PAIRS
    ]
    relations = [
        RelationRow(
            pair=(p.first, p.second),
            published=p.sigma,
            true=boundary_of(*true, (p.first, p.second)),
            found=boundary_of(found, names, (p.first, p.second)),
        )
        for p in RELATIONS
    ]
    classes = [
        ClassRow(
            pair=(p.first, p.second),
            published=p.label,
            true=boundary_of(*true, (p.first, p.second)),
            found=boundary_of(found, names, (p.first, p.second)),
        )
        for p in CLASSES
    ]
    return Tables(
        pairs=tuple(pairs),
        relations=tuple(relations),
        classes=tuple(classes),
        electrodes=tuple(at_electrodes(found, names)),
    )


def true_boundaries(specimen: Specimen, shape: tuple[int, int]) -> tuple[Blockade, Names]:
    """The boundaries of the true map in the specimen's field, and the names of its grains."""
    grain_map, region = true_grains(specimen, shape)
    blockade = analyse_blockade(trace_boundaries(grain_map), UniformField(specimen.field_deg))
    return blockade, Names({specimen.names[number]: (grain,) for grain, number in enumerate(region.tolist())})
