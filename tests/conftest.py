"""What all tests need of the process they run in."""

from __future__ import annotations

import signal

# Shells start background jobs with SIGINT ignored, and whatever those start inherits that: tests that stop a run with
# Ctrl-C would wait for ever. A signal that is handled here has its default action in programs started from here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
