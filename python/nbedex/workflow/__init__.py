"""A whole run from one set of options: open, calibrate, get the library, index, write. The command line and
`nbedex.index` are thin covers of this."""

from __future__ import annotations

from nbedex.workflow.inputs import Libraries, get_library, load_mask, resolve_calibration
from nbedex.workflow.merge import merge
from nbedex.workflow.options import (
    CalibrationOptions,
    LibraryOptions,
    OutputOptions,
    RunSettings,
    ScanOptions,
    WorkOptions,
)
from nbedex.workflow.run import RunReport, effective, index, look, run, run_to_file
from nbedex.workflow.series import SeriesEntry, run_series
from nbedex.workflow.status import status

__all__ = [
    "CalibrationOptions",
    "Libraries",
    "LibraryOptions",
    "OutputOptions",
    "RunReport",
    "RunSettings",
    "ScanOptions",
    "SeriesEntry",
    "WorkOptions",
    "effective",
    "get_library",
    "index",
    "load_mask",
    "look",
    "merge",
    "resolve_calibration",
    "run",
    "run_series",
    "run_to_file",
    "status",
]
