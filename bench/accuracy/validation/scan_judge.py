"""What a map is worth, given the true polycrystal: pixels, grains after pooling, false twins, overlap at boundaries."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.library import DynamicalCrystal, DynamicalSettings
from nbedex.maps import canonical, disorientation_angle, half_turned, multiply
from nbedex.phases import Phase
from validation.judge import wilson
from validation.specimen import HALF_TURN, KINDS, NEAR_ZONE, PSEUDO, TWIN, Integers, Truth

Array = NDArray[np.float64]
PURE = 0.95  # share of the largest grain from which a column counts as one grain's
PIXEL_DEG, GRAIN_DEG = 3.0, 3.0
SAME_DEG = 3.0  # candidates of different pixels this close are one
SAME = "of the same pattern"
SURE = 0.95
_THIRDS = [np.array([np.cos(a), 0, 0, np.sin(a)]) for a in (np.pi / 3, 2 * np.pi / 3)]


@dataclass(frozen=True, eq=False)
class Found:
    """A map, by any program.

    Attributes
    ----------
    phase : (ny, nx) int
        Index into the truth's phases, -1 where none was found or another.
    orientation : (ny, nx, 4)
        NaN where none.
    rival_phase, rival_orientation, rival_score : (ny, nx, b), (ny, nx, b, 4), (ny, nx, b)
        Best distinct candidates, the first included.
    further_phase, further_orientation, further_share
        (ny, nx, m), (ny, nx, m, 4), (ny, nx, m): more crystals in the pattern, and their shares; -1 and NaN where
        there are none; None if nobody looked.
    """

    phase: Integers
    orientation: Array
    rival_phase: Integers
    rival_orientation: Array
    rival_score: Array
    further_phase: Integers | None = None
    further_orientation: Array | None = None
    further_share: Array | None = None


def angles(phases: list[Phase], phase: Integers, true: Array, found: Array, found_phase: Integers) -> Array:
    """Degrees between true and found orientations, any shape; infinite where the phase is another."""
    phase, found_phase = np.broadcast_arrays(phase, found_phase)
    true, found = np.broadcast_arrays(true, found)
    out = np.full(phase.shape, np.inf)
    for number, one in enumerate(phases):
        where = (phase == number) & (found_phase == number)
        out[where] = np.rad2deg(disorientation_angle(true[where], found[where], one.symmetry_quaternions))
    return np.where(np.isnan(out), np.inf, out)


def pixel_rows(truth: Truth, found: Found, phases: list[Phase]) -> list[list[str]]:
    """Under `PIXEL_COLUMNS`."""
    grain, share, orientation = truth.main()
    phase = truth.grain_phase[grain]
    off = angles(phases, phase, orientation, found.orientation, found.phase)
    of_any = np.minimum(off, second_error(truth, found.phase, found.orientation, phases))
    groups = [(one.name, (phase == number) & (share >= PURE)) for number, one in enumerate(phases)]
    groups += [("all of one grain", share >= PURE), ("of several grains", share < PURE)]
    groups += [("second grain over 30 %", share < 0.7), ("all", np.ones_like(share, dtype=bool))]
    rows = []
    for name, where in groups:
        n = int(where.sum())
        if n == 0:
            continue
        near = off[where][off[where] <= PIXEL_DEG]
        right = "{:.1f} ± {:.1f}".format(*wilson(len(near), n))
        either = 100 * float((of_any[where] <= PIXEL_DEG).mean())
        right_phase = 100 * float((phase == found.phase)[where].mean())
        lost = 100 * float((found.phase[where] < 0).mean())
        median = f"{np.median(near):.2f}" if len(near) else "–"
        rows.append([name, str(n), right, f"{either:.1f}", median, f"{right_phase:.1f}", f"{lost:.1f}"])
    return rows


PIXEL_COLUMNS = ["columns", "n", "main grain, %", "any of its grains, %", "median, °", "right phase, %", "lost, %"]


def second_error(truth: Truth, phase: Integers, orientation: Array, phases: list[Phase]) -> Array:
    """Degrees (ny, nx) from what was found to the closest of the grains in a column that are not its main one."""
    out = np.full(truth.shape, np.inf)
    later = np.r_[False, (np.diff(truth.row) == 0) & (np.diff(truth.column) == 0)]
    for i in np.flatnonzero(later):
        at = truth.row[i], truth.column[i]
        true_phase = truth.grain_phase[truth.grain[i]]
        off = angles(phases, true_phase, truth.orientation[i], orientation[at], phase[at])
        out[at] = min(out[at], float(off))
    return out


@dataclass(frozen=True, eq=False)
class Pooled:
    """Phase (g,) and orientation (g, 4) of every true grain from its pixels' answers; -1 and NaN where it has none."""

    phase: Integers
    orientation: Array


def pooled(truth: Truth, found: Found, phases: list[Phase], *, candidates: bool) -> Pooled:
    """Every true grain's best supported orientation, over the columns of which it is the most.

    With `candidates` each pixel gives every rival what it scores above the pixel's lowest; else it has one vote for its
    best.
    """
    grain, _, _ = truth.main()
    phase = np.full(len(truth.grain_phase), -1)
    orientation = np.full((len(phase), 4), np.nan)
    for g in range(len(phase)):
        own = grain == g
        score = found.rival_score[own] if candidates else np.where(found.phase[own] >= 0, 1.0, np.nan)[:, None]
        of_phase = found.rival_phase[own] if candidates else found.phase[own][:, None]
        of_orientation = found.rival_orientation[own] if candidates else found.orientation[own][:, None]
        floor = np.nanmin(score, axis=1, initial=np.inf) if candidates else np.zeros(len(score))
        best = -np.inf
        for number, one in enumerate(phases):
            given = (of_phase == number) & ~np.isnan(score)
            if not given.any():
                continue
            pixel = np.nonzero(given)[0]
            q, s = of_orientation[given], score[given]
            close = disorientation_angle(q[:, None], q[None], one.symmetry_quaternions) < np.deg2rad(SAME_DEG)
            gain = np.zeros((len(q), len(score)))  # of each candidate by each pixel
            for i, p in enumerate(pixel):
                gain[:, p] = np.maximum(gain[:, p], np.where(close[:, i], s[i] - np.minimum(floor[p], s[i]), 0.0))
            support = gain.sum(axis=1)
            if support.max() > best:
                top = int(support.argmax())
                best, phase[g] = float(support[top]), number
                # the one nearest to all that agree
                members = np.flatnonzero(close[top])
                apart = disorientation_angle(q[members][:, None], q[members][None], one.symmetry_quaternions)
                orientation[g] = q[members[apart.sum(axis=1).argmin()]]
    return Pooled(phase, orientation)


def same_pattern(phase: Phase, true: Array, found: Array) -> bool:
    """Whether `found` is the true orientation turned by half about a zone axis, and no pattern tells them apart.

    Bloch waves of both, as far as the kit's detector sees, differ in less than 0.2 % of the intensity at three
    thicknesses.
    """
    symmetry = phase.symmetry_quaternions
    indices = [uvw for uvw in itertools.product(range(-6, 7), repeat=3) if uvw > (0, 0, 0) and math.gcd(*uvw) == 1]
    axes = np.array(indices) @ phase.direct_basis.T
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    twins = multiply(np.concatenate([np.zeros((len(axes), 1)), axes], axis=1), true)
    off = np.rad2deg(disorientation_angle(found, twins, symmetry))
    if off.min() > 3:
        return False
    crystal = DynamicalCrystal(phase, DynamicalSettings(voltage=300.0, k_max=1.45))
    spots = []
    for q in (true, twins[off.argmin()]):
        one = crystal.patterns(canonical(q)[None], [40.0, 70.0, 100.0]).pattern(0)
        k = np.stack([one["kx"], one["ky"]], axis=1).astype(float)
        seen = (np.linalg.norm(k, axis=1) > 0.05) & (np.linalg.norm(k, axis=1) < 1.34)
        spots.append((k[seen], one["intensity"][seen].astype(float)))
    (first, a), (second, b) = spots
    apart = np.linalg.norm(first[:, None] - second[None], axis=-1)
    partner, meets = apart.argmin(axis=1), apart.min(axis=1) < 0.004
    alone = np.ones(len(b), dtype=bool)
    alone[partner[meets]] = False
    different = np.abs(a - np.where(meets[:, None], b[partner], 0.0)).sum(axis=0) + b[alone].sum(axis=0)
    return bool((different / (a.sum(axis=0) + b.sum(axis=0))).max() < 2e-3)


def relation(phase: Phase, true: Array, found: Array) -> str:
    """How a wrong orientation is related to the true one."""
    symmetry = phase.symmetry_quaternions
    if np.rad2deg(disorientation_angle(true, found, symmetry)) < 5:
        return "near"
    if same_pattern(phase, true, found):
        return SAME
    if np.rad2deg(disorientation_angle(multiply(true, np.array([0.0, 0, 0, 1])), found, symmetry)) < 4:
        return "turned"
    if any(np.rad2deg(disorientation_angle(multiply(t, true), found, symmetry)) < 4 for t in _THIRDS):
        return "120° about c*"
    if half_turned(true[None], found[None], symmetry, tilt=np.deg2rad(20.0))[0]:
        return "half turn"
    return "other"


def grain_rows(truth: Truth, pools: dict[str, Pooled], phases: list[Phase], *, smallest: int) -> list[list[str]]:
    """Under `GRAIN_COLUMNS`: true grains that are the most of at least `smallest` columns."""
    grain, _, _ = truth.main()
    big = np.flatnonzero(np.bincount(grain.ravel(), minlength=len(truth.grain_phase)) >= smallest)
    rows = []
    for name, pool in pools.items():
        off = angles(phases, truth.grain_phase, truth.grain_orientation, pool.orientation, pool.phase)[big]
        right = off <= GRAIN_DEG
        plain = truth.grain_kind[big] != NEAR_ZONE
        wrong = []
        for g in big[~right]:
            of = phases[truth.grain_phase[g]]
            how = "none" if pool.phase[g] < 0 else f"as {phases[pool.phase[g]].name}"
            if pool.phase[g] == truth.grain_phase[g]:
                how = relation(of, truth.grain_orientation[g], pool.orientation[g])
            wrong.append(f"{of.name}, {KINDS[truth.grain_kind[g]]}: {how}")
        share = "{:.1f} ± {:.1f}".format(*wilson(int(right.sum()), len(big)))
        twins = sum(w.endswith(("turned", "about c*", "half turn")) for w in wrong)
        median = f"{np.median(off[right]):.2f}" if right.any() else "–"
        traps = f"{int(right[plain].sum())} of {int(plain.sum())}, {int(right[~plain].sum())} of {int((~plain).sum())}"
        rows.append([name, str(len(big)), share, traps, str(twins), median, "; ".join(wrong) or "–"])
    return rows


GRAIN_COLUMNS = ["pooled by", "grains", "right, %", "off zones, near them", "false twins", "median, °", "wrong"]


@dataclass(frozen=True, eq=False)
class FoundGrains:
    """Grains by any program: number (ny, nx) of each pixel, -1 for none; phase (m,) and mean orientation (m, 4).

    And how sure the program is of each (m,), if it says so.
    """

    number: Integers
    phase: Integers
    orientation: Array
    probability: Array | None = None


def segmentation_rows(truth: Truth, found: FoundGrains, phases: list[Phase], *, smallest: int) -> list[list[str]]:
    """Name and value. A true grain is right if the found grain with most of its pixels is, and mostly it."""
    grain, _, _ = truth.main()
    n, m = len(truth.grain_phase), len(found.phase)
    seen = found.number >= 0
    table = np.zeros((n, m), dtype=np.int64)
    np.add.at(table, (grain[seen], found.number[seen]), 1)
    big = np.flatnonzero(np.bincount(grain.ravel(), minlength=n) >= smallest)
    mostly = table.argmax(axis=0)  # true grain of each found one
    off = angles(phases, truth.grain_phase[mostly], truth.grain_orientation[mostly], found.orientation, found.phase)
    owner = table.argmax(axis=1)  # found grain of each true one
    right = (mostly[owner] == np.arange(n)) & (off[owner] <= GRAIN_DEG)
    size = table.sum(axis=0)
    real = (size >= smallest) & (found.phase >= 0)
    wrong = np.flatnonzero(real & (off > 5.0))
    how = [
        relation(phases[found.phase[i]], truth.grain_orientation[mostly[i]], found.orientation[i])
        if found.phase[i] == truth.grain_phase[mostly[i]]
        else f"{phases[truth.grain_phase[mostly[i]]].name} as {phases[found.phase[i]].name}"
        for i in wrong
    ]
    extra = sum(max(0, int((real & (mostly == g) & (off <= 5.0)).sum()) - 1) for g in big)
    special = [g for g in big if truth.grain_kind[g] in (TWIN, HALF_TURN, PSEUDO) and g < truth.grain_partner[g]]
    apart = sum(bool(right[g] and right[truth.grain_partner[g]]) for g in special)
    twins_are = np.array([w in ("turned", "half turn", "120° about c*") for w in how], dtype=bool)
    twins = int(twins_are.sum())
    same = how.count(SAME)

    def stated(which: NDArray[np.bool_]) -> str:
        return "–" if found.probability is None else str(int((found.probability[wrong[which]] >= SURE).sum()))

    near = np.flatnonzero(real & (off > GRAIN_DEG) & (off <= 5.0))
    sure = 0 if found.probability is None else int((found.probability[near] >= SURE).sum())
    nearly = f"{len(near)} ({sure})"
    wrong_ones = [
        f"{int(size[i])} px of {phases[truth.grain_phase[mostly[i]]].name}: {relative}"
        for i, relative in zip(wrong, how, strict=True)
    ]
    alike = right.copy()  # or as right as one can be
    for g in big[~right[big]]:
        answer = int(owner[g])
        if mostly[answer] == g and found.phase[answer] == truth.grain_phase[g]:
            alike[g] = same_pattern(phases[truth.grain_phase[g]], truth.grain_orientation[g], found.orientation[answer])
    ok = np.zeros(grain.shape, dtype=bool)
    ok[seen] = (mostly[found.number[seen]] == grain[seen]) & (off[found.number[seen]] <= GRAIN_DEG)
    return [
        ["true grains", str(len(big))],
        ["found grains of that size", str(int(real.sum()))],
        ["right, %", "{:.1f} ± {:.1f}".format(*wilson(int(right[big].sum()), len(big)))],
        ["right, or of the same pattern, %", "{:.1f} ± {:.1f}".format(*wilson(int(alike[big].sum()), len(big)))],
        ["false twins", str(twins)],
        ["wrong, but of the same pattern", str(same)],
        ["false twins stated with 0.95 and more", stated(twins_are)],
        ["wrong ones stated with 0.95 and more", stated(np.ones(len(wrong), dtype=bool))],
        ["other wrong grains", str(len(wrong) - twins - same)],
        ["of the right phase, 3 to 5° off (stated with 0.95 and more)", nearly],
        ["pieces too many", str(extra)],
        ["true twins and pseudo-variants kept apart", f"{apart} of {len(special)}"],
        ["pixels in a right grain, %", f"{100 * ok.mean():.1f}"],
        ["wrong ones", "; ".join(wrong_ones) or "–"],
    ]


def overlap_rows(truth: Truth, found: Found, phases: list[Phase]) -> list[list[str]]:
    """Under `OVERLAP_COLUMNS`, columns by the true share of their second grain."""
    first = np.flatnonzero(np.r_[True, (np.diff(truth.row) != 0) | (np.diff(truth.column) != 0)])
    many = np.diff(np.r_[first, len(truth.row)]) > 1
    mains, alone = first[many], first[~many]
    seconds = mains + 1
    at = truth.row[seconds], truth.column[seconds]

    def errors(parts: Integers, phase: Integers, orientation: Array) -> Array:
        true_phase = truth.grain_phase[truth.grain[parts]][:, None]
        return angles(phases, true_phase, truth.orientation[parts][:, None], orientation, phase)

    rivals = errors(seconds, found.rival_phase[at], found.rival_orientation[at]).min(axis=1)
    looked = found.further_phase is not None
    if looked:
        assert found.further_phase is not None
        assert found.further_orientation is not None and found.further_share is not None
        # all crystals of a column, the first among them
        phase = np.concatenate([found.phase[at][:, None], found.further_phase[at]], axis=1)
        orientation = np.concatenate([found.orientation[at][:, None], found.further_orientation[at]], axis=1)
        more = np.nan_to_num(found.further_share[at])
        share = np.concatenate([1 - more.sum(axis=1, keepdims=True), more], axis=1)
        off = errors(seconds, phase, orientation)
        best = off.argmin(axis=1)
        right = off.min(axis=1) <= PIXEL_DEG
        both = right & (errors(mains, phase, orientation).min(axis=1) <= PIXEL_DEG)
        error = share[np.arange(len(best)), best] - truth.share[seconds]
        claimed = (found.further_phase >= 0).any(axis=-1)
    rows = []
    for low, high in ((0.08, 0.2), (0.2, 0.35), (0.35, 0.51)):
        inside = (truth.share[seconds] >= low) & (truth.share[seconds] < high)
        n = max(int(inside.sum()), 1)
        row = [f"{low:.2f}–{high:.2f}", str(int(inside.sum())), f"{100 * (rivals[inside] <= PIXEL_DEG).sum() / n:.0f}"]
        if not looked:
            rows.append([*row, "–", "–", "–", "–"])
            continue
        of_both = error[inside & both]
        spread = f"{of_both.mean():+.2f} ± {of_both.std():.2f}" if len(of_both) else "–"
        shares = [f"{100 * (inside & values).sum() / n:.0f}" for values in (claimed[at], right, both)]
        rows.append([*row, *shares, spread])
    if looked and len(alone):
        invented = claimed[truth.row[alone], truth.column[alone]].mean()
        rows.append(["one grain only", str(len(alone)), "–", f"{100 * invented:.0f}", "–", "–", "–"])
    return rows


OVERLAP_COLUMNS = [
    "true share of the second", "n", "it is in the best few, %", "more than one claimed, %", "the second found, %",
    "both found, %", "share of the second, found − true",
]  # fmt: skip
