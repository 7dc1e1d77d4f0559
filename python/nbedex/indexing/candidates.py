"""The orientations a pattern may have: searched on the grid of templates, refined below it, best first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.indexing.engine import Engine
from nbedex.maps.orientation import canonical, multiply

Array = NDArray[np.float64]
Match = dict[str, NDArray[Any]]

_HALF_TURN_Y = np.array([0.0, 0.0, 1.0, 0.0])


@dataclass(frozen=True, eq=False)
class Candidates:
    """Distinct orientations of n patterns over all phases, the best of k first: that of the largest merit.

    Attributes
    ----------
    phase_id : (n, k) int16
        -1: there is none.
    orientation : (n, k, 4) float64
        Sample to crystal; NaN where there is none.
    score : (n, k) float32
        Zero-mean normalised correlation; NaN where there is none.
    merit : (n, k) float64
        Score over what the best template of the phase would reach on a pattern that has nothing to do with it
        (`noise`): templates of a few spots score higher by chance, and would win too often if phases competed by
        scores alone.
    spread : (n, k) float32
        How flat the maximum is, radians^2 (`cpp/include/nbedex/refine.hpp`); NaN where it was not refined.
    template_id : (n, k) int32
        The template it was found by, in its phase; -1 where there is none.
    mirrored : (n, k) bool
        Whether that was its mirror image.
    mirror_margin : (n,) float32
        Percent, of the first one against its mirror image, both as the search scored them; NaN where the first one
        is not the one of its phase that the search had in front, or where symmetry makes them equivalent.
    half_turn_score : (n,) float32
        Of the first one turned by half about the beam, or of the best candidate that is it turned by half about an
        axis near the beam; NaN where those are equivalent or there is none.
    """

    phase_id: NDArray[np.int16]
    orientation: Array
    score: NDArray[np.float32]
    merit: Array
    spread: NDArray[np.float32]
    template_id: NDArray[np.int32]
    mirrored: NDArray[np.bool_]
    mirror_margin: NDArray[np.float32]
    half_turn_score: NDArray[np.float32]


def match_phases(
    patterns: NDArray[np.float32], engine: Engine, levels: Array, sums: Array | None = None, *, threads: int = 0
) -> list[Match]:
    """The n best distinct orientations of every phase for polar patterns (n, rings, azimuths), as the core has them.

    Phases compete by score over what noise reaches, `levels` (n, phases): `noise_levels` of these patterns. `sums`
    (n, 3) are their `_core.power_sums`, if known.
    """
    options = _core.MatchOptions(
        n_best=engine.settings.n_candidates,
        distinct_angle=float(np.deg2rad(engine.settings.match.distinct_deg)),
        rival_share=engine.settings.rival_share,
        threads=threads,
    )
    search = _core.match_exhaustive if engine.settings.match.exhaustive else _core.match_pruned
    return search(engine.templates, patterns, options, levels.astype(np.float32), sums)[0]


def matched_orientations(template: Array, mirrored: NDArray[Any], azimuth: Array, n_azimuths: int) -> Array:
    """Quaternions (..., 4), sample to crystal, of matches.

    O = O_template [R_y(180 deg) if mirrored] R_z(-azimuth)

    Parameters
    ----------
    template : (..., 4) float64
        Orientations of the templates.
    mirrored : (...)
        Whether their mirror images were met.
    azimuth : (...) float64
        In-plane bins by which they were turned, interpolated.
    n_azimuths
        Bins of a full turn.
    """
    base = np.where((mirrored != 0)[..., None], multiply(template, _HALF_TURN_Y), template)
    half = np.pi * azimuth / n_azimuths
    zero = np.zeros_like(half)
    return canonical(multiply(base, np.stack([np.cos(half), zero, zero, -np.sin(half)], axis=-1)))


def searched(matches: list[Match], engine: Engine, levels: Array) -> Candidates:
    """The `n_best` best over all phases and the best of each phase; equals in the order of phases and ranks.

    `levels` (n, phases): scores that noise reaches, `noise_levels` of the patterns searched.
    """
    n_best = engine.settings.n_candidates
    score = np.stack([np.where(m["template_id"] < 0, np.nan, m["score"]) for m in matches], axis=1)
    n, n_phases, n_ranks = score.shape
    flat = (score / levels[:, :, None]).reshape(n, -1)
    place = np.argsort(best_first(flat), axis=1, kind="stable")  # of each in the order of merits
    wanted = (place < n_best) | (np.arange(flat.shape[1]) % n_ranks == 0)
    order = best_first(np.where(wanted, flat, np.nan))[:, : n_best + n_phases - 1]
    merit = np.take_along_axis(np.where(wanted, flat, np.nan), order, axis=1)
    none = np.isnan(merit)
    found_score = np.where(none, np.nan, np.take_along_axis(score.reshape(n, -1), order, axis=1))

    def chosen(values: list[NDArray[Any]]) -> NDArray[Any]:
        joined = np.concatenate(values, axis=1)
        return np.take_along_axis(joined, order.reshape(*order.shape, *[1] * (joined.ndim - 2)), axis=1)

    mirrored = chosen([m["mirrored"] for m in matches]) != 0
    orientation = matched_orientations(
        chosen([o[np.maximum(m["template_id"], 0)] for m, o in zip(matches, engine.orientations, strict=True)]),
        mirrored,
        chosen([m["azimuth"] + m["azimuth_offset"].astype(np.float64) for m in matches]),
        engine.grid.n_azimuths,
    )
    phase_id = np.where(none, -1, order // n_ranks).astype(np.int16)
    pixel, first = np.arange(n), phase_id[:, 0]
    mirror = np.stack([m["mirror_score"] for m in matches], axis=1)[pixel, first]
    return Candidates(
        phase_id=phase_id,
        orientation=np.where(none[..., None], np.nan, orientation),
        score=found_score.astype(np.float32),
        merit=merit,
        spread=np.full(order.shape, np.nan, dtype=np.float32),
        template_id=np.where(none, -1, chosen([m["template_id"] for m in matches])),
        mirrored=~none & mirrored,
        mirror_margin=margin(found_score[:, 0], mirror),
        half_turn_score=np.stack([m["half_turn_score"] for m in matches], axis=1)[pixel, first],
    )


def refined(
    found: Candidates,
    patterns: NDArray[np.float32],
    engine: Engine,
    levels: Array,
    sums: Array | None = None,
    *,
    threads: int = 0,
) -> Candidates:
    """The candidates refined on the full patterns (n, rings, azimuths), without those that met, best first.

    `levels` (n, phases): scores that noise reaches, `noise_levels` of these patterns. `sums` (n, 3) are their
    `_core.power_sums`, if known.
    """
    better = engine.model.refine(patterns, found.phase_id, found.orientation, levels, threads, sums)
    gone = np.isnan(better["score"])
    pixel = np.arange(len(gone))[:, None]
    merit = better["score"] / levels[pixel, np.maximum(found.phase_id, 0)]
    order = best_first(merit)
    gone = gone[pixel, order]
    return Candidates(
        phase_id=np.where(gone, np.int16(-1), found.phase_id[pixel, order]),
        orientation=better["orientation"][pixel, order],
        score=better["score"][pixel, order],
        merit=merit[pixel, order],
        spread=better["spread"][pixel, order],
        template_id=np.where(gone, np.int32(-1), found.template_id[pixel, order]),
        mirrored=found.mirrored[pixel, order] & ~gone,
        mirror_margin=np.where(order[:, 0] == 0, found.mirror_margin, np.float32(np.nan)),
        half_turn_score=better["half_turn"],
    )


def with_turned_rivals(found: Candidates, engine: Engine) -> Candidates:
    """With the scores of rivals of the winner's phase that are it turned by half about an axis near the beam."""
    rivals = engine.model.turned_rivals(found.phase_id, found.orientation, found.score)
    return replace(found, half_turn_score=np.fmax(found.half_turn_score, rivals))


def best_first(score: NDArray[Any]) -> NDArray[np.intp]:
    """Order of scores along the last axis, NaN last, equals as they stand."""
    return np.argsort(np.where(np.isnan(score), np.inf, -score), axis=-1, kind="stable")


def best_where(mask: NDArray[np.bool_], score: NDArray[Any]) -> NDArray[Any]:
    """Largest score along the last axis where `mask` is set; NaN where it is nowhere."""
    best = np.where(mask & ~np.isnan(score), score, -np.inf).max(axis=-1)
    return np.asarray(np.where(np.isinf(best), np.nan, best))


def margin(best: NDArray[Any], rival: NDArray[Any], *, without_rival: float = np.nan) -> NDArray[np.float32]:
    """100 (1 - rival / best) in percent, between 0 and 100; NaN where there is no positive best score.

    Where there is no rival, `without_rival`: NaN, or the percentage below which one would have been found.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = np.clip(100.0 * (1.0 - np.maximum(rival, 0.0) / best), 0.0, 100.0)
    percent = np.where(np.isnan(rival), without_rival, percent)
    return np.asarray(np.where(best > 0, percent, np.nan), dtype=np.float32)
