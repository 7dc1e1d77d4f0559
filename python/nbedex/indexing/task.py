"""A scan made ready to be indexed, and the loop over its patterns that every kind of run goes through."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError
from nbedex.indexing.block import index_block
from nbedex.indexing.centers import CenterModel
from nbedex.indexing.engine import Engine
from nbedex.indexing.memory import Memory
from nbedex.indexing.monitor import Watch
from nbedex.indexing.pattern_centers import pattern_centers
from nbedex.indexing.pipeline import Frames, Unread, plan_jobs, work_in_order
from nbedex.indexing.prepare import needs_frames_once, prepare
from nbedex.indexing.records import empty_records, record_dtype
from nbedex.indexing.region import Region, check_mask
from nbedex.indexing.settings import IndexingSettings
from nbedex.library import TemplateLibrary
from nbedex.maps import Head
from nbedex.maps.result import Status
from nbedex.progress import Progress, silent
from nbedex.provenance import software
from nbedex.scan import Scan

_BLOCK_PATTERNS = 128

Take = Callable[[NDArray[np.intp], NDArray[Any]], None]
# Patterns (n,), their records (n,), and the CRC-32 of the first as it was read.
Known = tuple[NDArray[np.intp], NDArray[Any], int]
Picture = Callable[[NDArray[np.intp], NDArray[Any], int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """Which patterns are indexed, in what order and in how much memory: nothing that changes what is found at one.

    Attributes
    ----------
    region
        Rows and columns that become the map; None: all.
    mask : (scan_y, scan_x) bool or None
        True where a pattern is to be indexed.
    preview
        Index a sparse, even part of the map first.
    shard
        (i, n): index only the i-th of n shares, counted from 1. Several processes or machines do the others into
        the same folder, or into folders that are merged later.
    memory
        What the size of blocks follows from.
    """

    region: Region | None = None
    mask: NDArray[np.bool_] | None = None
    preview: bool = False
    shard: tuple[int, int] | None = None
    memory: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        if self.shard is not None and not 1 <= self.shard[0] <= self.shard[1]:
            raise ArgumentError(f"a shard is I/N with 1 <= I <= N, got {self.shard[0]}/{self.shard[1]}")


@dataclass(frozen=True, kw_only=True)
class Listeners:
    """Who is told what happens.

    Attributes
    ----------
    progress
        Called with the stage, patterns done and patterns in all.
    watch
        Called with all that is known of the run, after every block.
    picture
        Called with patterns, their records, and how many pixels of the map around each they stand for meanwhile.
    """

    progress: Progress = silent
    watch: Watch | None = None
    picture: Picture | None = None


@dataclass(frozen=True, eq=False)
class Task:
    """Everything about a run that is the same until its end.

    Attributes
    ----------
    scan, engine, centers
        What is indexed, and how.
    head
        The result but for its arrays.
    region
        What becomes the map.
    wanted : (scan size,) bool
        Patterns to be indexed.
    identity
        All that influences the records, as JSON.
    plan, threads
        How it is done.
    """

    scan: Scan
    engine: Engine
    centers: CenterModel
    head: Head
    region: Region
    wanted: NDArray[np.bool_]
    identity: dict[str, Any]
    plan: Plan
    threads: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a record."""
        return record_dtype(self.engine.settings, len(self.engine.templates))

    def nothing(self, count: int, status: Status = Status.NOT_DONE) -> NDArray[Any]:
        """Records (count,) of patterns about which nothing is known."""
        return empty_records(count, self.engine.settings, len(self.engine.templates), status)


def make_task(
    scan: Scan,
    library: TemplateLibrary,
    calibration: Calibration,
    *,
    settings: IndexingSettings,
    mask: NDArray[np.bool_] | None = None,
    plan: Plan | None = None,
    threads: int = 0,
    progress: Progress = silent,
    provenance: Mapping[str, Any] | None = None,
) -> Task:
    """Look at the scan and pack the library; for the arguments see `index_scan`.

    `provenance`: further entries for that of the result.
    """
    plan = plan or Plan()
    region = plan.region or Region.whole(scan.scan_shape)
    if region.scan_shape != scan.scan_shape:
        raise ArgumentError(f"the region is of a scan of {region.scan_shape}, this one has {scan.scan_shape}")
    if plan.mask is not None:
        check_mask(plan.mask, scan.scan_shape)
    engine, centers = prepare(
        scan, library, calibration, settings=settings, mask=mask, threads=threads, progress=progress
    )
    wanted = region.wanted(plan.mask)
    if plan.shard is not None:
        wanted &= _shard(scan, *plan.shard)
    identity = _identity(scan, library, calibration, settings, engine.mask, region, plan.mask)
    facts: dict[str, Any] = {
        "software": software(),
        "input": {
            "path": str(scan.path), "format": scan.format, "shape": list(scan.shape), "dtype": str(scan.dtype),
            "fingerprint": identity["input"]["fingerprint"],
        },
        "library": {"sha256": library.sha256, "settings": library.settings.to_dict()},
        "settings": engine.settings.to_dict(),
        "beam center": {"order": centers.order, "residual_px": centers.residual},
        "detector pixels left out": int(engine.mask.sum()) if engine.mask is not None else 0,
        "annulus": {"k_min": engine.grid.k_min, "k_max": engine.grid.k_max, "rings": engine.grid.n_rings},
    }  # fmt: skip
    if not region.is_whole:
        facts["region"] = region.to_dict()
    step = calibration.step
    if step is not None:
        step = (step[0] * region.every, step[1] * region.every)
    head = Head(
        phases=library.phases,
        calibration=replace(calibration, step=step),
        provenance=facts | dict(provenance or {}),
        shape=region.map_shape,
        n_rivals=settings.n_candidates,
        n_more=settings.overlap.max_crystals - 1,
    )
    return Task(scan, engine, centers, head, region, wanted, identity, plan, threads)


def _identity(
    scan: Scan,
    library: TemplateLibrary,
    calibration: Calibration,
    settings: IndexingSettings,
    mask: NDArray[np.uint8] | None,
    region: Region,
    chosen: NDArray[np.bool_] | None,
) -> dict[str, Any]:
    """Everything that influences the result, for resuming."""
    return {
        "input": {"shape": list(scan.shape), "dtype": str(scan.dtype), "fingerprint": scan.fingerprint()},
        "library": library.sha256,
        "calibration": asdict(calibration) | {"step": list(calibration.step or ())},
        "options": settings.to_dict(),
        "mask": _digest(mask),
        "region": region.to_dict() | {"mask": _digest(chosen)},
        "nbedex version": software()["nbedex"],
    }


def _digest(mask: NDArray[Any] | None) -> str:
    return hashlib.sha256(np.ascontiguousarray(mask).tobytes()).hexdigest() if mask is not None else ""


def _shard(scan: Scan, number: int, of: int) -> NDArray[np.bool_]:
    """Patterns (scan size,) of one of `of` shares: consecutive blocks, the same however much memory there is."""
    size = block_size(scan, Memory())
    count = sum(1 for _ in scan.iter_blocks(size))
    first, last = count * (number - 1) // of, count * number // of
    chosen = np.zeros(scan.size, bool)
    for index, block in enumerate(scan.iter_blocks(size)):
        if first <= index < last:
            chosen[block.patterns] = True
    return chosen


def block_size(scan: Scan, memory: Memory) -> int:
    """Patterns per block: bounded memory, and a progress bar that moves."""
    return int(np.clip(memory.block // scan.stored_frame_bytes, 1, _BLOCK_PATTERNS))


def index_patterns(task: Task, wanted: NDArray[np.bool_], *, whole_crc: bool = False) -> Generator[Known, None, None]:
    """Index some patterns of a scan, block by block. With `whole_crc` the CRC-32 is that of all patterns of a block."""
    memory = task.plan.memory
    size = block_size(task.scan, memory)
    jobs = plan_jobs(task.scan.iter_blocks(size, largest=memory.chunk), wanted, size)

    def known(read: Frames | Unread, threads: int) -> Known:
        crc = zlib.crc32(np.asarray(read.frames).data if whole_crc else read.frames[0].data)
        return read.patterns, _records(task, read, threads), crc

    at_once = memory.blocks_at_once(task.scan, size)
    once = not whole_crc and needs_frames_once(task.engine, task.centers)
    with closing(work_in_order(task.scan, jobs, known, at_once=at_once, unread=once, threads=task.threads)) as found:
        yield from found


def _records(task: Task, read: Frames | Unread, threads: int) -> NDArray[Any]:
    """Records of one block."""
    center = pattern_centers(read.frames, read.patterns, task.centers, task.engine, threads=threads)
    records = index_block(read.frames, center, task.engine, threads=threads)
    if read.unreadable is not None:
        records[read.unreadable] = task.nothing(1, Status.UNREADABLE)
    return records
