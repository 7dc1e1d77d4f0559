"""One pattern, step by step: for people who want to see what indexing sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError
from nbedex.indexing.block import index_block, prepared
from nbedex.indexing.engine import with_min_contrast
from nbedex.indexing.pattern_centers import pattern_centers
from nbedex.indexing.prepare import prepare
from nbedex.indexing.settings import IndexingSettings
from nbedex.library import TemplateLibrary, simulate
from nbedex.maps.result import Status
from nbedex.scan import Scan


@dataclass(frozen=True, eq=False)
class PatternView:
    """A pattern on its way to an orientation.

    Attributes
    ----------
    row, column
        Place in the scan.
    frame : (det_y, det_x)
        As read.
    mask : (det_y, det_x) bool
        Pixels not used.
    center : (2,) float64
        Direct beam (row, column), pixels.
    k_min, k_max
        Annulus used, 1/angstrom.
    to_detector : (2, 2) float64
        From (kx, ky) in 1/angstrom to (column, row) offsets in pixels.
    unwrapped, prepared : (rings, azimuths) float32
        Polar pattern as averaged, and as it is matched.
    status
        Whether it was indexed, or why not.
    record
        What indexing says of it: one element of `index_block`'s answer; where no spots are seen, what the search would.
    phase_names
        Names for the phase numbers in `record`.
    spots : (n, 3) float64
        kx, ky (1/angstrom, sample frame) and intensity of the best orientation's simulated pattern; empty if none.
    """

    row: int
    column: int
    frame: NDArray[Any]
    mask: NDArray[np.bool_]
    center: NDArray[np.float64]
    k_min: float
    k_max: float
    to_detector: NDArray[np.float64]
    unwrapped: NDArray[np.float32]
    prepared: NDArray[np.float32]
    status: Status
    record: Any
    phase_names: tuple[str, ...]
    spots: NDArray[np.float64]


def look_at(
    scan: Scan,
    library: TemplateLibrary,
    calibration: Calibration,
    *,
    row: int,
    column: int,
    settings: IndexingSettings | None = None,
    mask: NDArray[np.bool_] | None = None,
    threads: int = 0,
) -> PatternView:
    """Index one pattern of a scan and keep what is otherwise thrown away. For the arguments see `index_scan`.

    Raises
    ------
    ArgumentError
        There is no such pattern, or options are inconsistent.
    """
    ny, nx = scan.scan_shape
    if not (0 <= row < ny and 0 <= column < nx):
        raise ArgumentError(f"pattern ({row}, {column}) lies outside the scan of {ny} x {nx}")
    settings = settings or IndexingSettings()
    engine, centers = prepare(scan, library, calibration, settings=settings, mask=mask, threads=threads)
    index = row * nx + column
    frames = scan.read_at([index])
    center = pattern_centers(frames, np.array([index]), centers, engine, threads=threads)
    searching = with_min_contrast(engine, 0.0)  # what is found where no spots are seen is worth a look, too
    record = index_block(frames, center, searching, threads=threads)[0]
    patterns, _ = prepared(frames, center, searching, threads=threads)
    _, status = prepared(frames, center, engine, threads=threads)
    return PatternView(
        row=row,
        column=column,
        frame=frames[0],
        mask=np.zeros(scan.frame_shape, bool) if engine.mask is None else engine.mask != 0,
        center=center[0],
        k_min=engine.grid.k_min,
        k_max=engine.grid.k_max,
        to_detector=calibration.detector_from_sample(),
        unwrapped=_core.unwrap(frames, center, engine.sampler, engine.mask, threads)[0],
        prepared=patterns.whole[0],
        status=Status(int(status[0] if status[0] == Status.NO_SPOTS else record["status"])),
        record=record,
        phase_names=tuple(phase.name for phase in library.phases),
        spots=_best_spots(library, record, k_min=engine.grid.k_min, k_max=engine.grid.k_max),
    )


def _best_spots(library: TemplateLibrary, record: Any, *, k_min: float, k_max: float) -> NDArray[np.float64]:
    """Simulated spots (n, 3) of the best orientation, within the annulus, even where it is not above noise."""
    best = int(record["rival_phase_id"][0])
    if best < 0:
        return np.empty((0, 3))
    pattern = simulate(library.phases[best], record["rival_orientation"][:1], library.settings).pattern(0)
    spots = np.stack([pattern["kx"], pattern["ky"], pattern["intensity"]], axis=1).astype(np.float64)
    radius = np.hypot(spots[:, 0], spots[:, 1])
    return np.asarray(spots[(radius >= k_min) & (radius <= k_max)])
