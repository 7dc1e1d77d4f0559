"""Indexing a whole scan: read, match and keep, block by block."""

from __future__ import annotations

import hashlib
import logging
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.errors import Cancelled
from nbedex.indexing.block import Engine, index_block
from nbedex.indexing.centers import CenterModel
from nbedex.indexing.checkpoint import Checkpoint
from nbedex.indexing.pipeline import Frames, read_ahead
from nbedex.indexing.prepare import pattern_centers, prepare
from nbedex.indexing.records import empty_records, record_dtype
from nbedex.indexing.settings import IndexingSettings
from nbedex.library import TemplateLibrary
from nbedex.maps.result import IndexingResult, Status
from nbedex.progress import Progress, silent
from nbedex.provenance import software
from nbedex.scan import Scan

log = logging.getLogger(__name__)

_BLOCK_BYTES = 32 << 20
_BLOCK_PATTERNS = 128


def index_scan(
    scan: Scan,
    library: TemplateLibrary,
    calibration: Calibration,
    *,
    settings: IndexingSettings | None = None,
    mask: NDArray[np.bool_] | None = None,
    threads: int = 0,
    progress: Progress = silent,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> IndexingResult:
    """Orientation and phase of every pattern of a scan.

    Parameters
    ----------
    scan
        From `nbedex.scan.open_scan` or `memory_scan`.
    library
        Templates of the phases that compete.
    calibration
        Pixel size, voltage, step, rotation and handedness of the detector.
    settings
        Options of the beam centre, preprocessing and matching.
    mask : (det_y, det_x) bool, optional
        True where a detector pixel must not be used.
    threads
        0: all this process may use. The result does not depend on it.
    progress
        Called with the stage, patterns done and patterns in all.
    checkpoint
        Folder for finished blocks, from which an interrupted run is resumed; None keeps them in memory only.
    resume
        Continue the run in `checkpoint`.

    Returns
    -------
    IndexingResult
        Maps over the scan; the same bits for any number of threads, and whether interrupted or not.

    Raises
    ------
    ArgumentError
        Library and scan don't fit together, options are inconsistent, or an unfinished run is in the way.
    Cancelled
        Ctrl-C; with `checkpoint`, what was finished is kept.
    """
    settings = settings or IndexingSettings()
    started = time.time()
    engine, centers = prepare(
        scan, library, calibration, settings=settings, mask=mask, threads=threads, progress=progress
    )
    identity = _identity(scan, library, calibration, settings, engine.mask)
    store = Checkpoint(checkpoint, identity, resume=resume) if checkpoint else None

    records = np.empty(scan.size, dtype=record_dtype(settings, len(library.phases)))
    done = 0
    progress("indexing", 0, scan.size)
    try:
        todo = []
        for block in scan.blocks(block_size(scan)):
            before = store.load(block.first, block.last + 1, records.dtype, count=len(block)) if store else None
            if before is None:
                todo.append(block)
            else:
                records[block.patterns] = before
                done += len(block)
                progress("indexing", done, scan.size)
        with closing(read_ahead(scan, todo, threads=threads)) as reads:
            for read in reads:
                found = _index(read, centers, engine, threads=threads)
                records[read.block.patterns] = found
                if store:
                    store.save(read.block.first, read.block.last + 1, found)
                done += len(found)
                progress("indexing", done, scan.size)
    except KeyboardInterrupt:
        kept = "; what is done is kept, go on with --resume" if store else ""
        raise Cancelled(f"stopped after {done} of {scan.size} patterns{kept}") from None
    provenance = {
        "software": software(),
        "input": {
            "path": str(scan.path), "format": scan.format, "shape": list(scan.shape), "dtype": str(scan.dtype),
            "fingerprint": identity["input"],
        },
        "library": {"sha256": library.sha256, "settings": library.settings.to_dict()},
        "settings": settings.to_dict(),
        "beam center": {"order": centers.order, "residual_px": centers.residual},
        "detector pixels left out": int(engine.mask.sum()) if engine.mask is not None else 0,
        "annulus": {"k_min": engine.grid.k_min, "k_max": engine.grid.k_max, "rings": engine.grid.n_rings},
    }  # fmt: skip
    log.info("indexed %d patterns in %.1f s", scan.size, time.time() - started)
    names = records.dtype.names or ()
    maps = {name: records[name].reshape(*scan.scan_shape, *records[name].shape[1:]) for name in names}
    return IndexingResult(phases=library.phases, calibration=calibration, provenance=provenance, **maps)


def _identity(
    scan: Scan,
    library: TemplateLibrary,
    calibration: Calibration,
    settings: IndexingSettings,
    mask: NDArray[np.uint8] | None,
) -> dict[str, Any]:
    """Everything that influences the records, for resuming."""
    return {
        "input": scan.fingerprint(),
        "library": library.sha256,
        "calibration": asdict(calibration) | {"step": list(calibration.step or ())},
        "options": settings.to_dict(),
        "mask": hashlib.sha256(mask.tobytes()).hexdigest() if mask is not None else "",
        "nbedex version": software()["nbedex"],
    }


def block_size(scan: Scan) -> int:
    """Patterns per block: bounded memory, and a progress bar that moves."""
    frame = scan.dtype.itemsize * scan.frame_shape[0] * scan.frame_shape[1]
    return int(np.clip(_BLOCK_BYTES // frame, 1, _BLOCK_PATTERNS))


def _index(read: Frames, centers: CenterModel, engine: Engine, *, threads: int) -> NDArray[Any]:
    """Records of one block."""
    center = pattern_centers(read.frames, read.block.patterns, centers, engine, threads=threads)
    records = index_block(read.frames, center, engine, threads=threads)
    if read.unreadable is not None:
        lost = empty_records(1, engine.settings, len(engine.templates), Status.UNREADABLE)
        records[read.unreadable] = lost
    return records
