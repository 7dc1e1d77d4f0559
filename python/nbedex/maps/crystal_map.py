"""A result as orix's CrystalMap, and orix's files read into one without their traps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError
from nbedex.maps.result import IndexingResult

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap, PhaseList

    from nbedex.phases import Phase

log = logging.getLogger(__name__)


def to_crystal_map(
    result: IndexingResult,
    *,
    rotations_per_point: int = 1,
    min_index: float | None = None,
    min_reliability: float | None = None,
    min_probability: float | None = None,
) -> CrystalMap:
    """Result as an orix CrystalMap: phases, rotations and every map as a property.

    Parameters
    ----------
    result
        What indexing found.
    rotations_per_point
        How many of the n best distinct orientations to give per pixel, best first. orix keeps one phase
        per pixel: `phase_id` is the winner's, and the properties `rival_phase_id` and `rival_score`
        (pixels, rotations_per_point) say to which phase each of the rotations belongs.
    min_index, min_reliability, min_probability
        Pixels under these (correlation; percent) become not indexed.

    Returns
    -------
    crystal_map
        Coordinates in nm, or in pixels (`scan_unit` "px") where the step is not known. Pixels that are
        not indexed have phase_id -1 and the identity as rotation. Properties: `index` and `correlation`
        (the same), `reliability`, `phase_reliability`, `mirror_margin`, `half_turn_margin` (percent),
        `probability`, `uncertainty_deg`,
        `status`, `template_index`, `mirrored`, `center_row`, `center_col`, `phase_score_<name>`.

    Notes
    -----
    orix takes the axis of 2/m along c. For a monoclinic phase with its axis along b the rotations here
    are right, but what orix itself derives by symmetry from them (`angle_with`, IPF colours, reduction)
    is not; use `nbedex.maps.disorientation_angle`.
    """
    from orix.crystal_map import CrystalMap
    from orix.quaternion import Rotation

    if not 1 <= rotations_per_point <= max(1, result.n_rivals):
        raise ArgumentError(
            f"rotations_per_point must lie between 1 and {max(1, result.n_rivals)} (the result holds"
            f" {result.n_rivals} solutions per pixel), got {rotations_per_point}"
        )
    keep = result.accepted(
        min_index=min_index, min_reliability=min_reliability, min_probability=min_probability
    ).ravel()
    ny, nx = result.shape
    dy, dx = result.calibration.step or (1.0, 1.0)
    rows, columns = np.divmod(np.arange(ny * nx), nx)
    return CrystalMap(
        rotations=Rotation(_rotations(result, keep, rotations_per_point)),
        phase_id=np.where(keep, result.phase_id.ravel(), -1).astype(int),
        x=columns * dx,
        y=rows * dy,
        phase_list=phase_list(result.phases),
        prop=_properties(result, rotations_per_point),
        scan_unit="nm" if result.calibration.step else "px",
    )


def phase_list(phases: Sequence[Phase]) -> PhaseList:
    """Phases as orix has them, numbered from 0."""
    from orix.crystal_map import PhaseList

    found = {number: phase.to_orix() for number, phase in enumerate(phases)}
    for number, colour in enumerate(_named_colours([phase.colour for phase in phases])):
        found[number].color = colour
    return PhaseList(found)


def _rotations(result: IndexingResult, keep: NDArray[np.bool_], n: int) -> NDArray[np.float64]:
    """Quaternions (pixels, 4), or (pixels, n, 4) for n > 1; the identity where there is none."""
    if n == 1:
        quaternions = result.orientation.reshape(-1, 4).copy()
        quaternions[~keep] = (1.0, 0.0, 0.0, 0.0)
    else:
        quaternions = result.rival_orientation.reshape(-1, result.n_rivals, 4)[:, :n].copy()
        quaternions[np.isnan(quaternions[..., 0])] = (1.0, 0.0, 0.0, 0.0)
    return quaternions


def _properties(result: IndexingResult, n: int) -> dict[str, NDArray[Any]]:
    flat = {
        "index": result.index,
        "correlation": result.index,
        "reliability": result.reliability,
        "phase_reliability": result.phase_reliability,
        "mirror_margin": result.mirror_margin,
        "half_turn_margin": result.half_turn_margin,
        "probability": result.probability,
        "uncertainty_deg": result.uncertainty_deg,
        "status": result.status,
        "template_index": result.template_id,
        "mirrored": result.mirrored.astype(np.uint8),
        "center_row": result.center[..., 0],
        "center_col": result.center[..., 1],
    }
    for number, name in enumerate(unique_names(result)):
        flat[f"phase_score_{name}"] = result.phase_score[..., number]
    properties: dict[str, NDArray[Any]] = {name: np.ascontiguousarray(array).ravel() for name, array in flat.items()}
    if n > 1:
        properties["rival_phase_id"] = result.rival_phase_id[..., :n].reshape(-1, n)
        properties["rival_score"] = result.rival_score[..., :n].reshape(-1, n)
    return properties


def _named_colours(colours: Sequence[str]) -> list[str]:
    """The nearest colours that have names in Matplotlib, each only once: orix takes no others."""
    from matplotlib import colors

    named = {**colors.TABLEAU_COLORS, **colors.XKCD_COLORS, **colors.CSS4_COLORS}
    known = sorted({colors.to_hex(value) for value in named.values()})
    table = np.array([colors.to_rgb(value) for value in known])
    chosen: list[str] = []
    for colour in colours:
        nearest = np.argsort(np.linalg.norm(table - colors.to_rgb(colour), axis=1), kind="stable")
        chosen.append(next(known[i] for i in nearest if known[i] not in chosen))
    return chosen


def unique_names(result: IndexingResult) -> list[str]:
    """Names of the phases as column names: printable, no slashes, each only once."""
    names: list[str] = []
    for phase in result.phases:
        name = "".join(c if c.isprintable() and c != "/" else "_" for c in phase.name).strip() or "phase"
        while name in names:
            name += "_2"
        names.append(name)
    return names
