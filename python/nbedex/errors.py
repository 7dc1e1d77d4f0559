"""Errors that nbedex raises on purpose.

Every message says what was expected, what came, and what to do. The command line turns each class
into its exit code (`exit_code`), prints the one line, and never a traceback.
"""

from __future__ import annotations


class NbedexError(Exception):
    """Base of every error raised on purpose."""

    exit_code = 1


class ArgumentError(NbedexError, ValueError):
    """An argument, option or configuration value is missing, out of range or inconsistent."""

    exit_code = 2


class DataFormatError(NbedexError):
    """A file (scan, CIF, library, result) is damaged, of an unknown format, or not what it claims to be."""

    exit_code = 3


class OutputError(NbedexError):
    """An output can't be written, or would overwrite a file without being asked to."""

    exit_code = 5


class Cancelled(NbedexError):
    """The user stopped the run (Ctrl-C, or the signal that `stop` came from); what was finished is kept."""

    exit_code = 130

    def __init__(self, message: str, stop: KeyboardInterrupt | None = None) -> None:
        super().__init__(message)
        self.exit_code = getattr(stop, "exit_code", self.exit_code)
