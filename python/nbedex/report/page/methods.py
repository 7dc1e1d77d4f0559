"""The paragraph for a paper: what was done, with which versions and parameters; only what the files say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nbedex.provenance import software
from nbedex.report.page.content import PageContent


def methods_text(content: PageContent) -> str:
    """Sentences in the order of the work."""
    parts = (_scan(content), _indexing(content), _grains(content), _boundaries(content), _blockade(content),
             _transport(content), _versions(content))  # fmt: skip
    return " ".join(part for part in parts if part)


def parameters(content: PageContent) -> dict[str, Any]:
    """Every parameter of every step, as stored."""
    found = {
        "indexing": dict(content.provenance),
        "grains": content.grain_map.settings,
        "boundaries": content.network.settings,
        "blockade": content.blockade.settings.to_dict(),
    }
    if content.current is not None:
        found["transport"] = {"settings": content.current.settings, "summary": content.current.summary}
    return {**found, "page": software()}


def _scan(content: PageContent) -> str:
    source, calibration = content.grain_map.source, content.calibration
    ny, nx = source.shape
    text = f"A scan of {nx} × {ny} diffraction patterns"
    if source.step_known:
        dy, dx = source.step
        text += f" with a step of {dx:.4g} nm" if dx == dy else f" with steps of {dx:.4g} nm (X) and {dy:.4g} nm (Y)"
    if calibration is not None:
        text += f" at {calibration.voltage:g} kV ({calibration.pixel_size:.5g} Å⁻¹ per detector pixel)"
    if content.provenance.get("library"):
        return text + " was indexed with nbedex by template matching."
    return text + " was analysed with nbedex."


def _indexing(content: PageContent) -> str:
    library = _table(_table(content.provenance, "library"), "settings")
    settings = _table(content.provenance, "settings")
    names = ", ".join(phase.name for phase in content.grain_map.source.phases)
    if not library:
        return f"Phases: {names}."
    text = (
        f"Kinematical templates of {names} were simulated up to {library.get('k_max', 0):g} Å⁻¹ on a grid of zone axes"
        f" with a step of {library.get('step_deg', 0):g}° (largest excitation error"
        f" {library.get('max_excitation_error', 0):g} Å⁻¹, {library.get('shape')} shape factor,"
        f" {library.get('scattering')} scattering factors)"
    )
    precession = library.get("precession_deg")
    text += f", with precession of {precession:g}°" if precession else ""
    text += " and compared with every pattern by zero-mean normalised correlation over all in-plane angles"
    exponent = _table(settings, "preprocess").get("exponent")
    text += f" (intensities to the power {exponent:g})" if exponent else ""
    if _table(settings, "refine").get("enabled"):
        text += "; the best orientations were refined below the grid"
    rerank = _table(settings, "rerank").get("mode", "off")
    text += f"; candidates were re-ranked with Bloch waves ({rerank})" if rerank != "off" else ""
    return text + "."


def _grains(content: PageContent) -> str:
    s = content.grain_map.settings
    threshold = s.get("threshold_deg")
    if threshold is None:
        return ""
    return (
        f"Grains are regions whose neighbouring pixels differ by less than {threshold:g}°, of at least"
        f" {s.get('min_size', '?')} pixels; their orientations are symmetry-aware means."
    )


def _boundaries(content: PageContent) -> str:
    if not len(content.network.boundaries):
        return ""
    low = float(content.network.settings.get("low_angle_deg", 15.0))
    inclination = content.network.settings.get("inclination", "edge-on assumed")
    return (
        f"Boundaries were traced with sub-pixel smoothing; those below {low:g}° count as low-angle; coincidence"
        f" boundaries by Brandon's criterion. Inclination of boundaries: {inclination}."
    )


def _blockade(content: PageContent) -> str:
    if not bool(np.any(content.blockade.in_scheme)):
        return ""
    s = content.blockade.settings
    t = s.tolerances
    return (
        "Boundaries between grains with conduction planes were classified by the scheme of Ding et al. (2023) from"
        f" planes in space and from their traces (parallel, perpendicular, along and across within {t.parallel_deg:g},"
        f" {t.perpendicular_deg:g}, {t.along_deg:g} and {t.across_deg:g}°). The net accumulation is"
        f" a = (q_A + q_B)/(σ_ip|E|) with σ_ip/σ_op = {s.conductivity_ratio:g}; a boundary is said to block where"
        f" a ≥ {s.blocks_at:g}. Probabilities follow from the errors of orientation and of the boundary's direction"
        f" ({s.normal_error_deg:g}°), with {s.n_draws} draws."
    )


def _transport(content: PageContent) -> str:
    if content.current is None:
        return ""
    summary, settings = content.current.summary, content.current.settings
    model = {"tensor": "the full in-plane conductivity tensor", "ding2024": "the network of Ding et al. (2024)"}
    cells = summary.get("cells", ["?", "?"])
    electrodes = ", ".join(
        f"{e.get('name')} at {e.get('potential_V', float('nan')):.4g} V" for e in summary.get("electrodes", ())
    )
    name = str(settings.get("model", summary.get("model")))
    return f"The direct current was calculated with {model.get(name, name)} on {cells[1]} × {cells[0]} cells" + (
        f" (electrodes: {electrodes})." if electrodes else "."
    )


def _versions(content: PageContent) -> str:
    made = _table(content.provenance, "software")
    here = software()
    packages = made.get("packages") or here["packages"]
    listed = ", ".join(f"{name} {version}" for name, version in sorted(packages.items()))
    nbedex, python = (made.get(name, here[name]) for name in ("nbedex", "python"))
    text = f"Versions: nbedex {nbedex}, Python {python}, {listed}"
    if nbedex != here["nbedex"]:
        text += f"; grains, boundaries and this page with nbedex {here['nbedex']}"
    return text + "."


def _table(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = values.get(key)
    return found if isinstance(found, dict) else {}
