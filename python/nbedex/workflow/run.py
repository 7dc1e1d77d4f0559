"""One run: from options to the result file, resumable at any instant."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.errors import Cancelled, OutputError
from nbedex.files import check_output, remove_leftovers, write_atomically
from nbedex.indexing import PatternView, index_scan, look_at
from nbedex.indexing.assembly import assemble
from nbedex.indexing.checkpoint import discard
from nbedex.indexing.memory import peak
from nbedex.indexing.monitor import RunFacts, Watch, duration
from nbedex.indexing.run import index_task
from nbedex.indexing.task import Known, Listeners, Task, make_task
from nbedex.library import TemplateLibrary
from nbedex.maps import IndexingResult, read_result, write_result
from nbedex.progress import Progress, silent
from nbedex.provenance import software
from nbedex.scan import Scan
from nbedex.settings import settings_to_toml
from nbedex.workflow.before import check_disk, check_target, is_complete, part_of, report_memory
from nbedex.workflow.inputs import Inputs, Libraries, as_asked, gather, opened, plan_for
from nbedex.workflow.live import LivePicture
from nbedex.workflow.logfile import log_file
from nbedex.workflow.options import CalibrationOptions, LibraryOptions, OutputOptions, RunSettings, WorkOptions

if TYPE_CHECKING:
    import os

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunReport:
    """What a run did.

    Attributes
    ----------
    result
        The file written; None for a shard, which leaves that to `merge`.
    facts
        Where indexing ended; None if nothing was left to be indexed.
    seconds
        The whole run, from opening the scan.
    memory_expected, memory_peak
        Bytes: as estimated before, and the most that the process ever had.
    """

    result: Path | None
    facts: RunFacts | None
    seconds: float
    memory_expected: int
    memory_peak: int


def run_to_file(
    settings: RunSettings,
    *,
    shard: tuple[int, int] | None = None,
    libraries: Libraries | None = None,
    progress: Progress = silent,
    watch: Watch | None = None,
) -> RunReport:
    """Index a scan as `settings` say, and write the result where they say; the map is never in memory whole.

    Beside the result stand `NAME.toml` with the effective options and `NAME.log`; while the run is unfinished, what is
    done is in the folder `NAME.part`, and with a preview the map so far is in `NAME.live.png`.

    Parameters
    ----------
    settings
        With an output path.
    shard
        (i, n): do only the i-th of n shares, and leave the rest and the result to others and to `merge`.
    libraries
        Keeps the library for the next run.
    progress, watch
        Told what happens.

    Raises
    ------
    ArgumentError
        An option is missing or inconsistent, or another run writes to the same result.
    DataFormatError
        The scan, a CIF, the library or the mask can't be read, or the scan changed meanwhile.
    OutputError
        The result can't be written, or is there already and `overwrite` is not set.
    Cancelled
        Ctrl-C; `resume` goes on from there.
    """
    started = time.monotonic()
    check_target(settings.output, shard)
    with opened(settings.scan) as scan:
        return run_opened(
            settings, scan, started=started, shard=shard, libraries=libraries, progress=progress, watch=watch
        )


def run_opened(
    settings: RunSettings,
    scan: Scan,
    *,
    started: float,
    shard: tuple[int, int] | None = None,
    libraries: Libraries | None = None,
    progress: Progress = silent,
    watch: Watch | None = None,
    arrived: NDArray[np.bool_] | None = None,
    known: Callable[[Task], Iterable[Known]] | None = None,
) -> RunReport:
    """`run_to_file` for a scan that is open; `arrived`: patterns (scan size,) that there are, `known`: found before."""
    target, output = Path(settings.output.path or ""), settings.output
    with ExitStack() as stack:
        inputs = gather(settings, scan, libraries=libraries, progress=progress)
        used = effective(settings, inputs.stored, inputs.library)
        plan = plan_for(settings, scan, shard)
        if arrived is not None:
            plan = replace(plan, mask=arrived.reshape(scan.scan_shape) & (True if plan.mask is None else plan.mask))
        task = make_task(
            scan,
            inputs.library,
            inputs.calibration,
            settings=inputs.settings,
            mask=inputs.mask,
            plan=plan,
            threads=settings.threads,
            progress=progress,
            provenance={"run": used.to_dict()},
        )
        last: list[RunFacts] = []
        expected = 0
        if not (output.resume and not output.overwrite and is_complete(target, task)):
            check_disk(task, target)
            stack.enter_context(log_file(Path(f"{target}.log")))
            _announce(settings, target, shard)
            _say_calibration(inputs)
            if arrived is not None:
                log.warning(
                    "the scan is taken for ended with %d of %d patterns: no other came for %g s; the rest is NOT_DONE",
                    np.count_nonzero(arrived), scan.size, settings.work.follow_timeout_s,
                )  # fmt: skip
            expected = report_memory(task)
            found = known(task) if known is not None else ()
            try:
                _index(settings, task, target, Listeners(progress=progress, watch=_also(last, watch)), found)
                if shard is None:
                    _write(target, task, progress, overwrite=output.overwrite)
            except OutputError as error:
                if "disk is full" in str(error):
                    raise OutputError(f"{error}. What is done is kept, go on with --resume") from error
                raise
        if shard is None:
            _finish(target, used)
        log.info("done in %s; most memory %.2f GB", duration(time.monotonic() - started), peak() / 1e9)
    return RunReport(
        result=target if shard is None else None,
        facts=last[0] if last else None,
        seconds=time.monotonic() - started,
        memory_expected=expected,
        memory_peak=peak(),
    )


def _also(last: list[RunFacts], watch: Watch | None) -> Watch:
    """A watcher that keeps the last facts, and hands them on."""

    def tell(facts: RunFacts) -> None:
        last[:] = [facts]
        if watch is not None:
            watch(facts)

    return tell


def _announce(settings: RunSettings, target: Path, shard: tuple[int, int] | None) -> None:
    """First lines of the log: what, by which version, how."""
    made_by = software()
    log.info(
        "nbedex %s indexes %s -> %s%s", made_by["nbedex"], settings.scan.path, target,
        f", shard {shard[0]} of {shard[1]}" if shard else "",
    )  # fmt: skip
    log.info("Python %s, %s, threads %d (0: all)", made_by["python"], made_by["platform"], settings.threads)


def _say_calibration(inputs: Inputs) -> None:
    """What the patterns corrected, if anything."""
    used, given = inputs.stored, inputs.given
    said = []
    if used.pixel_size != given.pixel_size:
        change = 100 * (used.pixel_size / given.pixel_size - 1)
        said.append(f"{used.pixel_size:.6g} 1/angstrom a pixel ({change:+.2f} %)")
    if (used.ellipse_ratio, used.ellipse_angle_deg) != (given.ellipse_ratio, given.ellipse_angle_deg):
        said.append(f"an ellipse of {used.ellipse_ratio:.4f} at {used.ellipse_angle_deg:.0f} degrees")
    if said:
        log.warning(
            "the calibration given is off: by the patterns' own spots %s, which is used (--no-fine-tune: as given)",
            " and ".join(said),
        )


def _index(settings: RunSettings, task: Task, target: Path, listeners: Listeners, known: Iterable[Known]) -> None:
    """Index into the folder beside the result."""
    output, part = settings.output, part_of(target)
    if output.overwrite and not output.resume and task.plan.shard is None and part.exists():
        discard(part)
    picture = None
    if task.plan.preview:
        picture = LivePicture(Path(f"{target}.live.png"), task.head, task.region, seconds=settings.work.live_s)
        listeners = replace(listeners, picture=picture.add)
    index_task(task, part, resume=output.resume, listeners=listeners, known=known)
    if picture is not None:
        picture.draw()


def _write(target: Path, task: Task, progress: Progress, *, overwrite: bool) -> None:
    """Put the result together from what is in the folder."""
    try:
        assemble([part_of(target)], target, overwrite=overwrite, memory=task.plan.memory, progress=progress)
    except KeyboardInterrupt as stop:
        message = "stopped while the result was written; all patterns are done, go on with --resume"
        raise Cancelled(message, stop) from None


def _finish(target: Path, used: RunSettings) -> None:
    """The result is there: write its options beside it, and remove what it was made of."""
    write_atomically(f"{target}.toml", [settings_to_toml(used).encode()], overwrite=True)
    for file in (target, f"{target}.toml", f"{target}.live.png"):
        remove_leftovers(file)
    discard(part_of(target))


def run(settings: RunSettings, *, progress: Progress = silent) -> IndexingResult:
    """`run_to_file`, and the result in memory; without an output path only that.

    Raises
    ------
    NbedexError
        As of `run_to_file`.
    """
    if settings.output.path:
        run_to_file(settings, progress=progress)
        return read_result(settings.output.path)
    with opened(settings.scan) as scan:
        return _index_scan(scan, settings, progress)


def _index_scan(scan: Scan, settings: RunSettings, progress: Progress = silent) -> IndexingResult:
    """All in memory, nothing written."""
    inputs = gather(settings, scan, progress=progress)
    _say_calibration(inputs)
    return index_scan(
        scan,
        inputs.library,
        inputs.calibration,
        settings=inputs.settings,
        mask=inputs.mask,
        plan=plan_for(settings, scan),
        threads=settings.threads,
        progress=progress,
    )


def look(settings: RunSettings, *, row: int, column: int, progress: Progress = silent) -> PatternView:
    """One pattern of a scan on its way to an orientation: what `run` does with it, step by step.

    Raises
    ------
    ArgumentError
        The pattern is outside the scan, or an option is missing or inconsistent.
    DataFormatError
        The scan, a CIF, the library or the mask can't be read.
    """
    with opened(settings.scan) as scan:
        inputs = gather(settings, scan, progress=progress)
        _say_calibration(inputs)
        return look_at(
            scan,
            inputs.library,
            inputs.calibration,
            row=row,
            column=column,
            settings=inputs.settings,
            mask=inputs.mask,
            threads=settings.threads,
        )


def effective(settings: RunSettings, calibration: Calibration, library: TemplateLibrary) -> RunSettings:
    """The options with everything filled in that was taken from the file, from defaults or from the patterns."""
    known = asdict(calibration)
    step = known.pop("step")
    square = step is not None and step[0] == step[1]
    simulation = library.settings.to_dict()
    simulation.pop("voltage")
    return msgspec.structs.replace(
        settings,
        calibration=CalibrationOptions(**known, step_nm=step[0] if square else None, fine_tune=False),
        library=LibraryOptions(
            file=settings.library.file,
            phases=settings.library.phases or tuple(p.name for p in library.phases),
            **simulation,
        )
        if not settings.library.file
        else settings.library,
        # Who repeats the run with this file has not asked for anything to be overwritten; and how the work was done is
        # not part of the result, which is the same to the bit.
        output=OutputOptions(path=settings.output.path),
        work=WorkOptions(),
        threads=0,
    )


def index(
    scan: str | os.PathLike[str] | NDArray[Any],
    *,
    phases: Sequence[str] = (),
    pixel_size: float | None = None,
    voltage: float | None = None,
    output: str | os.PathLike[str] | None = None,
    settings: RunSettings | None = None,
) -> IndexingResult:
    """Index a scan: the Python counterpart of `nbedex index`.

    Parameters
    ----------
    scan
        Path of a 4D-STEM file, or an array (scan_y, scan_x, det_y, det_x).
    phases
        Names of shipped phases or paths of CIFs.
    pixel_size
        1/angstrom per detector pixel; from the file where it says so.
    voltage
        kV; from the file where it says so.
    output
        Result file to write.
    settings
        All other options; those above take precedence.

    Returns
    -------
    IndexingResult
        `to_crystal_map(result)` makes an orix CrystalMap of it.

    Examples
    --------
    >>> import nbedex
    >>> result = nbedex.index("scan.hspy", phases=["nzsp"], pixel_size=0.0094, voltage=300)  # doctest: +SKIP
    >>> nbedex.to_crystal_map(result)  # doctest: +SKIP
    """
    base = settings or RunSettings()
    replace = msgspec.structs.replace
    changes = {k: v for k, v in {"pixel_size": pixel_size, "voltage": voltage}.items() if v is not None}
    base = replace(base, calibration=replace(base.calibration, **changes))
    if phases:
        base = replace(base, library=replace(base.library, phases=tuple(str(p) for p in phases)))
    if output is not None:
        base = replace(base, output=replace(base.output, path=str(output)))
    if isinstance(scan, np.ndarray):
        return _index_array(scan, base)
    return run(replace(base, scan=replace(base.scan, path=str(scan))))


def _index_array(array: NDArray[Any], settings: RunSettings) -> IndexingResult:
    from nbedex.scan import memory_scan

    if settings.output.path:
        check_output(settings.output.path, overwrite=settings.output.overwrite)
    result = _index_scan(as_asked(memory_scan(array), settings.scan), settings)
    if settings.output.path:
        write_result(settings.output.path, result, overwrite=settings.output.overwrite)
    return result
