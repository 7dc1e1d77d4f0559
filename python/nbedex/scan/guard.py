"""First contact with a file in a child process.

A damaged HDF5 file can keep the HDF5 library busy for ever, or end the process, inside a call that no
Python code can interrupt; RosettaSciIO makes a list of all patterns that a damaged .dm4 file claims to have. So a child
opens the file first and reads its first and last pattern; only when it comes back does this process open the file. What
the child finds wrong in an orderly way is found again, and reported, here.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

from nbedex.errors import DataFormatError

log = logging.getLogger(__name__)

# What RosettaSciIO may take for itself, bytes: a damaged header can ask for a list of 10^10 patterns.
_MEMORY = 4 << 30
_TOO_MUCH = 3  # exit code of a child that asked for more

How = Literal["hdf5", "growing", "rosetta"]

# Slow network drives need seconds; a loop in the library never ends.
TIMEOUT = 120.0
# In a file that is read while it is written, HDF5 reads a block with a wrong checksum again and again, pausing twice as
# long each time: a damaged one keeps it for good. An unlucky moment is over when this process tries again.
GROWING_TIMEOUT = 20.0

_CHILD = "import sys; from nbedex.scan.guard import child; child(sys.argv[1])"
# Files that have passed, by path, size and time of change.
_passed: set[tuple[str, int, int]] = set()


def first_contact(path: Path, *, dataset: str | None, scan_shape: tuple[int, int] | None, how: How = "hdf5") -> None:
    """Let a child process open a file and read its first and last pattern.

    Parameters
    ----------
    path, dataset, scan_shape
        As for `nbedex.scan.open_scan`.
    how
        As HDF5, as HDF5 that is still written, of which only the first pattern is read, or by RosettaSciIO.

    Raises
    ------
    DataFormatError
        The child did not come back in `TIMEOUT` (`GROWING_TIMEOUT`) seconds, or was ended by the system.
    """
    timeout = GROWING_TIMEOUT if how == "growing" else TIMEOUT
    library = "RosettaSciIO" if how == "rosetta" else "the HDF5 library"
    state = path.stat()
    key = (str(path.resolve()), state.st_size, state.st_mtime_ns)
    if key in _passed or not sys.executable or getattr(sys, "frozen", False):
        return
    task = json.dumps({"path": str(path), "dataset": dataset, "scan_shape": scan_shape, "how": how})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, task],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DataFormatError(
            f"{path}: {library} did not come back from this file within {timeout:g} s;"
            " the file is damaged, or its drive is very slow (copy the file to a local drive)"
        ) from error
    except OSError as error:
        log.info("%s: opened without a child process (%s)", path, error)
        return
    if done.returncode == _TOO_MUCH:
        raise DataFormatError(f"{path}: {library} would need more than {_MEMORY >> 30} GB to open it; it is damaged")
    # Python ends with 0 or 1; everything else is a signal, or an exception code of Windows.
    if done.returncode not in (0, 1):
        raise DataFormatError(
            f"{path}: {library} crashed on this file (code {done.returncode}); the file is damaged,"
            " copy or export it again"
        )
    if done.returncode == 1:
        log.info("%s: %s", path, done.stderr.decode(errors="replace").strip().splitlines()[-1:])
    _passed.add(key)


def child(task: str) -> None:
    """Run in the child: open, read two patterns, end."""
    from nbedex.scan.growing import open_growing_hdf5
    from nbedex.scan.hdf5 import open_hdf5
    from nbedex.scan.rosetta import open_rosetta

    arguments = json.loads(task)
    path, dataset = Path(arguments["path"]), arguments["dataset"]
    scan_shape = tuple(arguments["scan_shape"]) if arguments["scan_shape"] else None
    if arguments["how"] == "rosetta":
        _limit_memory()
    try:
        if arguments["how"] == "growing":
            growing = open_growing_hdf5(path, dataset=dataset, scan_shape=scan_shape)
            with growing.scan as scan:
                if growing.arrived():
                    scan.read_at([0])
            return
        if arguments["how"] == "hdf5":
            scan = open_hdf5(path, dataset=dataset, scan_shape=scan_shape)
        else:
            scan = open_rosetta(path, scan_shape=scan_shape)
        with scan:
            scan.read_at([0, scan.size - 1])
    except MemoryError:
        sys.exit(_TOO_MUCH if arguments["how"] == "rosetta" else 0)
    except Exception:  # the parent meets it again and reports it
        return


def _limit_memory() -> None:
    """Let this process have a bounded amount; maps of files don't count."""
    try:
        import resource
    except ImportError:  # Windows
        return
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most == resource.RLIM_INFINITY or most > _MEMORY:
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, most))
