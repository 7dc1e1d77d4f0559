"""Indexing a whole scan: read, match and keep, block by block."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.errors import Cancelled, DataFormatError
from nbedex.indexing.block import Engine, empty_records, index_block, record_dtype
from nbedex.indexing.centers import CenterModel
from nbedex.indexing.checkpoint import Checkpoint
from nbedex.indexing.prepare import pattern_centers, prepare
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

    records = np.empty(scan.size, dtype=record_dtype(settings.match.n_best, len(library.phases)))
    done = 0
    progress("indexing", 0, scan.size)
    try:
        for block in _blocks(scan, store, records.dtype):
            records[block.start : block.stop] = _index(block, centers, engine, threads=threads)
            if store and block.records is None:
                store.save(block.start, block.stop, records[block.start : block.stop])
            done += block.stop - block.start
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


@dataclass(frozen=True, eq=False)
class _Block:
    """Consecutive patterns: their frames, or their records where an earlier run left them."""

    start: int
    stop: int
    frames: NDArray[Any] | None = None
    unreadable: NDArray[np.bool_] | None = None
    records: NDArray[Any] | None = None


def _blocks(scan: Scan, store: Checkpoint | None, dtype: np.dtype[Any]) -> Iterator[_Block]:
    """All patterns in order: blocks that are kept first, the others each read while the one before is matched."""
    size = block_size(scan)
    spans = [(start, min(start + size, scan.size)) for start in range(0, scan.size, size)]
    todo = []
    for start, stop in spans:
        kept = store.load(start, stop, dtype) if store else None
        if kept is None:
            todo.append((start, stop))
        else:
            yield _Block(start, stop, records=kept)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="nbedex-read") as reader:
        ahead = [reader.submit(_read, scan, *span) for span in todo[:1]]
        for following in [*todo[1:], None]:
            if not ahead:
                return
            block = ahead.pop().result()
            if following is not None:
                ahead.append(reader.submit(_read, scan, *following))
            yield block


def _read(scan: Scan, start: int, stop: int) -> _Block:
    """Frames of a block; where they can't be read together, one by one, the unreadable ones as zeros and marked."""
    try:
        return _Block(start, stop, frames=scan.read(start, stop))
    except DataFormatError as error:
        log.warning("patterns %d to %d can't be read at once, trying one by one: %s", start, stop - 1, error)
    frames = np.zeros((stop - start, *scan.frame_shape), dtype=scan.dtype)
    unreadable = np.zeros(stop - start, dtype=bool)
    for number in range(stop - start):
        try:
            frames[number] = scan.read(start + number, start + number + 1)[0]
        except DataFormatError:
            unreadable[number] = True
    return _Block(start, stop, frames=frames, unreadable=unreadable)


def _index(block: _Block, centers: CenterModel, engine: Engine, *, threads: int) -> NDArray[Any]:
    """Records of one block."""
    if block.records is not None:
        return block.records
    assert block.frames is not None
    center = pattern_centers(block.frames, np.arange(block.start, block.stop), centers, engine, threads=threads)
    records = index_block(block.frames, center, engine, threads=threads)
    if block.unreadable is not None and block.unreadable.any():
        lost = empty_records(1, engine.settings.match.n_best, len(engine.templates), Status.UNREADABLE)
        records[block.unreadable] = lost
    return records
