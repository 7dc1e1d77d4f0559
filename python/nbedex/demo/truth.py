"""The true map of a specimen: what indexing would give if it never erred."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbedex.demo.specimen import Specimen
from nbedex.grains import GrainMap, MapPhase, OrientationMap, grains_of
from nbedex.phases import load_phase


def true_grains(specimen: Specimen, shape: tuple[int, int]) -> tuple[GrainMap, NDArray[np.int64]]:
    """Grain map of a scan over the whole specimen, at half thickness, without bending.

    Parameters
    ----------
    specimen
        The specimen.
    shape
        Rows and columns of the scan.

    Returns
    -------
    grain_map
        Regions have the roles of their phases; parts without a phase are not indexed, insulators among them holes.
    region
        (n,) the specimen's region that each grain is; regions between the scan's positions are missing.
    """
    region = specimen.map(shape)
    number = {name: i for i, name in enumerate(specimen.phases)}
    phase_id = np.array([-1 if r.phase is None else number[r.phase] for r in specimen.regions], dtype=np.int16)
    orientation = np.array([(np.nan,) * 4 if r.orientation is None else r.orientation for r in specimen.regions])
    empty = np.array([r.phase is None and r.role == "insulator" for r in specimen.regions])
    source = OrientationMap(
        phases=tuple(MapPhase.of(load_phase(name)) for name in specimen.phases),
        phase_id=phase_id[region],
        orientation=orientation[region],
        step=(specimen.size_nm[0] / shape[0], specimen.size_nm[1] / shape[1]),
        step_known=True,
        hole=empty[region],
        origin={"program": "nbedex", "specimen": "truth"},
    )
    grain_map = grains_of(source, region)
    _, first = np.unique(grain_map.grain_id, return_index=True)
    return grain_map, region.ravel()[first]
