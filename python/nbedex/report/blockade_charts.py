"""Charts of a boundary network in a field: blocking against its direction, and class shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade import PUBLISHED_AS_BLOCKING, Blockade, BoundaryClass
from nbedex.blockade.expected import Comparison
from nbedex.blockade.sweep import Sweep
from nbedex.report.blockade_maps import CLASS_COLOURS
from nbedex.report.panels import FONT, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

_ROOM_FOR_LABELS = 5.0  # inches from which on the names of classes fit side by side


def draw_sweep(axes: Any, blockade: Blockade, sweep: Sweep, comparison: Comparison) -> None:
    """Share of the boundaries' length that blocks, against the direction of the field; angles as on the map."""
    axes.set_theta_zero_location("E")
    axes.set_theta_direction(-1)  # Y runs down
    angle = np.deg2rad(np.append(sweep.direction_deg, sweep.direction_deg[0]))

    def closed(values: Floats) -> Floats:
        return 100 * np.append(values, values[0])

    axes.plot(angle, closed(sweep.blocking_share), color="black", linewidth=1.5,
              label=f"a ≥ {blockade.settings.blocks_at:g}")  # fmt: skip
    for kind, style in zip(PUBLISHED_AS_BLOCKING, ("-", "--"), strict=True):
        share = sweep.class_share[:, kind]
        axes.plot(angle, closed(share), color=CLASS_COLOURS[kind], linewidth=1.2, linestyle=style, label=kind.label)
    if np.isfinite(comparison.blocking_expected):
        of_all = comparison.length / blockade.stretches.length.sum()
        level = 100 * comparison.blocking_expected * of_all
        axes.plot(np.linspace(0, 2 * np.pi, 181), np.full(181, level), color="0.5", linewidth=1.0, linestyle=":",
                  label="a at random,\nat the field chosen")  # fmt: skip
    chosen = blockade.field.get("direction_deg")
    if chosen is not None:
        axes.axvline(np.deg2rad(chosen), color="0.3", linewidth=0.8)
    axes.set_ylim(0, None)
    axes.tick_params(labelsize=FONT - 1)
    set_title(axes, "Boundary length that blocks, %, by direction of the field", pad=16)
    axes.legend(loc="upper left", bbox_to_anchor=(1.06, 1.0), frameon=False, fontsize=FONT)


def draw_bars(axes: Axes, comparison: Comparison, blocks_at: float) -> None:
    """Share of each class in the length, with that of random microstructures."""
    kinds = [kind for kind in BoundaryClass if kind]
    here = np.nan_to_num(100 * comparison.class_share[1:])
    chance = np.nan_to_num(100 * comparison.class_expected[1:])
    place = np.arange(len(kinds), dtype=np.float64)
    bars = axes.bar(place, here, width=0.7, color=[CLASS_COLOURS[kind] for kind in kinds], zorder=2)
    for bar, kind in zip(bars, kinds, strict=True):
        bar.set_hatch("" if kind % 2 else "///")  # along the boundary, as dashed lines in the map
        bar.set_edgecolor("white" if kind % 2 == 0 else "none")
    axes.hlines(chance, place - 0.42, place + 0.42, color="black", linewidth=1.4, zorder=3, label="random planes")
    axes.set_xticks([*place, len(kinds) + 0.6])
    axes.set_xticklabels([*(kind.label for kind in kinds), f"a ≥ {blocks_at:g}"], fontsize=FONT)
    figure: Any = axes.figure
    if figure.get_size_inches()[0] < _ROOM_FOR_LABELS:
        axes.tick_params(axis="x", rotation=90)
    if np.isfinite(comparison.blocking):
        x = len(kinds) + 0.6
        axes.bar([x], [100 * comparison.blocking], width=0.7, color="0.35", zorder=2)
        axes.errorbar(
            [x], [100 * comparison.blocking_expected], yerr=[100 * comparison.blocking_scatter], color="black",
            capsize=4, marker="_", markersize=12, linewidth=1.2, zorder=3,
        )  # fmt: skip
    for tick, kind in zip(axes.get_xticklabels(), kinds, strict=False):
        tick.set_fontweight("bold" if kind in PUBLISHED_AS_BLOCKING else "normal")
    axes.set_ylabel("share of boundary length, %", fontsize=FONT)
    axes.tick_params(axis="y", labelsize=FONT - 1)
    axes.set_title("Classes; bold: published as blocking", fontsize=FONT + 1, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=FONT, loc="upper left")
