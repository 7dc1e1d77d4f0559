"""What is true of a simulated scan, position by position, in memory and in a file beside the scan."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nbedex.demo.columns import Columns, Raster
from nbedex.demo.specimen import Specimen
from nbedex.files import replacing
from nbedex.phases import Phase, load_phase

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Truth:
    """What is where, by the region that has most of the column.

    Attributes
    ----------
    names, roles
        Of the specimen's regions.
    phases
        `phase_id` counts in these.
    step
        (Y, X) nm.
    region : (ny, nx) int16
        Index into `names`.
    share : (ny, nx) float64
        Of the column's thickness that it has.
    thickness_nm : (ny, nx) float64
        Of the column.
    phase_id : (ny, nx) int16
        -1 where the region is no crystal.
    orientation : (ny, nx, 4) float64
        Of its crystal there, sample to crystal; NaN where it is none.
    """

    names: tuple[str, ...]
    roles: tuple[str, ...]
    phases: tuple[Phase, ...]
    step: tuple[float, float]
    region: NDArray[np.int16]
    share: Floats
    thickness_nm: Floats
    phase_id: NDArray[np.int16]
    orientation: Floats

    @property
    def mixed(self) -> NDArray[np.bool_]:
        """(ny, nx) columns of more than one region."""
        return np.asarray(self.share < 1)


def truth_of(specimen: Specimen, raster: Raster, parts: Sequence[Columns]) -> Truth:
    """The truth about a scan from its columns, in order."""
    first = [p.first for p in parts]
    region = np.concatenate([p.region[f] for p, f in zip(parts, first, strict=True)])
    share = np.concatenate([p.share[f] for p, f in zip(parts, first, strict=True)])
    orientation = np.concatenate([p.orientation[f] for p, f in zip(parts, first, strict=True)])
    thickness = np.concatenate([np.add.reduceat(p.depth_nm, f) for p, f in zip(parts, first, strict=True)])
    number = np.array([-1 if r.phase is None else specimen.phases.index(r.phase) for r in specimen.regions])
    return Truth(
        names=tuple(r.name for r in specimen.regions),
        roles=tuple(r.role for r in specimen.regions),
        phases=tuple(load_phase(name) for name in specimen.phases),
        step=raster.step_nm(specimen),
        region=region.astype(np.int16).reshape(raster.shape),
        share=share.reshape(raster.shape),
        thickness_nm=thickness.reshape(raster.shape),
        phase_id=number[region].astype(np.int16).reshape(raster.shape),
        orientation=orientation.reshape(*raster.shape, 4),
    )


def write_truth(path: str | os.PathLike[str], truth: Truth, *, overwrite: bool = False) -> Path:
    """Write it as HDF5: maps by the name of the attribute, names as texts."""
    import h5py

    with replacing(path, overwrite=overwrite, suffix=".h5") as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"], file.attrs["version"] = "nbedex-truth", 1
        file.attrs["step_nm"] = truth.step
        for name in ("names", "roles"):
            file.create_dataset(name, data=list(getattr(truth, name)), dtype=h5py.string_dtype())
        file.create_dataset("phases", data=[phase.name for phase in truth.phases], dtype=h5py.string_dtype())
        for name in ("region", "share", "thickness_nm", "phase_id", "orientation"):
            file.create_dataset(name, data=getattr(truth, name), compression=1, shuffle=True)
    return Path(path)
