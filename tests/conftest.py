"""What all tests need of the process they run in."""

from __future__ import annotations

import os
import signal

import pytest

# Shells start background jobs with SIGINT ignored, and whatever those start inherits that: tests that stop a run with
# Ctrl-C would wait for ever. A signal that is handled here has its default action in programs started from here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Threads that wait for each other without sleeping take the processors from the other workers of pytest-xdist: with two
# workers on two processors, fits by OpenBLAS hardly got on. Set before NumPy is imported; programs started from here
# have it, too.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Workers of `-n auto`: one for each processor of this process; more than eight would soon be idle."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 8)
