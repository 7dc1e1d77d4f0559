"""From a boundary network and a field to what every boundary does to Na+."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade.classes import classify, edge_on
from nbedex.blockade.field import Field
from nbedex.blockade.flux import accumulation_vector, boundary_flux, unit
from nbedex.blockade.model import NEAR_LIMIT_BELOW, Alternatives, Blockade, Flag, Statements
from nbedex.blockade.segments import level_of, over_segments, verdict_of
from nbedex.blockade.settings import BlockadeSettings
from nbedex.blockade.stretches import Stretches, cut_into_stretches
from nbedex.blockade.sums import sums
from nbedex.blockade.tensors import Media, Medium, media_of
from nbedex.blockade.uncertainty import Confidence, Pairs, confidence_of
from nbedex.boundaries import BoundaryNetwork

Floats = NDArray[np.float64]


def analyse_blockade(
    network: BoundaryNetwork,
    field: Field,
    *,
    settings: BlockadeSettings | None = None,
    alternatives: Alternatives | None = None,
) -> Blockade:
    """Net accumulation, transmission and class of every boundary, with their confidence.

    Parameters
    ----------
    network
        Boundaries of a grain map.
    field
        `UniformField` or `FieldMap`.
    settings
        Options; None for the defaults.
    alternatives
        Other orientations of grains that have two which fit. They count in probabilities, mean and sigma; the class
        itself is that of the orientation in `Grains`.

    Returns
    -------
    blockade
        Per stretch of boundary and per segment. The same input gives the same numbers, in whatever order it comes.
    """
    chosen = settings or BlockadeSettings()
    grain_map, boundaries = network.grain_map, network.boundaries
    media = media_of(grain_map.grains, grain_map.source.phases, chosen)
    stretches = cut_into_stretches(boundaries, field, max_turn_deg=chosen.max_turn_deg)
    side_a = boundaries.grain_a[stretches.segment]
    side_b = boundaries.grain_b[stretches.segment]
    along = _statements(media, stretches, (side_a, side_b), chosen, alternatives)
    return Blockade(
        network=network,
        field=field.description,
        media=media,
        stretches=stretches,
        along=along,
        segments=over_segments(along, stretches, len(boundaries), chosen),
        settings=chosen,
    )


def planes_of(blockade: Blockade) -> tuple[Floats, Floats]:
    """(k, 3) normals of the conduction planes on both sides of every stretch; zero where there are none."""
    boundaries, segment = blockade.network.boundaries, blockade.stretches.segment
    normal = blockade.media.normal
    return normal[boundaries.grain_a[segment]], normal[boundaries.grain_b[segment]]


def pairs_of(media: Media, a: NDArray[Any], b: NDArray[Any], stretches: Stretches) -> Pairs:
    """The crystals on both sides of every stretch."""
    return Pairs(
        normal_a=media.normal[a],
        normal_b=media.normal[b],
        in_plane_a=media.in_plane[a],
        in_plane_b=media.in_plane[b],
        out_of_plane_a=media.out_of_plane[a],
        out_of_plane_b=media.out_of_plane[b],
        error_a=np.deg2rad(media.error_deg[a]),
        error_b=np.deg2rad(media.error_deg[b]),
        boundary=stretches.normal,
        field=unit(stretches.field),
    )


def confidence_along(
    pairs: Pairs,
    sides: tuple[NDArray[Any], NDArray[Any]],
    settings: BlockadeSettings,
    alternatives: Alternatives | None,
) -> Confidence:
    """What is left of the statement on every stretch when orientations err, or are others."""
    expanded, row, share = _with_alternatives(pairs, *sides, alternatives)
    return _mixture(confidence_of(expanded, settings), row, share, len(sides[0]))


def _statements(
    media: Media,
    stretches: Stretches,
    sides: tuple[NDArray[Any], NDArray[Any]],
    settings: BlockadeSettings,
    alternatives: Alternatives | None,
) -> Statements:
    a, b = sides
    pairs = pairs_of(media, a, b, stretches)
    tensor, reference = media.tensor, pairs.reference
    flux = boundary_flux(tensor[a], tensor[b], pairs.boundary, pairs.field, reference=reference)
    limits = settings.tolerances
    space = classify(pairs.normal_a, pairs.normal_b, pairs.boundary, pairs.field, limits)
    standing = edge_on(media.normal, least_inclination_deg=limits.least_inclination_deg)
    flat = unit(pairs.boundary * np.array([1.0, 1.0, 0.0]))
    traces = classify(standing[a], standing[b], flat, pairs.field, limits)
    sure = confidence_along(pairs, sides, settings, alternatives)
    electrode = (media.medium[a] == Medium.ELECTRODE) | (media.medium[b] == Medium.ELECTRODE)
    insulator = (media.medium[a] == Medium.INSULATOR) | (media.medium[b] == Medium.INSULATOR)
    ambiguous = np.zeros(len(media.medium), dtype=bool)
    if alternatives is not None:
        ambiguous[alternatives.grain] = True
    nominal = np.take_along_axis(sure.probability, space.code[:, None].astype(np.int64), axis=1)[:, 0]
    flags = _flags(
        {
            Flag.OBLIQUE_FIELD: space.oblique_field,
            Flag.TRACES_DIFFER: traces.code != space.code,
            Flag.NEAR_LIMIT: nominal < NEAR_LIMIT_BELOW,
            Flag.AMBIGUOUS_GRAIN: ambiguous[a] | ambiguous[b],
            Flag.WEAK_CHEVRON: space.weak_chevron,
            Flag.ELECTRODE: electrode,
            Flag.INSULATOR: insulator,
        }
    )
    return Statements(
        code=space.code,
        code_traces=traces.code,
        accumulation=flux.accumulation,
        transmission=np.where(electrode, np.nan, flux.transmission),
        vector=accumulation_vector(tensor[a], tensor[b], pairs.boundary, reference=reference),
        level=level_of(flux.accumulation, settings),
        probability=sure.probability,
        accumulation_mean=sure.mean,
        accumulation_sigma=sure.sigma,
        blocks_probability=sure.blocks,
        verdict=verdict_of(sure.probability, settings),
        flags=flags,
    )


def _flags(conditions: dict[Flag, NDArray[np.bool_]]) -> NDArray[np.int16]:
    each = [np.where(rows, np.int16(flag), np.int16(0)) for flag, rows in conditions.items()]
    return np.asarray(np.bitwise_or.reduce(each), dtype=np.int16)


def _with_alternatives(
    pairs: Pairs, a: NDArray[Any], b: NDArray[Any], alternatives: Alternatives | None
) -> tuple[Pairs, NDArray[np.int64], Floats]:
    """Every combination of orientations that the two sides may have: rows of pairs, whose row it is, its share."""
    row, share = np.arange(len(a)), np.ones(len(a))
    if alternatives is None or len(alternatives.grain) == 0:
        return pairs, row, share
    normal_a, normal_b = pairs.normal_a, pairs.normal_b
    row, normal_a, (normal_b,), share = _branched(row, a, normal_a, (normal_b,), share, alternatives)
    row, normal_b, (normal_a,), share = _branched(row, b[row], normal_b, (normal_a,), share, alternatives)
    return replace(pairs.rows(row), normal_a=normal_a, normal_b=normal_b), row, share


def _branched(
    row: NDArray[np.int64],
    grain: NDArray[Any],
    normal: Floats,
    others: tuple[Floats, ...],
    share: Floats,
    alternatives: Alternatives,
) -> tuple[NDArray[np.int64], Floats, tuple[Floats, ...], Floats]:
    """Rows of grains with alternatives once more for each, behind the rows there are."""
    order = np.argsort(alternatives.grain, kind="stable")
    owner = alternatives.grain[order]
    first, last = np.searchsorted(owner, grain), np.searchsorted(owner, grain, side="right")
    count = last - first
    again = np.repeat(np.arange(len(row)), count)
    which = order[np.repeat(first, count) + np.arange(len(again)) - np.repeat(np.cumsum(count) - count, count)]
    taken = sums(again, alternatives.share[which], len(row))
    return (
        np.concatenate([row, row[again]]),
        np.concatenate([normal, alternatives.normal[which]]),
        tuple(np.concatenate([other, other[again]]) for other in others),
        np.concatenate([share * (1 - taken), share[again] * alternatives.share[which]]),
    )


def _mixture(each: Confidence, row: NDArray[np.int64], share: Floats, n: int) -> Confidence:
    """Probabilities, mean and sigma of mixtures of rows."""
    if len(row) == n:
        return each
    mean = sums(row, share * each.mean, n)
    square = sums(row, share * (each.sigma**2 + each.mean**2), n)
    probability = np.stack([sums(row, share * column, n) for column in each.probability.T], axis=1)
    return Confidence(
        probability=probability,
        mean=mean,
        sigma=np.sqrt(np.maximum(square - mean**2, 0.0)),
        blocks=sums(row, share * each.blocks, n),
    )
