"""What the page says of grains and boundaries, as plain values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade.tables import length_unit
from nbedex.boundaries import boundary_kind
from nbedex.grains import Role
from nbedex.maps import to_euler
from nbedex.report.grains import ROLE_LABELS, inner_points
from nbedex.report.page.content import PageContent
from nbedex.report.page.crystals import zone_axis

Floats = NDArray[np.float64]


def number(value: Any, digits: int = 2) -> float | None:
    """Rounded, None where there is no number: JSON has no NaN."""
    return round(float(value), digits) if np.isfinite(value) else None


def grain_facts(content: PageContent) -> list[dict[str, Any]]:
    """One row for every region."""
    grains, phases = content.grain_map.grains, content.grain_map.source.phases
    place, deep = inner_points(content.grain_map)
    euler = np.rad2deg(to_euler(grains.orientation))
    rows = []
    for g in range(len(grains)):
        role = Role(int(grains.role[g]))
        phase = phases[grains.phase_id[g]] if grains.phase_id[g] >= 0 else None
        zone = None if phase is None else zone_axis(phase, grains.orientation[g])
        rows.append(
            {
                "phase": None if phase is None else phase.name,
                "role": ROLE_LABELS.get(role),
                "pixels": int(grains.n_pixels[g]),
                "area": number(grains.area[g]),
                "diameter": number(np.sqrt(4 * grains.area[g] / np.pi)),
                "euler": [number(a, 1) for a in euler[g]],
                "zone": None if zone is None else list(zone[0]),
                "zone_off": None if zone is None else number(zone[1], 1),
                "alpha": number(grains.inclination_deg[g], 1),
                "theta": number(grains.trace_deg[g], 1),
                "spread": number(grains.spread_deg[g]),
                "error": number(grains.orientation_error_deg[g]),
                "confidence": number(grains.confidence[g], 3),
                "x": number(place[g, 0], 3),
                "y": number(place[g, 1], 3),
                "deep": number(deep[g], 3),
            }
        )
    return rows


def boundary_facts(content: PageContent) -> dict[str, list[Any]]:
    """Columns, one entry for every segment; what depends on the field is not among them."""
    b, sweep = content.network.boundaries, content.sweep
    axis = [[number(v, 3) for v in row] for row in b.axis]
    columns = {
        "a": b.grain_a.tolist(),
        "b": b.grain_b.tolist(),
        "kind": boundary_kind(content.network),
        "length": _rounded(b.length),
        "omega": _rounded(b.disorientation_deg),
        "axis": axis,
        "csl": [label or None for label in b.csl_label],
        "twin": b.twin.astype(int).tolist(),
        "psi": _rounded(b.psi_deg),
        "delta_theta": _rounded(b.delta_theta_deg),
        "plane_a": _rounded(b.plane_to_boundary_a_deg),
        "plane_b": _rounded(b.plane_to_boundary_b_deg),
        "worst_deg": _rounded(sweep.worst_deg, 0),
        "worst": _rounded(sweep.worst, 3),
    }
    if content.current is not None and content.current.crowding is not None:
        columns["crowding"] = _rounded(content.current.crowding, 3)
    return columns


def _rounded(values: Floats, digits: int = 2) -> list[float | None]:
    return [number(value, digits) for value in values]


def tiles(content: PageContent) -> list[tuple[str, str, str]]:
    """The few numbers one wants first: value, what it is, and more about it."""
    grain_map, result = content.grain_map, content.result
    unit = length_unit(content.blockade)
    ny, nx = grain_map.grain_id.shape
    source = grain_map.source
    size = f"{nx} × {ny}"
    step = source.step
    steps = f"{step[1]:.3g} nm" if step[0] == step[1] else f"{step[1]:.3g} × {step[0]:.3g} nm"
    found = [(size, "patterns", f"step {steps}" if source.step_known else "step not known")]
    indexed = float((source.phase_id >= 0).mean())
    sure = ""
    if result is not None and indexed:
        sure = f"{(result.probability[result.indexed] >= 0.5).mean():.0%} of them with a probability over 0.5"
    found.append((f"{indexed:.0%}", "indexed", sure))
    mine = grain_map.grains.role == Role.GRAIN
    diameter = np.sqrt(4 * grain_map.grains.area[mine] / np.pi)
    found.append((str(int(mine.sum())), "grains", f"median diameter {np.median(diameter):.3g} {unit}" if mine.any()
                  else ""))  # fmt: skip
    length = float(content.network.boundaries.length.sum())
    found.append((str(len(content.network.boundaries)), "boundaries", f"{_length(length, unit)} in all"))
    c = content.comparison
    if c.length > 0:
        angle = content.blockade.field.get("direction_deg", 0.0)
        share = content.sweep.blocking_share[round(angle) % 360]
        more = (
            f"between layered grains {c.blocking:.0%}; at random {c.blocking_expected:.0%} ± {c.blocking_scatter:.0%}"
        )
        found.append((f"{share:.1%}", f"of their length blocks at {angle:g}°", more))
    if content.current is not None and content.current.summary.get("resistance_ohm"):
        found.append((_ohm(content.current.summary["resistance_ohm"]), "resistance", "between the electrodes"))
    return found


def _length(value: float, unit: str) -> str:
    return f"{value / 1000:.3g} µm" if unit == "nm" and value >= 10_000 else f"{value:.4g} {unit}"


def _ohm(value: float) -> str:
    """With a prefix, such as 692 MΩ."""
    step = int(np.clip(np.floor(np.log10(value) / 3), -3, 4))
    return f"{value / 1000.0**step:.3g} {('n', 'µ', 'm', '', 'k', 'M', 'G', 'T')[step + 3]}Ω"
