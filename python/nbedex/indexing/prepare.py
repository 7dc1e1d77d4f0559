"""What is the same for all patterns of a scan, found before the first is indexed."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.indexing.centers import CenterModel, find_centers
from nbedex.indexing.contrast import noise_contrast
from nbedex.indexing.engine import Engine, make_engine, with_min_contrast
from nbedex.indexing.masks import detector_mask
from nbedex.indexing.settings import IndexingSettings
from nbedex.indexing.spot_size import measured_radius
from nbedex.library import TemplateLibrary
from nbedex.progress import Progress, silent
from nbedex.scan import Scan

_AROUND_BEAM = 1.5  # times k_min: where spots are measured, tails of the direct beam have ended


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
    progress(stage, 0, 5)
    pixels = detector_mask(
        scan, user_mask=mask, find_hot_pixels=options.hot_pixels, max_saturated=options.max_saturated
    )
    progress(stage, 1, 5)
    centers = find_centers(scan, settings.center, pixels, max_saturated=options.max_saturated, threads=threads)
    progress(stage, 2, 5)
    if options.disk_radius is None:
        beam = _AROUND_BEAM * options.k_min / calibration.pixel_size
        radius = measured_radius(scan, centers, pixels, beam=beam, max_saturated=options.max_saturated)
        options = msgspec.structs.replace(options, disk_radius=radius)
        settings = msgspec.structs.replace(settings, preprocess=options)
    progress(stage, 3, 5)
    engine = make_engine(
        library,
        calibration,
        settings,
        frame_shape=scan.frame_shape,
        center=_typical(centers),
        saturation_value=scan.saturation_value,
        mask=pixels,
    )
    progress(stage, 4, 5)
    if options.min_contrast is None:
        engine = with_min_contrast(engine, noise_contrast(scan, centers, engine, threads=threads))
    progress(stage, 5, 5)
    return engine, centers


def needs_frames_once(engine: Engine, centers: CenterModel) -> bool:
    """Whether frames are unwrapped and not looked at otherwise, so that the core may read them itself."""
    return not (centers.per_pattern or engine.rerank is not None)


def _typical(centers: CenterModel) -> tuple[float, float]:
    """Direct beam in the middle of the scan."""
    ny, nx = centers.scan_shape
    row, column = centers.at(np.array([(ny // 2) * nx + nx // 2], dtype=np.intp))[0]
    return float(row), float(column)
