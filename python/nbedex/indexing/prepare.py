"""What is the same for all patterns of a scan, found before the first is indexed."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nbedex import _core
from nbedex.calibration import Calibration
from nbedex.indexing.centers import CenterModel, find_centers, locate
from nbedex.indexing.engine import Engine, make_engine
from nbedex.indexing.masks import detector_mask
from nbedex.indexing.settings import IndexingSettings
from nbedex.indexing.spot_size import measured_radius
from nbedex.library import TemplateLibrary
from nbedex.progress import Progress, silent
from nbedex.scan import Scan

_AROUND_BEAM = 1.5  # times k_min: where spots are measured, tails of the direct beam have ended
_PER_PATTERN_RADIUS = 6.0  # pixels: how far a pattern's own centre may lie from the smooth surface


def prepare(
    scan: Scan,
    library: TemplateLibrary,
    calibration: Calibration,
    *,
    settings: IndexingSettings,
    mask: NDArray[np.bool_] | None = None,
    threads: int = 0,
    progress: Progress = silent,
) -> tuple[Engine, CenterModel]:
    """What is the same for all patterns of a scan: detector mask, direct beam, packed templates. See `index_scan`.

    The engine's settings are those given, with what was measured in place of what was left open.
    """
    stage = "looking at the scan"
    options = settings.preprocess
    progress(stage, 0, 4)
    pixels = detector_mask(
        scan, user_mask=mask, find_hot_pixels=options.hot_pixels, max_saturated=options.max_saturated
    )
    progress(stage, 1, 4)
    centers = find_centers(scan, settings.center, pixels, max_saturated=options.max_saturated, threads=threads)
    progress(stage, 2, 4)
    if options.disk_radius is None:
        beam = _AROUND_BEAM * options.k_min / calibration.pixel_size
        radius = measured_radius(scan, centers, pixels, beam=beam, max_saturated=options.max_saturated)
        options = msgspec.structs.replace(options, disk_radius=radius)
        settings = msgspec.structs.replace(settings, preprocess=options)
    progress(stage, 3, 4)
    engine = make_engine(
        library,
        calibration,
        settings,
        frame_shape=scan.frame_shape,
        center=_typical(centers),
        saturation_value=scan.saturation_value,
        mask=pixels,
    )
    progress(stage, 4, 4)
    return engine, centers


def needs_frames_once(engine: Engine, centers: CenterModel) -> bool:
    """Whether frames are unwrapped and not looked at otherwise, so that the core may read them itself."""
    return not (centers.per_pattern or engine.rerank is not None)


def pattern_centers(
    frames: NDArray[Any] | _core.FrameFile,
    indices: NDArray[np.intp],
    centers: CenterModel,
    engine: Engine,
    *,
    threads: int = 0,
) -> NDArray[np.float64]:
    """Direct beam (n, 2) of `frames` (n, det_y, det_x), whose flat scan indices are given."""
    smooth = centers.at(indices)
    if not centers.per_pattern:
        return smooth
    return _own_centers(np.asarray(frames), smooth, centers, engine, threads=threads)


def _typical(centers: CenterModel) -> tuple[float, float]:
    """Direct beam in the middle of the scan."""
    ny, nx = centers.scan_shape
    row, column = centers.at(np.array([(ny // 2) * nx + nx // 2], dtype=np.intp))[0]
    return float(row), float(column)


def _own_centers(
    frames: NDArray[Any], smooth: NDArray[np.float64], centers: CenterModel, engine: Engine, *, threads: int
) -> NDArray[np.float64]:
    """Each pattern's own direct beam, looked for near the smooth surface; the surface where none is found.

    It is looked for around the nearest whole pixel, so that it does not depend on what else is in the block.
    """
    options = msgspec.structs.replace(engine.settings.center, search_radius=_PER_PATTERN_RADIUS + 1.0, position=None)
    found = np.full_like(smooth, np.nan)
    start = np.round(smooth)
    for place in np.unique(start, axis=0):
        mine = np.flatnonzero((start == place).all(axis=1))
        found[mine] = locate(frames[mine], options, place, engine.mask, finder=centers.finder, threads=threads)
    near = np.linalg.norm(found - smooth, axis=1) <= _PER_PATTERN_RADIUS  # NaN is not near
    return np.where(near[:, None], found, smooth)
