"""What one wants to know first of a boundary network."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbedex.boundaries.model import BoundaryNetwork
from nbedex.boundaries.statistics import csl_shares
from nbedex.boundaries.table import boundary_kind


def boundary_facts(network: BoundaryNetwork) -> dict[str, Any]:
    """Counts, lengths and shares by length, plain values that JSON can hold."""
    b = network.boundaries
    kind = np.array(boundary_kind(network), dtype=object)
    unit = "nm" if network.grain_map.source.step_known else "px"
    total = float(b.length.sum())

    def percent(rows: Any) -> float | None:
        return 100 * float(b.length[rows].sum()) / total if total > 0 else None

    def mean(values: Any) -> float | None:
        known = np.isfinite(values)
        return float(np.average(values[known], weights=b.length[known])) if known.any() else None

    return {
        "segments": len(b),
        "closed": int(b.closed.sum()),
        "triple_points": len(network.triple_points),
        f"length_{unit}": total,
        "phase_boundaries_percent": percent(kind == "phase"),
        "low_angle_percent": percent(kind == "low-angle"),
        "high_angle_percent": percent(kind == "high-angle"),
        "csl_percent": percent((kind == "high-angle") & (b.sigma > 0)),
        "twin_percent": percent(b.twin),
        "mean_disorientation_deg": mean(b.disorientation_deg),
        "mean_psi_deg": mean(b.psi_deg),
        "mean_delta_theta_deg": mean(b.delta_theta_deg),
        "inclination": network.settings.get("inclination", "edge-on assumed"),
        "csl": [
            {"phase": s.phase, "label": s.label, "count": s.count, "percent_of_phase": 100 * s.share, "twin": s.twin}
            for s in csl_shares(network)
            if s.label not in ("general", "Σ1")
        ],
    }
